"""What every section of a recipe stands on: strictness, and the text that its keys may hold."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

_UNWRITABLE = {"Cc", "Cs", "Cn", "Zl", "Zp"}


def check_text(text: str) -> str:
    """Refuse what no name, path or pattern needs and no YAML file keeps as it is."""
    if not text.strip():
        raise ValueError("must not be empty")
    return check_printable(text)


def check_printable(text: str) -> str:
    """Refuse what no YAML file keeps as it is; nothing at all is fine."""
    if any(unicodedata.category(letter) in _UNWRITABLE for letter in text):
        raise ValueError(f"must be one line of printable text, got {text[:40]!r}")
    return text


Text = Annotated[str, AfterValidator(check_text)]
Prefix = Annotated[str, AfterValidator(check_printable)]


class Settings(BaseModel):
    """Base of every section: unknown keys refused, no conversion of types, no change afterwards."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
