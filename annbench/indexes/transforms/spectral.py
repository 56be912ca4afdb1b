"""Transforms by the spectrum of the base alone: PCA and whitening."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annbench.indexes.transforms.base import Maps, Transform, Wide, checked_dim, narrow
from annbench.indexes.transforms.moments import mean_of, principal, sampled, second_moment
from annbench.indexes.transforms.plain import random_rotation

# Of the largest eigenvalue: what whitening does not amplify further.
EIGENVALUE_FLOOR = 1e-6


class Pca(Transform):
    """The `dim` directions of largest variance. With `rotate`, a random rotation follows, which low-bit codes need:
    they spend the same bits on every dimension. Without `center` it is LeanVec-ID (Tepper et al., 2023).
    """

    kind: Literal["pca"] = "pca"
    dim: int = Field(ge=1)
    center: bool = True
    rotate: bool = False

    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        dim_in = base.shape[1]
        checked_dim(self.dim, dim_in)
        sample = sampled(base, seed)
        mean = mean_of(sample) if self.center else None
        directions = principal(second_moment(sample, mean))[1][: self.dim]
        rows = narrow(rotated(directions, self.rotate, seed))
        return Maps(dim_in, self.dim, None if mean is None else narrow(mean), rows, rows)


class Whitening(Transform):
    """PCA with every direction scaled to variance 1: another metric than the original's, for tasks that were labelled;
    the neighbours by the original metric are not what it keeps.
    """

    kind: Literal["whitening"] = "whitening"
    dim: int = Field(ge=1)

    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        dim_in = base.shape[1]
        checked_dim(self.dim, dim_in)
        sample = sampled(base, seed)
        mean = mean_of(sample)
        values, directions = principal(second_moment(sample, mean))
        floored = np.maximum(values[: self.dim], max(EIGENVALUE_FLOOR * values[0], np.finfo(np.float32).tiny))
        rows = narrow(directions[: self.dim] / np.sqrt(floored)[:, None])
        return Maps(dim_in, self.dim, narrow(mean), rows, rows, changes_metric=True)


def rotated(rows: Wide, wanted: bool, seed: int) -> Wide:
    """R·rows for a random rotation R of the reduced space, which leaves every inner product as it is."""
    return random_rotation(len(rows), np.random.default_rng(seed)) @ rows if wanted else rows
