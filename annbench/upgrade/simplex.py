"""d-Simplex prototypes: a fixed classifier whose class weights are the d + 1 corners of a regular simplex. They never
move, so that models that were trained with it at any time are compatible with one another (Pernici et al., "Regular
Polytope Networks", TNNLS 2022; Biondi et al., "Stationary Representations", CVPR 2024).

The papers train models on labels. Embeddings that are given have none: here the classes are the d + 1 k-means clusters
of the OLD model's vectors, and of each model a linear map is trained, by the cross-entropy of that classifier. What is
searched lies in the d dimensions of the simplex, so that the old gallery is mapped once, from its stored vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annbench.errors import TrainingError, UsageError
from annbench.indexes.clusters import Assigner, cluster
from annbench.indexes.training import limited_threads
from annbench.indexes.transforms.binarizer import unit_rows
from annbench.upgrade.pairs import Matrix, Paired, check_dim

SCALE = 16.0  # of the cosines, before the softmax
STEPS, BATCH, LEARNING_RATE = 1200, 256, 2e-3
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # of Adam


@dataclass(frozen=True)
class Simplex:
    """`new_map` (d, dim_new + 1) and `old_map` (d, dim_old + 1); the last column is the bias."""

    new_map: Matrix
    old_map: Matrix

    def new(self, vectors: Matrix) -> Matrix:
        """New vectors in the space of the simplex (n, d), of unit length."""
        return _mapped(vectors, self.new_map)

    def old(self, vectors: Matrix) -> Matrix:
        """Old vectors likewise."""
        return _mapped(vectors, self.old_map)


def prototypes(d: int) -> NDArray[np.float64]:
    """The corners (d + 1, d) of a regular simplex around 0: of length 1, with cosines −1/d between any two. Raises
    UsageError for d below 1.
    """
    if d < 1:
        raise UsageError(f"got d = {d}", where="simplex", remedy="give 1 or more")
    corners = np.sqrt(1 + 1 / d) * np.eye(d) - d**-1.5 * (np.sqrt(d + 1) - 1)
    return np.concatenate([corners, np.full((1, d), -(d**-0.5))])


def simplex(pairs: Paired, d: int, *, seed: int) -> Simplex:
    """Maps of both models into the d dimensions of a simplex, trained on `pairs`.

    Raises UsageError where there are fewer pairs than twice the d + 1 classes, TrainingError where the loss is no
    number.
    """
    corners = prototypes(d)
    if len(pairs) < 2 * len(corners):
        raise UsageError(
            f"{len(pairs):,} pairs are too few for {len(corners):,} clusters",
            where="simplex",
            remedy=f"give {2 * len(corners):,} pairs or more, or fewer dimensions",
        )
    with limited_threads(1):  # for batches so small, more would wait for each other
        labels = clusters(pairs.old, len(corners), seed=seed)
        return Simplex(
            trained(pairs.new, labels, corners, seed=seed),
            trained(pairs.old, labels, corners, seed=seed),
        )


def clusters(vectors: Matrix, count: int, *, seed: int) -> NDArray[np.int64]:
    """The cluster (n,) of every row of unit length, by k-means."""
    nearest = Assigner(cluster(vectors, count, seed=seed), assignments=1)
    return nearest(vectors)[:, 0].astype(np.int64)


def trained(vectors: Matrix, labels: NDArray[np.int64], corners: NDArray[np.float64], *, seed: int) -> Matrix:
    """A linear map with bias (d, dim + 1) by the cross-entropy of the scaled cosines of what it maps to the corners,
    with Adam (Kingma and Ba, ICLR 2015). Raises TrainingError.
    """
    random = np.random.default_rng(seed)
    fixed = corners.astype(np.float32)
    rows = _with_one(vectors)
    weights: Matrix = (random.standard_normal((fixed.shape[1], rows.shape[1])) * rows.shape[1] ** -0.5).astype(
        np.float32
    )
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    batches = max(1, len(rows) // BATCH)
    for step in range(STEPS):
        if step % batches == 0:
            order = random.permutation(len(rows))
        some = order[step % batches * BATCH :][:BATCH]
        loss, gradient = _loss(rows[some], labels[some], weights, fixed)
        if not np.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} after {step + 1:,} batches", where="simplex", remedy="look for odd vectors"
            )
        first += (1 - _BETA1) * (gradient - first)
        second += (1 - _BETA2) * (gradient * gradient - second)
        rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * step / STEPS))
        corrected = first / (1 - _BETA1 ** (step + 1)), second / (1 - _BETA2 ** (step + 1))
        weights -= np.float32(rate) * corrected[0] / (np.sqrt(corrected[1]) + _EPSILON)
    return weights


def _loss(rows: Matrix, labels: NDArray[np.int64], weights: Matrix, corners: Matrix) -> tuple[float, Matrix]:
    """The mean cross-entropy, and its gradient by the weights."""
    mapped = rows @ weights.T
    lengths = np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-12)
    unit = mapped / lengths
    logits = SCALE * unit @ corners.T
    logits -= logits.max(axis=1, keepdims=True)
    shares = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    at = np.arange(len(labels))
    loss = float(-np.log(np.maximum(shares[at, labels], 1e-30)).mean()) if np.isfinite(shares).all() else float("nan")
    shares[at, labels] -= 1
    by_unit = SCALE * (shares @ corners) / len(rows)
    by_mapped = (by_unit - unit * np.einsum("nd,nd->n", by_unit, unit)[:, None]) / lengths
    gradient: Matrix = by_mapped.T @ rows
    return loss, gradient


def _mapped(vectors: Matrix, weights: Matrix) -> Matrix:
    check_dim(vectors, weights.shape[1] - 1)
    return unit_rows(_with_one(vectors) @ weights.T)


def _with_one(vectors: Matrix) -> Matrix:
    return np.concatenate([vectors, np.ones((len(vectors), 1), np.float32)], axis=1, dtype=np.float32)
