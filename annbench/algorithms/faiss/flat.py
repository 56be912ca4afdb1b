"""faiss IndexFlat: exhaustive float32 search."""

from __future__ import annotations

from typing import Any

from annbench.algorithms.base import Cost, PointContext, Trial
from annbench.algorithms.faiss.common import WRAPPER, FaissFamily
from annbench.algorithms.faiss.updates import FaissUpdates


class FaissFlat(FaissUpdates, FaissFamily):
    """Factory string `Flat`."""

    known_limits = (
        WRAPPER,
        "a batch of at least 128,000 ÷ dim queries computes L2 as ‖x‖² − 2·x·q + ‖q‖² in float32, where near-ties of "
        "vectors far from the origin swap (faiss 1.15); smaller batches and single calls subtract first",
    )

    trials = (Trial(recall=1.0),)

    @classmethod
    def factory(cls, params: Any) -> str:
        """`Flat`."""
        return "Flat"

    @classmethod
    def with_ids(cls, index: Any) -> Any:
        """Rows have numbers only: IndexIDMap2 keeps their ids, and moves them as removals move rows."""
        import faiss

        return faiss.IndexIDMap2(index)

    @classmethod
    def estimate(cls, context: PointContext, build: Any, search: Any) -> Cost:
        """The base as float32, and one multiply-add per component of it."""
        size = float(context.n * context.dim)
        return Cost(index_bytes=4 * size + 45, build_operations=0, search_operations=size)
