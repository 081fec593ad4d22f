"""Hand a trained model over to other tools."""

from finetune.exporting.timm_folder import save_timm_folder

__all__ = ["save_timm_folder"]
