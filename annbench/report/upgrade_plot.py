"""A model upgrade as two pictures: every way beside both models alone, and measures against the share re-embedded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from annbench.report.palette import Style, styles
from annbench.report.plots import STYLE
from annbench.upgrade.model import Family, Quality, Upgrade, UpgradeReport

_DPI = 110
_PANEL_INCHES = (5.6, 3.4)

Value = Callable[[Quality], float | None]
MEASURES: tuple[tuple[str, Value], ...] = (
    ("hit@10 of known items", lambda quality: quality.hit_at_10),
    ("recall@10 against the newest model", lambda quality: quality.recall_at_10),
)


def write_upgrade_plots(report: UpgradeReport, folder: Path) -> list[tuple[str, Path]]:
    """Write the PNGs; titles with paths."""
    shown = [u for u in report.upgrades if u.new == report.models[-1].name]
    measures = [m for m in MEASURES if report.measure == "hit@10" or m[0].startswith("recall")]
    pictures = []
    with rc_context(STYLE):
        for title, stem, draw in (
            ("Every way beside both models alone", "upgrade-ways", _ways_panel),
            ("Against the share that is re-embedded", "upgrade-backfill", _curve_panel),
        ):
            path = folder / f"{stem}.png"
            _figure(title, shown, measures, draw).savefig(path, format="png", dpi=_DPI)
            pictures.append((title, path))
    return pictures


def _figure(
    title: str,
    upgrades: Sequence[Upgrade],
    measures: Sequence[tuple[str, Value]],
    draw: Callable[[Any, Family, Value, dict[str, Style]], None],
) -> Figure:
    panels = [(upgrade, family) for upgrade in upgrades for family in upgrade.families]
    chosen = styles(found.way for _, family in panels for found in family.outcomes)
    width = _PANEL_INCHES[0] * len(measures)
    legend = 0.3 + 0.2 * ((len(chosen) + 2) // 3)
    height = _PANEL_INCHES[1] * len(panels) + 0.45 + legend
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    for row, (upgrade, family) in enumerate(panels):
        for column, (measure, value) in enumerate(measures):
            axes: Any = figure.add_subplot(len(panels), len(measures), row * len(measures) + column + 1)
            draw(axes, family, value, chosen)
            axes.set_title(f"{upgrade.old} → {upgrade.new} · {family.codes}\n{measure}", fontsize=9)
            axes.grid(True, color="#dddddd", linewidth=0.6)
            axes.set_axisbelow(True)
    figure.suptitle(title, x=0.06, y=1 - 0.1 / height, ha="left", va="top", fontsize=11, weight="bold")
    handles = [Line2D([], [], label=name, **_stroke(style)) for name, style in chosen.items()]
    if draw is _curve_panel:
        figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.05, 0.0), ncols=3, frameon=False)
    figure.subplots_adjust(
        left=1.4 / width,
        right=0.98,
        top=1 - 0.85 / height,
        bottom=((legend if draw is _curve_panel else 0) + 0.45) / height,
        hspace=0.42,
        wspace=0.38,
    )
    return figure


def _curve_panel(axes: Any, family: Family, value: Value, chosen: dict[str, Style]) -> None:
    for curve in family.curves:
        y = [value(point.quality) for point in curve.points]
        axes.plot([100 * point.share for point in curve.points], y, **_stroke(chosen[curve.way]))
    _yardsticks(axes.axhline, axes, family, value, across=True)
    axes.set_xlabel("% of the gallery re-embedded")
    axes.set_ylim(bottom=0)


def _ways_panel(axes: Any, family: Family, value: Value, chosen: dict[str, Style]) -> None:
    outcomes = family.outcomes[::-1]
    for place, found in enumerate(outcomes):
        style = chosen[found.way]
        axes.barh(place, value(found.quality), color=style.colour, height=0.62, alpha=1 if found.keeps_codes else 0.45)
    names = [f"{o.way}{'' if o.keeps_codes else ' (mapped)'}" for o in outcomes]
    axes.set_yticks(range(len(outcomes)), names, fontsize=7.5)
    _yardsticks(axes.axvline, axes, family, value, across=False)
    axes.set_xlim(left=0)


def _yardsticks(line: Callable[..., Any], axes: Any, family: Family, value: Value, *, across: bool) -> None:
    """Both models alone."""
    for name, quality, dash in (("old alone", family.old_alone, (4, 3)), ("new alone", family.new_alone, (1, 2))):
        at = value(quality)
        line(at, color="#444444", linewidth=1.0, linestyle=(0, dash))
        if across:
            axes.annotate(name, (0.995, at), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7)
        else:
            axes.annotate(name, (at, 0.995), xycoords=("data", "axes fraction"), ha="right", va="top", fontsize=7,
                          rotation=90)  # fmt: skip


def _stroke(style: Style) -> dict[str, Any]:
    return {
        "color": style.colour,
        "marker": style.marker,
        "markersize": 4,
        "linewidth": 1.4,
        "linestyle": (0, style.dash) if style.dash else "-",
    }
