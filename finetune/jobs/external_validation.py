"""Judge a trained network on labelled images from elsewhere, and tell what changed since its own test part."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from data_tools import (
    Dataset,
    DatasetSettings,
    Keeping,
    build_evaluation_pipeline,
    evaluation_geometry,
    prepare_dataset,
    thumbnail_geometry,
)
from data_tools.private import make_private_folder
from finetune.errors import EnvironmentFault, InputError
from finetune.evaluation import Change, Evaluation, evaluate_predictions, find_changes
from finetune.explaining import explain_with
from finetune.features import FreshSource, ImageViews, Viewer
from finetune.files import write_csv, write_json
from finetune.jobs.data_settings import count_workers
from finetune.jobs.folder import RUN_MARK, empty_folder, package_versions
from finetune.jobs.keeping import evaluation_views, open_store, small_pictures
from finetune.jobs.overlap import check_unseen, find_seen, tell_overlap
from finetune.jobs.planning import choose_device
from finetune.jobs.score_table import tabulate_scores
from finetune.jobs.trained_run import TrainedRun, read_run
from finetune.progress import Say, Track, silent, untracked
from finetune.reporting import ReportContext, write_report
from finetune.training import predict_scores
from recipes import EvaluateSettings

_MARK = "environment.json"
"""Written first: what lies in a folder with it, and is no run, is an evaluation."""
_ANY = DatasetSettings()


@dataclass(frozen=True)
class ExternalResult:
    """What a run's network did on other images, and the folder that holds it all."""

    folder: Path
    evaluation: Evaluation
    own: Evaluation
    """Of the run's own test part."""
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]


def evaluate(
    run: Path,
    data: Path,
    out: Path,
    settings: DatasetSettings = _ANY,
    *,
    device: str = "auto",
    workers: int | None = None,
    overwrite: bool = False,
    command: Sequence[str] = (),
    track: Track = untracked,
    say: Say = silent,
) -> ExternalResult:
    """Predict every usable image at `data` with the network of a run, in fp32, and write the whole report to `out`.

    Splits that the data bring are ignored: all images are judged. Preprocessing, scaling and the confidence of
    intervals are the run's; of `settings` metadata, group, strict and allow count. Scores are those of the run's own
    predictions.csv to 1e-6, not to the bit: there the trunk and the tail ran in batches of their own.

    Raises InputError, WeightsError or DataError in words for the user: for a folder that holds no whole run, a class
    that the run does not know, an image that the run was trained on; EnvironmentFault where `out` cannot be written.
    """
    torch.set_float32_matmul_precision("highest")
    trained, place = read_run(run), choose_device(device)
    _check_folder(out, overwrite)
    trained.backbone.model.to(place).to(memory_format=torch.channels_last)
    hands = count_workers(trained.recipe) if workers is None else workers
    keeping = _open_keeping(trained)
    wanted = replace(settings, splits=None, scaling=trained.scaling, known_labels=trained.labels)
    dataset = prepare_dataset(data, wanted, workers=hands, keeping=keeping, track=track)
    seen = find_seen(dataset, trained.images)
    check_unseen(dataset, seen, settings.allow)
    dataset = replace(dataset, findings=pd.concat([seen, dataset.findings], ignore_index=True))
    predictions = _predict(trained, dataset, keeping, hands, track)
    evaluation = evaluate_predictions(predictions, trained.labels, confidence=trained.recipe.evaluate.confidence)
    changes, warnings = find_changes(trained.own, evaluation), _warnings(trained, dataset, seen)
    for sentence in warnings:
        say(sentence)
    context = replace(
        _context(trained, dataset, keeping),
        environment=_describe(trained, dataset, place, hands, command),
        change=[change.record for change in changes],
        warnings=warnings,
    )
    _write(out, dataset, predictions, context)
    return ExternalResult(out, evaluation, trained.own, changes, warnings)


def _check_folder(out: Path, overwrite: bool) -> None:
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not (out / _MARK).is_file() or (out / RUN_MARK).exists():
        raise InputError(f"{out} holds files that are no evaluation; choose another --out.")
    if not overwrite:
        raise InputError(f"{out} holds an evaluation. Choose another --out, or replace it (--overwrite).")


def _write(out: Path, dataset: Dataset, predictions: pd.DataFrame, context: ReportContext) -> None:
    """Every file, in place of those of an earlier evaluation."""
    try:
        make_private_folder(out)
        empty_folder(out)
    except OSError as error:
        raise EnvironmentFault(f"{out} cannot be written: {error.strerror}. Choose another --out.") from error
    write_json(out / _MARK, context.environment)
    write_csv(out / "dataset.csv", dataset.table)
    write_csv(out / "findings.csv", dataset.findings)
    write_csv(out / "predictions.csv", predictions)
    write_report(out, predictions, context)


def _open_keeping(trained: TrainedRun) -> Keeping:
    geometries = (evaluation_geometry(trained.backbone.preprocessing), thumbnail_geometry())
    return Keeping(open_store(trained.recipe), geometries, trained.scaling)


def _predict(trained: TrainedRun, dataset: Dataset, keeping: Keeping, workers: int, track: Track) -> pd.DataFrame:
    """Plain softmax of the saved network for every usable image."""
    rows, device = dataset.part("test"), next(trained.backbone.model.parameters()).device
    viewer = Viewer(build_evaluation_pipeline(trained.backbone.preprocessing), trained.recipe.seed, workers, keeping)
    paths, digests = ([str(value) for value in rows[column]] for column in ("path", "sha256"))
    images = ImageViews(dataset.root, paths, viewer, range(1), digests)
    targets = torch.tensor([trained.labels.index(label) for label in rows["label"]], dtype=torch.long)
    source = FreshSource(images, targets, None, device)
    return tabulate_scores(rows, predict_scores(trained.backbone.model, source, track), trained.labels)


def _warnings(trained: TrainedRun, dataset: Dataset, seen: pd.DataFrame) -> tuple[str, ...]:
    """What a reader must know of these images beside those of the run."""
    rows = dataset.part("test")
    sentences = tell_overlap(dataset, trained.images, seen)
    missing = [label for label in trained.labels if label not in set(rows["label"])]
    if missing:
        names = ", ".join(map(repr, missing))
        sentences.append(
            f"These images hold none of {names}, which the run knows: means over classes are not compared."
        )
    if (trained.images["group"] != "").any() and not (rows["group"] != "").any():
        sentences.append(
            "The run's images were grouped (by patient, slide or source), these are not: if several come from one, "
            "give --group, or the intervals here are too narrow."
        )
    return tuple(sentences)


def _describe(
    trained: TrainedRun, dataset: Dataset, device: torch.device, workers: int, command: Sequence[str]
) -> dict[str, object]:
    """The content of environment.json: versions, machine, the run that was judged, and the data."""
    return {
        "versions": {"python": platform.python_version(), **package_versions()},
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "workers": workers,
        "device": str(device),
        "run": str(trained.folder.resolve()),
        "data": str(dataset.root.resolve()),
        "scaling": asdict(dataset.scaling),
        "confidence": trained.recipe.evaluate.confidence,
        "command": list(command),
    }


def _context(trained: TrainedRun, dataset: Dataset, keeping: Keeping) -> ReportContext:
    views = evaluation_views(dataset, keeping, trained.backbone.preprocessing)
    return ReportContext(
        labels=trained.labels,
        findings=dataset.findings,
        image_root=dataset.root,
        small_picture=small_pictures(dataset, keeping),
        evaluate=EvaluateSettings(confidence=trained.recipe.evaluate.confidence),
        explain=explain_with(trained.backbone, trained.labels, views),
    )
