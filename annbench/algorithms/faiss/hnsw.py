"""faiss HNSW over float32 or scalar-quantized codes."""

from __future__ import annotations

from math import log2
from typing import Any, Literal

from pydantic import Field

from annbench.algorithms.base import Cost, Params, PointContext, Trial
from annbench.algorithms.faiss.common import SCALAR_BYTES, SLOW_DIMENSIONS, WRAPPER, ZERO_VECTORS, FaissFamily


class HnswBuild(Params):
    """`HNSW{M},{storage}`, with faiss' names and defaults; `seed` draws the levels."""

    M: int = Field(default=32, ge=2)
    efConstruction: int = Field(default=40, ge=1)  # noqa: N815 (the library's name)
    storage: Literal["Flat", "SQ8"] = "Flat"
    seed: int = Field(default=12345, ge=0)


class HnswSearch(Params):
    """Search parameters, with faiss' names and defaults."""

    efSearch: int = Field(default=16, ge=1)  # noqa: N815 (the library's name)


class FaissHnsw(FaissFamily):
    """IndexHNSWFlat and IndexHNSWSQ."""

    BuildParams = HnswBuild
    SearchParams = HnswSearch
    seed_parameter = "seed"
    known_limits = (
        WRAPPER,
        ZERO_VECTORS,
        SLOW_DIMENSIONS,
        "SQ8 is capped near recall 0.98 on fashion-mnist-784, whatever efSearch is",
        "ip is not a metric, and the graph's pruning rule assumes a triangle inequality: where queries point away from "
        "the base, nothing right is found however large efSearch is",
    )

    trials = (
        Trial({"M": 16, "efConstruction": 100}, {"efSearch": 200}, recall=0.99),
        Trial({"M": 16, "efConstruction": 100, "storage": "SQ8"}, {"efSearch": 200}, recall=0.95),
    )

    @classmethod
    def factory(cls, params: HnswBuild) -> str:
        """Such as `HNSW32,SQ8`."""
        return f"HNSW{params.M},{params.storage}"

    @classmethod
    def cannot_update(cls, params: HnswBuild) -> str | None:
        """The library says so itself."""
        return "faiss cannot remove vectors from an HNSW"

    @classmethod
    def exact_codes(cls, params: HnswBuild) -> bool:
        """Only float32 is exact."""
        return params.storage == "Flat"

    @classmethod
    def check(cls, context: PointContext, build: HnswBuild, search: HnswSearch) -> str | None:
        """`efSearch` below k is raised to k by the library."""
        if search.efSearch < context.k:
            return f"efSearch={search.efSearch} is below k={context.k}"
        return None

    @classmethod
    def estimate(cls, context: PointContext, build: HnswBuild, search: HnswSearch) -> Cost:
        """Code, 2·M links of 4 bytes, and level table per element; about efSearch·M distances a search."""
        per_row = context.dim * SCALAR_BYTES[build.storage] + 4 * (2 * build.M + build.M / (build.M - 1)) + 12
        descent = build.M * log2(max(context.n, 2))
        return Cost(
            index_bytes=context.n * per_row,
            build_operations=context.n * context.dim * (build.efConstruction * build.M + descent),
            search_operations=context.dim * (search.efSearch * build.M + descent),
        )

    def prepare(self, index: Any, params: HnswBuild) -> None:
        """Set what the factory string cannot carry."""
        import faiss

        index.hnsw.efConstruction = params.efConstruction
        index.hnsw.rng = faiss.RandomGenerator(params.seed)  # type: ignore[attr-defined]

    def apply(self, index: Any, params: HnswSearch) -> None:
        """Set `efSearch`."""
        index.hnsw.efSearch = params.efSearch
