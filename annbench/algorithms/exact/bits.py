"""Exhaustive Hamming search over packed bits, 64 of them at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annbench.algorithms.base import Ids, Vectors
from annbench.algorithms.exact.select import nearest

FILE = "words.npy"
WORD_BYTES = 8
VECTORS_PER_BLOCK = 1 << 14  # their words and counts stay in the cache


class Bits:
    """The base as words (⌈bytes/8⌉, n) uint64: word by word, so that one instruction sees many vectors."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self._words = words

    @classmethod
    def build(cls, base: Vectors) -> Bits:
        """Copy `base` (n, bytes) uint8."""
        return cls(np.ascontiguousarray(_as_words(base).T))

    @classmethod
    def load(cls, folder: Path) -> Bits:
        """Read what `save` wrote."""
        return cls(np.load(folder / FILE, allow_pickle=False))

    def save(self, folder: Path) -> None:
        """Write the words as npy."""
        np.save(folder / FILE, self._words, allow_pickle=False)

    def search(self, query: Vectors, k: int) -> Ids:
        """Count the bits in which each vector differs from `query` (bytes,)."""
        n = self._words.shape[1]
        counts = np.zeros(n, dtype=np.int32)
        asked = _as_words(query[None])[0]
        for start in range(0, n, VECTORS_PER_BLOCK):
            block = slice(start, start + VECTORS_PER_BLOCK)
            for words, word in zip(self._words, asked, strict=True):
                counts[block] += np.bitwise_count(words[block] ^ word)
        return nearest(counts, k)

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """One query after the other."""
        return np.array([self.search(query, k) for query in queries], dtype=np.int64).reshape(len(queries), k)


def _as_words(rows: Vectors) -> NDArray[np.uint64]:
    """Rows (n, bytes) uint8 as (n, ⌈bytes/8⌉) uint64, filled up with zero bits."""
    missing = -rows.shape[1] % WORD_BYTES
    return np.pad(rows, [(0, 0), (0, missing)]).view(np.uint64)
