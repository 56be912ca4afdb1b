"""Means and second moments of vectors, in float64, from a sample where there are many."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.errors import UsageError
from annbench.indexes.transforms.base import Wide

SAMPLE_ROWS = 100_000
_BLOCK_ROWS = 8192


def sampled(vectors: NDArray[Any], seed: int, rows: int = SAMPLE_ROWS) -> NDArray[Any]:
    """At most `rows` of the rows, without replacement, in their order. Raises UsageError for no rows."""
    if not len(vectors):
        raise UsageError("there are no vectors", where="base", remedy="give at least one")
    if len(vectors) <= rows:
        return vectors
    return vectors[np.sort(np.random.default_rng(seed).choice(len(vectors), rows, replace=False))]


def mean_of(vectors: NDArray[Any]) -> Wide:
    """Mean (dim,)."""
    return np.asarray(vectors.mean(axis=0, dtype=np.float64))


def second_moment(vectors: NDArray[Any], mean: Wide | None = None) -> Wide:
    """(x − μ)(x − μ)ᵀ averaged over the rows, (dim, dim); μ = 0 without a mean."""
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), _BLOCK_ROWS):
        rows = vectors[start : start + _BLOCK_ROWS].astype(np.float64)
        if mean is not None:
            rows -= mean
        total += rows.T @ rows
    return total / max(len(vectors), 1)


def principal(moment: Wide) -> tuple[Wide, Wide]:
    """Eigenvalues (dim,) of a symmetric matrix, falling and not below 0, and its eigenvectors as rows (dim, dim).

    The sign of each vector is fixed by its largest component, so that equal input gives equal output.
    """
    values, vectors = np.linalg.eigh(moment)
    rows = vectors.T[::-1]
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
    return np.maximum(values[::-1], 0), rows * np.where(largest < 0, -1.0, 1.0)
