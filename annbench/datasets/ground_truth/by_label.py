"""Queries that each admit other rows: those with the same labels are searched together, over their own rows alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from annbench.datasets.ground_truth.checkpoint import Progress
from annbench.datasets.ground_truth.engine import StoppedError, Store, each_done
from annbench.datasets.ground_truth.job import Job
from annbench.datasets.ground_truth.selection import Ids, Labels, gather, selected
from annbench.distances.sets import Sets
from annbench.errors import UsageError

_MOST_QUERIES = 512  # of a task


def search_by_label(job: Job, labels: Labels, start: int, stop: int, search: Callable[[Job], Progress]) -> Progress:
    """The lists of a job over rows [start, stop) of its base, with ids of that base."""
    store = Store.open(job)
    holders = _Holders(labels.base, start, stop)
    limit = (job.memory_limit_bytes - holders.nbytes) // job.threads
    if limit <= 0:
        raise UsageError(
            f"the labels alone need {holders.nbytes} bytes", where="memory limit", remedy="give a multiple of that"
        )

    def task(queries: Ids) -> None:
        if job.stopped.is_set():
            raise StoppedError
        ids = holders.of_all(labels.queries[int(queries[0])])
        alone = replace(
            job,
            base=selected(job.base, ids),
            queries=gather(job.queries, queries),
            threads=1,
            memory_limit_bytes=limit,
            checkpoint=None,
            progress=None,
            inline=True,
            base_row=lambda row: int(ids[row]),
            query_row=lambda row: int(queries[row]),
        )
        found = search(alone)
        found.neighbors[:] = numbered(found.neighbors, ids)
        found.rows_done[:] = job.n
        store.commit(queries, found)

    groups = [g for g in _groups(labels.queries) if (store.progress.rows_done[g] < job.n).any()]
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(job.threads) as pool:
        for _ in each_done([pool.submit(task, group) for group in groups], job.stopped, store):
            if job.progress is not None:
                job.progress(float((store.progress.rows_done == job.n).mean()))
    return store.progress


def numbered(neighbors: Ids, ids: Ids) -> Ids:
    """Row numbers of a part as ids of the whole base; −1 stays."""
    if not len(ids):
        return neighbors
    return np.asarray(np.where(neighbors >= 0, ids[np.maximum(neighbors, 0)], -1))


def _groups(labels: Sets) -> Iterator[Ids]:
    """Queries with the same labels, in tasks of bounded size."""
    members: dict[bytes, list[int]] = {}
    for query, own in enumerate(labels):
        members.setdefault(own.tobytes(), []).append(query)
    for group in members.values():
        for first in range(0, len(group), _MOST_QUERIES):
            yield np.array(group[first : first + _MOST_QUERIES], dtype=np.int64)


class _Holders:
    """The rows that hold each label, rising."""

    def __init__(self, labels: Sets, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        within = labels[start:stop]
        ones = np.ones(len(within.elements), np.int8)
        by_label = csr_array((ones, within.elements, within.indptr), shape=within.shape).tocsc()
        self.indptr, self.rows = by_label.indptr, by_label.indices

    @property
    def nbytes(self) -> int:
        return int(self.indptr.nbytes + self.rows.nbytes)

    def of_all(self, labels: NDArray[np.integer[Any]]) -> Ids:
        """Ids of the rows that hold all of these labels."""
        if not len(labels):
            return np.arange(self.start, self.stop, dtype=np.int64)
        lists = sorted((self.rows[self.indptr[label] : self.indptr[label + 1]] for label in labels), key=len)
        found = lists[0]
        for other in lists[1:]:
            at = np.minimum(np.searchsorted(other, found), max(0, len(other) - 1))
            found = found[other[at] == found] if len(other) else found[:0]
        return np.asarray(found.astype(np.int64) + self.start)
