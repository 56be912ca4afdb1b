"""Galleries that are re-embedded in part: old items are searched the way of an upgrade, new ones natively, and both
answers are merged by their scores.

Cosines of two spaces are not the same thing: a bridged query is less near to what it means than a native one. So those
of the old part are put on the scale of the new one by a line that is fitted on pairs. At 0 and 100 % it changes
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from annbench.indexes.transforms.binarizer import unit_rows
from annbench.upgrade.gallery import Gallery, Ids, Mask
from annbench.upgrade.pairs import Matrix, Paired
from annbench.upgrade.ways import Way

NEAREST = 50  # of every query, by the old part's score: those are what it would answer
MOST_QUERIES = 512
LEAST_SCALE = 1e-3


@dataclass(frozen=True)
class Scale:
    """An old part's cosine s counts as slope·s + offset."""

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, scores: Matrix) -> Matrix:
        return (self.slope * scores + self.offset).astype(np.float32)


def fitted_scale(way: Way, asked: Paired, items: Paired) -> Scale:
    """What the new part's score is expected to be, given the old one's: by least squares over the `items` that the old
    part finds for the `asked` things, both being paired vectors. Chosen by either score, the two would seem opposed.
    """
    some = slice(0, MOST_QUERIES)
    old = unit_rows(way.old_queries(asked.new[some])) @ unit_rows(way.old_items(items.old)).T
    new = unit_rows(way.new_queries(asked.new[some])) @ unit_rows(way.new_items(items.new)).T
    found = np.argpartition(-old, min(NEAREST, len(items)) - 1, axis=1)[:, :NEAREST]
    chosen = np.zeros(old.shape, bool)
    np.put_along_axis(chosen, found, values=True, axis=1)
    x, y = old[chosen].astype(np.float64), new[chosen].astype(np.float64)
    spread = float(x.var()) if len(x) else 0.0
    if spread < 1e-12:
        return Scale()
    slope = max(float(np.mean((x - x.mean()) * (y - y.mean()))) / spread, LEAST_SCALE)
    return Scale(slope, float(y.mean() - slope * x.mean()))


@dataclass(frozen=True)
class Blend:
    """Two galleries of the same n items and what each of them is asked (q, dim). `answers` keeps those of the new one
    by the number of items renewed, for blends that share it and renew in one order.
    """

    old: Gallery
    new: Gallery
    old_queries: Matrix
    new_queries: Matrix
    scale: Scale
    answers: dict[int, tuple[Ids, Matrix]] = field(default_factory=dict)

    def search(self, k: int, renewed: Mask) -> Ids:
        """Ids (q, k), best first, where the items that are `renewed` (n,) are the new model's, all others the old."""
        if renewed.all():
            return self.new.search(self.new_queries, k)[0]
        if not renewed.any():
            return self.old.search(self.old_queries, k)[0]
        old_ids, old_scores = self.old.search(self.old_queries, k, ~renewed)
        count = int(renewed.sum())
        if count not in self.answers:
            self.answers[count] = self.new.search(self.new_queries, k, renewed)
        new_ids, new_scores = self.answers[count]
        return merged(old_ids, self.scale(old_scores), new_ids, new_scores, k)


def merged(first: Ids, first_scores: Matrix, second: Ids, second_scores: Matrix, k: int) -> Ids:
    """The k of both (q, a) and (q, b) with the highest scores; −1 is never before anything else."""
    ids = np.concatenate([first, second], axis=1)
    scores = np.concatenate([first_scores, second_scores], axis=1)
    scores = np.where(ids < 0, -np.inf, scores)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(ids, order, axis=1)


def renewed_first(n: int, share: float, order: NDArray[np.int64]) -> Mask:
    """The first `share` of n items in the `order` (n,) in which they are re-embedded."""
    mask = np.zeros(n, bool)
    mask[order[: round(share * n)]] = True
    return mask
