"""Which vector is under which id while a runbook goes on, and who is then nearest to the queries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.dataset import Dataset
from annbench.datasets.formats.views import CastRows
from annbench.datasets.ground_truth import exact_neighbors
from annbench.datasets.ground_truth.selection import selected
from annbench.datasets.runbook import Insert, Replace, Runbook, Search, Step

Ids = NDArray[np.int64]


class Live:
    """The ids that are there, each with its row of the base: a replacement gives an id another row."""

    def __init__(self, runbook: Runbook) -> None:
        self._row_of = np.full(runbook.rows, -1, dtype=np.int64)

    def apply(self, step: Step) -> None:
        """What a checked step does."""
        if isinstance(step, Insert):
            self._row_of[step.start : step.end] = np.arange(step.start, step.end)
        elif isinstance(step, Replace):
            self._row_of[step.tags_start : step.tags_end] = np.arange(step.ids_start, step.ids_end)
        elif not isinstance(step, Search):
            self._row_of[step.start : step.end] = -1

    @property
    def ids(self) -> Ids:
        """The ids (m,) that are there, rising."""
        return np.flatnonzero(self._row_of >= 0)

    def rows(self, ids: Ids) -> Ids:
        """Their rows."""
        return np.asarray(self._row_of[ids])


def nearest_rows(dataset: Dataset, queries: Any, rows: Ids, k: int) -> Ids:
    """Places in `rows` (m,) of the exact nearest ones to each query (q, min(k, m)), by the project's own engine.

    A row may be there twice, under two ids.
    """
    if dataset.info.dtype == "sets":
        base: Any = dataset.base()[rows]
    else:
        raw: Any = dataset.base_raw
        if raw.dtype.kind == "f" and raw.dtype.itemsize == 8:
            raw = CastRows(raw, np.float32)
        base = selected(raw, rows)
    found = exact_neighbors(base, queries, min(k, len(rows)), dataset.info.metric)
    return found.neighbors.astype(np.int64)
