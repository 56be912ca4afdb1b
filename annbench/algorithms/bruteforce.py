"""Exact search with numpy: the recall-1 reference that needs no vector library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from annbench.algorithms.base import Algorithm, Cost, Ids, PointContext, Trial
from annbench.algorithms.exact.bits import Bits
from annbench.algorithms.exact.dense import SHORTLIST_EXTRA, Dense
from annbench.algorithms.exact.sets import InvertedSets
from annbench.datasets.info import Metric


class BruteForce(Algorithm):
    """Compares the query with every vector of its own copy of the base: numbers, packed bits or sets."""

    metrics = frozenset({"euclidean", "cosine", "ip", "hamming", "jaccard"})
    distributions = ("numpy",)
    known_limits = (
        f"the shortlist rescored in float64 has k + {SHORTLIST_EXTRA} rows: if more than that lie within the "
        "float32 rounding of a dot product at the cut, which of them are kept is arbitrary",
        "hamming and jaccard use one thread, whatever is asked for",
    )
    trials = (Trial(recall=1.0),)

    @classmethod
    def estimate(cls, context: PointContext, build: Any, search: Any) -> Cost | None:
        """The base as float32 or bits, and one multiply-add per component, or per word of 64 bits; nothing is known of
        the sizes of sets.
        """
        n, dim = context.n, context.dim
        if context.metric == "jaccard":
            return None
        if context.metric == "hamming":
            words = n * -(-dim // 64)
            return Cost(index_bytes=8.0 * words + 128, build_operations=words, search_operations=words)
        size = float(n * dim)
        return Cost(index_bytes=4 * size + 128, build_operations=size, search_operations=size)

    def build(self, base: Any, metric: Metric, params: Any, threads: int) -> None:
        """Copy the base."""
        match metric:
            case "hamming":
                self._scan: Dense | Bits | InvertedSets = Bits.build(base)
            case "jaccard":
                self._scan = InvertedSets.build(base)
            case _:
                self._scan = Dense.build(base, metric)

    def configure(self, params: Any, threads: int) -> None:
        """Limit BLAS to `threads`, for the whole process: numpy has one BLAS."""
        threadpool_limits(limits=threads, user_api="blas")

    def search(self, query: Any, k: int) -> Ids:
        """Exact neighbours of one query."""
        return self._scan.search(query, k)

    def search_batch(self, queries: Any, k: int) -> Ids:
        """Exact neighbours of many queries."""
        return self._scan.search_batch(queries, k)

    def save(self, folder: Path) -> None:
        """Write npy files."""
        self._scan.save(folder)

    def load(self, folder: Path, metric: Metric, dim: int, params: Any) -> None:
        """Read npy files."""
        match metric:
            case "hamming":
                self._scan = Bits.load(folder)
            case "jaccard":
                self._scan = InvertedSets.load(folder)
            case _:
                self._scan = Dense.load(folder, metric)
