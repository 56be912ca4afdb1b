"""Colour, marker and dash of every algorithm: readable colour-blind and in grey.

Colours are Okabe and Ito's (Color Universal Design, 2008). They are never the only difference: markers and
dash patterns change in cycles of other lengths, so that no two of the first 252 algorithms look alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

BASELINE = "bruteforce"


@dataclass(frozen=True)
class Style:
    """How one algorithm is drawn; `dark_colour` is for pages with a dark background."""

    colour: str
    dark_colour: str
    marker: str  # matplotlib's name
    symbol: str  # plotly's name
    dash: tuple[float, ...]  # on, off, … in line widths; empty for a solid line

    @property
    def dash_css(self) -> str:
        """Plotly's spelling of the dash pattern, for lines two pixels wide."""
        return ",".join(f"{2 * length:g}px" for length in self.dash) or "solid"


_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C7A00")
_DARK = ("#4FA8E0", "#E69F00", "#2FBF93", "#F0814A", "#DD9CC0", "#8FD0F5", "#F0E442")
_MARKERS = (
    ("o", "circle"),
    ("s", "square"),
    ("^", "triangle-up"),
    ("D", "diamond"),
    ("v", "triangle-down"),
    ("P", "cross"),
    ("p", "pentagon"),
    ("X", "x"),
    ("h", "hexagon"),
)
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.2, 1.6), (6, 2, 1.2, 2))
_BASELINE_STYLE = Style("#000000", "#E8E8E8", "*", "star", (2, 4))


def styles(algorithms: Iterable[str]) -> dict[str, Style]:
    """A style for every name, by their sorted order; brute force, the yardstick, is the star in ink."""
    names = sorted(set(algorithms))
    chosen = {BASELINE: _BASELINE_STYLE} if BASELINE in names else {}
    for i, name in enumerate(n for n in names if n != BASELINE):
        marker, symbol = _MARKERS[i % len(_MARKERS)]
        colour = i % len(_COLOURS)
        chosen[name] = Style(_COLOURS[colour], _DARK[colour], marker, symbol, _DASHES[i % len(_DASHES)])
    return chosen
