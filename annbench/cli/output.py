"""Printing: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import IO, Any, TextIO, cast

from rich.console import Console
from rich.table import Table

from annbench.cli.fitting import fitting
from annbench.cli.terminal import Plain, colored, moving, silence, speaks_unicode, writing


class _Output(Console):
    """A console that obeys --color, spells what an encoding lacks, and lays tables out so that they fit."""

    def __init__(self, stream: TextIO, *, is_stderr: bool) -> None:
        color = colored(stream)
        self._is_stderr = is_stderr
        super().__init__(
            file=cast(IO[str], stream if speaks_unicode(stream) else Plain(stream)),
            force_terminal=moving(stream),
            color_system=_palette() if color else None,
            no_color=not color,
            highlight=False,
            soft_wrap=False,
        )

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich prints, with tables that are too wide for the terminal shown as lists."""
        with writing():
            super().print(*(fitting(thing) for thing in objects), **options)

    def on_broken_pipe(self) -> None:
        """The reader has left, as `| head` does: nobody reads results any more, but a run goes on without remarks."""
        if not self._is_stderr:
            raise BrokenPipeError
        silence(sys.stderr)


def stdout() -> Console:
    """Where results go."""
    return _Output(sys.stdout, is_stderr=False)


def stderr() -> Console:
    """Where progress and remarks go."""
    return _Output(sys.stderr, is_stderr=True)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    with writing():
        json.dump(value, sys.stdout, indent=2, default=str, ensure_ascii=not speaks_unicode(sys.stdout))
        sys.stdout.write("\n")


def print_mapping(facts: Mapping[str, Any]) -> None:
    """A nested mapping as a table of two columns."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _flat(facts, ""):
        table.add_row(name, value)
    stdout().print(table)


def _flat(value: Any, prefix: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [row for key, item in value.items() for row in _flat(item, f"{prefix}.{key}" if prefix else str(key))]
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [row for i, item in enumerate(value) for row in _flat(item, f"{prefix}[{i}]")]
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return [(prefix, "not available" if value is None else text)]


def bytes_text(count: float | None) -> str:
    """`1.5 GiB`."""
    if count is None:
        return "–"
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError


def seconds_text(seconds: float) -> str:
    """`45 s`, `3.5 min` or `2.1 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _palette() -> Any:
    """What the terminal says of its colours; sixteen where it says nothing but was told to show some."""
    if os.environ.get("COLORTERM", "") in ("truecolor", "24bit"):
        return "truecolor"
    return "256" if os.environ.get("TERM", "").endswith("-256color") else "standard"
