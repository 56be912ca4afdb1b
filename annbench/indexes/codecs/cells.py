"""Cells of one dimension: Lloyd's quantizer (IEEE Trans. Information Theory, 1982)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ITERATIONS = 50

Floats = NDArray[np.float64]


def cell_centres(values: NDArray[Any], cells: int) -> Floats:
    """The centres (cells,), not falling, of the cells into which Lloyd's iterations divide the sample `values` (m,),
    m >= 1; a value is in the cell of the nearest centre.

    They start from cells that hold equally many values. Where values are fewer than cells, some centres coincide.
    """
    ordered = np.sort(values.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    inner = np.round(np.linspace(0, len(ordered), cells + 1)).astype(np.int64)[1:-1]
    centres = _means(ordered, sums, inner)
    for _ in range(ITERATIONS):
        moved = np.searchsorted(ordered, (centres[:-1] + centres[1:]) / 2, side="left")
        if np.array_equal(moved, inner):
            break
        inner = moved
        centres = _means(ordered, sums, inner)
    return centres


def _means(ordered: Floats, sums: Floats, inner: NDArray[np.int64]) -> Floats:
    """Means of the cells between the places `inner`; of a cell without values, the value at its edge."""
    edges = np.concatenate([[0], inner, [len(ordered)]])
    counts = np.diff(edges)
    at_edge = ordered[np.minimum(edges[:-1], len(ordered) - 1)]
    means = np.where(counts > 0, np.diff(sums[edges]) / np.maximum(counts, 1), at_edge)
    # Sums of many values may put two equal means in the wrong order, by their last bit.
    return np.maximum.accumulate(means)
