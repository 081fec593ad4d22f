"""Stages that timm's own description does not give, found by reading each architecture's `forward`.

Regular expressions over names for stem, stage1, stage2 and stage3; what none matches is stage4. An
architecture stands here if its `feature_info` names no module of it (HRNet, MViTv2, Twins), the
first module of a level and not the last (GhostNet), or the input of the next one (NASNet, Xception);
or if its modules do not stand in the order of computation (CoaT, CrossViT, Twins), or bare
parameters belong to a later stage (CoaT, Visformer).
"""

_GHOST_LEVELS = (r"conv_stem\b|bn1\b|act1\b", r"blocks\.[0-2]\b", r"blocks\.[34]\b", r"blocks\.[56]\b")

KNOWN_LEVELS = {
    "CoaT": (
        r"(cls_token|patch_embed|cpe|crpe)1\b",
        r"serial_blocks1\b",
        r"(cls_token|patch_embed|cpe|crpe|serial_blocks)2\b",
        r"(cls_token|patch_embed|cpe|crpe|serial_blocks)3\b",
    ),
    "CrossVit": (r"cls_token|pos_embed|patch_embed|pos_drop", r"blocks\.0\b", r"blocks\.1\b", r"blocks\.2\.blocks\b"),
    "GhostNet": _GHOST_LEVELS,
    "HighResolutionNet": (
        r"(conv|bn|act)[12]\b",
        r"layer1\b",
        r"(transition1|stage2)\b",
        r"(transition2|stage3)\b",
    ),
    "InceptionV4": (r"features\.[0-2]\b", r"features\.[34]\b", r"features\.[5-9]\b", r"features\.1[0-7]\b"),
    "MultiScaleVit": (r"cls_token|pos_embed|patch_embed", r"stages\.0\b", r"stages\.1\b", r"stages\.2\b"),
    "NASNetALarge": (
        r"conv0\b",
        r"cell_stem_0\b",
        r"(cell_stem_1|cell_[0-5])\b",
        r"(reduction_cell_0|cell_([6-9]|1[01]))\b",
    ),
    "PNASNet5Large": (r"conv_0\b", r"cell_stem_0\b", r"(cell_stem_1|cell_[0-3])\b", r"cell_[4-7]\b"),
    "RepGhostNet": _GHOST_LEVELS,
    "Twins": (
        r"patch_embeds\.0\b",
        r"(pos_drops|blocks|pos_block)\.0\b",
        r"(patch_embeds|pos_drops|blocks|pos_block)\.1\b",
        r"(patch_embeds|pos_drops|blocks|pos_block)\.2\b",
    ),
    "Visformer": (
        r"stem\b|patch_embed1\b|pos_embed1\b|pos_drop\b",
        r"stage1\.[0-3]\b",
        r"stage1\b",
        r"(patch_embed2|pos_embed2|stage2)\b",
    ),
    "Xception": (r"(conv|bn|act)[12]\b", r"block1\b", r"block2\b", r"block([3-9]|1[01])\b"),
}

KNOWN_STEMS = {"VGG": r"features\.[01]\b"}
"""Stems that `group_matcher` cuts short: VGG's first convolution without the norm that follows it."""

KNOWN_HEADS = {"EfficientViM": ("weights",), "EfficientViMDistilled": ("weights", "weights_dist")}
"""Bare parameters of a classifier: EfficientViM weighs the logits of its four heads."""
