"""The memory-budget protocol as one picture: recall against budget, a line a method, each named where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from annbench.report.budget import BUDGETS, RERANKED, BudgetTable, Sharing
from annbench.report.budget_text import budget_text, sharing_text
from annbench.report.palette import Style, styles
from annbench.report.plots import STYLE

Lines = dict[str, list[tuple[int, float]]]  # by method: the budget's position, and the recall

_PANEL_INCHES = (5.7, 4.3)
_DPI = 110
_TICKS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
_LOWEST, _HIGHEST = 0.005, 0.9998
_NAME_GAP = 0.042  # of the panel's height, between two names


def write_budget_plot(tables: Sequence[BudgetTable], path: Path) -> Path:
    """Write the picture as PNG."""
    with rc_context(STYLE):
        budget_figure(tables).savefig(path, format="png", dpi=_DPI)
    return path


def budget_figure(tables: Sequence[BudgetTable]) -> Figure:
    """A row of panels a setting: without rerank under both ways to share tables, and with rerank under the last."""
    columns = max(len(_panels(found)) for found in tables)
    width, height = _PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * len(tables) + 0.35
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    chosen = styles(name for found in tables for name in found.methods)
    for row, found in enumerate(tables):
        panels = [(s, reranked, _lines(found, s, reranked)) for s, reranked in _panels(found)]
        limits = _limits([recall for _, _, lines in panels for line in lines.values() for _, recall in line])
        for column, (sharing, reranked, lines) in enumerate(panels):
            axes = figure.add_subplot(len(tables), columns, row * columns + column + 1)
            _panel(axes, found, sharing, reranked, lines, limits, chosen)
    left, top = 0.7 / width, 1 - 0.1 / height
    figure.suptitle("Recall in a memory budget", x=left, y=top, ha="left", va="top", fontsize=12, weight="bold")
    names = 1.75  # inches right of a panel
    between = names + 0.75
    plot = (width - 0.7 - names - between * (columns - 1)) / columns
    figure.subplots_adjust(
        left=left,
        right=1 - names / width,
        top=1 - 0.85 / height,
        bottom=0.55 / height,
        wspace=between / plot,
        hspace=0.42,
    )
    return figure


def _panels(found: BudgetTable) -> list[tuple[Sharing, bool]]:
    plain: list[tuple[Sharing, bool]] = [(sharing, False) for sharing in found.sharings]
    last = found.sharings[-1]
    measured = any(pick and pick.reranked for budget in BUDGETS for pick in found.picks[last, budget].values())
    return [*plain, (last, True)] if measured else plain


def _panel(
    axes: Any,
    found: BudgetTable,
    sharing: Sharing,
    reranked: bool,
    lines: Lines,
    limits: tuple[float, float],
    chosen: dict[str, Style],
) -> None:
    what = f"best {RERANKED} reranked" if reranked else "without rerank"
    axes.set_title(f"{found.setting.dataset} · {what}\n{sharing_text(found, sharing)}", fontsize=9)
    axes.set_xlim(-0.15, len(BUDGETS) - 0.85)
    axes.set_xticks(range(len(BUDGETS)), [f"{budget_text(b)}\n{found.limit_bytes(b):,.4g} B" for b in BUDGETS])
    axes.set_ylabel(f"recall@{found.setting.k}  (log of odds)")
    axes.set_ylim(*limits)
    ticks = [tick for tick in (*_TICKS, 1.0) if limits[0] <= float(_place(tick)) <= limits[1]]
    axes.set_yticks([float(_place(tick)) for tick in ticks], [f"{tick:g}" for tick in ticks])
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for name, line in lines.items():
        places = _place([recall for _, recall in line])
        axes.plot([x for x, _ in line], places, **_stroke(chosen[name]), clip_on=False)
    _name_lines(axes, lines, chosen, limits)


def _lines(found: BudgetTable, sharing: Sharing, reranked: bool) -> Lines:
    """Places and recalls of every method that has any."""
    lines = {}
    for name in found.methods:
        line = []
        for x, budget in enumerate(BUDGETS):
            pick = found.picks[sharing, budget][name]
            if pick is not None and not reranked:
                line.append((x, pick.point.recall))
            elif pick is not None and pick.reranked is not None:
                line.append((x, pick.reranked.point.recall))
        if line:
            lines[name] = line
    return lines


def _name_lines(axes: Any, lines: Lines, chosen: dict[str, Style], limits: tuple[float, float]) -> None:
    """Every name right of the panel, at the height where its line ends or as near as the others let it."""
    ends = sorted(((float(_place(line[-1][1])), line[-1][0], name) for name, line in lines.items()))
    gap = _NAME_GAP * (limits[1] - limits[0])
    heights = spread([end for end, _, _ in ends], gap, limits)
    key = len(BUDGETS) - 0.55  # where the piece of the line begins that stands before its name
    for (end, x, name), y in zip(ends, heights, strict=True):
        style = chosen[name]
        axes.plot([x, key], [end, y], color=style.colour, linewidth=0.5, alpha=0.45, clip_on=False, zorder=1)
        axes.plot([key, key + 0.2, key + 0.4], [y, y, y], **_stroke(style), markevery=[1], clip_on=False)
        axes.text(key + 0.52, y, name, color=style.colour, fontsize=8, va="center", ha="left", clip_on=False)


def _stroke(style: Style) -> dict[str, Any]:
    return {
        "color": style.colour,
        "marker": style.marker,
        "markersize": 4.5,
        "linewidth": 1.5,
        "linestyle": (0, style.dash) if style.dash else "-",
    }


def spread(places: Sequence[float], gap: float, limits: tuple[float, float]) -> list[float]:
    """`places` (ascending) moved apart to at least `gap`, as little as that takes, within `limits` if they fit.

    Neighbours that would overlap form a block around the mean of their places, and blocks that meet are joined.
    """
    blocks: list[list[float]] = []
    for place in places:
        blocks.append([place])
        while len(blocks) > 1 and _top(blocks[-2], gap, limits) + gap > _bottom(blocks[-1], gap, limits):
            last = blocks.pop()
            blocks[-1] += last
    return [_bottom(block, gap, limits) + gap * i for block in blocks for i in range(len(block))]


def _bottom(block: Sequence[float], gap: float, limits: tuple[float, float]) -> float:
    length = gap * (len(block) - 1)
    middle = sum(block) / len(block)
    return max(limits[0], min(middle - length / 2, limits[1] - length))


def _top(block: Sequence[float], gap: float, limits: tuple[float, float]) -> float:
    return _bottom(block, gap, limits) + gap * (len(block) - 1)


def _place(recall: ArrayLike) -> NDArray[np.float64]:
    """log10 of the odds: 0.1 and 0.2 stand as far apart as 0.8 and 0.9, and 0.99 apart from 0.999."""
    clipped = np.clip(np.asarray(recall, dtype=np.float64), _LOWEST, _HIGHEST)
    return np.asarray(np.log10(clipped / (1 - clipped)))


def _limits(recalls: Sequence[float]) -> tuple[float, float]:
    places = _place(recalls) if recalls else np.array([-1.0, 1.0])
    low, high = float(places.min()), float(places.max())
    margin = 0.04 * max(high - low, 0.5)
    return low - margin, high + margin
