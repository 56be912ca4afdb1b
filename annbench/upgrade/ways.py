"""All ways to search an old gallery with new queries behind one face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from annbench.indexes.transforms.binarizer import Binarizer, unit_rows
from annbench.upgrade.bridges import BRIDGES, Fit
from annbench.upgrade.extra_dims import extra_dims
from annbench.upgrade.pairs import Matrix, Paired
from annbench.upgrade.relative import relative
from annbench.upgrade.simplex import simplex

Map = Callable[[Matrix], Matrix]
AS_THEY_ARE = "as they are"
COMPATIBLE = "compatible training"
WIDEST_SIMPLEX = 255


@dataclass(frozen=True)
class Way:
    """What becomes of new queries and old items where these meet, and of new queries and new items. `keeps_codes` says
    that old items stay what they are, so that an old index does too.
    """

    name: str
    keeps_codes: bool
    old_queries: Map
    old_items: Map
    new_queries: Map
    new_items: Map
    about: str = ""


@dataclass(frozen=True)
class Sizes:
    """Of the ways that have one: BT²'s extra dimensions, anchors, and the seed of what is drawn."""

    extra: int = 128
    anchors: int = 512
    seed: int = 0


def same(rows: Matrix) -> Matrix:
    """Nothing is done."""
    return rows


def as_they_are(pairs: Paired, _sizes: Sizes) -> Way:
    """No bridge at all; where dimensions differ, zeros are added or the last ones left out."""
    return Way(AS_THEY_ARE, True, partial(resized, dim=pairs.old.shape[1]), same, same, same)


def resized(rows: Matrix, dim: int) -> Matrix:
    """Rows (n, dim) with zeros added, or their last values left out."""
    made = np.zeros((len(rows), dim), np.float32)
    width = min(dim, rows.shape[1])
    made[:, :width] = rows[:, :width]
    return unit_rows(made)


def _bridge(pairs: Paired, _sizes: Sizes, *, name: str, fit: Fit) -> Way:
    bridge = fit(pairs)
    return Way(name, True, bridge, same, same, same, bridge.about)


def _extra_dims(pairs: Paired, sizes: Sizes) -> Way:
    made = extra_dims(pairs, sizes.extra)
    about = f"{len(made.prefix)} + {len(made.extra)} dimensions"
    return Way("bt2-extra-dims", True, made.queries, same, made.whole, made.whole, about)


def _relative(pairs: Paired, sizes: Sizes) -> Way:
    made = relative(pairs, sizes.anchors, seed=sizes.seed)
    return Way("relative", False, made.new, made.old, made.new, made.new, f"{len(made.new_anchors)} anchors")


def _simplex(pairs: Paired, sizes: Sizes) -> Way:
    d = min(WIDEST_SIMPLEX, len(pairs) // 8 - 1)
    made = simplex(pairs, d, seed=sizes.seed)
    return Way("d-simplex", False, made.new, made.old, made.new, made.new, f"{d + 1} prototypes")


Made = Callable[[Paired, Sizes], Way]

# A new way is one file and one line here.
WAYS: dict[str, Made] = {
    AS_THEY_ARE: as_they_are,
    **{name: partial(_bridge, name=name, fit=fit) for name, fit in BRIDGES.items()},
    "bt2-extra-dims": _extra_dims,
    "relative": _relative,
    "d-simplex": _simplex,
}


def in_codes(way: Way, old: Binarizer, new: Binarizer) -> Way:
    """The way where the gallery is the old binarizer's codes, and items of the new model get those of the new one.

    Bridged queries go through the old binarizer; those that no bridge has touched through the new one, which is
    what compatible training is for.
    """
    if way.name == AS_THEY_ARE:
        return Way(COMPATIBLE, True, partial(coded, binarizer=new), partial(coded, binarizer=old),
                   partial(coded, binarizer=new), partial(coded, binarizer=new))  # fmt: skip
    return Way(way.name, True, lambda rows: coded(way.old_queries(rows), old), partial(coded, binarizer=old),
               partial(coded, binarizer=new), partial(coded, binarizer=new), way.about)  # fmt: skip


def coded(rows: Matrix, binarizer: Binarizer) -> Matrix:
    """BEBR's codes (n, dim) as odd integers."""
    return binarizer.levels(unit_rows(rows)).astype(np.float32)
