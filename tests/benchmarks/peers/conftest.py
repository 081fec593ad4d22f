"""Results as a tool might leave them, and the shared real sets where they are present."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.peers.results import Result

SHARED = Path(__file__).parents[3].parent / "shared" / "data"

MakeResult = Callable[..., Result]


@pytest.fixture
def shared_sets() -> Path:
    """The folder of the real image sets."""
    if not SHARED.is_dir():
        pytest.skip("the shared real data is absent")
    return SHARED


@pytest.fixture
def make_result() -> MakeResult:
    """A result with the given fields; the others hold something plain."""

    def make(set_name: str, tool: str, seed: int, wall: float, accuracy: float, **fields: object) -> Result:
        known = {
            "set": set_name,
            "tool": tool,
            "seed": seed,
            "model": "tf_efficientnet_lite0",
            "is_pretrained": True,
            "policy": None,
            "wall_seconds": wall,
            "start_up_seconds": 5.0,
            "balanced_accuracy": accuracy,
            "train_images": 300,
            "test_images": 150,
            "views": 2,
            "epochs": 10,
            "manifest_sha256": f"{set_name}-{seed}",
            "versions": {"torch": "2.14.1"},
            "settings": {"batch_size": 4},
            "commit": "abc1234",
            "machine": "x86_64, 2 cores",
            "date": "2026-11-24",
        }
        return Result(**(known | fields))  # type: ignore[arg-type]

    return make
