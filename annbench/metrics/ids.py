"""What an adapter returned, as a matrix of ids that can be scored, or as an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from annbench.errors import InvalidOutputError

Ids = NDArray[np.int64]
MISSING = -1


def validate_ids(raw: Any, q: int, k: int) -> Ids:
    """The ids of `q` queries as (q, k) int64, filled up with −1.

    `raw` is one array (q, m), or a list of q arrays (m,), with m <= k. Raises InvalidOutputError for any
    other shape, and for anything but integers.
    """
    if isinstance(raw, list | tuple):
        return _from_rows(raw, q, k)
    ids = _array(raw, "search_batch")
    if ids.ndim != 2 or len(ids) != q or ids.shape[1] > k:
        raise InvalidOutputError(
            f"returned shape {ids.shape} for {q} queries and k={k}",
            where="search_batch",
            remedy=f"return ids of shape ({q}, {k}), filled up with -1",
        )
    return _filled(ids, k)


def _from_rows(rows: Sequence[Any], q: int, k: int) -> Ids:
    if len(rows) != q:
        raise InvalidOutputError(f"{len(rows)} answers to {q} queries", where="search")
    arrays = [_array(row, "search") for row in rows]
    for number, ids in enumerate(arrays):
        if ids.ndim != 1 or len(ids) > k:
            raise InvalidOutputError(
                f"returned shape {ids.shape} for k={k}, query {number}",
                where="search",
                remedy=f"return ids of shape ({k},), nearest first",
            )
    if not arrays:
        return np.empty((0, k), dtype=np.int64)
    if len({len(ids) for ids in arrays}) == 1:
        return _filled(np.stack(arrays), k)
    return np.concatenate([_filled(ids[None], k) for ids in arrays])


def _array(raw: Any, where: str) -> NDArray[Any]:
    if not isinstance(raw, np.ndarray) or not np.issubdtype(raw.dtype, np.integer):
        found = f"an array of {raw.dtype}" if isinstance(raw, np.ndarray) else f"a {type(raw).__name__}"
        raise InvalidOutputError(f"returned {found}", where=where, remedy="return a numpy array of integer ids")
    return raw


def _filled(ids: NDArray[Any], k: int) -> Ids:
    filled = np.full((len(ids), k), MISSING, dtype=np.int64)
    filled[:, : ids.shape[1]] = ids
    return filled


@dataclass(frozen=True)
class Sorted:
    """Ids (q, k) with what is wrong about them; `valid` marks each id that exists, at its first appearance
    only.
    """

    ids: Ids
    valid: NDArray[np.bool_]
    duplicates: int
    out_of_range: int
    missing: int


def sort_out(ids: Ids, n: int) -> Sorted:
    """Tell valid ids from −1, from ids outside 0 … n − 1, and from repetitions."""
    missing = ids == MISSING
    exists = (ids >= 0) & (ids < n)
    order = np.argsort(ids, axis=1, kind="stable")
    ordered = np.take_along_axis(ids, order, axis=1)
    again = np.zeros(ids.shape, dtype=bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return Sorted(
        ids=ids,
        valid=exists & ~again,
        duplicates=int((exists & again).sum()),
        out_of_range=int((~exists & ~missing).sum()),
        missing=int(missing.sum()),
    )


def ids_crc32c(ids: Ids) -> str:
    """CRC32C of the ids as little-endian int64 in row order, 8 hex digits: same ids, same answer."""
    return f"{google_crc32c.value(np.ascontiguousarray(ids, dtype='<i8').tobytes()):08x}"
