"""Rows of a stored array, read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from annbench.errors import DatasetError

BLOCK_BYTES = 16 << 20


class Rows:
    """A checked HDF5 dataset seen as rows; `rows[a:b]` reads just those.

    Raises DatasetError where the file is damaged.
    """

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
        """(first row, rows) over the whole array, each block of about `block_bytes` as float64."""
        width = 8 * int(np.prod(self.shape[1:], dtype=np.int64))
        step = max(1, block_bytes // max(1, width))
        for start in range(0, len(self), step):
            yield start, self[start : start + step]

    def float32(self) -> NDArray[np.float32]:
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
        """Rows (*ids.shape, …) by id. Raises IndexError for an id outside 0 … n − 1."""
        ids = np.asarray(ids)
        if ids.size and (int(ids.min()) < 0 or int(ids.max()) >= len(self)):
            raise IndexError(f"{self.where}: ids from {ids.min()} to {ids.max()}, rows from 0 to {len(self) - 1}")
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

    def __init__(self, rows: Rows) -> None:
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
