"""SNR and Poincaré: the search over reduced vectors finds a shortlist, float64 distances by the definition decide, and
a bound proves that nothing outside the shortlist could be among the k nearest or tie with the k-th. Where it does not,
the shortlist grows; and where that does not help, all rows are compared by the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.ground_truth import checkpoint as checkpoints
from annbench.datasets.ground_truth import rows as rows_of
from annbench.datasets.ground_truth.checkpoint import Progress
from annbench.datasets.ground_truth.dense import search_dense
from annbench.datasets.ground_truth.direct import search_direct
from annbench.datasets.ground_truth.job import Job
from annbench.datasets.ground_truth.reductions import REDUCTIONS, ReducedRows, Reduction
from annbench.datasets.ground_truth.rows import Place, RowSource
from annbench.datasets.ground_truth.selection import gather
from annbench.distances import Metric
from annbench.distances.registry import distance_of
from annbench.errors import DatasetError

SPARE = 64  # rows of a shortlist beyond k, at least
GROWTH = 8
GATHERED_BYTES = 4 << 20  # of float64 vectors compared at once
_SEARCH_SHARE = 0.9  # of the progress that is reported


def search_reduced(job: Job) -> Progress:
    """The lists of a job over vectors. Raises DatasetError for vectors that have no distance to anything."""
    reduction = REDUCTIONS[job.metric](_check(job))
    found = checkpoints.fresh(job.query_count, job.k)
    open_queries = np.arange(job.query_count)
    k = min(job.n, job.k + max(job.k, SPARE))
    for attempt in (1, 2):
        settled = _shortlisted(_of(job, open_queries, attempt), k, reduction, found, open_queries)
        open_queries = open_queries[~settled]
        if not open_queries.size:
            break
        k = min(job.n, GROWTH * k)
    if open_queries.size:
        _put(found, open_queries, search_direct(_of(job, open_queries, 3)))
    found.rows_done[:] = job.n
    if job.progress is not None:
        job.progress(1.0)
    return found


def _shortlisted(
    job: Job, k: int, reduction: Reduction, found: Progress, places: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Search with a shortlist of k; puts the lists of the queries that it settles into `found`, and says which."""
    distance = distance_of(job.metric)
    queries = rows_of.float32_rows(job.queries, 0, job.query_count)
    if not job.n:
        return np.ones(len(queries), np.bool_)
    report = job.progress
    shortlist = search_dense(
        replace(
            job,
            base=ReducedRows(job.base, job.metric),
            queries=reduction.queries(queries),
            k=k,
            metric=distance.served_by,
            part=f"{job.part} for {job.metric}",
            progress=None if report is None else lambda done: report(_SEARCH_SHARE * done),
        )
    )
    settled = np.zeros(len(queries), np.bool_)
    step = max(1, GATHERED_BYTES // (8 * k * queries.shape[1]))
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        lists = _decided(job, queries[block], shortlist.neighbors[block])
        beyond = np.full(len(lists.ties), np.inf)
        if k < job.n:
            beyond = reduction.beyond(queries[block], shortlist.distances[block, -1])
        proven = (lists.distances[:, -1] < beyond) | (k == job.n)
        settled[block] = proven
        _put(found, places[block][proven], lists.part(np.flatnonzero(proven)))
    return settled


def _decided(job: Job, queries: NDArray[np.float32], shortlist: NDArray[np.int64]) -> Progress:
    """The k nearest of each shortlist (q, m) by float64 distance, with the ties among the rest of it."""
    ids = np.sort(shortlist, axis=1)
    vectors = gather(job.base, ids.ravel()).reshape(*ids.shape, -1).astype(np.float32, copy=False)
    distances = distance_of(job.metric).rowwise(queries[:, None], vectors)
    order = np.argsort(distances, axis=1, kind="stable")
    ordered = np.take_along_axis(distances, order, axis=1)
    found = checkpoints.fresh(len(queries), job.k)
    kept = min(job.k, ids.shape[1])
    found.neighbors[:, :kept] = np.take_along_axis(ids, order, axis=1)[:, :kept]
    found.distances[:, :kept] = ordered[:, :kept]
    found.ties[:] = (ordered[:, kept:] == ordered[:, kept - 1 : kept]).sum(axis=1)
    return found


def _put(found: Progress, places: NDArray[np.int64], lists: Progress) -> None:
    for name, array in vars(lists).items():
        getattr(found, name)[places] = array


def _of(job: Job, queries: NDArray[np.int64], attempt: int) -> Job:
    """The job for these queries; each attempt has a checkpoint of its own, and the first its name."""
    path = job.checkpoint
    if attempt == 1:
        return job
    return replace(
        job, queries=gather(job.queries, queries), checkpoint=path and attempt_path(path, attempt), progress=None
    )


def attempt_path(checkpoint: Path, attempt: int) -> Path:
    """Where the checkpoint of a further attempt lies."""
    return checkpoint.with_name(f"{checkpoint.name}.{attempt}")


def _check(job: Job) -> float:
    """Checks all rows; returns the largest norm of the base."""
    distance = distance_of(job.metric)
    _checked(job.queries, job.metric, job.query_place, distance.undefined_queries)
    return _checked(job.base, job.metric, job.base_place, distance.undefined_vectors)


def _checked(
    source: RowSource, metric: Metric, place: Place, undefined: Callable[[NDArray[np.float32]], NDArray[np.bool_]]
) -> float:
    largest = 0.0
    for start, stop in rows_of.pieces(0, source.shape[0], 8 * source.shape[1]):
        block = rows_of.float32_rows(source, start, stop)
        norms = rows_of.checked_squared_norms(block, start, place)
        bad = np.flatnonzero(undefined(block))
        if bad.size:
            raise DatasetError(
                f"has no {metric} distance to anything",
                where=place(start + int(bad[0])),
                remedy=f"remove such rows; stored are {distance_of(metric).stored}",
            )
        largest = max(largest, float(norms.max()))
    return float(np.sqrt(largest))
