"""Hamming distance over packed bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.distances.base import Distance, Floats


class Hamming(Distance):
    """The number of bits that differ: an exact count. The bits that fill up the last byte are zero on both sides."""

    metric = "hamming"
    layout = "bits"
    served_by = "hamming"
    stored = "counts of differing bits (ann-benchmarks: their mean over the bits)"

    def rowwise(self, queries: Any, vectors: Any) -> Floats:
        return np.asarray(np.bitwise_count(np.bitwise_xor(queries, vectors)).sum(axis=-1, dtype=np.float64))

    def tie_slack(self, queries: Any, d_k: Floats, max_norm: float) -> Floats:
        return np.zeros_like(d_k)

    def disagrees(self, stored: Floats, true: Floats, query: Any, vectors: Any) -> NDArray[np.bool_]:
        return np.asarray(np.abs(stored - true) > 1e-3 * np.maximum(true, 1))  # float32 means of bits, times dim


def packed_bytes(dim: int) -> int:
    """Bytes of one vector of `dim` bits."""
    return -(-dim // 8)
