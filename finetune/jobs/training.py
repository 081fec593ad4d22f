"""Train the tail, phase by phase, with a proof for each and checkpoints between epochs."""

import difflib
import hashlib
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import pandas as pd

from finetune.checkpoint import SAVE_SHARE, Checkpoint, CheckpointFolder
from finetune.errors import InputError
from finetune.freezing import Cut, frozen_digest
from finetune.interrupts import StopRequest
from finetune.jobs.planning import PlannedPhase, Preview, begin_phase, ends_with_solved_head, wants_solved_head
from finetune.jobs.sources import SourceMaker
from finetune.training import TailData, TailFitter
from recipes import Phase, Recipe, dump_recipe


@dataclass(frozen=True)
class Trained:
    """What training leaves behind.

    `history` has one row an epoch, 0 being the solved head, `proofs` one record a phase; `before`
    and `after` are digests of what is frozen throughout.
    """

    history: pd.DataFrame
    proofs: list[dict[str, Any]]
    before: str
    after: str

    @property
    def epochs(self) -> int:
        """Epochs of gradient steps."""
        return int((self.history["epoch"] > 0).sum())


class PhaseTrainer:
    """Trains what a preview has planned; the backbone holds the weights that were kept afterwards.

    Without `checkpoints` none is written, and there is nothing to resume from. Of several processes the first writes.
    """

    def __init__(
        self, made: Preview, recipe: Recipe, maker: SourceMaker, checkpoints: CheckpointFolder | None, stop: StopRequest
    ) -> None:
        self.made, self.recipe, self.maker, self.checkpoints = made, recipe, maker, checkpoints
        self.before = frozen_digest(made.backbone.model, made.plan)
        self.fitter = TailFitter(
            made.backbone.model,
            made.plan,
            recipe.train,
            recipe.seed,
            made.backbone.stages.parameters,
            save=None if checkpoints is None or not maker.ranks.is_first else partial(self._save, checkpoints),
            save_share=SAVE_SHARE,
            stop=stop,
            ranks=maker.ranks,
        )
        self._saved = 0 if checkpoints is None else max(checkpoints.numbers(), default=0)

    def resume(self) -> None:
        """Go on from the newest whole checkpoint; from the start where there is none.

        Raises InputError, showing the difference, where the checkpoint is of another recipe, other
        classes, other images or other weights.
        """
        checkpoint, lost = (None, []) if self.checkpoints is None else self.checkpoints.load()
        for sentence in lost:
            self.maker.say(sentence)
        if checkpoint is None:
            self.maker.say("No checkpoint was found; training starts from the beginning.")
            return
        _check_same(checkpoint.state["run"], self._identity)
        self.fitter.resume(checkpoint)
        position = self.fitter.state.position
        done = f"{position.epoch - 1} epochs" + (f" and {position.batches} batches" if position.batches else "")
        self.maker.say(f"Resumed after {done} of at most {self.recipe.train.epochs} epochs.")

    def train(self) -> Trained:
        """Run every phase that is not over."""
        for planned in self.made.phases:
            self._run_phase(planned)
        history = self.fitter.finish()
        after = frozen_digest(self.made.backbone.model, self.made.plan)
        return Trained(history, self.fitter.state.proofs, self.before, after)

    def _run_phase(self, planned: PlannedPhase) -> None:
        state, phase, model = self.fitter.state, planned.phase, self.made.backbone.model
        proof = next((held for held in state.proofs if held["phase"] == phase.number), None)
        if proof is not None and "frozen_sha256_after" in proof:
            return
        cut = begin_phase(self.made, planned, self.recipe)
        digest = frozen_digest(model, planned.plan)
        if proof is None:
            proof = {
                "phase": phase.number,
                "policy": planned.plan.policy,
                "first_epoch": phase.first_epoch,
                "last_epoch": phase.last_epoch,
                "frozen_sha256_before": digest,
            }
            state.proofs.append(proof)
        if not state.is_over and state.position.epoch <= phase.last_epoch:
            sources = self.maker.parts(("train", "val"), cut, digest)
            is_last = planned is self.made.phases[-1]
            data = self.maker.tail_data(sources)
            with self.maker.watch.measure("tail"):
                self._begin(phase, cut, data)
                if self.fitter.is_solved and ends_with_solved_head(self.made.backbone, self.made.plan, self.recipe):
                    self.fitter.end()
                else:
                    self.fitter.fit_phase(phase, cut, data, is_last=is_last, track=self.maker.track)
        proof["frozen_sha256_after"] = frozen_digest(model, planned.plan)  # where it is not saved, it is found anew

    def _begin(self, phase: Phase, cut: Cut, data: TailData) -> None:
        say, is_wanted = self.maker.say, wants_solved_head(self.made.backbone, self.recipe)
        probe = self.fitter.begin(phase, cut, data, with_solved_head=is_wanted)
        if isinstance(probe, str):
            say(f"The head starts at random: {probe}.")
        elif probe is not None:
            how = f"chosen by {probe.folds}-fold cross-validation" if probe.folds else "not chosen: too few images"
            is_final = ends_with_solved_head(self.made.backbone, self.made.plan, self.recipe)
            end = "; it learns alone, so no gradient steps follow" if is_final else ""
            say(f"Head solved first: logistic regression, strength {probe.strength:.2g} ({how}){end}.")

    def _save(self, checkpoints: CheckpointFolder, checkpoint: Checkpoint) -> None:
        self._saved += 1
        state = {**checkpoint.state, "run": self._identity}
        checkpoints.save(self._saved, Checkpoint(checkpoint.tensors, state))

    @cached_property
    def _identity(self) -> dict[str, Any]:
        table = self.made.dataset.table.to_csv(index=False)
        return {
            "recipe": dump_recipe(self.recipe),
            "labels": list(self.made.dataset.labels),
            "dataset_sha256": hashlib.sha256(table.encode("utf-8", errors="surrogateescape")).hexdigest(),
            "frozen_sha256": self.before,
        }


def _check_same(saved: dict[str, Any], present: dict[str, Any]) -> None:
    advice = "Repeat the command of the run, or start again with --overwrite."
    if saved["recipe"] != present["recipe"]:
        raise InputError(f"--resume: the recipe is another one ({_difference(saved, present)}). {advice}")
    if saved["labels"] != present["labels"]:
        raise InputError(f"--resume: the classes were {saved['labels']}, now {present['labels']}. {advice}")
    if saved["dataset_sha256"] != present["dataset_sha256"]:
        raise InputError(f"--resume: the images, labels or splits have changed since the run began. {advice}")
    if saved["frozen_sha256"] != present["frozen_sha256"]:
        raise InputError(f"--resume: the frozen weights are not those of the run. {advice}")


def _difference(saved: dict[str, Any], present: dict[str, Any]) -> str:
    lines = difflib.unified_diff(saved["recipe"].splitlines(), present["recipe"].splitlines(), lineterm="", n=0)
    changed = [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]
    return "; ".join(f"{'was' if line[0] == '-' else 'is'} {line[1:].strip()}" for line in changed)
