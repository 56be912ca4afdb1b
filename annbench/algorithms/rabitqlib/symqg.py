"""SymphonyQG: a graph whose nodes keep the 1-bit codes of all their neighbours beside them, so that one batched look-up
scores a whole neighbourhood (Gou, Gao, Xu and Long, SIGMOD 2025, doi 10.1145/3709730).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from annbench.algorithms.base import Cost, Params, PointContext, Trial, Vectors
from annbench.algorithms.rabitqlib.common import (
    RANDOM_ROTATION,
    RabitqFamily,
    dimension_problem,
    padded_dim,
)

NEIGHBOR_BYTES = 12  # of each neighbour, beside its code: id and factors


class SymqgBuild(Params):
    """Arguments of SymqgIndex and its `build`; `quantization_bits` is of the stored vectors, 0 keeps float32."""

    max_degree: int = Field(default=32, ge=32, multiple_of=32)
    quantization_bits: Literal[0, 4, 8] = 0
    ef_construction: int = Field(default=200, ge=1)
    init: Literal["pipnn", "random"] = "pipnn"


class SymqgSearch(Params):
    """`ef` is the size of the search window."""

    ef: int = Field(default=100, ge=1)


class RabitqlibSymqg(RabitqFamily):
    """rabitqlib.SymqgIndex."""

    BuildParams = SymqgBuild
    SearchParams = SymqgSearch
    index_class = "SymqgIndex"
    known_limits = (*RabitqFamily.known_limits, "needs more vectors than max_degree")
    trials = (
        Trial({}, {"ef": 200}, recall=0.98, exceptions={"same_bytes": RANDOM_ROTATION}),
        Trial({"quantization_bits": 8}, {"ef": 200}, recall=0.95, exceptions={"same_bytes": RANDOM_ROTATION}),
    )

    @classmethod
    def check(cls, context: PointContext, build: SymqgBuild, search: SymqgSearch) -> str | None:
        """The graph must fit the data, and the window hold k."""
        if build.max_degree >= context.n:
            return f"max_degree={build.max_degree} is not below n={context.n}"
        if search.ef < context.k:
            return f"ef={search.ef} is below k={context.k}"
        return dimension_problem(context)

    @classmethod
    def estimate(cls, context: PointContext, build: SymqgBuild, search: SymqgSearch) -> Cost:
        """The stored vector, and a 1-bit code, factors and id for each neighbour."""
        vector_bytes = context.dim * (build.quantization_bits or 32) / 8
        neighborhood = build.max_degree * (padded_dim(context.dim) / 8 + NEIGHBOR_BYTES)
        per_visit = context.dim * (1 + build.max_degree / 32)
        return Cost(
            index_bytes=context.n * (vector_bytes + neighborhood),
            build_operations=context.n * build.ef_construction * per_visit,
            search_operations=search.ef * per_visit,
        )

    def create(self, base: Vectors, space: str, params: SymqgBuild, threads: int) -> Any:
        """A graph grown from `init` and refined by the library."""
        import rabitqlib

        index = rabitqlib.SymqgIndex(base.shape[1], params.max_degree, space, params.quantization_bits)
        index.build(base, params.ef_construction, threads, params.init)
        return index

    def searching(self, params: SymqgSearch) -> Callable[[Vectors, int, int], Any]:
        """`search_batch` with the window of `params`."""
        call, ef = self._index.search_batch, params.ef
        return lambda queries, k, threads: call(queries, k, ef, threads)
