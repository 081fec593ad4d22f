"""Train the tail on the trunk's features."""

from finetune.training.fitting import TailFitter
from finetune.training.predicting import predict_scores
from finetune.training.probe import Probe
from finetune.training.schedule import learning_rate_at
from finetune.training.tail_data import TailData

__all__ = ["Probe", "TailData", "TailFitter", "learning_rate_at", "predict_scores"]
