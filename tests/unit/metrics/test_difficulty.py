"""LID against spaces of known dimension, contrast and shift against what can be worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from annbench.metrics.difficulty import (
    SHRINKAGE,
    Cloud,
    arithmetic_mean,
    exceedance,
    exceedance_error,
    harmonic_mean,
    lid_mle,
    mahalanobis,
    relative_contrast,
    separability,
    shift_verdict,
)


def ball(n: int, dim: int, seed: int) -> Any:
    """Uniform in the unit ball."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True) * rng.random((n, 1)) ** (1 / dim)


def nearest(points: Any, base: Any, k: int, own: bool = True) -> Any:
    """Distances (m, k) to the nearest rows, without the first one where that is the point itself."""
    squares = (points**2).sum(1)[:, None] + (base**2).sum(1)[None] - 2 * points @ base.T
    ordered = np.sqrt(np.maximum(np.partition(squares, k, axis=1)[:, : k + 1], 0))
    ordered.sort(axis=1)
    return ordered[:, 1:] if own else ordered[:, :k]


# Means over the 100 points nearest to the centre of 8000. Over 20 seeds such a mean has a standard deviation of 1.5 %
# (k = 100) or up to 3.4 % (k = 20: those points share neighbours). The expected figures are one draw each, the mean of
# four seeds is compared: 5 % is a difference that both kinds of noise hardly reach.
@pytest.mark.parametrize(
    ("dim", "plain_100", "unbiased_100", "plain_20"),
    [(5, 5.12, 5.02, 5.55), (10, 9.52, 9.33, 10.59), (20, 15.6, 15.3, 18.5)],
)
def test_uniform_balls(dim: int, plain_100: float, unbiased_100: float, plain_20: float) -> None:
    found = []
    for seed in range(4):
        x = ball(8000, dim, seed)
        centre = x[np.argsort(np.linalg.norm(x, axis=1))[:100]]
        distances = nearest(centre, x, 100)
        hundred, twenty = lid_mle(distances, 100), lid_mle(distances, 20)
        found.append((hundred.plain.mean(), hundred.unbiased.mean(), twenty.plain.mean()))
    assert np.mean(found, axis=0) == pytest.approx([plain_100, unbiased_100, plain_20], rel=0.05)


@pytest.mark.parametrize("rank", [2, 5, 10])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_subspace_has_the_dimension_that_it_has(rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((10_000, rank))
    frame = np.linalg.qr(rng.standard_normal((64, rank)))[0]
    embedded = x @ frame.T
    lid = lid_mle(nearest(embedded[:300], embedded, 100), 100)
    assert harmonic_mean(lid.unbiased) == pytest.approx(rank, rel=0.15)
    assert lid.plain == pytest.approx(lid_mle(nearest(x[:300], x, 100), 100).plain, rel=1e-6)


def test_scale_does_not_matter_and_squaring_halves() -> None:
    distances = nearest(ball(2000, 6, 3)[:50], ball(2000, 6, 3), 50)
    lid = lid_mle(distances, 50)
    assert lid_mle(1e-7 * distances, 50).plain == pytest.approx(lid.plain, rel=1e-9)
    assert lid_mle(distances**2, 50).plain == pytest.approx(lid.plain / 2, rel=1e-9)


def test_the_formulas_by_hand() -> None:
    lid = lid_mle([[1.0, 2.0, 4.0, 4.0, 8.0, 9.0]], 5)
    total = math.log(1 / 8) + math.log(2 / 8) + 2 * math.log(4 / 8)
    assert lid.plain[0] == pytest.approx(-5 / total)
    assert lid.unbiased[0] == pytest.approx(-3 / total)
    assert lid.used[0] == 5


def test_copies_of_a_point_are_passed_over() -> None:
    clean = nearest(ball(1000, 4, 5)[:20], ball(1000, 4, 5), 30)
    with_copies = np.concatenate([np.zeros((20, 3)), clean], axis=1)
    assert np.array_equal(lid_mle(with_copies, 30).plain, lid_mle(clean, 30).plain)


def test_points_without_enough_neighbours_have_no_lid() -> None:
    missing = math.inf
    lid = lid_mle([[0, 0, 1, 2, 3, missing], [1, 2, 3, 4, 5, missing], [0] * 6, [7, 7, 7, 7, 7, 7]], 6)
    assert np.isnan(lid.plain[[0, 2]]).all()
    assert lid.used.tolist() == [3, 5, 0, 6]
    assert lid.plain[1] > 0
    assert math.isinf(lid.plain[3])  # all equally far
    assert arithmetic_mean(lid.plain) == lid.plain[1]
    assert harmonic_mean(lid.plain) == pytest.approx(2 * lid.plain[1])
    assert math.isnan(harmonic_mean([math.nan]))
    assert math.isnan(arithmetic_mean([math.inf]))


def test_relative_contrast() -> None:
    assert relative_contrast(6.0, [1.0, 3.0]) == 3.0
    assert math.isnan(relative_contrast(6.0, []))
    assert math.isnan(relative_contrast(6.0, [0.0]))


def test_exceedance() -> None:
    assert exceedance([3, 4], [1, 2]) == 1
    assert exceedance([1, 2], [3, 4]) == 0
    assert exceedance([1, 1], [1, 1]) == 0.5
    assert exceedance([2], [1, 2, 3, 3]) == pytest.approx((1 + 0.5) / 4)
    assert math.isnan(exceedance([], [1]))


def test_the_standard_error_is_what_samples_show() -> None:
    rng = np.random.default_rng(7)
    drawn = [exceedance(rng.standard_normal(60), rng.standard_normal(90)) for _ in range(600)]
    assert np.std(drawn) == pytest.approx(exceedance_error(60, 90), rel=0.1)


def test_a_cloud_whitens() -> None:
    rng = np.random.default_rng(11)
    x = rng.standard_normal((20_000, 5)) * [5, 3, 1, 0.5, 0] @ np.linalg.qr(rng.standard_normal((5, 5)))[0] + 4
    cloud = Cloud.of(x.mean(axis=0), np.cov(x.T, bias=True))
    assert cloud.eigenvalues == pytest.approx([25, 9, 1, 0.25, 0], rel=0.05, abs=1e-9)
    assert [cloud.dims_for(share) for share in (0.5, 0.9, 0.99, 1.0)] == [1, 2, 3, 4]
    white = cloud.whitened(x)
    assert white.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-9)
    floor = cloud.eigenvalues.mean()
    expected = cloud.eigenvalues / ((1 - SHRINKAGE) * cloud.eigenvalues + SHRINKAGE * floor)
    assert white.var(axis=0) == pytest.approx(expected, abs=1e-9)
    assert mahalanobis(white)[:3] == pytest.approx(np.linalg.norm(white[:3], axis=1))


def test_a_cloud_of_one_point_has_no_directions() -> None:
    cloud = Cloud.of(np.ones(3), np.zeros((3, 3)))
    assert cloud.dims_for(0.9) == 0
    assert np.isfinite(cloud.whitened(np.ones((2, 3)))).all()


def test_separability_does_not_take_noise_for_a_difference() -> None:
    rng = np.random.default_rng(13)
    same = [separability(*rng.standard_normal((2, 100, 200)), rng) for _ in range(20)]
    assert np.mean(same) == pytest.approx(0.5, abs=0.03)
    assert np.std(same) < 1.5 * exceedance_error(50, 50)
    moved = rng.standard_normal((100, 200)) + 0.3
    assert separability(moved, rng.standard_normal((100, 200)), rng) > 0.95
    assert math.isnan(separability(moved[:3], moved, rng))


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.5, 0.47, math.nan], "in distribution"),
        ([0.5, 0.61], "shifted"),
        ([0.38, 0.5], "shifted"),
        ([0.5, 0.76], "out of distribution"),
        ([math.nan], "too few to tell"),
    ],
)
def test_verdicts(values: list[float], verdict: str) -> None:
    assert shift_verdict(values, 1000, 1000) == verdict


def test_few_queries_need_more_to_be_called_shifted() -> None:
    assert shift_verdict([0.7], 30, 1000) == "in distribution"
    assert shift_verdict([0.99], 30, 1000) == "out of distribution"
    assert shift_verdict([0.99], 19, 1000) == "too few to tell"
