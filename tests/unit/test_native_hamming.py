"""The Hamming kernel and collector through the binding: what they compute, on every instruction set, and refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from annbench import _native
from annbench.isa import available_isas

ISAS = available_isas()
SEED = 20250119
SIZES = (*range(1, 42), 63, 64, 65, 96, 100, 127, 128, 129, 200, 256, 257, 509, 1021)


def codes(n: int, size: int, seed: int = SEED) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (n, size), np.uint8)


@pytest.mark.parametrize("isa", ISAS)
def test_select_is_numpy_s_count(isa: str) -> None:
    for size in SIZES:
        # A view that begins one byte into its buffer: no alignment is needed.
        base = codes(1, 9 * size + 1).reshape(-1)[1:].reshape(9, size)
        query = codes(1, size, SEED + 1)[0]
        expected = np.bitwise_count(base ^ query).sum(axis=1)
        for limit in (0, int(np.median(expected)), 8 * size):
            indices, distances = _native.hamming_select(query, base, limit, isa=isa)
            np.testing.assert_array_equal(indices, np.flatnonzero(expected <= limit))
            np.testing.assert_array_equal(distances, expected[expected <= limit])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("k", [1, 10, 90])
def test_collector_is_a_stable_sort(isa: str, k: int) -> None:
    """In pieces and over two collectors, codes of 3 bits a byte: ties everywhere."""
    base, queries = codes(5000, 5) & 7, codes(7, 5, SEED + 1) & 7
    neighbors, distances = np.full((7, k), -1, np.int64), np.full((7, k), np.inf)
    ties = np.zeros(7, np.int64)
    for first, stop in ((0, 1777), (1777, 5000)):
        collector = _native.HammingCollector(
            base=base[first:stop], first_id=first, queries=queries, neighbors=neighbors, distances=distances,
            ties=ties, isa=isa,
        )  # fmt: skip
        for at in range(0, stop - first, 700):
            collector.offer(at, min(700, stop - first - at))
        collector.finish()
    for query in range(7):
        all_distances = np.bitwise_count(base ^ queries[query]).sum(axis=1)
        order = np.argsort(all_distances, kind="stable")
        np.testing.assert_array_equal(neighbors[query], order[:k])
        np.testing.assert_array_equal(distances[query], all_distances[order[:k]])
        assert ties[query] == (all_distances[order[k:]] == all_distances[order[k - 1]]).sum()


def test_fewer_codes_than_k() -> None:
    neighbors, distances, ties = np.full((1, 4), -1, np.int64), np.full((1, 4), np.inf), np.zeros(1, np.int64)
    collector = _native.HammingCollector(
        base=codes(2, 3), first_id=40, queries=codes(2, 3)[1:], neighbors=neighbors, distances=distances, ties=ties
    )
    collector.offer(0, 2)
    collector.finish()
    np.testing.assert_array_equal(neighbors, [[41, 40, -1, -1]])
    assert distances[0, 0] == 0
    assert np.isinf(distances[0, 2:]).all()
    assert ties[0] == 0


def test_wrong_arguments_are_refused_before_anything_is_read() -> None:
    base, query = codes(4, 3), codes(1, 3)[0]
    with pytest.raises(ValueError, match="same number of bytes"):
        _native.hamming_select(query[:2], base, 3)
    with pytest.raises(TypeError):
        _native.hamming_select(query.astype(np.int16), base, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _native.hamming_select(query, np.asfortranarray(base), 3)
    with pytest.raises(ValueError, match="available: scalar"):
        _native.hamming_select(query, base, 3, isa="sse9")
    lists: dict[str, Any] = {
        "neighbors": np.full((2, 4), -1, np.int64), "distances": np.full((2, 4), np.inf), "ties": np.zeros(2, np.int64),
    }  # fmt: skip
    with pytest.raises(ValueError, match="one row a query"):
        _native.HammingCollector(base=base, first_id=0, queries=codes(3, 3), **lists)
    with pytest.raises(ValueError, match="same number of bytes"):
        _native.HammingCollector(base=base, first_id=0, queries=codes(2, 4), **lists)
    collector = _native.HammingCollector(base=base, first_id=0, queries=codes(2, 3), **lists)
    for first, count in ((0, 5), (5, 0), (3, 2)):
        with pytest.raises(ValueError, match="beyond the base"):
            collector.offer(first, count)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("size", [1, 6, 16, 63, 64, 129, 8188])
def test_flat_is_a_stable_sort(isa: str, size: int) -> None:
    """One query, many, many in two threads; bytes of 2 bits, so that ties are everywhere."""
    base, queries = codes(300, size) & 3, codes(9, size, SEED + 1) & 3
    flat = _native.HammingFlat(base, isa=isa)
    assert len(flat) == 300
    np.testing.assert_array_equal(flat.codes, base)
    expected = np.bitwise_count(base[None] ^ queries[:, None]).sum(axis=2)
    order = np.argsort(expected, axis=1, kind="stable")
    for threads in (1, 2):
        ids, distances = flat.search(queries, 20, threads)
        np.testing.assert_array_equal(ids, order[:, :20])
        np.testing.assert_array_equal(distances, np.take_along_axis(expected, order[:, :20], axis=1))
    ids, distances = flat.search_one(queries[0], 301)
    np.testing.assert_array_equal(ids, [*order[0], -1])
    assert distances[-1] == np.inf


def test_flat_refuses() -> None:
    flat = _native.HammingFlat(codes(5, 4))
    with pytest.raises(ValueError, match="same number of bytes"):
        flat.search(codes(2, 5), 1)
    with pytest.raises(ValueError, match="same number of bytes"):
        flat.search_one(codes(1, 3)[0], 1)
    with pytest.raises(ValueError, match="k must be"):
        flat.search_one(codes(1, 4)[0], 0)
    with pytest.raises(ValueError, match="8188"):
        _native.HammingFlat(codes(1, 8189))
