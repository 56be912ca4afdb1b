"""Distances in float64, the same for everyone, and how close two of them must be to count as a tie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.checks import true_distances
from annbench.datasets.info import Metric

__all__ = ["TIE_TOLERANCE", "tie_slack", "true_distances"]

TIE_TOLERANCE = 1e-6


def tie_slack(
    metric: Metric, queries: NDArray[np.float64], d_k: NDArray[np.float64], max_norm: float
) -> NDArray[np.float64]:
    """How far beyond d_k (q,) a distance may lie and still count as equal to it, for queries (q, dim).

    1e-6·s, where s is d_k for L2, and for inner product ‖q‖·max‖x‖, which is the scale of its rounding: a
    factor on a negative −x·q would tighten instead of loosen. Cosine compares unit vectors, so there s = 1.
    `max_norm` is max‖x‖ over the base; only inner product looks at it.
    """
    match metric:
        case "euclidean":
            scale = d_k
        case "cosine":
            scale = np.ones_like(d_k)
        case "ip":
            scale = np.linalg.norm(queries, axis=1) * max_norm
    return np.asarray(TIE_TOLERANCE * scale)
