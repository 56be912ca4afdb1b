"""A comparison as Markdown for a pull request: short, worst first, the rest folded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from annbench.compare.result import Cell, Comparison
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

SHOWN = 20
_QUIET = ("pass", "improvement", "shown")
_HEAD = ("verdict", "what", "configuration", "base", "new", "change")
_NUMERIC = frozenset({3, 4, 5})


def markdown(comparison: Comparison) -> str:
    """The whole text. What fails the comparison is in sight, everything else one click away."""
    settings = list(dict.fromkeys(cell.setting for cell in comparison.cells if cell.scope != "build"))
    where = "" if len(settings) == 1 else None  # one setting is named once, in the head
    gating = [cell for cell in comparison.cells if cell.gates]
    bad = [cell for cell in gating if cell.verdict not in _QUIET and cell.verdict != "not comparable"]
    parts = [
        f"### annbench: {headline(comparison)}",
        f"{escape(sides(comparison))}  \n"
        + (f"{escape(settings[0])}  \n" if len(settings) == 1 else "")
        + f"{tally(comparison)} · fails on `{comparison.fail_on or 'nothing'}`",
    ]
    if bad:
        parts.append(_table(_HEAD, (_row(cell, where) for cell in bad[:SHOWN]), _NUMERIC))
        if len(bad) > SHOWN:
            parts.append(f"… and {len(bad) - SHOWN} more below.")
    rows = recall_rows(comparison.cells)
    if rows:
        head = ("what", "recall", "QPS", "change", "p99 (µs)", "bytes/vector", "build (s)", "verdict")
        found = [
            (
                escape(_named(row.series, row.setting if where is None else "")),
                row.subject.removeprefix("recall "),
                both_text(row.cells.get("qps")),
                change_text(row.cells["qps"]) if "qps" in row.cells else "",
                both_text(row.cells.get("p99")),
                both_text(row.cells.get("bytes")),
                both_text(row.cells.get("build_seconds")),
                escape(row.verdict.verdict_text),
            )
            for row in rows
        ]
        parts.append(_folded("At equal recall", _table(head, found, frozenset(range(1, 7)))))
    same = parameter_cells(comparison.cells)
    if same:
        parts.append(
            _folded(
                f"With the same parameters ({len(same)})", _table(_HEAD, (_row(cell, where) for cell in same), _NUMERIC)
            )
        )
    if comparison.notes:
        parts.append(_folded("Notes", "\n".join(f"- {escape(note)}" for note in comparison.notes)))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """`text` so that Markdown shows it as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>|#~$])", r"\\\1", " ".join(text.split()))


def _row(cell: Cell, where: str | None) -> tuple[str, ...]:
    strong = "**" if cell.verdict == "regression" and cell.gates else ""
    return (
        f"{strong}{escape(cell.verdict_text)}{strong}",
        metric_text(cell),
        escape(_named(f"{cell.series}: {cell.subject}", cell.setting if where is None else where)),
        value_text(cell, cell.base),
        value_text(cell, cell.new),
        change_text(cell),
    )


def _named(what: str, setting: str) -> str:
    return f"{what}, {setting}" if setting else what


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: frozenset[int]) -> str:
    rule = ["---:" if i in numeric else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
