"""NumPy's .npy files, with the header checked against the file before anything is mapped."""

from __future__ import annotations

import stat
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from annbench.datasets.formats.rows import ArrayRows
from annbench.datasets.formats.vector_file import Blocks, Columns, VectorFile
from annbench.errors import DatasetError

VECTORS = ("float32", "float16", "float64", "int8", "uint8")
_STORED = (*VECTORS, "bool", "int32", "int64", "uint32")


class Npy:
    """A matrix of one dtype."""

    dtypes: tuple[str, ...] = _STORED

    def read(self, path: Path, columns: Columns) -> VectorFile:  # noqa: ARG002 - not a table
        return VectorFile(ArrayRows(read_checked(path, self.dtypes), str(path)))

    def write(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Blocks) -> None:
        header = {"descr": dtype.newbyteorder("<").str, "fortran_order": False, "shape": tuple(map(int, shape))}
        with path.open("wb") as stream:
            npy_format.write_array_header_1_0(stream, header)
            for _, block in blocks:
                np.ascontiguousarray(block, dtype.newbyteorder("<")).tofile(stream)


NPY = Npy()


def read_checked(path: Path, dtypes: tuple[str, ...] = VECTORS) -> NDArray[Any]:
    """The vectors (n, dim) of a .npy file, memory-mapped read-only, in whatever byte or memory order they
    are stored.

    Raises DatasetError for anything that is not a non-empty matrix of one of `dtypes` whose bytes are all there.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DatasetError("is not a regular file", where=str(path), remedy="give the path of a .npy file")
        with path.open("rb") as stream:
            shape, fortran, dtype = _header(stream, path)
            offset = stream.tell()
    except OSError as error:
        raise DatasetError(f"cannot be opened: {error.strerror}", where=str(path), remedy="check the path") from error
    _check(path, shape, dtype, dtypes, status.st_size - offset)
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")


def write(path: Path, vectors: NDArray[Any]) -> None:
    """Write an array as .npy (never pickled)."""
    with path.open("wb") as stream:
        np.save(stream, vectors, allow_pickle=False)


def _header(stream: Any, path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
    try:
        version = npy_format.read_magic(stream)
        if version in readers:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a header of Python 2 is as good
                return readers[version](stream)
    # NumPy hands the header to Python's tokenizer and parser, which raise a dozen kinds of errors.
    except Exception as error:
        raise DatasetError(
            f"is not a readable .npy file: {error}", where=str(path), remedy="write it with numpy.save"
        ) from error
    raise DatasetError(f"has .npy version {version}", where=str(path), remedy="write a plain matrix with numpy.save")


def _check(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], dtypes: tuple[str, ...], available: int) -> None:
    if dtype.hasobject:
        raise DatasetError(
            "holds Python objects, which only unpickling could read, and a pickle can run any code",
            where=str(path),
            remedy="save numbers: numpy.save(path, numpy.stack(list_of_vectors).astype('float32'))",
        )
    if dtype.newbyteorder("=").name not in dtypes:
        raise DatasetError(
            f"has dtype {dtype}",
            where=str(path),
            remedy="convert it to float32, float16, int8 or uint8 (.astype)",
        )
    if len(shape) != 2 or min(shape) < 1:
        raise DatasetError(f"has shape {shape}", where=str(path), remedy="save a matrix (vectors, dimensions)")
    needed = dtype.itemsize * shape[0] * shape[1]
    if needed != available:
        raise DatasetError(
            f"declares shape {shape} of {dtype}, {needed:,} bytes, and {available:,} bytes follow",
            where=str(path),
            remedy="the file is truncated or was not written by numpy.save; write it again",
        )
