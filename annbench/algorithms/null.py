"""The adapter that does nothing: it measures what the harness itself costs per call on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from annbench.algorithms.base import Algorithm, Cost, Ids, PointContext, Trial, padded
from annbench.datasets.info import Metric

FILE = "null.npy"


class Null(Algorithm):
    """Returns the same preallocated ids at once. Its recall is meaningless, its time per call is the
    overhead.
    """

    metrics = frozenset({"euclidean", "cosine", "ip", "hamming", "jaccard"})
    known_limits = ("returns the same ids for every query: only its time means something",)
    trials = (Trial(recall=0.0),)

    @classmethod
    def estimate(cls, context: PointContext, build: Any, search: Any) -> Cost:
        """Nothing is stored but the row count, and nothing is computed."""
        return Cost(index_bytes=136, build_operations=0, search_operations=0)

    def build(self, base: Any, metric: Metric, params: Any, threads: int) -> None:
        """Remember how many rows there are."""
        self._open(len(base))

    def search(self, query: Any, k: int) -> Ids:
        """The ids 0 … k−1, from memory allocated at the first call."""
        if k != self._k:
            self._allocate(1, k)
        return self._one

    def search_batch(self, queries: Any, k: int) -> Ids:
        """The same ids for each query, from memory allocated at the first call of this size."""
        if self._many.shape != (len(queries), k):
            self._allocate(len(queries), k)
        return self._many

    def save(self, folder: Path) -> None:
        """Write the row count."""
        np.save(folder / FILE, np.array([self._n]), allow_pickle=False)

    def load(self, folder: Path, metric: Metric, dim: int, params: Any) -> None:
        """Read the row count."""
        self._open(int(np.load(folder / FILE, allow_pickle=False)[0]))

    def _open(self, n: int) -> None:
        self._n = n
        self._k = 0
        self._many = np.empty((0, 0), dtype=np.int64)

    def _allocate(self, rows: int, k: int) -> None:
        self._one = padded(np.arange(min(k, self._n)), k)
        self._many = np.ascontiguousarray(np.broadcast_to(self._one, (rows, k)))
        self._k = k  # last: another thread that sees it must find the rest
