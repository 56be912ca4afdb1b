"""The transforms by name. A new one is one class and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from annbench.errors import UnknownNameError, UsageError
from annbench.indexes.transforms.base import Transform
from annbench.indexes.transforms.leanvec import LeanVecOod
from annbench.indexes.transforms.plain import Identity, Prefix, RandomRotation, SparseProjection
from annbench.indexes.transforms.spectral import Pca, Whitening

TRANSFORMS: dict[str, type[Transform]] = {
    "identity": Identity,
    "prefix": Prefix,
    "random-rotation": RandomRotation,
    "sparse-projection": SparseProjection,
    "pca": Pca,
    "whitening": Whitening,
    "leanvec-ood": LeanVecOod,
}


def make_transform(fields: Mapping[str, Any]) -> Transform:
    """The transform of `{kind: …, …}`. Raises UnknownNameError for the kind, UsageError for its parameters."""
    kind = fields.get("kind")
    if kind not in TRANSFORMS:
        raise UnknownNameError("transform", str(kind), TRANSFORMS)
    model = TRANSFORMS[kind]
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(step) for step in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UnknownNameError(f"parameter of {kind}", name, model.model_fields) from None
        raise UsageError(first["msg"], where=f"{kind}: {name}", remedy="see the transform's description") from None
