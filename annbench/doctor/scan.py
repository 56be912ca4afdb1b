"""One pass over the rows of an array: which cannot be used, which are zero, how long they are, what they hash to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.checks import MAX_SQUARED_NORM
from annbench.datasets.formats.rows import Rows
from annbench.distances.base import Distance
from annbench.distances.sets import Sets

Mask = NDArray[np.bool_]
Flaw = Literal["nan", "inf", "overflow", "undefined"]
FLAWS: tuple[Flaw, ...] = ("nan", "inf", "overflow", "undefined")

# Any odd numbers will do; fixed, so that equal rows of different arrays hash alike.
_HASH_SEED = 0x616E6E


@dataclass
class Scan:
    """What reading every row told. `flaws` are rows without a distance to anything (each under its first flaw); they
    are left out of the rest. `lengths` (n,) are L2 norms, set bits or set sizes; `hashes` (n,) of equal rows are
    equal. `low` and `high` (dim,) bound each column of dense rows. 17 bytes a row.
    """

    flaws: dict[Flaw, NDArray[np.int64]]
    zero: NDArray[np.int64]
    lengths: NDArray[np.float64]
    hashes: NDArray[np.uint64]
    usable: NDArray[np.int64] | None  # ids of the rows that can be used; None if all can
    low: NDArray[np.float32] | None
    high: NDArray[np.float32] | None

    @property
    def usable_ids(self) -> NDArray[np.int64]:
        """Ids of the rows that have a distance to others."""
        return np.arange(len(self.lengths)) if self.usable is None else self.usable


@dataclass
class _Block:
    flaws: dict[Flaw, Mask]
    zero: Mask
    lengths: NDArray[np.float64]
    hashes: NDArray[np.uint64]
    values: NDArray[np.float32] | None = None


@dataclass
class _Columns:
    low: NDArray[np.float32] | None = None
    high: NDArray[np.float32] | None = None

    def see(self, values: NDArray[np.float32]) -> None:
        if not len(values):
            return
        low, high = values.min(axis=0), values.max(axis=0)
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)


@dataclass
class _Found:
    flaws: dict[Flaw, list[NDArray[np.int64]]] = field(default_factory=lambda: {flaw: [] for flaw in FLAWS})
    zero: list[NDArray[np.int64]] = field(default_factory=list)


def scan_rows(
    rows: Rows, distance: Distance, dim: int, *, queries: bool, progress: Callable[[float], None] | None = None
) -> Scan:
    """Read every row once, in blocks. `dim` counts bits where rows are packed; `queries` says which of the metric's
    own conditions apply; `progress` receives the fraction done. Raises DatasetError where the array cannot be read.
    """
    n = len(rows)
    lengths, hashes = np.empty(n, np.float64), np.empty(n, np.uint64)
    usable, found, columns = np.ones(n, np.bool_), _Found(), _Columns()
    for start, block in rows.blocks():
        seen = _look(block, distance, dim, queries)
        stop = start + len(block)
        lengths[start:stop], hashes[start:stop] = seen.lengths, seen.hashes
        found.zero.append(start + np.flatnonzero(seen.zero))
        for flaw, mask in seen.flaws.items():
            found.flaws[flaw].append(start + np.flatnonzero(mask))
            usable[start:stop] &= ~mask
        if seen.values is not None:
            fine = usable[start:stop]
            columns.see(seen.values if fine.all() else seen.values[fine])
        if progress is not None:
            progress(stop / n)
    return Scan(
        flaws={flaw: _joined(parts) for flaw, parts in found.flaws.items()},
        zero=_joined(found.zero),
        lengths=lengths,
        hashes=hashes,
        usable=None if usable.all() else np.flatnonzero(usable),
        low=columns.low,
        high=columns.high,
    )


def canonical(rows: Any) -> Any:
    """Rows in the one form in which equal ones have equal bytes: dense ones as float32 without −0; others as they
    are.
    """
    if isinstance(rows, Sets):
        return rows
    with np.errstate(over="ignore"):
        return np.asarray(rows, np.float32) + np.float32(0)


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _look(block: Any, distance: Distance, dim: int, queries: bool) -> _Block:
    if distance.layout == "sets":
        return _Block({}, block.sizes == 0, block.sizes.astype(np.float64), _set_hashes(block))
    if distance.layout == "bits":
        bits = np.bitwise_count(block).sum(axis=1, dtype=np.float64)
        beyond = (block[:, -1] & ((1 << (-dim % 8)) - 1)) != 0  # would count as differences
        return _Block({"undefined": beyond}, bits == 0, bits, _word_hashes(_padded_words(block)))
    return _look_dense(block, distance, queries)


def _look_dense(block: NDArray[Any], distance: Distance, queries: bool) -> _Block:
    with np.errstate(over="ignore", invalid="ignore"):
        wide = block.astype(np.float64)
        squared = np.einsum("ij,ij->i", wide, wide)
    values = canonical(block)
    flaws = _flaws(wide, squared)
    undefined = distance.undefined_queries if queries else distance.undefined_vectors
    fine = ~np.any(list(flaws.values()), axis=0) if flaws else np.ones(len(block), np.bool_)
    without = np.zeros(len(block), np.bool_)
    without[fine] = undefined(block[fine])
    if without.any():
        flaws["undefined"] = without
    return _Block(flaws, squared == 0, np.sqrt(squared), _word_hashes(values.view(np.uint32)), values)


def _flaws(wide: NDArray[np.float64], squared: NDArray[np.float64]) -> dict[Flaw, Mask]:
    bad = ~(squared <= MAX_SQUARED_NORM)
    if not bad.any():
        return {}
    nan, inf = np.zeros_like(bad), np.zeros_like(bad)
    nan[bad] = np.isnan(wide[bad]).any(axis=1)
    inf[bad] = np.isinf(wide[bad]).any(axis=1)
    return {"nan": nan, "inf": inf & ~nan, "overflow": bad & ~nan & ~inf}


def _padded_words(block: NDArray[np.uint8]) -> NDArray[np.uint32]:
    width = block.shape[1]
    return np.pad(block, ((0, 0), (0, -width % 4))).view(np.uint32)


def _word_hashes(words: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """A multilinear hash modulo 2⁶⁴ (Lemire and Kaser 2014). The low bits of few-valued floats are zero; folding the
    high half in keeps such rows apart.
    """
    folded = words ^ (words >> np.uint32(16))
    return np.asarray(folded.astype(np.uint64) @ _multipliers(words.shape[1]))


def _set_hashes(sets: Sets) -> NDArray[np.uint64]:
    """Sums of mixed elements: equal for equal sets."""
    mixed = sets.elements.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64, Steele et al. 2014
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    return np.asarray(sums[sets.indptr[1:]] - sums[sets.indptr[:-1]])


def _multipliers(count: int) -> NDArray[np.uint64]:
    drawn = np.random.default_rng(_HASH_SEED).integers(0, 1 << 63, size=count, dtype=np.uint64)
    return np.asarray(drawn * np.uint64(2) + np.uint64(1))
