"""The k smallest of exact distances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.algorithms.base import Ids, padded


def nearest(distances: NDArray[Any], k: int) -> Ids:
    """Ids (k,) of the smallest of `distances` (n,), nearest first, the lower id among equals; −1 pads."""
    if k < len(distances):
        last = np.partition(distances, k - 1)[k - 1]
        candidates = np.flatnonzero(distances <= last)
    else:
        candidates = np.arange(len(distances))
    # Candidates rise by id, so a stable sort leaves the lower id first.
    ids: Ids = candidates[np.argsort(distances[candidates], kind="stable")[:k]]
    return ids if len(ids) == k else padded(ids, k)
