"""Scores ids against the truth, in a process of its own that may read the base."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from annbench.datasets.dataset import Dataset
from annbench.datasets.runbook import Runbook
from annbench.tasks.base import Asked
from annbench.tasks.registry import load_task

KEPT = 2  # scorers with their truth kept at once


class Scoring:
    """Scorers by dataset, query set, k and runbook; each keeps what it needs of the truth."""

    def __init__(self) -> None:
        self._scorers: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def score(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Quality of the ids that a worker left in `request["spool"]` (npz)."""
        runbook = None if request["runbook"] is None else Runbook.model_validate(request["runbook"])
        fields = ("task", "dataset", "query_set", "queries", "k")
        key = (*(request[field] for field in fields), runbook and runbook.digest)
        if key not in self._scorers:
            task, path, query_set, count, k, _ = key
            self._scorers[key] = load_task(task).scorer(
                Dataset(Path(path)), Asked(query_set, count, k, runbook, Path(request["truths"]))
            )
            while len(self._scorers) > KEPT:
                self._scorers.popitem(last=False)
        self._scorers.move_to_end(key)
        with np.load(request["spool"], allow_pickle=False) as spool:
            summary = self._scorers[key].score(spool["ids"])
        return {"recall": summary.model_dump(mode="json")}
