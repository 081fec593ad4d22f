"""Transfer learning for small image sets: the frozen part of a network runs once, and is proven frozen.

`finetune.run(data, recipe, out)` does the main job and returns a `RunResult`; recipes come from
`recipes.load_recipe`. `finetune.cross_validate` holds every image out once, `finetune.compare` sets recipes side by
side, `finetune.evaluate(run, data, out)` judges a run on images from elsewhere. `finetune.freeze(model, policy)` locks
any module for a training loop of your own, `finetune.pyramid(run)` is a backbone for torchvision's detectors. Names
are imported when they are first used, so `import finetune` is light.
"""

import importlib
from typing import Any

_HOMES = {
    "ExternalResult": "finetune.jobs.external_validation",
    "RunResult": "finetune.jobs.run",
    "evaluate": "finetune.jobs.external_validation",
    "run": "finetune.jobs.run",
    "CrossValidation": "finetune.jobs.cross_validate",
    "cross_validate": "finetune.jobs.cross_validate",
    "ComparisonResult": "finetune.jobs.compare",
    "compare": "finetune.jobs.compare",
    "Folding": "finetune.jobs.folding",
    "Lock": "finetune.freezing",
    "freeze": "finetune.freezing",
    "load_model": "finetune.heads",
    "pyramid": "finetune.features",
    "FreezeError": "finetune.errors",
    "InputError": "finetune.errors",
    "TailtuneError": "finetune.errors",
    "WeightsError": "finetune.errors",
    "EnvironmentFault": "finetune.errors",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'finetune' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
