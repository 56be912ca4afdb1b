"""What a distance must offer, and what most of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annbench.distances import Layout, Metric

Floats = NDArray[np.float64]

# Relative to the scale of a distance: how close two must be to count as a tie …
TIE_TOLERANCE = 1e-6
# … and how far a stored one may be off: far above the rounding of float32 truth, far below any wrong metric.
STORED_TOLERANCE = 1e-3


class Distance(ABC):
    """One distance; smaller is nearer. Vectors are rows in the layout's form:

    - dense: (n, dim) numbers;
    - bits: (n, ⌈dim/8⌉) uint8, bit 0 of a vector in the highest bit of its first byte (numpy.packbits);
    - sets: `annbench.distances.sets.Sets`.
    """

    metric: ClassVar[Metric]
    layout: ClassVar[Layout] = "dense"
    stored: ClassVar[str]  # what files store, for people
    # The metric an index is built for: it ranks the `reduced_…` vectors as this one ranks the original ones.
    served_by: ClassVar[Metric]

    @abstractmethod
    def rowwise(self, queries: Any, vectors: Any) -> Floats:
        """Distances (m,) of queries[i] to vectors[i], in float64, or exact where they are counts or ratios.

        Dense and packed rows broadcast: queries (q, 1, dim) against vectors (q, k, dim) give (q, k).
        """

    def tie_slack(self, queries: Any, d_k: Floats, max_norm: float) -> Floats:
        """How far beyond d_k (q,) a distance may lie and still count as equal to it; `max_norm` is max‖x‖ of the
        base.
        """
        return np.asarray(TIE_TOLERANCE * np.abs(d_k))

    def disagrees(self, stored: Floats, true: Floats, query: Any, vectors: Any) -> NDArray[np.bool_]:
        """Which stored distances (k,) of one query to `vectors` (k rows) are not the true ones (k,)."""
        return np.asarray(np.abs(stored - true) > STORED_TOLERANCE * np.maximum(np.abs(true), 1e-6))

    def undefined_queries(self, queries: Any) -> NDArray[np.bool_]:
        """Which queries (q,) have no distance to anything."""
        return np.zeros(len(queries), dtype=np.bool_)

    def undefined_vectors(self, vectors: Any) -> NDArray[np.bool_]:
        """Which base vectors (n,) nothing has a distance to."""
        return np.zeros(len(vectors), dtype=np.bool_)

    def reduced_dim(self, dim: int) -> int:
        """Dimensions of the reduced vectors."""
        return dim

    def reduced_base(self, vectors: Any) -> Any:
        """Base vectors for an index of metric `served_by`."""
        return vectors

    def reduced_queries(self, queries: Any) -> Any:
        """Queries for an index of metric `served_by`."""
        return queries


def wide(vectors: NDArray[Any]) -> Floats:
    """As float64."""
    return np.asarray(vectors, dtype=np.float64)
