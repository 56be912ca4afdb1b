"""The k nearest neighbours of each query: the default task."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.algorithms.base import Algorithm
from annbench.datasets.dataset import Dataset
from annbench.errors import DatasetError
from annbench.metrics.recall import Scorer, validate_ids
from annbench.tasks.base import Asked, Judge, Search


class Knn:
    """Plain k-nearest-neighbour search."""

    name = "knn"

    def single(self, adapter: Algorithm) -> Search:
        """The adapter's own `search`."""
        return adapter.search

    def batch(self, adapter: Algorithm) -> Search:
        """The adapter's own `search_batch`."""
        return adapter.search_batch

    def ids(self, outputs: Any, q: int, k: int) -> NDArray[np.int64]:
        """See `validate_ids`."""
        return validate_ids(outputs, q, k)

    def scorer(self, dataset: Dataset, asked: Asked) -> Judge:
        """Recall against the stored truth, with distances recomputed from the vectors."""
        info, query_set = dataset.info, asked.query_set
        try:
            return Scorer(
                queries=dataset.queries(query_set)[: asked.count],
                truth_ids=dataset.neighbors(query_set)[: asked.count],
                k=asked.k,
                metric=info.metric,
                rows=dataset.base_rows,
                n=info.n,
                max_norm=dataset.max_norm() if info.metric == "ip" else 1.0,
            )
        except DatasetError as error:
            where = error.where or f"{dataset.path}, query set {query_set}"
            raise DatasetError(error.message, where=where, remedy=error.remedy) from error
