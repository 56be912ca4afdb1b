"""Adapters that take updates and misbehave at one of them, each derived from one that is exact."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

from annbench.algorithms.updatable import Updatable


class Exact(Updatable):
    """Correct; cannot save."""

    metrics = frozenset({"euclidean"})
    can_save = False

    def start(self, ids: Any, vectors: Any, metric: str, params: Any, threads: int, capacity: int) -> None:
        self.there = dict(zip(ids.tolist(), vectors.copy(), strict=True))

    def insert(self, ids: Any, vectors: Any, threads: int) -> None:
        assert not set(ids.tolist()) & set(self.there)
        self.there |= dict(zip(ids.tolist(), vectors.copy(), strict=True))

    def delete(self, ids: Any) -> None:
        for i in ids.tolist():
            del self.there[i]

    def search(self, query: Any, k: int) -> Any:
        ids = np.array(list(self.there))
        distances = ((np.stack(list(self.there.values())) - query) ** 2).sum(axis=1)
        return ids[np.argsort(distances, kind="stable")[:k]]


class RaisesInDelete(Exact):
    def delete(self, ids: Any) -> None:
        raise ValueError("lost its way")


class DiesInDelete(Exact):
    def delete(self, ids: Any) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


class SleepsInDelete(Exact):
    def delete(self, ids: Any) -> None:
        time.sleep(600)


class KeepsTheDeleted(Exact):
    def delete(self, ids: Any) -> None:
        self.gone = [*getattr(self, "gone", []), *ids.tolist()]

    def insert(self, ids: Any, vectors: Any, threads: int) -> None:
        self.there |= dict(zip(ids.tolist(), vectors.copy(), strict=True))


class Floats(Exact):
    def search(self, query: Any, k: int) -> Any:
        return super().search(query, k).astype(np.float32)
