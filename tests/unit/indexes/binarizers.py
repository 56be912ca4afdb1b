"""Binarizers that nothing taught, and what they make of random vectors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from annbench._native import RecurrentBinarizer
from annbench.indexes.transforms.binarizer import Binarizer, Perceptron, unit_rows

DIM_IN, DIM, HIDDEN, N, Q, K = 24, 40, 17, 600, 30, 10


def perceptron(random: np.random.Generator, dim_in: int, dim_out: int, widths: tuple[int, ...]) -> Perceptron:
    def drawn(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    sizes = (dim_in, *widths, dim_out) if widths else (dim_in,)
    layers = tuple((drawn(b, a), drawn(b)) for a, b in pairwise(sizes))
    return Perceptron(drawn(dim_out, dim_in), drawn(dim_out), layers)


def binarizer(steps: int, widths: tuple[int, ...] = (HIDDEN,), seed: int = 3) -> Binarizer:
    random = np.random.default_rng(seed)
    return Binarizer(
        perceptron(random, DIM_IN, DIM, widths),
        tuple(perceptron(random, DIM_IN, DIM, widths) for _ in range(steps)),
        tuple(perceptron(random, DIM, DIM_IN, widths) for _ in range(steps)),
    )


def vectors(n: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((n, DIM_IN), dtype=np.float32))


X, ASKED = vectors(N, 1), vectors(Q, 2)


def native_levels(made: Binarizer, rows: np.ndarray) -> np.ndarray:
    """Codes as an index has them, in fixed point: beside the reference a sign may differ where it hangs by a hair."""
    seen = rows if made.mean is None else rows - made.mean
    return np.asarray(RecurrentBinarizer(*made.packed()).map(seen), np.float64) * 2**made.steps
