"""faiss IndexBinaryFlat: exhaustive Hamming search."""

from __future__ import annotations

from typing import Any

from annbench.algorithms.base import Cost, PointContext, Trial
from annbench.algorithms.faiss.binary import FaissBinaryFamily, packed_size, packed_words


class FaissBinaryFlat(FaissBinaryFamily):
    """faiss IndexBinaryFlat."""

    trials = (Trial(recall=1.0),)

    @classmethod
    def estimate(cls, context: PointContext, build: Any, search: Any) -> Cost:
        """The codes; every one is compared."""
        scan = context.n * packed_words(context)
        return Cost(index_bytes=packed_size(context) + 33, build_operations=0, search_operations=scan)

    def create_binary(self, dim: int, params: Any) -> Any:
        """The empty index."""
        import faiss

        return faiss.IndexBinaryFlat(dim)
