"""From a spec and vectors to what the native index is made of: maps, centroids, tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench._native import rotated
from annbench.indexes.clusters import Assigner, cluster
from annbench.indexes.codecs.base import Learned
from annbench.indexes.spec import IndexSpec
from annbench.indexes.structures import Ivf
from annbench.indexes.training import sample_places
from annbench.indexes.transforms.base import Maps, Matrix, narrow
from annbench.indexes.transforms.moments import SAMPLE_ROWS
from annbench.indexes.transforms.plain import random_rotation
from annbench.indexes.vectors import as_rows

TRAIN_ROWS_PER_LIST = 128


@dataclass(frozen=True)
class Fitted:
    """What was learned from the vectors. `centroids` (nlist, prefix_dim), None for flat."""

    maps: Maps
    centroids: Matrix | None
    learned: Learned


def fit(
    spec: IndexSpec,
    vectors: NDArray[Any],
    queries: Matrix | None,
    *,
    unit: bool,
    seed: int,
    maps: Maps | None = None,
) -> Fitted:
    """Learn what `spec` needs from `vectors` (n, dim), n >= 1 unless there is nothing to learn, and from training
    `queries` (m, dim) where the transform looks at them. With `unit`, vectors count scaled to length 1. `maps` are
    those of the transform where they are known.
    """
    maps = maps or _fit_maps(spec, vectors, queries, unit=unit, seed=seed)
    wanted = max(_cluster_rows(spec), spec.codec.training_rows)
    if not wanted:
        return Fitted(maps, None, Learned())
    training = maps.base(as_rows(vectors[sample_places(len(vectors), wanted, seed)], unit=unit))
    rotation = spec.codec.rotation(_part(training, spec.codec.training_rows, seed), seed=seed)
    if rotation is not None:
        maps = turned(maps, rotation)
        training = np.ascontiguousarray(training @ rotation.T)
    centroids = None
    if isinstance(spec.structure, Ivf):
        prefix = np.ascontiguousarray(training[:, : spec.prefix_dim(vectors.shape[1])])
        centroids = cluster(_part(prefix, _cluster_rows(spec), seed), spec.structure.nlist, seed=seed)
    coded = _part(training, spec.codec.training_rows, seed)
    if centroids is not None and spec.codec.relative and len(coded):
        coded = Assigner(centroids, 1).residuals(coded)
    learned = spec.codec.learn(coded, seed=seed) if len(coded) else Learned()
    return Fitted(maps, centroids, learned)


def turned(maps: Maps, rotation: Matrix) -> Maps:
    """`maps` followed by `rotation` (dim_out, dim_out), which is orthogonal: inner products stay."""
    if maps.rotation is not None:
        fast = rotated(np.eye(maps.dim_in, dtype=np.float32), maps.rotation).T
        maps = replace(maps, base_map=fast, query_map=fast, rotation=None)
    base = rotation if maps.base_map is None else narrow(rotation.astype(np.float64) @ maps.base_map)
    if maps.query_map is maps.base_map:
        return replace(maps, base_map=base, query_map=base)
    query = rotation if maps.query_map is None else narrow(rotation.astype(np.float64) @ maps.query_map)
    return replace(maps, base_map=base, query_map=query)


def _fit_maps(spec: IndexSpec, vectors: NDArray[Any], queries: Matrix | None, *, unit: bool, seed: int) -> Maps:
    transform, edges = spec.transform, spec.rotation_edges(vectors.shape[1])
    # Prefixes that are looked at alone must stay what they are: only within them, and within the rest, may be rotated.
    split = len(edges) > 1 and getattr(transform, "rotate", False)
    if split:
        transform = transform.model_copy(update={"rotate": False})
    rows = SAMPLE_ROWS if transform.needs_base else 0
    sample = as_rows(vectors[sample_places(len(vectors), rows, seed)], unit=unit)
    maps = replace(transform.fit(sample, queries, seed=seed), normalise=spec.normalises)
    return turned(maps, narrow(block_rotation(edges, seed))) if split else maps


def block_rotation(edges: list[int], seed: int) -> NDArray[np.float64]:
    """A rotation of edges[-1] dimensions that mixes only those between two edges, edges rising."""
    random = np.random.default_rng(seed)
    whole = np.zeros((edges[-1], edges[-1]))
    for first, end in zip([0, *edges], edges, strict=False):
        whole[first:end, first:end] = random_rotation(end - first, random)
    return whole


def _cluster_rows(spec: IndexSpec) -> int:
    if not isinstance(spec.structure, Ivf):
        return 0
    return spec.structure.train_rows or TRAIN_ROWS_PER_LIST * spec.structure.nlist


def _part(rows: Matrix, wanted: int, seed: int) -> Matrix:
    return rows[sample_places(len(rows), wanted, seed + 1)]
