"""Which vectors belong together: what the network is to keep near each other.

Ids are those of what the positives are taken from, so that a loss can tell which of them is the anchor itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from annbench import Index
from annbench.errors import UsageError
from annbench.indexes.transforms.binarizer import BinarizerMetric

Matrix = NDArray[np.float32]
LEAST_PAIRS = 256


@dataclass(frozen=True)
class Pairs:
    """`anchors` (n, dim) and `positives` (m, dim), as a binarizer sees them. Row i of `near` (n, k) are the positives
    that belong to anchor i, nearest first. `own` (n,) is the positive that is the anchor itself; −1 where none is.
    `old_levels` (m, dim of the codes) are what an older model's binarizer makes of that model's vectors of the
    positives, where training is to be compatible with it; else None.
    """

    anchors: Matrix
    positives: Matrix
    near: NDArray[np.int64]
    own: NDArray[np.int64]
    old_levels: NDArray[np.int8] | None = None

    def __post_init__(self) -> None:
        if len(self.anchors) < LEAST_PAIRS:
            raise UsageError(
                f"{len(self.anchors):,} pairs are too few to learn from",
                where="pairs",
                remedy=f"give {LEAST_PAIRS} vectors or more",
            )
        if self.old_levels is not None and len(self.old_levels) != len(self.positives):
            raise UsageError(
                f"{len(self.old_levels):,} old codes for {len(self.positives):,} vectors",
                where="pairs",
                remedy="give the old model's vectors of the same things, in the same order",
            )

    @property
    def of_themselves(self) -> bool:
        """Whether the anchors are the positives, so that neighbours of anchors are anchors."""
        return self.anchors is self.positives

    def __len__(self) -> int:
        return len(self.anchors)

    @cached_property
    def digest(self) -> str:
        """16 hex digits of what belongs to what: two runs of the same are of the same data."""
        whole = hashlib.blake2b(digest_size=8)
        for part in (self.anchors, self.positives, self.near, self.own, self.old_levels):
            if part is not None:
                whole.update(np.ascontiguousarray(part).data)
        return whole.hexdigest()


def neighbours(vectors: Matrix, metric: BinarizerMetric, k: int, *, threads: int, seed: int) -> Pairs:
    """Every vector with its k nearest others, found along a graph."""
    k = min(k, len(vectors) - 1)
    found = _index(vectors, metric, threads, seed).search(vectors, k + 1, ef_search=4 * (k + 1), threads=threads)[0]
    own = np.arange(len(vectors))
    near = np.empty((len(vectors), k), np.int64)
    for i, ids in enumerate(found):
        others = ids[(ids != i) & (ids >= 0)][:k]
        near[i] = np.resize(others, k) if len(others) else i
    return Pairs(vectors, vectors, near, own)


def queries_and_documents(
    queries: Matrix, vectors: Matrix, metric: BinarizerMetric, k: int, *, threads: int, seed: int
) -> Pairs:
    """Every training query with its k nearest vectors."""
    k = min(k, len(vectors))
    near = _index(vectors, metric, threads, seed).search(queries, k, ef_search=8 * k, threads=threads)[0]
    return Pairs(queries, vectors, near, np.full(len(queries), -1))


def two_views(first: Matrix, second: Matrix) -> Pairs:
    """Row i of both are one thing."""
    if len(first) != len(second):
        raise UsageError(f"{len(first):,} and {len(second):,} rows are no pairs", remedy="give as many of both")
    own = np.arange(len(first))
    return Pairs(first, second, own[:, None], np.full(len(first), -1))


def _index(vectors: Matrix, metric: BinarizerMetric, threads: int, seed: int) -> Index:
    preset = "leanvec" if vectors.shape[1] > 1 else None
    return Index.build(vectors, metric, preset=preset, threads=threads, seed=seed)
