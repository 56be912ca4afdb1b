"""Exact truth of Hamming, Jaccard, SNR and Poincaré against the definition: every distance, sorted."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth_by_definition import ball, bits, check, data, everything, sets, vectors

from annbench.datasets.ground_truth import GroundTruth, direct, exact_neighbors, reduced
from annbench.datasets.ground_truth.reductions import REDUCTIONS, ReducedRows
from annbench.distances import Metric
from annbench.distances.sets import Sets
from annbench.errors import DatasetError, UsageError
from annbench.isa import available_isas

SEED = 20250117
FLOATS: tuple[Metric, ...] = ("snr", "poincare")


# ---- Hamming


@pytest.mark.parametrize("dim", [1, 8, 13, 64, 100, 256, 1024, 2000])
def test_hamming_is_the_definition(dim: int) -> None:
    base, queries = bits(700, dim, 1), bits(9, dim, 2)
    check(exact_neighbors(base, queries, 20, "hamming"), everything("hamming", base, queries), 20)


@pytest.mark.parametrize("k", [1, 7, 300, 5000])
def test_equal_hamming_distances_go_to_the_lower_id_and_are_counted(k: int) -> None:
    """5000 codes over 16 bits: nearly every distance is shared by hundreds."""
    base, queries = bits(5000, 16, 3), bits(4, 16, 4)
    truth = exact_neighbors(base, queries, k, "hamming", threads=2)
    check(truth, everything("hamming", base, queries), k)
    if k == 300:
        assert truth.ties_beyond_k.min() > 0


def test_all_codes_equal() -> None:
    base = np.zeros((4000, 4), np.uint8)
    truth = exact_neighbors(base, base[:2], 3, "hamming")
    np.testing.assert_array_equal(truth.neighbors, [[0, 1, 2]] * 2)
    np.testing.assert_array_equal(truth.ties_beyond_k, [3997] * 2)


@pytest.mark.parametrize("isa", available_isas())
def test_hamming_is_the_same_on_every_instruction_set(isa: str, tmp_path: Path) -> None:
    base, queries = bits(3000, 900, 5), bits(5, 900, 6)
    np.savez(tmp_path / "in.npz", base=base, queries=queries)
    code = f"""
import os; os.environ["ANNBENCH_ISA"] = {isa!r}
import numpy as np
from annbench.datasets.ground_truth import exact_neighbors
data = np.load({str(tmp_path / "in.npz")!r})
truth = exact_neighbors(data["base"], data["queries"], 10, "hamming")
np.savez({str(tmp_path / "out.npz")!r}, **vars(truth))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    found, here = np.load(tmp_path / "out.npz"), exact_neighbors(base, queries, 10, "hamming")
    for name, array in vars(here).items():
        np.testing.assert_array_equal(found[name], array)


# ---- Jaccard


@pytest.mark.parametrize(("n", "dim", "size", "k"), [(400, 50, 12, 10), (300, 5, 4, 30), (60, 1000, 200, 100)])
def test_jaccard_is_the_definition(n: int, dim: int, size: int, k: int) -> None:
    base, queries = sets(n, dim, size, 1), sets(17, dim, size, 2)
    for threads in (1, 2):
        truth = exact_neighbors(base, queries, k, "jaccard", threads=threads)
        check(truth, everything("jaccard", base, queries), k)


def test_jaccard_is_exact_as_fractions() -> None:
    """The order is that of rational numbers: 1/3, 2/6 and 333/999 are one distance, 334/1000 another."""
    base = Sets.from_rows(
        [
            list(range(334)) + list(range(1000, 1666)),  # 334 of 1000 in common
            [0, 1, 1000, 1001],
            list(range(1, 3)),
            list(range(333)),
        ],
        2000,
    )
    query = Sets.from_rows([list(range(1000))], 2000)

    def exact(row: Any) -> Fraction:
        mine, other = set(query[0].tolist()), set(row.tolist())
        return Fraction(len(mine ^ other), len(mine | other))

    expected = sorted(range(4), key=lambda i: (exact(base[i]), i))
    truth = exact_neighbors(base, query, 4, "jaccard")
    assert truth.neighbors[0].tolist() == expected

    base = Sets.from_rows([[0, 1, 2], [0, 1, 2, 3, 4, 5], [0, 7, 8], [0, 1, 2, 3, 4, 5, 9]], 10)
    query = Sets.from_rows([[0]], 10)
    truth = exact_neighbors(base, query, 1, "jaccard")
    assert truth.neighbors.tolist() == [[0]]
    assert truth.ties_beyond_k.tolist() == [1]  # {0, 7, 8}: also 1/3

    base = Sets.from_rows([list(range(2, 8)), [0, 1, 2, 3], [0, 9, 2]], 10)
    truth = exact_neighbors(base, Sets.from_rows([[0, 1]], 10), 1, "jaccard")
    assert truth.neighbors.tolist() == [[1]]


def test_one_third_and_two_sixths_tie() -> None:
    base = Sets.from_rows([[0, 1, 2, 3, 4, 5], [0, 1, 6], [0, 1, 2, 3, 4, 5]], 10)
    queries = Sets.from_rows([[0, 1]], 10)
    truth = exact_neighbors(base, queries, 2, "jaccard")
    assert truth.neighbors.tolist() == [[1, 0]]
    assert truth.distances.tolist() == [[1 / 3, 2 / 3]]
    assert truth.ties_beyond_k.tolist() == [1]


def test_empty_sets_are_equal_to_each_other_alone() -> None:
    base = Sets.from_rows([[1], [], [2], []], 4)
    truth = exact_neighbors(base, Sets.from_rows([[], [3]], 4), 3, "jaccard")
    np.testing.assert_array_equal(truth.neighbors, [[1, 3, 0], [0, 1, 2]])
    np.testing.assert_array_equal(truth.distances, [[0, 0, 1], [1, 1, 1]])
    np.testing.assert_array_equal(truth.ties_beyond_k, [1, 1])


# ---- SNR and Poincaré


@pytest.mark.parametrize("metric", FLOATS)
@pytest.mark.parametrize(("n", "dim", "k"), [(900, 24, 10), (50, 3, 100), (0, 4, 2), (2000, 2, 64)])
def test_reduced_searches_are_the_definition(metric: Metric, n: int, dim: int, k: int) -> None:
    base, queries = vectors(metric, n, dim, 1), vectors(metric, 21, dim, 2)
    check(exact_neighbors(base, queries, k, metric, threads=2), everything(metric, base, queries), k)


def test_nearly_constant_vectors_have_exact_snr_truth() -> None:
    """A signal of 1e-3 on a constant of 1000: centring keeps what float32 products would lose."""
    random = np.random.default_rng(SEED)
    base = (1000 + 1e-3 * random.standard_normal((800, 16))).astype(np.float32)
    queries = (-500 + 1e-3 * random.standard_normal((11, 16))).astype(np.float32)
    check(exact_neighbors(base, queries, 10, "snr"), everything("snr", base, queries), 10)


def test_one_huge_vector_does_not_spoil_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors grow with a row's own length; a bound by the longest row would settle nothing."""
    base, queries = vectors("snr", 2000, 16, 1), vectors("snr", 9, 16, 2)
    base[77] *= 1e6
    monkeypatch.setattr(reduced, "search_direct", _never)
    check(exact_neighbors(base, queries, 10, "snr"), everything("snr", base, queries), 10)


def test_points_at_the_boundary_do_not_spoil_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    base, queries = ball(2000, 8, 1), ball(9, 8, 2)
    edge = base[:300].astype(np.float64)
    edge /= np.linalg.norm(edge, axis=1, keepdims=True)
    base[:300] = (edge * (1 - 1e-7)).astype(np.float32)
    base = base[(base.astype(np.float64) ** 2).sum(axis=1) < 1]
    assert ((1 - (base.astype(np.float64) ** 2).sum(axis=1)) < 1e-6).sum() > 100
    monkeypatch.setattr(reduced, "search_direct", _never)
    check(exact_neighbors(base, queries, 10, "poincare"), everything("poincare", base, queries), 10)


@pytest.mark.parametrize("metric", FLOATS)
def test_more_ties_than_any_shortlist_are_counted(metric: Metric) -> None:
    """5000 copies of one row: no bound can tell them apart, so all rows are compared in the end."""
    base, queries = vectors(metric, 6000, 5, 1), vectors(metric, 3, 5, 2)
    base[500:5500] = base[500]
    queries[0] = base[500]
    truth = exact_neighbors(base, queries, 3, metric, threads=2)
    check(truth, everything(metric, base, queries), 3)
    assert truth.ties_beyond_k[0] == 4997


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    metric=st.sampled_from(FLOATS),
    n=st.integers(1, 300),
    dim=st.integers(2, 6),
    k=st.integers(1, 20),
    levels=st.integers(2, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_grids_full_of_ties(metric: Metric, n: int, dim: int, k: int, levels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    scale = 1 / (levels * np.sqrt(dim)) if metric == "poincare" else 1.0
    base = (random.integers(0, levels, (n, dim)) * scale).astype(np.float32)
    queries = (random.integers(0, levels, (3, dim)) * scale).astype(np.float32)
    if metric == "snr":
        queries[:, 0] += 1
        queries = queries[queries.astype(np.float64).var(axis=1) > 0]
    check(exact_neighbors(base, queries, k, metric, threads=1), everything(metric, base, queries), k)


@pytest.mark.parametrize("metric", FLOATS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 0.99999])
def test_no_row_is_nearer_than_its_bound(metric: Metric, scale: float) -> None:
    """For every row as the last of a shortlist: what the bound says of it must not exceed its real distance."""
    base, queries = vectors(metric, 3000, 12, 1), vectors(metric, 12, 12, 2)
    if metric == "poincare":
        base, queries = ball(3000, 12, 1, scale), ball(12, 12, 2, scale)
    else:
        base, queries = base * np.float32(scale) + np.float32(50), queries * np.float32(scale) - np.float32(7)
    # Very near rows, whose distance is no more than what rounding takes from them.
    near = np.random.default_rng(SEED).standard_normal((600, 12)) * 1e-7 * np.abs(queries).max()
    base[:600] = np.repeat(queries, 50, axis=0) * (1 - 1e-6) + near
    reduction = REDUCTIONS[metric](float(np.linalg.norm(base.astype(np.float64), axis=1).max()))
    asked = reduction.queries(queries).astype(np.float64)
    rows = ReducedRows(base, metric)[:].astype(np.float64)
    real = everything(metric, base, queries)
    for i, query in enumerate(asked):
        last = -rows @ query if metric == "poincare" else np.linalg.norm(rows - query, axis=1)
        bound = reduction.beyond(np.repeat(queries[i : i + 1], len(base), axis=0), last)
        assert (bound <= real[i]).all()
        # … and says something: all but the very near rows are known to a thousandth.
        far = real[i] > np.quantile(real[i], 0.1)
        assert (bound[far] > 0.999 * real[i][far]).all()


@pytest.mark.parametrize("metric", ["hamming", "jaccard", "snr", "poincare"])
def test_many_slabs_are_the_same(metric: Metric) -> None:
    """As little memory as possible: lists, and ties with the k-th, go on from slab to slab."""
    base, queries = data(metric, 12_000, 40)
    if metric != "jaccard":
        base[7000:9000] = base[:2000]
        base = np.repeat(base, 2, axis=1)[:, ::2]  # not to be used in place
    with pytest.raises(UsageError) as caught:
        exact_neighbors(base, queries, 30, metric, threads=2, memory_limit_bytes=1)
    limit = int(caught.value.remedy.split()[-1]) + (100_000 if metric == "jaccard" else 0)
    truth = exact_neighbors(base, queries, 30, metric, threads=2, memory_limit_bytes=limit)
    check(truth, everything(metric, base, queries), 30)
    assert truth.ties_beyond_k.any() or metric in FLOATS


def test_direct_search_is_the_definition() -> None:
    from annbench.datasets.ground_truth.job import Job

    base, queries = vectors("snr", 900, 300, 1), vectors("snr", 5, 300, 2)
    found = direct.search_direct(Job(base, queries, 7, "snr", 2, 1 << 30))
    truth = GroundTruth(found.neighbors, found.distances, found.ties)
    check(truth, everything("snr", base, queries), 7)


@pytest.mark.parametrize(
    ("metric", "row", "where"),
    [("poincare", [0.6, 0.8, 0.0], "base row 3"), ("poincare", [np.nan, 0, 0], "base row 3")],
)
def test_rows_without_a_distance_are_named(metric: Metric, row: Any, where: str) -> None:
    base, queries = ball(10, 3, 1), ball(2, 3, 2)
    base[3] = row
    with pytest.raises(DatasetError) as caught:
        exact_neighbors(base, queries, 1, metric)
    assert caught.value.where == where
    with pytest.raises(DatasetError) as caught:
        exact_neighbors(base, queries, 1, metric, rows=(2, 7))
    assert caught.value.where == where


def test_constant_queries_have_no_snr() -> None:
    base, queries = vectors("snr", 10, 3, 1), vectors("snr", 4, 3, 2)
    queries[2] = 0.1
    with pytest.raises(DatasetError, match="has no snr distance") as caught:
        exact_neighbors(base, queries, 1, "snr")
    assert caught.value.where == "queries row 2"


def test_layouts_are_not_mixed_up() -> None:
    dense, packed, some = vectors("snr", 4, 8, 1), bits(4, 8, 1), sets(4, 8, 3, 1)
    with pytest.raises(DatasetError, match=r"numpy\.packbits"):
        exact_neighbors(dense, dense, 1, "hamming")
    with pytest.raises(DatasetError, match="not sets"):
        exact_neighbors(dense, some, 1, "jaccard")
    with pytest.raises(DatasetError, match="have dim 1 where the base has 2"):
        exact_neighbors(bits(4, 16, 1), packed, 1, "hamming")


def _never(*_: object) -> None:
    raise AssertionError("the shortlist should have settled every query")
