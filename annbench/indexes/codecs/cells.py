"""Cells of one dimension: Lloyd's quantizer (IEEE Trans. Information Theory, 1982)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ITERATIONS = 20


def cell_boundaries(values: NDArray[Any], cells: int) -> NDArray[np.float64]:
    """The cells − 1 inner boundaries, rising, of `cells` cells for the sample `values` (m,), m >= 1.

    Starts from cells that hold equally many values; then boundaries lie midway between the means of their cells. Where
    there are fewer distinct values than cells, some boundaries coincide.
    """
    ordered = np.sort(values.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    edges = np.round(np.linspace(0, len(ordered), cells + 1)).astype(np.int64)
    boundaries = _midpoints(ordered, sums, edges)
    for _ in range(ITERATIONS):
        inner = np.searchsorted(ordered, boundaries, side="left")
        moved = _midpoints(ordered, sums, np.concatenate([[0], inner, [len(ordered)]]))
        if np.array_equal(moved, boundaries):
            break
        boundaries = moved
    return boundaries


def _midpoints(
    ordered: NDArray[np.float64], sums: NDArray[np.float64], edges: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Midway between the means of neighbouring cells; a cell without values is at its edge."""
    counts = np.diff(edges)
    at_edge = ordered[np.minimum(edges[:-1], len(ordered) - 1)]
    means = np.where(counts > 0, np.diff(sums[edges]) / np.maximum(counts, 1), at_edge)
    return np.asarray((means[:-1] + means[1:]) / 2)
