"""What is compared: one job is one set, tool and seed; jobs are planned in interleaved order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TAILTUNE, QUICK, HEAD_ONLY = "tailtune", "tailtune-quick", "tailtune-head-only"
RECIPES = {QUICK: "quick", HEAD_ONLY: "head-only"}
"""tailtune in other ways than its default recipe."""
TAILTUNE_FP32 = "tailtune-fp32"
"""tailtune without bf16, which the others do without: for the same work alone."""
OWN_TOOLS = (TAILTUNE, *RECIPES, TAILTUNE_FP32)
FINE_TUNERS = ("plain", "fastai", "trainer", "lightning")
SCRIPT = "script"
PEERS = (SCRIPT, *FINE_TUNERS)
TOOLS = (*OWN_TOOLS, *PEERS)
ONE_CUT = ("trainer",)
"""Tools that are run on one cut alone, unless every tool does the same work. Lightning, the best of the others on most
sets, is run on all: a difference to it shall have an interval."""
SEEDS = (0, 1, 2)
MODEL = "tf_efficientnet_lite0"
POLICIES = ("first-three", "head-only", "full")


@dataclass(frozen=True)
class Variant:
    """What differs from each tool's own way; the same for all tools of a comparison."""

    model: str = MODEL
    is_pretrained: bool = True
    policy: str | None = None
    """Same work: this policy, ten epochs and one batch size for every tool; None: each as documented."""

    @property
    def name(self) -> str:
        """The variant in a few words."""
        weights = "" if self.is_pretrained else ", random weights"
        return f"{'documented' if self.policy is None else 'same work, ' + self.policy}, {self.model}{weights}"


@dataclass(frozen=True)
class Job:
    """One run of one tool."""

    set_name: str
    tool: str
    seed: int
    variant: Variant = Variant()

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What tells a job from every other."""
        return (self.set_name, self.tool, self.seed, self.variant.name)

    @property
    def folder(self) -> str:
        """A name for the folder of the job's files."""
        words = (self.variant.policy, "" if self.variant.is_pretrained else "random")
        extra = "".join(f"-{word}" for word in words if word)
        return f"{self.set_name}-{self.tool}-{self.variant.model}{extra}-{self.seed}"


def plan_jobs(sets: Sequence[str], tools: Sequence[str], seeds: Sequence[int], variant: Variant) -> Iterator[Job]:
    """Every job once, tool after tool on the same cut, so that the machine's mood falls on all alike."""
    for seed in seeds:
        for set_name in sets:
            for tool in tools:
                if _takes_part(tool, seed == seeds[0], variant):
                    yield Job(set_name, tool, seed, variant)


def _takes_part(tool: str, is_first_cut: bool, variant: Variant) -> bool:
    if variant.policy is None:
        return tool != TAILTUNE_FP32 and (is_first_cut or tool not in ONE_CUT)
    # with a policy, tailtune is told it, and the script trains nothing
    return tool not in (*RECIPES, SCRIPT)
