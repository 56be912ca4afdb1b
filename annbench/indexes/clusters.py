"""Clusters of vectors by faiss, and which of them each vector goes to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annbench.indexes.transforms.base import Matrix

ITERATIONS = 15
SECOND_CANDIDATES = 32
SECOND_PENALTY = 1.0  # λ of SOAR
_BLOCK_ROWS = 16_384


def cluster(rows: Matrix, count: int, *, seed: int, iterations: int = ITERATIONS) -> Matrix:
    """Centroids (count, dim) of `rows` (m, dim), m >= 1, by k-means on L2. Fewer rows than clusters are repeated.

    The same rows, seed and number of threads give the same centroids.
    """
    import faiss

    repeated = rows if len(rows) >= count else np.resize(rows, (count, rows.shape[1]))
    if len(repeated) == count:
        return np.array(repeated, dtype=np.float32)
    kmeans = faiss.Clustering(rows.shape[1], count)
    kmeans.niter = iterations
    kmeans.seed = seed % (1 << 31)
    kmeans.min_points_per_centroid = 1
    kmeans.max_points_per_centroid = len(repeated)  # the caller has sampled
    kmeans.train(np.ascontiguousarray(repeated), faiss.IndexFlatL2(rows.shape[1]))
    return np.array(faiss.vector_to_array(kmeans.centroids), dtype=np.float32).reshape(count, rows.shape[1])


class Assigner:
    """Finds the lists of vectors: the nearest of `centroids` (nlist, prefix_dim); with `assignments` 2 another one."""

    def __init__(self, centroids: Matrix, assignments: int) -> None:
        import faiss

        self._centroids = np.ascontiguousarray(centroids, dtype=np.float32)
        self._assignments = assignments
        self._index = faiss.IndexFlatL2(centroids.shape[1])
        self._index.add(self._centroids)

    def __call__(self, mapped: Matrix) -> NDArray[np.uint32]:
        """Lists (n, assignments) of mapped vectors (n, dim >= prefix_dim)."""
        lists = np.empty((len(mapped), self._assignments), dtype=np.uint32)
        for start in range(0, len(mapped), _BLOCK_ROWS):
            rows = np.ascontiguousarray(mapped[start : start + _BLOCK_ROWS, : self._centroids.shape[1]])
            lists[start : start + len(rows)] = self._first(rows) if self._assignments == 1 else self._both(rows)
        return lists

    def residuals(self, mapped: Matrix) -> Matrix:
        """What is left of mapped vectors (n, dim) after the centroid of their first list is subtracted."""
        left = mapped.copy()
        first = self(mapped)[:, 0]
        left[:, : self._centroids.shape[1]] -= self._centroids[first]
        return left

    def _first(self, rows: Matrix) -> NDArray[np.int64]:
        return np.asarray(self._index.search(rows, 1)[1])

    def _both(self, rows: Matrix) -> NDArray[np.int64]:
        """The second list is the one of least ‖r′‖² + λ⟨r′, r / ‖r‖⟩², r being what the first leaves (SOAR; Sun et al.,
        NeurIPS 2023): a query that is unlucky with one residual is then rarely unlucky with the other.
        """
        near = np.asarray(self._index.search(rows, min(SECOND_CANDIDATES, len(self._centroids)))[1])
        left = rows - self._centroids[near[:, 0]]
        lengths = np.sqrt(np.einsum("nd,nd->n", left, left))[:, None]
        directions = left / np.where(lengths > 0, lengths, 1)
        best = np.full(len(rows), np.inf, dtype=np.float32)
        second = near[:, 1].copy()
        for column in near.T[1:]:
            other = rows - self._centroids[column]
            along = np.einsum("nd,nd->n", other, directions)
            loss = np.einsum("nd,nd->n", other, other) + SECOND_PENALTY * along * along
            better = loss < best
            best[better], second[better] = loss[better], column[better]
        return np.stack([near[:, 0], second], axis=1)
