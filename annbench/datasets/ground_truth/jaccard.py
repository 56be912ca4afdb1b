"""Jaccard: inverted lists and counting.

A slab of the base is turned into lists of the sets that hold each element; the lists of a query's elements, added up,
are its intersections with every set. Intersections and unions are counts, so distances are exact ratios, and those of
sets below 2²⁵ elements are told apart by float64: two ratios with denominators below 2²⁶ differ by more than 2⁻⁵².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from annbench.datasets.ground_truth.checkpoint import Progress
from annbench.datasets.ground_truth.engine import search_all
from annbench.datasets.ground_truth.job import Job
from annbench.datasets.ground_truth.lists import extend_lists
from annbench.datasets.ground_truth.memory import result_bytes
from annbench.distances.jaccard import Jaccard
from annbench.distances.sets import Sets
from annbench.errors import DatasetError, UsageError

MAX_ELEMENTS = 1 << 25
# Counts, their sparse form on the way, float64 distances and a partitioned copy of them.
_BYTES_PER_PAIR = 12 + 4 + 8 + 8 + 8
_BYTES_PER_ELEMENT = 24  # of a slab: the slab transposed, with indices of 64 bits on the way
_QUERY_ROWS = 64


def search_jaccard(job: Job) -> Progress:
    """The lists of a job over sets. Raises DatasetError for sets too large, UsageError for a limit too small."""
    return search_all(JaccardSearch(job), job)


@dataclass(frozen=True)
class InvertedLists:
    """Of consecutive sets of the base: `holders` (universe, rows) has a 1 where the set `first` + row holds the
    element; `sizes` (rows,).
    """

    holders: Any
    sizes: NDArray[np.int64]
    first: int


class JaccardSearch:
    """See `engine.Search`."""

    def __init__(self, job: Job) -> None:
        assert isinstance(job.base, Sets)
        assert isinstance(job.queries, Sets)
        self.job, self.base, self.queries = job, job.base, job.queries
        _check_sizes(self.base, "base")
        _check_sizes(self.queries, "queries")
        self.universe = max(self.base.dim, self.queries.dim)
        self.query_rows = min(_QUERY_ROWS, max(1, -(-job.query_count // job.threads)))
        self.elements, self.pairs = self._budgets()
        self.slab_cuts = self._slab_cuts()

    def cuts(self) -> Sequence[int]:
        return self.slab_cuts

    def slab(self, first: int, stop: int) -> InvertedLists:
        rows = self.base[first:stop]
        return InvertedLists(_matrix(rows, self.universe).T.tocsr(), rows.sizes, first)

    def extend(self, slab: InvertedLists, first: int, start: int, stop: int, found: Progress) -> bool:
        queries = self.queries[start:stop]
        common = (_matrix(queries, self.universe) @ slab.holders).toarray()[:, first - slab.first :]
        sizes = slab.sizes[first - slab.first :]
        union = queries.sizes[:, None] + sizes[None, :] - common
        extend_lists(found, Jaccard.of_counts(common, union), first)
        return True

    def _budgets(self) -> tuple[int, int]:
        """Elements of a slab, and sets of a slab, that the memory limit allows."""
        job = self.job
        fixed = result_bytes(job.query_count, job.k) + 16 * (self.universe + 1)
        left = job.memory_limit_bytes - fixed
        largest = int(self.base.sizes.max(initial=0))
        least = _BYTES_PER_ELEMENT * largest + _BYTES_PER_PAIR * job.threads
        while self.query_rows > 1 and left < 4 * (_BYTES_PER_PAIR * job.threads * self.query_rows + least):
            self.query_rows = (self.query_rows + 1) // 2
        if left < 2 * least:
            raise UsageError(
                f"{job.query_count} queries and k={job.k} on {job.n} sets do not fit in {job.memory_limit_bytes} bytes",
                where="memory limit",
                remedy=f"give at least {fixed + 2 * least}",
            )
        per_set = _BYTES_PER_PAIR * job.threads * self.query_rows + 16
        return max(largest, left // 2 // _BYTES_PER_ELEMENT), max(1, left // 2 // per_set)

    def _slab_cuts(self) -> list[int]:
        cuts, indptr = [0], self.base.indptr
        while cuts[-1] < self.job.n:
            fitting = int(np.searchsorted(indptr, indptr[cuts[-1]] + self.elements, side="right")) - 1
            cuts.append(min(max(fitting, cuts[-1] + 1), cuts[-1] + self.pairs, self.job.n))
        return cuts


def _matrix(sets: Sets, universe: int) -> Any:
    ones = np.ones(len(sets.elements), np.int32)
    return csr_array((ones, sets.elements, sets.indptr), shape=(len(sets), universe))


def _check_sizes(sets: Sets, where: str) -> None:
    large = np.flatnonzero(sets.sizes >= MAX_ELEMENTS)
    if large.size:
        raise DatasetError(
            f"has {sets.sizes[large[0]]:,} elements",
            where=f"{where} row {large[0]}",
            remedy=f"sets of fewer than {MAX_ELEMENTS:,} elements have exact float64 distances",
        )
