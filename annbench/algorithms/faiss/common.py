"""What every faiss family shares: metrics, building from a factory string, threads, search, files.

A family declares its parameters, its factory string, and where its search parameters go; nothing else.

Cosine. With exact codes the index compares by inner product over unit base vectors: the length of a query
does not change the ranking, so queries are passed as they are. With compressed codes it compares by L2 over
unit vectors, and queries are scaled inside the timed call: L2 sees the length of the decoded vector, which
inner product ignores, and reaches higher recall from the same bytes (all lists probed, 10,000 glove vectors:
RaBitQ 0.59 against 0.51, SQ4 0.892 against 0.882).

Single calls go through `index.search`, as faiss' users call it, though its Python wrapper takes a few
microseconds.
"""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from annbench.algorithms.base import Algorithm, Ids, Vectors
from annbench.datasets.info import Metric

FILE = "index.faiss"
ONE_LIST: dict[str, Any] = {"small_build": {"nlist": 1}, "small_search": {"nprobe": 1}}  # of a trial, for few vectors
DEFAULT_CLUSTERING_SEED = 1234
ZERO_VECTORS = (
    "cosine over compressed codes, and in faiss-factory, compares unit vectors by L2: a zero base vector, or one "
    "shorter than 1e-19, whose square is no float32, then ranks like one of cosine 0.5"
)
SLOW_DIMENSIONS = (
    "scalar quantizers (SQ…, as storage or for refine) have fast kernels only when dim is a multiple of 8: "
    "at other dimensions a scan is several times slower"
)
WRAPPER = "faiss' Python wrapper costs a few microseconds of every single call"


class FaissFamily(Algorithm):
    """Base of the faiss adapters."""

    metrics = frozenset({"euclidean", "cosine", "ip"})
    distributions = ("faiss-cpu",)
    modules = ("faiss",)
    known_limits: ClassVar[tuple[str, ...]] = (WRAPPER,)

    @classmethod
    def factory(cls, params: Any) -> str:
        """The description that `faiss.index_factory` understands."""
        raise NotImplementedError

    def create(self, dim: int, params: Any, metric: int) -> Any:
        """The empty index over `dim` dimensions; `metric` is faiss' own constant."""
        import faiss

        return faiss.index_factory(dim, self.factory(params), metric)

    @classmethod
    def exact_codes(cls, params: Any) -> bool:
        """True if the index stores float32, so that cosine can be an inner product (see above)."""
        return True

    def prepare(self, index: Any, params: Any) -> None:
        """Set seeds and build parameters that the factory string cannot carry, before training."""

    def refuse(self, index: Any, vectors: Vectors, params: Any) -> None:
        """Raise UnsupportedError for a base (n, dim), as the trained index will get it, that would break it."""

    def apply(self, index: Any, params: Any) -> None:
        """Set the search parameters."""

    def build(self, base: Vectors, metric: Metric, params: Any, threads: int) -> None:
        """Train on the whole base (the library samples by itself) and add it."""
        import faiss

        faiss.omp_set_num_threads(threads)
        vectors = unit_vectors(base) if metric == "cosine" else base
        index = self.create(base.shape[1], params, self._faiss_metric(metric, params))
        self.prepare(index, params)
        index.train(vectors)
        self.refuse(index, vectors, params)
        # Writing the tables is nothing beside making them, so this may be part of the timed build.
        self._table_bytes = len(faiss.serialize_index(index))
        index.add(vectors)
        self._open(index, metric, params)

    def configure(self, params: Any, threads: int) -> None:
        """Set the search parameters on the index, once, so that a search carries none."""
        self.apply(self._index, params)
        self._threads = threads
        self.enter_thread()

    def enter_thread(self) -> None:
        """OpenMP's number of threads belongs to the calling thread. It also limits the BLAS inside faiss."""
        import faiss

        faiss.omp_set_num_threads(self._threads)

    def search(self, query: Vectors, k: int) -> Ids:
        """One query as a batch of one."""
        if self._unit_queries:
            norm = sqrt(query.dot(query))
            query = query / norm if norm else query
        ids: Ids = self._search(query[None], k)[1][0]
        return ids

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """All queries in one call."""
        ids: Ids = self._search(unit_vectors(queries) if self._unit_queries else queries, k)[1]
        return ids

    def save(self, folder: Path) -> None:
        """Write the library's own file."""
        import faiss

        faiss.write_index(self._index, str(folder / FILE))

    def table_bytes(self) -> int:
        """The trained index as it is written before a vector is in it."""
        return self._table_bytes

    def load(self, folder: Path, metric: Metric, dim: int, params: Any) -> None:
        """Read the library's own file."""
        import faiss

        self._open(faiss.read_index(str(folder / FILE)), metric, params)

    def _open(self, index: Any, metric: Metric, params: Any) -> None:
        self._index = index
        self._search = index.search
        self._unit_queries = metric == "cosine" and not self.exact_codes(params)

    def _faiss_metric(self, metric: Metric, params: Any) -> int:
        import faiss

        inner = metric == "ip" or (metric == "cosine" and self.exact_codes(params))
        return int(faiss.METRIC_INNER_PRODUCT if inner else faiss.METRIC_L2)


def unit_vectors(vectors: Vectors) -> Vectors:
    """A copy of `vectors` (n, dim) scaled to unit norm by the library's own function; zero rows stay zero."""
    import faiss

    scaled = np.array(vectors, dtype=np.float32, order="C")
    faiss.normalize_L2(scaled)
    return scaled


def inverted_lists(index: Any) -> Any:
    """The IVF index inside rotations and re-ranking, as its own class."""
    import faiss

    return faiss.downcast_index(faiss.extract_index_ivf(index))


def seed_clustering(index: Any, seed: int) -> None:
    """Seed the k-means of an IVF index and of its product quantizer, wherever they sit in `index`."""
    ivf = inverted_lists(index)
    ivf.cp.seed = seed
    if hasattr(ivf, "pq"):
        ivf.pq.cp.seed = seed


def ivf_problem(n: int, nlist: int, nprobe: int) -> str | None:
    """Why these numbers of lists make no sense, or None."""
    if nlist > n:
        return f"nlist={nlist} exceeds n={n}"
    if nprobe > nlist:
        return f"nprobe={nprobe} exceeds nlist={nlist}"
    return None


def refine_problem(refine: str, k_factor: float) -> str | None:
    """Why this re-ranking makes no sense, or None."""
    if k_factor < 1:
        return f"k_factor={k_factor:g} is below 1"
    if refine == "none" and k_factor != 1:
        return f"k_factor={k_factor:g} without refine has no effect"
    return None


def ivf_build_operations(n: int, dim: int, nlist: int) -> float:
    """Multiply-adds of faiss' k-means (10 iterations over at most 256 points a centroid) and of the
    assignment.
    """
    return float(nlist * dim * (10 * min(n, 256 * nlist) + n))


# Bytes of one component under each name of a scalar quantizer in faiss' factory strings.
SCALAR_BYTES: dict[str, float] = {"Flat": 4, "SQfp16": 2, "SQbf16": 2, "SQ8": 1, "SQ6": 0.75, "SQ4": 0.5}


def refine_suffix(refine: str) -> str:
    """The part of the factory string that keeps a second, finer copy for re-ranking."""
    return {"none": "", "Flat": ",RFlat"}.get(refine, f",Refine({refine})")
