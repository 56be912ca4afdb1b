"""Where training begins: iterative quantization (ITQ; Gong and Lazebnik, CVPR 2011), and what is left of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from annbench.indexes.transforms.binarizer import Binarizer, Perceptron, unit_rows
from annbench.indexes.transforms.plain import random_rotation

Matrix = NDArray[np.float32]
SAMPLE_ROWS = 20_000
ITQ_ROUNDS = 50
# Standard deviations of a map's outputs within −1 … 1, where the straight-through gradient passes: of what is far from
# turning its sign nothing is learned. With 2, recall falls from where training begins.
PASSING = 0.7
MEAN_SHARES = (1.0, 0.5, 0.0)
NEARLY_CENTRED = 1e-3  # of the squared length of vectors


def itq_rotation(centred: NDArray[np.float64], dim: int, random: np.random.Generator) -> NDArray[np.float64]:
    """(dim, dim_in): the first principal directions of `centred` (n, dim_in), rotated so that their signs lose least.
    With more dimensions than there are, a random frame whose columns are orthonormal.
    """
    dim_in = centred.shape[1]
    if dim > dim_in:
        return random_rotation(dim, random)[:, :dim_in]
    directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :dim].T
    reduced = centred @ directions.T
    rotation = random_rotation(dim, random)
    for _ in range(ITQ_ROUNDS):
        signs = np.where(reduced @ rotation.T >= 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(signs.T @ reduced)
        rotation = left @ right
    turned: NDArray[np.float64] = rotation @ directions
    return turned


def best_start(
    vectors: Matrix, bits: int, steps: Sequence[int], recall: Callable[[Binarizer], float], *, seed: int
) -> Binarizer:
    """What begins with the highest `recall`: `bits` are shared by one of these numbers of `steps`, and all of the mean
    is subtracted, half of it, or nothing. Which is best depends on the vectors.
    """

    def made(steps: int, share: float) -> tuple[float, Binarizer]:
        start = linear_start(vectors, bits // (steps + 1), steps, seed=seed, mean_share=share)
        return recall(start), start

    best = max((made(some, MEAN_SHARES[0]) for some in steps), key=itemgetter(0))
    mean = vectors.mean(axis=0, dtype=np.float64)
    if mean @ mean > NEARLY_CENTRED * float(np.mean(np.square(vectors, dtype=np.float64).sum(axis=1))):
        best = max((best, *(made(best[1].steps, share) for share in MEAN_SHARES[1:])), key=itemgetter(0))
    return best[1]


def linear_start(vectors: Matrix, dim: int, steps: int, *, seed: int, mean_share: float = 1.0) -> Binarizer:
    """For `vectors` (n, dim_in) of about unit length: signs of the rotated vectors less `mean_share` of their mean,
    then signs of what the codes so far leave of them.
    """
    random = np.random.default_rng(seed)
    sample = vectors[random.choice(len(vectors), min(SAMPLE_ROWS, len(vectors)), replace=False)].astype(np.float64)
    mean = mean_share * sample.mean(axis=0)
    rotation = itq_rotation(sample - mean, dim, random)
    first = _scaled(rotation, -rotation @ mean, (sample - mean) @ rotation.T)
    residual, reconstruct = [], []
    codes = np.where(sample @ first.linear.T + first.bias >= 0, 1.0, -1.0)
    for step in range(steps):
        made = codes @ rotation
        share = float(np.sum((sample - mean) * made) / max(np.sum(made * made), 1e-30))  # least squares
        back = Perceptron(_narrow(share * rotation.T), _narrow(mean))
        rest = sample - unit_rows(_narrow(share * made + mean))
        onward = _scaled(rotation, np.zeros(dim), rest @ rotation.T)
        codes = codes + 2.0 ** -(step + 1) * np.where(rest @ onward.linear.T >= 0, 1.0, -1.0)
        residual.append(onward)
        reconstruct.append(back)
    return Binarizer(first, tuple(residual), tuple(reconstruct))


def compatible_start(vectors: Matrix, old_levels: NDArray[np.int8], steps: int, *, seed: int) -> Binarizer:
    """For new `vectors` (n, dim_in) of unit length and an older model's codes `old_levels` (n, dim) of the same things:
    the linear maps that come nearest to the old codes, by least squares, step by step.
    """
    random = np.random.default_rng(seed)
    some = random.choice(len(vectors), min(SAMPLE_ROWS, len(vectors)), replace=False)
    sample, levels = vectors[some].astype(np.float64), steps_of(old_levels[some], steps)
    mean = sample.mean(axis=0)
    first = _fitted(sample - mean, levels[0], mean)
    codes = np.where(sample @ first.linear.T + first.bias >= 0, 1.0, -1.0)
    residual, reconstruct = [], []
    for step in range(steps):
        offset = codes.mean(axis=0)
        matrix = _solved(codes - offset, sample - mean)
        back = Perceptron(_narrow(matrix), _narrow(mean - matrix @ offset))
        rest = sample - unit_rows(_narrow(codes @ matrix.T + back.bias))
        signs = levels[step + 1] - 2 * levels[step]  # those that the old codes went on with
        onward = _fitted(rest, signs, np.zeros(len(mean)))
        codes = codes + 2.0 ** -(step + 1) * np.where(rest @ onward.linear.T + onward.bias >= 0, 1.0, -1.0)
        residual.append(onward)
        reconstruct.append(back)
    return Binarizer(first, tuple(residual), tuple(reconstruct))


def steps_of(levels: NDArray[np.int8], steps: int) -> list[NDArray[np.float64]]:
    """The integer codes (n, dim) after every step, of those after the last: z_t = 2·z_{t−1} ± 1, all odd."""
    found = [levels.astype(np.int64)]
    for _ in range(steps):
        below = (found[0] - 1) // 2
        found.insert(0, np.where(below % 2 != 0, below, below + 1))
    return [made.astype(np.float64) for made in found]


def _fitted(rows: NDArray[np.float64], signs: NDArray[np.float64], mean: NDArray[np.float64]) -> Perceptron:
    """The linear map of `rows` + `mean` to `signs` (n, dim), of outputs where gradients pass."""
    matrix = _solved(rows, signs - signs.mean(axis=0))
    return _scaled(matrix, signs.mean(axis=0) - matrix @ mean, rows @ matrix.T)


def _solved(rows: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """(dim_out, dim_in), with a ridge that keeps it defined."""
    moments = rows.T @ rows
    moments[np.diag_indices(len(moments))] += max(1e-3 * float(np.trace(moments)) / len(moments), 1e-12)
    return np.asarray(np.linalg.solve(moments, rows.T @ targets).T, np.float64)


def _scaled(rotation: NDArray[np.float64], bias: NDArray[np.float64], mapped: NDArray[np.float64]) -> Perceptron:
    by = 1 / max(PASSING * float(mapped.std()), 1e-30)
    return Perceptron(_narrow(by * rotation), _narrow(by * bias))


def _narrow(values: NDArray[np.float64]) -> Matrix:
    return np.ascontiguousarray(values, dtype=np.float32)
