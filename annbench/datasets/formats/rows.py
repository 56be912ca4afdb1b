"""Rows of a stored array, read in pieces: the protocol, and the rows of HDF5 files, arrays and sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from annbench.distances.hamming import packed_bytes
from annbench.distances.sets import Sets
from annbench.errors import DatasetError

BLOCK_BYTES = 16 << 20


class Rows(Protocol):
    """Vectors, ids or distances of a checked file, seen as rows. Raises DatasetError where the file is damaged.

    `where` names the array for messages. Rows are numbers as stored, packed bits (⌈dim/8⌉,) uint8, or sets; `shape`
    and `dtype` are those of the rows, (n, dim) and int32 for sets.
    """

    where: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Any:
        """These rows, without reading the rest: an array of `dtype` in native byte order, or Sets."""

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, Any]]:
        """(first row, rows) over the whole, each block of about `block_bytes`."""

    def whole(self) -> Any:
        """Everything in the form an index takes: float32 C-contiguous, packed bits, or Sets."""

    def stored(self) -> Any:
        """Everything as it is stored."""

    def gather(self, ids: NDArray[np.integer[Any]]) -> Any:
        """Rows (*ids.shape, …) by id. Raises IndexError for an id outside 0 … n − 1."""


class Hdf5Rows:
    """A checked HDF5 dataset seen as rows; see `Rows`."""

    def __init__(self, dataset: h5py.Dataset, path: Path, where: str) -> None:
        self._dataset = dataset
        self._path = path
        self.where = where
        self.shape: tuple[int, ...] = tuple(dataset.shape)
        self.dtype: np.dtype[Any] = dataset.dtype
        self._mapped: NDArray[Any] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        with self._reading():
            return np.asarray(self._dataset[rows], dtype=self.dtype.newbyteorder("="))

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, NDArray[Any]]]:
        return blocks_of(self, block_bytes)

    def stored(self) -> NDArray[Any]:
        return self[:]

    def whole(self) -> NDArray[np.float32]:
        """The whole array as float32, C-contiguous, without a second copy of it on the way."""
        with self._reading():
            whole = np.empty(self.shape, dtype=np.float32)
            if self.dtype == np.float32 and whole.size:
                self._dataset.read_direct(whole)
                return whole
        # A float64 beyond float32 becomes inf, which the inspection of the file reports with its row.
        with np.errstate(over="ignore"):
            for start, block in self.blocks():
                whole[start : start + len(block)] = block
        return whole

    def gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        ids = checked_ids(ids, len(self), self.where)
        mapped = self._map()
        if mapped is not None:
            return np.asarray(mapped[ids], dtype=self.dtype.newbyteorder("="))
        return self._gather_chunks(ids)

    def _map(self) -> NDArray[Any] | None:
        """The array mapped from the file, if it lies there in one uncompressed piece."""
        offset = self._dataset.id.get_offset()
        if self._mapped is None and offset is not None and self._dataset.file.userblock_size == 0 and len(self):
            try:
                self._mapped = np.memmap(self._path, dtype=self.dtype, mode="r", offset=offset, shape=self.shape)
            except (OSError, ValueError) as error:
                raise self._damaged(error) from error
        return self._mapped

    def _gather_chunks(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Read each chunk that holds a wanted row once, in file order."""
        wanted, back = np.unique(ids, return_inverse=True)
        step = (self._dataset.chunks or (4096,))[0]
        found = np.empty((len(wanted), *self.shape[1:]), dtype=self.dtype.newbyteorder("="))
        for chunk in np.unique(wanted // step):
            first = int(chunk) * step
            lo, hi = np.searchsorted(wanted, [first, first + step])
            found[lo:hi] = self[first : first + step][wanted[lo:hi] - first]
        return np.asarray(found[back.reshape(np.shape(ids))])

    def _reading(self) -> _Reading:
        return _Reading(self)

    def _damaged(self, error: Exception) -> DatasetError:
        return DatasetError(f"cannot be read: {error}", where=self.where, remedy="the file is damaged; get it again")


class _Reading:
    """Turns the errors of the HDF5 library while reading into DatasetError."""

    def __init__(self, rows: Hdf5Rows) -> None:
        self._rows = rows

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MemoryError):
            raise DatasetError(
                f"shape {self._rows.shape} does not fit in memory",
                where=self._rows.where,
                remedy="use a machine with more memory, or fewer vectors",
            ) from error
        if isinstance(error, OSError | RuntimeError | ValueError | TypeError):
            raise self._rows._damaged(error) from error


class ArrayRows:
    """The rows of an array in memory or mapped from a file; see `Rows`."""

    def __init__(self, array: NDArray[Any], where: str) -> None:
        self._array = array
        self.where = where
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        return np.asarray(self._array[rows], dtype=self.dtype.newbyteorder("="))

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, NDArray[Any]]]:
        return blocks_of(self, block_bytes)

    def stored(self) -> NDArray[Any]:
        return self[:]

    def whole(self) -> NDArray[np.float32]:
        return np.array(self._array, dtype=np.float32, order="C")

    def gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        ids = checked_ids(ids, len(self), self.where)
        return np.asarray(self._array[ids], dtype=self.dtype.newbyteorder("="))


class PiecewiseRows(ABC):
    """Arrays of rows that are made when asked for; see `Rows`."""

    def __init__(self, where: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.where = where
        self.shape = shape
        self.dtype = dtype.newbyteorder("=")

    @abstractmethod
    def _read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop), which exist."""

    @abstractmethod
    def _gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Rows (*ids.shape, …) by ids, which exist."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise IndexError(f"{self.where}: a step of {step}")
        return self._read(start, max(start, stop))

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, NDArray[Any]]]:
        return blocks_of(self, block_bytes)

    def stored(self) -> NDArray[Any]:
        return self[:]

    def whole(self) -> NDArray[np.float32]:
        whole = np.empty(self.shape, np.float32)
        for start, block in self.blocks():
            whole[start : start + len(block)] = block
        return whole

    def gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        return self._gather(checked_ids(ids, len(self), self.where))


class BitRows:
    """Rows of packed bits (n, ⌈dim/8⌉) over other rows: of bytes that are packed already, or of one byte a bit."""

    dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __init__(self, rows: Rows, dim: int, *, packed: bool) -> None:
        self._rows = rows
        self._packed = packed
        self.dim = dim
        self.where = rows.where
        self.shape: tuple[int, ...] = (len(rows), packed_bytes(dim))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: slice) -> NDArray[np.uint8]:
        return self._bits(self._rows[rows], rows.indices(len(self))[0])

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        return ((start, self._bits(block, start)) for start, block in self._rows.blocks(block_bytes))

    def stored(self) -> NDArray[np.uint8]:
        return self.whole()

    def whole(self) -> NDArray[np.uint8]:
        found = np.empty(self.shape, np.uint8)
        for start, block in self.blocks():
            found[start : start + len(block)] = block
        return found

    def gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        return self._bits(self._rows.gather(ids))

    def _bits(self, rows: NDArray[Any], first: int | None = None) -> NDArray[np.uint8]:
        if self._packed:
            return np.asarray(rows).view(np.uint8)
        if rows.dtype != np.bool_ and rows.size and (int(rows.max()) > 1 or int(rows.min()) < 0):
            row = np.flatnonzero(((rows > 1) | (rows < 0)).reshape(-1, rows.shape[-1]).any(axis=1))[0]
            raise DatasetError(
                "holds bytes other than 0 and 1",
                where=self.where if first is None else f"{self.where}: row {first + int(row)}",
                remedy="one byte a bit is 0 or 1; packed bits need the attribute `point_type` binary",
            )
        return np.packbits(rows.astype(np.bool_), axis=-1)


class SetRows:
    """Sets in memory; see `Rows`. Sparse sets are read whole: they are small beside dense ones."""

    dtype: np.dtype[Any] = np.dtype(np.int32)

    def __init__(self, sets: Sets, where: str) -> None:
        self._sets = sets
        self.where = where
        self.shape: tuple[int, ...] = sets.shape

    def __len__(self) -> int:
        return len(self._sets)

    def __getitem__(self, rows: slice) -> Sets:
        return self._sets[rows]

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, Sets]]:
        step = max(1, block_bytes * len(self) // max(1, self._sets.nbytes))
        return ((start, self[start : start + step]) for start in range(0, len(self), step))

    def stored(self) -> Sets:
        return self._sets

    def whole(self) -> Sets:
        return self._sets

    def gather(self, ids: NDArray[np.integer[Any]]) -> Sets:
        return self._sets[checked_ids(ids, len(self), self.where)]


def checked_ids(ids: NDArray[np.integer[Any]], n: int, where: str) -> NDArray[np.integer[Any]]:
    """The ids, if they are within 0 … n − 1. Raises IndexError."""
    ids = np.asarray(ids)
    if ids.size and (int(ids.min()) < 0 or int(ids.max()) >= n):
        raise IndexError(f"{where}: ids from {ids.min()} to {ids.max()}, rows from 0 to {n - 1}")
    return ids


def blocks_of(rows: Rows, block_bytes: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """(first row, rows) over all of `rows`, each block of about `block_bytes` as float64."""
    width = 8 * int(np.prod(rows.shape[1:], dtype=np.int64))
    step = max(1, block_bytes // max(1, width))
    for start in range(0, len(rows), step):
        yield start, rows[start : start + step]
