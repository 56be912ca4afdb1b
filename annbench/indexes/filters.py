"""Which vectors a search may find."""

from __future__ import annotations

from typing import Any

import numpy as np

from annbench._native import IdFilter
from annbench.errors import UsageError


class Filter:
    """The ids that searches may find, made once for many of them: `index.search(q, allowed=Filter(ids))`.

    Args:
        allowed: ids, whole numbers in any order; or a mask, bool (m,), where mask[id] says whether an id is among them
            and none from m on is. They need not be in the index.

    It belongs to no index, and may be used by any threads and for any of them. Where its ids lie in an index is found
    out at the first search, and again when the index was changed or another one was searched meanwhile, which takes
    about as long as to look at all ids of the index; and memory, an eighth of a byte for each vector and 4 bytes for
    each that may be found.

    Raises UsageError for ids that are no whole numbers, or negative.
    """

    __slots__ = ("native",)

    def __init__(self, allowed: Any) -> None:
        array = np.asarray(allowed)
        if array.ndim != 1:
            raise UsageError(f"has shape {array.shape}", where="allowed", remedy="give ids, or a mask by id: (m,)")
        if array.size and array.dtype.kind not in "biu":
            raise UsageError(
                f"has dtype {array.dtype}", where="allowed", remedy="give whole numbers as ids, or a mask of bool"
            )
        ids = np.flatnonzero(array) if array.dtype.kind == "b" else array
        if ids.size and (int(ids.min()) < 0 or int(ids.max()) >= 1 << 63):
            wrong = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
            raise UsageError(f"names id {wrong}", where="allowed", remedy="give ids of 0 to 2^63 - 1")
        self.native = IdFilter(np.ascontiguousarray(ids, dtype=np.int64))

    def __len__(self) -> int:
        """How many ids there are, in whatever index or in none."""
        return len(self.native)


def as_filter(allowed: Any) -> IdFilter:
    """What the native index takes of a Filter, or of what one is made of. Raises UsageError."""
    return (allowed if isinstance(allowed, Filter) else Filter(allowed)).native
