"""Part of a base: rows from … to, or those that a filter admits; numbered from 0, and ids are put back at the end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.ground_truth.rows import READ_BYTES, RowSource
from annbench.distances.sets import Sets
from annbench.errors import UsageError

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """Which labels the rows of the base and the queries have, as sets over the same labels.

    A query admits the rows that have all of its labels; one without labels admits every row. (NeurIPS'23 big-ann
    challenge, filter track.)
    """

    base: Sets
    queries: Sets


class RowRange:
    """Rows [start, stop) of a source."""

    def __init__(self, source: RowSource, start: int, stop: int) -> None:
        self._source, self._start = source, start
        self.shape: tuple[int, ...] = (stop - start, *source.shape[1:])
        self.dtype: Any = source.dtype

    def __getitem__(self, rows: slice) -> Any:
        start, stop, _ = rows.indices(self.shape[0])
        return self._source[self._start + start : self._start + max(start, stop)]


class Selected:
    """Rows of a source by rising ids (m,)."""

    def __init__(self, source: RowSource, ids: Ids) -> None:
        self._source, self._ids = source, ids
        self.shape: tuple[int, ...] = (len(ids), *source.shape[1:])
        self.dtype: Any = source.dtype

    def __getitem__(self, rows: slice) -> Any:
        return gather(self._source, self._ids[rows])


def gather(source: RowSource, ids: Ids) -> Any:
    """Rows (m, d) by id, in any order; sources that can only be sliced are read in windows around them."""
    if isinstance(source, np.ndarray | Sets):
        return source[ids]
    if hasattr(source, "gather"):
        return source.gather(ids)
    wanted, back = np.unique(ids, return_inverse=True)
    found = np.empty((len(wanted), *source.shape[1:]), np.dtype(source.dtype).newbyteorder("="))
    window = max(1, READ_BYTES // max(1, found[:1].nbytes))
    done = 0
    while done < len(wanted):
        first = int(wanted[done])
        inside = int(np.searchsorted(wanted, first + window))
        found[done:inside] = source[first : int(wanted[inside - 1]) + 1][wanted[done:inside] - first]
        done = inside
    return found[back]


def row_range(source: Any, start: int, stop: int) -> Any:
    """Rows [start, stop) of a source or of Sets, without a copy."""
    if (start, stop) == (0, source.shape[0]):
        return source
    return source[start:stop] if isinstance(source, np.ndarray | Sets) else RowRange(source, start, stop)


def selected(source: Any, ids: Ids) -> Any:
    """The rows of these rising ids, of a source or of Sets."""
    return source[ids] if isinstance(source, Sets) else Selected(source, ids)


def checked_range(rows: tuple[int, int] | None, n: int) -> tuple[int, int]:
    """The rows that are searched. Raises UsageError if they are not rows of the base."""
    start, stop = (0, n) if rows is None else rows
    if not 0 <= start <= stop <= n:
        raise UsageError(f"got {start} to {stop}, and the base has {n} rows", where="rows", remedy=f"give 0 to {n}")
    return start, stop


def admitted_ids(mask: NDArray[Any], n: int, start: int, stop: int) -> Ids:
    """Ids within [start, stop) that the mask admits: (n,) bool, or its bits packed by numpy.packbits, (⌈n/8⌉,) uint8.

    Raises UsageError for a mask of another shape, or with bits beyond the base.
    """
    if mask.dtype == np.uint8 and mask.shape == (-(-n // 8),):
        if n % 8 and mask[-1] & ((1 << (-n % 8)) - 1):
            raise UsageError(
                f"has bits set beyond row {n - 1}", where="filter", remedy="clear the bits that fill it up"
            )
        first = start // 8
        bits = np.unpackbits(mask[first : -(-stop // 8)], count=max(0, stop - 8 * first)).view(np.bool_)
        return 8 * first + np.flatnonzero(np.concatenate([np.zeros(start % 8, np.bool_), bits[start % 8 :]]))
    if mask.dtype == np.bool_ and mask.shape == (n,):
        return start + np.flatnonzero(mask[start:stop])
    raise UsageError(
        f"has dtype {mask.dtype} and shape {mask.shape}",
        where="filter",
        remedy=f"give a boolean for each of the {n} rows, or those packed into {-(-n // 8)} bytes by numpy.packbits",
    )


def check_labels(labels: Labels, n: int, queries: int) -> None:
    """Raises UsageError for labels of other rows or another vocabulary."""
    if len(labels.base) != n or len(labels.queries) != queries:
        raise UsageError(
            f"labels of {len(labels.base)} rows and {len(labels.queries)} queries, and there are {n} and {queries}",
            where="filter",
            remedy="give the labels of this base and these queries",
        )
    if labels.base.dim != labels.queries.dim:
        raise UsageError(
            f"{labels.base.dim} labels of the base, {labels.queries.dim} of the queries",
            where="filter",
            remedy="both must use the same labels",
        )


def part_name(start: int, stop: int, rows_filter: NDArray[Any] | Labels | None) -> str:
    """What identifies a part of a base, for checkpoints."""
    name = f"rows {start}:{stop}"
    if rows_filter is None:
        return name
    digest = hashlib.sha256()
    if isinstance(rows_filter, Labels):
        for sets in (rows_filter.base, rows_filter.queries):
            digest.update(sets.indptr.tobytes())
            digest.update(sets.elements.tobytes())
    else:
        digest.update(np.ascontiguousarray(rows_filter).tobytes())
    return f"{name} filter {digest.hexdigest()}"
