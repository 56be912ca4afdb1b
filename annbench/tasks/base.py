"""What a task is: how a built algorithm is driven, and how what it returned is judged.

A task hands the runner bound methods of the adapter, so that the timed loop calls `search(row, k)` with
nothing in between. Whatever a task must prepare, it prepares before; whatever it must check, it checks after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from annbench.algorithms.base import Algorithm
from annbench.datasets.dataset import Dataset
from annbench.datasets.runbook import Runbook

Search = Callable[[NDArray[Any], int], Any]


@dataclass(frozen=True)
class Asked:
    """What the ids answer: the first `count` queries of a set (None: all), and k.

    A task whose index changes has a `runbook`; `truths` is a folder where its judge may keep what it computes.
    """

    query_set: str
    count: int | None
    k: int
    runbook: Runbook | None = None
    truths: Path | None = None


class Judge(Protocol):
    """Scores the ids of one query set, any number of times."""

    def score(self, ids: NDArray[np.int64]) -> BaseModel:
        """The quality of ids (q, k); of a runbook's searches, (s, q, k)."""


class Task(Protocol):
    """One way to use an index."""

    name: str

    def single(self, adapter: Algorithm) -> Search:
        """What to call with one query (dim,) and k."""

    def batch(self, adapter: Algorithm) -> Search:
        """What to call with all queries (q, dim) and k."""

    def ids(self, outputs: Any, q: int, k: int) -> NDArray[np.int64]:
        """Outputs of the calls as ids (q, k), −1 where there is none. Raises InvalidOutputError."""

    def scorer(self, dataset: Dataset, asked: Asked) -> Judge:
        """A judge of what was asked; it may read the base. Raises DatasetError."""
