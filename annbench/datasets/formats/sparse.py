"""Sparse rows of big-ann-benchmarks, `.csr` and `.spmat`: int64 n, columns, entries; int64 indptr; int32 columns;
float32 values. They are read as sets of columns, or as dense rows.

Source: github.com/harsha-simhadri/big-ann-benchmarks (benchmark/dataset_io.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.mapped import check_size, map_array, read_head
from annbench.datasets.formats.rows import PiecewiseRows, SetRows
from annbench.datasets.formats.sets import sorted_sets
from annbench.datasets.formats.vector_file import Blocks, Columns, VectorFile, check_matrix
from annbench.distances.sets import Sets
from annbench.errors import DatasetError

HEAD_BYTES = 24
MAX_COLUMNS = (1 << 31) - 1
# Text as SPLADE vectors grows about a hundredfold; what grows more is not meant to be dense.
MAX_GROWTH = 1000
_REMEDY = "the file is damaged, or of another format; get it again"


class SparseMatrix:
    """Rows of few non-zero numbers, in CSR form."""

    dtypes: tuple[str, ...] = ("float32", "sets")

    def read(self, path: Path, columns: Columns) -> VectorFile:  # noqa: ARG002 - not a table
        n, dim, entries = read_head(path, "<i8", 3)
        check_matrix(n, dim, str(path), _REMEDY)
        if entries < 0 or dim > MAX_COLUMNS:
            raise DatasetError(f"declares {dim:,} columns and {entries:,} entries", where=str(path), remedy=_REMEDY)
        check_size(path, HEAD_BYTES + 8 * (n + 1) + 8 * entries, f"{n:,} rows with {entries:,} entries")
        indptr = np.asarray(map_array(path, "<i8", HEAD_BYTES, (n + 1,)))
        at = HEAD_BYTES + 8 * (n + 1)
        rows = SparseRows(
            indptr,
            map_array(path, "<i4", at, (entries,)),
            map_array(path, "<f4", at + 4 * entries, (entries,)),
            dim,
            path,
        )
        return VectorFile(rows, as_sets=rows.as_sets)

    def write(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Blocks) -> None:  # noqa: ARG002
        sizes: list[NDArray[Any]] = []
        columns: list[NDArray[Any]] = []
        values: list[NDArray[Any]] = []
        for _, block in blocks:
            if isinstance(block, Sets):
                sizes.append(block.sizes)
                columns.append(block.elements)
                values.append(np.ones(len(block.elements), np.float32))
            else:
                found = np.nonzero(block)
                sizes.append(np.bincount(found[0], minlength=len(block)))
                columns.append(found[1])
                values.append(block[found])
        counts = np.concatenate(sizes)
        with path.open("wb") as stream:
            np.array([shape[0], shape[1], counts.sum()], "<i8").tofile(stream)
            np.concatenate([[0], np.cumsum(counts)]).astype("<i8").tofile(stream)
            for part, stored in ((columns, "<i4"), (values, "<f4")):
                for piece in part:
                    np.asarray(piece, stored).tofile(stream)


class SparseRows(PiecewiseRows):
    """The rows of a sparse file, dense where they are read."""

    def __init__(
        self, indptr: NDArray[np.int64], columns: NDArray[np.int32], values: NDArray[np.float32], dim: int, path: Path
    ) -> None:
        super().__init__(str(path), (len(indptr) - 1, dim), np.dtype(np.float32))
        falling = np.flatnonzero(np.diff(indptr) < 0)
        if falling.size or indptr[0] != 0 or indptr[-1] != len(columns):
            row = int(falling[0]) if falling.size else 0
            raise DatasetError("has row pointers that do not add up", where=f"{path}: row {row}", remedy=_REMEDY)
        self._indptr = indptr
        self._columns = columns
        self._values = values

    def as_sets(self) -> SetRows:
        """The columns of each row, whatever their values. Raises DatasetError for columns that are not there."""
        self._check_columns(0, len(self))
        return SetRows(sorted_sets(self._indptr, np.asarray(self._columns), self.shape[1], self.where), self.where)

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        self._check_growth()
        self._check_columns(start, stop)
        dense = np.zeros((stop - start, self.shape[1]), np.float32)
        pointers = self._indptr[start : stop + 1]
        rows = np.repeat(np.arange(stop - start), np.diff(pointers))
        entries = slice(int(pointers[0]), int(pointers[-1])) if len(pointers) else slice(0, 0)
        columns = self._columns[entries]
        cells = rows * self.shape[1] + columns
        if len(np.unique(cells)) != len(cells):
            row = next(i for i in range(stop - start) if len(np.unique(columns[rows == i])) < (rows == i).sum())
            raise DatasetError(
                "has two entries in one column", where=f"{self.where}: row {start + row}", remedy=_REMEDY
            )
        dense[rows, columns] = self._values[entries]
        return dense

    def _gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        found = np.empty((*ids.shape, self.shape[1]), np.float32)
        for at in np.ndindex(ids.shape):
            found[at] = self._read(int(ids[at]), int(ids[at]) + 1)[0]
        return found

    def _check_growth(self) -> None:
        n, dim = self.shape
        if 4 * n * dim > MAX_GROWTH * max(1, self._columns.nbytes + self._indptr.nbytes):
            raise DatasetError(
                f"would take {4 * n * dim:,} bytes as dense rows of {dim:,}",
                where=self.where,
                remedy="annbench searches dense vectors, packed bits and sets (--metric jaccard)",
            )

    def _check_columns(self, start: int, stop: int) -> None:
        dim = self.shape[1]
        pointers = self._indptr[start : stop + 1]
        columns = self._columns[int(pointers[0]) : int(pointers[-1])]
        outside = np.flatnonzero((columns < 0) | (columns >= dim))
        if outside.size:
            row = int(np.searchsorted(pointers, pointers[0] + outside[0], side="right")) - 1
            raise DatasetError(
                f"has an entry in column {columns[outside[0]]} of {dim:,}",
                where=f"{self.where}: row {start + row}",
                remedy=_REMEDY,
            )


SPARSE = SparseMatrix()
