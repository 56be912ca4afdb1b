"""BEBR: what a recurrent binarizer makes of vectors, which was trained with `annbench train bebr`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray
from pydantic import Field

from annbench.errors import UsageError
from annbench.indexes.transforms.base import Maps, Transform
from annbench.indexes.transforms.model_file import read_binarizer


class Bebr(Transform):
    """Sums of ±1 vectors of falling weights (Gan et al., KDD 2023), by the binarizer of the file `model`.

    With fewer `steps` than it was trained for, codes are coarser: of steps + 1 bits a dimension, which a `uniform`
    codec of as many keeps as they are.
    """

    kind: Literal["bebr"] = "bebr"
    told: ClassVar[tuple[str, ...]] = ("model",)
    model: str = Field(min_length=1)
    steps: int | None = Field(default=None, ge=0, le=7)
    dim: int | None = Field(default=None, ge=1)  # of the codes; the file says it
    normalise: ClassVar[bool] = True

    @property
    def needs_base(self) -> bool:
        return False

    def resolved(self) -> Bebr:
        dim = read_binarizer(Path(self.model)).binarizer.dim
        if self.dim not in (None, dim):
            raise UsageError(
                f"{self.model} makes codes of {dim} dimensions", where="transform bebr, dim", remedy="leave it out"
            )
        return self.model_copy(update={"dim": dim})

    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        binarizer = read_binarizer(Path(self.model)).binarizer
        if binarizer.dim_in != base.shape[1]:
            raise UsageError(
                f"{self.model} was trained on vectors of {binarizer.dim_in} dimensions, these have {base.shape[1]}",
                where="transform bebr",
                remedy="train one on vectors like these",
            )
        if self.steps is not None and self.steps > binarizer.steps:
            raise UsageError(
                f"{self.model} has {binarizer.steps} steps",
                where="transform bebr, steps",
                remedy=f"give at most {binarizer.steps}",
            )
        steps = binarizer.steps if self.steps is None else self.steps
        packed = binarizer.prefix(steps).packed()
        return Maps(binarizer.dim_in, binarizer.dim, binarizer=packed, normalise=True)
