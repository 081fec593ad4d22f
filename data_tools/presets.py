"""The augmentation presets: which albumentations transforms, with which numbers, and why.

Each begins with a random crop, resized to what the network takes. What is left out matters as much: a
transform that changes what a label depends on teaches the wrong thing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NONE = "none"
"""The view of evaluation, without chance."""


@dataclass(frozen=True)
class Step:
    """One transform of albumentations, by name."""

    name: str
    parameters: Mapping[str, Any]
    reason: str


@dataclass(frozen=True)
class Preset:
    """Seeded variations of training images."""

    scale: tuple[float, float]
    """Share of the picture's area that a crop holds."""
    shrink_to: float
    """Pictures are shrunk, antialiased, to this many times the network's size before any crop; see geometry.py."""
    crop_reason: str
    steps: tuple[Step, ...]
    """After the crop, in this order."""


_MIRROR = Step("HorizontalFlip", {"p": 0.5}, "left and right are alike in photographs of things")
_LAY = Step("D4", {"p": 1.0}, "there is no up and no down: all eight ways to lay the picture are as likely")

PRESETS: Mapping[str, Preset] = {
    "light": Preset((0.7, 1.0), 1.6, "an object may be somewhat nearer or off the middle", (_MIRROR,)),
    "standard": Preset(
        (0.4, 1.0),
        1.8,
        "an object may be nearer, off the middle or partly seen",
        (
            _MIRROR,
            Step(
                "ColorJitter",
                {"brightness": (0.8, 1.2), "contrast": (0.8, 1.2), "saturation": (0.8, 1.2), "hue": (-0.02, 0.02)}
                | {"p": 0.8},
                "light and cameras differ, colours little",
            ),
        ),
    ),
    "residual-guide": Preset(
        (0.08, 1.0),
        3.6,
        "the guide's RandomResizedCrop, with torchvision's defaults",
        (
            Step("HorizontalFlip", {"p": 0.5}, "the guide's"),
            Step(
                "ColorJitter",
                {
                    "brightness": (0.6, 1.4),
                    "contrast": (0.6, 1.4),
                    "saturation": (0.6, 1.4),
                    "hue": (0.0, 0.0),
                    "p": 1.0,
                },
                "the guide's, of strength 0.4",
            ),
            Step("ToGray", {"p": 0.1}, "the guide's: colour alone should not decide"),
        ),
    ),
    "xray": Preset(
        (0.8, 1.0),
        1.5,
        "collimation and distance vary a little; strong crops would cut off what is looked for",
        (
            Step("Rotate", {"limit": (-7, 7), "border_mode": 0, "p": 0.7}, "patients never stand quite straight"),
            Step(
                "RandomBrightnessContrast",
                {"brightness_limit": (-0.15, 0.15), "contrast_limit": (-0.2, 0.2), "p": 0.8},
                "exposure and processing differ between devices; no mirroring, since the heart lies left",
            ),
        ),
    ),
    "microscopy": Preset(
        (0.6, 1.0),
        1.6,
        "cells lie anywhere in a field; their size tells something, so crops stay mild",
        (
            _LAY,
            Step(
                "ColorJitter",
                {"brightness": (0.85, 1.15), "contrast": (0.85, 1.15), "saturation": (0.8, 1.2), "hue": (-0.03, 0.03)}
                | {"p": 0.8},
                "stains and lamps differ between slides and days",
            ),
            Step(
                "GaussianBlur", {"blur_limit": 0, "sigma_limit": (0.2, 1.2), "p": 0.15}, "focus differs across a slide"
            ),
        ),
    ),
    "dermoscopy": Preset(
        (0.6, 1.0),
        1.6,
        "a lesion fills more or less of the picture; its border must stay in sight",
        (
            _LAY,
            Step(
                "ColorJitter",
                {"brightness": (0.85, 1.15), "contrast": (0.85, 1.15), "saturation": (0.9, 1.1), "hue": (-0.01, 0.01)}
                | {"p": 0.8},
                "light differs between devices; hues are kept, since the colours of a lesion are a sign",
            ),
        ),
    ),
}
