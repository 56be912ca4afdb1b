"""Values of one dtype as another: exactly, or with an account of what changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.rows import Rows
from annbench.errors import DatasetError


class Casting:
    """Blocks of rows in the dtype they are to be stored in. `changed` values differ afterwards, by `largest` at most.

    Lossy, integers are rounded to the nearest and clipped to their range. Raises DatasetError for the first value that
    the dtype cannot hold, unless `lossy`; and always for one that only infinity or nothing could stand for.
    """

    def __init__(self, rows: Rows, dtype: np.dtype[Any], *, lossy: bool) -> None:
        self._rows = rows
        self._dtype = dtype
        self._lossy = lossy
        self.changed = 0
        self.largest = 0.0

    def blocks(self) -> Iterator[tuple[int, Any]]:
        """(first row, rows) over the whole."""
        for start, block in self._rows.blocks():
            yield start, self._cast(block, start)

    def _cast(self, block: Any, start: int) -> Any:
        # numpy calls 64-bit integers safe as float64, which holds those up to 2⁵³.
        rounded = block.dtype.kind in "iu" and block.dtype.itemsize == 8 and self._dtype.kind == "f"
        if np.can_cast(block.dtype, self._dtype, "safe") and not rounded:
            return block.astype(self._dtype, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            stored = self._nearest(block)
            same = _equal(block, stored)
        if same.all():
            return stored
        impossible = ~same & (~np.isfinite(block) | ~np.isfinite(stored))
        if impossible.any() or not self._lossy:
            raise self._refusal(block, impossible if impossible.any() else ~same, start)
        self.changed += int((~same).sum())
        difference = np.abs(block[~same].astype(np.longdouble) - stored[~same].astype(np.longdouble))
        self.largest = max(self.largest, float(difference.max()))
        return stored

    def _nearest(self, block: NDArray[Any]) -> NDArray[Any]:
        if self._dtype.kind not in "iu":
            return block.astype(self._dtype)
        limits = np.iinfo(self._dtype)
        if block.dtype.kind == "f":
            wide = np.rint(np.nan_to_num(block.astype(np.float64)))
            # The largest float64 below the limit: 2⁶³ − 1 itself is none.
            top = float(limits.max) if limits.max < 1 << 53 else np.nextafter(float(limits.max), 0)
            return np.asarray(np.clip(wide, float(limits.min), top), self._dtype)
        of_block = np.iinfo(block.dtype)
        low, high = max(limits.min, of_block.min), min(limits.max, of_block.max)
        return np.asarray(np.clip(block, low, high), self._dtype)

    def _refusal(self, block: NDArray[Any], wrong: NDArray[np.bool_], start: int) -> DatasetError:
        row, column = np.argwhere(wrong)[0]
        value = block[row, column]
        possible = np.isfinite(value) and (
            self._dtype.kind in "iu" or abs(float(value)) <= float(np.finfo(self._dtype).max)
        )
        return DatasetError(
            f"holds {value} in column {column}, which {self._dtype.name} cannot",
            where=f"{self._rows.where}: row {start + int(row)}",
            remedy="give --lossy to round and clip, or another --dtype" if possible else "give another --dtype",
        )


def _equal(block: NDArray[Any], stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are the same number, whatever the dtypes; NaN is."""
    if block.dtype.kind in "iub" and stored.dtype.kind in "iub":
        return np.asarray(block == stored)
    # Wider than both: integers of 64 bits are not exact in float64.
    wide = np.longdouble if 8 in (block.dtype.itemsize, stored.dtype.itemsize) else np.float64
    a, b = block.astype(wide), stored.astype(wide)
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))
