"""Which dimension gets how many bits."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray


def allocate_bits(variances: NDArray[np.float64], budget: int, most: int) -> NDArray[np.uint8]:
    """Bits (dim,) of each dimension, `budget` in all, no dimension above `most`: each bit goes where the error is
    largest, and divides that by 4 (SQUASH; Gersho and Gray, 1992, chapter 8).

    Equal variances share evenly, the first ones first. Spends less than `budget` only where all have `most`.
    """
    bits = np.zeros(len(variances), dtype=np.uint8)
    # Negative: the largest comes first out of a heap; and then the first dimension.
    waiting = [(-float(value), i) for i, value in enumerate(variances)]
    heapq.heapify(waiting)
    for _ in range(min(budget, most * len(variances))):
        error, i = heapq.heappop(waiting)
        bits[i] += 1
        if bits[i] < most:
            heapq.heappush(waiting, (error / 4, i))
    return bits
