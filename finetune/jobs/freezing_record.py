"""What freeze.json says: the plan, the cut and the proof."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from finetune.freezing import Cut, FreezePlan


def freeze_record(
    plan: FreezePlan, cut: Cut, before: str, after: str, phases: Sequence[Mapping[str, Any]] = (), head: str = "linear"
) -> dict[str, object]:
    """The content of freeze.json; `verified` only where every frozen byte is what it was.

    `plan` and the two digests are of what is frozen throughout; `phases` hold digests of their own;
    `head` is the kind of head that was trained.
    """
    proven = [{**phase, "verified": phase["frozen_sha256_before"] == phase["frozen_sha256_after"]} for phase in phases]
    return {
        "policy": plan.policy,
        "head": head,
        "stages": [
            {"name": row.name, "parameters": row.parameters, "buffers": row.buffers, "frozen": row.is_frozen}
            for row in plan.stages
        ],
        "cut": cut_record(cut),
        "uncut_reason": cut.reason or None,
        "trainable_parameters": plan.trainable_count,
        "frozen_parameters": plan.frozen_count,
        "frozen_sha256_before": before,
        "frozen_sha256_after": after,
        "phases": proven,
        "verified": before == after and all(phase["verified"] for phase in proven),
    }


def cut_record(cut: Cut) -> list[dict[str, object]]:
    """Name, shape per image and size per image in bytes (fp16) of each tensor that crosses; empty without a trunk."""
    if cut.trunk is None:
        return []
    return [
        {"name": name, "shape": list(shape), "bytes": 2 * math.prod(shape)}
        for name, shape in zip(cut.names, cut.shapes, strict=False)
    ]
