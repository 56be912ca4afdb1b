"""What is learned from vectors: bits by variance, cells, codebooks, clusters, rotations that keep prefixes."""

from __future__ import annotations

import numpy as np
import pytest

from annbench.indexes.clusters import Assigner, cluster
from annbench.indexes.codecs.bit_budget import allocate_bits
from annbench.indexes.codecs.cells import cell_centres
from annbench.indexes.codecs.product import Product, group_edges
from annbench.indexes.codecs.va_file import VaFile
from annbench.indexes.fitting import block_rotation, fit, turned
from annbench.indexes.spec import make_spec
from annbench.indexes.transforms.base import Maps
from annbench.indexes.transforms.plain import random_rotation

SEED = 3


def clustered(n: int, dim: int, seed: int = SEED) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(12, dim)) * 3
    return (centres[random.integers(0, 12, n)] + random.normal(size=(n, dim))).astype(np.float32)


def test_bits_go_where_the_error_is_largest() -> None:
    assert allocate_bits(np.array([16.0, 4.0, 1.0]), 3, 8).tolist() == [2, 1, 0]
    assert allocate_bits(np.ones(4), 10, 8).tolist() == [3, 3, 2, 2]
    assert allocate_bits(np.array([1e9, 1.0]), 12, 8).tolist() == [8, 4]
    assert allocate_bits(np.array([1e9, 1.0]), 99, 8).tolist() == [8, 8]
    assert allocate_bits(np.zeros(3), 6, 8).sum() == 6
    spent = allocate_bits(np.random.default_rng(SEED).gamma(1, size=100), 400, 8)
    assert spent.sum() == 400


@pytest.mark.parametrize(("bits", "error"), [(1, 0.3634), (2, 0.1175), (3, 0.0345), (4, 0.0095)])
def test_cells_are_those_of_lloyd(bits: int, error: float) -> None:
    """The mean squared errors of optimal quantizers of a normal variable (Max, 1960)."""
    values = np.random.default_rng(SEED).normal(size=40_000)
    centres = cell_centres(values, 1 << bits)
    nearest = np.abs(values[:, None] - centres).min(axis=1)
    assert (nearest**2).mean() == pytest.approx(error, rel=0.05)


def test_cells_of_few_values() -> None:
    for values in ([5.0], [1.0, 1.0, 2.0], np.linspace(0, 1, 7), np.full(1000, 0.1)):
        centres = cell_centres(np.array(values), 16)
        assert centres.shape == (16,)
        assert (np.diff(centres) >= 0).all()
        assert np.abs(np.array(values)[:, None] - centres).min(axis=1) == pytest.approx(0, abs=1e-12)


def test_what_a_va_file_learns() -> None:
    rows = clustered(500, 11)
    plain = VaFile(bits=3.0).learn(rows, seed=SEED)
    assert plain.table_bits is not None
    assert plain.tables is not None
    assert (plain.table_bits.sum(), len(plain.tables)) == (33, (1 << plain.table_bits.astype(int)).sum())
    staged = VaFile(bits=3.0, hamming_keep=0.1).learn(rows, seed=SEED)
    assert staged.table_bits is not None
    assert staged.tables is not None
    middles, signs = staged.tables[-11:], staged.table_bits[11:].reshape(500, 2)
    assert np.array_equal(np.unpackbits(signs, axis=1, count=11, bitorder="little"), rows > middles)


def test_codebooks_of_product_quantization() -> None:
    rows = clustered(2000, 10)
    assert group_edges(10, 4) == [0, 3, 6, 8, 10]
    tables = Product(groups=4).learn(rows, seed=SEED).tables
    assert tables is not None
    assert tables.shape == (160,)
    first = tables[:48].reshape(16, 3)
    error = ((rows[:, None, :3] - first) ** 2).sum(axis=2).min(axis=1).mean()
    assert error < 0.3 * rows[:, :3].var(axis=0).sum()
    assert np.array_equal(Product(groups=4).learn(rows, seed=SEED).tables, tables)
    assert Product(groups=4).learn(rows[:3], seed=SEED).tables is not None  # fewer vectors than centroids


def test_opq_rotates_so_that_groups_lose_less() -> None:
    # Two pairs of dimensions that are nearly equal lie in different groups: a rotation can bring them together.
    random = np.random.default_rng(SEED)
    half = random.normal(size=(3000, 2))
    rows = np.hstack([half, half + 0.05 * random.normal(size=(3000, 2))]).astype(np.float32)[:, [0, 1, 2, 3]]
    codec = Product(groups=2, opq=True)
    rotation = codec.rotation(rows, seed=SEED)
    assert rotation is not None
    assert rotation @ rotation.T == pytest.approx(np.eye(4), abs=1e-5)
    assert _error(rows @ rotation.T, codec) <= _error(rows, codec) * 1.02


def _error(rows: np.ndarray, codec: Product) -> float:
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    tables = codec.learn(rows, seed=SEED).tables
    assert tables is not None
    books = tables.reshape(2, 16, 2)
    return sum(((rows[:, None, 2 * g : 2 * g + 2] - books[g]) ** 2).sum(axis=2).min(axis=1).mean() for g in (0, 1))


def test_clusters_are_seeded_and_take_any_number_of_rows() -> None:
    rows = clustered(3000, 16)
    centroids = cluster(rows, 12, seed=SEED)
    assert np.array_equal(cluster(rows, 12, seed=SEED), centroids)
    assert not np.array_equal(cluster(rows, 12, seed=SEED + 1), centroids)
    nearest = ((rows[:, None] - centroids) ** 2).sum(axis=2).min(axis=1).mean()
    assert nearest < 0.4 * rows.var(axis=0).sum()
    assert cluster(rows[:5], 5, seed=SEED) == pytest.approx(rows[:5])
    assert cluster(rows[:3], 5, seed=SEED).shape == (5, 16)
    assert np.isfinite(cluster(np.ones((50, 4), np.float32), 7, seed=SEED)).all()


def test_every_vector_goes_to_its_nearest_list() -> None:
    rows = clustered(1000, 16)
    centroids = cluster(rows[:, :6].copy(), 20, seed=SEED)
    distances = ((rows[:, None, :6] - centroids) ** 2).sum(axis=2)
    lists = Assigner(centroids, 1)(rows)
    assert (lists.dtype, lists.shape) == (np.uint32, (1000, 1))
    assert np.array_equal(lists[:, 0], distances.argmin(axis=1))
    left = Assigner(centroids, 1).residuals(rows)
    assert left[:, :6] == pytest.approx(rows[:, :6] - centroids[lists[:, 0]])
    assert np.array_equal(left[:, 6:], rows[:, 6:])


def test_the_second_list_is_the_one_whose_residual_is_most_orthogonal_for_its_length() -> None:
    rows = clustered(400, 8)
    centroids = cluster(rows, 25, seed=SEED) + np.float32(0.01)  # none is a vector itself
    lists = Assigner(centroids, 2)(rows)
    for row, (first, second) in zip(rows, lists, strict=True):
        left = row - centroids
        direction = left[first] / np.linalg.norm(left[first])
        loss = (left**2).sum(axis=1) + (left @ direction) ** 2
        loss[first] = np.inf
        assert first == ((row - centroids) ** 2).sum(axis=1).argmin()
        assert loss[second] == pytest.approx(loss.min(), rel=1e-4)
    # It is not just the second nearest.
    order = ((rows[:, None] - centroids) ** 2).sum(axis=2).argsort(axis=1)
    assert (lists[:, 1] != order[:, 1]).any()


def test_a_block_rotation_keeps_prefixes() -> None:
    rotation = block_rotation([3, 8, 20], SEED)
    assert rotation @ rotation.T == pytest.approx(np.eye(20), abs=1e-12)
    x = np.random.default_rng(SEED).normal(size=20)
    for edge in (3, 8, 20):
        assert np.linalg.norm((rotation @ x)[:edge]) == pytest.approx(np.linalg.norm(x[:edge]))
    assert (np.abs(rotation[:3, :3]) > 0).all()


def test_turned_maps_keep_inner_products() -> None:
    random = np.random.default_rng(SEED)
    base, query = (random.normal(size=(5, 9)).astype(np.float32) for _ in range(2))
    rotation = random_rotation(5, random).astype(np.float32)
    x = random.normal(size=(7, 9)).astype(np.float32)
    for maps in (Maps(9, 5, None, base, query), Maps(9, 5, None, base, base)):
        other = turned(maps, rotation)
        assert other.queries(x) @ other.base(x).T == pytest.approx(maps.queries(x) @ maps.base(x).T, abs=1e-4)
        assert (other.query_map is other.base_map) == (maps.query_map is maps.base_map)
    own = turned(Maps(5, 5), rotation)
    assert own.base(x[:, :5]) == pytest.approx(x[:, :5] @ rotation.T, abs=1e-5)


def test_lists_on_a_prefix_see_the_same_prefix_though_the_code_is_rotated() -> None:
    rows = clustered(800, 24)
    lists = {"kind": "ivf", "nlist": 6, "dim": 4}
    fitted = {
        rotate: fit(
            make_spec({"kind": "pca", "dim": 12, "rotate": rotate}, "uniform", lists), rows, None, unit=False, seed=SEED
        )
        for rotate in (False, True)
    }
    plain, turned_maps = (fitted[rotate].maps.base(rows) for rotate in (False, True))
    for first, end in ((0, 4), (4, 12), (0, 12)):
        expected = np.linalg.norm(plain[:, first:end], axis=1)
        assert np.linalg.norm(turned_maps[:, first:end], axis=1) == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert not np.allclose(plain[:, 4:], turned_maps[:, 4:])
    assert fitted[True].centroids is not None
    assert fitted[True].centroids.shape == (6, 4)


def test_with_lists_codebooks_are_learned_from_what_is_left_of_the_vectors() -> None:
    rows = clustered(3000, 16)
    spec = make_spec(codec={"kind": "product", "groups": 4}, structure={"kind": "ivf", "nlist": 12})
    fitted = fit(spec, rows, None, unit=False, seed=SEED)
    assert fitted.centroids is not None
    left = Assigner(fitted.centroids, 1).residuals(rows)
    whole = Product(groups=4).learn(rows, seed=SEED).tables
    errors = []
    for tables in (fitted.learned.tables, whole):
        assert tables is not None
        books = tables.reshape(4, 16, 4)
        parts = [((left[:, None, 4 * g : 4 * g + 4] - books[g]) ** 2).sum(axis=2).min(axis=1).mean() for g in range(4)]
        errors.append(sum(parts))
    assert errors[0] < 0.8 * errors[1]
