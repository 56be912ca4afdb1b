"""Transforms that look at no data but their mean: identity, prefix, random rotation, very sparse projection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annbench.indexes.transforms.base import Maps, Transform, Wide, checked_dim, narrow
from annbench.indexes.transforms.moments import mean_of, sampled


class _Centring(Transform):
    """Looks at the mean alone, and only with `center`."""

    center: bool = False

    @property
    def needs_base(self) -> bool:
        return self.center

    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        mean = narrow(mean_of(sampled(base, seed))) if self.center else None
        return Maps(base.shape[1], base.shape[1], mean)


class Identity(_Centring):
    """Vectors as they are; with `center`, less their mean, which codes on symmetric grids need."""

    kind: Literal["identity"] = "identity"


class _Unseeing(Transform):
    """Looks at no data."""

    @property
    def needs_base(self) -> bool:
        return False


class Prefix(_Unseeing):
    """The first `dim` dimensions, scaled to unit length again: for embeddings trained as Matryoshka (Kusupati et al.,
    NeurIPS 2022); for others a prefix of PCA is what keeps most.
    """

    kind: Literal["prefix"] = "prefix"
    dim: int = Field(ge=1)
    normalise: bool = True

    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        dim_in = base.shape[1]
        first = np.eye(checked_dim(self.dim, dim_in), dim_in, dtype=np.float32)
        return Maps(dim_in, self.dim, None, first, first, normalise=self.normalise)


class RandomRotation(_Unseeing):
    """A uniformly random orthogonal map: spreads what a code loses evenly over the dimensions."""

    kind: Literal["random-rotation"] = "random-rotation"

    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        rotation = narrow(random_rotation(base.shape[1], np.random.default_rng(seed)))
        return Maps(base.shape[1], base.shape[1], None, rotation, rotation)


class FastRotation(_Centring):
    """A random orthogonal map by Hadamard transforms and random signs, as the RaBitQ library's (Gao et al., 2025):
    spreads what a code loses as a uniformly random one does, in O(d log d) a query and without a matrix to keep. With
    `center`, of the vectors less their mean.
    """

    kind: Literal["fast-rotation"] = "fast-rotation"

    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        drawn = int(np.random.default_rng(seed).integers(1 << 32))
        return replace(super().fit(base, queries, seed=seed), rotation=drawn)


class SparseProjection(_Unseeing):
    """Very sparse random projection to `dim` dimensions: entries ±√s with probability 1/2s each, else 0, over √dim
    (Li, Hastie and Church, KDD 2006). `s` defaults to √(dimensions of the vectors). Inner products are unbiased.
    """

    kind: Literal["sparse-projection"] = "sparse-projection"
    dim: int = Field(ge=1)
    s: float | None = Field(default=None, ge=1)

    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        dim_in = base.shape[1]
        s = self.s or np.sqrt(dim_in)
        draws = np.random.default_rng(seed).random((self.dim, dim_in))
        signs = (draws < 0.5 / s).astype(np.float64) - (draws > 1 - 0.5 / s)
        projection = narrow(signs * np.sqrt(s / self.dim))
        return Maps(dim_in, self.dim, None, projection, projection)


def random_rotation(dim: int, generator: np.random.Generator) -> Wide:
    """A (dim, dim) orthogonal matrix, uniform by Haar measure (Mezzadri, Notices of the AMS 2007)."""
    q, r = np.linalg.qr(generator.normal(size=(dim, dim)))
    signs = np.where(np.diag(r) < 0, -1.0, 1.0)
    return np.asarray(q * signs)
