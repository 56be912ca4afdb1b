"""Relative representations: a vector as its cosines to anchors, things that both models embed (Moschella et al.,
"Relative representations enable zero-shot latent space communication", ICLR 2023). Nothing is fitted. The old gallery
has to be expressed by its anchors once, from its stored vectors, without the old model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annbench.errors import UsageError
from annbench.indexes.transforms.binarizer import unit_rows
from annbench.upgrade.pairs import Matrix, Paired, check_dim


@dataclass(frozen=True)
class Relative:
    """Row i of `new_anchors` (m, dim_new) and `old_anchors` (m, dim_old) is one thing."""

    new_anchors: Matrix
    old_anchors: Matrix

    def new(self, vectors: Matrix) -> Matrix:
        """Of new vectors, (n, m), of unit length."""
        return _cosines(vectors, self.new_anchors)

    def old(self, vectors: Matrix) -> Matrix:
        """Of old vectors, (n, m), of unit length."""
        return _cosines(vectors, self.old_anchors)


def relative(pairs: Paired, anchors: int, *, seed: int) -> Relative:
    """With `anchors` of the pairs, or all of them if they are fewer, drawn by `seed`. Raises UsageError."""
    if anchors < 2:
        raise UsageError(f"got {anchors}", where="anchors", remedy="give 2 or more")
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(len(pairs), min(anchors, len(pairs)), replace=False))
    return Relative(unit_rows(pairs.new[chosen]), unit_rows(pairs.old[chosen]))


def _cosines(vectors: Matrix, anchors: Matrix) -> Matrix:
    check_dim(vectors, anchors.shape[1])
    return unit_rows(unit_rows(vectors) @ anchors.T)
