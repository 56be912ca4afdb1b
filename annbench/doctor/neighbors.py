"""What a sample of points sees of the base: distances to its nearest rows, copies left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.ground_truth import GroundTruth, exact_neighbors
from annbench.distances import Metric
from annbench.doctor.geometry import Geometry
from annbench.doctor.model import LidFigures, NeighborhoodFigures
from annbench.doctor.source import UsableRows
from annbench.doctor.summary import optional, spread
from annbench.metrics.difficulty import arithmetic_mean, harmonic_mean, lid_mle, relative_contrast

Floats = NDArray[np.float64]

LID_NEIGHBORS = (20, 50, 100)
MEMORY_BYTES = 512 << 20
# How many neighbours are asked for to get past copies of a point, before what there is must do.
_MOST_NEIGHBORS = 4096
# Each point's mean distance is estimated from this many rows of a common pool.
_POOL_ROWS, _PAIRS = 2048, 64
_PAIR_BYTES = 32 << 20
NEAR_COPY = 1e-3


def exact(
    base: UsableRows,
    points: Any,
    k: int,
    metric: Metric,
    threads: int,
    progress: Callable[[float], None] | None = None,
) -> GroundTruth:
    """The k nearest rows of each point by `metric`."""
    return exact_neighbors(base, points, k, metric, threads=threads, memory_limit_bytes=MEMORY_BYTES, progress=progress)


@dataclass(frozen=True)
class Search:
    """How the base is searched: its placed rows, the geometry, and the processors to use."""

    base: UsableRows
    geometry: Geometry
    threads: int

    def exact(self, points: Any, k: int, progress: Callable[[float], None] | None = None) -> GroundTruth:
        """The k nearest rows of each placed point, by the metric that is searched."""
        return exact(self.base, points, k, self.geometry.searched, self.threads, progress)


@dataclass(frozen=True)
class Neighborhoods:
    """A sample of points and their nearest rows, the points themselves left out: `ids` (m, k + …) and `lengths` with
    zeros, and `positive` (m, k): the first k lengths above zero, inf where there are no more.
    """

    name: str
    ids: NDArray[np.int64]
    lengths: Floats
    positive: Floats
    mean_distance: float

    @property
    def nearest(self) -> Floats:
        """Lengths to the nearest row that is no copy, of the points that have one."""
        return self.at(1)

    def at(self, k: int) -> Floats:
        """Lengths to the k-th row that is no copy (or the last, in a small base), of the points that have one."""
        column = self.positive[:, min(k, self.positive.shape[1]) - 1]
        return np.asarray(column[np.isfinite(column)])


def look_around(
    search: Search,
    name: str,
    points: Any,
    first: GroundTruth,
    rng: np.random.Generator,
    *,
    own_ids: NDArray[np.int64] | None = None,
) -> Neighborhoods:
    """The neighbourhoods of `points` (m, …), from their nearest rows `first`; `own_ids` (m,) are their own row numbers
    where they are rows of the base, which are no neighbours of themselves.
    """
    n = len(search.base)
    asked = first.neighbors.shape[1]
    ids, lengths = _without_self(search.geometry, first, own_ids)
    k = min(asked - 1, lengths.shape[1])
    positive, missing = _positive(lengths, k)
    while missing.any() and asked < min(n, _MOST_NEIGHBORS):
        asked = min(n, 8 * asked, _MOST_NEIGHBORS)
        again = np.flatnonzero(missing)
        own = None if own_ids is None else own_ids[again]
        _, further = _without_self(search.geometry, search.exact(points[again], asked), own)
        positive[again], missing[again] = _positive(further, k)
    return Neighborhoods(name, ids, lengths, positive, _mean_distance(search, points, rng))


def figures(seen: Neighborhoods, k: int, geometry: Geometry) -> NeighborhoodFigures:
    """Their summary; LID where the geometry defines it."""
    nearest, kth = seen.nearest, seen.at(k)
    near_copies = int((nearest < NEAR_COPY * seen.mean_distance).sum()) if seen.mean_distance > 0 else 0
    return NeighborhoodFigures(
        name=seen.name,
        points=len(seen.positive),
        lid=tuple(lid_figures(seen, size) for size in lid_sizes(seen)) if geometry.lengths else (),
        mean_distance=optional(seen.mean_distance),
        nearest=spread(nearest),
        kth=spread(kth),
        contrast_nearest=optional(relative_contrast(seen.mean_distance, nearest)),
        contrast_kth=optional(relative_contrast(seen.mean_distance, kth)),
        near_copies=near_copies,
        zero_distance=int((seen.lengths[:, :1] == 0).sum()),
        hub_share=_hub_share(seen.ids[:, :k]),
    )


def lid_sizes(seen: Neighborhoods) -> list[int]:
    """The numbers of neighbours that LID is estimated from: those of LID_NEIGHBORS that the base has."""
    most = seen.positive.shape[1]
    return [size for size in LID_NEIGHBORS if size <= most] or [most]


def lid_figures(seen: Neighborhoods, k: int) -> LidFigures:
    """LID from k neighbours each."""
    lid = lid_mle(seen.positive, k)
    known = lid.unbiased[np.isfinite(lid.unbiased)]
    p05, median, p95 = np.percentile(known, [5, 50, 95]) if known.size else (None, None, None)
    return LidFigures(
        k=k,
        points=len(lid.plain),
        undefined=len(lid.plain) - len(known),
        plain_mean=optional(arithmetic_mean(lid.plain)),
        plain_harmonic=optional(harmonic_mean(lid.plain)),
        unbiased_mean=optional(arithmetic_mean(lid.unbiased)),
        unbiased_harmonic=optional(harmonic_mean(lid.unbiased)),
        unbiased_median=optional(median),
        unbiased_p05=optional(p05),
        unbiased_p95=optional(p95),
    )


def _without_self(
    geometry: Geometry, found: GroundTruth, own: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], Floats]:
    ids, lengths = found.neighbors.astype(np.int64), geometry.distances(found.distances)
    if own is None:
        return ids, lengths
    keep = ids != own[:, None]
    # A point with many copies may not be in its own list; then one of them stands for it.
    keep[keep.all(axis=1), -1] = False
    shape = (len(ids), ids.shape[1] - 1)
    return ids[keep].reshape(shape), lengths[keep].reshape(shape)


def _positive(lengths: Floats, k: int) -> tuple[Floats, NDArray[np.bool_]]:
    """The first k lengths above zero, padded with inf; and which rows have fewer."""
    zeros = (lengths <= 0).sum(axis=1)
    at = zeros[:, None] + np.arange(k)
    found = np.take_along_axis(lengths, np.minimum(at, lengths.shape[1] - 1), axis=1)
    found[at >= lengths.shape[1]] = np.inf
    return found, np.asarray(~np.isfinite(found).all(axis=1))


def _mean_distance(search: Search, points: Any, rng: np.random.Generator) -> float:
    """Mean length from the points to the base, from random pairs; copies left out."""
    n = len(search.base)
    pool = search.base.gather(np.sort(rng.choice(n, size=min(n, _POOL_ROWS), replace=False)))
    m = len(points)
    row_bytes = 8 * max(1, int(np.prod(search.base.shape[1:], dtype=np.int64)))
    step = max(1, _PAIR_BYTES // (row_bytes * _PAIRS))
    total, count = 0.0, 0
    for start in range(0, m, step):
        stop = min(start + step, m)
        left = np.repeat(np.arange(start, stop), _PAIRS)
        lengths = search.geometry.rowwise(points[left], pool[rng.integers(0, len(pool), size=len(left))])
        total += float(lengths.sum())
        count += int((lengths > 0).sum())
    return total / count if count else 0.0


def _hub_share(ids: NDArray[np.int64]) -> float | None:
    present = ids[ids >= 0]
    if not present.size:
        return None
    return float(np.unique(present, return_counts=True)[1].max() / len(ids))
