"""The texmex files of SIFT and GIST: each row is an int32 dim and dim numbers.

`.fvecs` float32, `.ivecs` int32, `.bvecs` uint8. Source: http://corpus-texmex.irisa.fr.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.mapped import map_array, read_head, regular_size
from annbench.datasets.formats.rows import PiecewiseRows
from annbench.datasets.formats.vector_file import Blocks, Columns, VectorFile, check_matrix
from annbench.errors import DatasetError

HEAD_BYTES = 4
MAX_ROW_BYTES = 1 << 30
_REMEDY = "every row of a texmex file starts with the same dim; the file is damaged, or of another format"


class Texmex:
    """Rows of one dtype, each after its dim."""

    def __init__(self, dtype: str) -> None:
        self.dtypes: tuple[str, ...] = (dtype,)

    def read(self, path: Path, columns: Columns) -> VectorFile:  # noqa: ARG002 - not a table
        (dim,) = read_head(path, "<i4", 1)
        check_matrix(1, dim, f"{path}: row 0", _REMEDY)
        stored = np.dtype(self.dtypes[0]).newbyteorder("<")
        row = HEAD_BYTES + dim * stored.itemsize
        n, rest = divmod(regular_size(path), row)
        if row > MAX_ROW_BYTES:
            raise DatasetError(f"has dim {dim:,}", where=f"{path}: row 0", remedy=_REMEDY)
        records = map_array(path, np.dtype([("dim", "<i4"), ("row", stored, (dim,))]), 0, (n,))
        if rest:
            _check_dims(records["dim"], dim, 0, path)
            raise DatasetError(
                f"has {rest} bytes behind {n:,} rows of dim {dim}, which are {row} bytes each",
                where=str(path),
                remedy="the file is truncated, or of another format; get it again",
            )
        return VectorFile(TexmexRows(records, dim, path))

    def write(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Blocks) -> None:
        dim = shape[1]
        record = np.dtype([("dim", "<i4"), ("row", dtype.newbyteorder("<"), (dim,))])
        with path.open("wb") as stream:
            for _, block in blocks:
                records = np.empty(len(block), record)
                records["dim"] = dim
                records["row"] = block
                records.tofile(stream)


class TexmexRows(PiecewiseRows):
    """The rows of a mapped texmex file. The dim of every row that is read is checked, while it is read."""

    def __init__(self, records: NDArray[Any], dim: int, path: Path) -> None:
        super().__init__(str(path), (len(records), dim), records["row"].dtype)
        self._records = records
        self._dim = dim
        self._path = path

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        records = self._records[start:stop]
        _check_dims(records["dim"], self._dim, start, self._path)
        return np.asarray(records["row"], dtype=self.dtype)

    def _gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        records = self._records[ids]
        wrong = np.flatnonzero(records["dim"].ravel() != self._dim)
        if wrong.size:
            row = int(np.ravel(ids)[wrong[0]])
            _check_dims(self._records["dim"][row : row + 1], self._dim, row, self._path)
        return np.ascontiguousarray(records["row"], dtype=self.dtype)


def _check_dims(dims: NDArray[np.int32], dim: int, first: int, path: Path) -> None:
    """Strided: it costs one cache line a row, of lines that are read anyway."""
    wrong = np.flatnonzero(dims != dim)
    if wrong.size:
        raise DatasetError(
            f"has dim {dims[wrong[0]]}, and the rows before it {dim}",
            where=f"{path}: row {first + int(wrong[0])}",
            remedy=_REMEDY,
        )


FVECS, IVECS, BVECS = Texmex("float32"), Texmex("int32"), Texmex("uint8")
