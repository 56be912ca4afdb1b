"""Adapters that each break one rule of the contract, over one that keeps them all."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from annbench.algorithms.base import Algorithm, Params, PointContext, Trial, padded

LIMIT = "finds no second copy of a vector"


class Search(Params):
    effort: int = 100


class Exact(Algorithm):
    SearchParams = Search
    metrics = frozenset({"euclidean"})
    known_limits = (LIMIT,)
    trials = (Trial({}, {"effort": 100}, recall=1.0),)

    @classmethod
    def check(cls, context: PointContext, build: Any, search: Any) -> str | None:
        return f"effort={search.effort} is below k={context.k}" if search.effort < context.k else None

    def build(self, base: Any, metric: str, params: Any, threads: int) -> None:
        self.base = base.astype(np.float64)

    def search(self, query: Any, k: int) -> Any:
        order = np.argsort(((self.base - query) ** 2).sum(axis=1), kind="stable")[:k]
        return padded(order, k)

    def save(self, folder: Path) -> None:
        np.save(folder / "base.npy", self.base)

    def load(self, folder: Path, metric: str, dim: int, params: Any) -> None:
        self.base = np.load(folder / "base.npy", allow_pickle=False)


class WrongMetric(Exact):
    def search(self, query: Any, k: int) -> Any:
        return padded(np.argsort(-(self.base @ query), kind="stable")[:k], k)


class OffByOne(Exact):
    def search(self, query: Any, k: int) -> Any:
        return super().search(query, k) + 1


class Twice(Exact):
    def search(self, query: Any, k: int) -> Any:
        ids = super().search(query, k)
        ids[1:] = ids[:-1]
        return ids


class Floats(Exact):
    def search(self, query: Any, k: int) -> Any:
        return super().search(query, k).astype(np.float32)


class TooMany(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        return super().search_batch(queries, k + 1)


class RepeatsToPad(Exact):
    def search(self, query: Any, k: int) -> Any:
        ids = super().search(query, k)
        return np.where(ids < 0, ids[0], ids)


class FailsOnNothing(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        return np.stack([self.search(query, k) for query in queries])


class KeepsAView(Exact):
    def build(self, base: Any, metric: str, params: Any, threads: int) -> None:
        self.base = base


class ScalesInPlace(Exact):
    def search(self, query: Any, k: int) -> Any:
        found = super().search(query, k)
        query *= 2
        return found


class Unseeded(Exact):
    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "salt").write_bytes(os.urandom(8))


class ForgetsHalf(Exact):
    def load(self, folder: Path, metric: str, dim: int, params: Any) -> None:
        super().load(folder, metric, dim, params)
        self.base = self.base[: len(self.base) // 2]


class SharedScratch(Exact):
    """One buffer for all threads."""

    def search(self, query: Any, k: int) -> Any:
        self.query = query
        time.sleep(1e-4)  # another thread's turn
        differences = self.base - self.query
        return padded(np.argsort((differences**2).sum(axis=1), kind="stable")[:k], k)


class TwoThreads(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        square = np.ones((500, 500))

        def work() -> None:
            for _ in range(30):
                np.sqrt(square * square)

        helpers = [threading.Thread(target=work) for _ in range(2)]
        for helper in helpers:
            helper.start()
        for helper in helpers:
            helper.join()
        return super().search_batch(queries, k)


class TakesAnything(Exact):
    @classmethod
    def check(cls, context: PointContext, build: Any, search: Any) -> str | None:
        return None


class OverflowsInt32(Exact):
    def search(self, query: Any, k: int) -> Any:
        if np.abs(self.base).max() < 100:
            return super().search(query, k)
        gaps = (self.base.astype(np.int32) - query.astype(np.int32)) ** 2
        return padded(np.argsort(gaps.sum(axis=1, dtype=np.int32), kind="stable")[:k], k)


class ExcusesWhatItCan(Exact):
    trials = (Trial({}, {"effort": 100}, recall=1.0, exceptions={"padding": LIMIT}),)


class ExcusesInOtherWords(Exact):
    trials = (Trial({}, {"effort": 100}, recall=1.0, exceptions={"padding": "finds no copies"}),)


class ExcusesWhatNobodyAsks(Exact):
    trials = (Trial({}, {"effort": 100}, recall=1.0, exceptions={"paddin": LIMIT}),)
