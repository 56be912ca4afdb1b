"""Hamming: counts of differing bits, exact by nature. A native collector compares tiles of codes with a block of
queries and keeps the k nearest of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench import _native
from annbench.datasets.ground_truth import rows as rows_of
from annbench.datasets.ground_truth.checkpoint import Progress
from annbench.datasets.ground_truth.engine import search_all
from annbench.datasets.ground_truth.job import Job
from annbench.datasets.ground_truth.memory import Needs, plan_blocks
from annbench.datasets.ground_truth.rows import READ_BYTES, RowSource

OFFERED_ROWS = 1 << 16  # codes between two looks at whether to stop


def search_hamming(job: Job) -> Progress:
    """The lists of a job over packed bits."""
    return search_all(HammingSearch(job), job)


@dataclass(frozen=True)
class Codes:
    """Consecutive rows of the base in memory."""

    values: NDArray[np.uint8]
    first: int


class HammingSearch:
    """See `engine.Search`."""

    def __init__(self, job: Job) -> None:
        self.job = job
        resident = _is_codes(job.base)
        size = job.base.shape[1]
        self.plan = plan_blocks(
            job.n,
            job.query_count,
            job.k,
            threads=job.threads,
            memory_limit_bytes=job.memory_limit_bytes,
            needs=Needs(
                row=0 if resident else size,
                query=size,
                staging=0 if resident else READ_BYTES,
                thread=lambda queries: _native.HammingCollector.bytes(queries, job.k),
            ),
        )
        self.query_rows = self.plan.query_rows
        self.buffer = None if resident else np.empty((self.plan.slab_rows, size), np.uint8)

    def cuts(self) -> Sequence[int]:
        return [*range(0, self.job.n, max(1, self.plan.slab_rows)), self.job.n]

    def slab(self, first: int, stop: int) -> Codes:
        return Codes(_codes(self.job.base, first, stop, self.buffer), first)

    def extend(self, slab: Codes, first: int, start: int, stop: int, found: Progress) -> bool:
        collector = _native.HammingCollector(
            base=slab.values,
            first_id=slab.first,
            queries=_codes(self.job.queries, start, stop, None),
            neighbors=found.neighbors,
            distances=found.distances,
            ties=found.ties,
        )
        for row in range(first - slab.first, len(slab.values), OFFERED_ROWS):
            if self.job.stopped.is_set():
                return False
            collector.offer(row, min(OFFERED_ROWS, len(slab.values) - row))
        collector.finish()
        return True


def _is_codes(source: RowSource) -> bool:
    return isinstance(source, np.ndarray) and source.flags.c_contiguous


def _codes(source: RowSource, start: int, stop: int, out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Rows [start, stop): a view where there can be one, else copied into `out` piece by piece."""
    if _is_codes(source):
        view: NDArray[np.uint8] = np.asarray(source[start:stop])
        return view
    size: Any = source.shape[1]
    rows = np.empty((stop - start, size), np.uint8) if out is None else out[: stop - start]
    for first, last in rows_of.pieces(start, stop, size):
        rows[first - start : last - start] = source[first:last]
    return rows
