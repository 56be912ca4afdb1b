"""What a format of vector files must offer: files of rows alone, without metric or truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.rows import Rows, SetRows
from annbench.distances.sets import Sets
from annbench.errors import DatasetError

Blocks = Iterable[tuple[int, NDArray[Any] | Sets]]


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are meant; None: the only ones that can be."""

    vectors: str | None = None
    ids: str | None = None


@dataclass(frozen=True)
class VectorFile:
    """The rows of an open vector file, and what of it they leave out (`notes`).

    `as_sets` reads sparse rows as sets of their columns, where the file is sparse.
    """

    rows: Rows
    notes: tuple[str, ...] = ()
    as_sets: Callable[[], SetRows] | None = None


class VectorFormat(Protocol):
    """One kind of vector file. `dtypes` are what it can store: NumPy's names, and "sets"; none if it is only read."""

    dtypes: tuple[str, ...]

    def read(self, path: Path, columns: Columns) -> VectorFile:
        """Open a file whose sizes are checked against it. Raises DatasetError."""

    def write(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Blocks) -> None:
        """Write rows of this shape and dtype, given in order. Not atomic. Raises OSError when the disk is full."""


def check_matrix(n: int, dim: int, where: str, remedy: str) -> None:
    """Raises DatasetError unless there is at least one row of at least one number."""
    if n < 1 or dim < 1:
        raise DatasetError(f"declares {n:,} rows of {dim:,} dimensions", where=where, remedy=remedy)
