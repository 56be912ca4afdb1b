"""Figures and verdicts of a comparison as text: the same in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, log10

from annbench.compare.result import ORDER, Cell, Comparison, Figure, Metric

NOTHING = "–"
_PLURALS = {"pass": "passed", "regression": "regressions", "improvement": "improvements", "shown": "shown only"}


@dataclass(frozen=True)
class RecallRow:
    """Everything about two series at one recall: the cells that share a row."""

    setting: str
    series: str
    target: float
    subject: str
    cells: dict[Metric, Cell]

    @property
    def verdict(self) -> Cell:
        """The worst of the row's cells that gate: throughput where none is worse."""
        order = {metric: i for i, metric in enumerate(("qps", "p99", "bytes", "build_seconds"))}
        ranked = sorted(self.cells.values(), key=lambda c: (not c.gates, ORDER.index(c.verdict), order[c.metric]))
        return ranked[0]


def recall_rows(cells: Iterable[Cell]) -> list[RecallRow]:
    """The cells at equal recall as rows, by setting, series and target."""
    rows: dict[tuple[str, str, float, str], dict[Metric, Cell]] = {}
    for cell in cells:
        if cell.scope == "recall" and cell.target is not None:
            rows.setdefault((cell.setting, cell.series, cell.target, cell.subject), {})[cell.metric] = cell
    return [RecallRow(*key, found) for key, found in sorted(rows.items(), key=lambda item: item[0])]


def parameter_cells(cells: Iterable[Cell]) -> list[Cell]:
    """The cells of the same parameters, worst first as they come."""
    return [cell for cell in cells if cell.scope != "recall"]


def headline(comparison: Comparison) -> str:
    """One sentence: what came out."""
    bad = [cell for cell in comparison.cells if cell.gates and cell.verdict == "regression"]
    if comparison.outcome == "regression":
        return f"{len(bad)} {'regression' if len(bad) == 1 else 'regressions'}"
    if comparison.outcome == "nothing comparable":
        return "nothing comparable"
    return "no regression"


def tally(comparison: Comparison) -> str:
    """`31 cells: 1 regression, 28 passed, 2 not comparable`; what is only shown is not counted."""
    counts = [(verdict, comparison.count(verdict)) for verdict in ORDER if verdict != "shown"]
    parts = [
        f"{n} {_PLURALS.get(verdict, verdict) if n > 1 or verdict == 'pass' else verdict}" for verdict, n in counts if n
    ]
    total = sum(n for _, n in counts)
    return f"{total} cell{'s' * (total != 1)}" + (f": {', '.join(parts)}" if parts else "")


def sides(comparison: Comparison) -> str:
    """What changed between the sides: their names, and the versions that differ."""
    base, new = comparison.base, comparison.new
    changed = [
        f"{name} {'/'.join(base.versions.get(name, ['none']))} → {'/'.join(new.versions.get(name, ['none']))}"
        for name in sorted(base.versions.keys() | new.versions.keys())
        if base.versions.get(name) != new.versions.get(name)
    ]
    return ", ".join([f"{base.name} → {new.name}", *changed])


def metric_text(cell: Cell) -> str:
    """What the cell is about."""
    names: dict[Metric, str] = {
        "qps": "QPS",
        "p99": "p99 (µs)",
        "bytes": "bytes" if cell.scope == "build" else "bytes/vector",
        "build_seconds": "build (s)",
        "counter": cell.counter or "counter",
    }
    return names.get(cell.metric, cell.metric)


def value_text(cell: Cell, figure: Figure) -> str:
    """One side's figure: `≥12,300`, `0.9512`, `–`."""
    if figure.value is None:
        return NOTHING
    if cell.metric == "recall":
        return f"{figure.value:.4f}"
    if cell.metric == "counter" or (cell.metric == "bytes" and cell.scope == "build"):
        return f"{figure.value:,.0f}"
    # Build seconds are shown and never compared: two digits are all that they are good for.
    return figure.mark + significant(figure.value, 2 if cell.metric == "build_seconds" else 3)


def both_text(cell: Cell | None) -> str:
    """`101 → 104`, or the figure alone if both sides show the same."""
    if cell is None:
        return NOTHING
    one, other = value_text(cell, cell.base), value_text(cell, cell.new)
    return one if one == other else f"{one} → {other}"


def change_text(cell: Cell) -> str:
    """`−4.8 % [−6.1, −3.2]`, `−0.0031`, or nothing."""
    if cell.change is None:
        return ""
    if cell.metric == "recall":
        return signed(cell.change, 4)
    text = f"{signed(100 * cell.change, 1 if abs(cell.change) >= 0.001 or cell.change == 0 else 2)} %"
    if cell.evidence is None:
        return text
    ends = [cell.evidence.low, cell.evidence.high]
    if cell.metric == "qps":
        ends = [1 / (1 + end) - 1 for end in reversed(ends)]
    return f"{text} [{signed(100 * ends[0], 1)}, {signed(100 * ends[1], 1)}]"


def significant(value: float, digits: int = 3) -> str:
    """`value` to `digits` digits, without exponent: 12,300 · 4.57 · 0.0312."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    return f"{rounded:,.{max(digits - 1 - floor(log10(abs(rounded))), 0)}f}"


def signed(value: float, decimals: int) -> str:
    """With its sign, a true minus; nothing in front of zero."""
    text = f"{abs(value):.{decimals}f}"
    if float(text) == 0:
        return text
    return ("−" if value < 0 else "+") + text
