"""Rows made of other rows say the same as the arrays they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annbench.datasets.formats.rows import ArrayRows
from annbench.datasets.formats.views import CastRows, CountRows, FirstRows, RemainingRows

VALUES = np.random.default_rng(2).standard_normal((40, 3))


def assert_same(rows: Any, expected: Any, start: int, stop: int) -> None:
    assert rows.shape == expected.shape
    assert rows.dtype == expected.dtype
    np.testing.assert_array_equal(rows[start:stop], expected[start:stop])
    np.testing.assert_array_equal(rows.stored(), expected)
    np.testing.assert_array_equal(np.concatenate([block for _, block in rows.blocks(100)]), expected)
    ids = np.arange(len(expected))[::-1].reshape(-1, 1)
    np.testing.assert_array_equal(rows.gather(ids), expected[ids])
    for outside in (-1, len(expected)):
        with pytest.raises(IndexError):
            rows.gather(np.array([outside]))


@given(
    left_out=st.sets(st.integers(0, 39), min_size=1, max_size=39), start=st.integers(0, 45), length=st.integers(0, 45)
)
def test_all_rows_but_some(left_out: set[int], start: int, length: int) -> None:
    taken = np.array(sorted(left_out))
    rows = RemainingRows(ArrayRows(VALUES, "here"), taken)
    assert_same(rows, np.delete(VALUES, taken, axis=0), start, start + length)


@given(n=st.integers(1, 60), start=st.integers(0, 45), length=st.integers(0, 45))
def test_the_first_rows(n: int, start: int, length: int) -> None:
    assert_same(FirstRows(ArrayRows(VALUES, "here"), n), VALUES[:n], start, start + length)


def test_another_dtype_and_byte_order() -> None:
    rows = CastRows(ArrayRows(VALUES.astype(">f8"), "here"), np.float32)
    assert_same(rows, VALUES.astype(np.float32), 3, 9)
    assert np.isinf(CastRows(ArrayRows(np.array([[1e300]]), "here"), np.float32)[0:1]).all()


@given(dim=st.integers(1, 100_000), share=st.floats(0, 1))
def test_a_mean_in_float32_is_its_count_again(dim: int, share: float) -> None:
    count = round(share * dim)
    means = np.array([[count / dim]], np.float32)
    assert CountRows(ArrayRows(means, "here"), dim)[0:1].item() == count


def test_what_is_no_mean_stays_wrong() -> None:
    assert CountRows(ArrayRows(np.array([[0.3]], np.float32), "here"), 8)[0:1].item() == pytest.approx(2.4)
