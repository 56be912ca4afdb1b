"""Recall that cannot be gamed: computed from ids alone, with every distance recomputed in float64.

Per query at most k ids count, each once; −1, ids that do not exist and missing ones are misses. Three
figures:

- `recall_at_k`: an id counts if its distance is at most d_k + slack (`Distance.tie_slack`), so that equally near
  neighbours are equally right;
- `recall_ids_at_k`: the share of the true k ids that were returned;
- `recall_ann_benchmarks`: that project's rule, an absolute 1e-3 beyond d_k, to compare with its published
  numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from annbench.distances import Metric
from annbench.distances.base import TIE_TOLERANCE
from annbench.distances.registry import distance_of
from annbench.errors import DatasetError, InvalidOutputError
from annbench.metrics.ids import Ids, Sorted, ids_crc32c, sort_out, validate_ids

__all__ = [
    "InvalidOutputError",
    "RecallSummary",
    "Scorer",
    "bootstrap_interval",
    "validate_ids",
    "worst_decile",
]

Floats = NDArray[np.float64]
Rows = Callable[[Ids], Any]

ANN_BENCHMARKS_EPSILON = 1e-3
RESAMPLES = 2000
BLOCK_BYTES = 1 << 26  # of float64 vectors held at once


class RecallSummary(BaseModel):
    """Quality of the returned ids; a recall is a mean over queries, 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recall_at_k: float  # tie-aware
    recall_ids_at_k: float
    recall_ann_benchmarks: float
    recall_low: float  # 95 % bootstrap interval over queries, of recall_at_k
    recall_high: float
    recall_worst_decile: float
    relative_distance_error: float | None
    duplicate_ids: int
    out_of_range_ids: int
    missing_ids: int
    ids_crc32c: str


class Scorer:
    """Scores ids against the truth of one query set.

    `queries` in the form of the metric's layout (`annbench.distances.base`), `truth_ids` (q, K >= min(k, n)) nearest
    first. `rows(ids)` gives base vectors of sorted distinct ids (m,): the base itself is not held. `max_norm` is
    max‖x‖ of the base (used for metric ip alone). The truth's distances are computed once; a score needs rows only for
    ids that are not among the true ones. Raises DatasetError if the truth has too few columns or ids that do not exist.
    """

    def __init__(
        self,
        queries: Any,
        truth_ids: NDArray[np.integer],
        k: int,
        metric: Metric,
        rows: Rows,
        n: int,
        max_norm: float = 1.0,
        seed: int = 42,
    ) -> None:
        self.k_possible = min(k, n)
        if truth_ids.shape[1] < self.k_possible:
            raise DatasetError(
                f"the truth holds {truth_ids.shape[1]} neighbours a query, k={k} needs {self.k_possible}",
                remedy="lower k, or make the truth again with more neighbours",
            )
        self.distance = distance_of(metric)
        self.queries, self.rows, self.n, self.k = queries, rows, n, k
        self.truth: Ids = truth_ids[:, : self.k_possible].astype(np.int64)
        if self.truth.size and (self.truth.min() < 0 or self.truth.max() >= n):
            raise DatasetError(
                f"the truth names ids from {self.truth.min()} to {self.truth.max()}, the base has {n} rows",
                remedy="the truth belongs to another base: make it again",
            )
        self.seed = seed
        self.truth_distances = self._distances(self.truth, np.ones(self.truth.shape, dtype=bool))
        self.d_k: Floats = self.truth_distances.max(axis=1, initial=-np.inf)
        self.slack = self.distance.tie_slack(queries, self.d_k, max_norm)

    def score(self, ids: Ids) -> RecallSummary:
        """The summary for ids (q, k), as `validate_ids` returns them. Raises InvalidOutputError for another
        shape.
        """
        if ids.shape != (len(self.queries), self.k):
            raise InvalidOutputError(f"ids of shape {ids.shape}", remedy=f"give {(len(self.queries), self.k)}")
        if not len(ids):
            raise DatasetError("there are no queries to score", remedy="use a query set with at least one")
        found = sort_out(ids, self.n)
        among_truth, distances = self._known(found)
        others = found.valid & ~among_truth
        distances[others] = self._distances(ids, others)[others]
        # Over all valid ids: an unknown distance is +inf and never counts.
        recalls = self._counted(distances, self.slack)
        low, high = bootstrap_interval(recalls, self.seed)
        return RecallSummary(
            recall_at_k=float(recalls.mean()),
            recall_ids_at_k=float(among_truth.sum() / (len(ids) * self.k_possible)),
            recall_ann_benchmarks=float(self._counted(distances, ANN_BENCHMARKS_EPSILON).mean()),
            recall_low=low,
            recall_high=high,
            recall_worst_decile=worst_decile(recalls),
            relative_distance_error=self._relative_error(distances),
            duplicate_ids=found.duplicates,
            out_of_range_ids=found.out_of_range,
            missing_ids=found.missing,
            ids_crc32c=ids_crc32c(ids),
        )

    def _counted(self, distances: Floats, slack: Floats | float) -> Floats:
        limit = (self.d_k + slack)[:, None]
        return np.asarray(np.minimum((distances <= limit).sum(axis=1), self.k_possible) / self.k_possible)

    def _known(self, found: Sorted) -> tuple[NDArray[np.bool_], Floats]:
        """Which valid ids (q, k) are true ones, and the distances of those; +inf elsewhere."""
        known = np.zeros(found.ids.shape, dtype=bool)
        distances = np.full(found.ids.shape, np.inf)
        for block in self._blocks(self.k * self.k_possible):
            same = found.ids[block, :, None] == self.truth[block, None, :]
            known[block] = same.any(axis=2) & found.valid[block]
            at = np.take_along_axis(self.truth_distances[block], same.argmax(axis=2), axis=1)
            distances[block] = np.where(known[block], at, np.inf)
        return known, distances

    def _distances(self, ids: Ids, wanted: NDArray[np.bool_]) -> Floats:
        """Distances (q, m) of the wanted ids, +inf for the rest, in blocks of bounded memory."""
        result = np.full(ids.shape, np.inf)
        for block in self._blocks(ids.shape[1] * self.queries.shape[1]):
            mask = wanted[block]
            if not mask.any():
                continue
            distinct, inverse = np.unique(ids[block][mask], return_inverse=True)
            owners = np.nonzero(mask)[0]
            result[block][mask] = self.distance.rowwise(self.queries[block][owners], self.rows(distinct)[inverse])
        return result

    def _blocks(self, values_per_query: int) -> Iterator[slice]:
        step = max(1, BLOCK_BYTES // (8 * max(values_per_query, 1)))
        for start in range(0, len(self.queries), step):
            yield slice(start, start + step)

    def _relative_error(self, distances: Floats) -> float | None:
        """Mean of (d_i − t_i) ÷ |t_i| over ranks i: returned distances in order against true ones in order.

        Ranks with nothing returned are left out (they are misses already), and so are true distances of about
        0.
        """
        returned = np.sort(distances, axis=1)[:, : self.k_possible]
        true = np.sort(self.truth_distances, axis=1)
        scale = np.abs(true)
        usable = np.isfinite(returned) & (scale > np.maximum(TIE_TOLERANCE * np.abs(self.d_k), 1e-12)[:, None])
        if not usable.any():
            return None
        return float(((returned[usable] - true[usable]) / scale[usable]).mean())


def bootstrap_interval(per_query: Floats, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the mean of `per_query` (q,), from resamples of the queries.

    Recalls take few distinct values, so a resample is one multinomial draw over them. Efron, Annals of
    Statistics 1979.
    """
    values, counts = np.unique(per_query, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(per_query), counts / len(per_query), size=RESAMPLES)
    low, high = np.percentile(draws @ values / len(per_query), [2.5, 97.5])
    return float(low), float(high)


def worst_decile(per_query: Floats) -> float:
    """Mean of the lowest tenth of `per_query` (q,), rounded up to whole queries."""
    return float(np.sort(per_query)[: ceil(len(per_query) / 10)].mean())
