"""The order of work: the base passes through memory once, in slabs; a slab is one task a block of queries, and the
tasks run on threads. Whatever ends it early, what was finished is kept, and goes into the checkpoint.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from annbench.datasets.ground_truth import checkpoint as checkpoints
from annbench.datasets.ground_truth.checkpoint import Progress
from annbench.datasets.ground_truth.job import Job

CHECKPOINT_SHARE = 0.05  # of the time, at most, goes into writing checkpoints

SlabType = TypeVar("SlabType")


class Search(Protocol[SlabType]):
    """How one kind of distance is searched."""

    query_rows: int  # queries of one task

    def cuts(self) -> Sequence[int]:
        """Where slabs begin and end: 0 … n, rising."""

    def slab(self, first: int, stop: int) -> SlabType:
        """Rows [first, stop) of the base in memory, checked. The one before is no longer used."""

    def extend(self, slab: SlabType, first: int, start: int, stop: int, found: Progress) -> bool:
        """Extends the lists of queries [start, stop) by the rows of the slab from `first` (of the base) on, which they
        have not seen. Called on several threads. False if it was stopped on the way.
        """


class StoppedError(Exception):
    """Raised in a thread whose work nobody waits for any more."""


def search_all(search: Search[SlabType], job: Job) -> Progress:
    """The lists of all queries over all rows."""
    store = Store.open(job)
    run: _Run[SlabType] = _Run(search, job, store)
    if job.inline:
        for first, stop, slab in run.slabs():
            for block in run.pending(stop):
                run.task(slab, first, stop, *block)
        return store.progress
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(job.threads) as pool:
        for first, stop, slab in run.slabs():
            run.on(pool, slab, first, stop)
    return store.progress


@dataclass
class Store:
    """The lists of all queries, shared by the threads, and their copy on disk."""

    progress: Progress
    path: Path | None
    inputs: dict[str, str | int]
    lock: threading.Lock = field(default_factory=threading.Lock)
    dirty: bool = False
    next_save: float = 0.0

    @classmethod
    def open(cls, job: Job) -> Store:
        """With what the job's checkpoint holds, if there is one. Raises DatasetError for one of other inputs."""
        fresh = checkpoints.fresh(job.query_count, job.k)
        if job.checkpoint is None:
            return cls(fresh, None, {})
        inputs = checkpoints.describe_inputs(job)
        return cls(checkpoints.load(job.checkpoint, inputs) or fresh, job.checkpoint, inputs)

    def commit(self, queries: slice | NDArray[np.int64], found: Progress) -> None:
        """Takes over the lists of these queries."""
        with self.lock:
            for name, array in vars(found).items():
                getattr(self.progress, name)[queries] = array
            self.dirty = True

    def save(self, *, force: bool = False) -> None:
        """Writes what has been committed, unless too much time has gone into writing lately."""
        if self.path is None or not self.dirty or (not force and time.monotonic() < self.next_save):
            return
        began = time.monotonic()
        with self.lock:
            checkpoints.save(self.path, self.progress, self.inputs)
            self.dirty = False
        ended = time.monotonic()
        self.next_save = ended + (ended - began) / CHECKPOINT_SHARE


@dataclass
class _Run(Generic[SlabType]):
    search: Search[SlabType]
    job: Job
    store: Store

    def slabs(self) -> Iterator[tuple[int, int, SlabType]]:
        """The base in order, without the slabs that every query has seen."""
        for first, stop in pairwise(self.search.cuts()):
            if np.any(self.store.progress.rows_done < stop):
                yield first, stop, self.search.slab(first, stop)

    def pending(self, stop: int) -> list[tuple[int, int]]:
        """Blocks of queries that have not seen the rows below `stop`, each with one count of rows seen."""
        done = self.store.progress.rows_done
        cuts = {0, len(done), *range(0, len(done), self.search.query_rows)}
        cuts.update((np.flatnonzero(np.diff(done)) + 1).tolist())
        return [(a, b) for a, b in pairwise(sorted(cuts)) if done[a] < stop]

    def task(self, slab: SlabType, first: int, slab_stop: int, start: int, stop: int) -> None:
        """Brings queries [start, stop) to the end of the slab."""
        found = self.store.progress.part(slice(start, stop))
        seen = max(first, int(found.rows_done[0]))
        if self.job.stopped.is_set() or not self.search.extend(slab, seen, start, stop, found):
            raise StoppedError
        found.rows_done[:] = slab_stop
        self.store.commit(slice(start, stop), found)

    def on(self, pool: ThreadPoolExecutor, slab: SlabType, first: int, slab_stop: int) -> None:
        """One slab for all queries."""
        rows_seen = self.store.progress.rows_done
        total = max(1, self.job.n * len(rows_seen))
        tasks = [pool.submit(self.task, slab, first, slab_stop, *block) for block in self.pending(slab_stop)]
        for _ in each_done(tasks, self.job.stopped, self.store):
            if self.job.progress is not None:
                self.job.progress(float(rows_seen.sum()) / total)


def each_done(tasks: Sequence[Future[None]], stopped: threading.Event, store: Store) -> Iterator[None]:
    """Yields after every few tasks that are done, saving meanwhile. Ends with idle threads, however it ends."""
    waiting = set(tasks)
    try:
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            store.save()
            yield
    finally:
        if waiting:
            stopped.set()
        for future in waiting:
            future.cancel()
        wait(waiting)
        store.save(force=True)
