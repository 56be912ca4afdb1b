"""Codebooks and the rotation before them: what must hold whatever the data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from annbench.indexes.codecs.product import CENTROIDS, Product, group_edges
from annbench.indexes.training import limited_threads
from annbench.indexes.transforms.plain import random_rotation
from annbench.indexes.transforms.spectral import Pca

SEED, DIM, REDUCED = 5, 24, 16


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Work this small goes 20 times slower where several threads wait for each other on busy cores."""
    with limited_threads(1):
        yield


def decaying(n: int, seed: int = SEED) -> np.ndarray:
    """Vectors whose variances fall off, in a space that is turned so that no axis shows it."""
    random = np.random.default_rng(seed)
    turn = random_rotation(DIM, np.random.default_rng(1))
    return ((random.normal(size=(n, DIM)) * np.arange(1, DIM + 1) ** -1.0) @ turn + 0.3).astype(np.float32)


def error_of(codec: Product, learned_from: np.ndarray, rows: np.ndarray) -> float:
    """Mean squared error of `rows` as their nearest centroids, by the definition."""
    tables = codec.learn(learned_from, seed=SEED).tables
    assert tables is not None
    edges, total = group_edges(rows.shape[1], codec.groups), 0.0
    for first, end in itertools.pairwise(edges):
        book = tables[CENTROIDS * first : CENTROIDS * end].reshape(CENTROIDS, end - first)
        total += ((rows[:, None, first:end] - book) ** 2).sum(axis=2).min(axis=1).mean()
    return total


@pytest.mark.parametrize("groups", [4, 8])
def test_opq_after_pca_loses_no_more_than_pca_alone(groups: int) -> None:
    base, fresh = decaying(4000), decaying(1500, seed=6)
    maps = Pca(dim=REDUCED).fit(base, seed=SEED)
    mapped, held_out = maps.base(base), maps.base(fresh)
    codec = Product(groups=groups, opq=True)
    rotation = codec.rotation(mapped, seed=SEED)
    assert rotation is not None
    assert rotation @ rotation.T == pytest.approx(np.eye(REDUCED), abs=1e-5)
    alone = error_of(codec, mapped, held_out)
    assert error_of(codec, mapped @ rotation.T, held_out @ rotation.T) < 0.6 * alone  # a random rotation: 0.83
    assert maps.base_map is not None
    rows = rotation @ maps.base_map  # of both together, as an index holds them
    assert rows @ rows.T == pytest.approx(np.eye(REDUCED), abs=1e-5)


def test_learning_is_repeatable() -> None:
    rows = decaying(1000)[:, :REDUCED].copy()
    codec = Product(groups=8, opq=True)
    first, again = (codec.rotation(rows, seed=SEED) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(codec.learn(rows, seed=SEED).tables, codec.learn(rows, seed=SEED).tables)
    assert not np.array_equal(codec.learn(rows, seed=SEED).tables, codec.learn(rows, seed=SEED + 1).tables)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17])
def test_few_vectors_are_their_own_centroids(n: int) -> None:
    rows = decaying(n)
    codec = Product(groups=5)
    assert error_of(codec, rows, rows[:CENTROIDS]) <= (1e-9 if n <= CENTROIDS else 0.1)
    rotation = Product(groups=6, opq=True).rotation(rows, seed=SEED)
    assert rotation is not None
    assert rotation @ rotation.T == pytest.approx(np.eye(DIM), abs=1e-5)


def test_constant_vectors_have_finite_codebooks() -> None:
    rows = np.full((300, DIM), 0.25, dtype=np.float32)
    assert error_of(Product(groups=7), rows, rows[:3]) <= 1e-6
