"""ScaNN (Guo et al., ICML 2020), https://github.com/google-research/google-research/tree/master/scann, without
TensorFlow: the package scann-core, whose module is `scann`.

Cosine scales the base to unit length and compares by inner product; the length of a query does not change the ranking.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from annbench.algorithms.base import Algorithm, Cost, Ids, Params, PointContext, Trial, Vectors, normalised, padded
from annbench.algorithms.peer import Peer
from annbench.datasets.info import Metric
from annbench.errors import UnsupportedError

SPACES: dict[Metric, str] = {"euclidean": "squared_l2", "cosine": "dot_product", "ip": "dot_product"}
HASH_CENTROIDS = 16
TRAINED, ITERATIONS = 100_000, 12  # the library's defaults
REORDER_BYTES = {"FLOAT32": 4, "BFLOAT16": 2, "INT8": 1}
DOCUMENT_IDS = "scann_docids.pkl"
SEED_ANCHOR = "partitioning {"


class Tree(Params):
    """Arguments of `tree()`, which cuts the base into partitions; SOAR (`soar_lambda`) puts each vector into two.

    What is not given, the library chooses.
    """

    num_leaves: int = Field(ge=1)
    training_sample_size: int | None = Field(default=None, ge=1)
    min_partition_size: int | None = Field(default=None, ge=1)
    training_iterations: int | None = Field(default=None, ge=1)
    spherical: bool | None = None
    quantize_centroids: bool | None = None
    random_init: bool | None = None
    soar_lambda: float | None = None
    overretrieve_factor: float | None = None


class ScoreAh(Params):
    """Arguments of `score_ah()`, the 4-bit product code; without a threshold its loss is not anisotropic."""

    dimensions_per_block: int = Field(default=2, ge=1)
    anisotropic_quantization_threshold: float | None = None
    training_sample_size: int | None = Field(default=None, ge=1)
    training_iterations: int | None = Field(default=None, ge=1)


class Reorder(Params):
    """Arguments of `reorder()`, the copy that candidates are re-ranked with."""

    quantize: Literal["FLOAT32", "BFLOAT16", "INT8"] = "FLOAT32"


class ScannBuild(Params):
    """The calls of a builder: `tree`, `score_ah` and `reorder`, each with its own arguments.

    `clustering_seed` is a field of the partitioner's configuration for which the builder has no argument; it decides
    only where `random_init` is false.
    """

    tree: Tree
    score_ah: ScoreAh = ScoreAh()
    reorder: Reorder = Reorder()
    clustering_seed: int = Field(default=1, ge=1)


class ScannSearch(Params):
    """`leaves_to_search` partitions are scanned, `pre_reorder_num_neighbors` candidates are re-ranked."""

    leaves_to_search: int = Field(ge=1)
    pre_reorder_num_neighbors: int = Field(default=100, ge=1)


class Scann(Peer):
    """A ScannSearcher with partitions, asymmetric hashing and re-ranking."""

    BuildParams = ScannBuild
    SearchParams = ScannSearch
    metrics = frozenset(SPACES)
    distributions = ("scann-core",)
    modules = ("scann",)
    random_build = True
    seed_parameter = "clustering_seed"
    # Its kernels are chosen at run time.
    processor_flags = frozenset({"avx", "fma", "popcnt"})
    known_limits = (
        f"score_ah needs {HASH_CENTROIDS} vectors to train on",
        "SOAR and anisotropic quantization need inner product: under euclidean they are refused",
        "random_init, the library's default, cannot be repeated: one seed gives another index every time",
        "a batch with one thread shares the scan of a partition between its queries; a single query cannot",
        "an index saved with document ids holds a pickle, which this adapter never writes and refuses to read",
    )
    trials = (
        Trial(
            {"tree": {"num_leaves": 12, "random_init": False}},
            {"leaves_to_search": 12, "pre_reorder_num_neighbors": 200},
            recall=0.99,
            small_build={"tree": {"num_leaves": 1}},
            small_search={"leaves_to_search": 1},
        ),
    )

    @classmethod
    def check(cls, context: PointContext, build: ScannBuild, search: ScannSearch) -> str | None:
        """Partitions, candidates and the metric must fit each other."""
        leaves = build.tree.num_leaves
        if context.n < HASH_CENTROIDS:
            return f"score_ah needs {HASH_CENTROIDS} vectors to train on, n={context.n}"
        if leaves > context.n:
            return f"num_leaves={leaves} exceeds n={context.n}"
        if search.leaves_to_search > leaves:
            return f"leaves_to_search={search.leaves_to_search} exceeds num_leaves={leaves}"
        if search.pre_reorder_num_neighbors < context.k:
            return f"pre_reorder_num_neighbors={search.pre_reorder_num_neighbors} is below k={context.k}"
        if context.metric == "euclidean" and build.tree.soar_lambda is not None:
            return "soar_lambda needs metric cosine or ip"
        if context.metric == "euclidean" and build.score_ah.anisotropic_quantization_threshold is not None:
            return "anisotropic_quantization_threshold needs metric cosine or ip"
        return None

    @classmethod
    def estimate(cls, context: PointContext, build: ScannBuild, search: ScannSearch) -> Cost:
        """Half a byte for each block (twice with SOAR), the copy for re-ranking, partitions of float32."""
        n, dim, leaves = context.n, context.dim, build.tree.num_leaves
        blocks = -(-dim // build.score_ah.dimensions_per_block)
        copies = 1 if build.tree.soar_lambda is None else 2
        trained = min(n, build.tree.training_sample_size or TRAINED)
        row_bytes = copies * (blocks / 2 + 4) + dim * REORDER_BYTES[build.reorder.quantize]
        return Cost(
            index_bytes=n * row_bytes + 4 * leaves * dim,
            build_operations=float(leaves * dim * (trained * (build.tree.training_iterations or ITERATIONS) + n)),
            search_operations=dim * (leaves + search.pre_reorder_num_neighbors)
            + n * copies * min(1.0, search.leaves_to_search / leaves) * blocks / 4,
        )

    def build(self, base: Vectors, metric: Metric, params: ScannBuild, threads: int) -> None:
        """Train and fill with `threads` threads, under the seed."""
        self.require_processor()
        import scann

        ops = scann.scann_ops_pybind
        builder = ops.builder(normalised(base) if metric == "cosine" else base, 10, SPACES[metric])
        builder.set_n_training_threads(threads)
        builder.set_builder_lambda(
            lambda db, config, training_threads, **options: ops.create_searcher(
                db, _seeded(config, params.clustering_seed), training_threads, **options
            )
        )
        tree = params.tree.model_dump(exclude_none=True)
        score = params.score_ah.model_dump(exclude_none=True)
        quantize = scann.ReorderType[params.reorder.quantize]
        # What a search asks for replaces both counts given here.
        builder.tree(num_leaves_to_search=params.tree.num_leaves, **tree).score_ah(**score).reorder(100, quantize)
        self._open(builder.build())

    def configure(self, params: ScannSearch, threads: int) -> None:
        """Set the search parameters and the number of threads of a batch."""
        self._options = params.leaves_to_search, params.pre_reorder_num_neighbors
        self._searcher.set_num_threads(threads)
        parallel = threads > 1
        self._batch = self._searcher.search_batched_parallel if parallel else self._searcher.search_batched

    def search(self, query: Vectors, k: int) -> Ids:
        """One query; the library may return fewer than k."""
        leaves, candidates = self._options
        ids: Ids = self._searcher.search(query, min(k, self._n), max(candidates, min(k, self._n)), leaves)[0]
        return ids.view(np.int32) if len(ids) == k else padded(ids, k)

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """All queries in one call; what is missing has a distance that is not a number."""
        if not len(queries):
            return Algorithm.search_batch(self, queries, k)
        leaves, candidates = self._options
        found = min(k, self._n)
        ids, distances = self._batch(queries, found, max(candidates, found), leaves)
        ids = ids.view(np.int32)
        missing = np.isnan(distances)
        if missing.any():
            ids[missing] = -1
        return padded(ids, k) if found < k else ids

    def save(self, folder: Path) -> None:
        """Write the library's own files."""
        self._searcher.serialize(str(folder), relative_path=True)

    def load(self, folder: Path, metric: Metric, dim: int, params: ScannBuild) -> None:
        """Read the library's own files. Raises UnsupportedError for a folder that holds a pickle."""
        import scann

        if (folder / DOCUMENT_IDS).exists():
            raise UnsupportedError("a pickle is never read", where=str(folder / DOCUMENT_IDS), remedy="build it again")
        self._open(scann.scann_ops_pybind.load_searcher(str(folder), assets_backcompat_shim=False))

    def _open(self, searcher: Any) -> None:
        self._searcher = searcher
        self._n = int(searcher.size())


def _seeded(config: str, seed: int) -> str:
    if SEED_ANCHOR not in config:
        raise UnsupportedError("scann's configuration has no partitions to seed", remedy="give `tree`")
    return config.replace(SEED_ANCHOR, f"{SEED_ANCHOR} clustering_seed: {seed}", 1)
