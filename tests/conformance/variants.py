"""The configurations of every registered adapter that the conformance suite runs, and the recall each must
reach.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from annbench.algorithms import registry
from annbench.algorithms.base import Algorithm, Vectors
from annbench.datasets.info import Metric

SEED = 7
EXACT = 1.0
# Quantization changes the order of near neighbours; these are floors, not estimates.
FLOORS = {"SQ8": 0.95, "SQ6": 0.85, "SQ4": 0.5, "SQbf16": 0.93, "SQfp16": 0.98}


@dataclass(frozen=True)
class Variant:
    """One adapter with generous search parameters; `recall` is its floor on the clustered set."""

    algorithm: str
    recall: float
    build: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
    # What the build needs to work with one vector.
    tiny: dict[str, Any] | None = field(default_factory=dict)

    @property
    def cls(self) -> type[Algorithm]:
        return registry.load_algorithm(self.algorithm, Path()).cls

    def __str__(self) -> str:
        parts = [self.algorithm, *(f"{k}={v}" for k, v in self.build.items())]
        return "-".join(parts)


def _ivf(recall: float, k_factor: float = 1.0, tiny: dict[str, Any] | None = None, **build: Any) -> Variant:
    search = {"nprobe": 8, "k_factor": k_factor}
    return Variant("faiss-ivf", recall, {"nlist": 8, **build}, search, {"nlist": 1} if tiny is None else tiny)


def _rabitq(recall: float, k_factor: float = 1.0, **build: Any) -> Variant:
    search = {"nprobe": 8, "qb": 8, "k_factor": k_factor}
    return Variant("faiss-rabitq", recall, {"nlist": 8, **build}, search, {"nlist": 1})


VARIANTS = (
    Variant("bruteforce", EXACT),
    Variant("faiss-flat", EXACT),
    Variant("hnswlib", 0.99, {}, {"ef": 200}),
    _ivf(EXACT, storage="Flat"),
    *(_ivf(floor, storage=storage) for storage, floor in FLOORS.items()),
    _ivf(0.99, k_factor=10, storage="SQ4", refine="Flat"),
    _ivf(0.99, k_factor=20, storage="PQfs", pq_m=17, refine="Flat", tiny={"nlist": 1, "storage": "SQ8"}),
    _ivf(0.95, k_factor=20, storage="PQfs", pq_m=17, refine="SQ8", tiny={"nlist": 1, "storage": "Flat"}),
    Variant("faiss-hnsw", 0.99, {"M": 16, "efConstruction": 100}, {"efSearch": 200}),
    Variant("faiss-hnsw", 0.95, {"M": 16, "efConstruction": 100, "storage": "SQ8"}, {"efSearch": 200}),
    _rabitq(0.25, nb_bits=1),
    _rabitq(0.75, nb_bits=4),
    _rabitq(0.95, nb_bits=8),
    _rabitq(0.99, k_factor=40, nb_bits=1, refine="Flat"),
)
CASES = tuple((variant, metric) for variant in VARIANTS for metric in sorted(variant.cls.metrics))


@dataclass
class Built:
    """A built adapter and what it was built with."""

    adapter: Algorithm
    variant: Variant
    metric: Metric
    params: Any
    search: Any


def build(variant: Variant, metric: Metric, base: Vectors, *, tiny: bool = False, threads: int = 1) -> Built:
    """Build over `base` and configure with one search thread."""
    cls = variant.cls
    raw = dict(variant.build)
    search = dict(variant.search)
    if tiny:
        raw = {name: value for name, value in raw.items() if name not in ("pq_m", "refine")} | (variant.tiny or {})
        for name in {"nprobe", "k_factor"} & search.keys():
            search[name] = 1
    params, found = cls.BuildParams(**raw), cls.SearchParams(**search)
    adapter = cls()
    adapter.build(base, metric, params, threads)
    adapter.configure(found, 1)
    return Built(adapter, variant, metric, params, found)


def reloaded(built: Built, folder: Path, dim: int) -> Algorithm:
    """The adapter after a round trip through `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    built.adapter.save(folder)
    other = built.variant.cls()
    other.load(folder, built.metric, dim, built.params)
    other.configure(built.search, 1)
    return other


def files(folder: Path) -> dict[str, bytes]:
    """Names and bytes of everything below `folder`."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@cache
def clustered(n: int = 1200, dim: int = 34, queries: int = 60) -> tuple[Vectors, Vectors]:
    """Base and queries around the same centres, of many lengths; 34 is not a multiple of 4."""
    rng = np.random.default_rng(SEED)
    centres = rng.standard_normal((20, dim))

    def draw(count: int) -> Vectors:
        points = centres[rng.integers(0, len(centres), count)] + 0.5 * rng.standard_normal((count, dim))
        return (points * rng.uniform(0.5, 2.0, (count, 1))).astype(np.float32)

    return draw(n), draw(queries)
