"""What an adapter may return, and what is said about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from annbench.errors import InvalidOutputError
from annbench.metrics.ids import ids_crc32c, sort_out, validate_ids


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.uint64])
def test_integers_of_any_kind_become_int64(dtype: Any) -> None:
    ids = validate_ids(np.array([[3, 1], [0, 2]], dtype=dtype), 2, 2)
    assert ids.dtype == np.int64
    assert ids.tolist() == [[3, 1], [0, 2]]


def test_short_answers_are_filled_up() -> None:
    assert validate_ids(np.array([[3], [1]]), 2, 3).tolist() == [[3, -1, -1], [1, -1, -1]]
    rows = [np.array([1, 2], dtype=np.uint64), np.array([], dtype=np.int64), np.array([5])]
    assert validate_ids(rows, 3, 2).tolist() == [[1, 2], [-1, -1], [5, -1]]
    assert validate_ids([], 0, 4).shape == (0, 4)


@pytest.mark.parametrize(
    "raw",
    [
        np.array([[0.0, 1.0]]),
        np.array([[True, False]]),
        np.array([["0", "1"]]),
        np.array([[0, 1]], dtype=object),
        np.array([0, 1]),
        np.array([[0, 1, 2]]),
        np.array([[0, 1], [0, 1]]),
        None,
        7,
        [[0, 1]],
        [np.array([0, 1]), np.array([0, 1])],
        [np.array([0, 1, 2])],
        [np.array([0.5, 1.5])],
        [np.array([[0, 1]])],
        [None],
    ],
    ids=repr,
)
def test_anything_else_is_invalid_output(raw: Any) -> None:
    with pytest.raises(InvalidOutputError):
        validate_ids(raw, 1, 2)


def test_the_first_of_equal_ids_is_the_valid_one() -> None:
    found = sort_out(np.array([[4, 2, 4, 4, -1, -1, 9, 9, -5]]), n=9)
    assert found.valid.tolist() == [[True, True, False, False, False, False, False, False, False]]
    assert (found.duplicates, found.out_of_range, found.missing) == (2, 3, 2)


def test_ids_beyond_int64_are_misses_not_wraps() -> None:
    found = sort_out(validate_ids(np.array([[2**64 - 2, 2**63]], dtype=np.uint64), 1, 2), n=10)
    assert not found.valid.any()


def test_checksum_tells_ids_apart_whatever_their_layout() -> None:
    ids = np.arange(6).reshape(2, 3)
    assert ids_crc32c(ids) == ids_crc32c(np.asfortranarray(ids)) == ids_crc32c(ids.copy())
    assert ids_crc32c(ids) != ids_crc32c(ids[::-1])
    # CRC-32C of 32 zero bytes, RFC 3720 appendix B.4.
    assert ids_crc32c(np.zeros((1, 4), np.int64)) == "8a9136aa"
