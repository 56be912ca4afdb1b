"""Generations of made-up models, measured: what is known of the figures, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from annbench.errors import DatasetError, UnknownNameError, UsageError
from annbench.indexes.transforms.binarizer import unit_rows
from annbench.indexes.transforms.plain import random_rotation
from annbench.train.start import linear_start
from annbench.upgrade.blend import Blend, Scale, fitted_scale, merged, renewed_first
from annbench.upgrade.gallery import Gallery, slots_of
from annbench.upgrade.generation import Generation, check_related, paired
from annbench.upgrade.measuring import BEBR, Asked, Measuring
from annbench.upgrade.model import Family, Upgrade
from annbench.upgrade.pairs import Paired
from annbench.upgrade.truths import K, Truths
from annbench.upgrade.ways import AS_THEY_ARE, COMPATIBLE, WAYS, Sizes

N, Q, DIM = 600, 60, 12
RANDOM = np.random.default_rng(5)
THINGS = RANDOM.standard_normal((N + Q + 200, 30))
THINGS[N : N + Q] = THINGS[:Q] + 0.5 * RANDOM.standard_normal((Q, 30))  # queries are near the first items
SHARES = (0.0, 0.3, 1.0)


def generation(name: str, dim: int, noise: float, seed: int, **changed: Any) -> Generation:
    """What a model that sees `dim` directions of 30, and noise, makes of the things."""
    random = np.random.default_rng(seed)
    seen = THINGS @ np.linalg.qr(random.standard_normal((30, dim)))[0]
    rows = unit_rows((seen + noise * random.standard_normal(seen.shape)).astype(np.float32))
    made = Generation(name, rows[:N], rows[N : N + Q], rows[N + Q :], np.arange(Q))
    return replace(made, **changed)


def turned(model: Generation, name: str, seed: int = 3) -> Generation:
    """The same model, its space rotated."""
    by = random_rotation(model.base.shape[1], np.random.default_rng(seed)).astype(np.float32)
    assert model.learn is not None
    return replace(model, name=name, base=model.base @ by, queries=model.queries @ by, learn=model.learn @ by)


OLD, NEW = generation("old", DIM, 0.6, 1), generation("new", 20, 0.1, 2)


def asked(**changed: Any) -> Asked:
    sizes = Sizes(extra=20, anchors=50)
    given: dict[str, Any] = {"codes": ("float32",), "fit_on": "both", "most_pairs": 400, "shares": SHARES}
    return Asked(**{**given, "sizes": sizes, "threads": 1, **changed})


def measured(models: list[Generation], **changed: Any) -> tuple[Measuring, tuple[Upgrade, ...], dict]:
    measuring = Measuring(models, asked(**changed), lambda done: None)
    upgrades, matrices = measuring.run()
    return measuring, upgrades, {(m.codes, m.way): m for m in matrices}


def outcomes(family: Family) -> dict:
    return {found.way: found for found in family.outcomes}


def test_the_figures_of_two_generations() -> None:
    measuring, (upgrade,), matrices = measured([OLD, NEW])
    (family,) = upgrade.families
    found = outcomes(family)
    assert set(found) == set(WAYS)
    # The diagonal is what a model finds by itself, counted here without any index.
    for model, quality in ((OLD, family.old_alone), (NEW, family.new_alone)):
        nearest = np.argsort(-(model.queries @ model.base.T), axis=1, kind="stable")[:, :K]
        assert quality.hit_at_10 == pytest.approx(np.mean([i in near for i, near in enumerate(nearest)]))
    assert family.new_alone.recall_at_10 == 1
    assert family.old_alone.recall_at_10 < 1
    assert found["ridge"].quality.hit_at_10 > found[AS_THEY_ARE].quality.hit_at_10
    matrix = matrices["float32", "procrustes"]
    assert matrix.matrix[0] == (family.old_alone.hit_at_10, None)
    assert matrix.matrix[1] == (found["procrustes"].quality.hit_at_10, family.new_alone.hit_at_10)
    assert matrix.am == pytest.approx(np.mean([c for row in matrix.matrix for c in row if c is not None]))
    for outcome in found.values():
        old, new = family.old_alone.hit_at_10, family.new_alone.hit_at_10
        assert outcome.gain == pytest.approx((outcome.quality.hit_at_10 - old) / (new - old))
        assert outcome.compatible == (outcome.quality.hit_at_10 > old)
        for flip in outcome.flips:
            alone = family.old_alone.hit_at_1 if flip.k == 1 else old
            after = outcome.quality.hit_at_1 if flip.k == 1 else outcome.quality.hit_at_10
            assert flip.positive - flip.negative == round(Q * (after - alone))
    assert measuring.pairs == 200 + 400


def test_curves_begin_and_end_at_the_pure_systems() -> None:
    _, (upgrade,), _ = measured([OLD, NEW], codes=("float32", "uniform-4"))
    for family in upgrade.families:
        found = outcomes(family)
        assert [curve.way for curve in family.curves] == list(WAYS)
        for curve in family.curves:
            assert tuple(point.share for point in curve.points) == SHARES
            assert curve.points[0].quality == found[curve.way].quality
            if curve.way in (AS_THEY_ARE, "least-squares", "procrustes", "ridge"):
                assert curve.points[-1].quality == family.new_alone
        bt2 = next(curve for curve in family.curves if curve.way == "bt2-extra-dims")
        if family.codes == "float32":  # with all extra dimensions nothing is lost
            assert bt2.points[-1].quality.recall_at_10 == pytest.approx(1, abs=1e-2)


def test_a_rotation_is_undone_and_a_full_upgrade_that_changes_nothing_has_no_gain() -> None:
    _, (upgrade,), matrices = measured([OLD, turned(OLD, "turned")])
    found = outcomes(upgrade.families[0])
    assert upgrade.families[0].old_alone.hit_at_10 == upgrade.families[0].new_alone.hit_at_10
    assert found["procrustes"].quality.recall_at_10 == pytest.approx(1, abs=1e-3)
    assert found["procrustes"].gain is None
    assert [flip.negative for flip in found["procrustes"].flips] == [0, 0]
    assert matrices["float32", "procrustes"].ac == 0  # no better than itself
    _, (same,), again = measured([OLD, replace(OLD, name="same")])
    assert outcomes(same.families[0])[AS_THEY_ARE].quality == same.families[0].old_alone
    assert again["float32", AS_THEY_ARE].ac == 0


def test_three_generations() -> None:
    _, upgrades, matrices = measured([generation("first", 6, 0.5, 7), OLD, NEW])
    assert [(u.old, u.new) for u in upgrades] == [("first", "old"), ("first", "new"), ("old", "new")]
    assert [bool(u.families[0].curves) for u in upgrades] == [False, True, True]
    matrix = matrices["float32", "ridge"].matrix
    assert [[value is None for value in row] for row in matrix] == [
        [False, True, True], [False, False, True], [False, False, False],
    ]  # fmt: skip


def test_without_known_items_the_newest_model_says_what_is_right() -> None:
    measuring, (upgrade,), _ = measured([replace(OLD, relevant=None), replace(NEW, relevant=None)])
    assert measuring.truths.measure == "recall@10"
    family = upgrade.families[0]
    assert family.old_alone.hit_at_10 is None
    assert family.old_alone.main == family.old_alone.recall_at_10
    assert outcomes(family)["ridge"].flips == ()


def test_codes_of_binarizers() -> None:
    first, second = linear_start(OLD.base, 16, 1, seed=0), linear_start(NEW.base, 16, 1, seed=0)
    _, (upgrade,), _ = measured([OLD, NEW], binarizers=(first, second))
    family = next(f for f in upgrade.families if f.codes == BEBR)
    assert set(outcomes(family)) == {COMPATIBLE, "least-squares", "procrustes", "ridge"}
    levels = first.levels(OLD.base).astype(np.float64), first.levels(OLD.queries).astype(np.float64)
    scores = levels[1] @ (levels[0] / np.linalg.norm(levels[0], axis=1, keepdims=True)).T
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    expected = np.mean([i in near for i, near in enumerate(nearest)])
    assert family.old_alone.hit_at_10 == pytest.approx(expected, abs=2 / Q)  # many cosines of codes are equal


def test_merging_by_hand() -> None:
    ids = merged(
        np.array([[1, 2], [3, -1]]), np.array([[0.9, 0.2], [0.5, 9.0]], np.float32),
        np.array([[7, 8], [9, 5]]), np.array([[0.5, 0.4], [0.6, 0.1]], np.float32), 3,
    )  # fmt: skip
    assert ids.tolist() == [[1, 7, 8], [9, 3, 5]]
    assert renewed_first(5, 0.4, np.array([3, 0, 1, 2, 4])).tolist() == [True, False, False, True, False]


def test_a_blend_looks_for_every_item_in_one_gallery_only() -> None:
    slots = slots_of("float32")
    old, new = (Gallery(model.base, slots, seed=0, threads=1) for model in (OLD, NEW))
    blend = Blend(old, new, OLD.queries, NEW.queries, Scale(0.5, 0.1))
    renewed = np.random.default_rng(1).random(N) < 0.5
    scores = np.where(renewed, NEW.queries @ NEW.base.T, 0.5 * (OLD.queries @ OLD.base.T) + 0.1)
    assert np.array_equal(blend.search(K, renewed), np.argsort(-scores, axis=1, kind="stable")[:, :K])


def test_the_scale_of_scores_is_fitted() -> None:
    learn, base = Paired(OLD.learn, OLD.learn), Paired(OLD.base, OLD.base)
    way = WAYS[AS_THEY_ARE](base, Sizes())
    found = fitted_scale(way, learn, base)
    assert (found.slope, found.offset) == (pytest.approx(1, abs=1e-4), pytest.approx(0, abs=1e-4))
    constant = Paired(np.ones((40, 3), np.float32), np.ones((40, 3), np.float32))
    assert fitted_scale(WAYS[AS_THEY_ARE](constant, Sizes()), constant, constant) == Scale()


def test_pairs_are_neither_asked_nor_sought() -> None:
    for of, count in (("learn", 200), ("base", 400), ("both", 600)):
        pairs, _, items = paired(OLD, NEW, of, 400, seed=0)
        assert len(pairs) == count
        sought = {row.tobytes() for row in NEW.base[:Q]}
        assert not sought & {row.tobytes() for row in items.new}
    named_by_one = Measuring([OLD, replace(NEW, relevant=None)], asked(), lambda done: None)
    assert all(np.array_equal(model.relevant, np.arange(Q)) for model in named_by_one.models)
    with pytest.raises(UsageError, match="new has no training queries; give --fit-on base"):
        paired(replace(OLD, learn=None), replace(NEW, learn=None), "learn", 400, seed=0)
    assert len(paired(replace(OLD, learn=None), replace(NEW, learn=None), "base", 400, seed=0)[0]) == 400
    with pytest.raises(UsageError, match="5 pairs are too few"):
        paired(OLD, NEW, "learn", 5, seed=0)


def test_generations_that_do_not_fit_are_refused() -> None:
    def refused(models: list[Generation], **changed: Any) -> None:
        Measuring(models, asked(**changed), lambda done: None).run()

    with pytest.raises(UsageError, match="one model is no upgrade"):
        refused([OLD])
    with pytest.raises(DatasetError, match="old has 599 base rows, new has 600; embed the same things"):
        refused([replace(OLD, base=OLD.base[1:]), NEW])
    with pytest.raises(DatasetError, match="old has 59 queries, new has 60"):
        refused([replace(OLD, queries=OLD.queries[1:]), NEW])
    with pytest.raises(DatasetError, match="name other relevant rows"):
        refused([replace(OLD, relevant=np.arange(Q) + 1), NEW])
    with pytest.raises(UnknownNameError, match="unknown codes 'uniform-9'"):
        refused([OLD, NEW], codes=("uniform-9",))
    with pytest.raises(UsageError, match=r"preset bebr-ivf reads one binarizer, .* give --old-binarizer and --new-bin"):
        refused([OLD, NEW], codes=("bebr-ivf",))
    mixed = np.random.default_rng(1).permutation(N)
    with pytest.raises(DatasetError, match="have nothing to do with each other; row i of both files must be one"):
        refused([replace(OLD, base=OLD.base[mixed], learn=None), replace(NEW, learn=None)], fit_on="base")
    check_related(Paired(NEW.base, OLD.base), ("new", "old"), seed=0)


def test_truths_judge_by_the_newest_model() -> None:
    truths = Truths(NEW.base, NEW.queries, np.arange(Q), threads=1, seed=0)
    exact = np.argsort(-(NEW.queries @ NEW.base.T), axis=1, kind="stable")[:, :K]
    quality = truths.quality(exact)
    assert quality.recall_at_10 == 1
    nothing = np.full((Q, K), -1)
    assert truths.quality(nothing).recall_at_10 == 0
    assert truths.quality(nothing).mrr_at_10 == 0
    assert truths.flips(exact, nothing)[1].negative == round(Q * quality.hit_at_10)
