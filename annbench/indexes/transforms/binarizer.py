"""BEBR's binarizer after training: what maps vectors to codes without torch, and the reference of its native kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
BinarizerMetric = Literal["cosine", "euclidean"]


@dataclass(frozen=True)
class Perceptron:
    """x → linear·x + bias + the layers' result; a layer is (matrix (out, in), bias (out,)), with a ReLU between two."""

    linear: Matrix
    bias: Matrix
    layers: tuple[tuple[Matrix, Matrix], ...] = ()

    def __call__(self, x: Matrix) -> Matrix:
        """Mapped rows (n, out)."""
        mapped: Matrix = x @ self.linear.T + self.bias
        inner = x
        for number, (matrix, bias) in enumerate(self.layers):
            inner = (inner if number == 0 else np.maximum(inner, 0)) @ matrix.T + bias
        return mapped + inner if self.layers else mapped


@dataclass(frozen=True)
class Binarizer:
    """b_0 = sgn(first(f)), b_{t+1} = b_t + 2^−(t+1)·sgn(residual_t(f − reconstruct_t(b_t) of length 1)), sgn(0) = 1.

    f is a vector of length 1 where directions are compared (`mean` None), else `scale`·(x − `mean`).
    """

    first: Perceptron
    residual: tuple[Perceptron, ...]
    reconstruct: tuple[Perceptron, ...]
    mean: Matrix | None = None
    scale: float = 1.0

    @property
    def metric(self) -> BinarizerMetric:
        """What it was trained for."""
        return "cosine" if self.mean is None else "euclidean"

    @property
    def dim_in(self) -> int:
        return int(self.first.linear.shape[1])

    @property
    def dim(self) -> int:
        return int(self.first.linear.shape[0])

    @property
    def steps(self) -> int:
        """u: codes have u + 1 bits a dimension."""
        return len(self.residual)

    def prefix(self, steps: int) -> Binarizer:
        """The same with fewer steps, whose codes are the coarser ones."""
        return replace(self, residual=self.residual[:steps], reconstruct=self.reconstruct[:steps])

    def packed(self) -> tuple[NDArray[np.uint32], Matrix]:
        """As the native library takes it: how many steps and layers there are and how wide, and all values."""
        parts = (self.first, *self.residual, *self.reconstruct)
        shape = [self.dim_in, self.dim, self.steps]
        values: list[Matrix] = [np.array([self.scale], np.float32)]
        for part in parts:
            shape += [len(part.layers), *(len(bias) for _, bias in part.layers[:-1])]
            values += [part.linear, part.bias, *(array for layer in part.layers for array in layer)]
        flat = np.concatenate([np.ravel(array) for array in values])
        return np.array(shape, np.uint32), np.ascontiguousarray(flat, np.float32)

    def seen(self, vectors: Matrix) -> Matrix:
        """What the maps are given of `vectors`."""
        return vectors if self.mean is None else (vectors - self.mean) * np.float32(self.scale)

    def levels(self, vectors: Matrix) -> NDArray[np.int8]:
        """2^u·b_u (n, dim): odd integers within ±(2^(u+1) − 1); of `vectors` (n, dim_in), of length 1 if no mean."""
        vectors = self.seen(vectors)
        levels = _signs(self.first(vectors))
        for step, (residual, reconstruct) in enumerate(zip(self.residual, self.reconstruct, strict=True)):
            made = reconstruct(levels.astype(np.float32) / np.float32(2**step))
            levels = 2 * levels + _signs(residual(vectors - unit_rows(made)))
        return levels


def _signs(x: Matrix) -> NDArray[np.int8]:
    return np.where(x >= 0, np.int8(1), np.int8(-1))


def unit_rows(rows: Matrix) -> Matrix:
    """Rows of length 1; zeros stay."""
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))[:, None]
    scaled: Matrix = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled
