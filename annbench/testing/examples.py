"""Small data in the three layouts, and the truth about them by comparing everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.info import Metric
from annbench.distances import Layout
from annbench.distances.registry import distance_of
from annbench.distances.sets import Sets
from annbench.metrics.ids import Ids, sort_out

SEED = 7
DIMS: dict[Layout, int] = {"dense": 34, "bits": 100, "sets": 400}  # 34 is no multiple of 4, 100 none of 8
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """Base and queries around the same centres; `dim` counts bits of packed rows and the elements that sets draw."""

    base: Any
    queries: Any
    dim: int

    @property
    def n(self) -> int:
        """Rows of the base."""
        return len(self.base)


@cache
def example(layout: Layout, n: int = 1200, dim: int | None = None, queries: int = 60) -> Example:
    """The same arrays at every call; callers must not write to them."""
    width = DIMS[layout] if dim is None else dim
    rng = np.random.default_rng(SEED)
    draw = {"dense": _dense, "bits": _bits, "sets": _sets}[layout](rng, width)
    return Example(draw(n), draw(queries), width)


def _dense(rng: np.random.Generator, dim: int) -> Callable[[int], Any]:
    """Clusters, of vectors of many lengths."""
    centres = rng.standard_normal((20, dim))

    def draw(count: int) -> Any:
        points = centres[rng.integers(0, len(centres), count)] + 0.5 * rng.standard_normal((count, dim))
        return (points * rng.uniform(0.5, 2.0, (count, 1))).astype(np.float32)

    return draw


def _bits(rng: np.random.Generator, dim: int) -> Callable[[int], Any]:
    """Clusters, in which every fifth bit is flipped."""
    centres = rng.random((20, dim)) < 0.5

    def draw(count: int) -> Any:
        flipped = rng.random((count, dim)) < 0.2
        return np.packbits(centres[rng.integers(0, len(centres), count)] ^ flipped, axis=1)

    return draw


def _sets(rng: np.random.Generator, dim: int) -> Callable[[int], Any]:
    """Up to thirty elements, of which small ones are common; some sets are empty."""

    def draw(count: int) -> Any:
        sizes = rng.integers(0, min(30, dim) + 1, count)
        return Sets.from_rows([(dim * rng.random(size) ** 2).astype(np.int32) for size in sizes], dim)

    return draw


def distances(metric: Metric, queries: Any, base: Any) -> Floats:
    """All distances (q, n), in float64 or exact."""
    distance = distance_of(metric)
    if distance.layout != "sets":
        rows = [distance.rowwise(query[None], base) for query in queries]
        return np.array(rows, dtype=np.float64).reshape(len(queries), len(base))
    asked, stored = _indicators(queries), _indicators(base)
    common = asked @ stored.T
    union = asked.sum(axis=1, keepdims=True) + stored.sum(axis=1) - common
    return np.asarray(1 - np.divide(common, union, out=np.ones_like(common), where=union > 0))


def _indicators(sets: Sets) -> Floats:
    matrix = np.zeros(sets.shape)
    matrix[np.repeat(np.arange(len(sets)), sets.sizes), sets.elements] = 1
    return matrix


@dataclass(frozen=True)
class Quality:
    """Of ids against the truth: `recall` counts an id that is as near as the k-th, within the rounding of float32."""

    recall: float
    duplicates: int
    out_of_range: int
    missing: int


def judge(ids: Ids, metric: Metric, queries: Any, base: Any) -> Quality:
    """Compare ids (q, k) with the truth."""
    found = sort_out(ids, len(base))
    true = distances(metric, queries, base)
    possible = min(ids.shape[1], len(base))
    d_k = np.sort(true, axis=1)[:, possible - 1]
    longest = float(np.sqrt((base.astype(np.float64) ** 2).sum(axis=1).max())) if metric == "ip" else 1.0
    limit = d_k + distance_of(metric).tie_slack(queries, d_k, longest) + 1e-12
    mine = np.take_along_axis(true, np.where(found.valid, ids, 0), axis=1)
    right = (found.valid & (mine <= limit[:, None])).sum(axis=1)
    recall = float((np.minimum(right, possible) / possible).mean()) if len(ids) else 1.0
    return Quality(recall, found.duplicates, found.out_of_range, found.missing)
