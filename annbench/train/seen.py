"""Vectors as a binarizer is trained on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.indexes.transforms.binarizer import Binarizer, BinarizerMetric, unit_rows

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """What a binarizer sees of vectors: directions, or what is left after a mean in units of its usual length."""

    mean: Matrix | None
    scale: float = 1.0

    @classmethod
    def of(cls, base: NDArray[Any], metric: BinarizerMetric) -> Seen:
        """For vectors like `base` (n, dim)."""
        if metric == "cosine":
            return cls(None)
        mean = base.mean(axis=0, dtype=np.float64)
        squares = float(np.mean([np.square(rows - mean).sum(axis=1).mean() for rows in np.array_split(base, 64)]))
        return cls(mean.astype(np.float32), 1 / np.sqrt(squares) if squares > 0 else 1.0)

    def __call__(self, rows: NDArray[Any]) -> Matrix:
        """Of rows (n, dim)."""
        floats = rows.astype(np.float32, copy=False)
        return unit_rows(floats) if self.mean is None else (floats - self.mean) * np.float32(self.scale)

    def by(self, binarizer: Binarizer) -> Binarizer:
        """A binarizer that was trained on what is seen, for the vectors themselves."""
        return replace(binarizer, mean=self.mean, scale=self.scale)
