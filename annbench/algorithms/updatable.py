"""What an adapter offers beside `search` to be measured while its index changes.

An adapter derives from `Updatable`, and from its family if it has one:

    class Mine(Updatable):
        metrics = frozenset({"euclidean"})

        def start(self, ids, vectors, metric, params, threads, capacity): ...
        def insert(self, ids, vectors, threads): ...
        def delete(self, ids): ...
        def search(self, query, k): ...
"""

from __future__ import annotations

from typing import Any

from annbench.algorithms.base import Algorithm, Ids
from annbench.datasets.info import Metric


class Updatable(Algorithm):
    """An index that takes insertions and deletions between searches.

    The harness calls, in one fresh process: `start` → (`insert` | `delete` | `replace` | (`configure` → searches))*.
    `search` and `search_batch` return the ids under which vectors were inserted; ids are not row numbers here.
    """

    @classmethod
    def cannot_update(cls, params: Any) -> str | None:
        """Override where some build parameters exclude updates."""
        return None

    def start(self, ids: Ids, vectors: Any, metric: Metric, params: Any, threads: int, capacity: int) -> None:
        """Make the index of the first vectors (m, dim), in the form of `build`'s base, under distinct ids (m,) int64.

        Whatever is learned of vectors is learned of these. No more than `capacity` are ever there at once.
        """
        raise NotImplementedError

    def insert(self, ids: Ids, vectors: Any, threads: int) -> None:
        """Add vectors (m, dim) under ids (m,) that are not there; they may have been, and been deleted."""
        raise NotImplementedError

    def delete(self, ids: Ids) -> None:
        """Take out the vectors with ids (m,), which are there: no search may find them from here on."""
        raise NotImplementedError

    def index_bytes(self) -> int | None:
        """What the index takes, where saving it would change it; None where what it saves is to be measured."""
        return None

    def replace(self, ids: Ids, vectors: Any, threads: int) -> None:
        """Give other vectors (m, dim) to ids (m,), which are there; by default, delete and insert."""
        self.delete(ids)
        self.insert(ids, vectors, threads)
