"""Recall, rates and size over the steps of a runbook: one figure, a panel for each, in the style of the fronts."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from annbench.metrics.stream import StreamStep, StreamSummary
from annbench.report import formatting as fmt
from annbench.report.palette import Style
from annbench.report.plots import STYLE
from annbench.report.streaming import StreamSetting

_WIDTH_INCHES, _PANEL_INCHES, _DPI = 11.0, 2.9, 110
_LONGEST_NAME, _TITLE_CHARACTERS = 100, 105


@dataclass(frozen=True)
class _Panel:
    title: str
    log: bool
    value: Callable[[StreamStep], float | None]


def _rate(operation: str) -> Callable[[StreamStep], float | None]:
    return lambda step: step.per_second if step.operation == operation else None


def _bytes(step: StreamStep) -> float | None:
    return None if step.index_bytes is None or not step.present else step.index_bytes / step.present


_PANELS = (
    _Panel("recall@k at each search – higher is better", False, lambda s: s.recall.recall_at_k if s.recall else None),
    _Panel("QPS at each search – higher is better", True, _rate("search")),
    _Panel("inserts per second – higher is better", True, _rate("insert")),
    _Panel("deletes per second – higher is better", True, _rate("delete")),
    _Panel("replacements per second – higher is better", True, _rate("replace")),
    _Panel("index bytes per vector present – lower is better", False, _bytes),
)


def write_stream_plots(setting: StreamSetting, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write `<slug>.<format>` into `folder` for each of `formats`; nothing if nothing was measured."""
    if not setting.measured:
        return []
    with rc_context(STYLE):
        figure = stream_figure(setting)
        paths = []
        for name in formats:
            path = folder / f"{setting.slug}.{name}"
            figure.savefig(path, format=name, dpi=_DPI, metadata={"Date": None} if name == "svg" else {})
            paths.append(path)
    return paths


def stream_png(setting: StreamSetting) -> bytes:
    """The figure as PNG, for a page that has no files beside it."""
    image = io.BytesIO()
    with rc_context(STYLE):
        stream_figure(setting).savefig(image, format="png", dpi=_DPI)
    return image.getvalue()


def stream_figure(setting: StreamSetting) -> Figure:
    """The figure of one runbook; what it never does has no panel."""
    measured = setting.measured
    panels = [panel for panel in _PANELS if any(_points(summary, panel)[0] for _, summary in measured)]
    rows = math.ceil(len(panels) / 2)
    legend_inches = 0.3 + 0.2 * len(measured)
    height = rows * _PANEL_INCHES + legend_inches + 0.45
    figure = Figure(figsize=(_WIDTH_INCHES, height))
    FigureCanvasAgg(figure)
    styles = setting.styles
    last = max(len(summary.steps) for _, summary in measured)
    for i, panel in enumerate(panels):
        ax: Any = figure.add_subplot(rows, 2, i + 1)
        for row, summary in measured:
            x, y = _points(summary, panel)
            ax.plot(x, y, marker=styles[row.name].marker, markersize=3.5, **_stroke(styles[row.name]))
        _dress(ax, panel, last)
    title = textwrap.fill(setting.title, _TITLE_CHARACTERS)
    figure.suptitle(title, x=0.065, y=1 - 0.12 / height, ha="left", va="top", fontsize=10, weight="bold")
    figure.legend(
        handles=[_handle(styles[row.name], row.name) for row, _ in measured],
        loc="lower left",
        bbox_to_anchor=(0.055, 0.0),
        ncols=1,
        frameon=False,
        handlelength=3.6,
    )
    figure.subplots_adjust(
        left=0.07, right=0.985, top=1 - 0.75 / height, bottom=(legend_inches + 0.4) / height, hspace=0.45, wspace=0.17
    )
    return figure


def _points(summary: StreamSummary, panel: _Panel) -> tuple[list[int], list[float]]:
    # The first step makes the index, which is no insertion into one.
    found = [(n, panel.value(s)) for n, s in enumerate(summary.steps, start=1) if n > 1]
    kept = [(number, value) for number, value in found if value is not None]
    return [number for number, _ in kept], [value for _, value in kept]


def _dress(ax: Any, panel: _Panel, last: int) -> None:
    ax.set_title(panel.title, y=1.01)
    ax.set_xlabel("step of the runbook")
    ax.set_xlim(1, last + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    if panel.log:
        ax.set_yscale("log", nonpositive="mask")
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=10))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: fmt.tick_text(value)))
        ax.yaxis.set_minor_formatter(NullFormatter())
    elif "bytes" in panel.title:
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: fmt.tick_text(value)))
    else:
        ax.set_ylim(top=min(1.0, ax.get_ylim()[1]) + 0.002)
    ax.grid(True, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def _stroke(style: Style) -> dict[str, Any]:
    return {"color": style.colour, "linewidth": 1.3, "linestyle": (0, style.dash) if style.dash else "-"}


def _handle(style: Style, name: str) -> Line2D:
    label = f" {name}" if name.startswith("_") else name  # a leading underscore would drop the entry
    label = label if len(label) <= _LONGEST_NAME else f"{label[: _LONGEST_NAME - 1]}…"
    return Line2D([], [], marker=style.marker, markersize=5, label=label, **_stroke(style))
