"""Exhaustive search over packed bits by annbench's own kernels: exact, and nothing to choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from annbench import _native
from annbench.algorithms.base import Algorithm, Cost, Ids, PointContext, Trial, Vectors
from annbench.datasets.info import Metric
from annbench.errors import UnsupportedError

FILE = "codes.npy"
MOST_BITS = 8 * 8188


class HammingFlat(Algorithm):
    """The native HammingFlat: codes in blocks of 32, queries as tables; a batch shares what it reads."""

    metrics = frozenset({"hamming"})
    trials = (Trial(recall=1.0),)

    @classmethod
    def check(cls, context: PointContext, build: Any, search: Any) -> str | None:
        """Distances are counted in 16 bits."""
        return f"dim={context.dim} exceeds {MOST_BITS} bits" if context.dim > MOST_BITS else None

    @classmethod
    def estimate(cls, context: PointContext, build: Any, search: Any) -> Cost:
        """The codes; every one is compared, a word of 64 bits counting as one multiply-add."""
        words = context.n * max(1.0, context.dim / 64)
        size = float(context.n * -(-context.dim // 8))
        return Cost(index_bytes=size + 128, build_operations=words, search_operations=words)

    def build(self, base: Vectors, metric: Metric, params: Any, threads: int) -> None:
        """Copy the base (n, bytes) uint8 into blocks. Raises UnsupportedError for codes that are too long."""
        if 8 * base.shape[1] > MOST_BITS:
            raise UnsupportedError(f"codes have at most {MOST_BITS} bits", remedy="use bruteforce")
        self._open(base)

    def configure(self, params: Any, threads: int) -> None:
        """Keep the number of threads of a batch."""
        self._threads = threads

    def search(self, query: Vectors, k: int) -> Ids:
        """Exact neighbours of one query; of equally near ones the lower ids."""
        ids: Ids = self._search_one(np.ascontiguousarray(query), k)[0]
        return ids

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """Exact neighbours of many queries, which share what is read."""
        ids: Ids = self._flat.search(np.ascontiguousarray(queries), k, self._threads)[0]
        return ids

    def save(self, folder: Path) -> None:
        """Write the codes as they came, as npy."""
        np.save(folder / FILE, self._flat.codes, allow_pickle=False)

    def load(self, folder: Path, metric: Metric, dim: int, params: Any) -> None:
        """Read the codes."""
        self._open(np.load(folder / FILE, allow_pickle=False))

    def _open(self, codes: Vectors) -> None:
        self._flat = _native.HammingFlat(codes)
        self._search_one = self._flat.search_one
        self._threads = 1
