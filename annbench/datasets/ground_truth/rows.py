"""From anything that can be sliced by rows to float32 blocks whose values can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from annbench import _native
from annbench.datasets.ground_truth.bounds import MAX_COSINE_SCALE, MAX_DIM, MAX_SQUARED_NORM
from annbench.distances import Layout
from annbench.errors import DatasetError

READ_BYTES = 8 << 20  # what is read at once while converting: small beside any block, large beside a system call
DenseMetric = Literal["euclidean", "cosine", "ip"]
_DTYPES: dict[Layout, tuple[str, ...]] = {"dense": ("float32", "float16", "int8", "uint8"), "bits": ("uint8",)}

Place = Callable[[int], str]  # names a row for a message


class RowSource(Protocol):
    """A matrix that is read by slices of rows: a numpy array, a memory map, an h5py dataset, `formats.rows.Rows`."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, rows: slice, /) -> Any: ...


@dataclass(frozen=True)
class Slab:
    """Consecutive rows of the base in memory: float32 rows (n, d), float64 squared norms (n,), and the
    float32 terms (n,) that turn q·x into a score: −½‖x‖² to add (euclidean), 1/‖x‖ to multiply by (cosine; 0
    for zero rows)."""

    rows: NDArray[np.float32]
    squared_norms: NDArray[np.float64]
    terms: NDArray[np.float32]
    first: int

    @property
    def stop(self) -> int:
        return self.first + len(self.rows)


def check_source(source: RowSource, where: str, layout: Layout = "dense") -> None:
    """Raises `DatasetError` unless `source` is a matrix of a dtype and dimension that the layout has."""
    if len(source.shape) != 2:
        raise DatasetError(
            f"has shape {tuple(source.shape)}", where=where, remedy="give a matrix with one vector a row"
        )
    names = _DTYPES[layout]
    if np.dtype(source.dtype).newbyteorder("=").name not in names:
        remedy = "pack the bits with numpy.packbits" if layout == "bits" else f"convert it to one of {', '.join(names)}"
        raise DatasetError(f"has dtype {np.dtype(source.dtype)}", where=where, remedy=remedy)
    if not 1 <= source.shape[1] <= MAX_DIM:
        raise DatasetError(
            f"has dim {source.shape[1]}", where=where, remedy=f"give vectors of 1 to {MAX_DIM} dimensions"
        )


def pieces(start: int, stop: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    """[start, stop) in pieces of about READ_BYTES."""
    step = max(1, READ_BYTES // max(1, row_bytes))
    for first in range(start, stop, step):
        yield first, min(first + step, stop)


def is_float32_array(source: RowSource) -> bool:
    """Whether slices of `source` are float32 rows as the kernels want them, so that no copy is needed."""
    return (
        isinstance(source, np.ndarray)
        and source.dtype == np.dtype("=f4")
        and source.dtype.isnative
        and source.flags.c_contiguous
        and source.flags.aligned
    )


def is_resident(source: RowSource) -> bool:
    """Whether the whole of `source` is in memory already, ready for use."""
    return is_float32_array(source) and not isinstance(source, np.memmap)


def float32_rows(
    source: RowSource, start: int, stop: int, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Rows [start, stop) as float32: a view where there can be one, else converted into `out` piece by
    piece."""
    if is_float32_array(source):
        return np.asarray(source[start:stop])
    rows = np.empty((stop - start, source.shape[1]), np.float32) if out is None else out[: stop - start]
    for first, last in pieces(start, stop, 4 * source.shape[1]):
        rows[first - start : last - start] = source[first:last]
    return rows


def checked_squared_norms(rows: NDArray[np.float32], first: int, place: Place) -> NDArray[np.float64]:
    """Float64 squared norms of the rows.

    Raises `DatasetError` naming the first row that holds NaN or infinity, or is too long for float32
    arithmetic.
    """
    norms = np.empty(len(rows), np.float64)
    _native.squared_norms(rows, norms)
    bad = np.flatnonzero(~(norms <= MAX_SQUARED_NORM))
    if bad.size:
        _refuse(rows[bad[0]], norms[bad[0]], place(first + int(bad[0])))
    return norms


def _refuse(row: NDArray[np.float32], squared_norm: float, where: str) -> None:
    broken = np.flatnonzero(~np.isfinite(row))
    if broken.size:
        raise DatasetError(
            f"holds {row[broken[0]]} in dimension {broken[0]}",
            where=where,
            remedy="remove or repair such rows: they have no distance to anything",
        )
    raise DatasetError(
        f"has squared norm {squared_norm:.3g}, which overflows float32",
        where=where,
        remedy=f"scale all vectors down by one factor, to norms below {MAX_SQUARED_NORM**0.5:.2g}",
    )


def make_slab(rows: NDArray[np.float32], first: int, metric: DenseMetric, place: Place) -> Slab:
    """Checks the rows and precomputes what a metric needs of them."""
    norms = checked_squared_norms(rows, first, place)
    if metric == "euclidean":
        terms = np.multiply(norms, -0.5).astype(np.float32)
    elif metric == "cosine":
        # Above the cap a score says nothing (bounds.py) but must still be a number.
        scale = np.sqrt(norms)
        np.maximum(scale, 0.5 / MAX_COSINE_SCALE, out=scale)
        np.divide(1.0, scale, out=scale)
        scale[norms == 0] = 0.0
        terms = scale.astype(np.float32)
    else:
        terms = np.zeros(len(rows), np.float32)
    return Slab(rows, norms, terms, first)
