"""exact_neighbors: which search a metric has, which rows of the base count, and ids of the whole base at the end."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.ground_truth import rows as rows_of
from annbench.datasets.ground_truth import selection as part
from annbench.datasets.ground_truth.by_label import numbered, search_by_label
from annbench.datasets.ground_truth.checkpoint import Progress
from annbench.datasets.ground_truth.dense import search_dense
from annbench.datasets.ground_truth.hamming import search_hamming
from annbench.datasets.ground_truth.jaccard import search_jaccard
from annbench.datasets.ground_truth.job import Job
from annbench.datasets.ground_truth.memory import DEFAULT_MEMORY_LIMIT_BYTES
from annbench.datasets.ground_truth.reduced import search_reduced
from annbench.datasets.ground_truth.result import GroundTruth
from annbench.datasets.ground_truth.rows import RowSource
from annbench.datasets.ground_truth.selection import Labels
from annbench.distances import Metric
from annbench.distances.registry import DISTANCES
from annbench.distances.sets import Sets
from annbench.errors import DatasetError, UsageError
from annbench.isa import isa

SEARCHES: dict[Metric, Callable[[Job], Progress]] = {
    "euclidean": search_dense,
    "cosine": search_dense,
    "ip": search_dense,
    "hamming": search_hamming,
    "jaccard": search_jaccard,
    "snr": search_reduced,
    "poincare": search_reduced,
}


def exact_neighbors(
    base: RowSource | Sets,
    queries: RowSource | Sets,
    k: int,
    metric: Metric,
    *,
    rows: tuple[int, int] | None = None,
    rows_filter: NDArray[Any] | Labels | None = None,
    threads: int | None = None,
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Callable[[float], None] | None = None,
) -> GroundTruth:
    """Exact k nearest neighbours of `queries` (q, d) in `base` (n, d).

    Both are in the form of the metric's layout (`annbench.distances.base`): anything with shape, dtype and slices of
    rows, of float32, float16, int8 or uint8, read block by block; packed bits likewise; or Sets. Only rows [from, to)
    given as `rows` count, and of these the ones that `rows_filter` admits: a boolean (n,), its bits packed by
    numpy.packbits, or Labels, by which each query admits rows of its own. Ids are those of the whole base all the same.

    `threads` defaults to the processors this process may use. `memory_limit_bytes` bounds what the call allocates
    (for vectors `plan_memory` gives the figure). With a `checkpoint` path, progress is kept there, also on an
    interrupt, and a rerun continues; `fingerprint` is the caller's hash of the data. `progress` receives the fraction
    done, on this thread.

    Raises `DatasetError` for values without a distance (NaN, infinity, outside the ball), for vectors too long for
    float32, for sources that do not fit each other, and for a checkpoint of other inputs; `UsageError` for arguments
    out of range.
    """
    isa()
    base, queries = _sources(base, queries, k, metric)
    n = int(base.shape[0])
    start, stop = part.checked_range(rows, n)
    workers = _default_threads() if threads is None else threads
    if workers < 1:
        raise UsageError(f"got {workers}", where="threads", remedy="give 1 or more")
    job = Job(
        base, queries, k, metric, workers, memory_limit_bytes, checkpoint, fingerprint,
        part.part_name(start, stop, rows_filter), progress,
    )  # fmt: skip
    if isinstance(rows_filter, Labels):
        part.check_labels(rows_filter, n, job.query_count)
        return _result(search_by_label(job, rows_filter, start, stop, SEARCHES[metric]), n)
    if rows_filter is None:
        found = SEARCHES[metric](replace(job, base=part.row_range(base, start, stop), base_row=lambda row: start + row))
        return _result(found, n, lambda ids: np.where(ids >= 0, ids + start, -1))
    admitted = part.admitted_ids(rows_filter, n, start, stop)
    chosen = replace(
        job,
        base=part.selected(base, admitted),
        memory_limit_bytes=max(1, memory_limit_bytes - admitted.nbytes),
        base_row=lambda row: int(admitted[row]),
    )
    return _result(SEARCHES[metric](chosen), n, lambda ids: numbered(ids, admitted))


def _sources(base: Any, queries: Any, k: int, metric: Metric) -> tuple[RowSource, RowSource]:
    if k < 1:
        raise UsageError(f"got {k}", where="k", remedy="give 1 or more")
    if metric not in SEARCHES:
        raise UsageError(f"got {metric!r}", where="metric", remedy=f"give one of {', '.join(SEARCHES)}")
    layout = DISTANCES[metric].layout
    if layout == "sets":
        return _sets(base, "base"), _sets(queries, "queries")
    rows_of.check_source(base, "base", layout)
    rows_of.check_source(queries, "queries", layout)
    if base.shape[1] != queries.shape[1]:
        raise DatasetError(
            f"have dim {queries.shape[1]} where the base has {base.shape[1]}",
            where="queries",
            remedy="give queries of the same embedding as the base",
        )
    return base, queries


def _sets(source: Any, where: str) -> Any:
    found = source if isinstance(source, Sets) else source[:]
    if not isinstance(found, Sets):
        raise DatasetError("holds vectors, not sets", where=where, remedy="give annbench.distances.sets.Sets")
    return found


def _default_threads() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _result(
    progress: Progress, n: int, ids: Callable[[NDArray[np.int64]], NDArray[np.int64]] = lambda found: found
) -> GroundTruth:
    neighbors, ties = ids(progress.neighbors), progress.ties
    if n >= 1 << 31:
        return GroundTruth(neighbors, progress.distances, ties)
    return GroundTruth(neighbors.astype(np.int32), progress.distances, ties.astype(np.int32))
