"""Train the tail on the trunk's features."""

from finetune.training.fitting import TailData, TailFitter, validate
from finetune.training.predicting import predict_scores
from finetune.training.schedule import learning_rate_at

__all__ = ["TailData", "TailFitter", "learning_rate_at", "predict_scores", "validate"]
