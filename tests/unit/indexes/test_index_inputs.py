"""What vectors, ids, queries and parameters annbench.Index takes, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_data import DIM, EXACT, LEGAL, ONLY_DISTANCES, SEED, SPECS, K, N, Q, X, everything, recall, truth

from annbench.errors import DatasetError, UnknownNameError, UsageError
from annbench.indexes.index import Index
from annbench.indexes.spec import METRICS

# ---- ids


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2], r"have shape \(2,\); give one a vector: \(3,\)"),
        ([1, 2, -1], "ids: 2: id -1 is negative"),
        ([7, 8, 7], "ids: 2: id 7 is given twice"),
        ([0.0, 1.0, 2.0], "give int64"),
        ([1, 2, 2**63], "give int64"),
        (["a", "b", "c"], "give int64"),
    ],
)
def test_ids_that_cannot_be(ids: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Index.build(X[:3], ids=ids)


def test_ids_are_the_callers() -> None:
    own = np.array([2**62, 3, 17], dtype=np.int64)
    index = Index.build(X[:3], ids=own)
    assert index.search(X[1], 1)[0].tolist() == [3]
    assert index.search(X[0], 3)[0][0] == 2**62
    assert index.add(X[3:5]).tolist() == [2**62 + 1, 2**62 + 2]
    with pytest.raises(UsageError, match="ids: 1: id 17 is in use"):
        index.add(X[5:7], ids=[99, 17])
    assert len(index) == 5
    with pytest.raises(UsageError, match="98"):
        index.remove([17, 98])
    assert len(index) == 5
    with pytest.raises(UsageError, match="given twice"):
        index.remove([17, 17])
    assert index.remove(17) == 1
    assert 17 not in index.search(X[2], 5)[0]
    assert index.remove([]) == 0
    assert index.add(X[:0]).tolist() == []


@pytest.mark.parametrize("codec", ["float32", {"kind": "uniform", "bits": 8}])
def test_ids_beyond_4_bytes_live_beside_small_ones(codec: Any, tmp_path: Path) -> None:
    index = Index.build(X[:300], codec=codec, structure={"kind": "ivf", "nlist": 3}, rerank="float32", seed=SEED)
    assert index.nbytes_by_part["ids"] == 4 * 300
    wide = [2**32 - 1, 2**32, 2**32 + 1, 2**62]
    index.add(X[300:304], ids=wide)
    index.remove([5, 2**32 + 1])
    kept = {row: id for row, id in enumerate([*range(300), *wide]) if id not in (5, 2**32 + 1)}
    index.save(tmp_path / "index")
    again = Index.load(tmp_path / "index")
    index.native.compact()
    for one in (index, again):
        assert sorted(one.ids.tolist()) == sorted(kept.values())
        assert everything(one, X[list(kept)], 1)[0][:, 0].tolist() == list(kept.values())
        assert 4 * 302 < one.nbytes_by_part["ids"] <= 8 * 302
        one.remove([2**32, 2**62])
        one.save(tmp_path / "narrow")  # from lists that are still wide
        one.native.compact()
        for narrow in (one, Index.load(tmp_path / "narrow")):
            assert narrow.nbytes_by_part["ids"] == 4 * 300
            assert everything(narrow, X[300:301], 1)[0][0] == 2**32 - 1
        assert narrow.add(X[304:305]) == [2**32]


# ---- what vectors and queries look like


@pytest.mark.fault(20)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", ">f2", "i1", "u1", "<f8", ">f8"])
@pytest.mark.parametrize("layout", ["C", "F", "backwards", "strided", "read-only"])
def test_vectors_of_any_dtype_and_layout(dtype: str, layout: str) -> None:
    whole = np.random.default_rng(SEED).integers(0, 100, size=(300, 9))
    plain = whole.astype(np.float32)
    arranged = {
        "C": lambda x: np.ascontiguousarray(x),
        "F": lambda x: np.asfortranarray(x),
        "backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
        "strided": lambda x: np.repeat(np.repeat(x, 2, axis=1), 3, axis=0)[::3, ::2],
        "read-only": lambda x: x.copy(),
    }[layout](whole.astype(dtype))
    arranged.flags.writeable = layout != "read-only"
    known = Index.build(plain).search(plain[:20], 5)
    index = Index.build(arranged)
    for queries in (plain[:20], arranged[:20]):
        for mine, expected in zip(index.search(queries, 5), known, strict=True):
            assert np.array_equal(mine, expected)
    assert np.array_equal(index.search(arranged[3], 5)[0], known[0][3])


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 4), np.int32), "x: has dtype int32; give one of"),
        (np.zeros((3, 4), np.complex64), "has dtype complex64"),
        (np.array([["a", "b"]]), "has dtype <U1"),
        (np.array([[1, None]], dtype=object), "has dtype object"),
        (np.zeros(4, np.float32), r"has shape \(4,\); give rows"),
        (np.zeros((3, 0), np.float32), "give rows"),
        (np.zeros((3, 4, 5), np.float32), "give rows"),
        (np.zeros((3, 4), bool), "has dtype bool"),
    ],
)
def test_vectors_that_are_none(x: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Index.build(x)


@pytest.mark.fault(20)
def test_queries_of_the_wrong_kind() -> None:
    index = Index.build(X)
    for query, message in (
        (Q[0][:-1], "q: has dim 47; give vectors of dim 48"),
        (Q[:, :-1], "has dim 47"),
        (Q[0].astype(np.int64), "has dtype int64"),
        (np.float32(3), "has shape"),
        (Q[None], "has shape"),
        ("query", "has dtype"),
        (None, "has dtype object"),
    ):
        with pytest.raises(UsageError, match=message):
            index.search(query)
        with pytest.raises(UsageError):
            index.add(query)
    assert np.array_equal(index.search(Q[0].tolist())[0], index.search(Q[0])[0])
    assert np.array_equal(index.search(Q.astype(np.float64))[0], index.search(Q)[0])


@pytest.mark.fault(15)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.finfo(np.float32).max])
@pytest.mark.parametrize("metric", METRICS)
def test_values_without_a_distance_name_their_row(value: float, metric: str) -> None:
    broken = X.copy()
    broken[[7, 9], 3] = value
    with pytest.raises(DatasetError, match="x: row 7"):
        Index.build(broken, metric)
    index = Index.build(X, metric)
    with pytest.raises(DatasetError, match="x: row 7"):
        index.add(broken)
    with pytest.raises(DatasetError, match="q: row 7"):
        index.search(broken[:10])
    if metric != "cosine" or not np.isfinite(value):  # one that is only long has a direction
        with pytest.raises(DatasetError, match="q: row 0"):
            index.search(broken[7])
    with pytest.raises(DatasetError, match="queries: row 7"):
        Index.build(X, metric, transform={"kind": "leanvec-ood", "dim": 8}, queries=broken)
    assert len(index) == N
    wide = X.astype(np.float64)
    wide[4, 4] = 1e300
    with pytest.raises(DatasetError, match="x: row 4"):
        Index.build(wide, metric)


@pytest.mark.fault(15)
def test_what_a_transform_makes_too_large_names_its_row() -> None:
    # One direction of next to no variance, which whitening amplifies, and one vector that is far out in it.
    x = X[:500].copy()
    x[:, 0] = 1e-12 * x[:, 0]
    index = Index.build(x, transform={"kind": "whitening", "dim": DIM})
    x[3, 0] = 1e18
    with pytest.raises(UsageError, match="x: row 3: is mapped beyond float32"):
        index.add(x)


@pytest.mark.fault(15)
@pytest.mark.parametrize(("name", "metric"), LEGAL)
def test_the_ends_of_float32(name: str, metric: str) -> None:
    for scale in (1e-40, 1e17):
        x = X[:300] * np.float32(scale)
        index = Index.build(x, metric, seed=SEED, threads=1, **SPECS[name][0])
        ids, distances = everything(index, x[:5])
        assert ((ids >= 0) & (ids < 300)).all()
        assert not np.isnan(distances).any()
        if name in EXACT and scale > 1:
            assert recall(ids, truth(metric, x[:5], x)) == 1


@pytest.mark.fault(16)
@pytest.mark.parametrize("name", SPECS)
def test_zero_vectors_under_cosine(name: str, tmp_path: Path) -> None:
    x = X[:400].copy()
    x[::50] = 0
    if name in ONLY_DISTANCES:
        refused = "row 0: has length zero, whose cosine is no distance.* leave such rows out, or use another"
        with pytest.raises(UsageError, match=refused):
            Index.build(x, "cosine", **SPECS[name][0])
        index = Index.build(X[:400], "cosine", seed=SEED, threads=1, **SPECS[name][0])
        with pytest.raises(UsageError, match=refused):
            index.add(x[:60])
        assert len(index) == 400
        assert len(Index.build(x, "euclidean", seed=SEED, threads=1, **SPECS[name][0])) == 400
        return
    index = Index.build(x, "cosine", seed=SEED, threads=1, **SPECS[name][0])
    assert index.zero_ids.tolist() == list(range(0, 400, 50))
    assert "8 vectors of length zero, at distance 1 from everything: ids 0, 50, 100, 150, 200, …" in repr(index)
    ids, distances = everything(index, x[1], 400)
    where = {int(i): float(d) for i, d in zip(ids, distances, strict=True)}
    assert [where[i] for i in range(0, 400, 50)] == pytest.approx([1] * 8, abs=1e-5 if name in EXACT else 0.1)
    ids, distances = everything(index, np.zeros(DIM, np.float32))
    assert len(set(ids.tolist())) == K
    assert distances == pytest.approx(np.ones(K))
    index.remove([50])
    index.add(np.zeros((1, DIM)), ids=[1000])
    assert index.zero_ids.tolist() == [0, *range(100, 400, 50), 1000]
    index.save(tmp_path / "index")
    again = Index.load(tmp_path / "index")
    for one in (index, again):
        one.remove([0])
        one.add(np.zeros((1, DIM)), ids=[2000])
        assert one.zero_ids.tolist() == [*range(100, 400, 50), 1000, 2000]
        ids, distances = everything(one, x[1], 400)
        where = {int(i): float(d) for i, d in zip(ids, distances, strict=True)}
        assert [where[i] for i in (100, 1000, 2000)] == pytest.approx([1] * 3, abs=1e-5 if name in EXACT else 0.1)
    for mine, other in zip(everything(index, x[:50]), everything(again, x[:50]), strict=True):
        assert np.array_equal(mine, other)
    again.save(tmp_path / "index")
    assert Index.load(tmp_path / "index").zero_ids.tolist() == again.zero_ids.tolist()
    assert repr(Index.load(tmp_path / "index")).splitlines()[-1] == repr(again).splitlines()[-1]
    assert len(Index.build(x, "euclidean").zero_ids) == 0


@pytest.mark.fault(17)
@pytest.mark.parametrize(("name", "metric"), LEGAL)
def test_vectors_that_are_equal(name: str, metric: str) -> None:
    slots, least = SPECS[name]
    for x in (np.repeat(X[:1], 300, axis=0), np.repeat(X[:150], 2, axis=0)):
        index = Index.build(x, metric, seed=SEED, threads=1, **slots)
        ids, distances = everything(index, Q[:10])
        assert all(len(set(row)) == K for row in ids.tolist())
        assert np.isfinite(distances).all()
        assert recall(ids, truth(metric, Q[:10], x)) >= (1 if least == 1 else 0.2)


@pytest.mark.fault(18)
@pytest.mark.parametrize("name", SPECS)
def test_more_neighbours_than_vectors(name: str) -> None:
    slots = dict(SPECS[name][0])
    index = Index.build(X[:40], seed=SEED, threads=1, **slots)
    for ids, distances in (everything(index, Q, 60), [part[None] for part in everything(index, Q[0], 60)]):
        assert (np.sort(ids[:, :40], axis=1) == np.arange(40)).all()
        assert (ids[:, 40:] == -1).all()
        assert np.isinf(distances[:, 40:]).all()
        assert np.isfinite(distances[:, :40]).all()


@pytest.fixture(scope="module")
def index_of_four() -> Index:
    return Index.build(X[:100], codec="uniform", structure={"kind": "ivf", "nlist": 4}, rerank="uniform")


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"k": 0}, "k: got 0; give a whole number of at least 1"),
        ({"k": -1}, "k: got -1"),
        ({"k": 2.5}, "k: got 2.5"),
        ({"k": "ten"}, "k: got 'ten'"),
        ({"k": None}, "k: got None"),
        ({"nprobe": 0}, "nprobe: got 0"),
        ({"nprobe": -3}, "nprobe: got -3"),
        ({"rerank_k": -1}, "rerank_k: got -1"),
        ({"rerank_k": 1.5}, "rerank_k: got 1.5"),
        ({"epsilon": -1.0}, "epsilon: got -1.0"),
        ({"epsilon": float("nan")}, "epsilon: got nan"),
        ({"epsilon": "big"}, "epsilon: got 'big'"),
        ({"threads": 0}, "threads: got 0"),
    ],
)
def test_searches_that_cannot_be(index_of_four: Index, how: dict[str, Any], message: str) -> None:
    index = index_of_four
    for queries in (Q[0], Q):
        with pytest.raises(UsageError, match=message):
            index.search(queries, **how)
    assert np.array_equal(index.search(Q[0], np.int64(3), nprobe=np.int32(2))[0], index.search(Q[0], 3, nprobe=2)[0])
    assert np.array_equal(index.search(Q[0], nprobe=99)[0], index.search(Q[0], nprobe=4)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "cosin"}, "did you mean cosine"),
        ({"metric": "hamming"}, "unknown metric"),
        ({"preset": "lvqq"}, "did you mean lvq"),
        ({"codec": {"kind": "uniform", "bits": 12}}, "bits = 12"),
        ({"structure": {"kind": "ivf", "nlist": 5000}}, "set nlist <= 2000"),
        ({"transform": {"kind": "pca", "dim": 49}}, "set dim <= 48"),
        ({"queries": np.zeros((3, 4), np.float32)}, "queries: has dim 4"),
        ({"seed": -1}, "seed: got -1"),
        ({"threads": 0}, "threads: got 0"),
    ],
)
def test_builds_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=message):
        Index.build(X, **arguments)


@pytest.mark.fault(19)
@pytest.mark.parametrize("metric", METRICS)
def test_no_vectors_and_no_queries(metric: str) -> None:
    index = Index.build(np.empty((0, DIM), np.float32), metric)
    assert len(index) == 0
    assert index.search(Q)[0].tolist() == [[-1] * K] * len(Q)
    assert np.isinf(index.search(Q[0])[1]).all()
    assert "annbench.Index: 0 × 48" in repr(index)
    assert [part.shape for part in index.search(Q[:0], 3)] == [(0, 3), (0, 3)]
    index.add(X[:10])
    assert index.search(X[4], 1)[0].tolist() == ([4] if metric != "ip" else index.search(X[4], 1)[0].tolist())
    with pytest.raises(UsageError):
        Index.build(np.empty((0, DIM), np.float32), metric, preset="pca-rag")


@pytest.mark.fault(19)
@pytest.mark.parametrize("name", SPECS)
def test_one_vector(name: str) -> None:
    slots = dict(SPECS[name][0])
    if isinstance(slots.get("structure"), dict):
        with pytest.raises(UsageError, match="set nlist <= 1, or structure flat"):
            Index.build(X[:1], **slots)
        slots["structure"] = {"kind": "ivf", "nlist": 1}
    index = Index.build(X[:1], seed=SEED, threads=1, **slots)
    assert index.search(Q[0], 2)[0].tolist() == [0, -1]
    assert np.isfinite(index.search(Q[0], 1)[1]).all()


@pytest.mark.fault(19)
@pytest.mark.parametrize("dim", [1, 2, 3, 7, 8, 31, 64, 100, 257])
def test_odd_dimensions(dim: int) -> None:
    random = np.random.default_rng(dim)
    x = random.normal(size=(300, dim)).astype(np.float32)
    true = truth("euclidean", x[:20], x)
    for slots in (
        {},
        {"codec": "float16"},
        {"codec": {"kind": "uniform", "bits": 8}},
        {"codec": {"kind": "uniform", "bits": 3}},
        {"codec": {"kind": "uniform", "scan_bits": 1}, "structure": {"kind": "ivf", "nlist": 4}},
        {"codec": {"kind": "uniform", "residual_bits": 4}},
        {"codec": {"kind": "product", "groups": max(1, dim // 3)}},
        {"codec": "va-file"},
        {"transform": {"kind": "pca", "dim": max(1, dim // 2)}, "codec": "uniform", "rerank": "float32"},
    ):
        index = Index.build(x, seed=SEED, threads=1, **slots)
        ids, _ = everything(index, x[:20], rerank_k=300)
        assert all(len(set(row)) == K for row in ids.tolist())
        assert recall(ids, true) == 1 if slots in ({}, {"codec": "float16"}) else recall(ids, true) > 0.1


@pytest.mark.fault(21)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("metric", METRICS)
def test_integers_in_many_dimensions_are_exact(dtype: Any, metric: str) -> None:
    info = np.iinfo(dtype)
    for dim in (33_026, 65_536):
        x = np.full((12, dim), info.min if dtype is np.int8 else info.max, dtype=dtype)
        for row in range(12):
            x[row, : 300 * row] = info.max if dtype is np.int8 else 0
        true = truth(metric, x[:3].astype(np.float32), x.astype(np.float32))
        ids, distances = Index.build(x, metric).search(x[:3], 5)
        assert recall(ids, true) == 1
        # Sums of so many products are not exact in float32; which are the nearest is.
        scale = max(1.0, float(np.abs(true).max()))
        assert distances == pytest.approx(np.sort(true, axis=1)[:, :5], rel=1e-6, abs=1e-4 * scale)
