"""HNSW over RaBitQ codes: links come from the float32 vectors, which are not kept."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Any

from pydantic import Field

from annbench.algorithms.base import Cost, Params, PointContext, Trial, Vectors
from annbench.algorithms.rabitqlib.common import (
    LARGE_VALUES,
    SMALL_DIMENSIONS,
    TOO_LARGE,
    ClusteredBuild,
    RabitqFamily,
    clustered,
    dimension_problem,
    padded_dim,
)

FACTOR_BYTES = 24  # of each vector, beside its code and links: factors, label, cluster


class HnswBuild(ClusteredBuild):
    """Arguments of HnswIndex; `nbits` counts all bits of a dimension."""

    M: int = Field(default=16, ge=2)
    ef_construction: int = Field(default=200, ge=1)
    nbits: int = Field(default=8, ge=1, le=9)
    random_seed: int = Field(default=100, ge=0)


class HnswSearch(Params):
    """`ef` is the size of the search window."""

    ef: int = Field(default=10, ge=1)


class RabitqlibHnsw(RabitqFamily):
    """rabitqlib.HnswIndex."""

    BuildParams = HnswBuild
    SearchParams = HnswSearch
    seed_parameter = "random_seed"
    index_class = "HnswIndex"
    known_limits = (SMALL_DIMENSIONS, LARGE_VALUES)
    trials = (
        Trial({}, {"ef": 200}, recall=0.95, small_build={"num_clusters": 1}, exceptions=TOO_LARGE),
        Trial({"nbits": 5}, {"ef": 200}, recall=0.85, small_build={"num_clusters": 1}, exceptions=TOO_LARGE),
    )

    @classmethod
    def check(cls, context: PointContext, build: HnswBuild, search: HnswSearch) -> str | None:
        """Clusters must fit the data, and the window hold k."""
        if build.num_clusters > context.n:
            return f"num_clusters={build.num_clusters} exceeds n={context.n}"
        if search.ef < context.k:
            return f"ef={search.ef} is below k={context.k}"
        return dimension_problem(context)

    @classmethod
    def estimate(cls, context: PointContext, build: HnswBuild, search: HnswSearch) -> Cost:
        """Code, 2·M + 1 links of 4 bytes and factors of each vector; about ef·M distances per search."""
        width, descent = padded_dim(context.dim), build.M * log2(max(context.n, 2))
        per_row = width * build.nbits / 8 + 4 * (2 * build.M + 1) + FACTOR_BYTES
        return Cost(
            index_bytes=context.n * per_row + 4 * build.num_clusters * width,
            build_operations=context.n * context.dim * (build.ef_construction * build.M + descent),
            search_operations=context.dim * (search.ef * build.M / 8 + descent),
        )

    def create(self, base: Vectors, space: str, params: HnswBuild, threads: int) -> Any:
        """Cluster, link and quantize; the order of insertions is fixed only with one thread."""
        import rabitqlib

        centroids, assignments = clustered(base, params, threads)
        index = rabitqlib.HnswIndex(
            base.shape[1], len(base), params.M, params.ef_construction, params.nbits, space, params.random_seed
        )
        index.build(base, centroids, assignments, threads, params.fast_quantization)
        return index

    def searching(self, params: HnswSearch) -> Callable[[Vectors, int, int], Any]:
        """`search` with the window of `params`."""
        call, ef = self._index.search, params.ef
        return lambda queries, k, threads: call(queries, k, ef, threads)
