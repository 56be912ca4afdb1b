"""Euclidean, cosine and inner product: a float32 product finds every row that could matter, float64 decides.

Threads each call a single-threaded product, so that no thread waits for another. Within a task, tiles of scores go to
a native collector, which keeps every row whose score is within the error bound (bounds.py) of the running k-th and
rescores those in float64. The result depends neither on block sizes, nor threads, nor the instruction set.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from annbench import _native
from annbench.datasets.ground_truth import rows as rows_of
from annbench.datasets.ground_truth.bounds import score_error
from annbench.datasets.ground_truth.checkpoint import Progress
from annbench.datasets.ground_truth.engine import search_all
from annbench.datasets.ground_truth.job import Job
from annbench.datasets.ground_truth.memory import plan_memory
from annbench.datasets.ground_truth.rows import DenseMetric, Slab


def search_dense(job: Job) -> Progress:
    """The lists of a job over vectors. Raises DatasetError for values without a distance."""
    return search_all(DenseSearch(job), job)


class DenseSearch:
    """See `engine.Search`. Checks all queries before anything long begins."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.metric = cast(DenseMetric, job.metric)
        n, dim = job.base.shape
        self.plan = plan_memory(
            n,
            dim,
            job.query_count,
            job.k,
            threads=job.threads,
            memory_limit_bytes=job.memory_limit_bytes,
            base_resident=rows_of.is_resident(job.base),
        )
        self.query_rows = self.plan.query_rows
        self.query_norms = self._query_norms()
        self.local = threading.local()
        copied = not rows_of.is_float32_array(job.base)
        self.buffer = np.empty((self.plan.slab_rows, dim), np.float32) if copied else None

    def cuts(self) -> Sequence[int]:
        return [*range(0, self.job.n, max(1, self.plan.slab_rows)), self.job.n]

    def slab(self, first: int, stop: int) -> Slab:
        rows = rows_of.float32_rows(self.job.base, first, stop, self.buffer)
        return rows_of.make_slab(rows, first, self.metric, self.job.base_place)

    def extend(self, slab: Slab, first: int, start: int, stop: int, found: Progress) -> bool:
        block = rows_of.float32_rows(self.job.queries, start, stop)
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
        for tile in range(first - slab.first, len(slab.rows), self.plan.tile_rows):
            if self.job.stopped.is_set():
                return False
            self._offer_tile(collector, slab, tile, factors, max_query_norm)
        collector.finish()
        return True

    def _query_norms(self) -> NDArray[np.float64]:
        """Float64 squared norms of all queries, which checks them."""
        queries = self.job.queries
        norms = np.empty(queries.shape[0], np.float64)
        for start in range(0, len(norms), self.plan.query_rows):
            stop = min(start + self.plan.query_rows, len(norms))
            block = rows_of.float32_rows(queries, start, stop)
            norms[start:stop] = rows_of.checked_squared_norms(block, start, self.job.query_place)
        return norms

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
