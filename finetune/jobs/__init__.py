"""The jobs of the toolkit: one readable column of calls each."""

from finetune.jobs.demo import run_demo
from finetune.jobs.planning import Preview, plan_model, preview
from finetune.jobs.run import RunResult, run

__all__ = ["Preview", "RunResult", "plan_model", "preview", "run", "run_demo"]
