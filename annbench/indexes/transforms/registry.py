"""The transforms by name. A new one is one class and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annbench.indexes.choice import choose
from annbench.indexes.transforms.base import Transform
from annbench.indexes.transforms.bebr import Bebr
from annbench.indexes.transforms.leanvec import LeanVecOod
from annbench.indexes.transforms.plain import FastRotation, Identity, Prefix, RandomRotation, SparseProjection
from annbench.indexes.transforms.spectral import Pca, Whitening

TRANSFORMS: dict[str, type[Transform]] = {
    "identity": Identity,
    "prefix": Prefix,
    "random-rotation": RandomRotation,
    "fast-rotation": FastRotation,
    "sparse-projection": SparseProjection,
    "pca": Pca,
    "whitening": Whitening,
    "leanvec-ood": LeanVecOod,
    "bebr": Bebr,
}


def make_transform(fields: Mapping[str, Any]) -> Transform:
    """The transform of `{kind: …, …}`. Raises UnknownNameError for the kind, UsageError for its parameters."""
    return choose("transform", TRANSFORMS, fields)
