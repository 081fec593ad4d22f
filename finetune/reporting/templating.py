"""Opens the templates so that whatever is put into one stays text."""

import base64
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from finetune.reporting import views

_TEMPLATES = Path(__file__).parent / "templates"
_MARKUP = re.compile(r"[\\`*{}\[\]<>&|~$!#@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=\S)|(?<=www)\.")
_SUMMONS = "#@"


def open_templates() -> tuple[Environment, dict[str, str]]:
    """The templates of pages, everything escaped, and what each needs for its styles: `style`, and its `style_hash`."""
    environment = _open()
    environment.autoescape = True
    return environment, inline("style", "style.html.j2")


def open_markdown_templates() -> Environment:
    """The templates of Markdown files, everything escaped that an expression prints."""
    environment = _open()
    environment.finalize = escape_markdown
    return environment


def inline(name: str, file: str) -> dict[str, str]:
    """The text of a file as `name`, and its hash as a content-security policy tells it as `<name>_hash`."""
    text = (_TEMPLATES / file).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return {name: text, f"{name}_hash": f"sha256-{digest}"}


def escape_markdown(value: object) -> str:
    """`value` as text of one line that GitHub takes for text: no markup, no link, nobody called, no issue named."""
    return _MARKUP.sub(_as_entity, " ".join(str(value).split()))


def _as_entity(found: re.Match[str]) -> str:
    # an empty comment after them keeps GitHub, which looks at the text that is shown, from seeing @name and #1
    return f"&#{ord(found[0])};" + ("<!-- -->" if found[0] in _SUMMONS else "")


def _open() -> Environment:
    loader = FileSystemLoader(_TEMPLATES, encoding="utf-8")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["whole"] = lambda number: f"{number:,}"
    environment.filters["number"] = views.format_number
    environment.filters["bar"] = views.Bar.of
    return environment
