"""pyglass, a graph library for compressed vectors, https://github.com/zilliztech/pyglass, in the portable wheels of
pyglass-portable; its module is named `glass`.

Cosine scales base and queries to unit length and compares by inner product.
"""

from __future__ import annotations

from math import log2
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Literal

import numpy as np
from pydantic import Field

from annbench.algorithms.base import Cost, Ids, Params, PointContext, Trial, Vectors, normalised, padded
from annbench.algorithms.peer import Peer
from annbench.datasets.info import Metric

GRAPH_FILE, BASE_FILE = "graph.glass", "base.npy"
SPACES: dict[Metric, str] = {"euclidean": "L2", "cosine": "IP", "ip": "IP"}
CODE_BYTES = {"FP32": 4.0, "BF16": 2.0, "SQ8": 1.0, "SQ8U": 1.0, "SQ4U": 0.5}
NSG_MIN_VECTORS = 150
REFINED = 1.5  # candidates that the library re-ranks for each neighbour asked for
ONE_AT_A_TIME = (
    "single searches share one scratch pool, so the adapter lets concurrent clients in one after the other: more "
    "clients are not faster"
)
BASE_SAVED = (
    "the library saves the graph only and makes codes from the float32 vectors at every load: the saved size holds "
    "those vectors, which the index in memory does not"
)
RANGE = "SQ8U and SQ4U stretch one range over all dimensions: a few large values leave few levels for the rest"


class PyglassBuild(Params):
    """Arguments of glass.Index and glass.Searcher; `refine_quant` re-ranks by finer codes, of which it keeps a copy.

    `optimize` lets the library tune its prefetching by the clock, as its authors do after building and after loading:
    seconds, and no effect on recall.
    """

    index_type: Literal["HNSW", "NSG"] = "HNSW"
    R: int = Field(default=32, ge=2)
    L: int = Field(default=200, ge=1)
    quantizer: Literal["FP32", "BF16", "SQ8", "SQ8U", "SQ4U"] = "SQ8U"
    refine_quant: Literal["FP32", "SQ8", "SQ8U"] | None = None
    optimize: bool = True


class PyglassSearch(Params):
    """`ef` is the size of the search window."""

    ef: int = Field(default=32, ge=1)


class Pyglass(Peer):
    """glass.Searcher over a graph that glass.Index built from float32."""

    BuildParams = PyglassBuild
    SearchParams = PyglassSearch
    metrics = frozenset(SPACES)
    distributions = ("pyglass-portable",)
    modules = ("glass",)
    random_build = True
    known_limits = (
        ONE_AT_A_TIME,
        BASE_SAVED,
        RANGE,
        f"NSG ends the process when it is built over a few dozen vectors: below {NSG_MIN_VECTORS} it is refused",
        "NSG builds 20 to 40 times slower than HNSW",
        "a search that reaches fewer than k vectors fills up with id 0, which counts as a duplicate",
        "quantizer FP16 returns wrong neighbours in some dimensions, and unknown names silently mean FP32: neither is "
        "offered",
        "no seeds: its random choices are fixed",
    )
    trials = (
        Trial({"quantizer": "FP32", "optimize": False}, {"ef": 200}, recall=0.99),
        Trial({"quantizer": "SQ8U", "refine_quant": "FP32", "optimize": False}, {"ef": 200}, recall=0.95),
    )

    @classmethod
    def check(cls, context: PointContext, build: PyglassBuild, search: PyglassSearch) -> str | None:
        """`ef` below k is raised to k by the library: the point would carry a wrong name."""
        if build.index_type == "NSG" and context.n < NSG_MIN_VECTORS:
            return f"NSG needs {NSG_MIN_VECTORS} vectors, n={context.n}"
        if build.refine_quant and context.n < REFINED * context.k:
            return f"refine_quant needs {REFINED:g} candidates for each of k={context.k}, n={context.n}"
        if search.ef < context.k:
            return f"ef={search.ef} is below k={context.k}"
        return None

    @classmethod
    def estimate(cls, context: PointContext, build: PyglassBuild, search: PyglassSearch) -> Cost:
        """What is saved: R links of 4 bytes and the float32 vector; about ef·R distances per search."""
        descent = build.R * log2(max(context.n, 2))
        return Cost(
            index_bytes=context.n * 4 * (build.R + context.dim),
            build_operations=context.n * context.dim * (build.L * build.R + descent),
            search_operations=context.dim * CODE_BYTES[build.quantizer] / 4 * (search.ef * build.R + descent),
        )

    def build(self, base: Vectors, metric: Metric, params: PyglassBuild, threads: int) -> None:
        """Build the graph and keep what `save` needs; the library tunes its prefetching at the end."""
        self.require_processor()
        import glass

        glass.set_num_threads(threads)
        vectors = normalised(base) if metric == "cosine" else base
        graph = glass.Index(params.index_type, SPACES[metric], "FP32", params.R, params.L).build(vectors)
        # A searcher takes its graph away, so that what `save` may want is fetched before.
        self._graph, self._base = _saved(graph), vectors
        self._open(graph, vectors, metric, params)

    def configure(self, params: PyglassSearch, threads: int) -> None:
        """Set `ef` and the number of threads of a batch."""
        self._searcher.set_ef(params.ef)
        self._threads = threads
        self.enter_thread()

    def enter_thread(self) -> None:
        """OpenMP's number of threads belongs to the calling thread."""
        import glass

        glass.set_num_threads(self._threads)

    def search(self, query: Vectors, k: int) -> Ids:
        """One query."""
        asked = normalised(query) if self._unit else query
        with self._lock:
            ids: Ids = self._searcher.search(asked, min(k, self._most))[0]
        return ids if k <= self._most else padded(ids, k)

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """All queries in one call."""
        if not len(queries):
            return np.empty((0, k), dtype=np.int64)
        asked, found = normalised(queries) if self._unit else queries, min(k, self._most)
        with self._lock:
            ids: Ids = self._searcher.batch_search(asked, found, self._threads)[0].reshape(len(queries), found)
        return padded(ids, k) if found < k else ids

    def save(self, folder: Path) -> None:
        """Write the library's own file, and the vectors that it needs at every load."""
        (folder / GRAPH_FILE).write_bytes(self._graph)
        np.save(folder / BASE_FILE, self._base, allow_pickle=False)

    def load(self, folder: Path, metric: Metric, dim: int, params: PyglassBuild) -> None:
        """Read both back; the vectors are dropped as soon as the library has made its codes."""
        import glass

        glass.set_num_threads(1)  # it tunes its prefetching at load, by the clock
        graph = glass.Graph(str(folder / GRAPH_FILE))
        self._open(graph, np.load(folder / BASE_FILE, allow_pickle=False), metric, params)

    def _open(self, graph: Any, vectors: Vectors, metric: Metric, params: PyglassBuild) -> None:
        import glass

        # More than there are come back as id 0, again and again.
        self._most = int(len(vectors) / REFINED) if params.refine_quant else len(vectors)
        self._unit = metric == "cosine"
        self._searcher: Any = glass.Searcher(
            graph, vectors, SPACES[metric], params.quantizer, params.refine_quant or ""
        )
        if params.optimize:  # here and never again: a second call would read samples that the first has freed
            self._searcher.optimize(1)
        self._lock = Lock()


def _saved(graph: Any) -> bytes:
    """The library's own file."""
    with TemporaryDirectory(prefix="annbench-glass-") as folder:
        path = Path(folder) / GRAPH_FILE
        graph.save(str(path))
        return path.read_bytes()
