"""Ends an exact search at a known point of it, however busy the machine is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from annbench.datasets.ground_truth import engine

WAIT_SECONDS = 60


class Tasks:
    """Lets `limit` tasks be done, of one thread; each further one waits until its run is stopped.

    `done` are their blocks of queries.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self.done: list[tuple[int, int]] = []

    def installed(self, patch: Callable[[Any, str, Any], None] = setattr) -> Tasks:
        task = engine._Run.task

        def held(run: Any, slab: Any, first: int, slab_stop: int, start: int, stop: int) -> None:
            if len(self.done) >= self.limit:
                run.job.stopped.wait(WAIT_SECONDS)
            task(run, slab, first, slab_stop, start, stop)
            self.done.append((start, stop))

        patch(engine._Run, "task", held)
        return self
