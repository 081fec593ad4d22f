"""Hand a trained model over to other tools."""

from finetune.exporting.timm_folder import save_model_folder, save_timm_folder

__all__ = ["save_model_folder", "save_timm_folder"]
