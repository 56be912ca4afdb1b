"""A dataset's stored truth against the exact one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.dataset import Dataset
from annbench.datasets.ground_truth import GroundTruth
from annbench.datasets.truth import Comparison
from annbench.distances.registry import distance_of

EXAMPLES = 5


def compare_stored(dataset: Dataset, query_set: str, queries: Any, truth: GroundTruth) -> Comparison:
    """Each stored neighbour must be as near as the k-th nearest (ties within `Distance.tie_slack`), and each stored
    distance that of its id. `truth` holds as many neighbours as are stored.
    """
    distance = distance_of(dataset.info.metric)
    stored_ids, stored = dataset.neighbors(query_set), dataset.distances(query_set)
    kth = truth.distances[:, -1]
    slack = distance.tie_slack(queries, kth, dataset.max_norm() if dataset.info.metric == "ip" else 1.0)
    wrong_neighbors = wrong_distances = 0
    examples: list[str] = []
    for row in range(len(stored_ids)):
        ids = stored_ids[row]
        query, vectors = queries[np.repeat(row, len(ids))], dataset.base_rows(ids)
        true = distance.rowwise(query, vectors)
        farther = true > kth[row] + slack[row]
        # The stored distance of a float32 file decides a near-tie as its author's arithmetic did.
        off = distance.disagrees(stored[row], true, query, vectors)
        wrong_neighbors += int(farther.sum())
        wrong_distances += int(off.sum())
        if len(examples) < EXAMPLES:
            examples += _words(row, ids, true, stored[row], farther, off, float(kth[row]))[: EXAMPLES - len(examples)]
    return Comparison(stored_ids.size, wrong_neighbors, wrong_distances, tuple(examples))


def _words(
    row: int,
    ids: NDArray[np.int64],
    true: NDArray[np.float64],
    stored: NDArray[np.float64],
    farther: NDArray[np.bool_],
    off: NDArray[np.bool_],
    kth: float,
) -> list[str]:
    found = [
        f"query {row}: neighbour {at} is id {ids[at]} at {true[at]:.7g}, and {len(ids)} rows lie within {kth:.7g}"
        for at in np.flatnonzero(farther)[:1]
    ]
    return found + [
        f"query {row}: the stored distance to id {ids[at]} is {stored[at]:.7g}, and it is {true[at]:.7g}"
        for at in np.flatnonzero(off)[:1]
    ]
