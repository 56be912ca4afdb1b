"""Indexes that are searched along a graph."""

from __future__ import annotations

import signal
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_bytes import DTYPE, SHAPE, put, put_entry, reseal, sections
from index_data import DIM, PCA, SEED, K, N, Q, X, draw, recall, truth

from annbench.errors import IndexFileError, UsageError
from annbench.indexes.index import Index
from annbench.indexes.spec import METRICS
from annbench.indexes.structures import DEFAULT_SLACK

NONE = 2**32 - 1
CODES: dict[str, Any] = {"transform": PCA, "codec": "uniform", "rerank": "float16"}


def graph_index(x: np.ndarray, metric: str = "euclidean", **slots: Any) -> Index:
    return Index.build(x, metric, **{"structure": "graph", "seed": SEED, "threads": 1, **slots})


def links_of(index: Index) -> np.ndarray:
    links = index.native.links
    assert links is not None
    return links


@pytest.mark.parametrize("metric", METRICS)
def test_with_everything_in_sight_the_nearest_are_found(metric: str) -> None:
    index = graph_index(X, metric)
    ids, distances = index.search(Q, K, ef_search=N)
    true = truth(metric, Q, X)
    assert recall(ids, true) == 1
    assert distances == pytest.approx(np.take_along_axis(true, ids, axis=1), rel=1e-4, abs=1e-4)
    assert np.array_equal(index.search(Q[3], K, ef_search=N)[0], ids[3])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["float32", "codes", "signs first"])
def test_few_in_sight_find_nearly_all(metric: str, name: str) -> None:
    slots = {
        "float32": {},
        "codes": CODES,
        "signs first": {**CODES, "codec": {"kind": "uniform", "bits": 6, "scan_bits": 1}},
    }[name]
    ids, _ = graph_index(X, metric, **slots).search(Q, K, ef_search=60, rerank_k=40)
    assert recall(ids, truth(metric, Q, X)) >= (0.98 if metric != "ip" else 0.95)


def test_searches_count_what_they_cost() -> None:
    index = graph_index(X, **{**CODES, "rerank": "float16"})
    native = index.native
    assert set(native.counts.values()) == {0}
    index.search(Q, K, ef_search=N, rerank_k=20)
    code, vector, links = index.nbytes_by_part["codes"] // N, 2 * X.shape[1], 4 * links_of(index).shape[1]
    everything = {"hops": N, "distances": N, "reranked": 20, "bytes": N * (code + links) + 20 * vector}
    counts = native.counts
    assert {name: count / len(Q) for name, count in counts.items()} == pytest.approx(everything, rel=0.02)
    index.search(Q[0], K, ef_search=1, rerank_k=K)
    one = {name: count - counts[name] for name, count in native.counts.items()}
    assert 1 <= one["hops"] < 20
    assert one["hops"] < one["distances"] < N / 2
    assert one["reranked"] == K
    native.reset_counts()
    assert set(native.counts.values()) == {0}


def test_few_expanded_still_fill_an_answer() -> None:
    index = graph_index(X[:300], structure={"kind": "graph", "degree": 2, "entries": 1})
    ids, _ = index.search(Q, 50, ef_search=1)
    assert (ids >= 0).all()


def test_more_in_sight_finds_more() -> None:
    index = graph_index(X, structure={"kind": "graph", "degree": 6})
    true = truth("euclidean", Q, X)
    found = [recall(index.search(Q, 1, ef_search=ef)[0], true) for ef in (1, 4, 64)]
    assert found[0] < found[1] < found[2] == 1


def test_turns_and_threads_change_no_answer() -> None:
    index = graph_index(X, **CODES)
    alone = np.stack([index.search(q, K)[0] for q in Q])
    assert np.array_equal(index.search(Q, K)[0], alone)
    assert np.array_equal(index.search(Q, K, threads=3)[0], alone)
    assert np.array_equal(
        index.native.search(Q, K, ef=1000, slack=DEFAULT_SLACK, interleave=1, rerank_k=3 * K)[0], alone
    )
    assert np.array_equal(index.search(Q[0], K, threads=3)[0], alone[0])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["float32", "codes"])
def test_the_same_graph_whatever_the_threads(metric: str, name: str) -> None:
    slots = {} if name == "float32" else CODES
    one, other = (graph_index(draw(3000, 4), metric, threads=threads, **slots) for threads in (1, 3))
    assert np.array_equal(links_of(one), links_of(other))
    for mine, others in zip(one.search(Q, K), other.search(Q, K), strict=True):
        assert np.array_equal(mine, others)


def test_another_seed_is_another_graph() -> None:
    one, other = (links_of(graph_index(X, seed=seed)) for seed in (1, 2))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("phase", ["add", "links", "last"])
def test_an_interrupt_is_heard_between_two_steps(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annbench.indexes.building.ADDED_ROWS", 100)
    told: list[tuple[str, int]] = []

    def interrupt(name: str, done: int, total: int) -> None:
        assert done <= total == N
        told.append((name, done))
        if (phase == "last" and (name, done) == ("links", N)) or (name == phase and 0 < done < N):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        graph_index(X, progress=interrupt)
    assert told[-1][0] == ("links" if phase == "last" else phase)
    assert len([step for step in told if step[0] == "add"]) == 2 or phase != "add"


def test_a_build_comes_back_after_every_batch() -> None:
    steps = [done for name, done in told_by(X) if name == "links"]
    assert steps == sorted(steps)
    assert max(np.diff(steps)) <= N / 20
    assert steps.count(N) >= 2  # cutting rows, and making nodes reachable


def told_by(x: np.ndarray) -> list[tuple[str, int]]:
    told: list[tuple[str, int]] = []
    graph_index(x, progress=lambda name, done, total: told.append((name, done)))
    return told


def test_links_are_sound_and_few() -> None:
    links = links_of(graph_index(X, structure={"kind": "graph", "degree": 12}))
    assert links.shape == (N, 12)
    for node, row in enumerate(links.tolist()):
        there = [to for to in row if to != NONE]
        assert len(set(there)) == len(there)
        assert node not in there
        assert all(to < N for to in there)


@pytest.mark.parametrize("n", [0, 1, 2, 70])
def test_small_bases(n: int) -> None:
    index = graph_index(X[:n])
    ids, distances = index.search(Q, K)
    there = min(n, K)
    assert (ids[:, there:] == -1).all()
    assert np.isinf(distances[:, there:]).all()
    if n:
        assert recall(ids[:, :there], truth("euclidean", Q, X[:n])) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_vectors_that_break_graphs(metric: str) -> None:
    far = X[:600].copy()
    far[300:] += 1000
    huge = X[:600].copy()
    huge[0] *= 300
    for x in (np.ones((600, 8), np.float32), np.repeat(X[:300], 2, axis=0), far, huge, X[:600] * 1e-6):
        q = np.ascontiguousarray(x[::40])
        ids, _ = graph_index(x, metric).search(q, K, ef_search=100)
        assert recall(ids, truth(metric, q, x)) >= 0.95


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    index = graph_index(X, "cosine", ids=np.arange(N) * 7, **CODES)
    index.save(tmp_path / "index")
    again = Index.load(tmp_path / "index")
    for mine, other in zip(index.search(Q, K), again.search(Q, K), strict=True):
        assert np.array_equal(mine, other)
    assert (index.search(Q, K)[0] % 7 == 0).all()
    assert "graph of 32 links" in repr(again)
    assert "slack 0.08" in repr(again)
    assert again.nbytes_by_part["graph"] >= 4 * 32 * N
    assert again.nbytes / N == pytest.approx(again.spec.bytes_per_vector(DIM), rel=0.25)


def first_entry(file: bytearray) -> int:
    """The node that it names."""
    return int(struct.unpack_from("<I", file, sections(file)["entries"].offset)[0])


FORGERIES = {
    "a link to nowhere": lambda f: put(f, "links", 4, N, "<I"),
    "a link after the last": lambda f: put(f, "links", sections(f)["links"].bytes - 8, 3 << 32 | 2**32 - 1),
    "an entry that is none": lambda f: put(f, "entries", 0, N, "<I"),
    "an entry that is there twice": lambda f: put(f, "entries", 4, first_entry(f), "<I"),
    "no entries": lambda f: put_entry(f, "entries", SHAPE, 0),
    "a row less": lambda f: put_entry(f, "links", SHAPE, N - 1),
    "links of another kind": lambda f: put_entry(f, "links", DTYPE, 7, "<I"),
}


@pytest.mark.fault(4, 5)
@pytest.mark.parametrize("name", FORGERIES)
def test_graphs_that_cannot_be_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "index"
    graph_index(X, structure={"kind": "graph", "degree": 16, "candidates": 12}).save(path)
    file = bytearray(path.read_bytes())
    FORGERIES[name](file)
    path.write_bytes(reseal(file))
    with pytest.raises(IndexFileError):
        Index.load(path)


@pytest.mark.parametrize(
    "how", [{"degree": 1}, {"degree": 2000}, {"alpha": 0.9}, {"candidates": 1}, {"entries": 0}, {"alpha": float("nan")}]
)
def test_parameters_that_cannot_be(how: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        graph_index(X[:100], structure={"kind": "graph", **how})
    with pytest.raises(UsageError):
        graph_index(X[:100]).search(Q, K, ef_search=0)
