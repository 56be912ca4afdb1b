"""Jaccard distance over sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from annbench.distances.base import Distance, Floats
from annbench.distances.sets import intersections


class Jaccard(Distance):
    """1 − |a ∩ b| / |a ∪ b|; two empty sets are equal, distance 0.

    Both counts are exact, so that equal ratios give equal floats: division is correctly rounded.
    """

    metric = "jaccard"
    layout = "sets"
    served_by = "jaccard"
    stored = "1 − |intersection| / |union|"

    def rowwise(self, queries: Any, vectors: Any) -> Floats:
        common = intersections(queries, vectors)
        return self.of_counts(common, queries.sizes + vectors.sizes - common)

    @staticmethod
    def of_counts(common: Any, union: Any) -> Floats:
        """Distances of intersections and unions of these sizes."""
        different = np.asarray(union - common, dtype=np.float64)
        return np.asarray(np.divide(different, union, out=np.zeros_like(different), where=union > 0))

    def tie_slack(self, queries: Any, d_k: Floats, max_norm: float) -> Floats:
        return np.zeros_like(d_k)
