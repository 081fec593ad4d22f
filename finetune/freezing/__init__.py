"""The freezing engine: a policy becomes a plan, the plan a lock, a proof and a cut into trunk and tail."""

from finetune.freezing.cutting import Cut, bridge_cuts, cut_model, keep_whole
from finetune.freezing.lock import Lock, freeze
from finetune.freezing.locking import (
    check_unmoved,
    frozen_digest,
    lock_model,
    release_model,
    state_digest,
    tensor_digests,
)
from finetune.freezing.planning import FreezePlan, Staged, StagedModel, StageRow, frozen_throughout, plan_freeze
from finetune.freezing.policy import NAMED_POLICIES, FreezePolicy, parse_policy

__all__ = [
    "NAMED_POLICIES",
    "Cut",
    "FreezePlan",
    "FreezePolicy",
    "Lock",
    "StageRow",
    "Staged",
    "StagedModel",
    "bridge_cuts",
    "check_unmoved",
    "cut_model",
    "freeze",
    "frozen_digest",
    "state_digest",
    "frozen_throughout",
    "keep_whole",
    "lock_model",
    "parse_policy",
    "plan_freeze",
    "release_model",
    "tensor_digests",
]
