"""k nearest neighbours while the index changes, as a runbook says (NeurIPS'23 big-ann-benchmarks, streaming track)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.dataset import Dataset
from annbench.datasets.runbook import Runbook, Search
from annbench.datasets.stream_truth import Live, nearest_rows
from annbench.errors import UsageError
from annbench.metrics.recall import RecallSummary, Scorer
from annbench.metrics.stream import StreamRecall
from annbench.tasks.base import Asked
from annbench.tasks.knn import Knn


class Streaming(Knn):
    """Searches are those of `knn`; what is there to be found is the runbook's."""

    name = "streaming"

    def scorer(self, dataset: Dataset, asked: Asked) -> StreamJudge:
        """Recall at every search step, against the exact neighbours among what is there then."""
        if asked.runbook is None:
            raise UsageError("there is no runbook", where="task streaming", remedy="give one")
        return StreamJudge(dataset, asked, asked.runbook)


class StreamJudge:
    """Scores ids of all search steps, any number of times; the truth is computed once for all algorithms."""

    def __init__(self, dataset: Dataset, asked: Asked, runbook: Runbook) -> None:
        self.dataset, self.runbook, self.k, self.truths = dataset, runbook, asked.k, asked.truths
        self.query_set = asked.query_set
        self.queries = dataset.queries(asked.query_set)[: asked.count]
        self.max_norm = dataset.max_norm() if dataset.info.metric == "ip" else 1.0

    def score(self, ids: NDArray[np.int64]) -> StreamRecall:
        """The quality of ids (s, q, k). An id that is not there, though it may have been, is out of range."""
        live, found = Live(self.runbook), iter(ids)
        summaries = []
        for step in self.runbook.steps:
            live.apply(step)
            if isinstance(step, Search):
                summaries.append(self._score_step(live, next(found)))
        return StreamRecall(steps=tuple(summaries))

    def _score_step(self, live: Live, returned: NDArray[np.int64]) -> RecallSummary:
        there = live.ids
        rows = live.rows(there)
        scorer = Scorer(
            queries=self.queries,
            truth_ids=self._truth(rows),
            k=self.k,
            metric=self.dataset.info.metric,
            rows=lambda places: self.dataset.base_rows(rows[places]),
            n=len(rows),
            max_norm=self.max_norm,
        )
        return scorer.score(_places(returned, there))

    def _truth(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places of the true neighbours (q, min(k, m)) at this step: computed, or as they were kept."""
        if self.truths is None:
            return nearest_rows(self.dataset, self.queries, rows, self.k)
        # Named by all that it depends on beside the folder's data: runbooks that come to the same state share it.
        digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes())
        digest.update(f"{self.dataset.info.metric} {self.k} {len(self.queries)} {self.query_set}".encode())
        path = self.truths / f"{digest.hexdigest()[:32]}.npy"
        kept = _kept(path, (len(self.queries), min(self.k, len(rows))), len(rows))
        if kept is not None:
            return kept
        found = nearest_rows(self.dataset, self.queries, rows, self.k)
        self.truths.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.npy")
        np.save(temporary, found)
        temporary.replace(path)
        return found


def _kept(path: Path, shape: tuple[int, int], n: int) -> NDArray[np.int64] | None:
    """The truth of an earlier run, unless it is none that could be used."""
    try:
        found: Any = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = found.shape == shape and found.dtype == np.int64 and (not found.size or 0 <= found.min() <= found.max() < n)
    return found if fits else None


def _places(ids: NDArray[np.int64], there: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where in `there` (m,), rising, each id is: −1 stays, and one that is not there becomes m, out of range."""
    places = np.searchsorted(there, ids)
    found = there[np.minimum(places, len(there) - 1)] == ids
    return np.where(ids == -1, -1, np.where(found, places, len(there)))
