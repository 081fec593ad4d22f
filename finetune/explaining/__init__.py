"""Which part of an image speaks for a class: heat maps from the last stage of a network, drawn over the image."""

from finetune.explaining.grad_cam import class_map, explain_image
from finetune.explaining.overlays import overlay
from finetune.explaining.pictures import Explain, explain_saved, explain_with

__all__ = ["Explain", "class_map", "explain_image", "explain_saved", "explain_with", "overlay"]
