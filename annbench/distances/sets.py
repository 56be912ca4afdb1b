"""Sets of integers, as rows that can be sliced: what Jaccard distance compares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from annbench.errors import DatasetError


class Sets:
    """`len(sets)` sets over the universe 0 … dim − 1, in CSR form.

    `indptr` (n + 1,) int64 and `elements` (nnz,) int32: row i holds elements[indptr[i]:indptr[i + 1]], sorted and
    distinct. `sets[i]` is one of them, `sets[a:b]` and `sets[ids]` are again Sets. Raises DatasetError, naming the
    row, for elements outside the universe, unsorted or repeated.
    """

    def __init__(self, indptr: NDArray[np.int64], elements: NDArray[np.int32], dim: int, *, where: str = "") -> None:
        self.indptr = np.ascontiguousarray(indptr, dtype=np.int64)
        self.elements = np.ascontiguousarray(elements, dtype=np.int32)
        self.shape = (len(self.indptr) - 1, dim)
        self._check(where)

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int] | NDArray[Any]], dim: int) -> Sets:
        """Sets of the given elements, in any order; repeated ones count once."""
        distinct = [np.unique(np.asarray(row, dtype=np.int32)) for row in rows]
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in distinct], dtype=np.int64)])
        return cls(indptr.astype(np.int64), np.concatenate([np.empty(0, np.int32), *distinct]), dim)

    @property
    def dim(self) -> int:
        """Size of the universe."""
        return self.shape[1]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Elements of each set (n,)."""
        return np.diff(self.indptr)

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self.indptr.nbytes + self.elements.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, rows: int) -> NDArray[np.int32]: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[np.integer[Any]]) -> Sets: ...

    def __getitem__(self, rows: int | slice | NDArray[np.integer[Any]]) -> NDArray[np.int32] | Sets:
        if isinstance(rows, int | np.integer):
            row = range(len(self))[rows]  # negative indexes, and IndexError beyond
            return self.elements[self.indptr[row] : self.indptr[row + 1]]
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                stop = max(start, stop)
                indptr = self.indptr[start : stop + 1]
                return _trusted(indptr - indptr[0], self.elements[indptr[0] : indptr[-1]], self.dim)
            rows = np.arange(start, stop, step)
        return self._gathered(np.asarray(rows))

    def _gathered(self, ids: NDArray[np.integer[Any]]) -> Sets:
        if ids.size and (ids.min() < 0 or ids.max() >= len(self)):
            raise IndexError(f"ids from {ids.min()} to {ids.max()}, rows from 0 to {len(self) - 1}")
        starts, sizes = self.indptr[ids], self.sizes[ids]
        indptr = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        at = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], sizes)
        return _trusted(indptr, self.elements[at], self.dim)

    def _check(self, where: str) -> None:
        pointers, n = self.indptr, len(self)
        if n < 0 or pointers[0] != 0 or pointers[-1] != len(self.elements) or (np.diff(pointers) < 0).any():
            raise DatasetError(
                "the sizes of the rows do not add up to the elements", where=where, remedy="write the file again"
            )
        outside = np.flatnonzero((self.elements < 0) | (self.elements >= self.dim))
        if outside.size:
            raise DatasetError(
                f"holds element {self.elements[outside[0]]}, and the universe is 0 to {self.dim - 1}",
                where=f"{where}: row {self._row(outside[0])}",
                remedy="correct the element, or the number of elements that exist",
            )
        rising = np.diff(self.elements) > 0
        inner = pointers[1:-1]
        rising[inner[(inner > 0) & (inner < len(self.elements))] - 1] = True  # from one row to the next
        falling = np.flatnonzero(~rising)
        if falling.size:
            raise DatasetError(
                "is not sorted, or repeats an element",
                where=f"{where}: row {self._row(falling[0] + 1)}",
                remedy="store each set sorted, every element once",
            )

    def _row(self, position: int) -> int:
        return int(np.searchsorted(self.indptr, position, side="right")) - 1


def _trusted(indptr: NDArray[np.int64], elements: NDArray[np.int32], dim: int) -> Sets:
    """Rows of sets that were checked already."""
    sets = Sets.__new__(Sets)
    sets.indptr, sets.elements, sets.shape = indptr, elements, (len(indptr) - 1, dim)
    return sets


def intersections(a: Sets, b: Sets) -> NDArray[np.int64]:
    """|a_i ∩ b_i| (n,) of sets row by row; both have n rows."""
    universe = max(a.dim, b.dim)
    keys_a = np.repeat(np.arange(len(a), dtype=np.int64), a.sizes) * universe + a.elements
    keys_b = np.repeat(np.arange(len(b), dtype=np.int64), b.sizes) * universe + b.elements
    at = np.searchsorted(keys_b, keys_a)
    found = keys_b[np.minimum(at, max(len(keys_b) - 1, 0))] == keys_a if len(keys_b) else np.zeros(len(keys_a), bool)
    rows = np.repeat(np.arange(len(a)), a.sizes)[found]
    return np.bincount(rows, minlength=len(a)).astype(np.int64)
