"""Indexes with a graph that are added to and removed from."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_data import PCA, SEED, SPECS, K, N, Q, X, draw, recall, truth

from annbench.errors import AnnbenchError, UsageError
from annbench.indexes.index import Index
from annbench.indexes.spec import METRICS

NONE = 2**32 - 1
SOME = 1000  # of N, where everything is replaced many times
FEW: dict[str, Any] = {"kind": "graph", "degree": 16, "candidates": 32, "entries": 8}
ENOUGH: dict[str, Any] = {**FEW, "candidates": 64}
CODES: dict[str, Any] = {"transform": PCA, "codec": "uniform", "rerank": "float16"}


def graph_index(x: np.ndarray, metric: str = "euclidean", **slots: Any) -> Index:
    return Index.build(x, metric, **{"structure": FEW, "seed": SEED, "threads": 1, **slots})


class Churned:
    """An index, and the vectors that must be in it by their ids."""

    def __init__(self, x: np.ndarray, metric: str, **slots: Any) -> None:
        self.index = graph_index(x, metric, **slots)
        self.metric, self.slots = metric, slots
        self.rows = dict(enumerate(x))
        self.random = np.random.default_rng(3)

    def replace(self, fresh: np.ndarray) -> None:
        """As many at random by others."""
        gone = self.random.choice(np.sort(self.index.ids), len(fresh), replace=False)
        self.index.remove(gone)
        for one in gone.tolist():
            del self.rows[one]
        self.rows.update(zip(self.index.add(fresh).tolist(), fresh, strict=True))

    def recall(self, index: Index, **how: Any) -> float:
        ids = np.sort(np.fromiter(self.rows, dtype=np.int64))
        base = np.stack([self.rows[i] for i in ids.tolist()])
        found = index.search(Q, K, **how)[0]
        assert np.isin(found, ids).all()
        return recall(np.searchsorted(ids, found), truth(self.metric, Q, base))

    def built_anew(self) -> Index:
        ids = np.fromiter(self.rows, dtype=np.int64)
        return graph_index(np.stack(list(self.rows.values())), self.metric, ids=ids, **self.slots)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["float32", "codes"])
def test_after_everything_was_replaced_five_times_it_finds_what_a_new_graph_finds(
    name: str, metric: str, tmp_path: Path
) -> None:
    # Links are chosen among more than a cluster has. Among fewer, those to other clusters get lost in time, which shows
    # with little in sight: how much depends on which vectors come and go, so no bound on it tells good rules from bad.
    churned = Churned(X[:SOME], metric, **{"structure": ENOUGH, **({} if name == "float32" else CODES)})
    for round in range(25):
        churned.replace(draw(SOME // 5, 100 + round))
    assert len(churned.index) == SOME
    anew = churned.built_anew()
    for ef, less in ((10, 0.03), (20, 0.015), (40, 0.01)):
        how = {"ef_search": ef, "rerank_k": 2 * K}
        assert churned.recall(churned.index, **how) >= churned.recall(anew, **how) - less
    exact = 0.995 if name == "codes" else 1  # halves round
    assert churned.recall(churned.index, ef_search=N, rerank_k=N) >= exact
    before = churned.index.search(Q, K, ef_search=N)
    churned.index.save(tmp_path / "index")
    again = Index.load(tmp_path / "index")
    for answer, other in zip(before, again.search(Q, K, ef_search=N), strict=True):
        assert np.array_equal(answer, other)
    churned.index = again
    churned.replace(draw(SOME // 5, 99))
    assert churned.recall(again, ef_search=N, rerank_k=N) >= exact


@pytest.mark.parametrize("name", [name for name, (slots, _) in SPECS.items() if "structure" not in slots])
def test_links_follow_whatever_is_kept_of_vectors(name: str) -> None:
    slots = SPECS[name][0]
    index = graph_index(X[:700], **slots)
    index.remove(np.arange(100, 300))
    index.add(X[700:1000], ids=np.arange(700, 1000))
    here = np.r_[0:100, 300:1000]
    flat = Index.build(X[here], ids=here, seed=SEED, threads=1, **slots)
    true = truth("euclidean", Q, X)
    how = {"rerank_k": 100}
    exhaustive, along = (one.search(Q, K, ef_search=200, **how)[0] for one in (flat, index))
    assert np.isin(along, here).all()
    assert recall(along, true[:, :1000]) >= recall(exhaustive, true[:, :1000]) - 0.05


@pytest.mark.parametrize("metric", METRICS)
def test_a_graph_grown_from_nothing_finds_nearly_all(metric: str) -> None:
    index = graph_index(X[:0], metric)
    assert (index.search(Q, K)[0] == -1).all()
    assert np.array_equal(index.add(X), np.arange(N))
    assert recall(index.search(Q, K, ef_search=60)[0], truth(metric, Q, X)) >= 0.95
    assert recall(index.search(Q, K, ef_search=N)[0], truth(metric, Q, X)) == 1


@pytest.mark.parametrize("built", [SOME, 2 * SOME])
def test_what_lies_apart_is_led_to(built: int) -> None:
    """Pruning alone leaves all but a few of these with the one link that makes them reachable."""
    x = draw(2 * SOME, 5)
    x[::10] *= 4
    index = graph_index(x[:built], **CODES)
    for start in range(built, len(x), 100):
        index.add(x[start : start + 100])
    links = index.native.links
    assert links is not None
    led = np.bincount(links[links != NONE], minlength=len(x))[::10]
    assert (led >= 2).mean() >= 0.75
    assert np.median(led) >= 4


def test_the_same_whatever_the_threads() -> None:
    both = [graph_index(X[:1500], **CODES) for _ in range(2)]
    for index, threads in zip(both, (1, 3), strict=True):
        index.remove(np.arange(0, 600, 2), threads=threads)
        index.add(X[1500:], threads=threads)
        index.compact(threads=threads)
    assert np.array_equal(both[0].native.links, both[1].native.links)  # type: ignore[arg-type]
    for mine, other in zip(both[0].search(Q, K), both[1].search(Q, K), strict=True):
        assert np.array_equal(mine, other)


def test_what_is_removed_is_gone_at_once_and_its_id_is_free() -> None:
    index = graph_index(X)
    nearest = index.search(Q, K, ef_search=N)[0]
    gone = np.unique(nearest[:, :2])
    assert index.remove(gone) == len(gone)
    assert len(index) == len(index.ids) == N - len(gone)
    assert not np.isin(index.search(Q, K)[0], gone).any()
    assert not np.isin(index.search(Q, N)[0], gone).any()
    with pytest.raises(UsageError, match="no vector"):
        index.remove(gone[:1])
    index.add(X[gone], ids=gone)
    assert np.array_equal(np.sort(index.ids), np.arange(N))
    assert np.array_equal(index.search(Q, K, ef_search=N)[0], nearest)


def test_a_removed_neighbourhood_is_seen_past() -> None:
    index = graph_index(X)
    near = index.search(Q[0], N // 12, ef_search=N)[0]
    index.remove(near)
    assert index.native.links is not None
    assert len(index.native.links) == N  # too few to be cleared out
    ids, _ = index.search(Q[0], K, ef_search=1)
    assert (ids >= 0).all()
    assert not np.isin(ids, near).any()


def test_the_removed_are_cleared_out_when_they_are_many() -> None:
    index = graph_index(X)
    index.remove(np.arange(N // 10))
    before = index.native.links
    assert before is not None
    assert len(before) == N
    index.remove([N // 10])
    links = index.native.links
    assert links is not None
    assert len(links) == N - N // 10 - 1
    assert (links[links != NONE] < len(links)).all()
    index.remove(index.ids)
    assert len(index) == 0
    assert (index.search(Q, K)[0] == -1).all()
    first = index.add(X[:50])[0]
    assert recall(index.search(Q, K)[0] - first, truth("euclidean", Q, X[:50])) == 1


@pytest.mark.parametrize("structure", ["graph", "flat"])
def test_memory_that_was_reserved_is_enough(structure: str) -> None:
    index = Index.build(X[:500], structure=structure, rerank="float16", seed=SEED, threads=1)
    index.reserve(1500)
    reserved = {part: index.nbytes_by_part[part] for part in ("codes", "rerank", "ids")}
    assert reserved["codes"] >= 1500 * 4 * X.shape[1]
    answers = index.search(Q, K, ef_search=500)[0]
    index.add(X[500:1500])
    assert {part: index.nbytes_by_part[part] for part in reserved} == reserved
    index.reserve(10)
    index.remove(np.arange(500, 1500))
    assert np.array_equal(index.search(Q, K, ef_search=1500)[0], answers)
    for wrong in (-1, 1.5, 1 << 40):
        with pytest.raises(UsageError, match="n: "):
            index.reserve(wrong)  # type: ignore[arg-type]


def test_compact_gives_memory_back() -> None:
    index = graph_index(X)
    before = index.nbytes
    index.add(draw(300, 7))
    index.remove(np.arange(100))
    assert index.nbytes_by_part["graph"] > (N + 300) * 4 * FEW["degree"]
    index.compact()
    assert index.nbytes == pytest.approx(before * (N + 200) / N, rel=0.01)
    assert index.native.links is not None
    assert len(index.native.links) == N + 200


def test_under_inner_product_a_vector_far_longer_than_the_others_breaks_nothing() -> None:
    index = graph_index(X, "ip")
    longest = X[3] * 1000
    (own,) = index.add(longest[None]).tolist()
    index.add(draw(200, 8))
    index.remove(np.arange(1000))
    x = np.concatenate([X[1000:], longest[None], draw(200, 8)])
    ids = index.search(Q, K, ef_search=80)[0]
    positive = Q @ longest > 0
    assert (ids[positive, 0] == own).all()
    anew = graph_index(x, "ip").search(Q, K, ef_search=80)[0]
    assert recall(ids - 1000, truth("ip", Q, x)) >= recall(anew, truth("ip", Q, x)) - 0.01
    assert recall(index.search(Q, K, ef_search=N)[0] - 1000, truth("ip", Q, x)) == 1


@pytest.mark.fault(15, 20)
@pytest.mark.parametrize("name", ["nan", "another dim", "an id in use", "ids twice", "too large for halves"])
def test_what_cannot_be_added_changes_nothing(name: str) -> None:
    index = graph_index(X[:500], **CODES)
    x, ids = X[500:560].copy(), np.arange(500, 560)
    if name == "nan":
        x[40, 3] = np.nan
    elif name == "another dim":
        x = x[:, 1:]
    elif name == "an id in use":
        ids[50] = 3
    elif name == "ids twice":
        ids[50] = 501
    else:
        x[59] *= 1e6
    before, links = index.search(Q, K, ef_search=500), index.native.links
    with pytest.raises(AnnbenchError):
        index.add(x, ids)
    for mine, other in zip(before, index.search(Q, K, ef_search=500), strict=True):
        assert np.array_equal(mine, other)
    assert len(index) == 500
    assert links is not None
    index.add(X[500:560])
    assert len(index) == 560


def test_an_interrupt_takes_back_what_was_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annbench.indexes.building.ADDED_ROWS", 100)
    index = graph_index(X[:500])
    native = index.native
    steps = iter(range(3))

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            return getattr(native, name)

        def __len__(self) -> int:
            return len(native)

        def add(self, *arguments: Any, **named: Any) -> None:
            if next(steps) == 2:
                raise KeyboardInterrupt
            native.add(*arguments, **named)

    index._native = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        index.add(X[500:1000])
    index._native = native
    assert np.array_equal(np.sort(index.ids), np.arange(500))
    assert recall(index.search(Q, K, ef_search=500)[0], truth("euclidean", Q, X[:500])) == 1
    assert index.add(X[500:1000])[0] >= 500


@pytest.mark.fault(34)
def test_searches_meanwhile_find_nothing_that_was_removed_before(tmp_path: Path) -> None:
    index = graph_index(X[:SOME], **CODES)
    gone = 0  # ids below it were removed
    over = threading.Event()
    troubles: list[str] = []

    def search() -> None:
        while not over.is_set():
            removed = gone
            ids, distances = index.search(Q[:10], K)
            if not (ids >= removed).all() or not (np.diff(distances, axis=1) >= 0).all():
                troubles.append(f"{ids.min()} after {removed}")

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for start in range(0, 2 * SOME, 100):
        index.add(draw(100, start), threads=2)
        index.remove(np.arange(start, start + 100))
        gone = start + 100
        if start == SOME:
            index.save(tmp_path / "index")
    over.set()
    for thread in threads:
        thread.join()
    assert not troubles
    assert np.array_equal(np.sort(index.ids), np.arange(2 * SOME, 3 * SOME))
    assert len(Index.load(tmp_path / "index")) == SOME
    assert index.search(Q, SOME, ef_search=SOME)[0].min() >= 2 * SOME
