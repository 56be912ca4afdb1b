"""faiss IndexBinaryHNSW: HNSW over packed bits."""

from __future__ import annotations

from math import log2
from typing import Any

from pydantic import Field

from annbench.algorithms.base import Cost, Params, PointContext, Trial
from annbench.algorithms.faiss.binary import FaissBinaryFamily, packed_size, packed_words
from annbench.algorithms.faiss.hnsw import HnswSearch


class BinaryHnswBuild(Params):
    """`IndexBinaryHNSW(d, M)`, with faiss' names and defaults; `seed` draws the levels."""

    M: int = Field(default=32, ge=2)
    efConstruction: int = Field(default=40, ge=1)  # noqa: N815 (the library's name)
    seed: int = Field(default=12345, ge=0)


class FaissBinaryHnsw(FaissBinaryFamily):
    """faiss IndexBinaryHNSW."""

    BuildParams = BinaryHnswBuild
    SearchParams = HnswSearch
    random_build = True
    seed_parameter = "seed"
    trials = (Trial({"M": 16, "efConstruction": 100}, {"efSearch": 200}, recall=0.98),)

    @classmethod
    def check(cls, context: PointContext, build: BinaryHnswBuild, search: HnswSearch) -> str | None:
        """`efSearch` below k is raised to k by the library."""
        if search.efSearch < context.k:
            return f"efSearch={search.efSearch} is below k={context.k}"
        return None

    @classmethod
    def estimate(cls, context: PointContext, build: BinaryHnswBuild, search: HnswSearch) -> Cost:
        """Code, 2·M links of 4 bytes, and level table per element; about efSearch·M distances a search."""
        descent = build.M * log2(max(context.n, 2))
        words = packed_words(context)
        return Cost(
            index_bytes=packed_size(context) + context.n * (4 * (2 * build.M + build.M / (build.M - 1)) + 12),
            build_operations=context.n * words * (build.efConstruction * build.M + descent),
            search_operations=words * (search.efSearch * build.M + descent),
        )

    def create_binary(self, dim: int, params: BinaryHnswBuild) -> Any:
        """The empty index, with its levels seeded."""
        import faiss

        index = faiss.IndexBinaryHNSW(dim, params.M)
        index.hnsw.efConstruction = params.efConstruction
        index.hnsw.rng = faiss.RandomGenerator(params.seed)  # type: ignore[attr-defined]
        return index

    def apply(self, index: Any, params: HnswSearch) -> None:
        """Set `efSearch`."""
        index.hnsw.efSearch = params.efSearch
