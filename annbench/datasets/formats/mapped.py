"""Plain binary files, mapped once their size is known to be right."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.errors import DatasetError


def regular_size(path: Path) -> int:
    """Bytes of the file. Raises DatasetError unless it is a regular one that can be opened."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DatasetError("is not a regular file", where=str(path), remedy="give the path of a file")
        with path.open("rb"):
            return status.st_size
    except OSError as error:
        raise DatasetError(f"cannot be opened: {error.strerror}", where=str(path), remedy="check the path") from error


def read_head(path: Path, dtype: str, count: int) -> tuple[int, ...]:
    """The first `count` integers of the file. Raises DatasetError if it is shorter."""
    size, wanted = regular_size(path), np.dtype(dtype).itemsize * count
    if size < wanted:
        raise DatasetError(
            f"has {size} bytes, less than its header of {wanted}",
            where=str(path),
            remedy="the file is truncated, or of another format; get it again",
        )
    return tuple(int(value) for value in np.fromfile(path, dtype, count))


def check_size(path: Path, needed: int, declared: str) -> None:
    """Raises DatasetError unless the file has exactly `needed` bytes; `declared` says what needs them."""
    size = regular_size(path)
    if size != needed:
        raise DatasetError(
            f"declares {declared}, {needed:,} bytes, and has {size:,}",
            where=str(path),
            remedy="the file is truncated, or of another format; get it again",
        )


def map_array(path: Path, dtype: Any, offset: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array in the file, mapped read-only; its bytes must have been checked to be there."""
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)
