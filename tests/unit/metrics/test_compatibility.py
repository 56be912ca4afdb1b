"""The matrix between generations, what is drawn from it, flips and known items: by hand."""

from __future__ import annotations

import numpy as np
import pytest

from annbench.errors import UsageError
from annbench.metrics.compatibility import Flips, average_compatibility, average_measure, flips, update_gain
from annbench.metrics.known_item import hits, ranks, reciprocal_ranks

NAN = np.nan
MATRIX = np.array([[0.4, NAN, NAN], [0.5, 0.6, NAN], [0.3, 0.7, 0.8]])


def test_ac_and_am_by_hand() -> None:
    assert average_compatibility(MATRIX) == pytest.approx(2 / 3)  # 0.5 > 0.4, 0.3 < 0.4, 0.7 > 0.6
    assert average_measure(MATRIX) == pytest.approx((0.4 + 0.5 + 0.6 + 0.3 + 0.7 + 0.8) / 6)


def test_a_model_is_not_better_than_itself() -> None:
    assert average_compatibility(np.full((3, 3), 0.5)) == 0
    assert average_compatibility(np.array([[0.5]])) is None
    assert average_measure(np.array([[0.5]])) == 0.5


def test_gain() -> None:
    assert update_gain(0.6, 0.5, 0.7) == pytest.approx(0.5)
    assert update_gain(0.4, 0.5, 0.7) == pytest.approx(-0.5)
    assert update_gain(0.5, 0.5, 0.5) is None
    assert update_gain(0.6, 0.5, 0.5) is None
    assert update_gain(0.3, 0.5, 0.49) is None  # not 20, as if it were a success


def test_flips_by_hand() -> None:
    before = np.array([True, True, True, False, False])
    after = np.array([True, False, False, True, False])
    counted = flips(before, after)
    assert counted == Flips(negative=2, positive=1, queries=5)
    assert counted.negative_rate == pytest.approx(0.4)
    assert flips(before, before) == Flips(0, 0, 5)


def test_known_items_by_hand() -> None:
    ids = np.array([[4, 2, 9], [7, -1, -1], [1, 2, 3]])
    found = ranks(ids, np.array([2, 7, 5]))
    assert found.tolist() == [1, 0, 3]
    assert hits(found, 1).tolist() == [False, True, False]
    assert hits(found, 3).tolist() == [True, True, False]
    assert reciprocal_ranks(found, 3).tolist() == [0.5, 1.0, 0.0]
    assert reciprocal_ranks(found, 1).tolist() == [0.0, 1.0, 0.0]


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(UsageError, match=r"shape \(2, 3\); give \(T, T\)"):
        average_measure(np.zeros((2, 3)))
    with pytest.raises(UsageError, match="a figure on or below the diagonal is missing"):
        average_compatibility(np.array([[0.4, 0.1], [NAN, 0.5]]))
    with pytest.raises(UsageError, match="are not answers to the same queries"):
        flips(np.array([True]), np.array([True, False]))
    with pytest.raises(UsageError, match=r"give \(q, k\) and \(q,\)"):
        ranks(np.zeros((2, 3), np.int64), np.zeros(3, np.int64))
