"""Packed bits, sets, and the distances by reduction: what is defined is measured, the rest is said not to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from annbench.distances.sets import Sets
from annbench.doctor.summary import curve

N, QUERIES, BITS, UNIVERSE = 900, 100, 67, 400


def bits(rows: int, seed: int) -> Any:
    """Packed bits, each as likely as not."""
    return np.packbits(np.random.default_rng(seed).random((rows, BITS)) < 0.5, axis=1)


def sets(rows: int, seed: int) -> Sets:
    """Sets of 20 to 40 elements, small ones more often."""
    rng = np.random.default_rng(seed)
    drawn = [np.floor(UNIVERSE * rng.random(rng.integers(20, 40)) ** 1.5).astype(int) for _ in range(rows)]
    return Sets.from_rows(drawn, UNIVERSE)


def test_bits(lab: Any) -> None:
    found = lab.examine(bits(N, 1), bits(QUERIES, 2), "hamming", dim=BITS, request={"k": 7})
    assert (found.dtype, found.dim) == ("bits", BITS)
    assert {code for _, code in lab.bad(found)} <= {"near_ties"}
    assert found.variance is None
    assert "local intrinsic dimensionality" in found.not_defined
    assert found.neighborhoods[0].lid == ()
    # Bits that agree by chance are BITS / 2 apart.
    assert found.neighborhoods[0].mean_distance == pytest.approx(BITS / 2, rel=0.02)
    assert found.shifts[0].verdict == "in distribution"
    assert found.shifts[0].mahalanobis_exceedance is None
    assert found.arrays[0].lengths.mean == pytest.approx(BITS / 2, rel=0.02)
    assert found.ties["test"].exact > 0.2


def test_faults_in_bits(lab: Any) -> None:
    base, queries = bits(N, 1), bits(QUERIES, 2)
    base[[30, 40]] = base[20]
    queries[5] = base[600]
    base[700] = 0
    ids, distances = lab.truth_of(base, queries, "hamming")
    base[800, -1] |= 1  # one of the bits that fill up the last byte
    distances[distances > 0] += 1
    found = lab.examine(
        base, type(lab.with_truth(base, queries, "hamming"))(queries, ids, distances), "hamming", dim=BITS
    )
    assert lab.finding(found, "undefined_rows").rows == (800,)
    assert "bits set beyond dimension 67" in lab.finding(found, "undefined_rows").message
    assert lab.finding(found, "duplicate_rows", "base").rows == (20, 30, 40)
    assert found.leaks["test"].example == (5, 600)
    assert lab.finding(found, "zero_rows", "base").rows == (700,)
    assert lab.finding(found, "distances_disagree").severity == "error"


def test_sets(lab: Any) -> None:
    found = lab.examine(sets(N, 1), sets(QUERIES, 2), "jaccard")
    assert found.dtype == "sets"
    assert {code for _, code in lab.bad(found)} <= {"near_ties"}
    assert found.neighborhoods[0].lid == ()
    assert found.shifts[0].verdict == "in distribution"
    assert found.arrays[0].lengths.mean == pytest.approx(sets(N, 1).sizes.mean())


def test_faults_in_sets(lab: Any) -> None:
    rows, asked = list(sets(N, 1)), list(sets(QUERIES, 2))
    rows[7], rows[500] = rows[3], np.empty(0, np.int32)
    asked[9] = rows[77]
    base, queries = Sets.from_rows(rows, UNIVERSE), Sets.from_rows(asked, UNIVERSE)
    found = lab.examine(base, lab.with_truth(base, queries, "jaccard"), "jaccard")
    assert lab.finding(found, "duplicate_rows", "base").rows == (3, 7)
    assert lab.finding(found, "zero_rows", "base").rows == (500,)
    assert found.leaks["test"].example == (9, 77)
    assert lab.finding(found, "truth_wrong").severity == "ok"
    shifted = Sets.from_rows([UNIVERSE - 1 - row for row in asked], UNIVERSE)  # of the rare elements
    found = lab.examine(base, lab.with_truth(base, shifted, "jaccard"), "jaccard")
    assert found.shifts[0].verdict == "out of distribution"


def test_snr_measures_what_it_ranks_by(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    lifted = base + np.arange(N, dtype=np.float32)[:, None] % 5
    found = lab.examine(lifted, lab.with_truth(lifted, queries, "snr"), "snr")
    assert lab.bad(found) == set()
    centred = base - base.mean(axis=1, keepdims=True)
    flat = lab.examine(centred, queries - queries.mean(axis=1, keepdims=True), "euclidean")
    for one, other in zip(found.neighborhoods, flat.neighborhoods, strict=True):
        assert one.lid[-1].unbiased_mean == pytest.approx(other.lid[-1].unbiased_mean, rel=1e-3)
    queries[3] = 1.5
    found = lab.examine(base, lab.with_truth(base, queries, "snr"), "snr")
    assert lab.finding(found, "undefined_rows", "test").rows == (3,)


def test_poincare(lab: Any) -> None:
    base, queries = lab.drawn(N, 1) / 10, lab.drawn(QUERIES, 2) / 10
    assert np.linalg.norm(base, axis=1).max() < 1
    found = lab.examine(base, lab.with_truth(base, queries, "poincare"), "poincare")
    assert lab.bad(found) == set()
    # Near the centre it is twice the L2 distance, and LID does not depend on the factor.
    small = lab.examine(base / 100, lab.with_truth(base / 100, queries / 100, "poincare"), "poincare")
    flat = lab.examine(base / 100, queries / 100, "euclidean")
    for one, other in zip(small.neighborhoods, flat.neighborhoods, strict=True):
        assert one.lid[-1].unbiased_mean == pytest.approx(other.lid[-1].unbiased_mean, rel=1e-3)
        assert one.mean_distance == pytest.approx(2 * other.mean_distance, rel=0.01)
    base[[4, 5], 0] = 1
    found = lab.examine(base, lab.with_truth(base, queries, "poincare"), "poincare")
    assert lab.finding(found, "undefined_rows").rows == (4, 5)
    assert lab.finding(found, "truth_wrong").severity == "ok"


def test_bins_of_counts_hold_as_many_numbers_each() -> None:
    found = curve({"a": np.arange(0, 300.0)})
    assert found is not None
    assert set(np.diff(found.edges)) == {8.0}
    assert len(set(found.shares["a"][1:-1])) == 1


def test_a_curve_of_one_value_is_one_bar() -> None:
    found = curve({"a": 1 + 1e-5 * np.random.default_rng(1).standard_normal(500), "none": np.array([np.inf])})
    assert found is not None
    assert list(found.shares) == ["a"]
    assert max(found.shares["a"]) > 0.98
    assert curve({"none": np.empty(0)}) is None
