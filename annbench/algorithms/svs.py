"""Intel's Scalable Vector Search (package scalable-vs): Vamana graphs over float32, float16, LVQ (Aguerrebere et al.,
VLDB 2023) and LeanVec (Tepper et al., TMLR 2024), https://github.com/intel/ScalableVectorSearch.

Cosine scales base and queries to unit length and compares by L2.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from annbench.algorithms.base import Cost, Ids, Params, PointContext, Trial, Vectors, normalised, padded
from annbench.algorithms.peer import Peer
from annbench.datasets.info import Metric
from annbench.errors import UnsupportedError
from annbench.processor import processor

INTEL = "GenuineIntel"
CONFIG, GRAPH, DATA = "config", "graph", "data"
ALPHA: dict[Metric, float] = {"euclidean": 1.2, "cosine": 1.2, "ip": 0.95}
GRAPH_ARGUMENTS = ("graph_max_degree", "window_size", "max_candidate_pool_size", "prune_to", "use_full_search_history")
SEARCH_ARGUMENTS = ("search_buffer_visited_set", "prefetch_lookahead", "prefetch_step")
# Which arguments belong to which storage.
LOADER_ARGUMENTS = {
    "LVQ": ("primary", "residual", "padding"),
    "LeanVec": ("leanvec_dims", "primary_kind", "secondary_kind", "alignment"),
}
DEFAULT_KIND = "lvq8"
KIND_BYTES = {"float32": 4.0, "float16": 2.0, "lvq8": 1.0, "lvq4": 0.5}
LVQ_FORMS = {(4, 0), (4, 4), (4, 8), (8, 0), (8, 8)}
INTEL_ONLY = "LVQ and LeanVec end the process on processors that are not Intel's: they are refused there"
FRESH_IDENTIFIERS = "saved files carry fresh random identifiers: equal indexes are never equal bytes"
ZERO_VECTORS = "cosine compares unit vectors by L2: a zero base vector ranks like one of cosine 0.5"
HALF_RANGE = "float16 holds values up to 65,504: beyond, no distance is a number"
Kind = Literal["float32", "float16", "lvq4", "lvq8"]


class SvsBuild(Params):
    """Arguments of VamanaBuildParameters and of the loader that `storage` names.

    What is not given, the library chooses; `alpha` is then 1.2, and 0.95 for ip. LVQ takes `primary` and `residual`
    bits and `padding` in bytes; LeanVec `leanvec_dims`, `primary_kind` for the graph search, `secondary_kind` for the
    re-ranking, and `alignment` in bytes.
    """

    storage: Literal["float32", "float16", "LVQ", "LeanVec"] = "float32"
    alpha: float | None = None
    graph_max_degree: int = Field(default=32, ge=4)
    window_size: int = Field(default=200, ge=1)
    max_candidate_pool_size: int | None = Field(default=None, ge=1)
    prune_to: int | None = Field(default=None, ge=1)
    use_full_search_history: bool | None = None
    primary: Literal[4, 8] | None = None
    residual: Literal[0, 4, 8] | None = None
    padding: int | None = Field(default=None, ge=0)
    leanvec_dims: int | None = Field(default=None, ge=1)
    primary_kind: Kind | None = None
    secondary_kind: Kind | None = None
    alignment: int | None = Field(default=None, ge=0)


class SvsSearch(Params):
    """Arguments of SearchBufferConfig and VamanaSearchParameters; the capacity is the window unless it is given.

    Of the rest, what is not given is left as the built index has it.
    """

    search_window_size: int = Field(ge=1)
    search_buffer_capacity: int | None = Field(default=None, ge=1)
    search_buffer_visited_set: bool | None = None
    prefetch_lookahead: int | None = Field(default=None, ge=0)
    prefetch_step: int | None = Field(default=None, ge=0)


def _trials() -> tuple[Trial, ...]:
    common = {"same_bytes": FRESH_IDENTIFIERS}
    window = {"search_window_size": 200}
    known = processor()
    trials = [
        Trial({}, window, recall=0.99, exceptions=common),
        Trial({"storage": "float16"}, window, recall=0.98, exceptions=common),
    ]
    if known is None or known.vendor == INTEL:
        trials += [
            Trial({"storage": "LVQ", "primary": 4, "residual": 8}, window, recall=0.95, exceptions=common),
            Trial({"storage": "LVQ", "primary": 8}, window, recall=0.95, exceptions=common),
            Trial({"storage": "LeanVec", "leanvec_dims": 16}, window, recall=0.9, exceptions=common),
        ]
    return tuple(trials)


class SvsVamana(Peer):
    """svs.Vamana."""

    BuildParams = SvsBuild
    SearchParams = SvsSearch
    metrics = frozenset(ALPHA)
    distributions = ("scalable-vs",)
    modules = ("svs",)
    random_build = True
    known_limits = (
        INTEL_ONLY,
        FRESH_IDENTIFIERS,
        ZERO_VECTORS,
        HALF_RANGE,
        "a search that reaches fewer than k vectors fills up with id 0, which counts as a duplicate",
        "ip is no metric: Vamana's pruning rule suits it badly, so recall can stay low",
    )
    trials = _trials()

    @classmethod
    def check(cls, context: PointContext, build: SvsBuild, search: SvsSearch) -> str | None:
        """Storage, window and data must fit each other."""
        if search.search_window_size < context.k:
            return f"search_window_size={search.search_window_size} is below k={context.k}"
        if (search.search_buffer_capacity or search.search_window_size) < search.search_window_size:
            return (
                f"search_buffer_capacity={search.search_buffer_capacity} is below "
                f"search_window_size={search.search_window_size}"
            )
        if build.prune_to is not None and build.prune_to > build.graph_max_degree:
            return f"prune_to={build.prune_to} exceeds graph_max_degree={build.graph_max_degree}"
        return _storage_problem(context, build)

    @classmethod
    def estimate(cls, context: PointContext, build: SvsBuild, search: SvsSearch) -> Cost:
        """A counter and graph_max_degree links of 4 bytes, and the stored vector; about one distance per link seen."""
        primary = _primary_bytes(build, context.dim)
        degree = build.graph_max_degree
        return Cost(
            index_bytes=context.n * (4 * (degree + 1) + primary + _secondary_bytes(build, context.dim)),
            build_operations=2.0 * context.n * context.dim * build.window_size * degree,
            search_operations=primary / 4 * search.search_window_size * degree,
        )

    def build(self, base: Vectors, metric: Metric, params: SvsBuild, threads: int) -> None:
        """Compress, then build the graph over what is compressed."""
        self.require_processor()
        _require_intel(params)
        import svs

        vectors = normalised(base) if metric == "cosine" else base
        alpha = ALPHA[metric] if params.alpha is None else params.alpha
        parameters = svs.VamanaBuildParameters(alpha=alpha, **_given(params, *GRAPH_ARGUMENTS))
        with tempfile.TemporaryDirectory(prefix="annbench-svs-") as folder:
            data = _data(vectors, params, Path(folder))
            index = svs.Vamana.build(parameters, data, _distance(metric), num_threads=threads)
        self._open(index, metric)

    def configure(self, params: SvsSearch, threads: int) -> None:
        """Set the search parameters and the number of threads."""
        import svs

        own = self._index.search_parameters
        window = params.search_window_size
        self._index.search_parameters = svs.VamanaSearchParameters(
            svs.SearchBufferConfig(window, params.search_buffer_capacity or window),
            *(getattr(own if getattr(params, name) is None else params, name) for name in SEARCH_ARGUMENTS),
        )
        self._index.num_threads = threads

    def search(self, query: Vectors, k: int) -> Ids:
        """One query."""
        ids: Ids = self._found(query, k)[0]
        return ids

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """All queries in one call."""
        return self._found(queries, k) if len(queries) else np.empty((0, k), dtype=np.int64)

    def save(self, folder: Path) -> None:
        """Write the library's own folders."""
        self._index.save(*(str(folder / part) for part in (CONFIG, GRAPH, DATA)))

    def load(self, folder: Path, metric: Metric, dim: int, params: SvsBuild) -> None:
        """Read the library's own folders."""
        import svs

        data, path = str(folder / DATA), str(folder / CONFIG)
        match params.storage:
            case "LVQ":
                loader = svs.LVQLoader(data, **_given(params, "padding"))
            case "LeanVec":
                loader = svs.LeanVecLoader(data, **_given(params, "alignment"))
            case _:
                loader = svs.VectorDataLoader(data, _data_type(params))
        graph = svs.GraphLoader(str(folder / GRAPH))
        self._open(svs.Vamana(path, graph, loader, _distance(metric), num_threads=1), metric)

    def _open(self, index: Any, metric: Metric) -> None:
        self._index = index
        self._n = int(index.size)
        self._unit = metric == "cosine"

    def _found(self, queries: Vectors, k: int) -> Ids:
        asked = normalised(queries) if self._unit else queries
        ids: Ids = self._index.search(asked, min(k, self._n))[0].view(np.int64)
        return ids if k <= self._n else padded(ids, k)


def _distance(metric: Metric) -> Any:
    import svs

    return svs.DistanceType.MIP if metric == "ip" else svs.DistanceType.L2


def _data_type(params: SvsBuild) -> Any:
    import svs

    return svs.DataType.float16 if params.storage == "float16" else svs.DataType.float32


def _data(vectors: Vectors, params: SvsBuild, folder: Path) -> Any:
    """The base as Vamana.build takes it: an array, or a loader that compresses what lies in a file."""
    import svs

    if params.storage == "float32":
        return vectors
    if params.storage == "float16":
        with np.errstate(over="ignore"):
            return vectors.astype(np.float16)
    path = folder / "base.fvecs"
    svs.write_vecs(vectors, str(path))
    plain = svs.VectorDataLoader(str(path), svs.DataType.float32, dims=vectors.shape[1])
    given = _given(params, *LOADER_ARGUMENTS[params.storage])
    if params.storage == "LVQ":
        return svs.LVQLoader(plain, **given)
    for name in ("primary_kind", "secondary_kind"):
        if name in given:
            given[name] = getattr(svs.LeanVecKind, given[name])
    return svs.LeanVecLoader(plain, **given)


def _given(params: SvsBuild, *names: str) -> dict[str, Any]:
    return params.model_dump(include=set(names), exclude_none=True)


def _require_intel(params: SvsBuild) -> None:
    known = processor()
    if params.storage in ("LVQ", "LeanVec") and known is not None and known.vendor != INTEL:
        raise UnsupportedError(
            f"scalable-vs runs {params.storage} on Intel processors only, this one is {known.vendor}",
            remedy="use storage float32 or float16 here",
        )


def _storage_problem(context: PointContext, build: SvsBuild) -> str | None:
    for storage, names in LOADER_ARGUMENTS.items():
        given = _given(build, *names)
        if given and build.storage != storage:
            return f"{next(iter(given))} without storage {storage} has no effect"
        if build.storage == storage and names[0] not in given:
            return f"storage {storage} needs {names[0]}"
    if build.primary is not None and (build.primary, build.residual or 0) not in LVQ_FORMS:
        return f"primary={build.primary} with residual={build.residual} is not compiled into scalable-vs"
    if build.leanvec_dims is not None and build.leanvec_dims > context.dim:
        return f"leanvec_dims={build.leanvec_dims} exceeds dim={context.dim}"
    return None


def _primary_bytes(build: SvsBuild, dim: int) -> float:
    match build.storage:
        case "LVQ":
            return dim * (build.primary or 8) / 8 + 4
        case "LeanVec":
            return (build.leanvec_dims or dim) * KIND_BYTES[build.primary_kind or DEFAULT_KIND] + 4
        case _:
            return dim * KIND_BYTES[build.storage]


def _secondary_bytes(build: SvsBuild, dim: int) -> float:
    if build.storage == "LeanVec":
        return dim * KIND_BYTES[build.secondary_kind or DEFAULT_KIND] + 4
    return dim * (build.residual or 0) / 8
