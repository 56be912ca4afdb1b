"""The caller's vectors: checked, and turned into float32 rows a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench._native import squared_norms
from annbench.errors import UsageError
from annbench.indexes.transforms.base import Matrix

ACCEPTED = ("float32", "float16", "float64", "int8", "uint8")
BLOCK_BYTES = 64 << 20  # of float32
MAX_DIM = 1 << 20  # as the index file has it


def as_matrix(vectors: Any, where: str, dim: int | None = None) -> NDArray[Any]:
    """`vectors` as an array (n, dim) of an accepted dtype, not copied. Raises UsageError."""
    array = np.asarray(vectors)
    if array.dtype.newbyteorder("=").name not in ACCEPTED:
        raise UsageError(
            f"has dtype {array.dtype}",
            where=where,
            remedy=f"give one of {', '.join(ACCEPTED)}, for example {where}.astype('float32')",
        )
    if array.ndim != 2 or array.shape[1] < 1:
        raise UsageError(f"has shape {array.shape}", where=where, remedy="give rows: (n, dim) with dim >= 1")
    if array.shape[1] > MAX_DIM:
        raise UsageError(f"has dim {array.shape[1]:,}", where=where, remedy=f"give vectors of dim {MAX_DIM:,} at most")
    if dim is not None and array.shape[1] != dim:
        raise UsageError(
            f"has dim {array.shape[1]}", where=where, remedy=f"give vectors of dim {dim}, as the index has"
        )
    return array


def blocks(vectors: NDArray[Any], *, unit: bool) -> Iterator[tuple[int, Matrix]]:
    """(first row, rows) over all of `vectors` (n, dim): float32, C-contiguous, scaled to length 1 if `unit` is set.

    Blocks are views where nothing has to be done.
    """
    step = max(1, BLOCK_BYTES // (4 * vectors.shape[1]))
    for start in range(0, len(vectors), step):
        yield start, as_rows(vectors[start : start + step], unit=unit)


def as_rows(vectors: NDArray[Any], *, unit: bool) -> Matrix:
    """`vectors` (n, dim) as `blocks` gives them, all at once."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    return unit_rows(rows) if unit else rows


def unit_rows(rows: Matrix) -> Matrix:
    """Rows (n, dim) scaled to length 1; zero rows stay zero."""
    # In float64: the square of a float32 below 1e-19 is no float32.
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))[:, None]
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def check_values(vectors: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Rows (m,) that are zero. Raises DatasetError at the first row that is not finite, or so long that a distance to
    it would overflow float32.
    """
    from annbench.datasets.checks import MAX_SQUARED_NORM, check_vectors

    zero: list[NDArray[np.int64]] = []
    squared = np.empty(len(vectors), dtype=np.float64)
    with np.errstate(over="ignore"):  # of float64 values beyond float32
        for start, rows in blocks(vectors, unit=False):
            found = squared[start : start + len(rows)]
            squared_norms(rows, found)
            if not (found <= MAX_SQUARED_NORM).all():
                check_vectors([(start, vectors[start : start + len(rows)])], where)
            zero.append(start + np.flatnonzero(found == 0))
    return np.concatenate(zero) if zero else np.empty(0, dtype=np.int64)


def check_mapped(mapped: Matrix, first: int) -> None:
    """Raises UsageError at the first row that a transform has made longer than distances can be; `first` is the number
    of row 0.
    """
    from annbench.datasets.checks import MAX_SQUARED_NORM

    squared = np.empty(len(mapped), dtype=np.float64)
    squared_norms(mapped, squared)
    bad = np.flatnonzero(~(squared <= MAX_SQUARED_NORM))
    if bad.size:
        raise UsageError(
            "is mapped beyond float32",
            where=f"x: row {first + int(bad[0])}",
            remedy="scale the vectors down, or use another transform",
        )


def as_ids(ids: Any, n: int) -> NDArray[np.int64]:
    """`ids` (n,) as int64. Raises UsageError for another shape or dtype, for negative ids and for repeated ones."""
    array = np.asarray(ids)
    if array.size and (array.dtype.kind not in "iu" or int(array.max()) >= 1 << 63):
        raise UsageError(f"are not all int64: dtype {array.dtype}", where="ids", remedy="give int64")
    if array.shape != (n,):
        raise UsageError(f"have shape {array.shape}", where="ids", remedy=f"give one a vector: ({n},)")
    wide = np.ascontiguousarray(array, dtype=np.int64)
    if n and int(wide.min()) < 0:
        row = int(np.argmax(wide < 0))
        raise UsageError(
            f"id {wide[row]} is negative", where=f"ids: {row}", remedy="give 0 or more; −1 means none found"
        )
    first = np.unique(wide, return_index=True)[1]
    if len(first) < n:
        row = int(np.setdiff1d(np.arange(n), first)[0])
        raise UsageError(
            f"id {wide[row]} is given twice", where=f"ids: {row}", remedy="give every vector an id of its own"
        )
    return wide


def as_query(query: Any, dim: int) -> Matrix:
    """One query (dim,) or many (m, dim) as float32, C-contiguous. Raises UsageError and DatasetError.

    What is float32 is not looked at: a search refuses what it cannot use, and `check_values` then says which row.
    """
    array = np.asarray(query)
    matrix = as_matrix(array[None] if array.ndim == 1 else array, "q", dim)
    if matrix.dtype != np.float32:
        check_values(matrix, "q")
    rows = np.ascontiguousarray(matrix, dtype=np.float32)
    return rows[0] if array.ndim == 1 else rows
