"""faiss IndexBinaryIVF: inverted lists of packed bits.

Its k-means runs on the bits as numbers, and the centroids are rounded back to bits.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from annbench.algorithms.base import Cost, Params, PointContext, Trial
from annbench.algorithms.faiss.binary import TIES, FaissBinaryFamily, packed_size, packed_words
from annbench.algorithms.faiss.common import (
    DEFAULT_CLUSTERING_SEED,
    ONE_LIST,
    WRAPPER,
    ivf_build_operations,
    ivf_problem,
)


class BinaryIvfBuild(Params):
    """`IndexBinaryIVF(quantizer, d, nlist)`; `seed` draws the first centroids."""

    nlist: int = Field(ge=1)
    seed: int = Field(default=DEFAULT_CLUSTERING_SEED, ge=0)


class BinaryIvfSearch(Params):
    """`nprobe` lists are scanned."""

    nprobe: int = Field(default=1, ge=1)


class FaissBinaryIvf(FaissBinaryFamily):
    """faiss IndexBinaryIVF over an IndexBinaryFlat."""

    BuildParams = BinaryIvfBuild
    SearchParams = BinaryIvfSearch
    seed_parameter = "seed"
    known_limits = (
        WRAPPER,
        TIES,
        "use_heap=False returns nothing at all, and per_invlist_search fails for single queries (faiss 1.15): both are "
        "left out",
    )
    trials = (
        Trial({"nlist": 8}, {"nprobe": 8}, recall=1.0, **ONE_LIST),
        Trial({"nlist": 8}, {"nprobe": 4}, recall=0.6, **ONE_LIST),
    )

    @classmethod
    def check(cls, context: PointContext, build: BinaryIvfBuild, search: BinaryIvfSearch) -> str | None:
        """Lists must fit the data and each other."""
        return ivf_problem(context.n, build.nlist, search.nprobe)

    @classmethod
    def estimate(cls, context: PointContext, build: BinaryIvfBuild, search: BinaryIvfSearch) -> Cost:
        """Codes, ids of 8 bytes and centroids; a search scans nprobe ÷ nlist of the codes."""
        words = packed_words(context)
        scanned = context.n * min(1.0, search.nprobe / build.nlist)
        return Cost(
            index_bytes=packed_size(context) + 8.0 * context.n + build.nlist * (-(-context.dim // 8) + 8) + 120,
            build_operations=ivf_build_operations(context.n, context.dim, build.nlist),
            search_operations=words * (build.nlist + scanned),
        )

    def create_binary(self, dim: int, params: BinaryIvfBuild) -> Any:
        """The empty index, which keeps its quantizer alive."""
        import faiss

        quantizer = faiss.IndexBinaryFlat(dim)
        index = faiss.IndexBinaryIVF(quantizer, dim, params.nlist)
        quantizer.this.disown()  # type: ignore[attr-defined]
        index.own_fields = True
        index.cp.seed = params.seed
        return index

    def apply(self, index: Any, params: BinaryIvfSearch) -> None:
        """Set `nprobe`."""
        index.nprobe = params.nprobe
