"""How good codes are: the share of the true neighbours of held-out queries that a scan of all codes finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.ground_truth.exact import exact_neighbors
from annbench.indexes.transforms.binarizer import Binarizer, BinarizerMetric

Matrix = NDArray[np.float32]
K = 10
QUERIES_AT_ONCE = 256


@dataclass(frozen=True)
class HeldOut:
    """`queries` (q, dim) that nothing is learned from, a `corpus` (n, dim), and its ten nearest: `truth` (q, 10)."""

    queries: Matrix
    corpus: Matrix
    truth: NDArray[np.int64]
    old_levels: NDArray[np.int8] | None = None  # of the corpus, by an older model and its binarizer

    @classmethod
    def of(
        cls,
        queries: Matrix,
        corpus: Matrix,
        metric: BinarizerMetric,
        old_levels: NDArray[np.int8] | None = None,
    ) -> HeldOut:
        """With its truth."""
        k = min(K, len(corpus))
        return cls(queries, corpus, exact_neighbors(corpus, queries, k, metric).neighbors.astype(np.int64), old_levels)

    def recall(self, binarizer: Binarizer) -> float:
        """recall@10 of cosines between codes; with old codes the mean of both, in the new gallery and in the old."""
        return float(np.mean([recall for recall in self.recalls(binarizer) if recall is not None]))

    def recalls(self, binarizer: Binarizer) -> tuple[float, float | None]:
        """recall@10 among the binarizer's own codes, and among the old ones, if there are any."""
        queries = binarizer.levels(self.queries)
        alone = self.recall_of(queries, binarizer.levels(self.corpus))
        return alone, None if self.old_levels is None else self.recall_of(queries, self.old_levels)

    def recall_of(self, queries: NDArray[np.integer], corpus: NDArray[np.integer]) -> float:
        """recall@10 of cosines between any vectors that stand for the queries and the corpus."""
        coded = corpus.astype(np.float32)
        coded /= np.maximum(np.linalg.norm(coded, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        k = self.truth.shape[1]
        hits = 0
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            some = slice(start, start + QUERIES_AT_ONCE)
            scores = queries[some].astype(np.float32) @ coded.T
            nearest = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            hits += sum(len(np.intersect1d(a, b)) for a, b in zip(nearest, self.truth[some], strict=True))
        return hits / self.truth.size
