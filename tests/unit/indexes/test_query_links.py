"""Graphs with links for training queries."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_data import recall, truth

from annbench.algorithms.base import PointContext
from annbench.algorithms.composed import Composed, ComposedBuild, ComposedSearch
from annbench.errors import UsageError
from annbench.indexes.index import Index
from annbench.indexes.spec import METRICS, make_spec

DEGREE, LINKS, DIM, K = 12, 6, 24, 10
GRAPH = {"kind": "graph", "degree": DEGREE, "entries": 8}
FOR_QUERIES = {**GRAPH, "query_links": LINKS}
NONE = 2**32 - 1


def clustered(rows: int) -> np.ndarray:
    """Vectors in clusters, which are as far from each other as from the origin."""
    random = np.random.default_rng(31)
    centres = random.standard_normal((rows // 20, DIM))
    return (centres.repeat(20, axis=0) + 0.3 * random.standard_normal((rows, DIM))).astype(np.float32)


def shifted(rows: int, seed: int) -> np.ndarray:
    """Queries far from all clusters, towards one side: what is near to one lies in many clusters."""
    random = np.random.default_rng(seed)
    queries = 0.5 * random.standard_normal((rows, DIM))
    queries[:, :3] += 4
    return queries.astype(np.float32)


X, LEARN, ASKED = clustered(4000), shifted(600, 1), shifted(200, 2)


def graph_index(queries: Any = LEARN, metric: str = "euclidean", x: np.ndarray = X, **slots: Any) -> Index:
    return Index.build(x, metric, **{"structure": FOR_QUERIES, "queries": queries, "seed": 3, "threads": 1, **slots})


def links_of(index: Index) -> np.ndarray:
    links = index.native.links
    assert links is not None
    return links


def reached(links: np.ndarray, entry: int) -> int:
    seen = {entry}
    going = [entry]
    while going:
        fresh = set(links[going].ravel().tolist()) - seen - {NONE}
        seen |= fresh
        going = list(fresh)
    return len(seen)


def found_and_scored(index: Index, queries: np.ndarray, true: np.ndarray, ef: int) -> tuple[float, float]:
    index.native.reset_counts()
    ids, _ = index.search(queries, K, ef_search=ef)
    return recall(ids, true), index.native.counts["distances"] / len(queries)


@pytest.mark.parametrize("metric", METRICS)
def test_queries_like_those_learnt_from_find_more_for_less(metric: str) -> None:
    mine, without = graph_index(metric=metric), graph_index(metric=metric, structure=GRAPH)
    true = truth(metric, ASKED, X)
    (found, scored), (less, more) = (found_and_scored(index, ASKED, true, 24) for index in (mine, without))
    assert found >= less + 0.02
    assert scored <= more
    assert mine.nbytes_by_part["graph"] == without.nbytes_by_part["graph"]


def test_queries_like_the_vectors_find_as_much() -> None:
    queries = X[::40] + 0.1 * np.random.default_rng(5).standard_normal((100, DIM)).astype(np.float32)
    true = truth("euclidean", queries, X)
    (found, scored), (before, cost) = (
        found_and_scored(graph_index(structure=structure), queries, true, 24) for structure in (FOR_QUERIES, GRAPH)
    )
    assert found >= before - 0.01
    assert scored <= 1.1 * cost


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["float32", "codes"])
def test_every_vector_is_reached_and_with_all_in_sight_the_nearest_are_found(metric: str, name: str) -> None:
    slots = {} if name == "float32" else {"transform": "random-rotation", "codec": "uniform", "rerank": "float32"}
    index = graph_index(metric=metric, x=X[:1500], **slots)
    links = links_of(index)
    assert max(reached(links, entry) for entry in range(0, 1500, 100)) == 1500  # one that leads to all is among them
    for node, row in enumerate(links.tolist()):
        there = [to for to in row if to != NONE]
        assert len(set(there)) == len(there)
        assert node not in there
    ids, _ = index.search(ASKED, K, ef_search=1500, rerank_k=1500)
    assert recall(ids, truth(metric, ASKED, X[:1500])) == 1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("codec", ["float32", "uniform", {"kind": "uniform", "bits": 6, "scan_bits": 1}])
def test_the_same_links_whatever_the_threads(metric: str, codec: Any) -> None:
    one, other = (links_of(graph_index(metric=metric, codec=codec, x=X[:2000], threads=threads)) for threads in (1, 3))
    assert np.array_equal(one, other)


def test_no_more_links_are_other_than_there_may_be() -> None:
    # So much alpha leaves no gaps, which would be filled with links that depend on those of other rows.
    no_gaps = {"alpha": 10}
    mine, without = (links_of(graph_index(structure={**how, **no_gaps})) for how in (FOR_QUERIES, GRAPH))
    assert mine.shape == without.shape == (len(X), DEGREE)
    kept = np.array([len(set(a) & set(b) - {NONE}) for a, b in zip(mine.tolist(), without.tolist(), strict=True)])
    full = (without != NONE).sum(axis=1) == DEGREE
    assert kept[full].min() >= DEGREE - LINKS - 1  # one may go to a vector that nothing else led to
    assert kept[full].min() < DEGREE


def test_queries_in_other_ids_types_and_of_length_zero() -> None:
    ids = np.random.default_rng(6).permutation(len(X)) + 1_000_000
    plain = links_of(graph_index(metric="cosine"))
    assert np.array_equal(links_of(graph_index(metric="cosine", ids=ids)), plain)
    zero = np.zeros((3, DIM), dtype=np.float32)
    assert np.array_equal(links_of(graph_index(np.vstack([LEARN, zero]), "cosine")), plain)
    assert np.array_equal(links_of(graph_index(LEARN.astype(np.float64))), links_of(graph_index()))


def test_a_saved_graph_is_the_same_and_changes_as_any_other(tmp_path: Path) -> None:
    graph_index().save(tmp_path / "index")
    index = Index.load(tmp_path / "index")
    assert index.spec.structure.fields() == FOR_QUERIES
    assert np.array_equal(links_of(index), links_of(graph_index()))
    index.remove(range(0, 4000, 4))
    index.add(X[::4] + 0.01)
    index.compact()
    ids, _ = index.search(ASKED, K, ef_search=4000)
    left = np.concatenate([np.delete(X, np.s_[::4], axis=0), X[::4] + 0.01])
    numbers = np.concatenate([np.delete(np.arange(4000), np.s_[::4]), np.arange(4000, 5000)])
    true = truth("euclidean", ASKED, left)
    place = {number: at for at, number in enumerate(numbers.tolist())}
    assert recall(np.vectorize(place.get)(ids), true) == 1


def test_progress_is_told_and_an_interrupt_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int]] = []

    def tell(*step: Any) -> None:
        told.append(step)
        if interrupts and step[0] == "query links" and step[1] < step[2]:
            signal.raise_signal(signal.SIGINT)

    interrupts = False
    graph_index(progress=tell)
    steps = [done for name, done, total in told if name == "query links"]
    assert steps == sorted(steps)
    assert steps[0] < len(LEARN) == steps[-1]
    assert {name for name, _, _ in told} == {"fit", "add", "links", "query links"}
    interrupts = True
    with pytest.raises(KeyboardInterrupt):
        graph_index(progress=tell)
    assert told[-1][0] == "query links"


def test_few_vectors_and_few_queries() -> None:
    for n in (1, 2, 5):
        ids, _ = graph_index(LEARN[:1], x=X[:n]).search(ASKED, n)
        assert np.array_equal(np.sort(ids), np.tile(np.arange(n), (len(ASKED), 1)))
    assert len(graph_index(LEARN[:1], x=X[:0])) == 0


def test_what_makes_no_sense_is_refused() -> None:
    for queries in (None, LEARN[:0]):
        with pytest.raises(UsageError, match=r"(?s)query_links are made for training queries.*give `queries`"):
            graph_index(queries)
    with pytest.raises(UsageError, match=r"query_links 12 leaves none of degree 12.*set query_links < 12"):
        graph_index(structure={**GRAPH, "query_links": DEGREE})
    for nonsense in (-1, 1.5, True, "many"):
        with pytest.raises(UsageError, match="query_links"):
            make_spec(structure={"kind": "graph", "query_links": nonsense})
    context, search = PointContext(1000, DIM, K, "euclidean"), ComposedSearch()
    for learn, said in ((None, "there are none"), ("ood", "")):
        problem = Composed.check(
            context, ComposedBuild.model_validate({"structure": FOR_QUERIES, "learn": learn}), search
        )
        assert said in (problem or "")
        assert (problem is None) == (learn is not None)
    with pytest.raises(UsageError, match="dim"):
        graph_index(LEARN[:, 1:])
