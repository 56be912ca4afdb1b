"""Are the values of a dataset believable? Every vector is read once; the stored truth is checked on a
sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.dataset import Dataset
from annbench.datasets.formats.rows import Rows
from annbench.datasets.info import Metric
from annbench.errors import DatasetError

CHECKS_VERSION = 1
SAMPLE_QUERIES = 32
SAMPLE_NEIGHBORS = 100
UNIT_TOLERANCE = 1e-3
# Relative to the scale of the distance: far above the rounding of float32 truth, far below any wrong metric.
DISTANCE_TOLERANCE = 1e-3
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


def check_dataset(dataset: Dataset) -> VectorFacts:
    """Check every vector and the stored truth of every query set; the facts are about the base.

    Raises DatasetError.
    """
    facts = check_vectors(dataset.base_raw.blocks(), dataset.base_raw.where)
    for name, queries in dataset.query_rows():
        check_vectors(queries.test.blocks(), queries.test.where)
        if queries.learn is not None:
            check_vectors(queries.learn.blocks(), queries.learn.where)
        if queries.relevant is not None:
            _check_ids(queries.relevant, dataset.info.n)
        _check_ids(queries.neighbors, dataset.info.n)
        _check_no_repeats(queries.neighbors)
        _check_order(queries.distances)
        _check_sample(dataset, name, queries.distances.where)
    return facts


def true_distances(metric: Metric, queries: Floats, vectors: Floats) -> Floats:
    """Distances (q, k) of queries (q, dim) to their own vectors (q, k, dim): L2, 1 − cosine or −dot, in
    float64.

    A zero vector has cosine distance 1 to everything.
    """
    if metric == "euclidean":
        difference = vectors - queries[:, None]
        return np.asarray(np.sqrt(np.einsum("qkd,qkd->qk", difference, difference)))
    dot = np.einsum("qd,qkd->qk", queries, vectors)
    if metric == "ip":
        return np.asarray(-dot)
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(vectors, axis=2)
    return np.asarray(1 - np.divide(dot, lengths, out=np.zeros_like(dot), where=lengths > 0))


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
        slack = DISTANCE_TOLERANCE * np.maximum(1, np.abs(block).max(axis=1, keepdims=True))
        falling = np.flatnonzero((np.diff(block.astype(np.float64), axis=1) < -slack).any(axis=1))
        if falling.size:
            raise DatasetError(
                "is not sorted, nearest first",
                where=f"{distances.where}: row {start + int(falling[0])}",
                remedy="sort the neighbours by distance; similarities must be stored as distances",
            )


def _check_sample(dataset: Dataset, query_set: str, where: str) -> None:
    """Stored distances against the metric, for evenly spaced queries."""
    queries, metric = dataset.queries(query_set), dataset.info.metric
    rows = np.unique(np.linspace(0, len(queries) - 1, SAMPLE_QUERIES).astype(np.int64))
    # Nearest and farthest of each list: a wrong metric may agree at one end.
    truth_k = dataset.info.query_sets[query_set].truth_k
    columns = np.unique(np.linspace(0, truth_k - 1, SAMPLE_NEIGHBORS).astype(np.int64))
    stored_all, ids_all = dataset.distances(query_set), dataset.neighbors(query_set)
    for row in rows:
        ids, stored = ids_all[row, columns], stored_all[row, columns]
        query = queries[row : row + 1].astype(np.float64)
        vectors = dataset.base_rows(ids)[None].astype(np.float64)
        true = true_distances(metric, query, vectors)[0]
        off = np.flatnonzero(_disagree(metric, stored, true, query, vectors[0]))
        if off.size:
            at = int(off[0])
            raise DatasetError(
                f"stored distance {stored[at]:.6g} to id {ids[at]}, and by {metric} it is {true[at]:.6g}",
                where=f"{where}: row {row}, column {columns[at]}",
                remedy=_remedy(metric, stored, query, vectors),
            )


def _disagree(metric: Metric, stored: Floats, true: Floats, query: Floats, vectors: Floats) -> NDArray[np.bool_]:
    squares = np.einsum("kd,kd->k", vectors, vectors)
    length = float(np.linalg.norm(query))
    if metric == "euclidean":
        # Squares are compared: float32 truth by ‖x‖² + ‖q‖² − 2x·q is only that exact near zero.
        slack = DISTANCE_TOLERANCE * true**2 + 1e-5 * (squares + length**2)
        return np.asarray((np.abs(stored**2 - true**2) > slack) | (stored < -DISTANCE_TOLERANCE))
    scale = np.ones_like(true) if metric == "cosine" else length * np.sqrt(squares)
    return np.asarray(np.abs(stored - true) > DISTANCE_TOLERANCE * np.maximum(scale, np.finfo(np.float32).tiny))


def _remedy(metric: Metric, stored: Floats, query: Floats, vectors: Floats) -> str:
    """What the stored distances are, if they are something known."""
    others: tuple[Metric, ...] = ("euclidean", "cosine", "ip")
    known = {name: true_distances(name, query, vectors)[0] for name in others}
    guesses = {
        "squared L2 distances: store their square roots": known["euclidean"] ** 2,
        "inner products: store them negated": -known["ip"],
        "cosine similarities: store 1 − cosine": 1 - known["cosine"],
        "1 − dot: normalise the vectors, or store −dot with distance ip": 1 + known["ip"],
        **{f"{name} distances: correct the attribute `distance`": d for name, d in known.items() if name != metric},
    }
    for text, values in guesses.items():
        if np.allclose(stored, values, rtol=DISTANCE_TOLERANCE, atol=1e-5):
            return f"the stored values are {text}"
    return "the truth belongs to other vectors or another metric; make it again with `annbench data add`"
