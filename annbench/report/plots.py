"""Pareto plots as PNG and SVG: one figure a setting, a panel for each cost of recall."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from annbench.report import formatting as fmt
from annbench.report.palette import Style
from annbench.report.pareto import AXES, Axis, algorithm_fronts
from annbench.report.scale import RecallScale
from annbench.report.setting import Setting

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "svg.fonttype": "none",  # text stays text: smaller, searchable
    "svg.hashsalt": "annbench",  # the same results give the same file
    "text.parse_math": False,  # a `$` in a name is a `$`
}
_WIDTH_INCHES, _PANEL_INCHES, _DPI = 11.0, 3.5, 110
_LEGEND_CHARACTERS, _LEGEND_ROWS = 130, 14
_LONGEST_NAME = 60


def write_plots(setting: Setting, styles: Mapping[str, Style], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write `<slug>.<format>` into `folder` for each of `formats`; nothing if there are no points."""
    if setting.points.empty:
        return []
    with rc_context(STYLE):
        figure = pareto_figure(setting, styles)
        paths = []
        for name in formats:
            path = folder / f"{setting.slug}.{name}"
            metadata: dict[str, Any] = {"Date": None} if name == "svg" else {}
            figure.savefig(path, format=name, dpi=_DPI, metadata=metadata)
            paths.append(path)
    return paths


def pareto_figure(setting: Setting, styles: Mapping[str, Style]) -> Figure:
    """The figure of one setting; a cost nobody measured (p99 in mode batch) has no panel."""
    # A hundred parameter columns would be copied with every group.
    points = setting.points[["algorithm", "recall_at_k", "verdict", *(axis.column for axis in AXES)]]
    axes = [axis for axis in AXES if points[axis.column].notna().any()]
    rows = math.ceil(len(axes) / 2)
    names = setting.algorithms
    spare_cell = len(axes) % 2 == 1 and len(names) <= _LEGEND_ROWS
    columns = (
        1
        if spare_cell
        else max(1, min(len(names), _LEGEND_CHARACTERS // (min(max(map(len, names)), _LONGEST_NAME) + 12)))
    )
    legend_inches = 0.0 if spare_cell else 0.25 + 0.2 * math.ceil((len(names) + 1) / columns)
    height = rows * _PANEL_INCHES + legend_inches + 0.45
    figure = Figure(figsize=(_WIDTH_INCHES, height))
    FigureCanvasAgg(figure)
    scale = RecallScale.of(points["recall_at_k"])
    for i, axis in enumerate(axes):
        _panel(figure.add_subplot(rows, 2, i + 1), points, axis, scale, styles)
    figure.suptitle(setting.title, x=0.065, y=1 - 0.16 / height, ha="left", va="top", fontsize=12, weight="bold")
    figure.legend(
        handles=[_handle(styles[name], name) for name in names] + _suspect_handle(points),
        loc="lower left",
        bbox_to_anchor=(0.56 if spare_cell else 0.055, 0.08 if spare_cell else 0.0),
        ncols=columns,
        frameon=False,
        handlelength=3.6,
    )
    figure.subplots_adjust(
        left=0.07,
        right=0.985,
        top=1 - 0.75 / height,
        bottom=(legend_inches + 0.4) / height,
        hspace=0.38,
        wspace=0.17,
    )
    return figure


def _panel(ax: Any, points: pd.DataFrame, axis: Axis, scale: RecallScale, styles: Mapping[str, Style]) -> None:
    # With a height of its own, the title is not searched a place at every drawing: that is slow.
    ax.set_title(f"{axis.title} – {axis.direction}", y=1.01)
    ax.set_xlabel("recall@k  (log of misses)")
    if (points[axis.column].to_numpy(dtype=np.float64) > 0).any():
        ax.set_yscale("log", nonpositive="mask")
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: fmt.tick_text(value)))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_minor_locator(FixedLocator([]))
    ax.grid(True, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    fronts = algorithm_fronts(points, axis)
    for name, rows in points.groupby("algorithm", sort=True):
        ax.scatter(
            scale.place(rows["recall_at_k"]),
            rows[axis.column],
            s=5,
            color=styles[str(name)].colour,
            alpha=0.28,
            linewidths=0,
            rasterized=len(points) > 300,
            zorder=2,
        )
    for name, front in fronts.items():
        _front(ax, front, axis, scale, styles[name])
    ax.set_xlim(scale.low, scale.high)
    ax.set_xticks([float(scale.place(tick)) for tick in scale.ticks], scale.labels)


def _front(ax: Any, front: pd.DataFrame, axis: Axis, scale: RecallScale, style: Style) -> None:
    x, y = scale.place(front["recall_at_k"]), front[axis.column].to_numpy(dtype=np.float64)
    suspect = front["verdict"].to_numpy() != "ok"
    line = ax.plot(x, y, **_stroke(style), zorder=3)[0]
    line.set_marker("")
    for mask, face in ((~suspect, style.colour), (suspect, "white")):
        ax.plot(
            x[mask],
            y[mask],
            linestyle="none",
            marker=style.marker,
            markersize=5.5,
            markerfacecolor=face,
            markeredgecolor=style.colour,
            markeredgewidth=1.1,
            zorder=4,
        )


def _stroke(style: Style) -> dict[str, Any]:
    return {"color": style.colour, "linewidth": 1.5, "linestyle": (0, style.dash) if style.dash else "-"}


def _handle(style: Style, name: str) -> Line2D:
    # A leading underscore would make matplotlib drop the entry.
    label = f" {name}" if name.startswith("_") else name
    if len(label) > _LONGEST_NAME:  # a path: its end tells more than its beginning
        label = f"…{label[1 - _LONGEST_NAME :]}"
    return Line2D([], [], marker=style.marker, markersize=6, label=label, **_stroke(style))


def _suspect_handle(points: pd.DataFrame) -> list[Line2D]:
    if (points["verdict"] == "ok").all():
        return []
    return [
        Line2D(
            [],
            [],
            linestyle="none",
            marker="o",
            markerfacecolor="white",
            markeredgecolor="#555555",
            label="hollow: suspect",
        )
    ]
