"""Are the values of a dataset believable? Every vector is read once; the stored truth is checked on a
sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.dataset import Dataset
from annbench.datasets.formats.rows import Rows
from annbench.distances import Metric
from annbench.distances.base import STORED_TOLERANCE, Distance
from annbench.distances.registry import DISTANCES, distance_of
from annbench.errors import DatasetError

CHECKS_VERSION = 1
SAMPLE_QUERIES = 32
SAMPLE_NEIGHBORS = 100
UNIT_TOLERANCE = 1e-3
# (‖x‖ + ‖q‖)² must be a float32, whichever two vectors meet.
MAX_SQUARED_NORM = float(np.finfo(np.float32).max) / 4

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class VectorFacts:
    """What reading every vector of an array tells."""

    zero_rows: int
    unit_norm: bool


def check_vectors(blocks: Iterable[tuple[int, NDArray[Any]]], where: str) -> VectorFacts:
    """Check (first row, rows) blocks of vectors. Raises DatasetError at the first row that is not finite, or
    so long that a distance to it would overflow float32."""
    zero_rows, unit_norm = 0, True
    for start, block in blocks:
        with np.errstate(over="ignore", invalid="ignore"):
            wide = block.astype(np.float64)
            squared = np.einsum("ij,ij->i", wide, wide)
        bad = np.flatnonzero(~(squared <= MAX_SQUARED_NORM))
        if bad.size:
            raise _bad_row(wide[bad[0]], start + int(bad[0]), where)
        zero_rows += int((squared == 0).sum())
        unit_norm = unit_norm and bool((np.abs(np.sqrt(squared) - 1) <= UNIT_TOLERANCE).all())
    return VectorFacts(zero_rows, unit_norm)


def check_rows(rows: Rows, metric: Metric, dim: int, *, queries: bool = False) -> VectorFacts:
    """Check every vector of a file, whatever its layout. Raises DatasetError at the first that has no distance to
    anything: not finite, too long for float32, outside the ball (Poincaré), constant queries (SNR); or whose bits
    beyond `dim` are set.
    """
    distance = distance_of(metric)
    if distance.layout == "bits":
        return _check_bits(rows, dim)
    if distance.layout == "sets":
        return VectorFacts(zero_rows=int((rows.stored().sizes == 0).sum()), unit_norm=False)
    undefined = distance.undefined_queries if queries else distance.undefined_vectors
    return check_vectors(_defined(rows, metric, undefined), rows.where)


def _defined(
    rows: Rows, metric: Metric, undefined: Callable[[Any], NDArray[np.bool_]]
) -> Iterator[tuple[int, NDArray[Any]]]:
    for start, block in rows.blocks():
        yield start, block  # checked first: what follows may rely on finite numbers
        bad = np.flatnonzero(undefined(block))
        if bad.size:
            raise DatasetError(
                f"has no {metric} distance to anything",
                where=f"{rows.where}: row {start + int(bad[0])}",
                remedy="see `annbench.distances` for what the metric needs, or choose another metric",
            )


def _check_bits(rows: Rows, dim: int) -> VectorFacts:
    """Bits that fill up the last byte would count as differences if they were set."""
    spare, zero_rows = (1 << (-dim % 8)) - 1, 0
    for start, block in rows.blocks():
        bad = np.flatnonzero(block[:, -1] & spare)
        if bad.size:
            raise DatasetError(
                f"has bits set beyond dimension {dim}",
                where=f"{rows.where}: row {start + int(bad[0])}",
                remedy="correct the attribute `dimension`, or pack the bits with numpy.packbits",
            )
        zero_rows += int((~block.any(axis=1)).sum())
    return VectorFacts(zero_rows, unit_norm=False)


def check_dataset(dataset: Dataset) -> VectorFacts:
    """Check every vector and the stored truth of every query set; the facts are about the base.

    Raises DatasetError.
    """
    facts = check_rows(dataset.base_raw, dataset.info.metric, dataset.info.dim)
    for name, queries in dataset.query_rows():
        for rows in filter(None, (queries.test, queries.learn)):
            check_rows(rows, dataset.info.metric, dataset.info.dim, queries=True)
        if queries.relevant is not None:
            _check_ids(queries.relevant, dataset.info.n)
        _check_ids(queries.neighbors, dataset.info.n)
        _check_no_repeats(queries.neighbors)
        _check_order(queries.distances)
        _check_sample(dataset, name, queries.distances.where)
    return facts


def _bad_row(row: Floats, index: int, where: str) -> DatasetError:
    here = f"{where}: row {index}"
    strange = np.flatnonzero(~np.isfinite(row))
    if strange.size:
        column = int(strange[0])
        return DatasetError(
            f"holds {row[column]} in column {column}",
            where=here,
            remedy="remove the row, or replace the value",
        )
    return DatasetError(
        f"has values up to {np.abs(row).max():.3g}, whose distances overflow float32",
        where=here,
        remedy="scale the vectors down",
    )


def _check_ids(ids: Rows, n: int) -> None:
    for start, block in ids.blocks():
        outside = (block < 0) | (block >= n)
        if outside.any():
            at = np.argwhere(outside)[0]
            raise DatasetError(
                f"holds id {block[tuple(at)]}, and train has rows 0 to {n - 1}",
                where=f"{ids.where}: row {start + int(at[0])}",
                remedy="the truth belongs to another base; make it again with `annbench data add`",
            )


def _check_no_repeats(ids: Rows) -> None:
    for start, block in ids.blocks():
        ordered = np.sort(block, axis=1)
        repeated = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
        if repeated.size:
            raise DatasetError(
                "lists the same neighbour twice",
                where=f"{ids.where}: row {start + int(repeated[0])}",
                remedy="make the truth again with `annbench data add`",
            )


def _check_order(distances: Rows) -> None:
    for start, block in distances.blocks():
        strange = np.flatnonzero(~np.isfinite(block).all(axis=1))
        if strange.size:
            row = int(strange[0])
            raise DatasetError(
                f"holds {block[row][~np.isfinite(block[row])][0]}",
                where=f"{distances.where}: row {start + row}",
                remedy="make the truth again with `annbench data add`",
            )
        slack = STORED_TOLERANCE * np.maximum(1, np.abs(block).max(axis=1, keepdims=True))
        falling = np.flatnonzero((np.diff(block.astype(np.float64), axis=1) < -slack).any(axis=1))
        if falling.size:
            raise DatasetError(
                "is not sorted, nearest first",
                where=f"{distances.where}: row {start + int(falling[0])}",
                remedy="sort the neighbours by distance; similarities must be stored as distances",
            )


def _check_sample(dataset: Dataset, query_set: str, where: str) -> None:
    """Stored distances against the metric, for evenly spaced queries."""
    queries, distance = dataset.queries(query_set), distance_of(dataset.info.metric)
    rows = np.unique(np.linspace(0, len(queries) - 1, SAMPLE_QUERIES).astype(np.int64))
    # Nearest and farthest of each list: a wrong metric may agree at one end.
    truth_k = dataset.info.query_sets[query_set].truth_k
    columns = np.unique(np.linspace(0, truth_k - 1, SAMPLE_NEIGHBORS).astype(np.int64))
    stored_all, ids_all = dataset.distances(query_set), dataset.neighbors(query_set)
    for row in rows:
        ids, stored = ids_all[row, columns], stored_all[row, columns]
        query, vectors = queries[np.repeat(row, len(ids))], dataset.base_rows(ids)
        true = distance.rowwise(query, vectors)
        off = np.flatnonzero(distance.disagrees(stored, true, query, vectors))
        if off.size:
            at = int(off[0])
            raise DatasetError(
                f"stored distance {stored[at]:.6g} to id {ids[at]}, and by {distance.metric} it is {true[at]:.6g}",
                where=f"{where}: row {row}, column {columns[at]}",
                remedy=stored_explanation(distance, stored, query, vectors),
            )


def stored_explanation(distance: Distance, stored: Floats, query: Any, vectors: Any) -> str:
    """What the stored distances (k,) of one query to `vectors` (k rows) are, if they are something known.

    `query` is the query k times.
    """
    metric = distance.metric
    with np.errstate(all="ignore"):  # Poincaré of vectors outside the ball, SNR of constants
        known = {
            name: other.rowwise(query, vectors) for name, other in DISTANCES.items() if other.layout == distance.layout
        }
    guesses = {}
    if distance.layout == "dense":
        guesses = {
            "squared L2 distances: store their square roots": known["euclidean"] ** 2,
            "inner products: store them negated": -known["ip"],
            "cosine similarities: store 1 − cosine": 1 - known["cosine"],
            "1 − dot: normalise the vectors, or store −dot with distance ip": 1 + known["ip"],
        }
    else:
        guesses = {"similarities: store 1 − the similarity": 1 - known[metric]}
    guesses |= {f"{name} distances: correct the attribute `distance`": d for name, d in known.items() if name != metric}
    for text, values in guesses.items():
        if np.allclose(stored, values, rtol=STORED_TOLERANCE, atol=1e-5):
            return f"the stored values are {text}"
    return "the truth belongs to other vectors or another metric; make it again with `annbench groundtruth`"
