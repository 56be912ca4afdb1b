"""exact_neighbors: a float32 product finds every row that could matter, float64 decides.

The base passes through memory once, in slabs; a slab is one task a block of queries, and the tasks run on
threads that each call a single-threaded product, so that no thread waits for another. Within a task, tiles of
scores go to a native collector, which keeps every row whose score is within the error bound (bounds.py) of
the running k-th and rescores those in float64. The result depends neither on block sizes, nor threads, nor
the instruction set.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from annbench import _native
from annbench.datasets.ground_truth import checkpoint as checkpoints
from annbench.datasets.ground_truth import rows as rows_of
from annbench.datasets.ground_truth.bounds import score_error
from annbench.datasets.ground_truth.checkpoint import Progress
from annbench.datasets.ground_truth.memory import DEFAULT_MEMORY_LIMIT_BYTES, MemoryPlan, plan_memory
from annbench.datasets.ground_truth.rows import RowSource, Slab
from annbench.datasets.info import Metric
from annbench.errors import DatasetError, UsageError
from annbench.isa import isa

CHECKPOINT_SHARE = 0.05  # of the time, at most, goes into writing checkpoints
DenseMetric = Literal["euclidean", "cosine", "ip"]
_METRICS: tuple[DenseMetric, ...] = get_args(DenseMetric)


@dataclass(frozen=True)
class GroundTruth:
    """The exact k nearest neighbours of each query, nearest first, ties by the lower id.

    `neighbors` (q, k): ids, int32 (int64 when the base has 2³¹ rows or more), −1 beyond the rows of the base.
    `distances` (q, k): float64; euclidean ‖x − q‖, cosine 1 − cos (exactly 1 when a vector is zero), ip −q·x;
    inf beyond.
    `ties_beyond_k` (q,): how many more rows lie at exactly the k-th float64 distance; same dtype as
    `neighbors`.
    """

    neighbors: NDArray[np.int32] | NDArray[np.int64]
    distances: NDArray[np.float64]
    ties_beyond_k: NDArray[np.int32] | NDArray[np.int64]


def exact_neighbors(
    base: RowSource,
    queries: RowSource,
    k: int,
    metric: Metric,
    *,
    threads: int | None = None,
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Callable[[float], None] | None = None,
) -> GroundTruth:
    """Exact k nearest neighbours of `queries` (q, d) in `base` (n, d).

    Both are anything with shape, dtype and slices of rows, of float32, float16, int8 or uint8, read block by
    block. `threads` defaults to the processors this process may use. `memory_limit_bytes` bounds what the
    call allocates (`plan_memory` gives the figure). With a `checkpoint` path, progress is kept there, also on
    an interrupt, and a rerun continues; `fingerprint` is the caller's hash of the data. `progress` receives
    the fraction done, on this thread.

    Raises `DatasetError` for values without a distance (NaN, infinity), for vectors too long for float32, for
    sources that do not fit each other, and for a checkpoint of other inputs; `UsageError` for arguments out
    of range.
    """
    isa()
    _check_arguments(base, queries, k, metric)
    workers = _default_threads() if threads is None else threads
    if workers < 1:
        raise UsageError(f"got {workers}", where="threads", remedy="give 1 or more")
    plan = plan_memory(
        base.shape[0],
        base.shape[1],
        queries.shape[0],
        k,
        threads=workers,
        memory_limit_bytes=memory_limit_bytes,
        base_resident=rows_of.is_resident(base),
    )
    store = _Store.open(base, queries, k, metric, checkpoint, fingerprint)
    search = _Search(cast(DenseMetric, metric), queries, _query_norms(queries, plan), plan, store)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        for slab in _slabs(base, metric, plan, store):
            _run(search, slab, pool, base.shape[0], progress)
    return _result(store.progress, base.shape[0])


def _check_arguments(base: RowSource, queries: RowSource, k: int, metric: Metric) -> None:
    rows_of.check_source(base, "base")
    rows_of.check_source(queries, "queries")
    if base.shape[1] != queries.shape[1]:
        raise DatasetError(
            f"have dim {queries.shape[1]} where the base has {base.shape[1]}",
            where="queries",
            remedy="give queries of the same embedding as the base",
        )
    if k < 1:
        raise UsageError(f"got {k}", where="k", remedy="give 1 or more")
    if metric not in _METRICS:
        raise UsageError(f"got {metric!r}", where="metric", remedy=f"give one of {', '.join(_METRICS)}")


def _default_threads() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _result(progress: Progress, n: int) -> GroundTruth:
    if n >= 1 << 31:
        return GroundTruth(progress.neighbors, progress.distances, progress.ties)
    return GroundTruth(progress.neighbors.astype(np.int32), progress.distances, progress.ties.astype(np.int32))


def _query_norms(queries: RowSource, plan: MemoryPlan) -> NDArray[np.float64]:
    """Float64 squared norms of all queries, which checks them before anything long begins."""
    norms = np.empty(queries.shape[0], np.float64)
    for start in range(0, len(norms), plan.query_rows):
        stop = min(start + plan.query_rows, len(norms))
        block = rows_of.float32_rows(queries, start, stop)
        norms[start:stop] = rows_of.checked_squared_norms(block, start, "queries")
    return norms


def _slabs(base: RowSource, metric: Metric, plan: MemoryPlan, store: _Store) -> Iterator[Slab]:
    """The base in order, without the slabs that every query has seen."""
    n, dim = base.shape
    done = store.progress.rows_done
    copied = not rows_of.is_float32_array(base)
    buffer = np.empty((plan.slab_rows, dim), np.float32) if copied else None
    for first in range(0, n, max(1, plan.slab_rows)):
        stop = min(first + plan.slab_rows, n)
        if np.any(done < stop):
            yield rows_of.make_slab(rows_of.float32_rows(base, first, stop, buffer), first, metric)


@dataclass
class _Store:
    """The lists of all queries, shared by the threads, and their copy on disk."""

    progress: Progress
    path: Path | None
    inputs: dict[str, str | int]
    lock: threading.Lock = field(default_factory=threading.Lock)
    dirty: bool = False
    next_save: float = 0.0

    @classmethod
    def open(
        cls, base: RowSource, queries: RowSource, k: int, metric: Metric, path: Path | None, fingerprint: str
    ) -> _Store:
        if path is None:
            return cls(checkpoints.fresh(queries.shape[0], k), None, {})
        inputs = checkpoints.describe_inputs(base, queries, k, metric, fingerprint)
        found = checkpoints.load(path, inputs)
        return cls(found or checkpoints.fresh(queries.shape[0], k), path, inputs)

    def commit(self, start: int, stop: int, found: Progress) -> None:
        """Takes over the lists of queries [start, stop)."""
        with self.lock:
            for name, array in vars(found).items():
                getattr(self.progress, name)[start:stop] = array
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
class _Search:
    """What the tasks of one call share."""

    metric: DenseMetric
    queries: RowSource
    query_norms: NDArray[np.float64]
    plan: MemoryPlan
    store: _Store
    stop: threading.Event = field(default_factory=threading.Event)
    local: threading.local = field(default_factory=threading.local)

    def pending(self, slab: Slab) -> list[tuple[int, int]]:
        """Blocks of queries that have not seen all of the slab, each with one count of rows seen."""
        done = self.store.progress.rows_done
        cuts = {0, len(done), *range(0, len(done), self.plan.query_rows)}
        cuts.update((np.flatnonzero(np.diff(done)) + 1).tolist())
        return [(a, b) for a, b in pairwise(sorted(cuts)) if done[a] < slab.stop]

    def search_block(self, slab: Slab, start: int, stop: int) -> None:
        """Extends the lists of queries [start, stop) by the rows of the slab that they have not seen."""
        stored = self.store.progress
        found = Progress(**{name: array[start:stop].copy() for name, array in vars(stored).items()})
        block = rows_of.float32_rows(self.queries, start, stop)
        norms = self.query_norms[start:stop]
        collector = _native.NeighborCollector(
            self.metric,
            base=slab.rows,
            base_squared_norms=slab.squared_norms,
            base_terms=slab.terms,
            first_id=slab.first,
            queries=block,
            query_squared_norms=norms,
            neighbors=found.neighbors,
            distances=found.distances,
            ties=found.ties,
        )
        factors = _unit_queries(block, norms) if self.metric == "cosine" else block
        max_query_norm = float(np.sqrt(norms.max()))
        for first in range(int(found.rows_done[0]) - slab.first, len(slab.rows), self.plan.tile_rows):
            if self.stop.is_set():
                return
            self._offer_tile(collector, slab, first, factors, max_query_norm)
        collector.finish()
        found.rows_done[:] = slab.stop
        self.store.commit(start, stop, found)

    def _offer_tile(
        self,
        collector: _native.NeighborCollector,
        slab: Slab,
        first: int,
        factors: NDArray[np.float32],
        max_query_norm: float,
    ) -> None:
        tile = slice(first, first + self.plan.tile_rows)
        rows = slab.rows[tile]
        scores = self._scratch()[: len(factors) * len(rows)].reshape(len(factors), len(rows))
        np.matmul(factors, rows.T, out=scores)
        bound = score_error(
            self.metric,
            rows.shape[1],
            max_query_norm=max_query_norm,
            max_base_norm=float(np.sqrt(slab.squared_norms[tile].max())),
            max_scale=float(slab.terms[tile].max()) if self.metric == "cosine" else 1.0,
        )
        collector.offer(scores, first, bound.slope, bound.constant)

    def _scratch(self) -> NDArray[np.float32]:
        """This thread's buffer for a tile of scores."""
        if not hasattr(self.local, "scores"):
            self.local.scores = np.empty(self.plan.query_rows * self.plan.tile_rows, np.float32)
        scores: NDArray[np.float32] = self.local.scores
        return scores


def _unit_queries(block: NDArray[np.float32], squared_norms: NDArray[np.float64]) -> NDArray[np.float32]:
    """q/‖q‖, each element rounded once; a zero query stays zero."""
    norms = np.where(squared_norms > 0, np.sqrt(squared_norms), 1.0)
    unit = np.empty_like(block)
    np.divide(block, norms[:, None], out=unit, dtype=np.float64, casting="same_kind")
    return unit


def _run(
    search: _Search,
    slab: Slab,
    pool: ThreadPoolExecutor,
    n: int,
    progress: Callable[[float], None] | None,
) -> None:
    """Runs the slab's tasks. Whatever ends it early, committed blocks are kept and the threads are idle
    afterwards."""
    waiting: set[Future[None]] = set()
    total = n * len(search.query_norms)
    try:
        for start, stop in search.pending(slab):
            waiting.add(pool.submit(search.search_block, slab, start, stop))
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            search.store.save()
            if progress is not None:
                progress(float(search.store.progress.rows_done.sum()) / total)
    finally:
        if waiting:
            search.stop.set()
        for future in waiting:
            future.cancel()
        wait(waiting)
        search.store.save(force=True)
