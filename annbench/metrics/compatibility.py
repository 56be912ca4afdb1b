"""How well models of several generations work together: figures over a matrix C (T, T) of any measure where more is
better, C[i, j] being that of queries of model i in a gallery of model j, oldest first. Above the diagonal nothing is
looked at: nobody asks a new gallery with an old model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annbench.errors import UsageError

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Flips:
    """Queries that were right and are wrong now, and the other way round. `negative_rate` is the share of all."""

    negative: int
    positive: int
    queries: int

    @property
    def negative_rate(self) -> float:
        return self.negative / self.queries


def average_compatibility(matrix: Matrix) -> float | None:
    """AC: the share of pairs i > j with C[i, j] > C[j, j], where the newer queries find more in the old gallery than
    the old ones do; None with fewer than two models. Biondi et al., "CoReS: Compatible Representations via
    Stationarity", TPAMI 2023. Raises UsageError for what is no square matrix of figures.
    """
    matrix = _checked(matrix)
    pairs = [matrix[i, j] > matrix[j, j] for i in range(len(matrix)) for j in range(i)]
    return float(np.mean(pairs)) if pairs else None


def average_measure(matrix: Matrix) -> float:
    """AM: the mean of C[i, j] over i >= j (Biondi et al.). Raises UsageError."""
    matrix = _checked(matrix)
    return float(matrix[np.tril_indices(len(matrix))].mean())


def update_gain(cross: float, old: float, new: float) -> float | None:
    """(C[n, o] − C[o, o]) / (C[n, n] − C[o, o]): what an upgrade without backfill brings of what a full one would; 1 is
    all, 0 nothing, below 0 harm. None where a full one brings nothing, or harm: then there is nothing to have a share
    of. Shen et al., "Towards Backward-Compatible Representation Learning", CVPR 2020, equation 9.
    """
    whole = new - old
    return float((cross - old) / whole) if whole > 0 else None


def flips(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Flips:
    """Of `before` and `after` (q,), whether each query's answer was and is right. Yan et al., "Positive-Congruent
    Training", CVPR 2021. Raises UsageError for other shapes.
    """
    if before.shape != after.shape or before.ndim != 1 or not len(before):
        raise UsageError(
            f"shapes {before.shape} and {after.shape} are not answers to the same queries", remedy="give (q,) of both"
        )
    return Flips(int((before & ~after).sum()), int((~before & after).sum()), len(before))


def _checked(matrix: Matrix) -> Matrix:
    wide = np.asarray(matrix, dtype=np.float64)
    if wide.ndim != 2 or wide.shape[0] != wide.shape[1] or not len(wide):
        raise UsageError(f"a matrix of shape {wide.shape}", remedy="give (T, T), a row and a column a model")
    if not np.isfinite(wide[np.tril_indices(len(wide))]).all():
        raise UsageError("a figure on or below the diagonal is missing", remedy="measure every pair i >= j")
    return wide
