"""What bridges are fitted on: vectors of the same things under both models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annbench.errors import DatasetError, UsageError

Matrix = NDArray[np.float32]
LEAST_PAIRS = 32


@dataclass(frozen=True)
class Paired:
    """`new` (n, dim_new) and `old` (n, dim_old), rows of unit length; row i of both is one thing.

    Raises UsageError for rows that are no pairs or too few, DatasetError for values that are no numbers.
    """

    new: Matrix
    old: Matrix

    def __post_init__(self) -> None:
        if self.new.ndim != 2 or self.old.ndim != 2 or len(self.new) != len(self.old):
            raise UsageError(
                f"rows of shapes {self.new.shape} and {self.old.shape} are no pairs",
                where="pairs",
                remedy="give as many rows of both models, row i of both being one thing",
            )
        if len(self) < LEAST_PAIRS:
            raise UsageError(
                f"{len(self):,} pairs are too few to fit a bridge on",
                where="pairs",
                remedy=f"give {LEAST_PAIRS} or more; several times the dimension is better",
            )
        for name, rows in (("new", self.new), ("old", self.old)):
            strange = np.flatnonzero(~np.isfinite(rows).all(axis=1))
            if strange.size:
                raise DatasetError(
                    "holds a value that is no number",
                    where=f"pairs, {name} model, row {strange[0]}",
                    remedy="remove the row, or embed it again",
                )

    def __len__(self) -> int:
        return len(self.new)


def check_dim(rows: Matrix, dim: int) -> None:
    """Raises UsageError for rows that are not of `dim` dimensions."""
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise UsageError(
            f"vectors of shape {rows.shape} meet a map of {dim} dimensions",
            where="upgrade",
            remedy=f"give rows of {dim} dimensions, of the model that it was fitted on",
        )
