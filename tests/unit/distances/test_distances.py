"""Each distance against its definition, and each reduction against the ranking it stands for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annbench.distances import METRICS
from annbench.distances.hamming import packed_bytes
from annbench.distances.jaccard import Jaccard
from annbench.distances.registry import DISTANCES, distance_of
from annbench.distances.sets import Sets, intersections
from annbench.errors import DatasetError, UnknownNameError

RNG = np.random.default_rng(17)


def ball(n: int, dim: int, radius: float) -> np.ndarray:
    """Vectors of norm below `radius`."""
    rows = RNG.normal(size=(n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True) * radius * RNG.random((n, 1))).astype(np.float32)


def test_every_name_has_its_distance() -> None:
    assert set(DISTANCES) == set(METRICS)
    assert all(distance.metric == name for name, distance in DISTANCES.items())
    with pytest.raises(UnknownNameError, match="hamming"):
        distance_of("haming")  # type: ignore[arg-type]


def test_hamming_counts_bits() -> None:
    a, b = RNG.integers(0, 2, (2, 50, 13)).astype(bool)
    found = distance_of("hamming").rowwise(np.packbits(a, axis=1), np.packbits(b, axis=1))
    assert np.array_equal(found, (a != b).sum(axis=1))
    assert packed_bytes(13) == 2
    assert packed_bytes(16) == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40))), max_size=12))
def test_jaccard_of_python_sets(pairs: list[tuple[set[int], set[int]]]) -> None:
    a = Sets.from_rows([sorted(x) for x, _ in pairs], 41)
    b = Sets.from_rows([sorted(y) for _, y in pairs], 41)
    assert intersections(a, b).tolist() == [len(x & y) for x, y in pairs]
    expected = [1 - len(x & y) / len(x | y) if x | y else 0.0 for x, y in pairs]
    assert distance_of("jaccard").rowwise(a, b) == pytest.approx(expected, abs=1e-15)


def test_equal_jaccard_ratios_are_equal_floats() -> None:
    for common, union in ((1, 3), (2, 7), (5, 9)):
        scaled = [float(Jaccard.of_counts(np.array([common * m]), np.array([union * m]))[0]) for m in range(1, 200)]
        assert len(set(scaled)) == 1


def test_snr_by_its_definition_and_laws() -> None:
    snr = distance_of("snr")
    x, y = RNG.normal(size=(2, 20, 9))
    found = snr.rowwise(x, y)
    assert found == pytest.approx([(a - b).var() / a.var() for a, b in zip(x, y, strict=True)])
    assert snr.rowwise(x, x) == pytest.approx(np.zeros(20))
    assert snr.rowwise(x, x + 3) == pytest.approx(np.zeros(20), abs=1e-12)
    assert snr.rowwise(-2.5 * x, -2.5 * y) == pytest.approx(found)
    assert found / snr.rowwise(y, x) == pytest.approx(y.var(axis=1) / x.var(axis=1))


def test_poincare_by_its_definition_and_laws() -> None:
    poincare = distance_of("poincare")
    u, v, w = ball(200, 5, 0.95), ball(200, 5, 0.95), ball(200, 5, 0.95)
    direct = [
        math.acosh(1 + 2 * ((a - b) ** 2).sum() / ((1 - a @ a) * (1 - b @ b)))
        for a, b in zip(u.astype(float), v.astype(float), strict=True)
    ]
    uv = poincare.rowwise(u, v)
    assert uv == pytest.approx(direct)
    assert poincare.rowwise(v, u) == pytest.approx(uv)
    assert poincare.rowwise(np.zeros_like(v), v) == pytest.approx(2 * np.arctanh(np.linalg.norm(v, axis=1)), rel=1e-5)
    assert (poincare.rowwise(u, w) <= uv + poincare.rowwise(v, w) + 1e-9).all()


@pytest.mark.parametrize(("metric", "radius"), [("snr", None), ("poincare", 0.9)])
def test_a_reduction_ranks_as_the_distance_does(metric: str, radius: float | None) -> None:
    distance = DISTANCES[metric]  # type: ignore[index]
    base = RNG.normal(size=(300, 6)).astype(np.float32) if radius is None else ball(300, 6, radius)
    queries = RNG.normal(size=(20, 6)).astype(np.float32) if radius is None else ball(20, 6, radius)
    served = distance_of(distance.served_by)
    reduced_base, reduced_queries = distance.reduced_base(base), distance.reduced_queries(queries)
    assert reduced_base.shape == (300, distance.reduced_dim(6))
    assert reduced_base.dtype == reduced_queries.dtype == np.float32
    for query, reduced in zip(queries, reduced_queries, strict=True):
        true = distance.rowwise(query[None], base)
        order = np.argsort(served.rowwise(reduced[None], reduced_base), kind="stable")
        # In the served metric's order, the true distances rise, up to the rounding of float32 features.
        assert (np.diff(true[order]) > -2e-4 * true.max()).all()


def test_what_has_no_distance_is_named() -> None:
    constant = np.array([[1.0, 1.0], [1.0, 2.0]])
    assert distance_of("snr").undefined_queries(constant).tolist() == [True, False]
    assert distance_of("poincare").undefined_vectors(np.array([[0.6, 0.8], [0.6, 0.7]])).tolist() == [True, False]
    assert not distance_of("cosine").undefined_vectors(np.zeros((1, 2))).any()


def test_slices_of_sets_are_those_of_a_list() -> None:
    rows = [sorted(RNG.choice(30, size=s, replace=False).tolist()) for s in (3, 0, 5, 1, 0)]
    sets = Sets.from_rows(rows, 30)
    assert [row.tolist() for row in sets] == rows
    assert sets[-2].tolist() == rows[-2]
    for part in (slice(1, 4), slice(None, None, 2), slice(4, 1), slice(-2, None), slice(0, 0)):
        assert [row.tolist() for row in sets[part]] == rows[part]
    assert [row.tolist() for row in sets[np.array([4, 0, 0, 2])]] == [rows[4], rows[0], rows[0], rows[2]]
    with pytest.raises(IndexError):
        sets[np.array([5])]
    with pytest.raises(IndexError):
        sets[5]


@pytest.mark.parametrize(
    ("indptr", "elements", "message"),
    [
        ([0, 2], [1, 1], "repeats"),
        ([0, 2], [2, 1], "sorted"),
        ([0, 1, 2], [3, 30], "row 1"),
        ([0, 1], [-1], "element -1"),
        ([0, 2], [1], "add up"),
        ([0, 2, 1, 2], [1, 2], "add up"),
        ([1, 2], [1, 2], "add up"),
    ],
)
def test_hostile_sets_are_refused(indptr: list[int], elements: list[int], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        Sets(np.array(indptr), np.array(elements, np.int32), 30, where="file")


def test_empty_rows_do_not_hide_unsorted_ones() -> None:
    with pytest.raises(DatasetError, match="row 2"):
        Sets(np.array([0, 0, 0, 2, 2]), np.array([5, 4], np.int32), 10)
    Sets(np.array([0, 1, 1, 2, 2]), np.array([5, 4], np.int32), 10)
