"""The contract between the harness and an algorithm.

An adapter wraps one index type of one library, used as its authors would use it. It returns ids; the harness
alone computes distances and recall, outside the timed part. The smallest useful adapter has `build` and
`search`:

    class Mine(Algorithm):
        metrics = frozenset({"euclidean"})

        def build(self, base, metric, params, threads): ...
        def search(self, query, k): ...

`annbench.testing.check_adapter("file.py:Mine")` tells whether it does what the harness relies on.

Nothing of a third-party library may be imported at module level: the process that plans a run and reports on
it must never load one. Import it inside the methods.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from annbench.datasets.info import Metric
from annbench.errors import MissingLibraryError, UnsupportedError

Vectors = NDArray[Any]
Ids = NDArray[np.integer[Any]]


class Params(BaseModel):
    """Base of the typed build and search parameters; names are the wrapped library's own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NoParams(Params):
    """For adapters without parameters on this side."""


@dataclass(frozen=True)
class PointContext:
    """What an adapter may look at when it checks a point: facts of the data, never the data."""

    n: int
    dim: int
    k: int
    metric: Metric


@dataclass(frozen=True)
class Cost:
    """What a build and one search are expected to need, for `annbench plan`; rough by nature.

    `index_bytes` is the serialized size; the two operation counts are multiply-adds.
    """

    index_bytes: float
    build_operations: float
    search_operations: float


@dataclass(frozen=True)
class Trial:
    """Parameters with which `annbench.testing` tries an adapter, over about a thousand vectors.

    `recall` is the recall@10 that they must reach under each of its metrics; 1 says that they are exact, and is
    checked to the last neighbour. `small_build` and `small_search` replace parameters that make no sense for a handful
    of vectors (such as nlist). `exceptions` maps a check that the library cannot pass, or `check:metric`, to the one
    of `known_limits` that says so.
    """

    build: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    recall: float = 0.9
    small_build: Mapping[str, Any] = field(default_factory=dict)
    small_search: Mapping[str, Any] = field(default_factory=dict)
    exceptions: Mapping[str, str] = field(default_factory=dict)


class Algorithm:
    """One index type of one library. Subclass, fill in the class attributes, override the methods.

    The harness calls, in a fresh process: `build` → `save`; and in others: `load` → (`configure` →
    searches)*. An adapter whose `can_save` is False is rebuilt in every worker, and its records say so.
    """

    BuildParams: ClassVar[type[Params]] = NoParams
    SearchParams: ClassVar[type[Params]] = NoParams
    metrics: ClassVar[frozenset[Metric]] = frozenset()
    # Distributions whose versions identify what was measured, e.g. ("faiss-cpu",).
    distributions: ClassVar[tuple[str, ...]] = ()
    # Modules the adapter imports inside its methods; loaded before memory is measured.
    modules: ClassVar[tuple[str, ...]] = ()
    can_save: ClassVar[bool] = True
    # True if the same seed and parameters can give another index when built again with more than one thread
    # (e.g. racing HNSW inserts). One thread and one seed must always give the same bytes.
    random_build: ClassVar[bool] = False
    # Name of the build parameter that is the seed, or None where nothing is random.
    seed_parameter: ClassVar[str | None] = None
    known_limits: ClassVar[tuple[str, ...]] = ()
    # What the conformance suite runs; the default suits an adapter without parameters that it cannot do without.
    trials: ClassVar[tuple[Trial, ...]] = (Trial(),)

    @classmethod
    def import_library(cls) -> None:
        """Import `modules`, so that their code is not charged to the index. Raises MissingLibraryError."""
        for name in cls.modules:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                packages = " ".join(cls.distributions) or name
                raise MissingLibraryError(name, f"{sys.executable} -m pip install {packages}") from error

    @classmethod
    def check(cls, context: PointContext, build: Any, search: Any) -> str | None:
        """The reason why this point makes no sense (for instance `ef=5 is below k=10`), or None."""
        return None

    @classmethod
    def estimate(cls, context: PointContext, build: Any, search: Any) -> Cost | None:
        """Expected cost of the point, or None if nothing sensible can be said."""
        return None

    @classmethod
    def cannot_update(cls, params: Any) -> str | None:
        """Why an index with these build parameters takes no insertions and deletions, or None if it does: then the
        adapter is an `annbench.algorithms.updatable.Updatable`.
        """
        return "its adapter has no insert and delete"

    @classmethod
    def learn_set(cls, params: Any) -> str | None:
        """Name of the query set whose training queries (its `learn` part, never the queries that are measured) this
        build wants; None for none.
        """
        return None

    @classmethod
    def located(cls, context: PointContext, build: Any, folder: Path) -> Any:
        """The build parameters with the whole paths of files that they name, if any, as found from `folder`: a worker
        runs in another folder.
        """
        return build

    @classmethod
    def identity(cls, build: Any) -> Any:
        """Located build parameters as records have them: a file by its checksum, not by where it lies."""
        return build

    def learn(self, queries: Any) -> None:
        """Take training queries, in the form of `build`'s base; called before `build` if `learn_set` names a set."""

    def build(self, base: Any, metric: Metric, params: Any, threads: int) -> None:
        """Build the index over `base`; row i has id i.

        `base` is (n, dim) C-contiguous float32; for metric hamming packed bits (n, ⌈dim/8⌉) uint8; for jaccard
        `annbench.distances.sets.Sets`. Queries have the same form: a vector (dim,), (⌈dim/8⌉,), or the sorted
        element ids of one set as int32.
        """
        raise NotImplementedError

    def configure(self, params: Any, threads: int) -> None:
        """Set search parameters and the number of search threads for the calls that follow.

        Called once after `build` or `load` even if there are no search parameters. Mode `single` passes 1: a
        call with one query must not spread over threads.
        """

    def enter_thread(self) -> None:
        """Called once in every further thread that will call `search`, before its first call.

        For settings that belong to a thread and not to the index: OpenMP's number of threads is one of them.
        """

    def search(self, query: Any, k: int) -> Ids:
        """Ids (<= k,) of the nearest neighbours of one query, nearest first; −1 where none was found."""
        raise NotImplementedError

    def search_batch(self, queries: Any, k: int) -> Ids:
        """Ids (q, k) for q >= 0 queries, in the form of `build`'s base, with the configured number of threads; −1 pads.

        By default one `search` after the other, which is what a library without batches leaves its users to do.
        """
        if not len(queries):
            return np.empty((0, k), dtype=np.int64)
        return np.stack([padded(np.asarray(self.search(query, k)), k) for query in queries])

    def save(self, folder: Path) -> None:
        """Write everything that a search needs into `folder` (it exists and is empty)."""
        raise UnsupportedError(f"{type(self).__name__} cannot save", remedy="set can_save = False")

    def build_notes(self) -> tuple[str, ...]:
        """Sentences about what was built that its parameters do not tell, for the records; asked after `build`."""
        return ()

    def table_bytes(self) -> int | None:
        """Bytes of what `save` wrote that stay the same however many vectors there are: rotations, codebooks,
        centroids, headers; None where that is not known. Asked after `save`, in the process that has built.
        """
        return None

    def load(self, folder: Path, metric: Metric, dim: int, params: Any) -> None:
        """Read back what `save` wrote, without access to the base vectors; `dim` counts bits for metric hamming, and
        the elements that exist for jaccard.
        """
        raise UnsupportedError(f"{type(self).__name__} cannot load", remedy="set can_save = False")

    def reset_counters(self) -> None:
        """Called before every pass, outside its time."""

    def counters(self) -> Mapping[str, int]:
        """Cost counters of the last pass (distances computed, hops, …) where the library counts them."""
        return {}


def padded(ids: Ids, k: int) -> Ids:
    """`ids` (..., m <= k) as (..., k), filled up with −1: the answer when k exceeds the number of vectors."""
    missing = k - ids.shape[-1]
    return np.pad(ids.astype(np.int64), [(0, 0)] * (ids.ndim - 1) + [(0, missing)], constant_values=-1)


def normalised(vectors: Vectors) -> Vectors:
    """Rows of `vectors` ((n, dim) or (dim,), float32) scaled to unit L2 norm; zero rows stay zero."""
    # In float64: the square of a float32 below 1e-19 is no float32.
    norms = np.sqrt(np.einsum("...d,...d->...", vectors, vectors, dtype=np.float64))[..., None]
    return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)
