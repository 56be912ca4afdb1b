"""Truth that comes with the vectors: believed after its ids, its distances and a sample of it were checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.checks import SAMPLE_QUERIES, stored_explanation
from annbench.datasets.formats.rows import Rows
from annbench.datasets.formats.truth import TruthFile, read_truth
from annbench.datasets.formats.vector_file import Columns
from annbench.datasets.ground_truth import exact_neighbors
from annbench.datasets.parts import Parts
from annbench.distances.base import Distance
from annbench.distances.registry import distance_of
from annbench.distances.sets import Sets
from annbench.errors import DatasetError

GATHER_BYTES = 32 << 20
_OTHER = "the truth belongs to other vectors or another metric; leave out --truth to have it computed"

Floats = NDArray[np.float64]

# How truth files write a distance: as it is, or as …
_CONVENTIONS: tuple[tuple[str, Callable[[Floats], Floats]], ...] = (
    ("", lambda d: d),
    ("squared L2 distances", lambda d: np.sqrt(np.maximum(d, 0))),
    ("similarities", lambda d: -d),
    ("1 − the distance", lambda d: 1 - d),
)


@dataclass(frozen=True)
class GivenTruth:
    """Ids (q, k), nearest first, their distances as `annbench.distances` defines them, and remarks."""

    neighbors: NDArray[np.int64]
    distances: Floats
    notes: tuple[str, ...]


def check_given_truth(base: Rows, queries: Any, parts: Parts) -> GivenTruth:
    """The truth of `parts`, with distances computed here. On a sample of queries, the file's own distances are
    compared, and the neighbours with the exact ones.

    Raises DatasetError for ids that are not rows, repeated ids, distances of something else, and neighbours that are
    not the nearest.
    """
    assert parts.truth is not None
    assert parts.metric is not None
    file, distance = read_truth(parts.truth, Columns(parts.column, parts.id_column)), distance_of(parts.metric)
    ids = _ids(file, len(base), len(queries), parts.k)
    distances = _distances(distance, base, queries, ids)
    sample = np.unique(np.linspace(0, len(queries) - 1, SAMPLE_QUERIES).astype(np.int64))
    notes = _compare_stored(file, distance, base, queries, ids, distances, sample)
    order = np.argsort(distances, axis=1, kind="stable")
    ids, distances = np.take_along_axis(ids, order, axis=1), np.take_along_axis(distances, order, axis=1)
    notes += _compare_exact(parts, distance, base, queries, ids, distances, sample)
    if ids.shape[1] < file.neighbors.shape[1]:
        notes.append(f"{parts.truth.name}: the first {ids.shape[1]} of {file.neighbors.shape[1]} neighbours are kept")
    return GivenTruth(ids, distances, tuple(notes))


def _ids(file: TruthFile, n: int, queries: int, k: int) -> NDArray[np.int64]:
    rows = file.neighbors
    if len(rows) != queries:
        raise DatasetError(f"has {len(rows):,} rows for {queries:,} queries", where=rows.where, remedy="one a query")
    stored = rows.stored()
    outside = np.argwhere((stored < 0) | (stored >= n))
    if len(outside):
        row, column = outside[0]
        raise DatasetError(
            f"holds id {stored[row, column]} in column {column}, and the base has rows 0 to {n - 1}",
            where=f"{rows.where}: row {row}",
            remedy=_OTHER,
        )
    ids: NDArray[np.int64] = stored.astype(np.int64)[:, :k]
    ordered = np.sort(ids, axis=1)
    repeated = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if repeated.size:
        raise DatasetError(
            "lists the same neighbour twice", where=f"{rows.where}: row {int(repeated[0])}", remedy=_OTHER
        )
    return ids


def _distances(distance: Distance, base: Rows, queries: Any, ids: NDArray[np.int64]) -> Floats:
    found = np.empty(ids.shape, np.float64)
    for start, stop in _pieces(base, queries, ids.shape[1]):
        vectors = base.gather(ids[start:stop].ravel())
        repeated = np.repeat(np.arange(start, stop), ids.shape[1])
        found[start:stop] = distance.rowwise(queries[repeated], vectors).reshape(stop - start, -1)
    return found


def _pieces(base: Rows, queries: Any, k: int) -> Iterator[tuple[int, int]]:
    width = 512 if isinstance(queries, Sets) else 8 * base.shape[1]
    step = max(1, GATHER_BYTES // (width * k))
    for start in range(0, len(queries), step):
        yield start, min(start + step, len(queries))


def _compare_stored(
    file: TruthFile,
    distance: Distance,
    base: Rows,
    queries: Any,
    ids: NDArray[np.int64],
    true: Floats,
    sample: NDArray[np.int64],
) -> list[str]:
    """The file's own distances must be those of its ids, in one of the conventions of truth files."""
    if file.distances is None:
        return []
    stored = file.distances.gather(sample)[:, : ids.shape[1]].astype(np.float64)

    def wrong(row: int, values: Floats) -> NDArray[np.bool_]:
        repeated = queries[np.repeat(row, ids.shape[1])]
        return distance.disagrees(values, true[row], repeated, base.gather(ids[row]))

    for what, convert in _CONVENTIONS:
        if not any(wrong(row, convert(values)).any() for row, values in zip(sample, stored, strict=True)):
            return [f"{file.distances.where}: {what}, kept as {distance.stored}"] if what else []
    row, values = next((row, v) for row, v in zip(sample, stored, strict=True) if wrong(row, v).any())
    at = int(np.flatnonzero(wrong(row, values))[0])
    raise DatasetError(
        f"holds distance {values[at]:.6g} to id {ids[row, at]}, and by {distance.metric} it is {true[row, at]:.6g}",
        where=f"{file.distances.where}: row {row}, column {at}",
        remedy=stored_explanation(distance, values, queries[np.repeat(row, ids.shape[1])], base.gather(ids[row])),
    )


def _compare_exact(
    parts: Parts,
    distance: Distance,
    base: Rows,
    queries: Any,
    ids: NDArray[np.int64],
    distances: Floats,
    sample: NDArray[np.int64],
) -> list[str]:
    """The neighbours of a sample of queries must be as near as the exact ones."""
    assert parts.metric is not None
    assert parts.truth is not None
    exact = exact_neighbors(
        base, queries[sample], ids.shape[1], parts.metric, threads=parts.threads, memory_limit_bytes=parts.memory_bytes
    ).distances
    farther = 0
    for i, row in enumerate(sample):
        given, repeated = distances[row], queries[np.repeat(row, ids.shape[1])]
        off = np.flatnonzero((given > exact[i]) & distance.disagrees(given, exact[i], repeated, base.gather(ids[row])))
        if off.size:
            at = int(off[0])
            raise DatasetError(
                f"says that neighbour {at} is id {ids[row, at]} at {given[at]:.6g}, and there are "
                f"{at + 1} rows within {exact[i][at]:.6g}",
                where=f"{parts.truth}: row {row}",
                remedy=_OTHER,
            )
        farther += int((given > exact[i] + 1e-6 * np.maximum(1, np.abs(exact[i]))).sum())
    if not farther:
        return []
    return [f"{parts.truth.name}: {farther} of {ids[sample].size} neighbours on a sample are not exactly the nearest"]
