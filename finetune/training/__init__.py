"""Train the tail on the trunk's features."""

from finetune.training.fitting import FittedTail, TailData, fit_tail
from finetune.training.predicting import predict_scores
from finetune.training.schedule import learning_rate_at

__all__ = ["FittedTail", "TailData", "fit_tail", "learning_rate_at", "predict_scores"]
