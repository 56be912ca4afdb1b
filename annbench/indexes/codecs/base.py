"""What a codec must say about itself, and what it may learn from a sample."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.indexes.choice import Choice

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Learned:
    """What the native codec must be given: flat `tables`, `table_bits` (dim,); None for what a codec does not need."""

    tables: Matrix | None = None
    table_bits: NDArray[np.uint8] | None = None


class Codec(Choice):
    """The choice of a codec with its parameters."""

    @abstractmethod
    def native(self) -> dict[str, Any]:
        """Arguments of the native index: `codec`, and those of `bits`, `second_bits`, `fit`, `query_bits` and
        `rescale` that matter to it.
        """

    @abstractmethod
    def code_bytes(self, dim: int) -> float:
        """Bytes of one vector of `dim` dimensions, factors included; within a cache line of the truth."""

    def problem(self, dim: int) -> tuple[str, str] | None:
        """Why vectors of `dim` dimensions cannot be coded, and what to do about it; or None."""
        return None

    @property
    def training_rows(self) -> int:
        """How many vectors `rotation` and `learn` look at, at most; 0 if there is nothing to learn."""
        return 0

    @property
    def relative(self) -> bool:
        """Whether codes are of what is left of a vector after its list's centroid is subtracted."""
        return True

    @property
    def only_distances(self) -> bool:
        """Whether codes stand for distances between vectors: not for inner products, nor for the cosine of a zero."""
        return False

    def rotation(self, mapped: Matrix, *, seed: int) -> Matrix | None:
        """An orthogonal (dim, dim) that mapped vectors and queries are to be multiplied with first, learned from a
        sample of mapped vectors (m, dim), m >= 1; None for the identity.
        """
        return None

    def learn(self, mapped: Matrix, *, seed: int) -> Learned:
        """Fit to a sample (m, dim) of what will be coded, m >= 1: mapped and rotated vectors, less their list's
        centroid.
        """
        return Learned()


def lines(code_bytes: float) -> float:
    """Whole cache lines, which rows of codes are filled up to."""
    return 64 * float(np.ceil(code_bytes / 64))
