"""Arguments of `annbench.Index`, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.errors import IndexFileError, UsageError
from annbench.indexes.about import About
from annbench.indexes.vectors import check_values

MOST_ANSWERS = (1 << 32) - 1  # of one call: ids and distances of more take 48 GiB


def count(name: str, value: Any, least: int) -> int:
    """A whole number. Raises UsageError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise UsageError(f"got {value!r}", where=name, remedy=f"give a whole number of at least {least}")
    return int(value)


def at_most(name: str, value: Any, least: int) -> int:
    """As `count`, for what means "all" where it is more than there is."""
    return min(count(name, value, least), MOST_ANSWERS)


def thread_count(threads: Any) -> int:
    """How many threads. Raises UsageError."""
    return count("threads", threads, 1)


def file_name(path: str | Path) -> str:
    """`path` as the native core takes it. Raises IndexFileError."""
    name = str(path)
    if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise IndexFileError("is no file name", where=repr(name), remedy="give one of Unicode without NUL")
    return name


def checked_rows(vectors: NDArray[Any], about: About) -> NDArray[np.int64]:
    """Rows of length zero. Raises DatasetError for values, and UsageError for what the codec cannot hold."""
    zero = check_values(vectors, "x")
    if len(zero) and about.unit and about.spec.codec.only_distances:
        raise UsageError(
            f"has length zero, whose cosine is no distance, as codec {about.spec.codec.kind} has them",
            where=f"x: row {zero[0]}",
            remedy="leave such rows out, or use another codec",
        )
    return zero


def silent(phase: str, done: int, total: int) -> None:
    """Progress that nobody asked for."""
