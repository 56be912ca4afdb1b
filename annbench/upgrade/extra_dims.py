"""The old space with extra dimensions beside it, after BT² (Zhou et al., "BT²: Backward-compatible Training with Basis
Transformation", ICCV 2023).

BT² trains a network and orthonormal basis changes so that the first dimensions of a new vector match the old one, and
others keep what the old space cannot hold. This is its closed-form analogue; nothing is trained by descent. With W, the
least-squares map of the new space into the old one, its singular values cut at 1,

    x → [ W·x,  P·(I − WᵀW)^½·x ]

where P are the first principal directions of the second part. W over (I − WᵀW)^½ has orthonormal columns: it is an
orthonormal change of basis into a larger space, so that without P nothing is lost of the new vectors' inner products
(Halmos' dilation). The first part searches old vectors and codes as they are; vectors of the new model have both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annbench.errors import UsageError
from annbench.indexes.transforms.binarizer import unit_rows
from annbench.upgrade.bridges import least_squares
from annbench.upgrade.pairs import Matrix, Paired, check_dim


@dataclass(frozen=True)
class ExtraDims:
    """`prefix` (dim_old, dim_new) is W, `extra` (extra, dim_new) what makes the second part."""

    prefix: Matrix
    extra: Matrix

    @property
    def dim(self) -> int:
        """Of the whole."""
        return len(self.prefix) + len(self.extra)

    def queries(self, new: Matrix) -> Matrix:
        """What searches the old gallery (q, dim_old)."""
        check_dim(new, self.prefix.shape[1])
        return unit_rows(new @ self.prefix.T)

    def whole(self, new: Matrix) -> Matrix:
        """New vectors (n, dim), queries or items, of unit length."""
        check_dim(new, self.prefix.shape[1])
        return unit_rows(np.concatenate([new @ self.prefix.T, new @ self.extra.T], axis=1))


def extra_dims(pairs: Paired, extra: int) -> ExtraDims:
    """Fitted on `pairs`, with at most `extra` dimensions more. Raises UsageError for a number below 0."""
    if extra < 0:
        raise UsageError(f"got {extra}", where="extra dimensions", remedy="give 0 or more")
    left, values, right = np.linalg.svd(least_squares(pairs).matrix.astype(np.float64), full_matrices=True)
    kept = np.minimum(values, 1)
    count = len(kept)
    prefix = (left[:, :count] * kept) @ right[:count]
    lost = np.ones(len(right))
    lost[:count] = 1 - kept**2
    rest = (right.T * np.sqrt(np.maximum(lost, 0))) @ right  # (I − WᵀW)^½, symmetric
    second = pairs.new.astype(np.float64) @ rest
    directions = np.linalg.eigh(second.T @ second)[1][:, ::-1][:, : min(extra, len(right))]
    return ExtraDims(np.ascontiguousarray(prefix, np.float32), np.ascontiguousarray((rest @ directions).T, np.float32))
