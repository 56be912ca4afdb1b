"""Insertions and deletions of the faiss families that have both."""

from __future__ import annotations

from typing import Any

import numpy as np

from annbench.algorithms.base import Ids, Vectors
from annbench.algorithms.faiss.common import FaissFamily, unit_vectors
from annbench.algorithms.updatable import Updatable
from annbench.datasets.info import Metric
from annbench.errors import UnsupportedError


class FaissUpdates(Updatable, FaissFamily):
    """Derived from before the family, so that the family's `build` and `search` stay as they are."""

    @classmethod
    def with_ids(cls, index: Any) -> Any:
        """The index as one that takes ids; inverted lists store them with their codes.

        They must not be wrapped in IndexIDMap2: that counts on removals closing ranks, and lists do not.
        """
        return index

    def start(self, ids: Ids, vectors: Vectors, metric: Metric, params: Any, threads: int, capacity: int) -> None:
        """Train on the first vectors and add them."""
        import faiss

        faiss.omp_set_num_threads(threads)
        self._cosine = metric == "cosine"
        vectors = self._prepared(vectors)
        index = self.create(vectors.shape[1], params, self._faiss_metric(metric, params))
        self.prepare(index, params)
        index.train(vectors)
        self.refuse(index, vectors, params)
        index = self.with_ids(index)
        index.add_with_ids(vectors, np.asarray(ids, dtype=np.int64))
        self._open(index, metric, params)

    def insert(self, ids: Ids, vectors: Vectors, threads: int) -> None:
        """add_with_ids."""
        import faiss

        faiss.omp_set_num_threads(threads)
        self._index.add_with_ids(self._prepared(vectors), np.asarray(ids, dtype=np.int64))

    def delete(self, ids: Ids) -> None:
        """remove_ids, which goes through all that is stored. Raises UnsupportedError where the index has none."""
        try:
            removed = self._index.remove_ids(np.asarray(ids, dtype=np.int64))
        except RuntimeError as error:
            raise UnsupportedError(f"faiss: {error}", remedy="choose another storage") from error
        if removed != len(ids):
            raise RuntimeError(f"remove_ids removed {removed} of {len(ids)} vectors")

    def _prepared(self, vectors: Vectors) -> Vectors:
        return unit_vectors(vectors) if self._cosine else vectors
