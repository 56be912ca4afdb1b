"""Algorithms that do what algorithms must not, each derived from one that is exact."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from annbench.algorithms.base import Algorithm, Params


class Step(Params):
    step: int = 0


class Exact(Algorithm):
    """Correct, saves, and can be asked for any search step."""

    SearchParams = Step
    metrics = frozenset({"euclidean"})

    def build(self, base: Any, metric: str, params: Any, threads: int) -> None:
        self.base = base.copy()

    def configure(self, params: Any, threads: int) -> None:
        self.step = params.step

    def search(self, query: Any, k: int) -> Any:
        return np.argsort(((self.base - query) ** 2).sum(axis=1), kind="stable")[:k]

    def search_batch(self, queries: Any, k: int) -> Any:
        return np.stack([Exact.search(self, query, k) for query in queries])

    def save(self, folder: Path) -> None:
        np.save(folder / "base.npy", self.base)

    def load(self, folder: Path, metric: str, dim: int, params: Any) -> None:
        self.base = np.load(folder / "base.npy", allow_pickle=False)


class CannotSave(Exact):
    can_save = False
    save = Algorithm.save
    load = Algorithm.load


class SegfaultsAtTwo(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().search_batch(queries, k)


class RaisesAtTwo(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        if self.step == 2:
            raise ValueError("cannot do two")
        return super().search_batch(queries, k)


class SleepsForever(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        time.sleep(600)


class EatsMemoryInBuild(Exact):
    def build(self, base: Any, metric: str, params: Any, threads: int) -> None:
        self.kept = [np.ones(1 << 23) for _ in range(10_000)]


class DiesInBuild(Exact):
    def build(self, base: Any, metric: str, params: Any, threads: int) -> None:
        os.abort()


class DiesInLoad(Exact):
    def load(self, folder: Path, metric: str, dim: int, params: Any) -> None:
        os.kill(os.getpid(), signal.SIGILL)


class LeavesWithoutAnAnswer(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        os._exit(0)


class WrongShape(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        return super().search_batch(queries, k)[:-1]


class Floats(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        return super().search_batch(queries, k).astype(np.float32)


class Duplicates(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        ids = super().search_batch(queries, k)
        ids[:, 1] = ids[:, 0]
        return ids


class InventsIds(Exact):
    def search_batch(self, queries: Any, k: int) -> Any:
        ids = super().search_batch(queries, k)
        ids[:, -1] = 10**6
        return ids


class NeverRight(Exact):
    """The farthest, as an index built for the wrong metric returns them."""

    def search_batch(self, queries: Any, k: int) -> Any:
        return np.stack([np.argsort(-((self.base - query) ** 2).sum(axis=1))[:k] for query in queries])


class WaitsAtItsSecondPoint(NeverRight):
    """Asks the test to do something meanwhile: says so in a file, and goes on when another one is there."""

    points = 0

    def configure(self, params: Any, threads: int) -> None:
        super().configure(params, threads)
        self.points += 1
        folder = Path(os.environ["ANNBENCH_TEST_FOLDER"])
        while self.points == 2 and not (folder / "go").exists():
            (folder / "waiting").touch()
            time.sleep(0.02)


class TwoThreads(Exact):
    """Says one, uses two."""

    def search_batch(self, queries: Any, k: int) -> Any:
        import threading

        def work() -> None:
            square = np.random.default_rng(0).random((700, 700))
            for _ in range(20):
                square = np.sqrt(square * square + 1.0)

        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        helpers = [threading.Thread(target=work) for _ in range(2)]
        for helper in helpers:
            helper.start()
        for helper in helpers:
            helper.join()
        return super().search_batch(queries, k)


class OnlyInnerProduct(Exact):
    metrics = frozenset({"ip"})


class Stubborn(Exact):
    """Ignores SIGTERM, and leaves a child in its group, one in another, and an orphan of nobody."""

    def search_batch(self, queries: Any, k: int) -> Any:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sleep = [sys.executable, "-c", f"import time; time.sleep(600)  # stubborn {os.environ['STUBBORN']}"]
        subprocess.Popen(sleep)
        subprocess.Popen(sleep, start_new_session=True)
        code = f"import subprocess; subprocess.Popen({sleep!r}, start_new_session=True)"
        subprocess.run([sys.executable, "-c", code], check=True)
        Path(os.environ["STUBBORN"]).touch()
        time.sleep(600)


class Floods(Exact):
    """Correct, and prints a gigabyte about it."""

    def search_batch(self, queries: Any, k: int) -> Any:
        for _ in range(128):
            os.write(2, b"x" * (1 << 22))
        return super().search_batch(queries, k)
