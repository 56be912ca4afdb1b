"""Times of several things in one process, taken in turns, and their ratios round by round.

What disturbs a round disturbs all that is compared in it; a ratio is the median over rounds, with the least and the
greatest beside it. Times are of the processor, all threads of the process together, so that waiting for a core that
somebody else has does not count.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

LEAST_SECONDS = 0.02


def pin_to_one_core() -> int:
    """Bind the process to the last core it may use, and its libraries to one thread. Returns the core."""
    core = sorted(os.sched_getaffinity(0))[-1]
    os.sched_setaffinity(0, {core})
    threadpool_limits(limits=1)
    return core


@dataclass(frozen=True)
class Spread:
    """A median with what it lies between."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} … {self.greatest:.2f})"


class Rounds:
    """Seconds a call of every case, one list a case, in the order of the rounds."""

    def __init__(self, seconds: dict[str, list[float]]) -> None:
        self._seconds = seconds

    def seconds(self, case: str) -> float:
        """The median."""
        return statistics.median(self._seconds[case])

    def rate(self, case: str, amount: float) -> Spread:
        """`amount` a call, per second."""
        return Spread.of([amount / taken for taken in self._seconds[case]])

    def ratio(self, fast: str, slow: str, scale: float = 1.0) -> Spread:
        """How many times as fast `fast` is: time of `slow` ÷ time of `fast`, times `scale`."""
        pairs = zip(self._seconds[slow], self._seconds[fast], strict=True)
        return Spread.of([scale * slow_taken / fast_taken for slow_taken, fast_taken in pairs])


def in_turns(cases: Mapping[str, Callable[[], object]], rounds: int, seed: int = 1) -> Rounds:
    """Time every case `rounds` times after a warm-up, in an order that is drawn anew for each round."""
    order, shuffler = list(cases), random.Random(seed)
    repeats = {name: _repeats(call) for name, call in cases.items()}
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        shuffler.shuffle(order)
        for name in order:
            call, count = cases[name], repeats[name]
            start = time.process_time_ns()
            for _ in range(count):
                call()
            seconds[name].append((time.process_time_ns() - start) / 1e9 / count)
    return Rounds(seconds)


def _repeats(call: Callable[[], object]) -> int:
    call()
    start = time.process_time_ns()
    call()
    taken = (time.process_time_ns() - start) / 1e9
    return max(1, round(LEAST_SECONDS / max(taken, 1e-7)))


def one_by_one(search: Callable[[np.ndarray], object], queries: np.ndarray) -> Callable[[], object]:
    """A call that asks `search` for one query after the other."""
    rows = list(queries)

    def call() -> None:
        for row in rows:
            search(row)

    return call


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """At once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(record, indent=1))
    os.replace(fresh, path)
