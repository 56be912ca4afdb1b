"""Sets of elements as files have them: in any order, some perhaps twice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.distances.sets import Sets


def sorted_sets(indptr: NDArray[np.int64], elements: NDArray[Any], dim: int, where: str) -> Sets:
    """Sets of elements in any order, repeated ones counted once. Raises DatasetError for one outside the universe."""
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    order = np.lexsort((elements, rows))
    rows, ordered = rows[order], elements[order]
    kept = np.ones(len(ordered), np.bool_)
    kept[1:] = (ordered[1:] != ordered[:-1]) | (rows[1:] != rows[:-1])
    sizes = np.bincount(rows[kept], minlength=len(indptr) - 1)
    pointers = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Sets(pointers, ordered[kept].astype(np.int32), dim, where=where)
