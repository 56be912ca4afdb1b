"""IVF over RaBitQ codes: a 1-bit scan, then the remaining bits of what passes its bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field, field_validator

from annbench.algorithms.base import Cost, Params, PointContext, Trial, Vectors
from annbench.algorithms.rabitqlib.common import (
    LARGE_VALUES,
    RANDOM_ROTATION,
    TOO_LARGE,
    ClusteredBuild,
    RabitqFamily,
    clustered,
    dimension_problem,
    padded_dim,
)

RAW_BITS = 32
FACTOR_BYTES = 24  # of each vector, beside its code: factors and id


class IvfBuild(ClusteredBuild):
    """Arguments of IvfIndex; `nbits` counts all bits of a dimension, 32 keeps float32 beside the 1-bit code."""

    nbits: int = 7

    @field_validator("nbits")
    @classmethod
    def _known(cls, nbits: int) -> int:
        if not 1 <= nbits <= 9 and nbits != RAW_BITS:
            raise ValueError("nbits is 1 to 9, or 32")
        return nbits


class IvfSearch(Params):
    """`nprobe` clusters are scanned."""

    nprobe: int = Field(default=1, ge=1)


class RabitqlibIvf(RabitqFamily):
    """rabitqlib.IvfIndex behind the library's own k-means."""

    BuildParams = IvfBuild
    SearchParams = IvfSearch
    seed_parameter = "seed"
    index_class = "IvfIndex"
    known_limits = (*RabitqFamily.known_limits, LARGE_VALUES)
    trials = (
        Trial(
            {"num_clusters": 8, "nbits": 7},
            {"nprobe": 8},
            recall=0.95,
            small_build={"num_clusters": 1},
            small_search={"nprobe": 1},
            exceptions={"same_bytes": RANDOM_ROTATION, **TOO_LARGE},
        ),
        Trial(
            {"num_clusters": 8, "nbits": 4, "fast_quantization": True},
            {"nprobe": 8},
            recall=0.8,
            small_build={"num_clusters": 1},
            small_search={"nprobe": 1},
            exceptions={"same_bytes": RANDOM_ROTATION, **TOO_LARGE},
        ),
    )

    @classmethod
    def check(cls, context: PointContext, build: IvfBuild, search: IvfSearch) -> str | None:
        """Clusters must fit the data and each other."""
        if build.num_clusters > context.n:
            return f"num_clusters={build.num_clusters} exceeds n={context.n}"
        if search.nprobe > build.num_clusters:
            return f"nprobe={search.nprobe} exceeds num_clusters={build.num_clusters}"
        return dimension_problem(context)

    @classmethod
    def estimate(cls, context: PointContext, build: IvfBuild, search: IvfSearch) -> Cost:
        """Codes and centroids; a search scans nprobe ÷ num_clusters of the 1-bit codes."""
        n, dim, width = context.n, context.dim, padded_dim(context.dim)
        code_bytes = width / 8 + 4 * dim if build.nbits == RAW_BITS else width * build.nbits / 8
        scanned = n * min(1.0, search.nprobe / build.num_clusters)
        return Cost(
            index_bytes=n * (code_bytes + FACTOR_BYTES) + 4 * build.num_clusters * width,
            build_operations=float(build.num_clusters * dim * n * (build.niter + 1)),
            search_operations=dim * (build.num_clusters + scanned / 8),
        )

    def create(self, base: Vectors, space: str, params: IvfBuild, threads: int) -> Any:
        """Cluster and quantize."""
        import rabitqlib

        centroids, assignments = clustered(base, params, threads)
        index = rabitqlib.IvfIndex(base.shape[1], len(base), params.num_clusters, params.nbits, space)
        index.build(base, centroids, assignments, threads, params.fast_quantization)
        return index

    def searching(self, params: IvfSearch) -> Callable[[Vectors, int, int], Any]:
        """`search` with `nprobe`; the library chooses the precision of its look-up tables by `nbits`."""
        call, nprobe = self._index.search, params.nprobe
        return lambda queries, k, threads: call(queries, k, nprobe, None, threads)
