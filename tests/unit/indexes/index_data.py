"""Vectors, every codec with what it must find, and the truth by comparing everything."""

from __future__ import annotations

from typing import Any

import numpy as np

from annbench.distances.registry import distance_of
from annbench.indexes.index import Index
from annbench.indexes.spec import METRICS

SEED = 5
N, DIM, K = 2000, 48, 10

LISTS = {"kind": "ivf", "nlist": 20}
PCA = {"kind": "pca", "dim": 32, "rotate": True}
# What the codes alone must find of the ten nearest, looking at every list; exact ones are told apart by 1.0.
SPECS: dict[str, tuple[dict[str, Any], float]] = {
    "float32": ({}, 1.0),
    "float32 lists": ({"structure": LISTS}, 1.0),
    "float16": ({"codec": "float16"}, 0.99),
    "float16, centred": ({"transform": {"kind": "identity", "center": True}, "codec": "float16"}, 0.99),
    "uniform 4": ({"transform": "random-rotation", "codec": "uniform"}, 0.7),
    "uniform 8 lists": ({"codec": {"kind": "uniform", "bits": 8}, "structure": LISTS}, 0.97),
    "planes 2": ({"transform": "random-rotation", "codec": {"kind": "uniform", "bits": 2}}, 0.5),
    "planes per dim": (
        {"transform": {"kind": "pca", "dim": DIM}, "codec": {"kind": "uniform", "bits": 3, "bits_per_dim": True}},
        0.75,
    ),
    "two levels": ({"codec": {"kind": "uniform", "residual_bits": 8, "fit": "min-max"}, "structure": LISTS}, 0.97),
    "staged": ({"transform": "fast-rotation", "codec": {"kind": "uniform", "scan_bits": 1}, "structure": LISTS}, 0.7),
    "product": ({"codec": {"kind": "product", "groups": 24}, "structure": LISTS}, 0.6),
    "opq": ({"codec": {"kind": "product", "groups": 12, "opq": True}}, 0.25),
    "product alone": ({"transform": {"kind": "pca", "dim": DIM},
                       "codec": {"kind": "product", "groups": 24, "factors": False}}, 0.55),
    "va-file": ({"transform": {"kind": "pca", "dim": DIM}, "codec": {"kind": "va-file", "bits": 4.0}}, 0.8),
    "two lists each": ({"codec": {"kind": "uniform", "bits": 8}, "structure": {**LISTS, "assignments": 2}}, 0.97),
    "pca, reranked by 8 bits": ({"transform": PCA, "codec": "uniform", "structure": LISTS, "rerank": "uniform"}, 0.95),
    "1 bit, reranked": ({"codec": {"kind": "uniform", "bits": 1}, "rerank": "float32"}, 0.9),
    "reranked by halves": ({"transform": PCA, "codec": "uniform", "rerank": "float16"}, 0.98),
    "prefix lists": ({"transform": PCA, "codec": {"kind": "uniform", "bits": 8}, "structure": {**LISTS, "dim": 8},
                      "rerank": "float32"}, 0.95),
}  # fmt: skip
ONLY_DISTANCES = ("va-file", "product alone")
LEGAL = [(name, metric) for name in SPECS for metric in METRICS if metric != "ip" or name not in ONLY_DISTANCES]
EXACT = [name for name, (_, recall) in SPECS.items() if recall == 1]


def draw(n: int, seed: int) -> np.ndarray:
    """Clusters whose dimensions matter less and less, away from the origin."""
    random = np.random.default_rng(SEED)
    centres = random.normal(size=(30, DIM)) * 2
    scale = np.arange(1, DIM + 1) ** -0.3
    fresh = np.random.default_rng(seed)
    points = centres[fresh.integers(0, 30, n)] + fresh.normal(size=(n, DIM))
    return (points * scale + 0.5).astype(np.float32)


X, Q = draw(N, 1), draw(50, 2)


def truth(metric: str, queries: np.ndarray, base: np.ndarray) -> np.ndarray:
    """All distances (q, n)."""
    return np.stack([distance_of(metric).rowwise(query[None], base) for query in queries])  # type: ignore[arg-type]


def recall(ids: np.ndarray, distances: np.ndarray) -> float:
    """Of ids (q, k), by all distances (q, n)."""
    limit = np.sort(distances, axis=1)[:, ids.shape[1] - 1] + 1e-5 * np.abs(distances).max()
    return float((np.take_along_axis(distances, ids, axis=1) <= limit[:, None]).mean())


def everything(index: Index, queries: np.ndarray, k: int = K, **how: Any) -> tuple[np.ndarray, np.ndarray]:
    return index.search(queries, k, **{"nprobe": index.spec.nlist, "rerank_k": 100, **how})
