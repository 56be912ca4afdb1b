"""The xbin family of big-ann-benchmarks: uint32 n, uint32 dim, then n rows.

`.fbin` float32, `.f16bin` float16, `.u8bin` uint8, `.i8bin` int8, `.ibin` int32; `.bin` is any of them, and read if
its size says float32. Source: github.com/harsha-simhadri/big-ann-benchmarks (benchmark/dataset_io.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from annbench.datasets.formats.mapped import check_size, map_array, read_head, regular_size
from annbench.datasets.formats.rows import ArrayRows
from annbench.datasets.formats.vector_file import Blocks, Columns, VectorFile, check_matrix
from annbench.errors import DatasetError

HEAD_BYTES = 8
_REMEDY = "the file is empty or of another format; get it again"


class Xbin:
    """Rows of one dtype after a header of n and dim."""

    def __init__(self, dtype: str) -> None:
        self._stored = np.dtype(dtype).newbyteorder("<")
        self.dtypes: tuple[str, ...] = (dtype,)

    def read(self, path: Path, columns: Columns) -> VectorFile:  # noqa: ARG002 - not a table
        n, dim = read_head(path, "<u4", 2)
        dtype = self._stored
        check_matrix(n, dim, str(path), _REMEDY)
        check_size(path, HEAD_BYTES + n * dim * dtype.itemsize, f"{n:,} rows of {dim:,} {dtype.name}")
        return VectorFile(ArrayRows(map_array(path, dtype, HEAD_BYTES, (n, dim)), str(path)))

    def write(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Blocks) -> None:
        n, dim = shape
        if max(n, dim) >= 1 << 32:
            raise DatasetError(f"cannot hold {n:,} x {dim:,}", where=str(path), remedy="write .npy")
        with path.open("wb") as stream:
            np.array([n, dim], "<u4").tofile(stream)
            for _, block in blocks:
                np.asarray(block, dtype.newbyteorder("<")).tofile(stream)


class UntypedXbin(Xbin):
    """`.bin`, whose name does not say what its rows are: float32 is recognised by the size of the file."""

    def __init__(self) -> None:
        super().__init__("float32")
        self.dtypes = ()  # written under names that say what they hold

    def read(self, path: Path, columns: Columns) -> VectorFile:
        n, dim = read_head(path, "<u4", 2)
        behind = regular_size(path) - HEAD_BYTES
        others = {
            n * dim: "8-bit rows: rename it to .u8bin or .i8bin",
            2 * n * dim: "16-bit rows: rename it to .f16bin",
            8 * n * dim: "a truth file: give it as --truth",
        }
        if n * dim and behind in others:
            raise DatasetError("is not of float32", where=str(path), remedy=f"it is {others[behind]}")
        return super().read(path, columns)


FBIN, F16BIN, U8BIN, I8BIN, IBIN = (Xbin(name) for name in ("float32", "float16", "uint8", "int8", "int32"))
BIN = UntypedXbin()
