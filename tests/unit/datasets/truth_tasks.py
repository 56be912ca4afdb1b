"""Ends an exact search at a known point of it, however busy the machine is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from annbench.datasets.ground_truth import engine

WAIT_SECONDS = 60


class Tasks:
    """Lets `limit` tasks be done, of one thread; each further one waits until its run is stopped; a file says so.

    `done` are their blocks of queries.
    """

    def __init__(self, limit: float = math.inf, sign: str | None = None) -> None:
        self.limit = limit
        self.sign = sign
        self.done: list[tuple[int, int]] = []

    def installed(self, patch: Callable[[Any, str, Any], None] = setattr) -> Tasks:
        task = engine._Run.task

        def held(run: Any, slab: Any, first: int, slab_stop: int, start: int, stop: int) -> None:
            if len(self.done) >= self.limit:
                if self.sign is not None:
                    Path(self.sign).touch()
                run.job.stopped.wait(WAIT_SECONDS)
            task(run, slab, first, slab_stop, start, stop)
            self.done.append((start, stop))

        patch(engine._Run, "task", held)
        return self


def wait_until_held(sign: Path) -> None:
    """Returns when a process does nothing but wait: what interrupts it then, meets it where it is heard.

    Python passes over an exception that a signal raises while it closes or frees something.
    """
    end = time.monotonic() + WAIT_SECONDS
    while not sign.exists() and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.2)  # for the thread that has taken note of the task before
