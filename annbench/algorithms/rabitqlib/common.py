"""What the index types of rabitqlib share: https://github.com/VectorDB-NTU/RaBitQ-Library, by the authors of RaBitQ
(Gao and Long, SIGMOD 2024; Gao et al., SIGMOD 2025, doi 10.1145/3725413).

Cosine scales the base to unit length and compares by inner product, as the authors' tools do with normalized input; the
length of a query does not change the ranking.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from annbench.algorithms.base import Ids, Params, PointContext, Vectors, normalised, padded
from annbench.algorithms.peer import Peer
from annbench.datasets.info import Metric

FILE = "index.rabitq"
MIN_DIM = 64
SPACES: dict[Metric, str] = {"euclidean": "l2", "cosine": "ip", "ip": "ip"}
SMALL_DIMENSIONS = f"vectors of fewer than {MIN_DIM} dimensions are refused: neither rotation nor k-means takes them"
LARGE_VALUES = "k-means refuses coordinates so large that their squares are near the end of float32"
RANDOM_ROTATION = (
    "the random rotation takes no seed: one thread and one seed still give another index, and slightly other "
    "neighbours, every time"
)
TOO_LARGE = {"ends_of_float32:euclidean": LARGE_VALUES, "ends_of_float32:ip": LARGE_VALUES}


class ClusteredBuild(Params):
    """The k-means in front of an index; names as in `{kmeans}(d, num_clusters, niter=…, seed=…)`.

    Its final assignment is exact, as in the authors' own tools.
    """

    num_clusters: int = Field(default=16, ge=1)
    kmeans: Literal["RaBitQKMeans", "QGKMeans"] = "RaBitQKMeans"
    niter: int = Field(default=25, ge=1)
    seed: int = Field(default=42, ge=0)
    fast_quantization: bool = False


class RabitqFamily(Peer):
    """Base of the rabitqlib adapters."""

    metrics = frozenset(SPACES)
    distributions = ("rabitqlib",)
    modules = ("rabitqlib",)
    random_build = True
    known_limits: ClassVar[tuple[str, ...]] = (SMALL_DIMENSIONS, RANDOM_ROTATION)
    # Name of the class in rabitqlib.
    index_class: ClassVar[str]

    def create(self, base: Vectors, space: str, params: Any, threads: int) -> Any:
        """The built index over `base` in the library's `space`."""
        raise NotImplementedError

    def searching(self, params: Any) -> Callable[[Vectors, int, int], Any]:
        """The library's search, called with queries, k and a number of threads."""
        raise NotImplementedError

    def build(self, base: Vectors, metric: Metric, params: Any, threads: int) -> None:
        """Build over unit vectors for cosine, else over the base as it is."""
        self.require_processor()
        vectors = normalised(base) if metric == "cosine" else base
        self._open(self.create(vectors, SPACES[metric], params, threads))

    def configure(self, params: Any, threads: int) -> None:
        """Keep what every search is called with."""
        self._call = self.searching(params)
        self._threads = threads

    def search(self, query: Vectors, k: int) -> Ids:
        """One query as a batch of one: the library has no other way."""
        ids: Ids = self._found(query[None], k, 1)[0]
        return ids

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """All queries in one call."""
        return self._found(queries, k, self._threads)

    def save(self, folder: Path) -> None:
        """Write the library's own file."""
        self._index.save(str(folder / FILE))

    def load(self, folder: Path, metric: Metric, dim: int, params: Any) -> None:
        """Read the library's own file."""
        import rabitqlib

        self._open(getattr(rabitqlib, self.index_class).load(str(folder / FILE)))

    def _open(self, index: Any) -> None:
        self._index = index
        self._n = int(index.num_points)

    def _found(self, queries: Vectors, k: int, threads: int) -> Ids:
        # What is missing has the id 2³² − 1: as int32, −1.
        ids: Ids = self._call(queries, min(k, self._n), threads)[0].view(np.int32)
        return ids if k <= self._n else padded(ids, k)


def clustered(base: Vectors, params: ClusteredBuild, threads: int) -> tuple[Any, Any]:
    """Centroids and the cluster of each row, by the library's own k-means."""
    import rabitqlib

    kmeans = getattr(rabitqlib, params.kmeans)(
        base.shape[1],
        params.num_clusters,
        niter=params.niter,
        seed=params.seed,
        num_threads=threads,
        final_assignment=rabitqlib.FinalAssignmentMode.Exact,
    )
    kmeans.train(base)
    return kmeans.centroids, kmeans.assignments


def dimension_problem(context: PointContext) -> str | None:
    """Why the library takes no vectors of this dimension, or None."""
    return f"dim={context.dim} is below the {MIN_DIM} that rabitqlib needs" if context.dim < MIN_DIM else None


def padded_dim(dim: int) -> int:
    """Bits of a 1-bit code: what the rotation makes of `dim`."""
    return -(-dim // 64) * 64
