"""Rows that are exactly alike: within an array, and between two. Hashes find candidates, the rows themselves decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.rows import Rows
from annbench.distances.sets import Sets, intersections
from annbench.doctor.model import Duplicates, Overlap
from annbench.doctor.scan import Scan, canonical

Ids = NDArray[np.int64]
EXAMPLE_ROWS = 5
_BLOCK_BYTES = 32 << 20


class RowIndex:
    """The usable rows of an array by their hashes. Takes 24 bytes a row, and blocks of rows while comparing."""

    def __init__(self, rows: Rows, scan: Scan) -> None:
        ids, hashes = scan.usable_ids, scan.hashes if scan.usable is None else scan.hashes[scan.usable]
        order = np.argsort(hashes, kind="stable")
        self._rows = rows
        self._hashes, self._ids = hashes[order], ids[order]  # rows of one hash in the order of the file

    def duplicates(self) -> Duplicates:
        """Groups of equal rows over the whole array."""
        members, leaders = self._same_hash()
        found: list[tuple[Ids, Ids]] = []
        while members.size:
            equal = self._equal(members, leaders)
            found.append((members[equal], leaders[equal]))
            members, leaders = _next_leaders(members[~equal], leaders[~equal])
        copies = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in found)])
        first = np.concatenate([np.empty(0, np.int64), *(ids for _, ids in found)])
        groups, sizes = np.unique(first, return_counts=True)
        if not groups.size:
            return Duplicates(groups=0, copies=0, largest_group=1 if self._ids.size else 0)
        largest = int(groups[sizes.argmax()])
        example = (largest, *np.sort(copies[first == largest])[: EXAMPLE_ROWS - 1].tolist())
        return Duplicates(groups=len(groups), copies=len(copies), largest_group=int(sizes.max()) + 1, example=example)

    def overlap(self, rows: Rows, scan: Scan) -> Overlap:
        """Which rows of another array are rows of this one."""
        asked = scan.usable_ids
        if not self._ids.size or not asked.size:
            return Overlap(rows=0)
        hashes = scan.hashes[asked]
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        hit = self._hashes[at] == hashes
        asked, candidates = asked[hit], self._ids[at[hit]]
        same = np.zeros(len(asked), np.bool_)
        for part in _parts(len(asked), self._rows):
            same[part] = _same(rows.gather(asked[part]), self._rows.gather(candidates[part]))
        if not same.any():
            return Overlap(rows=0)
        first = int(np.flatnonzero(same)[0])
        return Overlap(rows=int(same.sum()), example=(int(asked[first]), int(candidates[first])))

    def _same_hash(self) -> tuple[Ids, Ids]:
        """Rows whose hash occurred before, each with the first row that has it."""
        again = np.flatnonzero(self._hashes[1:] == self._hashes[:-1]) + 1
        first = np.searchsorted(self._hashes, self._hashes[again], side="left")
        return self._ids[again], self._ids[first]

    def _equal(self, a: Ids, b: Ids) -> NDArray[np.bool_]:
        equal = np.empty(len(a), np.bool_)
        for part in _parts(len(a), self._rows):
            equal[part] = _same(self._rows.gather(a[part]), self._rows.gather(b[part]))
        return equal


def _next_leaders(members: Ids, leaders: Ids) -> tuple[Ids, Ids]:
    """Rows that share a hash with a row they do not equal: the first of each such set leads the others."""
    order = np.lexsort((members, leaders))
    members, leaders = members[order], leaders[order]
    starts = np.flatnonzero(np.concatenate([[True], leaders[1:] != leaders[:-1]])) if members.size else members
    sizes = np.diff(np.append(starts, len(members)))
    led = np.repeat(members[starts], sizes)
    return members[members != led], led[members != led]


def _parts(count: int, rows: Rows) -> Iterator[slice]:
    step = max(1, _BLOCK_BYTES // (8 * max(1, int(np.prod(rows.shape[1:], dtype=np.int64)))))
    for start in range(0, count, step):
        yield slice(start, start + step)


def _same(a: Any, b: Any) -> NDArray[np.bool_]:
    if isinstance(a, Sets):
        return np.asarray((a.sizes == b.sizes) & (intersections(a, b) == a.sizes))
    return np.asarray((canonical(a) == canonical(b)).all(axis=1))
