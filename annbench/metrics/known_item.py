"""Known-item search: every query was made from one row, `relevant`, and is right where that row is found.

Unlike recall against exact neighbours this needs no model to say what is near, so that models can be compared by it.
Kantor and Voorhees, "The TREC-5 Confusion Track", 2000.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annbench.errors import UsageError

Ids = NDArray[np.int64]


def ranks(ids: Ids, relevant: Ids) -> Ids:
    """The place (q,) of `relevant` (q,) in `ids` (q, k), from 0; k where it is not found. Raises UsageError for
    shapes that do not fit.
    """
    if ids.ndim != 2 or relevant.shape != ids.shape[:1]:
        raise UsageError(f"ids {ids.shape} and relevant rows {relevant.shape}", remedy="give (q, k) and (q,)")
    same = ids == relevant[:, None]
    places: Ids = np.where(same.any(axis=1), same.argmax(axis=1), ids.shape[1])
    return places


def hits(found: Ids, k: int) -> NDArray[np.bool_]:
    """Whether each query's row is among the first k, by its rank."""
    return found < k


def reciprocal_ranks(found: Ids, k: int) -> NDArray[np.float64]:
    """1 / (rank + 1) where the row is among the first k, else 0: their mean is MRR@k."""
    return np.where(found < k, 1 / (found + 1.0), 0.0)
