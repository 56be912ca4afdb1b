"""Exact search with BLAS through numpy: the recall-1 reference that needs no vector library.

Scores of all rows come from one float32 matrix product; a shortlist a little longer than k is then ordered by
distances recomputed in float64, so that cancellation in ‖x‖² − 2·x·q does not swap close neighbours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from annbench.algorithms.base import Algorithm, Cost, Ids, PointContext, Vectors, normalised, padded
from annbench.datasets.info import Metric

FILE = "base.npy"
SHORTLIST_EXTRA = 32
SCORES_PER_BLOCK = 1 << 24  # 64 MiB of float32 scores
QUERIES_PER_BLOCK = 1024


class BruteForce(Algorithm):
    """Compares the query with every vector. Keeps its own float32 copy of the base; cosine stores unit
    vectors.
    """

    metrics = frozenset({"euclidean", "cosine", "ip"})
    distributions = ("numpy",)
    known_limits = (
        f"the shortlist rescored in float64 has k + {SHORTLIST_EXTRA} rows: if more than that lie within the "
        "float32 rounding of a dot product at the cut, which of them are kept is arbitrary",
    )

    @classmethod
    def estimate(cls, context: PointContext, build: Any, search: Any) -> Cost:
        """The base as float32, and one multiply-add per component of it."""
        size = float(context.n * context.dim)
        return Cost(index_bytes=4 * size + 128, build_operations=size, search_operations=size)

    def build(self, base: Vectors, metric: Metric, params: Any, threads: int) -> None:
        """Copy the base, scaled to unit norm for cosine."""
        self._open(normalised(base) if metric == "cosine" else base.copy(), metric)

    def configure(self, params: Any, threads: int) -> None:
        """Limit BLAS to `threads`, for the whole process: numpy has one BLAS."""
        threadpool_limits(limits=threads, user_api="blas")

    def search(self, query: Vectors, k: int) -> Ids:
        """Exact neighbours of one query, by a matrix-vector product."""
        return self._nearest(query, self._bias - self._base @ query, k)

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """Exact neighbours of many queries, by matrix products of bounded size."""
        ids = np.empty((len(queries), k), dtype=np.int64)
        step = max(1, min(QUERIES_PER_BLOCK, SCORES_PER_BLOCK // len(self._base)))
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            scores = block @ self._base.T
            np.subtract(self._bias, scores, out=scores)
            for row, (query, score) in enumerate(zip(block, scores, strict=True), start):
                ids[row] = self._nearest(query, score, k)
        return ids

    def save(self, folder: Path) -> None:
        """Write the stored vectors as npy."""
        np.save(folder / FILE, self._base, allow_pickle=False)

    def load(self, folder: Path, metric: Metric, dim: int, params: Any) -> None:
        """Read the stored vectors."""
        self._open(np.load(folder / FILE, allow_pickle=False), metric)

    def _open(self, base: Vectors, metric: Metric) -> None:
        self._base = base
        self._euclidean = metric == "euclidean"
        # ‖x − q‖² / 2 = ‖x‖² / 2 − x·q + constant: one subtraction serves all three metrics.
        squares = np.einsum("nd,nd->n", base, base, dtype=np.float64) if self._euclidean else np.zeros(len(base))
        self._bias = (squares / 2).astype(np.float32)

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
