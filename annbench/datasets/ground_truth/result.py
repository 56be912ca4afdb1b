"""What an exact search gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class GroundTruth:
    """The exact k nearest neighbours of each query, nearest first, ties by the lower id.

    `neighbors` (q, k): ids of the whole base, int32 (int64 when it has 2³¹ rows or more), −1 beyond the rows that
    count. `distances` (q, k): float64, as `annbench.distances` defines them (cosine exactly 1 when a vector is zero);
    inf beyond. `ties_beyond_k` (q,): how many more rows lie at exactly the k-th float64 distance; same dtype as
    `neighbors`.
    """

    neighbors: NDArray[np.int32] | NDArray[np.int64]
    distances: NDArray[np.float64]
    ties_beyond_k: NDArray[np.int32] | NDArray[np.int64]
