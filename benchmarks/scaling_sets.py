"""Sets of any number of vectors for `graph_scaling.py`: drawn under a stated spectrum, or a real one with copies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from core_sets import BUNDLED, FILES, K, load_set, unit
from numpy.typing import NDArray

from annbench.bundled import bundled
from annbench.datasets.ground_truth.exact import exact_neighbors
from annbench.datasets.ground_truth.rows import DenseMetric
from annbench.metrics.difficulty import harmonic_mean, lid_mle

LID_NEIGHBORS = 100
DIM = 128
DECAY = 1.0  # the variance of direction i is i^−DECAY
JITTER = 0.5  # of the median distance to the nearest other vector: how far a copy lies from what it is a copy of
JITTER_SAMPLE = 1000
SEED = 1

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class ScalingSet:
    """`base` (n, dim) and `queries` (q, dim) with their ten exact neighbours `truth` (q, 10), ids; `lid` is the maximum
    likelihood estimate of local intrinsic dimensionality at the queries, from their 100 nearest (harmonic mean).
    """

    name: str
    metric: DenseMetric
    base: Matrix
    queries: Matrix
    truth: NDArray[np.integer]
    lid: float


def with_spectrum(
    n: int, queries: int, *, dim: int = DIM, decay: float = DECAY, seed: int = SEED, rows_seed: int = 1
) -> tuple[Matrix, Matrix]:
    """Normal vectors (n, dim) and queries, the variance along direction i being i^−decay, in axes that are turned at
    random. The first rows of a larger set are those of a smaller one; with another `rows_seed` they are others.
    """
    turned = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]
    scaled = (np.arange(1, dim + 1) ** (-decay / 2))[:, None] * turned
    maps = scaled.astype(np.float32)

    def drawn(part: int, rows: int) -> Matrix:
        normal = np.random.default_rng((seed, part)).standard_normal((rows, dim), dtype=np.float32)
        return np.asarray(normal @ maps)

    return drawn(rows_seed, n), drawn(2, queries)


def jittered(base: Matrix, n: int, *, seed: int = SEED) -> Matrix:
    """n vectors of length 1: some of `base`, or all of them and copies that normal noise has moved."""
    random = np.random.default_rng(seed)
    if n <= len(base):
        return base[np.sort(random.choice(len(base), n, replace=False))]
    some = base[random.choice(len(base), min(JITTER_SAMPLE, len(base)), replace=False)]
    nearest = exact_neighbors(base, some, 2, "euclidean").distances[:, 1]
    deviation = JITTER * float(np.median(nearest)) / np.sqrt(base.shape[1])
    rows = np.resize(base, (n, base.shape[1]))
    rows[len(base) :] += random.normal(0, deviation, (n - len(base), base.shape[1])).astype(np.float32)
    return unit(rows)


def generated(n: int, queries: int, _folder: Path) -> tuple[DenseMetric, Matrix, Matrix]:
    """Metric, base and queries under the stated spectrum."""
    return "euclidean", *with_spectrum(n, queries)


def glove(n: int, queries: int, folder: Path) -> tuple[DenseMetric, Matrix, Matrix]:
    """Those of glove, or of the bundled set where glove is not there."""
    path = folder / FILES["glove"][0]
    if not path.exists():
        path = bundled("datasets") / f"{BUNDLED}.hdf5"
    data = load_set(path, "glove", "cosine", 0, queries)  # as both are compared
    return "cosine", jittered(data.base, n), data.queries


Made = tuple[DenseMetric, Matrix, Matrix]
SETS: dict[str, Callable[[int, int, Path], Made]] = {
    "spectrum": generated,
    "glove": glove,
}


def scaling_set(name: str, n: int, queries: int, folder: Path) -> ScalingSet:
    """The set of this name with n vectors, and the truth by annbench's own exact engine."""
    metric, base, asked = SETS[name](n, queries, folder)
    found = exact_neighbors(base, asked, LID_NEIGHBORS, metric)
    lid = harmonic_mean(lid_mle(found.distances, LID_NEIGHBORS).unbiased)
    if metric == "cosine":
        # 1 − cosine is half the square of the distance between unit vectors, and the LID of lengths twice that of it.
        lid *= 2
    return ScalingSet(name, metric, base, asked, found.neighbors[:, :K], lid)
