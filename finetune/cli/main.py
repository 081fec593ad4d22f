"""`finetune`: the group of commands, each imported only when it is called."""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import click

_COMMANDS = {
    "run": ("finetune.cli.run", "Train on a folder of images and report per class."),
    "demo": ("finetune.cli.demo", "The main job on embedded real data and weights; no network."),
    "audit": ("finetune.cli.audit", "Look over the data: broken files, leaks, duplicates, shortcuts."),
    "plan": ("finetune.cli.plan", "Show what of a model would be frozen, where it is cut, and what a run would cost."),
    "cv": ("finetune.cli.cv", "Cross-validation by group: every image is judged by a model that had not seen it."),
    "compare": ("finetune.cli.compare", "Policies, recipes or backbones side by side; the test part is left alone."),
    "evaluate": ("finetune.cli.evaluate", "Judge a run's network on labelled images from elsewhere."),
    "report": ("finetune.cli.report", "Rebuild every report file from a predictions table."),
    "cache": ("finetune.cli.cache", "List and clean what is kept on disk between runs."),
    "recipes": ("finetune.cli.recipes", "List, show, copy and check recipes."),
}
_SHARED = {"run"}
"""Commands whose work several processes can share."""
BUG_EXIT, INPUT_EXIT, ENVIRONMENT_EXIT, INTERRUPT_EXIT = 1, 2, 4, 130


class LazyGroup(click.Group):
    """A click group that knows its commands by name and line, and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command's click object, from its own module."""
        if cmd_name not in _COMMANDS:
            return None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and cmd_name not in _SHARED:
            raise click.UsageError(
                f"torchrun shares the work of `finetune run` alone; call `finetune {cmd_name}` without it."
            )
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("tailtune"), prog_name="finetune")
def finetune() -> None:
    """Transfer learning for small image sets: the frozen part runs once and is proven frozen."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every expected error is one line on stderr and an exit code."""
    sys.exit(_exit_code(list(arguments) if arguments is not None else None))


def _exit_code(arguments: list[str] | None) -> int:
    try:
        result: Any = finetune.main(args=arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except click.ClickException as error:
        error.show()
        return INPUT_EXIT
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("Interrupted. Features already stored are kept and will be used by the next run.", err=True)
        return INTERRUPT_EXIT
    except Exception as error:
        code = _expected_exit_code(error)
        if code is None:
            raise
        click.echo(f"{type(error).__name__}: {error}", err=True)
        return code


def _expected_exit_code(error: Exception) -> int | None:
    """The exit code of an error that a user can act on; None for a bug of ours."""
    from data_tools.errors import DataError
    from finetune.errors import TailtuneError
    from recipes.errors import RecipeError

    if isinstance(error, TailtuneError):
        return error.exit_code
    return INPUT_EXIT if isinstance(error, (DataError, RecipeError)) else None
