"""What a transform must offer, and the maps that fitting it gives."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annbench._native import RecurrentBinarizer, rotated
from annbench.errors import UsageError
from annbench.indexes.choice import Choice

Matrix = NDArray[np.float32]
Wide = NDArray[np.float64]


@dataclass(frozen=True)
class Maps:
    """x → B(x − μ) for the base and q → A(q − μ) for queries, so that ⟨A(q − μ), B(x − μ)⟩ stands for
    ⟨q − μ, x − μ⟩.

    `mean` (dim_in,) is μ, None for 0; `base_map` and `query_map` (dim_out, dim_in) are B and A, both None for the
    identity, or, with `rotation`, for the fast rotation of that seed. With `normalise`, mapped vectors are scaled to
    unit length; so they are with `binarizer`, which takes the place of maps, or of the base's alone where there is a
    `query_map`: BEBR's, shape and values as Binarizer.packed gives them. `changes_metric` says that the mapped inner
    product is meant to be another one than the original's (whitening), so that recall against the original neighbours
    is expected to fall.
    """

    dim_in: int
    dim_out: int
    mean: Matrix | None = None
    base_map: Matrix | None = None
    query_map: Matrix | None = None
    rotation: int | None = None
    binarizer: tuple[NDArray[np.uint32], Matrix] | None = None
    normalise: bool = False
    changes_metric: bool = False

    def base(self, vectors: NDArray[Any]) -> Matrix:
        """Mapped base vectors (n, dim_out), float32."""
        return self._mapped(vectors, self.base_map, self._native_binarizer)

    def queries(self, vectors: NDArray[Any]) -> Matrix:
        """Mapped queries (q, dim_out), float32."""
        return self._mapped(vectors, self.query_map, None if self.query_map is not None else self._native_binarizer)

    @property
    def nbytes(self) -> int:
        """Bytes that the maps take in an index; one map that serves both sides counts once."""
        parts = {id(part): part.nbytes for part in (self.mean, self.base_map, self.query_map) if part is not None}
        return sum(parts.values()) + (0 if self.binarizer is None else self.binarizer[1].nbytes)

    @cached_property
    def _native_binarizer(self) -> RecurrentBinarizer | None:
        return None if self.binarizer is None else RecurrentBinarizer(*self.binarizer)

    def _mapped(self, vectors: NDArray[Any], matrix: Matrix | None, binarizer: RecurrentBinarizer | None) -> Matrix:
        if vectors.ndim != 2 or vectors.shape[1] != self.dim_in:
            raise UsageError(f"got shape {vectors.shape}", where="vectors", remedy=f"give rows of dim {self.dim_in}")
        rows = vectors.astype(np.float32, copy=False)
        if self.mean is not None:
            rows = rows - self.mean
        if binarizer is not None:
            mapped: NDArray[Any] = binarizer.map(np.ascontiguousarray(rows))
        elif self.rotation is not None:
            mapped = rotated(np.ascontiguousarray(rows), self.rotation)
        else:
            mapped = rows if matrix is None else rows @ matrix.T
        if self.normalise:
            lengths = np.sqrt(np.einsum("nd,nd->n", mapped, mapped, dtype=np.float64))[:, None]
            mapped = mapped / np.where(lengths > 0, lengths, 1)
        return np.ascontiguousarray(mapped, dtype=np.float32)


class Transform(Choice):
    """The choice of a transform with its parameters, as a configuration names it; `fit` makes the maps."""

    needs_queries: ClassVar[bool] = False

    @property
    def needs_base(self) -> bool:
        """Whether `fit` looks at the vectors themselves, and not at their dimension alone."""
        return True

    def resolved(self) -> Transform:
        """Itself, with what a file that it names says of it."""
        return self

    def located(self, folder: Path) -> Transform:
        """Itself, with the whole path of a file that it names, if any, found from `folder`, and its checksum: what was
        measured with another is not of this.
        """
        return self

    def placeless(self) -> Transform:
        """Itself, without the folder of a file that it names: where that lies says nothing of what is in it."""
        return self

    @abstractmethod
    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        """The maps for `base` (n, dim) and, where the kind looks at them, training `queries` (m, dim).

        Training queries must be disjoint from those that recall is measured on. Raises UsageError when the parameters
        do not fit the vectors.
        """


def checked_dim(dim: int, available: int) -> int:
    """`dim`, if vectors of `available` dimensions can be reduced to it. Raises UsageError."""
    if not 1 <= dim <= available:
        raise UsageError(f"got {dim}", where="dim", remedy=f"give 1 to {available}, the dimensions of the vectors")
    return dim


def narrow(matrix: Wide) -> Matrix:
    """As C-contiguous float32."""
    return np.ascontiguousarray(matrix, dtype=np.float32)
