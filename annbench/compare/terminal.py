"""A comparison as rich tables: made for 100 columns, still readable at 80."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from annbench.compare.result import Cell, Comparison
from annbench.compare.times import TAKEN_APART
from annbench.compare.wording import (
    both_text,
    change_text,
    headline,
    metric_text,
    parameter_cells,
    recall_rows,
    sides,
    tally,
    value_text,
)

_STYLES = {
    "regression": "bold red",
    "inconclusive": "yellow",
    "not reached": "dim",
    "not comparable": "dim",
    "improvement": "green",
    "pass": "green",
    "shown": "dim",
}


def comparison_view(comparison: Comparison, *, everything: bool = False) -> Group:
    """The tables; cells of the same parameters that passed are counted and not listed, unless `everything`."""
    return Group(*_parts(comparison, everything))


def _parts(comparison: Comparison, everything: bool) -> Iterator[RenderableType]:
    yield Text(sides(comparison), style="bold")
    titles = list(dict.fromkeys((row.series, row.setting) for row in recall_rows(comparison.cells)))
    for series, setting in titles:
        yield Text()
        yield Text(f"{series} at equal recall: {setting}", style="bold")
        yield _recall_table(comparison, series, setting)
    cells = parameter_cells(comparison.cells)
    listed = cells if everything else [cell for cell in cells if not _is_quiet(cell)]
    for series, setting in dict.fromkeys((cell.series, cell.setting) for cell in listed):
        yield Text()
        yield Text(f"{series} with the same parameters: {setting}", style="bold")
        yield _parameter_table([cell for cell in listed if (cell.series, cell.setting) == (series, setting)])
    yield Text()
    for note in comparison.notes:
        yield Text(f"note: {note}", style="dim")
    if len(listed) < len(cells):
        quiet = [cell for cell in cells if _is_quiet(cell)]
        apart = sum(cell.reason == TAKEN_APART for cell in quiet)
        passed = f"{len(quiet) - apart} cells of the same parameters passed"
        said = passed + (f", {apart} of time were taken apart" if apart else "")
        yield Text(f"{said}: --all lists them", style="dim")
    style = {"regression": "bold red", "fine": "bold green"}.get(comparison.outcome, "bold yellow")
    yield Text.assemble((headline(comparison), style), f" · {tally(comparison)}")


def _recall_table(comparison: Comparison, series: str, setting: str) -> Table:
    table = _table()
    table.add_column("recall", no_wrap=True)
    for name in ("QPS", "change"):
        table.add_column(name, justify="right", no_wrap=name == "QPS")
    rows = [row for row in recall_rows(comparison.cells) if (row.series, row.setting) == (series, setting)]
    singly = any("p99" in row.cells for row in rows)
    if singly:
        table.add_column("p99 (µs)", justify="right")
    for name in ("bytes/vec", "build (s)"):
        table.add_column(name, justify="right")
    table.add_column("verdict", overflow="fold", ratio=1)
    for row in rows:
        throughput = row.cells.get("qps")
        table.add_row(
            row.subject.removeprefix("recall "),
            both_text(throughput),
            "" if throughput is None else change_text(throughput).replace(" [", "\n["),
            *([both_text(row.cells.get("p99"))] if singly else []),
            both_text(row.cells.get("bytes")),
            both_text(row.cells.get("build_seconds")),
            _verdict(row.verdict),
        )
    return table


def _parameter_table(cells: list[Cell]) -> Table:
    table = _table()
    table.add_column("what", no_wrap=True)
    table.add_column("configuration", overflow="fold", ratio=2)
    for name in ("base", "new", "change"):
        table.add_column(name, justify="right", no_wrap=name != "change")
    table.add_column("verdict", overflow="fold", ratio=2)
    for cell in cells:
        table.add_row(
            metric_text(cell),
            Text(cell.subject),
            value_text(cell, cell.base),
            value_text(cell, cell.new),
            change_text(cell),
            _verdict(cell),
        )
    return table


def _is_quiet(cell: Cell) -> bool:
    """What need not be read: it passed, or was taken apart, which one note says for all."""
    return cell.verdict in ("pass", "shown") or cell.reason == TAKEN_APART


def _verdict(cell: Cell) -> Text:
    text = Text(cell.verdict, style=_STYLES[cell.verdict])
    rest = cell.verdict_text[len(cell.verdict) :]
    if not cell.gates and cell.verdict == "regression":
        rest += " (not gated)"
    return text.append(rest, style="default")


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
