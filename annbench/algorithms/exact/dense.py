"""Exhaustive search over vectors of numbers, by BLAS.

Scores of all rows come from one float32 matrix product; a shortlist a little longer than k is then ordered by
distances recomputed in float64, so that cancellation in ‖x‖² − 2·x·q does not swap close neighbours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from annbench.algorithms.base import Ids, Vectors, normalised, padded
from annbench.datasets.info import Metric

FILE = "base.npy"
SHORTLIST_EXTRA = 32
SCORES_PER_BLOCK = 1 << 24  # 64 MiB of float32 scores
QUERIES_PER_BLOCK = 1024


class Dense:
    """A float32 copy of the base; unit vectors for cosine."""

    def __init__(self, base: Vectors, metric: Metric) -> None:
        self._base = base
        self._euclidean = metric == "euclidean"
        # ‖x − q‖² / 2 = ‖x‖² / 2 − x·q + constant: one subtraction serves all three metrics.
        squares = np.einsum("nd,nd->n", base, base, dtype=np.float64) if self._euclidean else np.zeros(len(base))
        self._bias = (squares / 2).astype(np.float32)

    @classmethod
    def build(cls, base: Vectors, metric: Metric) -> Dense:
        """Copy `base` (n, dim) float32."""
        return cls(normalised(base) if metric == "cosine" else base.copy(), metric)

    @classmethod
    def load(cls, folder: Path, metric: Metric) -> Dense:
        """Read what `save` wrote."""
        return cls(np.load(folder / FILE, allow_pickle=False), metric)

    def save(self, folder: Path) -> None:
        """Write the stored vectors as npy."""
        np.save(folder / FILE, self._base, allow_pickle=False)

    def search(self, query: Vectors, k: int) -> Ids:
        """By a matrix-vector product."""
        return self._nearest(query, self._bias - self._base @ query, k)

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """By matrix products of bounded size."""
        ids = np.empty((len(queries), k), dtype=np.int64)
        step = max(1, min(QUERIES_PER_BLOCK, SCORES_PER_BLOCK // len(self._base)))
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            scores = block @ self._base.T
            np.subtract(self._bias, scores, out=scores)
            for row, (query, score) in enumerate(zip(block, scores, strict=True), start):
                ids[row] = self._nearest(query, score, k)
        return ids

    def _nearest(self, query: Vectors, scores: Vectors, k: int) -> Ids:
        length = k + SHORTLIST_EXTRA
        few = length >= len(scores)
        shortlist = np.arange(len(scores)) if few else np.argpartition(scores, length)[:length]
        rows = self._base[shortlist].astype(np.float64)
        if self._euclidean:
            rows -= query
            exact = np.einsum("nd,nd->n", rows, rows)
        else:
            exact = -(rows @ query.astype(np.float64))
        nearest = shortlist[np.lexsort((shortlist, exact))[:k]]
        return nearest if len(nearest) == k else padded(nearest, k)
