"""Every adapter that takes updates finds what is there, under the ids that it was given, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annbench.algorithms.base import Algorithm
from annbench.algorithms.registry import ALGORITHMS, load_algorithm
from annbench.algorithms.updatable import Updatable
from annbench.errors import MissingLibraryError

DIM, K = 24, 10
CASES: list[tuple[str, dict[str, Any], dict[str, Any], float]] = [
    ("composed", {}, {}, 0.9),
    ("composed", {"codec": "float32"}, {}, 1.0),
    ("composed", {"structure": {"kind": "ivf", "nlist": 4}}, {"nprobe": 4}, 1.0),
    ("composed", {"codec": {"kind": "uniform", "bits": 8}, "rerank": "float32"}, {"rerank_k": 40}, 0.99),
    ("composed", {"structure": "graph"}, {"ef_search": 600}, 1.0),
    ("hnswlib", {}, {"ef": 200}, 0.99),
    ("faiss-flat", {}, {}, 1.0),
    ("faiss-ivf", {"nlist": 4}, {"nprobe": 4}, 1.0),
    ("faiss-ivf", {"nlist": 4, "storage": "SQ8"}, {"nprobe": 4}, 0.9),
]


def ready(name: str, build: dict[str, Any], rng: np.random.Generator, metric: str, capacity: int = 600):
    cls = load_algorithm(name, Path()).cls
    params = cls.BuildParams.model_validate(build)
    assert cls.cannot_update(params) is None
    adapter = cls()
    assert isinstance(adapter, Updatable)
    live = {int(i): rng.standard_normal(DIM, dtype=np.float32) for i in rng.permutation(2000)[:400]}
    adapter.start(np.array(list(live)), np.stack(list(live.values())), metric, params, 1, capacity)
    return cls, adapter, live


def exact(live: dict[int, np.ndarray], queries: np.ndarray, metric: str) -> list[set[int]]:
    ids, vectors = np.array(list(live)), np.stack(list(live.values())).astype(np.float64)
    if metric == "euclidean":
        distances = ((vectors[None] - queries[:, None]) ** 2).sum(axis=2)
    else:
        distances = -(queries @ vectors.T) / (np.linalg.norm(vectors, axis=1) if metric == "cosine" else 1)
    return [set(ids[row].tolist()) for row in np.argsort(distances, axis=1)[:, :K]]


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "ip"])
@pytest.mark.parametrize(("name", "build", "search", "least"), CASES)
def test_what_is_there_is_found(
    name: str, build: dict[str, Any], search: dict[str, Any], least: float, metric: str
) -> None:
    rng = np.random.default_rng(11)
    cls, adapter, live = ready(name, build, rng, metric)
    queries = rng.standard_normal((20, DIM), dtype=np.float32)
    gone: list[int] = []
    for turn in range(8):
        leaving = rng.choice(list(live), 60, replace=False)
        adapter.delete(leaving)
        gone += [int(i) for i in leaving]
        for i in leaving:
            del live[int(i)]
        # Some ids come back, the others are new; and some of those that stayed get other vectors.
        coming = np.array([*gone[: 30 * (turn % 2)], *range(10_000 + 100 * turn, 10_050 + 100 * turn)])
        gone = gone[30 * (turn % 2) :]
        vectors = rng.standard_normal((len(coming), DIM), dtype=np.float32)
        adapter.insert(coming, vectors, 1)
        live |= dict(zip(coming.tolist(), vectors, strict=True))
        changed = rng.choice(list(live), 25, replace=False)
        vectors = rng.standard_normal((25, DIM), dtype=np.float32)
        adapter.replace(changed, vectors, 1)
        live |= dict(zip(changed.tolist(), vectors, strict=True))
        adapter.configure(cls.SearchParams.model_validate(search), 1)
        expected = exact(live, queries, metric)
        for found in (adapter.search_batch(queries, K), np.stack([adapter.search(q, K) for q in queries])):
            assert set(found.ravel().tolist()) <= set(live), f"turn {turn}: ids that are not there"
            assert all(len(set(row)) == K for row in found.tolist())
            recall = np.mean([len(set(row) & true) / K for row, true in zip(found.tolist(), expected, strict=True)])
            assert recall >= least, f"turn {turn}: recall {recall}"


@pytest.mark.parametrize(("name", "build", "search", "least"), CASES)
def test_fewer_than_k_are_padded(name: str, build: dict[str, Any], search: dict[str, Any], least: float) -> None:
    cls, adapter, live = ready(name, build, np.random.default_rng(1), "euclidean")
    left = sorted(live)[:4]
    adapter.delete(np.array(sorted(set(live) - set(left))))
    adapter.configure(cls.SearchParams.model_validate(search), 1)
    found = adapter.search(next(iter(live.values())), K)
    assert set(found.tolist()) <= {*left, -1}
    assert set(left) <= set(found.tolist()) or least < 1


def test_whoever_cannot_says_why() -> None:
    for name in ALGORITHMS:
        try:
            cls: type[Algorithm] = load_algorithm(name, Path()).cls
        except MissingLibraryError:
            continue
        if not issubclass(cls, Updatable):
            assert cls.cannot_update(None), name
    ivf = load_algorithm("faiss-ivf", Path()).cls
    assert "refine" in str(ivf.cannot_update(ivf.BuildParams.model_validate({"nlist": 4, "refine": "SQ8"})))
    assert "PQfs" in str(ivf.cannot_update(ivf.BuildParams.model_validate({"nlist": 4, "storage": "PQfs", "pq_m": 4})))


def test_to_know_its_size_changes_no_graph() -> None:
    _, adapter, live = ready("composed", {"structure": "graph"}, np.random.default_rng(2), "euclidean")
    adapter.delete(np.array(sorted(live)[:20]))
    native = adapter._index.native
    nodes = len(native.links)
    assert adapter.index_bytes() > 380 * DIM * 4
    assert len(native.links) == nodes == 400
