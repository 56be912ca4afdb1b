"""Points that make no sense are named before anything is built, and costs follow what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from annbench.algorithms import registry
from annbench.algorithms.base import Algorithm, PointContext, normalised, padded
from annbench.errors import UnsupportedError

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
        ("faiss-rabitq-fastscan", {"nlist": 16}, {"nprobe": 17}, "nprobe=17 exceeds nlist=16"),
        ("faiss-rabitq-fastscan", {"nlist": 16, "nb_bits": 9}, {"centered": True}, None),
        ("faiss-nsg", {}, {"search_L": 9}, "search_L=9 is below k=10"),
        ("faiss-nsg", {}, {"search_L": 1001}, "search_L=1001 exceeds n=1000"),
        ("faiss-nsg", {"R": 969}, {}, "R=969 needs 1001 vectors to build with, n=1000"),
        ("faiss-nsg", {"GK": 1000}, {}, "GK=1000 needs more than 1000 vectors, n=1000"),
        ("faiss-nsg", {"GK": 951}, {}, "build_type=1 needs 1001 vectors, n=1000; 0 needs fewer"),
        ("faiss-nsg", {"GK": 951, "build_type": 0}, {}, None),
        ("faiss-lsh", {"nbits": 101, "rotate_data": False}, {}, "nbits=101 exceeds dim=100, which needs rotate_data"),
        ("faiss-lsh", {"nbits": 101}, {}, None),
        ("faiss-binary-hnsw", {}, {"efSearch": 9}, "efSearch=9 is below k=10"),
        ("faiss-binary-ivf", {"nlist": 16}, {"nprobe": 17}, "nprobe=17 exceeds nlist=16"),
        ("bruteforce", {}, {}, None),
        ("null", {}, {}, None),
    ],
)
def test_check(name: str, build: dict[str, Any], search: dict[str, Any], reason: str | None) -> None:
    cls = cls_of(name)
    assert cls.check(CONTEXT, cls.BuildParams(**build), cls.SearchParams(**search)) == reason


@pytest.mark.parametrize(
    ("factory", "parameters", "search", "reason"),
    [
        ("IVF16,Flat", "", "nprobe=4", None),
        (
            "RR,IVF16_HNSW8,SQ8,RFlat",
            "quantizer_efConstruction=50",
            "nprobe=4 k_factor_rf=4",
            None,
        ),
        ("IVF16,Flt", "", "", "factory='IVF16,Flt' is refused by faiss: could not parse code description Flt in IVF16"),
        ("PQ33", "", "", "should be a multiple of the number of subquantizers"),
        (
            "IVF16,Flat",
            "",
            "efSearch=10",
            "parameters='efSearch=10' is refused by faiss: ParameterSpace::set_index",
        ),
        ("IVF16,Flat", "", "nprobe", "parameters='nprobe' is refused by faiss: could not interpret parameters nprobe"),
        ("IVF16,Flat", "", "nprobe=0", "nprobe=0 is not between 1 and nlist=16"),
        ("IVF16,Flat", "", "nprobe=17", "nprobe=17 is not between 1 and nlist=16"),
        ("IVF2000M,Flat", "", "", "nlist=2097152000 exceeds n=1000"),
        ("IVF16,Flat,RFlat", "", "k_factor_rf=0", "k_factor_rf=0 is below 1"),
        ("HNSW16", "", "efSearch=9", "efSearch=9 is below k=10"),
        ("PCA101,Flat", "", "", "PCA cannot make 101 dimensions of 100"),
        ("PQ50x10", "", "", "its product quantizer needs 1024 vectors to train on, n=1000"),
        ("NSG32", "", "", "take faiss-nsg"),
    ],
)
def test_faiss_says_what_is_wrong_with_a_factory_string(
    factory: str, parameters: str, search: str, reason: str | None
) -> None:
    cls = cls_of("faiss-factory")
    build = cls.BuildParams(factory=factory, parameters=parameters)
    found = cls.check(CONTEXT, build, cls.SearchParams(parameters=search))
    assert found is None if reason is None else reason in str(found)
    assert "/project/" not in str(found)


def test_a_point_of_the_factory_leaves_nothing_for_the_next() -> None:
    """Points of one index are measured in any order."""
    base = np.random.default_rng(1).standard_normal((500, 16), np.float32)
    cls = cls_of("faiss-factory")
    adapter = cls()
    adapter.build(base, "euclidean", cls.BuildParams(factory="IVF16_HNSW8,SQ4,RFlat", parameters="nprobe=2"), 1)

    def answer(parameters: str) -> Any:
        adapter.configure(cls.SearchParams(parameters=parameters), 1)
        return adapter.search_batch(base[:50], 5)

    plain = answer("")
    assert not np.array_equal(answer("nprobe=16,k_factor_rf=20,quantizer_efSearch=100"), plain)
    assert np.array_equal(answer(""), plain)


def test_nsg_counts_repeated_rows() -> None:
    from annbench.algorithms.faiss.nsg import Repeats, repeats

    rows = np.random.default_rng(1).standard_normal((9001, 7), np.float32)
    assert (repeats(rows).most, repeats(rows).repeated) == (1, 0)
    rows[[5, 4096, 9000]] = rows[3]
    rows[8] = -0.0
    rows[7] = 0.0
    assert repeats(rows) == Repeats(row=3, most=4, repeated=4)
    codes = np.array([[1, 2, 3], [3, 2, 1], [1, 2, 3]], dtype=np.uint8)
    assert repeats(codes) == Repeats(row=0, most=2, repeated=1)


@pytest.mark.parametrize(("build_type", "copies"), [(1, 20), (0, 20), (0, 2)])
def test_nsg_refuses_a_base_that_the_library_cannot_take(build_type: int, copies: int) -> None:
    cls = cls_of("faiss-nsg")
    base = np.repeat(np.random.default_rng(1).standard_normal((400 // copies, 8), np.float32), copies, axis=0)
    with pytest.raises(UnsupportedError, match="remove repeated vectors"):
        cls().build(base, "euclidean", cls.BuildParams(build_type=build_type), 1)


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
        ("faiss-rabitq-fastscan", "SearchParams", {"qb": 0}),
        ("faiss-nsg", "BuildParams", {"build_type": 2}),
        ("faiss-lsh", "BuildParams", {}),
        ("faiss-factory", "BuildParams", {"factory": ""}),
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
        ("faiss-rabitq-fastscan", {"nlist": 16, "nb_bits": 1}),
        ("faiss-rabitq-fastscan", {"nlist": 16, "nb_bits": 4, "refine": "SQ8"}),
        ("faiss-nsg", {"build_type": 0}),
        ("faiss-nsg", {"build_type": 0, "storage": "SQ8"}),
        ("faiss-lsh", {"nbits": 256}),
        ("faiss-lsh", {"nbits": 64, "rotate_data": False, "train_thresholds": True}),
        ("faiss-factory", {"factory": "IVF16,SQ8"}),
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


@pytest.mark.parametrize(
    ("name", "build"),
    [("bruteforce", {}), ("faiss-binary-flat", {}), ("faiss-binary-hnsw", {}), ("faiss-binary-ivf", {"nlist": 8})],
)
def test_estimated_bytes_of_packed_bits(name: str, build: dict[str, Any], tmp_path: Path) -> None:
    cls = cls_of(name)
    params = cls.BuildParams(**build)
    adapter = cls()
    adapter.build(np.random.default_rng(1).integers(0, 256, (1000, 13), dtype=np.uint8), "hamming", params, 1)
    adapter.save(tmp_path)
    cost = cls.estimate(PointContext(n=1000, dim=100, k=10, metric="hamming"), params, cls.SearchParams())
    assert cost is not None
    assert cost.index_bytes == pytest.approx(sum(path.stat().st_size for path in tmp_path.iterdir()), rel=0.12)


def test_scanning_more_costs_more() -> None:
    for name, build, field, small, large in (
        ("hnswlib", {}, "ef", 10, 100),
        ("faiss-hnsw", {}, "efSearch", 10, 100),
        ("faiss-ivf", {"nlist": 64}, "nprobe", 1, 32),
        ("faiss-rabitq", {"nlist": 64}, "nprobe", 1, 32),
        ("faiss-nsg", {}, "search_L", 10, 100),
        ("faiss-binary-ivf", {"nlist": 64}, "nprobe", 1, 32),
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
