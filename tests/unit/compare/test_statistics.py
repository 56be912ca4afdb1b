import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annbench.compare.statistics import (
    Noise,
    alpha_of,
    detectable_slowdown,
    exact_binomial_limit,
    holm,
    judge,
    median_interval,
    needed_pairs,
    noise_of,
    outliers,
    part_to_test,
    slower_p,
    threshold_of,
    upper_sigma,
)


@pytest.mark.parametrize(("cells", "alpha", "threshold"), [(1, 0.005, 0.005), (2, 0.005, 0.01), (10, 0.001, 0.01)])
def test_levels(cells, alpha, threshold):
    assert alpha_of(cells) == pytest.approx(alpha)
    assert threshold_of(cells) == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("sigma", "cells", "pairs"),
    [
        # By hand, z from a table: 1.25·((2.5758 + 1.645)·0.05 ÷ 0.0488)² = 23.4.
        (0.05, 1, 24),
        # α = 0.0025: 1.25·((2.8070 + 1.645)·0.05 ÷ 0.0488)² = 26.01.
        (0.05, 4, 27),
        (0.08, 1, 60),  # 59.8
        (0.0805, 1, 61),  # 60.6: more than allowed
        (0.01, 1, 18),
        (0.0, 1, 18),
    ],
)
def test_number_of_pairs_by_hand(sigma, cells, pairs):
    assert needed_pairs(sigma, cells) == pairs


def test_upper_limit_of_the_deviation_against_the_table():
    pilot = np.arange(10.0)  # s² = 55/6
    assert upper_sigma(pilot) == pytest.approx(math.sqrt(55 / 6 * 9 / 5.380), rel=1e-4)  # χ²(0.20; 9) = 5.380
    assert upper_sigma(np.stack([pilot, 2 * pilot])) == pytest.approx([3.9159, 7.8318], rel=1e-4)


def test_the_upper_limit_covers_the_truth_in_80_percent():
    rng = np.random.default_rng(5)
    covered = (upper_sigma(rng.normal(0, 1, (20_000, 10))) >= 1).mean()
    assert covered == pytest.approx(0.8, abs=0.01)


def test_detectable_slowdown_by_hand():
    # exp(4.2208·0.05·√(1.25 ÷ 60)) − 1
    assert detectable_slowdown(0.05, 60, 1) == pytest.approx(0.03093, abs=2e-5)
    assert detectable_slowdown(0.05, 0, 1) == math.inf
    assert detectable_slowdown(1e9, 1, 1) > 1e100  # no overflow


def test_holm_by_hand():
    # 0.01·3, then 0.03·2, then 0.04·1, which may not fall below the one before.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_between_the_raw_p_and_bonferroni(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-12).all()
    assert (adjusted <= np.minimum(np.array(p) * len(p), 1) + 1e-12).all()


def test_wilcoxon_against_a_published_example():
    # Hollander & Wolfe (1973), 29f: Hamilton depression scale, V = 40, one-sided p = 0.01953.
    first = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    second = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    assert slower_p(first - second) == pytest.approx(10 / 2**9, abs=1e-12)


def test_wilcoxon_corner_cases():
    assert slower_p(np.arange(1.0, 19)) == pytest.approx(2.0**-18)  # all positive: one of 2¹⁸ sign patterns
    assert slower_p(np.zeros(18)) == 1
    tied = slower_p([0.02, 0.02, 0.02, 0.0, -0.02, 0.03, 0.04, 0.05, 0.06, 0.07])
    assert 0.005 < tied < 0.05
    both = slower_p(np.stack([np.arange(1.0, 19), np.zeros(18)]))
    np.testing.assert_allclose(both, [2.0**-18, 1])


def test_median_interval_takes_the_ranks_of_the_table():
    assert median_interval(range(1, 19)) == (5, 14)  # n = 18: ranks 5 and 14 cover 96.9 %
    assert median_interval([3.0, 1.0, 2.0]) == (1, 3)
    assert median_interval([7.0]) == (7, 7)


def test_outliers_are_marked():
    assert outliers([1, 1.1, 0.9, 1.05, 0.95, 5.0]).tolist() == [False] * 5 + [True]
    assert not outliers([1, 100]).any()


def test_exact_binomial_limits():
    assert exact_binomial_limit(0, 299) == pytest.approx((0, 0.00997), abs=1e-5)  # 1 − 0.05^(1/299)
    low, high = exact_binomial_limit(1, 10)
    assert (low, high) == pytest.approx((0.00253, 0.44502), abs=1e-5)  # Clopper & Pearson's table
    assert exact_binomial_limit(5, 5)[1] == 1


RNG = np.random.default_rng(1)
QUIET = RNG.normal(0, 0.01, 70)


def test_the_pilot_is_not_tested_and_nothing_beyond_n_is():
    noise = noise_of(list(QUIET), 1)
    assert noise is not None
    assert noise.pairs_needed == 18
    np.testing.assert_array_equal(part_to_test(list(QUIET), noise), QUIET[10:28])
    # Measuring more cannot change the answer: no peeking.
    np.testing.assert_array_equal(part_to_test(list(QUIET[:28]), noise), QUIET[10:28])
    assert part_to_test(list(QUIET[:27]), noise) is None
    assert noise_of(list(QUIET[:9]), 1) is None


def test_a_noisy_pilot_gets_no_test():
    noise = noise_of(list(QUIET * 20), 1)
    assert noise is not None
    assert noise.too_noisy
    assert part_to_test(list(QUIET * 20), noise) is None
    assert not Noise(0.05, 60).too_noisy


def test_judge_wants_both_significance_and_size():
    steady = QUIET[10:28]
    for shift, slower, faster in (
        (0.05, True, False),
        (0.0, False, False),
        (-0.05, False, True),
        (0.012, False, False),
    ):
        (found,) = judge([steady + shift], 1)
        assert (found.slower, found.faster) == (slower, faster), shift
    (small,) = judge([steady / 100 + 0.012], 1)
    assert small.p_slower < 1e-5  # beyond doubt, but 1.2 % is below what is flagged
    assert not small.slower


def test_judge_by_hand():
    d = np.log([1.02, 1.03, 1.04, 1.05, 1.06, 1.07])
    (found,) = judge([d], 1)
    assert found.p_slower == pytest.approx(1 / 64)
    assert found.slowdown == pytest.approx(math.sqrt(1.04 * 1.05) - 1)
    assert (found.low, found.high) == pytest.approx((0.02, 0.07))
    assert not found.slower  # 1/64 is not below 0.005


def test_cells_without_an_answer_still_count():
    d = np.linspace(0.02, 0.05, 9)  # p = 1/512 = 0.00195, and Holm's 5·0.00195 = 0.0098
    assert judge([d], 5)[0].slower
    assert not judge([d], 6)[0].slower  # 0.0117
    assert judge([d], 6)[0].p_slower == pytest.approx(6 / 512)
