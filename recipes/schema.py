"""What a recipe may say: every key, its meaning, its range and its default."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from recipes.evaluate import EvaluateSettings
from recipes.nearest import nearest
from recipes.policies import check_policy, check_stage
from recipes.settings import Prefix, Settings, Text, check_text
from recipes.transforms import TRANSFORMS

_WEIGHTS_WORDS = ("pretrained", "embedded", "none")


def _check_bounds(bounds: list[float]) -> list[float]:
    if not bounds[0] < bounds[1]:
        raise ValueError(f"must be two rising numbers, got {bounds[0]:g} and {bounds[1]:g}")
    return bounds


Bounds = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_check_bounds)]
Factor = Annotated[float, Field(ge=0, le=1000)]


class DataSettings(Settings):
    """Which images, and how they are parted."""

    metadata: Text | None = None
    """CSV table joined to the images on its `path` (or `file`) column."""
    group: Text | None = None
    """What stays on one side: a column, or a regular expression over the path with one capture group."""
    resplit: bool = False
    """Ignore the splits that the data bring and cut anew."""
    test_fraction: float = Field(default=0.25, gt=0, lt=1)
    """Part of the images kept for the report."""
    val_fraction: float = Field(default=0.15, ge=0, lt=1)
    """Part of the images that chooses the epoch; 0 = none, and the last epoch is kept."""
    splits: Text | None = None
    """CSV table with columns path,split (an earlier run's dataset.csv): these splits, whatever the data bring."""
    join_near_duplicates: bool = False
    """Keep pictures that are copies of each other (saved anew, resized, turned) on one side when the data are cut."""
    scaling: Literal["bits", "range", "percentiles"] = "bits"
    """16-bit and float values to 256 levels: by the bits a file declares, one range, or percentiles of train."""
    scaling_range: Bounds | None = None
    """For `scaling: range`: the values that become 0 and 255, such as [-1000, 400]."""
    scaling_percentiles: Bounds = [0.5, 99.5]
    """For `scaling: percentiles`: those of the training images that become 0 and 255."""
    bits_stored: int | None = Field(default=None, ge=9, le=16)
    """For `scaling: bits`: so many bits count, such as 12 in 16-bit files that do not say so; null = as declared."""
    allow: list[Text] = []
    """Error findings, by name, over which the run goes on."""
    strict: bool = False
    """Stop on any unreadable image instead of leaving it out."""
    workers: int | None = Field(default=None, ge=0, le=256)
    """Processes that decode images; null = as many as help. No part of a run's record."""

    @model_validator(mode="after")
    def _check_scaling(self) -> Self:
        if (self.scaling == "range") != (self.scaling_range is not None):
            raise ValueError("`scaling: range` and `scaling_range: [low, high]` go together; neither stands alone")
        low, high = self.scaling_percentiles
        if low < 0 or high > 100:
            raise ValueError(f"scaling_percentiles must lie within 0 and 100, got {low:g} and {high:g}")
        return self

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> Self:
        if self.test_fraction + self.val_fraction >= 1:
            raise ValueError(
                "test_fraction and val_fraction must leave a part to train on, "
                f"got {self.test_fraction:g} + {self.val_fraction:g}"
            )
        return self


class ModelSettings(Settings):
    """The backbone and the weights it starts from."""

    name: Text = "resnet50"
    """Any timm model."""
    weights: Text = "pretrained"
    """`pretrained` (timm's default), `embedded` (the demo extra), `none`, or a weights file."""
    key_map: dict[Prefix, Prefix] = {}
    """Of a weights file: how its keys begin, and how they shall begin instead, such as {"trunk.": ""}."""
    channels: Literal[1, 3] = 3
    """Channels of the network's input; 1: grey, weights for colours are summed in the first convolution."""
    image_size: int | None = Field(default=None, ge=16, le=2048)
    """Height and width in pixels; null = what the weights were trained with."""
    output_stride: Literal[8, 16, 32] | None = None
    """Image pixels to a position of the last map; what steps no more is dilated; null = as the network has it."""
    stem: Literal["standard", "small"] = "standard"
    """small: ResNets begin with a 3x3 convolution of stride 1 and pool nothing, for images of some 32 pixels."""

    @model_validator(mode="after")
    def _check_key_map(self) -> Self:
        if self.key_map and self.weights in _WEIGHTS_WORDS:
            raise ValueError(f"key_map renames the keys of a weights file, but weights is {self.weights!r}")
        return self


def _check_wish(policy: object, *, may_be_scheduled: bool) -> object:
    """Refuse what is no policy; YAML's numbers in a list of patterns are told from text."""
    words = [word for word in (policy if isinstance(policy, list) else [policy]) if isinstance(word, str)]
    if len(words) != (len(policy) if isinstance(policy, list) else 1):
        raise ValueError("must be a policy name, or a list of stages and patterns; patterns are text, in quotes")
    for word in words:
        check_text(word)
    check_policy(words if isinstance(policy, list) else words[0], may_be_scheduled=may_be_scheduled)
    return policy


class PhaseSettings(Settings):
    """One policy from one epoch on."""

    policy: str | list[str]
    """A policy by name, or stages and globs to freeze."""
    first_epoch: int = Field(ge=1, le=100_000)
    """The epoch, counted from 1, in which the phase begins."""
    rate_factor: float = Field(default=1.0, gt=0, le=1000)
    """The peak learning rate of the phase, as a multiple of `train.learning_rate`."""

    @field_validator("policy", mode="before")
    @classmethod
    def _check_policy(cls, policy: object) -> object:
        return _check_wish(policy, may_be_scheduled=False)


class FreezeSettings(Settings):
    """What stays as it is."""

    policy: str | list[str] = "first-three"
    """A policy by name, or stages (stem, stage1 .. stage4) and globs over parameter names to freeze."""
    phases: list[PhaseSettings] = []
    """For `policy: phases`: policies that follow each other."""
    norm: Literal["frozen", "adapt", "train"] = "frozen"
    """Statistics of the frozen BatchNorm layers: as loaded, of the training images once, or moving."""
    tail_norm: Literal["auto", "fixed", "batch"] = "auto"
    """Statistics of the BatchNorm layers that learn: fixed, of the batch, or by the starting weights."""

    @field_validator("policy", mode="before")
    @classmethod
    def _check_policy(cls, policy: object) -> object:
        return _check_wish(policy, may_be_scheduled=True)

    @model_validator(mode="after")
    def _check_phases(self) -> Self:
        if (self.policy == "phases") != bool(self.phases):
            raise ValueError("`policy: phases` and a list of `phases` go together; neither stands alone")
        starts = [phase.first_epoch for phase in self.phases]
        if starts and (starts[0] != 1 or sorted(set(starts)) != starts):
            raise ValueError(f"phases must begin at first_epoch 1 and rise, got {starts}")
        return self


class TransformSettings(Settings):
    """One transform of albumentations: its name, and its parameters as albumentations calls them."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    name: Text
    """Its class, such as GaussNoise."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name not in TRANSFORMS:
            near = nearest(name, sorted(TRANSFORMS), cutoff=0.0)
            raise ValueError(f"{name!r} is no transform of albumentations; did you mean {near!r}?")
        return name


class AugmentSettings(Settings):
    """How training images are varied."""

    preset: Literal["none", "light", "standard", "residual-guide", "xray", "microscopy", "dermoscopy"] = "standard"
    """none: as evaluated; light: mild crops, mirrored; standard: stronger, and colours; others: see docs/data.md."""
    transforms: list[TransformSettings] = []
    """Transforms of albumentations after the preset's, by name, such as [{name: Blur, blur_limit: 3, p: 0.2}]."""
    views: int = Field(default=4, ge=1, le=64)
    """Views kept of each training image: the one of evaluation, and seeded variants."""


class TrainSettings(Settings):
    """How the tail learns."""

    epochs: int = Field(default=10, ge=1, le=100_000)
    """Passes over the training images, at most."""
    batch_size: int = Field(default=8, ge=1, le=65_536)
    """Images in one gradient step."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """adamw, or sgd: plain gradient steps with momentum, which take much higher rates."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """For `optimizer: sgd`: the share of the last step that goes on in the next."""
    learning_rate: float = Field(default=6e-4, gt=0, le=10)
    """Peak of the schedule (linear warm-up, then cosine to a hundredth of it)."""
    anneal: Literal["step", "epoch"] = "step"
    """step: the rate changes with every step; epoch: constant within an epoch, as torch's CosineAnnealingLR."""
    head_factor: float | None = Field(default=None, gt=0, le=1000)
    """How many times faster the new head learns than the pretrained layers; null = 1 if solved first, 10 if drawn."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Learning rate of each stage against the next one towards the head: 1 for stage4, then this, its square, ..."""
    stage_factors: dict[str, Factor] = {}
    """Further factors on the learning rate of single stages, such as {stage4: 0.5}."""
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    """Decay of weights: in adamw beside the gradient, in sgd a part of it."""
    decay_norm: bool = False
    """Decay norm and bias parameters too."""
    warmup_epochs: float = Field(default=1.0, ge=0, le=1000)
    """Epochs over which the learning rate rises; whole ones with `anneal: epoch`."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of the target spread over all classes."""
    class_balance: Literal["none", "loss"] = "loss"
    """loss: rare classes weigh as much as frequent ones, as they do in a head that is solved first."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest norm of a step's gradient over all that learns; null = no limit."""
    average_decay: float | None = Field(default=0.97, gt=0, lt=1)
    """Decay per step of a running average of the weights, which is then what is judged and saved; null = none."""
    precision: Literal["auto", "bf16", "fp16", "fp32", "fp64"] = "auto"
    """Arithmetic on training views; auto: bf16 where a CPU has it. Scores: fp32. fp64: all, slowly, for proofs."""
    patience: int | None = Field(default=4, ge=1, le=100_000)
    """Epochs of the last phase without a better validation result before training stops; null = never."""
    device: Text = "auto"
    """auto, cpu, cuda or mps. No part of a run's record."""

    @field_validator("stage_factors")
    @classmethod
    def _check_stages(cls, factors: dict[str, float]) -> dict[str, float]:
        for stage in factors:
            check_stage(stage)
        return factors

    @model_validator(mode="after")
    def _warm_up_in_whole_epochs(self) -> Self:
        if self.anneal == "epoch" and self.warmup_epochs % 1:
            raise ValueError(f"warmup_epochs must be a whole number with `anneal: epoch`, got {self.warmup_epochs:g}")
        return self


class HeadSettings(Settings):
    """The new classifier."""

    kind: Literal["linear", "multi-stage", "auto"] = "linear"
    """linear: timm's own; multi-stage: on all stages, not loadable by timm; auto: the better on inner folds."""
    start: Literal["auto", "solved", "drawn"] = "auto"
    """solved: a logistic regression on pretrained features; drawn: at random; auto: solved, and final if alone."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the pooled features dropped in each training step."""


class CacheSettings(Settings):
    """What is kept of the trunk's outputs."""

    mode: Literal["auto", "stored", "fresh", "whole"] = "auto"
    """stored: views on disk; fresh: trunk run every epoch on new views; whole: no trunk; auto: by the budget."""
    dtype: Literal["auto", "fp16", "fp32"] = "auto"
    """Precision of stored training views; auto: fp16, fp32 if too small. Evaluation: fp32. All fp64 if trained so."""
    budget_gb: float | None = Field(default=None, gt=0)
    """Disk that one run's features may take; null = by the free space."""


class Recipe(Settings):
    """Everything that shapes a run but the images themselves."""

    task: Literal["multiclass"] = "multiclass"
    """One label for each image."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seed of everything random."""
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    freeze: FreezeSettings = FreezeSettings()
    augment: AugmentSettings = AugmentSettings()
    train: TrainSettings = TrainSettings()
    head: HeadSettings = HeadSettings()
    cache: CacheSettings = CacheSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @model_validator(mode="after")
    def _let_every_phase_begin(self) -> Self:
        needed = 3 if self.freeze.policy == "gradual" else max((p.first_epoch for p in self.freeze.phases), default=1)
        if self.train.epochs < needed:
            raise ValueError(f"train.epochs: {self.train.epochs} epochs end before the last phase; needs {needed}")
        return self

    @model_validator(mode="after")
    def _store_what_is_computed(self) -> Self:
        if self.train.precision == "fp64" and self.cache.dtype != "auto":
            raise ValueError(f"cache.dtype: must be auto with `train.precision: fp64`, got {self.cache.dtype!r}")
        return self
