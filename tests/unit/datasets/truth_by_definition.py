"""Truth by the definition of each distance: all of them, sorted. And data to try it on."""

from __future__ import annotations

from typing import Any

import numpy as np

from annbench.datasets.ground_truth import GroundTruth
from annbench.distances import Metric
from annbench.distances.registry import distance_of
from annbench.distances.sets import Sets


def everything(metric: Metric, base: Any, queries: Any) -> Any:
    """All distances (q, n) by the definition, one query at a time."""
    n, distance = len(base), distance_of(metric)
    rows = [queries[np.repeat(i, n)] for i in range(len(queries))]
    return np.stack([distance.rowwise(row, base[:]) for row in rows]) if rows else np.empty((0, n))


def check(truth: GroundTruth, all_distances: Any, k: int, admitted: Any = None) -> None:
    """The truth is what sorting the admitted distances gives: ids, distances and ties, to the last bit."""
    for i, distances in enumerate(all_distances):
        ids = np.arange(len(distances)) if admitted is None else np.flatnonzero(admitted[i])
        order = ids[np.argsort(distances[ids], kind="stable")]
        kept = order[:k]
        np.testing.assert_array_equal(truth.neighbors[i, : len(kept)], kept)
        np.testing.assert_array_equal(truth.distances[i, : len(kept)], distances[kept])
        assert (truth.neighbors[i, len(kept) :] == -1).all()
        assert np.isinf(truth.distances[i, len(kept) :]).all()
        beyond = distances[order[k:]] == distances[order[k - 1]] if len(order) > k else np.zeros(0)
        assert truth.ties_beyond_k[i] == beyond.sum()


def bits(n: int, dim: int, seed: int, share: float = 0.5) -> Any:
    return np.packbits(np.random.default_rng(seed).random((n, dim)) < share, axis=1)


def sets(n: int, dim: int, size: int, seed: int) -> Sets:
    random = np.random.default_rng(seed)
    return Sets.from_rows([random.integers(0, dim, random.integers(0, size + 1)) for _ in range(n)], dim)


def ball(n: int, dim: int, seed: int, largest: float = 0.999) -> Any:
    """Points of the Poincaré ball, most of them near its boundary."""
    random = np.random.default_rng(seed)
    directions = random.standard_normal((n, dim))
    radius = largest * random.random(n) ** 0.1
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True) * radius[:, None]).astype(np.float32)


def vectors(metric: Metric, n: int, dim: int, seed: int) -> Any:
    if metric == "poincare":
        return ball(n, dim, seed)
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def data(metric: Metric, n: int, queries: int, seed: int = 1) -> tuple[Any, Any]:
    """A base and queries in the metric's layout, small and with ties."""
    if metric == "hamming":
        return bits(n, 40, seed), bits(queries, 40, seed + 1)
    if metric == "jaccard":
        return sets(n, 60, 8, seed), sets(queries, 60, 8, seed + 1)
    return vectors(metric, n, 6, seed), vectors(metric, queries, 6, seed + 1)
