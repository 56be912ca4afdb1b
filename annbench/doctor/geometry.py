"""In which space a metric's difficulty is measured, and what it does not define there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.distances import Metric
from annbench.distances.registry import distance_of

Floats = NDArray[np.float64]

# 1 − cos of two copies of one direction is rounding: float64's of a thousand products, or float32's of a scaled copy.
_SAME_DIRECTION = 1e-12


@dataclass(frozen=True)
class Geometry:
    """`searched` is the metric whose neighbours the figures are of, over `placed` vectors; `text` says it for people.
    `lengths` is whether those distances are lengths of a continuous space, which LID is defined for; `linear` whether
    the vectors have a mean and a covariance that say something about them.
    """

    metric: Metric
    searched: Metric
    text: str
    lengths: bool = True
    linear: bool = True

    @property
    def same_ranking(self) -> bool:
        """Whether one search serves the truth as well."""
        return self.searched == self.metric

    @property
    def not_defined(self) -> tuple[str, ...]:
        """What is left out."""
        left = () if self.lengths else ("local intrinsic dimensionality",)
        return left if self.linear else (*left, "variance spectrum", "Mahalanobis distance", "separability")

    def placed(self, vectors: Any) -> Any:
        """The vectors that `searched` compares."""
        return distance_of("snr").reduced_base(vectors) if self.metric == "snr" else vectors

    def distances(self, found: Any) -> Floats:
        """Lengths, of distances by `searched`: zero between copies."""
        table = np.asarray(found, np.float64)
        if self.searched != "cosine":
            return np.maximum(table, 0)
        # ‖x/‖x‖ − q/‖q‖‖² = 2 (1 − cos): LID does not survive squaring.
        return np.asarray(np.sqrt(2 * np.where(table < _SAME_DIRECTION, 0, table)))

    def coordinates(self, vectors: Any) -> Floats:
        """Vectors as points whose L2 distance is that of the geometry; only where it is `linear`."""
        points = np.asarray(self.placed(vectors), np.float64)
        if self.metric != "cosine":
            return points
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        return np.asarray(points / np.where(norms > 0, norms, 1))

    def rowwise(self, a: Any, b: Any) -> Floats:
        """Lengths between placed vectors, row by row."""
        return self.distances(distance_of(self.searched).rowwise(a, b))


_ALL = (
    Geometry("euclidean", "euclidean", "L2 distance"),
    Geometry("cosine", "cosine", "L2 distance of unit vectors, √(2·(1 − cos))"),
    Geometry("ip", "euclidean", "L2 distance: an inner product is no distance"),
    Geometry("snr", "euclidean", "L2 distance of vectors without their mean, which snr ranks by"),
    Geometry("poincare", "poincare", "Poincaré distance; variance in the coordinates of the ball"),
    Geometry("hamming", "hamming", "differing bits", lengths=False, linear=False),
    Geometry("jaccard", "jaccard", "Jaccard distance", lengths=False, linear=False),
)
GEOMETRIES: dict[Metric, Geometry] = {geometry.metric: geometry for geometry in _ALL}
