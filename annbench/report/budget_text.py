"""The memory-budget protocol as tables: in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from rich.console import Group
from rich.table import Table
from rich.text import Text

from annbench.report import formatting as fmt
from annbench.report.budget import BUDGETS, MILLION, RERANKED, BudgetTable, Candidate, Sharing
from annbench.report.markdown import escape, table

NOTES = (
    "A budget is a share of float32. What counts is the serialized index ÷ n, with every vector's constants, ids and "
    "tables; 1 % over is allowed, for a file's header. Each method picks its legal configuration with the highest "
    f"recall@k without rerank; beside it the same codes with their best {RERANKED} candidates reranked, and the copy "
    "that this takes as cold bytes. Encode seconds are of the whole build, training included; QPS of the best pass, "
    "without rerank."
)
NONE_LEGAL = "no legal configuration"


def budget_view(tables: Iterable[BudgetTable]) -> Group:
    """Recall by method and budget, and the winner of every budget in full: made for 100 columns, readable at 80."""
    parts: list[Table | Text] = []
    for found in tables:
        parts.append(Text(f"Recall in a memory budget: {found.setting.title}", style="bold"))
        for sharing in found.sharings:
            parts += [Text(sharing_text(found, sharing)), _matrix(found, sharing), Text()]
        parts += [Text(_caption(found), style="dim"), Text()]
        last = found.sharings[-1]
        parts += [
            Text(f"Best in each budget, {sharing_text(found, last)}", style="bold"),
            _winners(found, last),
            Text(),
        ]
    return Group(*parts[:-1])


def sharing_text(found: BudgetTable, sharing: Sharing) -> str:
    """Over how many vectors the tables are spread."""
    return f"tables shared by {found.setting.n if sharing == 'measured' else MILLION:,} vectors"


def budget_text(budget: Fraction) -> str:
    """`1/16`, as the tables and the picture name it."""
    return f"{budget.numerator}/{budget.denominator}"


def budget_markdown(tables: Iterable[BudgetTable], picture: str | None) -> str:
    """Everything that was picked, a row a method and budget; `picture` is its address."""
    parts = ["# Recall in a memory budget", NOTES]
    parts += [f"![Recall against budget]({picture})"] if picture else []
    for found in tables:
        for sharing in found.sharings:
            parts += [
                f"## {escape(found.setting.title)} · {sharing_text(found, sharing)}",
                _markdown_table(found, sharing),
            ]
    return "\n\n".join(parts) + "\n"


def _caption(found: BudgetTable) -> str:
    finer = any(pick and pick.reranked for picks in found.picks.values() for pick in picks.values())
    return (
        f"recall@{found.setting.k}"
        + (f"; below it with the best {RERANKED} reranked" if finer else "")
        + f"; {fmt.MISSING} no legal configuration"
        + ("" if "million" in found.sharings else "; sharing tables by a million needs adapters that tell their size")
    )


def _matrix(found: BudgetTable, sharing: Sharing) -> Table:
    grid = _rich_table()
    grid.add_column("method", overflow="fold", min_width=14)
    for budget in BUDGETS:
        heading = f"{budget_text(budget)}\n{found.limit_bytes(budget):,.4g} B"
        grid.add_column(heading, justify="right", no_wrap=True)
    for name in found.methods:
        cells = [_cell(found.picks[sharing, b][name], name == found.best(sharing, b)) for b in BUDGETS]
        grid.add_row(Text(name, style="cyan"), *cells)
    return grid


def _cell(pick: Candidate | None, best: bool) -> Text:
    if pick is None:
        return Text(fmt.MISSING, style="dim")
    text = Text(fmt.recall_text(pick.point.recall), style="bold green" if best else "")
    if pick.reranked is not None:
        text.append(f"\n{fmt.recall_text(pick.reranked.point.recall)}", style="not bold dim default")
    return text


def _winners(found: BudgetTable, sharing: Sharing) -> Table:
    grid = _rich_table()
    grid.add_column("budget", no_wrap=True)
    grid.add_column("configuration", overflow="fold", ratio=1, min_width=16)
    for heading in ("B/vec", "recall", "reranked", "cold B", "encode s", "QPS"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for budget in BUDGETS:
        name = found.best(sharing, budget)
        pick = found.picks[sharing, budget][name] if name is not None else None
        if name is None or pick is None:
            grid.add_row(budget_text(budget), Text(NONE_LEGAL, style="yellow"))
            continue
        what = Text(name, style="bold cyan").append(f" {pick.point.configuration}", style="not bold default")
        finer = pick.reranked
        grid.add_row(
            budget_text(budget),
            what,
            fmt.significant(pick.bytes_shared(sharing)),
            fmt.recall_text(pick.point.recall),
            fmt.MISSING if finer is None else fmt.recall_text(finer.point.recall),
            fmt.MISSING if finer is None else fmt.significant(finer.cold_bytes),
            fmt.significant(pick.point.build_seconds),
            fmt.thousands(pick.point.qps),
        )
    return grid


def _markdown_table(found: BudgetTable, sharing: Sharing) -> str:
    head = (
        "budget", "method", "configuration", "bytes/vector", "recall", f"reranked {RERANKED}", "cold bytes",
        "encode s", "QPS", "QPS reranked",
    )  # fmt: skip
    rows = []
    for budget in BUDGETS:
        best = found.best(sharing, budget)
        limit = f"{budget_text(budget)} ({found.limit_bytes(budget):,.4g} B)"
        for name in found.methods:
            pick = found.picks[sharing, budget][name]
            shown = f"**{escape(name)}**" if name == best else escape(name)
            rows.append([limit, shown, *(_markdown_cells(pick, sharing) if pick else [NONE_LEGAL, *[""] * 7])])
    return table(head, rows, frozenset(range(3, 10)))


def _markdown_cells(pick: Candidate, sharing: Sharing) -> list[str]:
    point, finer = pick.point, pick.reranked
    suspect = "" if point.verdict == "ok" else f" `{point.verdict}`"
    cells = point.cells()
    return [
        escape(point.configuration) + suspect,
        fmt.significant(pick.bytes_shared(sharing), 4),
        f"{cells['recall']} {cells['interval']}".rstrip(),
        "not measured" if finer is None else fmt.recall_text(finer.point.recall),
        "" if finer is None else f"{fmt.significant(finer.cold_bytes)} ({escape(finer.copy)})",
        cells["build"],
        cells["qps"],
        "" if finer is None else fmt.significant(finer.point.qps),
    ]


def _rich_table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
