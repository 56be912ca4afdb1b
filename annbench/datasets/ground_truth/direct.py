"""Every distance in float64, by the definition: slow, and needs no bound. For queries that no shortlist settles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from annbench.datasets.ground_truth import rows as rows_of
from annbench.datasets.ground_truth.checkpoint import Progress
from annbench.datasets.ground_truth.engine import search_all
from annbench.datasets.ground_truth.job import Job
from annbench.datasets.ground_truth.lists import extend_lists
from annbench.distances.registry import distance_of

SLAB_BYTES = 1 << 20  # of float64 rows: fits a cache, and so do the temporary arrays beside it


def search_direct(job: Job) -> Progress:
    """The lists of a job over vectors."""
    return search_all(DirectSearch(job), job)


class DirectSearch:
    """See `engine.Search`."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.distance = distance_of(job.metric)
        self.query_rows = max(1, -(-job.query_count // job.threads))
        self.slab_rows = max(1, SLAB_BYTES // (8 * job.base.shape[1]))

    def cuts(self) -> Sequence[int]:
        return [*range(0, self.job.n, self.slab_rows), self.job.n]

    def slab(self, first: int, stop: int) -> tuple[int, Any]:
        return first, rows_of.float32_rows(self.job.base, first, stop).astype(np.float64)

    def extend(self, slab: tuple[int, Any], first: int, start: int, stop: int, found: Progress) -> bool:
        slab_first, rows = slab
        rows = rows[first - slab_first :]
        for at, query in enumerate(rows_of.float32_rows(self.job.queries, start, stop)):
            if self.job.stopped.is_set():
                return False
            lists = Progress(**{name: array[at : at + 1] for name, array in vars(found).items()})
            extend_lists(lists, self.distance.rowwise(query[None], rows)[None], first)
        return True
