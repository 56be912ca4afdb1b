"""The options that every command has, wherever they stand: `annbench -q run x` and `annbench run x -q`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from annbench.cli.terminal import WISHES, Color
from annbench.errors import UsageError

SHARED = {"quiet": bool, "verbose": bool, "color": Color}  # by name


def _quiet(asked: bool) -> None:
    WISHES.quiet = WISHES.quiet or asked
    _check()


def _verbose(asked: bool) -> None:
    WISHES.verbose = WISHES.verbose or asked
    _check()


def _color(when: Color | None) -> None:
    if when is not None:
        WISHES.color = when


def _check() -> None:
    if WISHES.quiet and WISHES.verbose:
        raise UsageError("--quiet and --verbose contradict each other", remedy="give one of them")


# Eager: what they say holds for the errors of the other options too.
def _every_command(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only results and errors.", is_eager=True, callback=_quiet)
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say more on stderr.", is_eager=True, callback=_verbose)
    ] = False,
    color: Annotated[
        Color | None,
        typer.Option("--color", help="Default: auto, as the terminal can.", is_eager=True, callback=_color),
    ] = None,
) -> None:
    pass


def add_to(root: Any) -> None:
    """Give `root` and all commands below it the shared options, before --help."""
    if getattr(root, "annbench_shared", False):
        return
    root.annbench_shared = True
    apps = typer.Typer(add_completion=False)
    apps.command()(_every_command)
    options = [option for option in typer.main.get_command(apps).params if option.name != "help"]
    for option in options:
        option.expose_value = False
    for _, command in walk(root):
        command.rich_markup_mode = None
        taken = {name for option in command.params for name in option.opts}
        command.params += [option for option in options if not taken & set(option.opts)]


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """`command` and everything below it, each with the words that call it."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*path, name))
