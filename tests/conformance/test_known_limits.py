"""What the adapters say of their libraries' failings still happens; if not, the sentence has to go.

What crashes or hangs, does so in a child process.
"""

from __future__ import annotations

import subprocess
import sys
import time

import faiss
import hnswlib
import numpy as np
import pytest

RNG_SEED = 3
HEAD = """
import faiss, numpy as np
x = np.random.default_rng(0).standard_normal((300, 16), np.float32)
faiss.omp_set_num_threads(1)
"""


def recall(ids: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(ids.tolist(), truth.tolist(), strict=True)]))


def in_a_child(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, timeout=300, check=False)


def test_a_large_batch_of_faiss_flat_swaps_near_ties_far_from_the_origin() -> None:
    rng = np.random.default_rng(RNG_SEED)
    dim, queries = 640, 200
    centre = 100 * rng.standard_normal(dim, np.float32)
    base = centre + 0.1 * rng.standard_normal((1000, dim), np.float32)
    asked = centre + 0.1 * rng.standard_normal((queries, dim), np.float32)
    wide = ((asked[:50, None].astype(np.float64) - base[None]) ** 2).sum(axis=2)
    truth = np.argsort(wide, axis=1)[:, :10]
    index = faiss.IndexFlatL2(dim)
    index.add(base)
    assert queries * dim == faiss.cvar.distance_compute_blas_threshold == 128_000
    assert recall(index.search(asked[:-1], 10)[1][:50], truth) == 1.0
    assert recall(index.search(asked, 10)[1][:50], truth) < 0.5


@pytest.mark.parametrize("library", ["hnswlib", "faiss"])
def test_graphs_for_inner_product_lose_queries_that_point_away(library: str) -> None:
    rng = np.random.default_rng(RNG_SEED)
    n, dim, ef = 2000, 16, 1000
    cone = np.full(dim, dim**-0.5)
    lengths = rng.lognormal(0, 0.5, (n, 1))
    base = ((cone + 0.1 * rng.standard_normal((n, dim))) * lengths).astype(np.float32)
    queries = (-cone + 0.1 * rng.standard_normal((50, dim))).astype(np.float32)
    truth = np.argsort(-(queries @ base.T), axis=1)[:, :10]
    if library == "hnswlib":
        index = hnswlib.Index("ip", dim)
        index.init_index(n, M=16, ef_construction=100)
        index.add_items(base, num_threads=1)
        index.set_ef(ef)
        found = index.knn_query(queries, 10)[0]
    else:
        graph = faiss.index_factory(dim, "HNSW16", faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = 100
        graph.add(base)
        graph.hnsw.efSearch = ef
        found = graph.search(queries, 10)[1]
    assert recall(found, truth) < 0.2


def test_hnswlib_scores_one_minus_the_product() -> None:
    rng = np.random.default_rng(RNG_SEED)
    base = rng.standard_normal((500, 16), np.float32)
    truth = np.argsort(-(base[:50] @ base.T), axis=1)[:, :10]
    found = {}
    for scale in (1.0, 1e-5):
        index = hnswlib.Index("ip", 16)
        index.init_index(500)
        index.add_items(base * np.float32(scale), num_threads=1)
        index.set_ef(500)
        found[scale] = recall(index.knn_query(base[:50] * np.float32(scale), 10)[0], truth)
    assert found[1.0] > 0.95
    assert found[1e-5] < 0.2


def test_hnswlib_raises_where_it_reaches_fewer_than_k() -> None:
    base = np.random.default_rng(RNG_SEED).standard_normal((2000, 16), np.float32)
    base[1000:] = base[0]
    index = hnswlib.Index("l2", 16)
    index.init_index(2000, M=2, ef_construction=10)
    index.add_items(base, num_threads=1)
    with pytest.raises(RuntimeError, match="ef or M is too small"):
        index.knn_query(base[:20], 1500)


@pytest.mark.parametrize("code", ["RaBitQ4", "RaBitQfs4"])
def test_rabitq_by_inner_product_depends_on_the_length_of_the_query(code: str) -> None:
    base = np.random.default_rng(RNG_SEED).standard_normal((2000, 64), np.float32)
    truth = np.argsort(-(base[:50] @ base.T), axis=1)[:, :10]
    index = faiss.index_factory(64, f"RR,IVF4,{code}", faiss.METRIC_INNER_PRODUCT)
    index.train(base)
    index.add(base)
    faiss.extract_index_ivf(index).nprobe = 4
    assert recall(index.search(base[:50], 10)[1], truth) > 0.6
    assert recall(index.search(base[:50] * np.float32(1e-3), 10)[1], truth) < 0.1


@pytest.mark.parametrize("fast", ["", "fs"])
def test_rabitq_needs_the_rotation_in_front(fast: str) -> None:
    """Not a failing: why the adapters put one there."""
    rng = np.random.default_rng(RNG_SEED)
    base = rng.standard_normal((3000, 64), np.float32) * np.exp(-np.arange(64, dtype=np.float32) / 10)
    truth = faiss.knn(base[:50], base, 10)[1]
    found = {}
    for rotation in ("", "RR,"):
        index = faiss.index_factory(64, f"{rotation}IVF4,RaBitQ{fast}4")
        index.train(base)
        index.add(base)
        faiss.extract_index_ivf(index).nprobe = 4
        found[rotation] = recall(index.search(base[:50], 10)[1], truth)
    assert found["RR,"] > found[""] + 0.05


def test_fast_scan_rabitq_aborts_on_float_queries() -> None:
    done = in_a_child(
        "i = faiss.index_factory(16, 'RR,IVF4,RaBitQfs')\ni.train(x); i.add(x)\n"
        "faiss.downcast_index(faiss.extract_index_ivf(i)).qb = 0\ni.search(x[:100], 5)"
    )
    assert done.returncode < 0
    assert "qb > 0" in done.stderr


NSG = "i = faiss.index_factory(16, 'NSG16,Flat')\ni.GK, i.build_type = 16, {kind}\ni.add({base})\n"


@pytest.mark.fault(17, 18)
def test_nsg_hangs() -> None:
    """Why search_L and k above n, and equal vectors, are kept from it."""
    built = "print('built', flush=True)\n"
    codes = [
        NSG.format(kind=0, base="x") + built + "i.nsg.search_L = 301\ni.search(x[:1], 5)",
        NSG.format(kind=0, base="x") + built + "i.search(x[:1], 301)",
        built + NSG.format(kind=1, base="np.repeat(x[:1], 300, axis=0)"),
    ]
    children = [subprocess.Popen([sys.executable, "-c", HEAD + code], stdout=subprocess.PIPE) for code in codes]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == b"built\n"
        time.sleep(3)
        assert [child.poll() for child in children] == [None] * 3
    finally:
        for child in children:
            child.kill()
            child.communicate()


def test_nsg_by_brute_force_fails_on_duplicates() -> None:
    done = in_a_child(NSG.format(kind=0, base="np.repeat(x[:150], 2, axis=0)"))
    assert done.returncode == 1
    assert "too many invalid entries" in done.stderr


def test_nsg_by_inner_product_returns_an_id_twice() -> None:
    from annbench.testing.examples import example

    data = example("dense")
    index = faiss.index_factory(data.dim, "NSG32,Flat", faiss.METRIC_INNER_PRODUCT)
    index.GK = 20
    index.nndescent_L, index.nndescent_R, index.nndescent_iter = 70, 20, 5
    faiss.omp_set_num_threads(1)
    index.add(data.base)
    index.nsg.search_L = 150
    ids = index.search(data.queries, 10)[1].tolist()
    assert any(len(set(row)) < len(row) for row in ids)


def test_binary_ivf_without_heap_or_by_list() -> None:
    bits = np.random.default_rng(RNG_SEED).integers(0, 256, (500, 8), dtype=np.uint8)
    quantizer = faiss.IndexBinaryFlat(64)
    index = faiss.IndexBinaryIVF(quantizer, 64, 8)
    index.train(bits)
    index.add(bits)
    index.nprobe = 4
    index.use_heap = False
    assert (index.search(bits[:20], 5)[1] == -1).all()
    index.use_heap, index.per_invlist_search = True, True
    with pytest.raises(RuntimeError, match="nbucket"):
        index.search(bits[:1], 5)


def test_half_precision_ends_at_65504() -> None:
    base = np.random.default_rng(RNG_SEED).standard_normal((200, 8), np.float32) * np.float32(1e6)
    index = faiss.index_factory(8, "IVF1,SQfp16")
    index.train(base)
    index.add(base)
    assert (index.search(base[:5], 3)[1] == -1).all()
