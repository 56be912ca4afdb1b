import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annbench.compare.frontier import MISS_FLOOR, at_recall, hardness, pareto_mask

recalls = st.floats(0, 1, allow_nan=False)
costs = st.floats(1e-3, 1e6, allow_nan=False)
clouds = st.lists(st.tuples(recalls, costs), min_size=1, max_size=40)


def dominates(a, b):
    return a[0] >= b[0] and a[1] <= b[1] and a != b


@given(clouds)
def test_front_points_are_those_that_nothing_dominates(cloud):
    mask = pareto_mask([r for r, _ in cloud], [c for _, c in cloud])
    front = [p for p, kept in zip(cloud, mask, strict=True) if kept]
    assert len(set(front)) == len(front)
    assert set(front) == {p for p in cloud if not any(dominates(q, p) for q in cloud)}


def test_missing_figures_are_never_on_the_front():
    assert pareto_mask([0.5, np.nan, 0.9], [1.0, 0.1, np.nan]).tolist() == [True, False, False]


def test_hardness_is_minus_log_of_misses_down_to_the_floor():
    np.testing.assert_allclose(hardness([0.0, 0.9, 0.99]), [0, math.log(10), math.log(100)])
    assert hardness(1.0) == hardness(1 - MISS_FLOOR / 2) == pytest.approx(-math.log(MISS_FLOOR))


def test_interpolates_log_qps_against_hardness():
    # 1 − recall goes 0.2 → 0.05; the target's 0.1 lies half-way in log, so QPS is the geometric mean.
    place = at_recall([0.8, 0.95], [4000, 1000], 0.90, {"bytes": [100, 400], "build": [0.0, 8.0]})
    assert place.kind == "interpolated"
    assert place.values["qps"] == pytest.approx(2000)
    assert place.values["bytes"] == pytest.approx(200)
    assert place.values["build"] == pytest.approx(4)  # zero has no logarithm: linear
    assert (place.lower, place.upper) == (0, 1)


@pytest.mark.parametrize(("upper", "wide"), [(0.95, True), (0.92, False)])
def test_marks_a_bracket_wider_than_a_factor_of_two(upper, wide):
    place = at_recall([0.85, upper], [2000, 1000], 0.90)
    assert place.wide is wide
    assert place.mark == ("≈" if wide else "")


def test_a_bracket_of_exactly_two_is_not_wide():
    assert not at_recall([0.875, 0.9375], [2000, 1000], 0.90).wide


def test_never_extrapolates():
    above = at_recall([0.96, 0.99], [500, 100], 0.95)
    assert (above.kind, above.values["qps"], above.mark) == ("at_least", 500, "≥")
    below = at_recall([0.5, 0.94], [500, 100], 0.95)
    assert (below.kind, dict(below.values), below.upper) == ("not_reached", {}, None)


def test_recall_one_has_a_place():
    place = at_recall([0.98, 1.0], [1000, 10], 0.99)
    assert place.wide
    assert 10 < place.values["qps"] < 1000


def test_a_point_on_the_target_is_itself():
    place = at_recall([0.85, 0.8999999999999999, 0.99], [900, 700, 100], 0.90)
    assert (place.kind, place.values["qps"], place.lower) == ("measured", 700, None)


def test_a_cost_missing_at_one_end_is_missing_between():
    assert math.isnan(at_recall([0.8, 0.95], [4000, 1000], 0.9, {"p99": [np.nan, 3.0]}).values["p99"])


def test_dominated_points_do_not_bend_the_frontier():
    plain = at_recall([0.8, 0.95], [4000, 1000], 0.90)
    with_noise = at_recall([0.8, 0.89, 0.95], [4000, 10, 1000], 0.90)
    assert with_noise.values["qps"] == pytest.approx(plain.values["qps"])


@given(clouds, st.lists(st.floats(0.01, 0.999), min_size=2, max_size=8))
def test_more_recall_never_costs_less(cloud, targets):
    r, q = [p[0] for p in cloud], [p[1] for p in cloud]
    places = [at_recall(r, q, t) for t in sorted(targets)]
    speeds = [p.values["qps"] for p in places if p.kind != "not_reached"]
    assert all(a >= b * (1 - 1e-9) for a, b in itertools.pairwise(speeds))
    # Whatever reaches a target reaches the lower ones.
    reached = [p.kind != "not_reached" for p in places]
    assert reached == sorted(reached, reverse=True)


@given(clouds, st.floats(0.01, 0.999))
def test_interpolation_stays_between_its_bracket(cloud, target):
    r, q = [p[0] for p in cloud], [p[1] for p in cloud]
    place = at_recall(r, q, target)
    if place.kind == "interpolated":
        assert q[place.upper] * (1 - 1e-9) <= place.values["qps"] <= q[place.lower] * (1 + 1e-9)
        assert r[place.lower] < target < r[place.upper]
