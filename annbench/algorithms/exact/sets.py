"""Exhaustive Jaccard search by inverted lists: for each element, the sets that contain it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.algorithms.base import Ids
from annbench.algorithms.exact.select import nearest
from annbench.distances.jaccard import Jaccard
from annbench.distances.sets import Sets

FILES = ("starts.npy", "owners.npy", "sizes.npy")


class InvertedSets:
    """`owners[starts[e]:starts[e + 1]]` are the sets that contain element e; `sizes` (n,) count their elements."""

    def __init__(self, starts: NDArray[np.int64], owners: NDArray[np.int32], sizes: NDArray[np.int64]) -> None:
        self._starts, self._owners, self._sizes = starts, owners, sizes

    @classmethod
    def build(cls, base: Sets) -> InvertedSets:
        """Turn rows into lists."""
        rows = np.repeat(np.arange(len(base), dtype=np.int32), base.sizes)
        order = np.argsort(base.elements, kind="stable")
        counts = np.bincount(base.elements, minlength=base.dim)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(starts, rows[order], base.sizes.copy())

    @classmethod
    def load(cls, folder: Path) -> InvertedSets:
        """Read what `save` wrote."""
        starts, owners, sizes = (np.load(folder / name, allow_pickle=False) for name in FILES)
        return cls(starts, owners, sizes)

    def save(self, folder: Path) -> None:
        """Write the three arrays as npy."""
        arrays: tuple[NDArray[Any], ...] = (self._starts, self._owners, self._sizes)
        for name, array in zip(FILES, arrays, strict=True):
            np.save(folder / name, array, allow_pickle=False)

    def search(self, query: NDArray[Any], k: int) -> Ids:
        """Count the elements that each set shares with `query` (m,); all ratios are exact."""
        known = query[query < len(self._starts) - 1]
        lists = [self._owners[self._starts[element] : self._starts[element + 1]] for element in known]
        shared = np.concatenate(lists) if lists else np.empty(0, dtype=np.int32)
        common = np.bincount(shared, minlength=len(self._sizes))
        return nearest(Jaccard.of_counts(common, self._sizes + len(query) - common), k)

    def search_batch(self, queries: Any, k: int) -> Ids:
        """One query after the other."""
        return np.array([self.search(query, k) for query in queries], dtype=np.int64).reshape(len(queries), k)
