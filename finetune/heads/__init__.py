"""What stands behind the body of a network in place of timm's classifier."""

from finetune.heads.modules import MultiStageHead
from finetune.heads.multi_stage import add_multi_stage_head, multi_stage_head
from finetune.heads.saved import load_model, saved_labels

__all__ = ["MultiStageHead", "add_multi_stage_head", "load_model", "multi_stage_head", "saved_labels"]
