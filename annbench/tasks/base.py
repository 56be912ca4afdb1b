"""What a task is: how a built algorithm is driven, and how what it returned is judged.

A task hands the runner bound methods of the adapter, so that the timed loop calls `search(row, k)` with
nothing in between. Whatever a task must prepare, it prepares before; whatever it must check, it checks after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from annbench.algorithms.base import Algorithm
from annbench.datasets.dataset import Dataset

Search = Callable[[NDArray[Any], int], Any]


class Judge(Protocol):
    """Scores the ids of one query set, any number of times."""

    def score(self, ids: NDArray[np.int64]) -> BaseModel:
        """The quality of ids (q, k)."""


class Task(Protocol):
    """One way to use an index."""

    name: str

    def single(self, adapter: Algorithm) -> Search:
        """What to call with one query (dim,) and k."""

    def batch(self, adapter: Algorithm) -> Search:
        """What to call with all queries (q, dim) and k."""

    def ids(self, outputs: Any, q: int, k: int) -> NDArray[np.int64]:
        """Outputs of the calls as ids (q, k), −1 where there is none. Raises InvalidOutputError."""

    def scorer(self, dataset: Dataset, query_set: str, count: int | None, k: int) -> Judge:
        """A judge for the first `count` queries (None: all); it may read the base. Raises DatasetError."""
