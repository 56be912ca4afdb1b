"""The distances by name. A new one is one file, its name in `Metric`, and one line here."""

from __future__ import annotations

from typing import Any

from annbench.distances import Metric
from annbench.distances.base import Distance, Floats
from annbench.distances.dense import Cosine, Euclidean, InnerProduct
from annbench.distances.hamming import Hamming
from annbench.distances.jaccard import Jaccard
from annbench.distances.poincare import Poincare
from annbench.distances.snr import Snr
from annbench.errors import UnknownNameError

DISTANCES: dict[Metric, Distance] = {
    "euclidean": Euclidean(),
    "cosine": Cosine(),
    "ip": InnerProduct(),
    "hamming": Hamming(),
    "jaccard": Jaccard(),
    "snr": Snr(),
    "poincare": Poincare(),
}


def distance_of(metric: Metric) -> Distance:
    """The distance of this name. Raises UnknownNameError with the closest ones."""
    if metric not in DISTANCES:
        raise UnknownNameError("metric", metric, DISTANCES)
    return DISTANCES[metric]


def true_distances(metric: Metric, queries: Any, vectors: Any) -> Floats:
    """Distances (q, k) of queries (q, dim) to their own vectors (q, k, dim), dense or packed bits."""
    return distance_of(metric).rowwise(queries[:, None], vectors)
