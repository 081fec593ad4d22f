"""What the report shall judge: how sure, at which costs and class shares, by which groups."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from recipes.settings import Settings, Text

_OWN_COLUMNS = ("path", "label", "split", "predicted", "fold", "repeat")
_SUM_TOLERANCE = 0.01
Target = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Cost = Annotated[float, Field(ge=0, le=1_000_000)]


class EvaluateSettings(Settings):
    """How sure the report must be, and which decisions it shall judge."""

    confidence: float = Field(default=0.95, ge=0.5, le=0.999)
    """Coverage of every interval."""
    target_sensitivity: dict[Text, Target] = {}
    """For each class named, the share of its images to be found; a threshold is chosen on val, such as {ill: 0.95}."""
    target_specificity: dict[Text, Target] = {}
    """For each class named, the share of all other images not to be called so; a threshold is chosen on val."""
    cost: dict[Text, dict[Text, Cost]] = {}
    """What an answer costs, as {TRUE: {ANSWER: cost}}; what is not named costs 0 where it is right, else 1."""
    prevalence: dict[Text, Share] = {}
    """Shares of the classes where the model will be used, adding up to 1; one class may be left out: the rest."""
    trained_prevalence: dict[Text, Share] = {}
    """Class shares that the model was trained for; empty = equal, or with `class_balance: none` those of train."""
    group_score: Literal["mean", "max", "vote"] = "mean"
    """How a group's (patient's) score of a class is made: mean or highest of its images, or their share of answers."""
    subgroups: list[Text] = []
    """Columns of manifest or metadata; each of their values gets rows of its own, such as [site, sex]."""
    ordered: bool = False
    """Classes are grades, in the order of the one number in each name; names without a number need `order`."""
    order: list[Text] = []
    """The grades from least to most, every class once; says `ordered` too."""

    @field_validator("subgroups")
    @classmethod
    def _check_columns(cls, columns: list[str]) -> list[str]:
        for column in columns:
            if column in _OWN_COLUMNS or column.startswith("score_"):
                raise ValueError(f"{column!r} is a column of predictions.csv itself and parts no subgroups; rename it")
        if twice := [column for place, column in enumerate(columns) if column in columns[:place]]:
            raise ValueError(f"names {twice[0]!r} twice")
        return columns

    @field_validator("order")
    @classmethod
    def _check_order(cls, order: list[str]) -> list[str]:
        if twice := [name for place, name in enumerate(order) if name in order[:place]]:
            raise ValueError(f"names {twice[0]!r} twice")
        if len(order) == 1:
            raise ValueError("needs two grades or more")
        return order

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        for name in ("prevalence", "trained_prevalence"):
            shares = getattr(self, name)
            total = sum(shares.values())
            if total > 1 + _SUM_TOLERANCE:
                raise ValueError(f"the shares of {name} add up to {total:g}; shares of all classes add up to 1")
        return self
