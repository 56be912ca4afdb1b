"""BEBR: what a recurrent binarizer makes of vectors, which was trained with `annbench train bebr`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annbench.errors import UsageError
from annbench.indexes.transforms.base import Maps, Matrix, Transform, narrow
from annbench.indexes.transforms.binarizer import Binarizer, BinarizerMetric
from annbench.indexes.transforms.model_file import checksum_of, read_binarizer

DEFAULT_MODEL = "bebr.safetensors"
RIDGE = 1e-3  # of the mean variance, so that codes that never differ in a dimension can be decoded


class Bebr(Transform):
    """Sums of ±1 vectors of falling weights (Gan et al., KDD 2023), by the binarizer of the file `model`.

    With fewer `steps` than it was trained for, codes are coarser: of steps + 1 bits a dimension, which codec `levels`
    keeps. Queries are binarized too, unless they are `asymmetric`: then they are mapped by the transpose of the linear
    map that gives the vectors back from their codes with least error, so that ⟨query, code⟩ estimates what the float
    vectors would give. That is for cosine.
    """

    kind: Literal["bebr"] = "bebr"
    told: ClassVar[tuple[str, ...]] = ("model",)
    model: str = Field(default=DEFAULT_MODEL, min_length=1)
    steps: int | None = Field(default=None, ge=0, le=7)
    asymmetric: bool = False
    checksum: str | None = Field(default=None, max_length=64)  # of the file, which any other is refused for
    # What the file says of them.
    dim: int | None = Field(default=None, ge=1)
    metric: BinarizerMetric | None = None
    normalise: ClassVar[bool] = True

    @property
    def needs_base(self) -> bool:
        return self.asymmetric

    def located(self, folder: Path) -> Bebr:
        path = folder.absolute() / self.model
        return self.model_copy(update={"model": str(path), "checksum": self.checksum or checksum_of(path)})

    def placeless(self) -> Bebr:
        return self.model_copy(update={"model": Path(self.model).name})

    def resolved(self) -> Bebr:
        binarizer = read_binarizer(Path(self.model)).binarizer
        if self.checksum is not None and self.checksum != checksum_of(Path(self.model)):
            raise UsageError(
                f"{self.model} is another file than that of checksum {self.checksum}",
                where="transform bebr",
                remedy="give the one that was meant, or leave the checksum out",
            )
        if self.dim not in (None, binarizer.dim):
            raise UsageError(
                f"{self.model} makes codes of {binarizer.dim} dimensions",
                where="transform bebr, dim",
                remedy="leave it out",
            )
        if self.asymmetric and binarizer.metric == "euclidean":
            raise UsageError(
                "a query that is not binarized is compared by inner products, which long vectors win whatever is near",
                where="transform bebr, asymmetric",
                remedy="leave it out under euclidean distance",
            )
        told = {"dim": binarizer.dim, "steps": self._steps(binarizer), "metric": binarizer.metric}
        return self.model_copy(update=told)

    def _steps(self, binarizer: Binarizer) -> int:
        if self.steps is not None and self.steps > binarizer.steps:
            raise UsageError(
                f"{self.model} has {binarizer.steps} steps",
                where="transform bebr, steps",
                remedy=f"give at most {binarizer.steps}",
            )
        return binarizer.steps if self.steps is None else self.steps

    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        binarizer = read_binarizer(Path(self.model)).binarizer
        if binarizer.dim_in != base.shape[1]:
            raise UsageError(
                f"{self.model} was trained on vectors of {binarizer.dim_in} dimensions, these have {base.shape[1]}",
                where="transform bebr",
                remedy="train one on vectors like these",
            )
        packed = binarizer.prefix(self._steps(binarizer)).packed()
        maps = Maps(binarizer.dim_in, binarizer.dim, binarizer.mean, binarizer=packed, normalise=True)
        if not self.asymmetric:
            return maps
        decoder = linear_decoder(maps.base(base), base.astype(np.float32) - (0 if maps.mean is None else maps.mean))
        return Maps(maps.dim_in, maps.dim_out, maps.mean, query_map=decoder, binarizer=packed, normalise=True)


def linear_decoder(codes: Matrix, vectors: Matrix) -> Matrix:
    """The matrix (dim, dim_in) that multiplied with codes (n, dim) of length 1 gives `vectors` (n, dim_in), less their
    mean, with the least squared error.
    """
    wide, centred = codes.astype(np.float64), vectors - vectors.mean(axis=0, dtype=np.float64)
    gram = wide.T @ wide
    gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram)
    return narrow(np.linalg.solve(gram, wide.T @ centred))
