"""Bridges recover what is known to be there; prototypes stand where they should; what cannot be fitted is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from annbench.errors import DatasetError, TrainingError, UsageError
from annbench.indexes.transforms.binarizer import unit_rows
from annbench.indexes.transforms.plain import random_rotation
from annbench.upgrade.bridges import BRIDGES, least_squares, procrustes, ridge
from annbench.upgrade.extra_dims import extra_dims
from annbench.upgrade.pairs import LEAST_PAIRS, Paired
from annbench.upgrade.relative import relative
from annbench.upgrade.simplex import clusters, prototypes, simplex, trained
from annbench.upgrade.ways import WAYS, Sizes, resized


def rows(n: int, dim: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32))


@pytest.mark.parametrize("dim", [2, 7, 24])
def test_procrustes_recovers_a_rotation(dim: int) -> None:
    rotation = random_rotation(dim, np.random.default_rng(1))
    old = rows(200, dim, 2)
    found = procrustes(Paired((old @ rotation.T).astype(np.float32), old))
    assert np.allclose(found.matrix, rotation.T, atol=1e-5)
    asked = rows(20, dim, 3)
    assert np.allclose(found((asked @ rotation.T).astype(np.float32)), asked, atol=1e-5)


@pytest.mark.parametrize(("dim_new", "dim_old"), [(24, 10), (10, 24)])
def test_procrustes_between_dimensions_is_a_frame(dim_new: int, dim_old: int) -> None:
    frame = random_rotation(max(dim_new, dim_old), np.random.default_rng(1))[:dim_old, :dim_new]
    new = rows(300, dim_new, 2)
    found = procrustes(Paired(new, (new @ frame.T).astype(np.float32)))
    smaller = min(dim_new, dim_old)
    gram = found.matrix @ found.matrix.T if dim_old == smaller else found.matrix.T @ found.matrix
    assert np.allclose(gram, np.eye(smaller), atol=1e-5)
    if dim_new < dim_old:  # all of the new space fits in, so that the frame itself comes out
        assert np.allclose(found.matrix, frame, atol=1e-5)


def test_least_squares_recovers_a_linear_map() -> None:
    matrix = np.random.default_rng(1).standard_normal((6, 9)).astype(np.float32)
    new = rows(100, 9, 2)
    found = least_squares(Paired(new, new @ matrix.T))
    assert np.allclose(found.matrix, matrix, atol=1e-4)
    assert not found.bias.any()


def test_ridge_recovers_an_affine_map_and_shrinks_noise() -> None:
    random = np.random.default_rng(1)
    matrix, bias = random.standard_normal((6, 9)).astype(np.float32), np.arange(6, dtype=np.float32)
    new = rows(400, 9, 2)
    found = ridge(Paired(new, new @ matrix.T + bias))
    assert np.allclose(found.matrix, matrix, atol=1e-3)
    assert np.allclose(found.bias, bias, atol=1e-3)
    unrelated = Paired(rows(60, 40, 3), rows(60, 40, 4))
    assert np.linalg.norm(ridge(unrelated).matrix) < 0.5 * np.linalg.norm(least_squares(unrelated).matrix)


def test_extra_dimensions_lose_nothing_and_the_prefix_is_a_bridge() -> None:
    new, old = rows(500, 20, 1), rows(500, 12, 2)
    old = unit_rows(0.7 * new[:, :12] + 0.3 * old)
    made = extra_dims(Paired(new, old), 20)
    asked = rows(30, 20, 3)
    assert made.dim == 32
    assert np.allclose(made.whole(asked) @ made.whole(new).T, asked @ new.T, atol=1e-4)
    assert np.allclose(made.queries(asked), unit_rows(made.whole(asked)[:, :12]), atol=1e-5)
    errors = [
        np.abs(few.whole(asked) @ few.whole(new).T - asked @ new.T).mean()
        for few in (extra_dims(Paired(new, old), extra) for extra in (0, 4, 12, 20))
    ]
    rounding = 1e-6  # twelve hold all that there is to keep: from there on nothing else is left
    assert all(later < before or before < rounding for before, later in pairwise(errors))
    assert errors[0] > 0.01
    assert errors[-1] < rounding
    with pytest.raises(UsageError, match="got -1"):
        extra_dims(Paired(new, old), -1)


def test_relative_representations_do_not_see_a_rotation() -> None:
    old = rows(300, 16, 1)
    rotation = random_rotation(16, np.random.default_rng(2)).astype(np.float32)
    made = relative(Paired(old @ rotation.T, old), 40, seed=0)
    asked = rows(10, 16, 3)
    assert made.old(asked).shape == (10, 40)
    assert np.allclose(made.new(asked @ rotation.T), made.old(asked), atol=1e-4)
    assert relative(Paired(old, old), 999, seed=0).new_anchors.shape == (300, 16)


@pytest.mark.parametrize("d", [1, 2, 3, 17, 255])
def test_prototypes_are_a_regular_simplex(d: int) -> None:
    corners = prototypes(d)
    gram = corners @ corners.T
    assert corners.shape == (d + 1, d)
    assert np.allclose(np.diag(gram), 1, atol=1e-9)
    assert np.allclose(gram[~np.eye(d + 1, dtype=bool)], -1 / d, atol=1e-9)
    assert np.allclose(corners.sum(axis=0), 0, atol=1e-9)


def test_a_simplex_brings_the_same_things_together() -> None:
    random = np.random.default_rng(1)
    centres = random.standard_normal((6, 10))
    kind = random.integers(6, size=900)
    old = unit_rows((centres[kind] + 0.2 * random.standard_normal((900, 10))).astype(np.float32))
    rotation = random_rotation(10, random).astype(np.float32)
    made = simplex(Paired(old @ rotation.T, old), 5, seed=0)
    cosines = made.new(old[:100] @ rotation.T) @ made.old(old).T
    alike = kind[:100, None] == kind[None, :]
    assert cosines[alike].mean() > 0.6  # the classifier is content with less than 1
    assert cosines[~alike].mean() < 0.1


def test_no_cluster_is_empty() -> None:
    few = np.repeat(rows(5, 8, 1), 20, axis=0)
    labels = clusters(few, 8, seed=0)
    assert set(labels.tolist()) <= set(range(8))
    spread = clusters(rows(500, 8, 2), 30, seed=0)
    assert np.bincount(spread, minlength=30).min() > 0


def test_a_loss_that_is_no_number_is_told() -> None:
    broken = rows(100, 4, 1)
    broken[3] = np.nan
    with pytest.raises(TrainingError, match="the loss is nan after 1 batches; look for odd vectors"):
        trained(broken, np.zeros(100, np.int64), prototypes(3), seed=0)


@pytest.mark.parametrize("name", WAYS)
def test_every_way_maps_what_it_should(name: str) -> None:
    new, old = rows(400, 14, 1), rows(400, 9, 2)
    way = WAYS[name](Paired(new, old), Sizes(extra=4, anchors=20))
    queries, items = way.old_queries(new[:3]), way.old_items(old[:5])
    assert queries.shape[1] == items.shape[1]
    assert way.new_queries(new[:3]).shape[1] == way.new_items(new[:5]).shape[1]
    assert np.allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    assert way.keeps_codes == (items is not None and np.array_equal(items, old[:5]) if items.shape[1] == 9 else False)


def test_vectors_without_a_bridge_are_padded_or_cut() -> None:
    assert resized(np.array([[3.0, 4.0]], np.float32), 3).tolist() == [[pytest.approx(0.6), pytest.approx(0.8), 0.0]]
    assert resized(np.array([[3.0, 4.0]], np.float32), 1).tolist() == [[1.0]]


def test_what_cannot_be_fitted_is_refused() -> None:
    new, old = rows(100, 5, 1), rows(100, 4, 2)
    with pytest.raises(UsageError, match="are no pairs; give as many rows"):
        Paired(new, old[:99])
    with pytest.raises(UsageError, match=r"31 pairs are too few .* give 32 or more"):
        Paired(new[: LEAST_PAIRS - 1], old[: LEAST_PAIRS - 1])
    broken = old.copy()
    broken[7, 2] = np.inf
    with pytest.raises(DatasetError, match="old model, row 7: holds a value that is no number; remove the row"):
        Paired(new, broken)
    for fit in BRIDGES.values():
        with pytest.raises(UsageError, match=r"vectors of shape \(100, 4\) meet a map of 5 dimensions"):
            fit(Paired(new, old))(old)
    with pytest.raises(UsageError, match="100 pairs are too few for 65 clusters; give 130 pairs or more"):
        simplex(Paired(new, old), 64, seed=0)
