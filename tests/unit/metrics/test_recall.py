"""Recall by its rules: what counts, what does not, and that blocks and truth's layout do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annbench.distances import Metric
from annbench.distances.registry import distance_of, true_distances
from annbench.errors import DatasetError, InvalidOutputError
from annbench.metrics import recall
from annbench.metrics.recall import Scorer, bootstrap_interval, worst_decile

METRICS: tuple[Metric, ...] = ("euclidean", "cosine", "ip")
K = 5


def make(
    base: np.ndarray,
    queries: np.ndarray,
    metric: Metric,
    k: int = K,
    truth_k: int | None = None,
    seed: int = 42,
) -> Scorer:
    """A scorer whose truth is computed here, one pair at a time by the definition of the metric."""
    distances = true_distances(
        metric, queries.astype(float), np.broadcast_to(base.astype(float), (len(queries), *base.shape))
    )
    truth = np.argsort(distances, axis=1, kind="stable")[:, : truth_k or k]
    longest = float(np.linalg.norm(base.astype(float), axis=1).max())
    return Scorer(queries, truth, k, metric, lambda ids: base[ids], len(base), longest, seed)


@pytest.fixture
def line() -> tuple[np.ndarray, np.ndarray]:
    """Base 0, 1, 2, … on a line, and one query at the origin: neighbour i is at distance i."""
    return np.arange(20, dtype=np.float32)[:, None], np.zeros((1, 1), dtype=np.float32)


def test_definitions_of_distance() -> None:
    q, x = np.array([[3.0, 4.0]]), np.array([[[0.0, 0.0], [6.0, 8.0], [-3.0, -4.0], [4.0, -3.0]]])
    assert true_distances("euclidean", q, x) == pytest.approx(np.array([[5, 5, 10, np.sqrt(50)]]))
    assert true_distances("cosine", q, x) == pytest.approx(np.array([[1, 0, 2, 1]]))
    assert true_distances("ip", q, x) == pytest.approx(np.array([[0, -50, 25, 0]]))


def test_slack_scales_with_what_is_compared() -> None:
    q, d_k = np.array([[3.0, 4.0]]), np.array([7.0])
    assert distance_of("euclidean").tie_slack(q, d_k, 10) == pytest.approx([7e-6])
    assert distance_of("cosine").tie_slack(q, d_k, 10) == pytest.approx([1e-6])
    assert distance_of("ip").tie_slack(q, -d_k, 10) == pytest.approx([50e-6])


@pytest.mark.parametrize("metric", METRICS)
def test_the_truth_scores_one(metric: Metric) -> None:
    rng = np.random.default_rng(1)
    base, queries = rng.standard_normal((200, 8), np.float32), rng.standard_normal((30, 8), np.float32)
    scorer = make(base, queries, metric, truth_k=20)
    summary = scorer.score(scorer.truth.copy())
    assert (summary.recall_at_k, summary.recall_ids_at_k, summary.recall_ann_benchmarks) == (1, 1, 1)
    assert (summary.recall_low, summary.recall_high, summary.recall_worst_decile) == (1, 1, 1)
    assert summary.relative_distance_error == 0
    assert (summary.duplicate_ids, summary.out_of_range_ids, summary.missing_ids) == (0, 0, 0)


def test_each_id_counts_once_and_only_if_it_exists(line: tuple[np.ndarray, np.ndarray]) -> None:
    summary = make(*line, "euclidean").score(np.array([[0, 0, -1, 20, -7]]))
    assert summary.recall_at_k == summary.recall_ids_at_k == pytest.approx(1 / 5)
    assert (summary.duplicate_ids, summary.out_of_range_ids, summary.missing_ids) == (1, 2, 1)


def test_order_does_not_matter_and_misses_cost(line: tuple[np.ndarray, np.ndarray]) -> None:
    scorer = make(*line, "euclidean")
    assert scorer.score(np.array([[4, 3, 2, 1, 0]])).recall_at_k == 1
    summary = scorer.score(np.array([[0, 1, 2, 3, 5]]))
    assert summary.recall_at_k == pytest.approx(0.8)
    # One rank of the four with a true distance above 0 is 5 instead of 4: a quarter too far.
    assert summary.relative_distance_error == pytest.approx(0.25 / 4)


def test_equally_near_neighbours_are_equally_right() -> None:
    base = np.repeat(np.arange(4, dtype=np.float32), 10)[:, None]
    scorer = make(base, np.zeros((1, 1), np.float32), "euclidean")
    summary = scorer.score(np.array([[9, 8, 7, 6, 5]]))
    assert (summary.recall_at_k, summary.recall_ids_at_k) == (1, 0)
    assert scorer.score(np.array([[10, 8, 7, 6, 5]])).recall_at_k == pytest.approx(0.8)


def test_more_good_ids_than_k_cannot_exceed_one() -> None:
    base = np.zeros((50, 3), np.float32)
    scorer = make(base, np.ones((4, 3), np.float32), "euclidean")
    assert scorer.score(np.tile(np.arange(40, 45), (4, 1))).recall_at_k == 1


@pytest.mark.parametrize(("offset", "tie_aware", "rule"), [(5e-7, 1, 1), (5e-4, 0.8, 1), (2e-3, 0.8, 0.8)])
def test_tolerances(offset: float, tie_aware: float, rule: float) -> None:
    base = np.array([[0], [0], [0], [0], [1], [1 + offset]], dtype=np.float32)
    summary = make(base, np.zeros((1, 1), np.float32), "euclidean").score(np.array([[0, 1, 2, 3, 5]]))
    assert summary.recall_at_k == pytest.approx(tie_aware)
    assert summary.recall_ann_benchmarks == pytest.approx(rule)


def test_a_tolerance_on_inner_product_loosens_for_negative_distances() -> None:
    base = np.array([[1.0], [1.0 - 5e-7], [0.5]], dtype=np.float32)
    scorer = make(base, np.full((1, 1), 100, np.float32), "ip", k=1)
    assert scorer.score(np.array([[1]])).recall_at_k == 1
    assert scorer.score(np.array([[2]])).recall_at_k == 0


def test_scaling_a_query_changes_nothing_under_cosine() -> None:
    rng = np.random.default_rng(3)
    base, queries = rng.standard_normal((100, 6), np.float32), rng.standard_normal((10, 6), np.float32)
    ids = rng.integers(0, 100, (10, K))
    assert make(base, queries, "cosine").score(ids) == make(base, queries * 1024, "cosine").score(ids)


def test_k_above_n_asks_for_n() -> None:
    base = np.arange(3, dtype=np.float32)[:, None]
    summary = make(base, np.zeros((1, 1), np.float32), "euclidean").score(np.array([[2, 0, 1, -1, -1]]))
    assert (summary.recall_at_k, summary.recall_ids_at_k, summary.missing_ids) == (1, 1, 2)


def test_a_truth_that_cannot_serve_is_refused() -> None:
    base, queries = np.zeros((20, 2), np.float32), np.zeros((1, 2), np.float32)
    with pytest.raises(DatasetError, match="holds 3 neighbours a query, k=5 needs 5"):
        Scorer(queries, np.array([[0, 1, 2]]), 5, "euclidean", lambda ids: base[ids], 20)
    with pytest.raises(DatasetError, match="another base"):
        Scorer(queries, np.array([[0, 20]]), 2, "euclidean", lambda ids: base[ids], 20)
    with pytest.raises(DatasetError, match="no queries"):
        Scorer(queries[:0], np.empty((0, 5), int), 5, "euclidean", lambda ids: base[ids], 20).score(
            np.empty((0, 5), np.int64)
        )
    with pytest.raises(InvalidOutputError):
        make(base, queries, "euclidean").score(np.zeros((1, 4), np.int64))


def test_rows_are_asked_for_sorted_once_and_only_if_not_in_the_truth() -> None:
    base = np.arange(50, dtype=np.float32)[:, None]
    asked: list[np.ndarray] = []

    def rows(ids: np.ndarray) -> np.ndarray:
        asked.append(ids)
        return base[ids]

    scorer = Scorer(np.zeros((2, 1), np.float32), np.tile(np.arange(5), (2, 1)), 5, "euclidean", rows, 50)
    asked.clear()
    scorer.score(np.array([[0, 1, 30, 20, -1], [0, 1, 20, 99, 4]]))
    assert [ids.tolist() for ids in asked] == [[20, 30]]


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_do_not_change_the_score(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    base, queries = rng.standard_normal((300, 9), np.float32), rng.standard_normal((40, 9), np.float32)
    ids = rng.integers(-2, 305, (40, K))
    whole = make(base, queries, metric).score(ids)
    monkeypatch.setattr(recall, "BLOCK_BYTES", 8 * K * 9 * 3)
    assert make(base, queries, metric).score(ids) == whole


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), metric=st.sampled_from(METRICS), k=st.integers(1, 12))
def test_agrees_with_the_definition(seed: int, metric: Metric, k: int) -> None:
    """Against a plain reading of the rules, on vectors with many ties."""
    rng = np.random.default_rng(seed)
    base = rng.integers(-2, 3, (10, 2)).astype(np.float32)
    queries = rng.integers(-2, 3, (6, 2)).astype(np.float32)
    ids = rng.integers(-1, 11, (6, k))
    summary = make(base, queries, metric, k=k, truth_k=min(k, 10)).score(ids)
    hits = 0
    for query, row in zip(queries, ids, strict=True):
        distances = true_distances(metric, query[None].astype(float), base[None].astype(float))[0]
        wanted = min(k, 10)
        d_k = np.sort(distances)[wanted - 1]
        longest = np.linalg.norm(base, axis=1).max()
        s = {"euclidean": d_k, "cosine": 1.0, "ip": np.linalg.norm(query) * longest}[metric]
        good = {i for i in row.tolist() if 0 <= i < 10 and distances[i] <= d_k + 1e-6 * s}
        hits += min(len(good), wanted) / wanted
    assert summary.recall_at_k == pytest.approx(hits / 6)


def test_bootstrap_is_seeded_and_covers() -> None:
    rng = np.random.default_rng(11)
    values = (rng.random(500) < 0.9).astype(float)
    low, high = bootstrap_interval(values, 1)
    assert (low, high) == bootstrap_interval(values, 1)
    assert low < values.mean() < high
    error = np.sqrt(values.mean() * (1 - values.mean()) / 500)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)  # as the normal approximation has it


def test_worst_decile_takes_whole_queries() -> None:
    assert worst_decile(np.array([1, 1, 0.5, 1, 1, 1, 1, 1, 1, 1, 0.7])) == pytest.approx(0.6)
    assert worst_decile(np.array([0.3])) == pytest.approx(0.3)
