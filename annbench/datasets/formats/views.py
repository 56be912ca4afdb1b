"""Rows made of other rows while they are read: the first ones, all but some, or in another dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.rows import PiecewiseRows, Rows


class Derived(PiecewiseRows):
    """`n` rows computed from those of `source`."""

    def __init__(self, source: Rows, n: int, dtype: np.dtype[Any] | None = None) -> None:
        super().__init__(source.where, (n, *source.shape[1:]), source.dtype if dtype is None else dtype)
        self.source = source


class FirstRows(Derived):
    """The first `n` rows."""

    def __init__(self, source: Rows, n: int) -> None:
        super().__init__(source, min(n, len(source)))

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        return np.asarray(self.source[start:stop])

    def _gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        return np.asarray(self.source.gather(ids))


class CastRows(Derived):
    """The same rows in another dtype; what is beyond its range becomes infinite."""

    def __init__(self, source: Rows, dtype: Any) -> None:
        super().__init__(source, len(source), np.dtype(dtype))

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        return self._cast(self.source[start:stop])

    def _gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        return self._cast(self.source.gather(ids))

    def _cast(self, rows: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            return np.asarray(rows, dtype=self.dtype)


class RemainingRows(Derived):
    """All rows but those of the ids `left_out`, which are sorted and distinct."""

    def __init__(self, source: Rows, left_out: NDArray[np.int64]) -> None:
        super().__init__(source, len(source) - len(left_out))
        # Row i of what remains is i + (how many of the left out rows come before it) of the source.
        self._thresholds = left_out - np.arange(len(left_out))
        self._left_out = left_out

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        if start == stop:
            return np.asarray(self.source[0:0])
        first, last = self._sources(np.array([start, stop - 1]))
        rows = np.asarray(self.source[int(first) : int(last) + 1])
        inside = self._left_out[(self._left_out > first) & (self._left_out < last)]
        return np.delete(rows, inside - first, axis=0) if inside.size else rows

    def _gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        return np.asarray(self.source.gather(self._sources(np.asarray(ids, np.int64))))

    def _sources(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(ids + np.searchsorted(self._thresholds, ids, side="right"))


class CountRows(Derived):
    """Hamming distances that are stored as the mean over `dim` bits, as counts of bits: exact where they were."""

    def __init__(self, source: Rows, dim: int) -> None:
        super().__init__(source, len(source), np.dtype(np.float64))
        self._dim = dim

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        return self._counts(self.source[start:stop])

    def _gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        return self._counts(self.source.gather(ids))

    def _counts(self, means: NDArray[Any]) -> NDArray[np.float64]:
        counts = means.astype(np.float64) * self._dim
        whole = np.rint(counts)
        # float32 keeps a mean to 6e-8; what is farther from a count was never one, and the checks shall see it.
        return np.where(np.abs(counts - whole) <= 1e-6 * self._dim + 1e-9, whole, counts)
