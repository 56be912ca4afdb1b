"""Which indexes `graph.py` measures over a set: ours within classes of memory, the peers by their authors' grids.

A build is a name of annbench's registry of algorithms with build parameters; a sweep is the search parameter that
trades speed for recall, and what else is tried with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

from core_sets import CoreSet

from annbench.indexes.spec import make_spec
from annbench.indexes.structures import QUERY_LINKS

# Shares of float32's bytes that an index of ours may take, by set; of the least, structures of any kind take part.
CLASSES: dict[str, tuple[float, ...]] = {
    "fashion": (0.25, 0.37),
    "glove": (0.35, 0.85, 1.5),
    "minilm": (0.25, 0.5, 0.78),
    "minilm-ood": (0.78,),
    "bundled": (0.25, 0.5, 0.78),
}
OTHERS = (0.5, 0.78)  # of sets that nothing was chosen by
SMALL = 0.35
MOST_EXPANDED = 400
CACHE_LINES = (112, 240, 368)  # dimensions that fill one, two, three of them in 4 bits
ROTATION = ("rotation", {"kind": "random-rotation"})
OURS = "annbench"
SYMQG = "SymQG"


@dataclass(frozen=True)
class Sweep:
    """`name` goes from `least` to at most `most`, times `unit`, once with each of `others`."""

    name: str
    least: int
    most: int
    others: tuple[dict[str, Any], ...] = ({},)
    unit: float = 1

    def search(self, value: int, others: dict[str, Any]) -> dict[str, Any]:
        """The search parameters at a value."""
        return {**others, self.name: value if self.unit == 1 else round(value * self.unit, 6)}


@dataclass(frozen=True)
class Entry:
    """An index to build and the searches to try, by one sweep or the other; `label` is its name within its `family`."""

    family: str
    label: str
    algorithm: str
    build: dict[str, Any]
    sweep: Sweep
    learns: bool = False
    other: Sweep | None = None

    @property
    def sweeps(self) -> tuple[Sweep, ...]:
        """One or both."""
        return (self.sweep,) if self.other is None else (self.sweep, self.other)

    @property
    def name(self) -> str:
        """Of the index, in tables and for `--only`."""
        return f"{self.family} {self.label}"


def entries(data: CoreSet, *, quick: bool) -> list[Entry]:
    """Ours and then the peers', for this set; with `quick` one from the middle of each family, and its last."""
    families: dict[str, list[Entry]] = {}
    for entry in (*ours(data), *peers(len(data.base), data.dim, data.metric)):
        family = families.setdefault(entry.family, [])
        if all(entry.build != other.build for other in family):  # small bases make some of them equal
            family.append(entry)
    if quick:
        families = {
            name: family[len(family) // 2 :: max(1, (len(family) - 1) // 2)] for name, family in families.items()
        }
    return [entry for family in families.values() for entry in family]


def ours(data: CoreSet) -> Iterator[Entry]:
    """Graphs over reduced dimensions that fill cache lines, and lists, as far as a class has room for them."""
    room, least = (share(classes(data.name)) * 4 * data.dim for share in (max, min))
    for entry in _graphs(data):
        if bytes_per_vector(entry, data.dim) <= room:
            yield entry
    if min(classes(data.name)) <= SMALL:
        for entry in (*_small_graphs(data), *_lists(data)):
            if bytes_per_vector(entry, data.dim) <= least:
                yield entry


def classes(name: str) -> tuple[float, ...]:
    """Of a set: shares of float32's bytes."""
    return CLASSES.get(name, OTHERS)


def bytes_per_vector(entry: Entry, dim: int) -> float:
    """Of one of ours, as it says itself before it is built."""
    return make_spec(**{slot: value for slot, value in entry.build.items() if slot != "learn"}).bytes_per_vector(dim)


def _maps(data: CoreSet) -> list[tuple[str, dict[str, Any]]]:
    reduced = [(f"pca {d}", {"kind": "pca", "dim": d, "rotate": True}) for d in CACHE_LINES if d < data.dim]
    return [*reduced, *([ROTATION] if data.dim <= max(CACHE_LINES) else [])]


def _graphs(data: CoreSet) -> Iterator[Entry]:
    maps = _maps(data)
    if data.learn is not None:
        maps = [*maps[1:], *((name.replace("pca", "leanvec-ood"), {**transform, "kind": "leanvec-ood"})
                             for name, transform in maps[1:])]  # fmt: skip
    for name, transform in maps:
        # One cache line holds what matters of some sets, and more links do not mend what it lacks of others.
        for degree in (32, 48) if transform.get("dim") == 112 else (32, 48, 64):
            yield _ours(data, name, transform, 4, degree, "8 bits", {"kind": "uniform", "bits": 8})
            yield _ours(data, name, transform, 4, degree, "float16", {"kind": "float16"})
    if maps == [ROTATION]:  # few dimensions, of which float16 costs less than links; few of these do with more pruning
        yield _ours(data, *ROTATION, 4, 16, "float16", {"kind": "float16"}, alpha=1.0, candidates=96)
        yield _ours(data, *ROTATION, 4, 64, "float16", {"kind": "float16"}, candidates=96)
    for degree in (32, 48, 64):
        yield _ours(data, *maps[0], 8, degree, "float16", {"kind": "float16"})
        yield _ours(data, *ROTATION, 8, degree, "none", {"kind": "none"})


def _small_graphs(data: CoreSet) -> Iterator[Entry]:
    for degree in (16, 32):
        for name, transform in _maps(data)[-2:]:
            for bits in (4, 8):
                yield _ours(data, name, transform, bits, degree, "none", {"kind": "none"})
            yield _ours(data, name, transform, 4, degree, "4 bits", {"kind": "uniform", "bits": 4})


def _ours(
    data: CoreSet, name: str, transform: dict[str, Any], bits: int, degree: int, kind: str, rerank: dict[str, Any],
    **pruning: float,
) -> Entry:  # fmt: skip
    learns = transform["kind"] == "leanvec-ood"
    build = {
        "transform": transform, "codec": {"kind": "uniform", "bits": bits, "fit": "rabitq"},
        "structure": {"kind": "graph", "degree": degree, **pruning, **({"query_links": QUERY_LINKS} if learns else {})},
        "rerank": rerank, **({"learn": data.name} if learns else {}),
    }  # fmt: skip
    others = ({},) if kind == "none" else tuple({"rerank_k": count} for count in (10, 15, 20, 30, 60))
    label = "".join([f"graph of {degree}", *(f", {key} {value:g}" for key, value in pruning.items())])
    label += f", {name}, {bits} bits" + ("" if kind == "none" else f", rerank {kind}")
    label += f", {QUERY_LINKS} query links" if learns else ""
    expanded = Sweep("ef_search", 4, MOST_EXPANDED, others)
    return Entry(OURS, label, "composed", build, expanded, learns, Sweep("slack", 5, 250, others, unit=1e-3))


def _lists(data: CoreSet) -> Iterator[Entry]:
    nlist = max(1, min(round(4 * sqrt(len(data.base))), len(data.base) // 32))
    for bits in (4, 5, 7, 8):
        build = {
            "transform": {"kind": "fast-rotation"}, "structure": {"kind": "ivf", "nlist": nlist},
            "codec": {"kind": "uniform", "bits": bits, "fit": "rabitq-fast", "scan_bits": 1},
            "rerank": {"kind": "none"},
        }  # fmt: skip
        yield Entry(OURS, f"{nlist:,} lists, {bits} bits", "composed", build, Sweep("nprobe", 1, nlist))


def peers(n: int, dim: int, metric: str) -> Iterator[Entry]:
    """By the grids of configs/peers.yaml, where sizes of the base decide by the rules of the libraries' guides."""
    window = Sweep("ef", 10, 1000)
    for degree in (32, 64):
        for bits in (0, 8):
            build = {"max_degree": degree, "ef_construction": 200, "quantization_bits": bits}
            yield Entry(SYMQG, f"R{degree}, {f'{bits} bits' if bits else 'float32'}", "rabitqlib-symqg", build, window)
    for degree in (32, 48):
        yield Entry("pyglass", f"HNSW{degree}, SQ8U", "pyglass", {"R": degree, "L": 200, "quantizer": "SQ8U"}, window)
    build = {"R": 32, "L": 200, "quantizer": "SQ4U", "refine_quant": "SQ8U"}
    yield Entry("pyglass", "HNSW32, SQ4U, SQ8U", "pyglass", build, window)
    yield from _svs(dim)
    yield from _scann(n, metric)
    for links in (16, 32):
        yield Entry("hnswlib", f"M {links}", "hnswlib", {"M": links, "ef_construction": 200}, window)
    window = Sweep("efSearch", 10, 1000)
    for links, storage in ((16, "Flat"), (32, "Flat"), (32, "SQ8")):
        build = {"M": links, "efConstruction": 200, "storage": storage}
        yield Entry("faiss HNSW", f"M {links}, {storage}", "faiss-hnsw", build, window)
    for per_root, width in ((4, 2), (2, 2), (4, 4)):
        nlist = max(1, min(round(per_root * sqrt(n)), n // 39))
        build = {"nlist": nlist, "storage": "PQfs", "pq_m": dim // width, "refine": "SQ8"}
        sweep = Sweep("nprobe", 1, nlist, tuple({"k_factor": factor} for factor in (2.0, 4.0, 8.0)))
        yield Entry("faiss IVF", f"{nlist:,} lists, PQ{dim // width}x4fs, SQ8", "faiss-ivf", build, sweep)
    yield from _small_peers(n, dim)


def _small_peers(n: int, dim: int) -> Iterator[Entry]:
    """Those that come into the classes of least memory, where nothing is re-ranked by floats."""
    build: dict[str, Any] = {"storage": "LVQ", "primary": 4, "padding": 32, "graph_max_degree": 32}
    sweep = Sweep("search_window_size", 10, 1000, ({"search_buffer_visited_set": False},))
    yield Entry("SVS", "LVQ 4, R32", "svs-vamana", build, sweep)
    build = {"R": 16, "L": 200, "quantizer": "SQ4U"}
    yield Entry("pyglass", "HNSW16, SQ4U", "pyglass", build, Sweep("ef", 10, 1000))
    nlist = max(1, min(round(4 * sqrt(n)), n // 39))
    probes = Sweep("nprobe", 1, nlist)
    for bits in (4, 6):
        build = {"num_clusters": nlist, "nbits": bits, "fast_quantization": True}
        yield Entry("rabitqlib IVF", f"{nlist:,} lists, {bits} bits", "rabitqlib-ivf", build, probes)
    for storage in ("SQ4", "SQ6"):
        yield Entry(
            "faiss IVF", f"{nlist:,} lists, {storage}", "faiss-ivf", {"nlist": nlist, "storage": storage}, probes
        )
    build = {"nlist": nlist, "storage": "PQfs", "pq_m": dim // 2, "refine": "SQ4"}
    refined = Sweep("nprobe", 1, nlist, tuple({"k_factor": factor} for factor in (2.0, 4.0, 8.0)))
    yield Entry("faiss IVF", f"{nlist:,} lists, PQ{dim // 2}x4fs, SQ4", "faiss-ivf", build, refined)


def _svs(dim: int) -> Iterator[Entry]:
    # LVQ and LeanVec first: what they are there for. On processors that are not Intel's they are refused, and left out.
    kinds: list[tuple[str, dict[str, Any]]] = [
        *((f"LeanVec {d}", {"storage": "LeanVec", "leanvec_dims": d}) for d in sorted({dim // 4, dim // 2})),
        ("LVQ 4x8", {"storage": "LVQ", "primary": 4, "residual": 8, "padding": 32}),
        ("LVQ 8", {"storage": "LVQ", "primary": 8, "padding": 32}),
        ("float16", {"storage": "float16"}),
        ("float32", {"storage": "float32"}),
    ]
    sweep = Sweep("search_window_size", 10, 1000, ({"search_buffer_visited_set": False},))
    for name, build in kinds:
        for degree in (32, 64):
            yield Entry("SVS", f"{name}, R{degree}", "svs-vamana", {**build, "graph_max_degree": degree}, sweep)


def _scann(n: int, metric: str) -> Iterator[Entry]:
    cosine = metric == "cosine"
    score = {"dimensions_per_block": 2, **({"anisotropic_quantization_threshold": 0.2} if cosine else {})}
    soar = {"soar_lambda": 1.5, "overretrieve_factor": 2.0}
    for per_root, spilled in ((1, {}), (2, {}), (4, {}), *(((2, soar),) if cosine else ())):
        leaves = max(1, min(round(per_root * sqrt(n)), n // 16))
        build = {"tree": {"num_leaves": leaves, **spilled}, "score_ah": score}
        sweep = Sweep("leaves_to_search", 1, leaves,
                      tuple({"pre_reorder_num_neighbors": count} for count in (40, 100, 300)))  # fmt: skip
        yield Entry("scann", f"{leaves:,} leaves{', SOAR' if spilled else ''}", "scann", build, sweep)
