"""The stored neighbours and distances: whole lists for what no list may hold, a sample of queries for whether they are
true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.checks import SAMPLE_NEIGHBORS, stored_explanation
from annbench.datasets.formats.source import QuerySource
from annbench.datasets.ground_truth import GroundTruth
from annbench.distances.base import STORED_TOLERANCE, Distance
from annbench.doctor.model import Disagreement, TieFigures, TruthFigures
from annbench.doctor.source import UsableRows
from annbench.doctor.summary import optional

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

_BLOCK_BYTES = 64 << 20
_EXAMPLES = 10


@dataclass
class ListFlaws:
    """Lists (by query) that no list of neighbours may be, over the whole truth."""

    unknown_ids: Ids
    repeats: Ids
    not_finite: Ids
    unsorted: Ids


def list_flaws(source: QuerySource, n: int) -> ListFlaws:
    """Read all of the truth. Raises DatasetError where it cannot be read."""
    unknown, repeats, strange, unsorted = [], [], [], []
    for start, ids in source.neighbors.blocks():
        unknown.append(start + np.flatnonzero(((ids < 0) | (ids >= n)).any(axis=1)))
        ordered = np.sort(ids, axis=1)
        repeats.append(start + np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)))
    for start, block in source.distances.blocks():
        wide = block.astype(np.float64)
        finite = np.isfinite(wide).all(axis=1)
        strange.append(start + np.flatnonzero(~finite))
        wide[~finite] = 0
        slack = STORED_TOLERANCE * np.maximum(1, np.abs(wide).max(axis=1, keepdims=True))
        unsorted.append(start + np.flatnonzero((np.diff(wide, axis=1) < -slack).any(axis=1)))
    return ListFlaws(
        *(np.concatenate([np.empty(0, np.int64), *part]) for part in (unknown, repeats, strange, unsorted))
    )


@dataclass(frozen=True)
class Sample:
    """Sampled queries of a set: their numbers (m,), the queries themselves, and their exact neighbours in the base."""

    rows: Ids
    queries: Any
    exact: GroundTruth


def judge(
    source: QuerySource, flaws: ListFlaws, sample: Sample, base: UsableRows, distance: Distance, max_norm: float
) -> TruthFigures:
    """Compare the stored truth with the exact one on the sampled queries.

    A stored neighbour is true if it is no farther than the last of as many true ones, within the tolerance for ties
    of `distance`. Lists with unknown ids are left out: those are counted already.
    """
    stored_k = source.neighbors.shape[1]
    judged = np.flatnonzero(~np.isin(sample.rows, flaws.unknown_ids))
    compared = min(stored_k, sample.exact.distances.shape[1], len(base))
    tally = _Tally(distance, compared)
    # Nearest and farthest of each list: a wrong metric may agree at one end.
    ends = np.linspace(0, stored_k - 1, min(stored_k, SAMPLE_NEIGHBORS)).astype(np.int64)
    columns = np.union1d(np.arange(compared), ends)
    d_k = sample.exact.distances[judged, compared - 1]
    limits = d_k + distance.tie_slack(sample.queries[judged], d_k, max_norm)
    step = max(1, _BLOCK_BYTES // (8 * len(columns) * max(1, int(np.prod(base.shape[1:], dtype=np.int64)))))
    for start in range(0, len(judged), step):
        block = judged[start : start + step]
        ids = source.neighbors.gather(sample.rows[block])[:, columns].astype(np.int64)
        stored = source.distances.gather(sample.rows[block])[:, columns].astype(np.float64)
        distinct, places = np.unique(ids, return_inverse=True)
        vectors = base.of_file(distinct)
        for i, query in enumerate(block):
            asked = sample.queries[np.repeat(query, len(columns))]
            lists = _Lists(int(sample.rows[query]), columns, ids[i], stored[i])
            tally.add(lists, asked, vectors[places.reshape(ids.shape)[i]], limits[start + i], d_k[start + i])
    return list_figures(flaws, source).model_copy(
        update={
            "sampled_queries": len(judged),
            "distances_compared": tally.distances,
            "distances_agreeing": tally.agreeing,
            "largest_relative_error": optional(tally.largest_error),
            "disagreement": tally.disagreement,
            "neighbors_compared": compared * len(judged),
            "neighbors_true": compared * len(judged) - tally.wrong,
            "queries_with_wrong_neighbors": tally.wrong_queries,
            "largest_excess": optional(tally.largest_excess),
        }
    )


def list_figures(flaws: ListFlaws, source: QuerySource) -> TruthFigures:
    """What can be said without a search."""
    return TruthFigures(
        lists=len(source.neighbors),
        stored_k=source.neighbors.shape[1],
        lists_with_unknown_ids=len(flaws.unknown_ids),
        lists_with_repeats=len(flaws.repeats),
        lists_not_finite=len(flaws.not_finite),
        lists_unsorted=len(flaws.unsorted),
        examples={name: tuple(ids[:_EXAMPLES].tolist()) for name, ids in vars(flaws).items() if len(ids)},
    )


@dataclass(frozen=True)
class _Lists:
    """What is stored for one query, in some columns."""

    query: int
    columns: Ids
    ids: Ids
    stored: Floats


@dataclass
class _Tally:
    distance: Distance
    compared: int
    distances: int = 0
    agreeing: int = 0
    largest_error: float = 0.0
    disagreement: Disagreement | None = None
    wrong: int = 0
    wrong_queries: int = 0
    largest_excess: float = 0.0

    def add(self, lists: _Lists, query: Any, vectors: Any, limit: float, d_k: float) -> None:
        with np.errstate(all="ignore"):  # stored neighbours may be rows without a distance
            true = self.distance.rowwise(query, vectors)
            self._distances(lists, query, vectors, true)
        near = true[: self.compared]
        wrong = ~(near <= limit)
        self.wrong += int(wrong.sum())
        self.wrong_queries += bool(wrong.any())
        if wrong.any():
            excess = float(np.nanmax(np.where(wrong, near - d_k, 0), initial=0)) / max(abs(d_k), 1e-30)
            self.largest_excess = max(self.largest_excess, excess if np.isfinite(near[wrong]).all() else np.inf)

    def _distances(self, lists: _Lists, query: Any, vectors: Any, true: Floats) -> None:
        off = self.distance.disagrees(lists.stored, true, query, vectors) | ~np.isfinite(true)
        self.distances += len(true)
        self.agreeing += int((~off).sum())
        error = np.abs(lists.stored - true) / np.where(true != 0, np.abs(true), np.inf)
        self.largest_error = max(self.largest_error, float(np.nanmax(error, initial=0)))
        if not off.any() or self.disagreement is not None:
            return
        worst = int(np.where(off, np.nan_to_num(np.abs(lists.stored - true), nan=np.inf), -1).argmax())
        self.disagreement = Disagreement(
            query=lists.query,
            column=int(lists.columns[worst]),
            row=int(lists.ids[worst]),
            stored=float(lists.stored[worst]),
            true=float(true[worst]),
            explanation=stored_explanation(self.distance, lists.stored, query, vectors),
        )


def ties(sample: Sample, k: int) -> TieFigures | None:
    """How close the k-th and the next neighbour are; None if there are no k + 1."""
    if sample.exact.distances.shape[1] <= k:
        return None
    pair = sample.exact.distances[:, k - 1 : k + 1]
    pair = pair[np.isfinite(pair).all(axis=1)]
    if not len(pair):
        return None
    gap, scale = pair[:, 1] - pair[:, 0], np.abs(pair[:, 0])
    return TieFigures(
        k=k,
        sampled_queries=len(pair),
        exact=float((gap == 0).mean()),
        within_1e_6=float((gap <= 1e-6 * scale).mean()),
        within_1e_3=float((gap <= 1e-3 * scale).mean()),
    )
