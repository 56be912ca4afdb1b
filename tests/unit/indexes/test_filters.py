"""Searches that may find some ids only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from index_data import LEGAL, LISTS, PCA, SEED, SPECS, K, N, Q, X, recall, truth

import annbench
from annbench.errors import UsageError
from annbench.indexes.index import Index
from annbench.indexes.structures import DEFAULT_SLACK

SHARES = (0.7, 0.2, 0.005)
# Everything in sight: then an answer with a filter is the rest of the one without.
ALL: dict[str, Any] = {"rerank_k": N, "ef_search": N, "epsilon": 100}


def drawn(share: float, seed: int = 3) -> np.ndarray:
    """Some ids."""
    return np.flatnonzero(np.random.default_rng(seed).random(N) < share)


@pytest.fixture(scope="module")
def graph() -> Index:
    slots: dict[str, Any] = {"transform": PCA, "codec": "uniform", "rerank": "float16", "structure": "graph"}
    return Index.build(X, seed=SEED, threads=1, **slots)


@pytest.mark.parametrize(("name", "metric"), LEGAL)
def test_an_answer_is_what_the_filter_leaves_of_the_whole_ranking(name: str, metric: str) -> None:
    index = Index.build(X, metric, **SPECS[name][0], seed=SEED, threads=1)
    how = {**ALL, "nprobe": index.spec.nlist}
    queries = Q[:8]
    ranked, distances = index.search(queries, N, **how)
    for share in SHARES:
        ids = drawn(share)
        found, near = index.search(queries, K, allowed=ids, **how)
        for row in range(len(queries)):
            left = np.isin(ranked[row], ids)
            assert near[row] == pytest.approx(distances[row][left][:K], rel=1e-5, abs=1e-5)
            assert np.isin(found[row], ids).all()
        one = index.search(queries[0], K, allowed=ids, **how)
        assert np.array_equal(one[0], found[0])
        assert np.array_equal(index.search(queries[0], K, allowed=ids, threads=2, **how)[0], found[0])


def test_graphs_find_what_passes(graph: Index) -> None:
    true = truth("euclidean", Q, X)
    for share in (0.9, 0.5, *SHARES):
        ids = drawn(share)
        found = graph.search(Q, K, ef_search=40, rerank_k=40, allowed=ids)[0]
        assert np.isin(found, ids).all()
        distances = np.full_like(true, np.inf)
        distances[:, ids] = true[:, ids]
        assert recall(found, np.where(np.isinf(distances), 1e9, distances)) >= 0.97


def test_a_filter_that_passes_all_changes_nothing(graph: Index) -> None:
    every = annbench.Filter(np.ones(N, dtype=bool))
    assert len(every) == N
    plain = graph.search(Q, K, ef_search=20)
    for allowed in (every, np.arange(N), np.arange(3 * N)):
        assert np.array_equal(graph.search(Q, K, ef_search=20, allowed=allowed)[0], plain[0])


def test_masks_and_ids_in_any_order_are_the_same(graph: Index) -> None:
    ids = drawn(0.3)
    mask = np.zeros(N, dtype=bool)
    mask[ids] = True
    expected = graph.search(Q, K, allowed=ids)[0]
    for same in (mask, mask[: ids[-1] + 1], ids[::-1], np.repeat(ids, 2), ids.tolist(), ids.astype(np.uint16)):
        assert np.array_equal(graph.search(Q, K, allowed=same)[0], expected)
        assert np.array_equal(graph.search(Q[0], K, allowed=annbench.Filter(same))[0], expected[0])


def test_fewer_than_k_are_filled_up(graph: Index) -> None:
    ids, distances = graph.search(Q, K, allowed=[7, 11, 10**15])
    assert (np.sort(ids[:, :2]) == [7, 11]).all()
    assert (ids[:, 2:] == -1).all()
    assert np.isinf(distances[:, 2:]).all()
    for nothing in ([], np.zeros(5, dtype=bool), [N + 1]):
        assert (graph.search(Q, K, allowed=nothing)[0] == -1).all()
        assert (graph.search(Q[0], K, allowed=nothing)[0] == -1).all()


@pytest.mark.parametrize("structure", ["flat", LISTS, "graph"], ids=str)
def test_filters_follow_changes_of_the_index(structure: Any) -> None:
    index = Index.build(X[:1000], structure=structure, seed=SEED, threads=1)
    how = {"nprobe": index.spec.nlist, "ef_search": 2000}
    filter_ = annbench.Filter(np.arange(0, 4000, 2))
    true = truth("euclidean", Q, X)

    def check(there: np.ndarray) -> None:
        found = index.search(Q, K, allowed=filter_, **how)[0]
        passing = there[there % 2 == 0]
        assert np.isin(found, passing).all()
        assert recall(np.searchsorted(passing, found), true[:, passing]) == 1

    check(np.arange(1000))
    index.add(X[1000:1600])
    check(np.arange(1600))
    index.remove(np.arange(100, 500))
    check(np.setdiff1d(np.arange(1600), np.arange(100, 500)))
    index.compact()
    check(np.setdiff1d(np.arange(1600), np.arange(100, 500)))


def test_one_filter_serves_several_indexes_and_threads() -> None:
    indexes = [Index.build(X[: 600 * i], seed=SEED, threads=1) for i in (1, 2, 3)]
    filter_ = annbench.Filter(drawn(0.4))
    alone = [index.search(Q, K, allowed=drawn(0.4))[0] for index in indexes]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: indexes[i % 3].search(Q, K, allowed=filter_)[0], range(60)))
    for i, ids in enumerate(found):
        assert np.array_equal(ids, alone[i % 3])


def test_large_ids_need_no_large_memory() -> None:
    own = np.arange(N, dtype=np.int64) * 10**14
    index = Index.build(X, ids=own, seed=SEED, threads=1)
    found = index.search(Q, K, allowed=own[::3])[0]
    assert np.isin(found, own[::3]).all()
    assert np.isin(found, index.search(Q, N, nprobe=index.spec.nlist)[0]).all()


def test_patience_ends_searches_sooner(graph: Index) -> None:
    def hops(**how: Any) -> int:
        graph.native.reset_counts()
        graph.search(Q, K, ef_search=200, **how)
        return graph.native.counts["hops"]

    never = hops()
    assert hops(patience=N) == never
    assert hops(patience=10) < hops(patience=40) < never
    one = graph.search(Q[0], K, ef_search=200, patience=10)[0]
    assert np.array_equal(one, graph.search(Q, K, ef_search=200, patience=10)[0][0])


def counted(index: Index, **how: Any) -> int:
    """Nodes that searches of all queries expand."""
    index.native.reset_counts()
    index.search(Q, K, **how)
    return index.native.counts["hops"]


def test_slack_ends_searches_sooner(graph: Index) -> None:
    def hops(**how: Any) -> int:
        return counted(graph, **how)

    never = hops(ef_search=200)
    assert hops(ef_search=200, slack=1000) == never < hops(slack=1000)
    assert hops(slack=0) < hops(slack=0.1) < hops(slack=0.3) < never
    assert hops(slack=0.3, ef_search=10) < hops(slack=0.3)
    one = graph.search(Q[0], K, slack=0.1)[0]
    assert np.array_equal(one, graph.search(Q, K, slack=0.1)[0][0])
    assert np.array_equal(one, graph.search(Q.astype(np.float64), K, slack=0.1)[0][0])


@pytest.mark.parametrize(
    ("metric", "transform", "codec", "rerank"),
    [
        ("euclidean", "identity", "float32", "none"),
        ("euclidean", {"kind": "identity", "center": True}, {"kind": "uniform", "bits": 8}, "none"),
        ("cosine", {"kind": "pca", "dim": 12, "rotate": True}, {"kind": "uniform", "bits": 4}, "float32"),
        ("cosine", "random-rotation", {"kind": "uniform", "bits": 8}, "float16"),
    ],
)
def test_slack_is_of_distances(metric: str, transform: Any, codec: Any, rerank: Any) -> None:
    """Of vectors as long as you like: a search that looks 2 % beyond the nearest ends soon, and finds nearly all."""
    index = Index.build(
        40 * X + 5, metric, transform=transform, codec=codec, structure="graph", rerank=rerank, seed=SEED, threads=1
    )
    exact = index.search(40 * Q + 5, K, ef_search=N)[0]
    index.native.reset_counts()
    found = index.search(40 * Q + 5, K, slack=0.05)[0]
    assert 0 < index.native.counts["hops"] < len(Q) * N / 8
    assert np.mean([np.isin(a, b).mean() for a, b in zip(found, exact, strict=True)]) > 0.9


@pytest.mark.parametrize("slack", [-0.1, 1001, True, "a", float("nan")])
def test_slack_is_a_number(graph: Index, slack: Any) -> None:
    with pytest.raises(UsageError, match="slack"):
        graph.search(Q, K, slack=slack)


def test_searches_end_by_slack_where_nothing_is_said(graph: Index) -> None:
    assert counted(graph) == counted(graph, slack=DEFAULT_SLACK) == counted(graph, slack=DEFAULT_SLACK, ef_search=1000)
    assert counted(graph, ef_search=500) > counted(graph)
    assert f"slack {DEFAULT_SLACK:g}, ef_search 1,000 at most" in repr(graph)


def test_half_of_all_are_walked_to_however_far_slack_may_go() -> None:
    """A scan is for what takes a walk longer, and slack seldom takes 1,000 nodes."""
    index = Index.build(X, structure={"kind": "graph", "degree": 2, "entries": 1}, seed=SEED, threads=1)
    assert counted(index, allowed=drawn(0.9), slack=0.02) > len(Q)
    assert counted(index, allowed=drawn(0.9), ef_search=1000) == 0


def test_inner_products_have_no_slack() -> None:
    index = Index.build(X, "ip", structure="graph", seed=SEED, threads=1)
    assert counted(index) == counted(index, ef_search=64)
    assert "ef_search 64" in repr(index)
    with pytest.raises(UsageError, match="inner products"):
        index.search(Q, K, slack=0.1)


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ([0.5], "dtype float64"),
        (["a"], "dtype <U1"),
        ([-1, 3], "id -1"),
        (np.array([1 << 63], dtype=np.uint64), "id 9223372036854775808"),
        ([[1, 2]], r"shape \(1, 2\)"),
        (3, r"shape \(\)"),
    ],
)
def test_what_names_no_ids_is_refused(graph: Index, allowed: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        graph.search(Q, K, allowed=allowed)
    with pytest.raises(UsageError, match=message):
        annbench.Filter(allowed)


@pytest.mark.parametrize("patience", [-1, 1.5, True, "a"])
def test_patience_is_a_whole_number(graph: Index, patience: Any) -> None:
    with pytest.raises(UsageError, match="patience"):
        graph.search(Q, K, patience=patience)
