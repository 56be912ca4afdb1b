"""hnswlib: the reference HNSW of its authors (Malkov and Yashunin, TPAMI 2020),
https://github.com/nmslib/hnswlib.

Cosine uses the library's own `cosine` space, which scales base and queries itself.
"""

from __future__ import annotations

from math import log2
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from annbench.algorithms.base import Cost, Ids, Params, PointContext, Trial, Vectors, padded
from annbench.algorithms.updatable import Updatable
from annbench.datasets.info import Metric

FILE = "index.hnsw"
SPACES: dict[Metric, str] = {"euclidean": "l2", "cosine": "cosine", "ip": "ip"}


class HnswlibBuild(Params):
    """Build parameters, with hnswlib's names and defaults."""

    M: int = Field(default=16, ge=2)
    ef_construction: int = Field(default=200, ge=1)
    random_seed: int = Field(default=100, ge=0)


class HnswlibSearch(Params):
    """Search parameters, with hnswlib's names and defaults."""

    ef: int = Field(default=10, ge=1)


class Hnswlib(Updatable):
    """hnswlib.Index in the spaces `l2`, `cosine` and `ip`."""

    BuildParams = HnswlibBuild
    SearchParams = HnswlibSearch
    metrics = frozenset(SPACES)
    distributions = ("hnswlib",)
    modules = ("hnswlib",)
    random_build = True
    seed_parameter = "random_seed"
    known_limits = (
        "ip is not a metric, and the graph's pruning rule assumes a triangle inequality: where queries point away from "
        "the base, nothing right is found however large ef is",
        "space ip scores 1 − x·q in float32: products far below 1e-7 are indistinguishable",
        "a search that reaches fewer than k vectors raises instead of returning what it found (many equal vectors, or "
        "few links)",
        "loading trusts the sizes in the file",
    )

    trials = (Trial({}, {"ef": 200}, recall=0.99),)

    @classmethod
    def check(cls, context: PointContext, build: HnswlibBuild, search: HnswlibSearch) -> str | None:
        """`ef` below k is raised to k by the library: the point would carry a wrong name."""
        if search.ef < context.k:
            return f"ef={search.ef} is below k={context.k}"
        return None

    @classmethod
    def estimate(cls, context: PointContext, build: HnswlibBuild, search: HnswlibSearch) -> Cost:
        """Vector, 2·M + 1 links of 4 bytes and a label of 8 per element; about ef·M distances per search."""
        per_row = 4 * context.dim + 4 * (2 * build.M + 1) + 8 + 4 + 4 * (build.M + 1) / (build.M - 1)
        descent = build.M * log2(max(context.n, 2))
        return Cost(
            index_bytes=context.n * per_row + 96,
            build_operations=context.n * context.dim * (build.ef_construction * build.M + descent),
            search_operations=context.dim * (search.ef * build.M + descent),
        )

    def build(self, base: Vectors, metric: Metric, params: HnswlibBuild, threads: int) -> None:
        """Insert all rows with `threads` threads; their order, hence the graph, is fixed only with one."""
        import hnswlib

        n, dim = base.shape
        index = hnswlib.Index(space=SPACES[metric], dim=dim)
        index.init_index(n, M=params.M, ef_construction=params.ef_construction, random_seed=params.random_seed)
        index.set_num_threads(threads)
        index.add_items(base)
        self._open(index)

    def start(
        self, ids: Ids, vectors: Vectors, metric: Metric, params: HnswlibBuild, threads: int, capacity: int
    ) -> None:
        """As `build`, with room for `capacity` vectors, and deleted ones making room for new ones."""
        import hnswlib

        index = hnswlib.Index(space=SPACES[metric], dim=vectors.shape[1])
        index.init_index(
            capacity,
            M=params.M,
            ef_construction=params.ef_construction,
            random_seed=params.random_seed,
            allow_replace_deleted=True,
        )
        index.add_items(vectors, ids, num_threads=threads)
        self._deleted: set[int] = set()
        self._open(index)

    def insert(self, ids: Ids, vectors: Vectors, threads: int) -> None:
        """Into the places of deleted elements. An id whose own element is only marked is unmarked and overwritten: the
        library would leave two elements under it.
        """
        back = np.array([int(i) in self._deleted and self._unmark(int(i)) for i in ids], dtype=bool)
        if back.any():
            self._index.add_items(vectors[back], ids[back], num_threads=threads)
        if not back.all():
            self._index.add_items(vectors[~back], ids[~back], num_threads=threads, replace_deleted=True)
        self._n += len(ids)

    def delete(self, ids: Ids) -> None:
        """Marks them, one call each, as the library has it."""
        for label in ids.tolist():
            self._index.mark_deleted(label)
        self._deleted.update(ids.tolist())
        self._n -= len(ids)

    def replace(self, ids: Ids, vectors: Vectors, threads: int) -> None:
        """Adding under a label that is there updates its element in place."""
        self._index.add_items(vectors, ids, num_threads=threads)

    def _unmark(self, label: int) -> bool:
        """Whether the deleted id still had an element, which is back then: its place may have gone to another."""
        self._deleted.discard(label)
        try:
            self._index.unmark_deleted(label)
        except RuntimeError:
            return False
        return True

    def configure(self, params: HnswlibSearch, threads: int) -> None:
        """Set `ef` and the number of threads of a batch."""
        self._index.set_ef(params.ef)
        self._index.set_num_threads(threads)

    def search(self, query: Vectors, k: int) -> Ids:
        """One query; the library runs it on the calling thread."""
        if k > self._n:
            return padded(self._knn_query(query, self._n)[0][0], k)
        ids: Ids = self._knn_query(query, k)[0][0]
        return ids

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """All queries in one call."""
        if k > self._n:
            return padded(self._knn_query(queries, self._n)[0], k)
        ids: Ids = self._knn_query(queries, k)[0]
        return ids

    def save(self, folder: Path) -> None:
        """Write the library's own file."""
        self._index.save_index(str(folder / FILE))

    def load(self, folder: Path, metric: Metric, dim: int, params: HnswlibBuild) -> None:
        """Read the library's own file."""
        import hnswlib

        index = hnswlib.Index(space=SPACES[metric], dim=dim)
        index.load_index(str(folder / FILE))
        self._open(index)

    def _open(self, index: Any) -> None:
        self._index = index
        self._n = index.get_current_count()
        self._knn_query = index.knn_query
