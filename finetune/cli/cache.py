"""`finetune cache`: list and clean what is kept on disk between runs."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from finetune.cache import CacheFolder, Entry, default_cache_folder
from finetune.errors import InputError

_KEY_SHOWN = 12
_DAY_SECONDS = 86400


@click.group("cache")
def command() -> None:
    """List and clean stored features and decoded pixels, kept in $TAILTUNE_CACHE or the user's cache folder."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_command(as_json: bool) -> None:
    """What is kept, how large it is, when it was last used and whether it is in use now."""
    cache = CacheFolder(default_cache_folder())
    entries, budget = cache.entries(), cache.budget()
    total = sum(entry.bytes for entry in entries)
    if as_json:
        rows = [_as_json(entry) for entry in entries]
        content = {"folder": str(cache.root), "entries": rows, "total_bytes": total, "budget_bytes": budget}
        json.dump(content, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return

    from finetune.cli.plan_display import open_console, plain_table

    console = open_console()
    if entries:
        table = plain_table(console, "", ("kind", "key", "what it is"), ("size", "last used", "state"))
        for entry in entries:
            used = datetime.fromtimestamp(entry.last_used).strftime("%Y-%m-%d %H:%M")
            what = escape(entry.description)
            table.add_row(entry.kind, entry.key[:_KEY_SHOWN], what, _size(entry.bytes), used, _state(entry))
        console.print(table)
    line = f"{cache.root}: {_count(entries)}, {_size(total)} of a budget of {_size(budget)}."
    console.print(line, markup=False, highlight=False, soft_wrap=True)


@command.command("clean")
@click.option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="What was not used for so long.")
@click.option("--key", metavar="PREFIX", help="The entries whose key begins so.")
@click.option("--all", "is_all", is_flag=True, help="Everything.")
def clean_command(older_than: float | None, key: str | None, is_all: bool) -> None:
    """Remove what no run can read: what was begun and not ended, and what earlier versions left.

    With an option remove that instead; with two, what fits both. What a running process uses stays.
    """
    if is_all and (older_than is not None or key is not None):
        raise click.UsageError("--all removes everything; leave --older-than and --key out, or --all.")
    if key == "":
        raise click.BadOptionUsage("key", "--key is empty, which would fit every entry; --all removes everything.")
    cache = CacheFolder(default_cache_folder())
    cleaning = cache.clean(_choice(older_than, key, is_all))
    if key is not None and older_than is None and not (cleaning.removed or cleaning.kept):
        raise InputError(f"No entry in {cache.root} has a key that begins with {key!r}; see: finetune cache list")
    console = Console(soft_wrap=True)
    lines = [f"removed {_name(entry)}, {_size(entry.bytes)}" for entry in cleaning.removed]
    lines += [f"kept    {_name(entry)}: in use by a running process" for entry in cleaning.kept]
    lines.append(f"{_count(cleaning.removed)} removed, {_size(sum(entry.bytes for entry in cleaning.removed))} freed.")
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _choice(older_than: float | None, key: str | None, is_all: bool) -> Callable[[Entry], bool]:
    """Whether an entry is to go."""
    if is_all:
        return lambda entry: True
    if older_than is None and key is None:
        return lambda entry: not entry.is_whole
    latest = time.time() - _DAY_SECONDS * (older_than or 0)
    return lambda entry: entry.last_used <= latest and entry.key.startswith(key or "")


def _as_json(entry: Entry) -> dict[str, Any]:
    used = datetime.fromtimestamp(entry.last_used, UTC).isoformat(timespec="seconds")
    return {**asdict(entry), "last_used": used, "folder": str(entry.folder)}


def _name(entry: Entry) -> str:
    return f"{entry.kind} {entry.key[:_KEY_SHOWN]} ({entry.description})"


def _state(entry: Entry) -> str:
    if entry.in_use:
        return "in use"
    return "" if entry.is_whole else "not whole"


def _count(entries: Sequence[Entry]) -> str:
    return f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"


def _size(count: int) -> str:
    """Bytes in the unit that people read."""
    for limit, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count} bytes"
