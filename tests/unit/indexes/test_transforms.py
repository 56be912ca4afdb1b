"""The identities of the transforms: what must hold whatever the data."""

from __future__ import annotations

import numpy as np
import pytest

from annbench.errors import UnknownNameError, UsageError
from annbench.indexes.transforms import leanvec
from annbench.indexes.transforms.base import Maps, Transform
from annbench.indexes.transforms.leanvec import LeanVecOod, eigensearch, frank_wolfe, loss, ridged, sphering
from annbench.indexes.transforms.moments import principal, second_moment
from annbench.indexes.transforms.plain import random_rotation
from annbench.indexes.transforms.registry import TRANSFORMS, make_transform
from annbench.indexes.transforms.spectral import Pca

D, DIM, SEED = 32, 8, 11


def moments(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Second moments of queries and base whose spectra do not match."""
    random = np.random.default_rng(seed)
    both = []
    for power in (1.0, 0.6):
        rotation = random_rotation(D, random)
        both.append(rotation @ np.diag(np.arange(1, D + 1.0) ** -power) @ rotation.T)
    return ridged(both[0]), ridged(both[1])


def vectors(n: int, seed: int = SEED, mean: float = 0.3) -> np.ndarray:
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, D + 1) ** -0.5
    rotation = random_rotation(D, np.random.default_rng(5))  # of the same space, whatever the seed
    return ((random.normal(size=(n, D)) * spectrum) @ rotation + mean).astype(np.float32)


def fields(kind: str) -> dict[str, object]:
    model = TRANSFORMS[kind]
    return {"kind": kind, **({"dim": DIM} if "dim" in model.model_fields else {})}


@pytest.mark.parametrize("seed", range(5))
def test_loss_of_sphering_is_the_tail_of_the_spectrum(seed: int) -> None:
    moment_q, moment_x = moments(seed)
    values, rows = principal(moment_q)
    half = (rows.T * np.sqrt(values)) @ rows
    squares = principal(half @ moment_x @ half)[0]
    for dim in (1, DIM, D - 1):
        found = loss(*sphering(moment_q, moment_x, dim), moment_q, moment_x)
        assert found == pytest.approx(squares[dim:].sum(), rel=1e-6)
    whole = sphering(moment_q, moment_x, D)
    assert loss(*whole, moment_q, moment_x) == pytest.approx(0, abs=1e-10)
    assert whole[0].T @ whole[1] == pytest.approx(np.eye(D), abs=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_no_solver_beats_sphering(seed: int) -> None:
    moment_q, moment_x = moments(seed)
    best = loss(*sphering(moment_q, moment_x, DIM), moment_q, moment_x)
    pca = principal(moment_x)[1][:DIM]
    losses = {
        "pca": loss(pca, pca, moment_q, moment_x),
        "eigensearch": loss(*eigensearch(moment_q, moment_x, DIM), moment_q, moment_x),
        "frank-wolfe": loss(*frank_wolfe(moment_q, moment_x, DIM), moment_q, moment_x),
    }
    assert best <= min(losses.values()) * (1 + 1e-9)
    assert losses["eigensearch"] <= losses["pca"] * (1 + 1e-9)  # β = 1 is PCA
    assert losses["frank-wolfe"] <= losses["eigensearch"] * (1 + 1e-9)  # it starts there


def test_balanced_sphering_has_equal_moments_on_both_sides_and_the_published_loss() -> None:
    moment_q, moment_x = moments(3)
    query_map, base_map = sphering(moment_q, moment_x, DIM)
    side_q, side_x = query_map @ moment_q @ query_map.T, base_map @ moment_x @ base_map.T
    assert side_q == pytest.approx(side_x, abs=1e-9)
    assert side_q == pytest.approx(np.diag(np.diag(side_q)), abs=1e-9)
    assert (np.diff(np.diag(side_q)) <= 0).all()  # sorted by importance: every prefix is optimal
    scale = np.sqrt(np.diag(side_q))[:, None]
    published = (query_map / scale, base_map * scale)
    assert published[0] @ moment_q @ published[0].T == pytest.approx(np.eye(DIM), abs=1e-8)
    assert loss(*published, moment_q, moment_x) == pytest.approx(loss(query_map, base_map, moment_q, moment_x))


def test_sphering_is_pca_where_queries_are_like_the_base() -> None:
    _, moment = moments(4)
    query_map, base_map = sphering(moment, moment, DIM)
    pca = principal(moment)[1][:DIM]
    assert query_map == pytest.approx(base_map, abs=1e-8)
    assert np.abs(query_map @ pca.T) == pytest.approx(np.eye(DIM), abs=1e-7)


def test_eigensearch_at_beta_one_is_pca() -> None:
    _, moment = moments(2)
    rows, same = eigensearch(moment, moment, DIM)  # every β gives the same mixture
    assert rows is same
    assert np.abs(rows @ principal(moment)[1][:DIM].T) == pytest.approx(np.eye(DIM), abs=1e-7)


def test_frank_wolfe_stays_in_the_spectral_ball(monkeypatch: pytest.MonkeyPatch) -> None:
    moment_q, moment_x = moments(1)
    seen: list[float] = []
    original = leanvec.loss

    def watched(a: np.ndarray, b: np.ndarray, q: np.ndarray, x: np.ndarray) -> float:
        if a is not b:  # not one of the mixtures that eigensearch tries
            assert max(np.linalg.norm(a, 2), np.linalg.norm(b, 2)) <= 1 + 1e-9
            seen.append(original(a, b, q, x))
        return original(a, b, q, x)

    monkeypatch.setattr(leanvec, "loss", watched)
    frank_wolfe(moment_q, moment_x, DIM)
    assert len(seen) > 5
    assert (np.diff(seen[5:]) <= 1e-9).all()


@pytest.mark.parametrize("kind", sorted(set(TRANSFORMS) - {"bebr"}))  # that one is read from a file: test_bebr.py
def test_every_transform_maps_both_sides_to_its_dimension(kind: str) -> None:
    base, queries = vectors(500), vectors(300, seed=12)
    maps = make_transform(fields(kind)).fit(base, queries, seed=SEED)
    assert (maps.dim_in, maps.base(base).shape[1]) == (D, maps.dim_out)
    assert maps.queries(queries[:7]).shape == (7, maps.dim_out)
    assert maps.base(base).dtype == np.float32
    assert maps.base(base).flags.c_contiguous
    again = make_transform(fields(kind)).fit(base, queries, seed=SEED)
    assert np.array_equal(again.base(base), maps.base(base))
    with pytest.raises(UsageError, match="dim 32"):
        maps.base(base[:, :5])


@pytest.mark.parametrize("kind", ["identity", "random-rotation", "fast-rotation", "pca", "leanvec-ood"])
def test_at_full_dimension_inner_products_are_kept(kind: str) -> None:
    base, queries = vectors(400), vectors(200, seed=3)
    model = TRANSFORMS[kind]
    whole = make_transform({"kind": kind, **({"dim": D} if "dim" in model.model_fields else {})})
    maps = whole.fit(base, queries, seed=SEED)
    mean = 0 if maps.mean is None else maps.mean
    expected = (queries - mean) @ (base - mean).T
    slack = 1e-4 * float(np.abs(expected).max())
    assert maps.queries(queries) @ maps.base(base).T == pytest.approx(expected, abs=slack)


def test_a_rotation_of_the_reduced_space_changes_nothing_but_the_coordinates() -> None:
    base, queries = vectors(400), vectors(200, seed=3)
    for kind in ("pca", "leanvec-ood"):
        plain, turned = (
            make_transform({"kind": kind, "dim": DIM, "rotate": turn}).fit(base, queries, seed=SEED)
            for turn in (False, True)
        )
        expected = plain.queries(queries) @ plain.base(base).T
        assert turned.queries(queries) @ turned.base(base).T == pytest.approx(expected, abs=1e-4)
        assert not np.allclose(turned.base(base), plain.base(base))


def test_queries_from_elsewhere_are_what_leanvec_ood_is_for() -> None:
    base = vectors(3000)
    elsewhere = (vectors(3000, seed=9) @ random_rotation(D, np.random.default_rng(1))).astype(np.float32)
    errors = {}
    for kind in ("pca", "leanvec-ood"):
        maps = make_transform({"kind": kind, "dim": DIM, "center": False}).fit(base, elsewhere[:2000], seed=SEED)
        fresh = elsewhere[2000:]
        errors[kind] = ((maps.queries(fresh) @ maps.base(base).T - fresh @ base.T) ** 2).mean()
    assert errors["leanvec-ood"] < 0.9 * errors["pca"]


def test_without_queries_leanvec_is_pca() -> None:
    base = vectors(2000)
    blind, pca = LeanVecOod(dim=DIM).fit(base, seed=SEED), Pca(dim=DIM).fit(base, seed=SEED)
    products = pca.base(base[:50]) @ pca.base(base[:50]).T
    assert blind.base(base[:50]) @ blind.queries(base[:50]).T == pytest.approx(products, abs=1e-3)


def test_whitening_gives_unit_variance_and_says_that_it_is_another_metric() -> None:
    base = vectors(4000)
    maps = make_transform({"kind": "whitening", "dim": DIM}).fit(base, seed=SEED)
    assert second_moment(maps.base(base)) == pytest.approx(np.eye(DIM), abs=1e-3)
    assert maps.changes_metric
    constant = make_transform({"kind": "whitening", "dim": 2}).fit(np.ones((9, 3), np.float32), seed=SEED)
    assert np.isfinite(constant.base(np.ones((9, 3), np.float32))).all()


def test_sparse_projection_is_unbiased_and_sparse() -> None:
    x, y = vectors(2, seed=1)
    found = []
    for seed in range(600):
        maps = make_transform({"kind": "sparse-projection", "dim": DIM}).fit(x[None], seed=seed)
        assert maps.base_map is not None
        found.append(float((maps.base(x[None]) @ maps.queries(y[None]).T)[0, 0]))
    assert np.mean(found) == pytest.approx(float(x @ y), abs=3 * np.std(found) / np.sqrt(len(found)))
    assert (maps.base_map == 0).mean() == pytest.approx(1 - 1 / np.sqrt(D), abs=0.1)


def test_prefix_normalises_again_and_twice_is_once() -> None:
    base = vectors(20)
    maps = make_transform({"kind": "prefix", "dim": DIM}).fit(base, seed=SEED)
    once = maps.base(base)
    assert np.linalg.norm(once, axis=1) == pytest.approx(np.ones(20), abs=1e-6)
    again = make_transform({"kind": "prefix", "dim": DIM}).fit(once, seed=SEED)
    assert again.base(once) == pytest.approx(once, abs=1e-6)
    assert np.array_equal(maps.base(np.zeros((1, D), np.float32)), np.zeros((1, DIM)))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"kind": "pac", "dim": 4}, "pca"),
        ({"kind": "pca", "dims": 4}, "dim"),
        ({"kind": "pca", "dim": 0}, "greater than"),
        ({"kind": "pca", "dim": "8"}, "integer"),
        ({"dim": 4}, "transform"),
    ],
)
def test_bad_choices_are_named(bad: dict[str, object], message: str) -> None:
    with pytest.raises((UnknownNameError, UsageError), match=message):
        make_transform(bad)


def test_more_dimensions_than_there_are_is_refused() -> None:
    for kind in ("pca", "whitening", "leanvec-ood", "prefix"):
        with pytest.raises(UsageError, match="1 to 32"):
            make_transform({"kind": kind, "dim": D + 1}).fit(vectors(9), seed=SEED)
    with pytest.raises(UsageError, match="queries of dim 32"):
        LeanVecOod(dim=DIM).fit(vectors(9), vectors(9)[:, :7], seed=SEED)
    with pytest.raises(UsageError, match="no vectors"):
        Pca(dim=DIM).fit(np.empty((0, D), np.float32), seed=SEED)


def test_maps_count_their_bytes_once() -> None:
    shared: Maps = Pca(dim=DIM).fit(vectors(50), seed=SEED)
    assert shared.nbytes == 4 * (D + DIM * D)
    pair: Maps = LeanVecOod(dim=DIM).fit(vectors(50), vectors(50, seed=1), seed=SEED)
    assert pair.nbytes == 4 * (D + 2 * DIM * D)
    assert isinstance(make_transform({"kind": "identity"}), Transform)
