"""Every registered adapter keeps the contract of algorithms/base.py, for each of its metrics and storages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits
from variants import CASES, EXACT, SEED, VARIANTS, Built, Variant, build, clustered, files, reloaded

from annbench.algorithms import registry
from annbench.algorithms.base import Vectors
from annbench.datasets.info import Metric
from annbench.metrics.recall import Scorer, validate_ids

K = 10
BASE, QUERIES = clustered()
EVERY_CASE = pytest.mark.parametrize(("variant", "metric"), CASES, ids=lambda value: str(value))


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    with threadpool_limits(limits=None):
        yield


@pytest.fixture(scope="module")
def built() -> dict[tuple[str, str], Built]:
    """Each case built once over the clustered set."""
    return {(str(variant), metric): build(variant, metric, BASE) for variant, metric in CASES}


def scorer(base: Vectors, queries: Vectors, metric: Metric, k: int) -> Scorer:
    """The truth, by comparing everything in float64."""
    wide, asked = base.astype(np.float64), queries.astype(np.float64)
    if metric == "euclidean":
        distances = ((asked[:, None] - wide[None]) ** 2).sum(axis=2)
    else:
        if metric == "cosine":
            lengths = np.linalg.norm(wide, axis=1, keepdims=True)
            wide = wide / np.where(lengths > 0, lengths, 1)
        distances = -(asked @ wide.T)
    truth = np.argsort(distances, axis=1, kind="stable")[:, :k]
    longest = float(np.linalg.norm(base.astype(np.float64), axis=1).max())
    return Scorer(queries, truth, k, metric, lambda ids: base[ids], len(base), longest)


def test_every_registered_algorithm_is_covered() -> None:
    assert {variant.algorithm for variant in VARIANTS} | {"null"} >= set(registry.ALGORITHMS)


@EVERY_CASE
def test_finds_the_neighbours_under_its_metric(
    variant: Variant, metric: Metric, built: dict[tuple[str, str], Built]
) -> None:
    adapter = built[str(variant), metric].adapter
    summary = scorer(BASE, QUERIES, metric, K).score(validate_ids(adapter.search_batch(QUERIES, K), len(QUERIES), K))
    assert summary.recall_at_k >= variant.recall, summary
    assert (summary.duplicate_ids, summary.out_of_range_ids, summary.missing_ids) == (0, 0, 0)


@EVERY_CASE
def test_single_calls_agree_with_a_batch(variant: Variant, metric: Metric, built: dict[tuple[str, str], Built]) -> None:
    adapter = built[str(variant), metric].adapter
    batch = adapter.search_batch(QUERIES, K)
    single = np.array([adapter.search(query, K) for query in QUERIES])
    # Compressed distances tie exactly, and kernels for one and for many queries may break ties differently.
    agree = np.mean([len(set(a) & set(b)) / K for a, b in zip(batch, single, strict=True)])
    assert agree >= (1.0 if variant.recall == EXACT else 0.99)


@EVERY_CASE
def test_survives_saving_and_loading(
    variant: Variant, metric: Metric, built: dict[tuple[str, str], Built], tmp_path: Path
) -> None:
    known = built[str(variant), metric]
    again = reloaded(known, tmp_path / "index", BASE.shape[1])
    assert np.array_equal(known.adapter.search_batch(QUERIES, K), again.search_batch(QUERIES, K))
    assert np.array_equal(known.adapter.search(QUERIES[0], K), again.search(QUERIES[0], K))


@EVERY_CASE
def test_one_thread_and_one_seed_give_the_same_bytes(
    variant: Variant, metric: Metric, built: dict[tuple[str, str], Built], tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    built[str(variant), metric].adapter.save(tmp_path / "a")
    build(variant, metric, BASE).adapter.save(tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize("variant", [v for v in VARIANTS if not v.cls.random_build], ids=str)
def test_a_build_that_is_not_random_repeats_with_two_threads(variant: Variant, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        build(variant, "euclidean", BASE, threads=2).adapter.save(tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.cls.seed_parameter], ids=str)
def test_another_seed_gives_another_index(variant: Variant, tmp_path: Path) -> None:
    seed = variant.cls.seed_parameter
    assert seed is not None
    for name, value in (("a", SEED), ("b", SEED + 1)):
        (tmp_path / name).mkdir()
        other = Variant(variant.algorithm, 0, {**variant.build, seed: value}, variant.search, variant.tiny)
        build(other, "euclidean", BASE).adapter.save(tmp_path / name)
    assert files(tmp_path / "a") != files(tmp_path / "b")


@EVERY_CASE
@pytest.mark.parametrize("n", [1, 3])
def test_pads_when_k_exceeds_the_base(variant: Variant, metric: Metric, n: int) -> None:
    adapter = build(variant, metric, BASE[:n], tiny=True).adapter
    batch = validate_ids(adapter.search_batch(QUERIES, K), len(QUERIES), K)
    single = validate_ids([adapter.search(query, K) for query in QUERIES], len(QUERIES), K)
    for ids in (batch, single):
        assert {tuple(sorted(row)) for row in ids.tolist()} == {(-1,) * (K - n) + tuple(range(n))}


@EVERY_CASE
def test_identical_vectors_do_not_hang_it(variant: Variant, metric: Metric) -> None:
    base = np.repeat(BASE[:1], 300, axis=0)
    adapter = build(variant, metric, base).adapter
    ids = validate_ids(adapter.search_batch(QUERIES, K), len(QUERIES), K)
    summary = scorer(base, QUERIES, metric, K).score(ids)
    assert (summary.duplicate_ids, summary.out_of_range_ids) == (0, 0)
    assert summary.recall_at_k == 1.0  # any vector is as near as any other


@pytest.mark.parametrize("variant", [v for v in VARIANTS if "cosine" in v.cls.metrics], ids=str)
def test_zero_vectors_under_cosine(variant: Variant) -> None:
    base, queries = BASE.copy(), QUERIES.copy()
    base[::100] = 0
    queries[0] = 0
    adapter = build(variant, "cosine", base).adapter
    ids = validate_ids(adapter.search_batch(queries, K), len(queries), K)
    summary = scorer(base, queries, "cosine", K).score(ids)
    assert summary.recall_at_k >= variant.recall - 0.01
    assert (summary.duplicate_ids, summary.out_of_range_ids) == (0, 0)
    assert len(adapter.search(queries[0], K)) == K


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("dim", [1, 7, 65])
def test_odd_dimensions(variant: Variant, dim: int) -> None:
    rng = np.random.default_rng(SEED)
    base = rng.standard_normal((300, dim), dtype=np.float32)
    raw = {**variant.build, **({"pq_m": 1} if "pq_m" in variant.build else {})}
    odd = Variant(variant.algorithm, 0, raw, variant.search)
    ids = validate_ids(build(odd, "euclidean", base).adapter.search_batch(base[:20], K), 20, K)
    summary = scorer(base, base[:20], "euclidean", K).score(ids)
    assert (summary.duplicate_ids, summary.out_of_range_ids, summary.missing_ids) == (0, 0, 0)
    # A few bits a component say little in so few components, yet ten times more than chance, 0.03.
    # What keeps float32 must be right in any dimension.
    keeps_floats = odd.build.get("storage", "nb_bits" not in odd.build and "Flat") == "Flat"
    assert summary.recall_at_k >= (0.95 if keeps_floats else 0.3)


@EVERY_CASE
def test_memory_layout_does_not_change_the_answer(
    variant: Variant, metric: Metric, built: dict[tuple[str, str], Built]
) -> None:
    """The harness passes C-contiguous float32; views that are not must still be read right."""
    adapter = built[str(variant), metric].adapter
    known = adapter.search_batch(QUERIES, K)
    wide = np.repeat(QUERIES, 2, axis=1)[:, ::2]
    assert not wide.flags.c_contiguous
    for queries in (np.asfortranarray(QUERIES), wide):
        agree = np.mean(adapter.search_batch(queries, K) == known)
        assert agree >= 0.99
    read_only = QUERIES.copy()
    read_only.flags.writeable = False
    assert np.array_equal(adapter.search_batch(read_only, K), known)
    assert np.array_equal(adapter.search(wide[3], K), adapter.search(QUERIES[3], K))


@EVERY_CASE
def test_base_and_queries_are_left_as_they_are(variant: Variant, metric: Metric) -> None:
    base, queries = BASE.copy(), QUERIES.copy()
    adapter = build(variant, metric, base).adapter
    adapter.search_batch(queries, K)
    adapter.search(queries[0], K)
    assert np.array_equal(base, BASE)
    assert np.array_equal(queries, QUERIES)
    answer = adapter.search_batch(queries, K)
    base[:] = 0  # an index that only kept a view of the caller's array would now answer otherwise
    assert np.array_equal(adapter.search_batch(queries, K), answer)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_obeys_the_thread_setting(variant: Variant, threads: int, built: dict[tuple[str, str], Built]) -> None:
    known = built[str(variant), "euclidean"]
    known.adapter.configure(known.search, threads)
    try:
        if variant.algorithm == "hnswlib":
            assert known.adapter._index.num_threads == threads  # type: ignore[attr-defined]
        elif variant.algorithm.startswith("faiss"):
            import faiss

            assert faiss.omp_get_max_threads() == threads
        else:
            counts = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
            assert counts == {threads}
        many = known.adapter.search_batch(QUERIES, K)
    finally:
        known.adapter.configure(known.search, 1)
    assert np.mean(many == known.adapter.search_batch(QUERIES, K)) >= 0.99
