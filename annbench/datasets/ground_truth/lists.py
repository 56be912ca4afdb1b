"""Lists of neighbours from whole blocks of exact distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.ground_truth.checkpoint import Progress


def extend_lists(found: Progress, distances: NDArray[np.float64], first: int) -> None:
    """Take the distances (q, m) of rows first … first + m − 1 into the lists, in place.

    All rows of the lists must have lower ids. Ties go to the lower id; those beyond k are counted.
    """
    k, m = found.neighbors.shape[1], distances.shape[1]
    if not m:
        return
    reachable = found.distances[:, -1]
    if m > k:
        reachable = np.minimum(reachable, np.partition(distances, k - 1, axis=1)[:, k - 1])
    for query, limit in enumerate(reachable):
        rows = np.flatnonzero(distances[query] <= limit)
        if rows.size:
            _extend(found, query, distances[query, rows], rows + first)


def _extend(found: Progress, query: int, distances: NDArray[np.float64], ids: NDArray[np.int64]) -> None:
    k = found.neighbors.shape[1]
    known = int((found.neighbors[query] >= 0).sum())
    before = found.distances[query, -1]  # inf while the list is not full
    all_distances = np.concatenate([found.distances[query, :known], distances])
    all_ids = np.concatenate([found.neighbors[query, :known], ids])
    # Stable: among equals the known rows come first, whose ids are lower, then the others in their order.
    order = np.argsort(all_distances, kind="stable")
    best = order[:k]
    found.distances[query, : len(best)] = all_distances[best]
    found.neighbors[query, : len(best)] = all_ids[best]
    if len(best) < k:
        return
    after = found.distances[query, -1]
    dropped = int((all_distances[order[k:]] == after).sum())
    found.ties[query] = dropped + (found.ties[query] if after == before else 0)
