"""Our own index: transform × codec × structure × rerank, or a published method as a preset (annbench.indexes)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from annbench.algorithms.base import Cost, Ids, Params, PointContext, Trial, Vectors
from annbench.algorithms.updatable import Updatable
from annbench.datasets.info import Metric
from annbench.errors import AnnbenchError, UnsupportedError
from annbench.indexes.auto.wish import expected_spec, named
from annbench.indexes.presets import chosen_spec, find_preset
from annbench.indexes.spec import METRICS, SLOTS, IndexSpec, make_spec
from annbench.indexes.structures import DEFAULT_EF, GraphStructure, walk_end

FILE = "index.annbench"
KMEANS_ITERATIONS = 15
TRAIN_ROWS_PER_LIST = 128
GROWING = ("codes", "fine codes", "rerank", "ids", "graph")

Slot = dict[str, Any] | str | None

EIGHT_LISTS: dict[str, Any] = {"kind": "ivf", "nlist": 8}
ONE_LIST: dict[str, Any] = {"small_build": {"structure": {"kind": "ivf", "nlist": 1}}, "small_search": {"nprobe": 1}}


class ComposedBuild(Params):
    """A preset, slots, or a preset with some slots chosen otherwise; slots alone leave the others at identity, float32,
    flat and none. `learn` names the query set whose training queries transforms learn from (leanvec-ood).

    Preset `auto`, or `{kind: auto, recall: 0.98, bytes_per_vector: 300}`, chooses what is not chosen here when it sees
    the vectors; its reasons are in the record's notes.
    """

    preset: str | dict[str, Any] | None = None
    transform: Slot = None
    codec: Slot = None
    structure: Slot = None
    rerank: Slot = None
    learn: str | None = None
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, given: Any) -> Any:
        """Every slot with what differs from its defaults: two spellings of one index are one point."""
        if not isinstance(given, Mapping):
            return given
        try:
            wish, name = named(given.get("preset"))
            if wish is not None:
                fields = wish.fields()
                given = {**given, "preset": name if len(fields) == 1 else fields}
            elif name is not None:
                find_preset(name)
            slots = {slot: given[slot] for slot in SLOTS if given.get(slot) is not None}
            fields = make_spec(**slots).fields()
        except AnnbenchError as error:
            raise ValueError(str(error)) from None
        return {**given, **{slot: fields[slot] for slot in slots}}

    @property
    def by_data(self) -> bool:
        """Whether what is built depends on the vectors, so that `spec` is only about it."""
        return named(self.preset)[0] is not None

    def spec(self, n: int, dim: int, metric: str) -> IndexSpec:
        """What is built over n vectors of `dim` dimensions."""
        slots = {slot: getattr(self, slot) for slot in SLOTS}
        wish, name = named(self.preset)
        if wish is not None:
            return expected_spec(n, dim, metric, slots)
        return chosen_spec(n, dim, metric, name, slots, queries=self.learn is not None)


class ComposedSearch(Params):
    """`nprobe` lists are looked into; of what a walk along a graph finds the `ef_search` nearest are expanded; the
    finer copy decides among `rerank_k` candidates; None for the index' defaults. `interleave` searches of a batch take
    turns in a graph. `patience` is after how many nodes in a row that bring nothing new such a walk ends; 0 for never.
    With `slack` it ends sooner where what comes next is farther than 1 + slack times the k-th nearest.

    `on_disk` leaves parts in the index' file (see Index.load), with a cache of `cache_mb` megabytes (10⁶ bytes) for
    what is read of them; None for all in memory.

    `epsilon` is how many standard errors a 1-bit scan allows for. `shared` tells a batch to take a list with all
    queries that probe it, or one query after the other; None for what is faster with lists of their length.
    """

    nprobe: int | None = Field(default=None, ge=1)
    rerank_k: int | None = Field(default=None, ge=1)
    ef_search: int | None = Field(default=None, ge=1)
    interleave: int = Field(default=3, ge=1, le=64)
    patience: int = Field(default=0, ge=0)
    slack: float | None = Field(default=None, ge=0, le=1000)
    on_disk: Literal["rerank", "links", "rerank+links"] | None = None
    cache_mb: float | None = Field(default=None, ge=0, le=1e9)
    epsilon: float = Field(default=1.9, ge=0, le=100)
    shared: bool | None = None

    def problem(self, spec: IndexSpec, metric: str) -> str | None:
        """Why these make no sense for an index of `spec` under `metric`, or None."""
        if self.nprobe is not None and self.nprobe > spec.nlist:
            return f"nprobe={self.nprobe} exceeds nlist={spec.nlist}"
        if self.ef_search is not None and not spec.has_graph:
            return f"ef_search={self.ef_search} has no effect: there is no graph"
        if self.patience and not spec.has_graph:
            return f"patience={self.patience} has no effect: there is no graph"
        if self.slack is not None and not spec.has_graph:
            return f"slack={self.slack} has no effect: there is no graph"
        if self.slack is not None and metric == "ip":
            return f"slack={self.slack} is of distances, and inner products are none"
        if self.rerank_k is not None and spec.rerank.kind == "none":
            return f"rerank_k={self.rerank_k} has no effect: there is no rerank"
        if self.on_disk is None:
            return None if self.cache_mb is None else f"cache_mb={self.cache_mb} has no effect: nothing is on_disk"
        if "rerank" in self.on_disk and spec.rerank.kind == "none":
            return f"on_disk={self.on_disk} is not possible: there is no rerank"
        if "links" in self.on_disk and not spec.has_graph:
            return f"on_disk={self.on_disk} is not possible: there is no graph"
        return None


class Composed(Updatable):
    """annbench.Index."""

    BuildParams = ComposedBuild
    SearchParams = ComposedSearch
    metrics = frozenset(METRICS)
    distributions = ("annbench", "faiss-cpu", "numpy")
    modules = ("faiss", "annbench.indexes.index")
    seed_parameter = "seed"
    known_limits = (
        "without rerank, recall is capped by the codes however many lists are probed",
        "added vectors go to the lists, maps and tables that were learned when the index was built",
    )
    trials = (
        Trial({}, {}, recall=1.0),
        Trial({"structure": EIGHT_LISTS}, {"nprobe": 8}, recall=0.999, **ONE_LIST),
        Trial({"codec": "float16"}, {}, recall=0.99),
        Trial(
            {"codec": {"kind": "uniform", "bits": 8}, "structure": EIGHT_LISTS}, {"nprobe": 8}, recall=0.96, **ONE_LIST
        ),
        Trial({"transform": "random-rotation", "codec": {"kind": "uniform", "bits": 5}}, {}, recall=0.85),
        Trial({"codec": {"kind": "uniform", "residual_bits": 8, "fit": "min-max"}}, {}, recall=0.96),
        Trial(
            {"codec": {"kind": "uniform", "scan_bits": 1}, "structure": EIGHT_LISTS, "rerank": "float16"},
            {"nprobe": 8, "rerank_k": 50},
            recall=0.98,
            **ONE_LIST,
        ),
        Trial(
            {
                "codec": {"kind": "product", "groups": 17},
                "structure": {**EIGHT_LISTS, "assignments": 2},
                "rerank": "uniform",
            },
            {"nprobe": 8, "rerank_k": 200},
            recall=0.96,
            small_build={"codec": {"kind": "product", "groups": 1}, "structure": {"kind": "ivf", "nlist": 1}},
            small_search={"nprobe": 1},
        ),
        Trial({"preset": "bbq"}, {"rerank_k": 200}, recall=0.98),
        Trial(
            {"codec": {"kind": "uniform", "bits": 8}, "structure": {"kind": "graph"}, "rerank": "float16"},
            {"ef_search": 128, "rerank_k": 30},
            recall=0.97,
        ),
    )

    @classmethod
    def check(cls, context: PointContext, build: ComposedBuild, search: ComposedSearch) -> str | None:
        """Slots must fit the data and each other, and the search what was built."""
        try:
            spec = build.spec(context.n, context.dim, context.metric)
            spec.check(context.n, context.dim, context.metric, queries=build.learn is not None)
        except AnnbenchError as error:
            return str(error)
        if search.rerank_k is not None and search.rerank_k < context.k:
            return f"rerank_k={search.rerank_k} is below k={context.k}"
        return None if build.by_data else search.problem(spec, context.metric)

    @classmethod
    def estimate(cls, context: PointContext, build: ComposedBuild, search: ComposedSearch) -> Cost:
        """Codes, ids, and what is learned; a search maps the query, scores centroids, scans its lists, and reranks."""
        n, dim = context.n, context.dim
        spec = build.spec(n, dim, context.metric)
        coded, lists = spec.coded_dim(dim), spec.nlist
        mapped = 0 if spec.transform.kind == "identity" else coded * dim
        clustered = min(n, TRAIN_ROWS_PER_LIST * lists) * KMEANS_ITERATIONS if lists > 1 else 0
        nprobe = search.nprobe or spec.default_nprobe
        reranked = search.rerank_k or context.k * spec.default_rerank_factor
        scanned = n * spec.assignments * min(1.0, nprobe / lists)
        if isinstance(spec.structure, GraphStructure):
            clustered = n * spec.structure.candidates * spec.structure.degree
            scanned = min(n, (search.ef_search or DEFAULT_EF) * spec.structure.degree / 2)
        return Cost(
            index_bytes=n * spec.bytes_per_vector(dim) + 8 * mapped + 4 * lists * spec.prefix_dim(dim),
            build_operations=n * mapped + (clustered + n) * lists * spec.prefix_dim(dim) + n * coded,
            search_operations=mapped + lists * spec.prefix_dim(dim) + scanned * coded + reranked * dim,
        )

    @classmethod
    def learn_set(cls, params: ComposedBuild) -> str | None:
        """The one that the parameters name."""
        return params.learn

    @classmethod
    def located(cls, context: PointContext, build: ComposedBuild, folder: Path) -> ComposedBuild:
        """The transform with its file, also where a preset names it: what another file made is another point."""
        transform = build.spec(context.n, context.dim, context.metric).transform
        located = transform.located(folder)
        return build if located == transform else build.model_copy(update={"transform": located.fields()})

    @classmethod
    def identity(cls, build: ComposedBuild) -> ComposedBuild:
        """The transform's file by its name and checksum."""
        if build.transform is None:
            return build
        return build.model_copy(update={"transform": make_spec(build.transform).placeless().transform.fields()})

    def __init__(self) -> None:
        self._queries: Vectors | None = None
        self._file: Path | None = None  # that the index was loaded from
        self._placed: tuple[str | None, float | None] = (None, None)  # what of it is on disk, and its cache

    def learn(self, queries: Vectors) -> None:
        """Keep them for `build`."""
        self._queries = queries

    def build(self, base: Vectors, metric: Metric, params: ComposedBuild, threads: int) -> None:
        """Fit, cluster, and code."""
        self._make(base, None, metric, params, threads)

    def start(
        self, ids: Ids, vectors: Vectors, metric: Metric, params: ComposedBuild, threads: int, capacity: int
    ) -> None:
        """As `build`, under ids of the caller's; an index grows as it must, whatever `capacity` is."""
        self._update_threads = threads
        self._make(vectors, ids, metric, params, threads)

    def _make(self, vectors: Vectors, ids: Ids | None, metric: Metric, params: ComposedBuild, threads: int) -> None:
        from annbench.indexes.index import Index

        slots = {slot: getattr(params, slot) for slot in SLOTS}
        try:
            self._index = Index.build(
                vectors, metric, preset=params.preset, queries=self._queries, ids=ids, seed=params.seed,
                threads=threads, **slots,
            )  # fmt: skip
        finally:
            self._queries = None

    def build_notes(self) -> tuple[str, ...]:
        """Why preset auto has chosen what it has, and the slots as a config would name them."""
        if not self._index.why:
            return ()
        slots = ", ".join(f"{slot}: {parameters_text}" for slot, parameters_text in self._slots())
        return (f"preset auto has chosen {slots}", *self._index.why)

    def _slots(self) -> Iterator[tuple[str, str]]:
        for slot, fields in self._index.spec.fields().items():
            yield slot, "{" + ", ".join(f"{name}: {value}" for name, value in fields.items()) + "}"

    def insert(self, ids: Ids, vectors: Vectors, threads: int) -> None:
        """Index.add."""
        self._index.add(vectors, ids, threads=threads)

    def delete(self, ids: Ids) -> None:
        """Index.remove."""
        self._index.remove(ids, threads=self._update_threads)

    def index_bytes(self) -> int:
        """By parts: saving would clear a graph of what was deleted, which is work of no step then."""
        return self._index.nbytes

    def configure(self, params: ComposedSearch, threads: int) -> None:
        """Keep them for the calls; an index with other parts on disk is loaded again. Raises UnsupportedError for what
        has no effect on what preset auto has chosen.
        """
        spec = self._index.spec
        if self._index.why and (problem := params.problem(spec, self._index.metric)) is not None:
            raise UnsupportedError(
                f"{problem}, in what preset auto has chosen",
                remedy="see the notes of another point of this build, and leave the parameter out",
            )
        self._place(params.on_disk, params.cache_mb)
        self._nprobe = params.nprobe or spec.default_nprobe
        self._rerank_k, self._rerank_factor = params.rerank_k, spec.default_rerank_factor
        self._epsilon, self._shared, self._threads = params.epsilon, params.shared, threads
        self._interleave = params.interleave
        ef, slack = walk_end(self._index.metric, params.ef_search, params.slack)
        self._walk = (ef, params.patience, slack)
        self._search_one = self._index.native.search_one

    def _place(self, on_disk: str | None, cache_mb: float | None) -> None:
        if (on_disk, cache_mb) == self._placed:
            return
        if self._file is None:
            raise UnsupportedError(
                "an index that was not saved has no parts on disk", where="on_disk", remedy="leave it out"
            )
        from annbench.indexes.index import Index
        from annbench.indexes.on_disk import DEFAULT_CACHE_BYTES

        parts = on_disk.split("+") if on_disk else ()
        cache_bytes = DEFAULT_CACHE_BYTES if cache_mb is None else int(cache_mb * 1e6)
        self._index = Index.load(self._file, on_disk=parts, cache_bytes=cache_bytes)
        self._placed = (on_disk, cache_mb)

    def search(self, query: Vectors, k: int) -> Ids:
        """One query, on the calling thread."""
        how = (self._nprobe, self._rerank_k or k * self._rerank_factor, self._epsilon, 1, *self._walk)
        try:
            ids: Ids = self._search_one(query, k, *how)[0]
        except TypeError:  # a view
            ids = self._search_one(np.ascontiguousarray(query, dtype=np.float32), k, *how)[0]
        return ids

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """All queries in one call."""
        ef, patience, slack = self._walk
        found: Ids = self._index.native.search(
            np.ascontiguousarray(queries, dtype=np.float32), k, nprobe=self._nprobe,
            rerank_k=self._rerank_k or k * self._rerank_factor, epsilon=self._epsilon, threads=self._threads,
            ef=ef, interleave=self._interleave, patience=patience, slack=slack, shared=self._shared,
        )[0]  # fmt: skip
        return found

    def reset_counters(self) -> None:
        """The index counts from here on."""
        self._index.native.reset_counts()

    def counters(self) -> dict[str, int]:
        """Along a graph: hops, distances (codes scored), reranked vectors, and the bytes of all that. With parts on
        disk: cache_hits and cache_misses, of blocks that were looked up, and bytes_read from the file.
        """
        return {name: count for name, count in self._index.native.counts.items() if count}

    def save(self, folder: Path) -> None:
        """Write the index' one file."""
        self._index.save(folder / FILE)
        self._saved_bytes = (folder / FILE).stat().st_size

    def table_bytes(self) -> int:
        """What the file has besides codes, finer copies and ids: maps are saved once, and kept in memory in the forms
        that queries need.
        """
        parts = self._index.nbytes_by_part
        return self._saved_bytes - sum(parts.get(name, 0) for name in GROWING)

    def load(self, folder: Path, metric: Metric, dim: int, params: ComposedBuild) -> None:
        """Read the index' one file."""
        from annbench.indexes.index import Index

        self._file = folder / FILE
        self._index = Index.load(self._file)
        if (self._index.metric, self._index.dim) != (metric, dim):
            raise UnsupportedError(
                f"was built for {self._index.metric} and dim {self._index.dim}, not {metric} and {dim}",
                where=str(self._file),
                remedy="build it again",
            )
