"""A diagnosis as a picture: LID, distances to the nearest row, variance and lengths, the base beside each query set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from annbench.doctor.model import Curve, Diagnosis, VarianceFigures
from annbench.errors import DatasetError
from annbench.report.palette import Style, styles
from annbench.report.plots import STYLE

_WIDTH_INCHES, _PANEL_INCHES, _DPI = 11.0, 3.3, 110
_BASE_FILL, _BASE_EDGE = "#d9d9d9", "#8c8c8c"
_GRID = "#dddddd"
_SHARES = (0.90, 0.95, 0.99)


def write_picture(diagnosis: Diagnosis, path: Path) -> None:
    """Write the figure; the ending of `path` names the format. Raises DatasetError where it cannot be written."""
    form = path.suffix[1:].lower()
    with rc_context(STYLE):
        metadata: dict[str, Any] = {"Date": None} if form == "svg" else {}
        try:
            diagnosis_figure(diagnosis).savefig(path, format=form, dpi=_DPI, metadata=metadata)
        except OSError as error:
            raise DatasetError(
                f"cannot be written: {error.strerror}", where=str(path), remedy="give another --picture"
            ) from error


def diagnosis_figure(diagnosis: Diagnosis) -> Figure:
    """A panel for each thing that was measured."""
    sets = [shift.query_set for shift in diagnosis.shifts]
    chosen = styles(sets)
    curves = [name for name in ("lid", "nearest", "lengths") if name in diagnosis.curves]
    panels = [*curves[:2], *(("variance",) if diagnosis.variance is not None else ()), *curves[2:]]
    rows = -(-len(panels) // 2)
    height = rows * _PANEL_INCHES + 0.95
    figure = Figure(figsize=(_WIDTH_INCHES, height))
    FigureCanvasAgg(figure)
    for i, name in enumerate(panels):
        axes = figure.add_subplot(rows, 2, i + 1)
        axes.grid(True, axis="both" if name == "variance" else "y", color=_GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        if name == "variance" and diagnosis.variance is not None:
            _variance(axes, diagnosis.variance, diagnosis.dim)
        else:
            _histograms(axes, diagnosis.curves[name], chosen)
            axes.set_title(_title(name, diagnosis), y=1.01)
    title = f"{diagnosis.name}: {diagnosis.n:,} × {diagnosis.dim} {diagnosis.dtype}, {diagnosis.metric}"
    figure.suptitle(title, x=0.06, y=1 - 0.14 / height, ha="left", va="top", fontsize=12, weight="bold")
    figure.legend(
        handles=_handles(diagnosis, chosen), loc="lower left", bbox_to_anchor=(0.05, 0), ncols=6, frameon=False
    )
    figure.subplots_adjust(
        left=0.065, right=0.985, top=1 - 0.72 / height, bottom=0.72 / height, hspace=0.3, wspace=0.15
    )
    return figure


def _title(name: str, diagnosis: Diagnosis) -> str:
    unit = {"bits": "set bits", "sets": "elements"}.get(diagnosis.dtype, "L2 norm")
    return {
        "lid": "Local intrinsic dimensionality – the lower, the easier",
        "nearest": "Distance to the nearest row – queries like the base lie on it",
        "lengths": f"Length of the vectors ({unit})",
    }[name]


def _histograms(axes: Any, curve: Curve, chosen: dict[str, Style]) -> None:
    for name, shares in curve.shares.items():
        style = chosen.get(name)
        if style is None:
            axes.stairs(shares, curve.edges, fill=True, facecolor=_BASE_FILL, edgecolor="none", zorder=1)
            axes.stairs(shares, curve.edges, color=_BASE_EDGE, linewidth=0.8, zorder=2)
        else:
            axes.stairs(shares, curve.edges, **_stroke(style), zorder=3)
    axes.set_xlim(curve.edges[0], curve.edges[-1])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if value >= 0.1 or value == 0 else f"{value:.1%}")


def _variance(axes: Any, found: VarianceFigures, dim: int) -> None:
    axes.set_title("Variance held by the first principal directions", y=1.01)
    directions = range(len(found.shares) + 1)
    axes.plot(directions, (0.0, *found.shares), color="#333333", linewidth=1.5)
    for share, count in zip(_SHARES, (found.dims_90, found.dims_95, found.dims_99), strict=True):
        axes.plot([0, count, count], [share, share, 0], color=_BASE_EDGE, linewidth=0.8, linestyle=(0, (3, 2)))
        axes.annotate(
            f"{share:.0%}: {count}",
            (count, 0),
            xytext=(-3, 6),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="bottom",
            fontsize=8,
        )
    axes.set_xlim(0, dim)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel(f"of {dim} directions")


def _handles(diagnosis: Diagnosis, chosen: dict[str, Style]) -> list[Any]:
    verdicts = {shift.query_set: shift.verdict for shift in diagnosis.shifts}
    base = Patch(facecolor=_BASE_FILL, edgecolor=_BASE_EDGE, label="base")
    lines = [Line2D([], [], label=f"{name}: {said}", **_stroke(chosen[name])) for name, said in verdicts.items()]
    return [base, *lines]


def _stroke(style: Style) -> dict[str, Any]:
    return {"color": style.colour, "linewidth": 1.5, "linestyle": (0, style.dash) if style.dash else "-"}
