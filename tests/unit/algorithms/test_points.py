"""Points that make no sense are named before anything is built, and costs follow what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from annbench.algorithms import registry
from annbench.algorithms.base import Algorithm, PointContext, normalised, padded

CONTEXT = PointContext(n=1000, dim=100, k=10, metric="euclidean")


def cls_of(name: str) -> type[Algorithm]:
    return registry.load_algorithm(name, Path()).cls


@pytest.mark.parametrize(
    ("name", "build", "search", "reason"),
    [
        ("hnswlib", {}, {"ef": 5}, "ef=5 is below k=10"),
        ("hnswlib", {}, {"ef": 10}, None),
        ("faiss-hnsw", {}, {"efSearch": 9}, "efSearch=9 is below k=10"),
        ("faiss-ivf", {"nlist": 16}, {"nprobe": 64}, "nprobe=64 exceeds nlist=16"),
        ("faiss-ivf", {"nlist": 16}, {"nprobe": 16}, None),
        ("faiss-ivf", {"nlist": 1001}, {}, "nlist=1001 exceeds n=1000"),
        ("faiss-ivf", {"nlist": 16}, {"k_factor": 2.0}, "k_factor=2 without refine has no effect"),
        ("faiss-ivf", {"nlist": 16, "refine": "SQ8"}, {"k_factor": 0.5}, "k_factor=0.5 is below 1"),
        ("faiss-ivf", {"nlist": 16, "storage": "PQfs"}, {}, "storage PQfs needs pq_m"),
        ("faiss-ivf", {"nlist": 16, "storage": "PQfs", "pq_m": 33}, {}, "pq_m=33 does not divide dim=100"),
        ("faiss-ivf", {"nlist": 16, "storage": "PQfs", "pq_m": 50}, {}, None),
        ("faiss-ivf", {"nlist": 16, "pq_m": 50}, {}, "pq_m=50 without storage PQfs has no effect"),
        ("faiss-rabitq", {"nlist": 16}, {"nprobe": 17}, "nprobe=17 exceeds nlist=16"),
        ("faiss-rabitq", {"nlist": 16, "refine": "SQ8"}, {"k_factor": 4}, None),
        ("bruteforce", {}, {}, None),
        ("null", {}, {}, None),
    ],
)
def test_check(name: str, build: dict[str, Any], search: dict[str, Any], reason: str | None) -> None:
    cls = cls_of(name)
    assert cls.check(CONTEXT, cls.BuildParams(**build), cls.SearchParams(**search)) == reason


def test_fast_scan_needs_vectors_to_train_on() -> None:
    cls = cls_of("faiss-ivf")
    build = cls.BuildParams(nlist=1, storage="PQfs", pq_m=50)
    few = PointContext(n=15, dim=100, k=10, metric="euclidean")
    assert cls.check(few, build, cls.SearchParams()) == "PQfs needs 16 vectors to train on, n=15"


@pytest.mark.parametrize(
    ("name", "part", "values"),
    [
        ("hnswlib", "BuildParams", {"m": 16}),
        ("hnswlib", "BuildParams", {"M": "16"}),
        ("hnswlib", "BuildParams", {"M": 16.5}),
        ("hnswlib", "SearchParams", {"ef": 0}),
        ("faiss-ivf", "BuildParams", {}),
        ("faiss-ivf", "BuildParams", {"nlist": 16, "storage": "flat"}),
        ("faiss-rabitq", "BuildParams", {"nlist": 16, "nb_bits": 10}),
        ("faiss-rabitq", "SearchParams", {"qb": 9}),
        ("bruteforce", "SearchParams", {"ef": 10}),
    ],
)
def test_parameters_are_typed_and_closed(name: str, part: str, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        getattr(cls_of(name), part)(**values)


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("bruteforce", {}),
        ("faiss-flat", {}),
        ("faiss-hnsw", {"M": 16}),
        ("faiss-hnsw", {"M": 16, "storage": "SQ8"}),
        ("faiss-ivf", {"nlist": 16}),
        ("faiss-ivf", {"nlist": 16, "storage": "SQ4", "refine": "SQ8"}),
        ("faiss-ivf", {"nlist": 16, "storage": "PQfs", "pq_m": 50}),
        ("faiss-rabitq", {"nlist": 16, "nb_bits": 1}),
        ("faiss-rabitq", {"nlist": 16, "nb_bits": 4, "refine": "Flat"}),
        ("hnswlib", {"M": 16}),
    ],
)
def test_estimated_bytes_are_what_is_written(name: str, build: dict[str, Any], tmp_path: Path) -> None:
    cls = cls_of(name)
    params, search = cls.BuildParams(**build), cls.SearchParams()
    adapter = cls()
    adapter.build(np.random.default_rng(1).standard_normal((1000, 100), np.float32), "euclidean", params, 1)
    adapter.save(tmp_path)
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    cost = cls.estimate(CONTEXT, params, search)
    assert cost is not None
    assert cost.index_bytes == pytest.approx(written, rel=0.12)


def test_scanning_more_costs_more() -> None:
    for name, build, field, small, large in (
        ("hnswlib", {}, "ef", 10, 100),
        ("faiss-hnsw", {}, "efSearch", 10, 100),
        ("faiss-ivf", {"nlist": 64}, "nprobe", 1, 32),
        ("faiss-rabitq", {"nlist": 64}, "nprobe", 1, 32),
    ):
        cls = cls_of(name)
        few, many = (
            cls.estimate(CONTEXT, cls.BuildParams(**build), cls.SearchParams(**{field: value}))
            for value in (small, large)
        )
        assert few is not None
        assert many is not None
        assert few.search_operations < many.search_operations


def test_padding_and_unit_vectors() -> None:
    assert padded(np.array([4, 2], dtype=np.uint64), 4).tolist() == [4, 2, -1, -1]
    assert padded(np.array([[4], [2]]), 2).tolist() == [[4, -1], [2, -1]]
    unit = normalised(np.array([[3, 4], [0, 0]], dtype=np.float32))
    assert unit.dtype == np.float32
    assert unit == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))


def test_the_null_adapter_hands_out_the_same_memory() -> None:
    adapter = cls_of("null")()
    adapter.build(np.zeros((5, 2), np.float32), "ip", adapter.BuildParams(), 1)
    query = np.zeros(2, np.float32)
    first = adapter.search(query, 3)
    assert first is adapter.search(query, 3)
    assert first.tolist() == [0, 1, 2]
    assert adapter.search(query, 7).tolist() == [0, 1, 2, 3, 4, -1, -1]
    batch = adapter.search_batch(np.zeros((4, 2), np.float32), 3)
    assert batch is adapter.search_batch(np.ones((4, 2), np.float32), 3)
    assert batch.shape == (4, 3)
