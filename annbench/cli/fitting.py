"""Tables on narrow terminals: what cannot be shown side by side is shown one below the other."""

from __future__ import annotations

from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

# A column whose text may be folded is still readable at this width, if it does not say another.
_FOLDED_WIDTH = 18


def fitting(thing: Any) -> Any:
    """`thing`, with every table in it replaced by one that becomes a list where it does not fit."""
    if isinstance(thing, Table):
        return _Fitting(thing)
    if isinstance(thing, Group):
        return Group(*(fitting(part) for part in thing.renderables))
    return thing


class _Fitting:
    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if _needed_width(self.table, console, options) <= options.max_width:
            yield self.table
        else:
            yield from _as_list(self.table)


def _needed_width(table: Table, console: Console, options: ConsoleOptions) -> int:
    unbounded = options.update(width=10_000)
    edges = len(table.columns) + 1 if table.box else 0
    # The private method is the only one that knows what paddings and their collapsing come to.
    padding = sum(table._get_padding_width(index) for index in range(len(table.columns)))
    return edges + padding + sum(_needed_by(column, console, unbounded) for column in table.columns)


def _needed_by(column: Column, console: Console, options: ConsoleOptions) -> int:
    cells = [column.header, *column.cells]
    widest = max((Measurement.get(console, options, cell).maximum for cell in cells), default=0)
    if column.no_wrap:
        return widest
    return min(widest, column.min_width or _FOLDED_WIDTH)


def _as_list(table: Table) -> RenderResult:
    """A block a row: its first cell, and below it the others with their headings."""
    if table.title:
        yield _text(table.title, "bold")
    headings = [_text(column.header, "dim") for column in table.columns]
    for first, *others in zip(*(column.cells for column in table.columns), strict=False):
        if _said(first):
            yield first
        named = [
            Text(" ").join([heading, _text(cell)]) if heading.plain else _text(cell)
            for heading, cell in zip(headings[1:], others, strict=False)
            if _said(cell)
        ]
        if named:
            yield Padding(Text(", ").join(named), (0, 0, 0, 2), expand=False)
    if table.caption:
        yield _text(table.caption, "dim")


def _text(cell: RenderableType, style: str = "") -> Text:
    if isinstance(cell, Text):
        return cell.copy()
    return Text.from_markup(str(cell), style=style)


def _said(cell: RenderableType) -> bool:
    return bool(_text(cell).plain.strip())
