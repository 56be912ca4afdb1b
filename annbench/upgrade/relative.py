"""Relative representations: a vector as its cosines to anchors, things that both models embed (Moschella et al.,
"Relative representations enable zero-shot latent space communication", ICLR 2023). The old gallery has to be expressed
by its anchors once, from its stored vectors, without the old model.

The paper fits nothing. Here each cosine is less its mean over the pairs: most of what two texts have in common with an
anchor is what all texts have, and near neighbours are told apart by the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annbench.errors import UsageError
from annbench.indexes.transforms.binarizer import unit_rows
from annbench.upgrade.pairs import Matrix, Paired, check_dim


@dataclass(frozen=True)
class Relative:
    """Row i of `new_anchors` (m, dim_new) and `old_anchors` (m, dim_old) is one thing. Means (m,) are of cosines."""

    new_anchors: Matrix
    old_anchors: Matrix
    new_mean: Matrix
    old_mean: Matrix

    def new(self, vectors: Matrix) -> Matrix:
        """Of new vectors, (n, m), of unit length."""
        return unit_rows(_cosines(vectors, self.new_anchors) - self.new_mean)

    def old(self, vectors: Matrix) -> Matrix:
        """Of old vectors, (n, m), of unit length."""
        return unit_rows(_cosines(vectors, self.old_anchors) - self.old_mean)


def relative(pairs: Paired, anchors: int, *, seed: int) -> Relative:
    """With `anchors` of the pairs, or all of them if they are fewer, drawn by `seed`. Raises UsageError."""
    if anchors < 2:
        raise UsageError(f"got {anchors}", where="anchors", remedy="give 2 or more")
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(len(pairs), min(anchors, len(pairs)), replace=False))
    new, old = unit_rows(pairs.new[chosen]), unit_rows(pairs.old[chosen])
    return Relative(new, old, _cosines(pairs.new, new).mean(axis=0), _cosines(pairs.old, old).mean(axis=0))


def _cosines(vectors: Matrix, anchors: Matrix) -> Matrix:
    check_dim(vectors, anchors.shape[1])
    cosines: Matrix = unit_rows(vectors) @ anchors.T
    return cosines
