"""Figures of every pair of generations, every way and every kind of codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from annbench.indexes.transforms.binarizer import Binarizer
from annbench.metrics.compatibility import average_compatibility, average_measure, update_gain
from annbench.upgrade.blend import Blend, Scale, fitted_scale, renewed_first
from annbench.upgrade.gallery import Gallery, Ids, levels_slots, slots_of
from annbench.upgrade.generation import Generation, check_generations, check_related, paired
from annbench.upgrade.model import Compatibility, Curve, Family, Outcome, Point, Quality, Upgrade
from annbench.upgrade.pairs import Matrix
from annbench.upgrade.truths import K, Truths
from annbench.upgrade.ways import WAYS, Map, Sizes, Way, coded, in_codes, same

BEBR = "bebr"
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Asked:
    """What is to be measured. `shares` of the gallery are re-embedded for the curves; `binarizers` are BEBR's of the
    last old and the newest model.
    """

    codes: tuple[str, ...]
    fit_on: str
    most_pairs: int
    shares: tuple[float, ...]
    sizes: Sizes
    threads: int
    binarizers: tuple[Binarizer, Binarizer] | None = None


@dataclass(frozen=True)
class _Codes:
    """One kind of codes for one pair of generations: what is stored of old and new items, and what is asked."""

    name: str
    slots: dict[str, Any]
    old: Map
    new: Map


@dataclass
class Measuring:
    """Of generations, oldest first. Indexes of whole generations are made once."""

    models: Sequence[Generation]
    asked: Asked
    progress: Progress
    galleries: dict[tuple[str, str], Gallery] = field(default_factory=dict)
    done: int = 0

    def __post_init__(self) -> None:
        check_generations(self.models)
        for codes in self.asked.codes:
            slots_of(codes)
        newest = self.models[-1]
        relevant = next((model.relevant for model in self.models if model.relevant is not None), None)
        # Whichever file names them, no model is fitted on what is sought.
        self.models = [replace(model, relevant=relevant) for model in self.models]
        asked = self.asked
        self.truths = Truths(newest.base, newest.queries, relevant, threads=asked.threads, seed=asked.sizes.seed)
        order = np.random.default_rng((asked.sizes.seed, 3)).permutation(len(newest.base))
        self.order = order.astype(np.int64)
        self.pairs = 0

    def run(self) -> tuple[tuple[Upgrade, ...], tuple[Compatibility, ...]]:
        """Every upgrade, those to the newest model with curves, and the matrices over all generations."""
        upgrades = []
        for j, i in self._steps():
            upgrades.append(self._upgrade(self.models[j], self.models[i], curves=i == len(self.models) - 1))
        return tuple(upgrades), tuple(self._matrices(upgrades))

    def _steps(self) -> list[tuple[int, int]]:
        """Old and new, i > j."""
        return [(j, i) for i in range(1, len(self.models)) for j in range(i)]

    def _tick(self) -> None:
        self.done += 1
        families = len(self.asked.codes) * len(self._steps()) + (self.asked.binarizers is not None)
        self.progress(min(self.done / (families * len(WAYS)), 1.0))

    def _upgrade(self, old: Generation, new: Generation, *, curves: bool) -> Upgrade:
        asked = self.asked
        pairs, asking, items = paired(old, new, asked.fit_on, asked.most_pairs, seed=asked.sizes.seed)
        check_related(pairs, (old.name, new.name), seed=asked.sizes.seed)
        self.pairs = len(pairs)
        ways = [made(pairs, asked.sizes) for made in WAYS.values()]
        families = []
        for codes in self._kinds(old, new):
            mine = ways
            if codes.name == BEBR and asked.binarizers is not None:
                # Only where old codes stay: others would be coded by a binarizer that was trained on other vectors.
                mine = [in_codes(way, *asked.binarizers) for way in ways if way.keeps_codes and way.new_items is same]
            scales = [fitted_scale(way, asking, items) for way in mine] if curves else []
            families.append(self._family(old, new, codes, mine, scales))
        return Upgrade(old=old.name, new=new.name, families=tuple(families))

    def _kinds(self, old: Generation, new: Generation) -> list[_Codes]:
        kinds = [_Codes(name, slots_of(name), same, same) for name in self.asked.codes]
        last = old is self.models[-2] and new is self.models[-1]
        if self.asked.binarizers is not None and last:
            first, second = self.asked.binarizers
            slots = levels_slots(first.steps + 1)
            kinds.append(_Codes(BEBR, slots, partial(coded, binarizer=first), partial(coded, binarizer=second)))
        return kinds

    def _family(
        self, old: Generation, new: Generation, codes: _Codes, ways: Sequence[Way], scales: Sequence[Scale]
    ) -> Family:
        before = self._gallery(codes, codes.old, old)
        after = self._gallery(codes, codes.new, new)
        old_ids = before.search(codes.old(old.queries), K)[0]
        new_ids = after.search(codes.new(new.queries), K)[0]
        alone = self.truths.quality(old_ids), self.truths.quality(new_ids)
        outcomes, curves = [], []
        answers: dict[int, tuple[Ids, Matrix]] = {}  # of the new gallery as it is, which several ways share
        for number, way in enumerate(ways):
            gallery = before if way.keeps_codes else self._built(codes, way.old_items(old.base))
            queries = way.old_queries(new.queries)
            ids = gallery.search(queries, K)[0]
            outcomes.append(self._outcome(way, ids, old_ids, alone))
            if scales:
                native = codes.name == BEBR or way.new_items is same
                renewed = after if native else self._built(codes, way.new_items(new.base))
                asked = way.new_queries(new.queries)
                blend = Blend(gallery, renewed, queries, asked, scales[number], answers if native else {})
                curves.append(self._curve(way, blend, len(new.base)))
            self._tick()
        return Family(
            codes=codes.name,
            old_bytes_per_vector=before.bytes_per_vector,
            new_bytes_per_vector=after.bytes_per_vector,
            old_alone=alone[0],
            new_alone=alone[1],
            new_flips=self.truths.flips(old_ids, new_ids),
            outcomes=tuple(outcomes),
            curves=tuple(curves),
        )

    def _outcome(self, way: Way, ids: Ids, old_ids: Ids, alone: tuple[Quality, Quality]) -> Outcome:
        quality = self.truths.quality(ids)
        return Outcome(
            way=way.name,
            about=way.about,
            keeps_codes=way.keeps_codes,
            quality=quality,
            gain=update_gain(quality.main, alone[0].main, alone[1].main),
            compatible=quality.main > alone[0].main,
            flips=self.truths.flips(old_ids, ids),
        )

    def _curve(self, way: Way, blend: Blend, n: int) -> Curve:
        points = [
            Point(share=share, quality=self.truths.quality(blend.search(K, renewed_first(n, share, self.order))))
            for share in self.asked.shares
        ]
        return Curve(way=way.name, slope=blend.scale.slope, offset=blend.scale.offset, points=tuple(points))

    def _gallery(self, codes: _Codes, stored: Map, model: Generation) -> Gallery:
        key = codes.name, model.name
        if key not in self.galleries:
            self.galleries[key] = self._built(codes, stored(model.base))
        return self.galleries[key]

    def _built(self, codes: _Codes, items: Matrix) -> Gallery:
        return Gallery(items, codes.slots, seed=self.asked.sizes.seed, threads=self.asked.threads)

    def _matrices(self, upgrades: Sequence[Upgrade]) -> list[Compatibility]:
        """For every way and codes that all pairs were measured with. A way without bridges is one too."""
        found = []
        for codes in self.asked.codes:
            by_pair = {(u.old, u.new): next(f for f in u.families if f.codes == codes) for u in upgrades}
            for way in WAYS:
                found.append(self._matrix(codes, way, by_pair))
        return found

    def _matrix(self, codes: str, way: str, by_pair: dict[tuple[str, str], Family]) -> Compatibility:
        names = [model.name for model in self.models]
        filled = np.full((len(names), len(names)), np.nan)
        for (old, new), family in by_pair.items():
            i, j = names.index(new), names.index(old)
            filled[i, j] = next(o.quality.main for o in family.outcomes if o.way == way)
            filled[i, i], filled[j, j] = family.new_alone.main, family.old_alone.main
        return Compatibility(
            way=way,
            codes=codes,
            matrix=tuple(tuple(None if np.isnan(c) else float(c) for c in row) for row in filled),
            ac=average_compatibility(filled),
            am=average_measure(filled),
        )
