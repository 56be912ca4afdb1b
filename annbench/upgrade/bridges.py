"""Maps of a new model's queries into an old model's space, each fitted in closed form on paired vectors.

The old gallery and its codes stay as they are. All maps are q → q·matrixᵀ + bias, scaled to unit length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annbench.indexes.transforms.binarizer import unit_rows
from annbench.upgrade.pairs import Matrix, Paired, check_dim

Wide = NDArray[np.float64]
FOLDS = 5
RIDGES = tuple(10.0**power for power in range(-5, 3))  # of the mean eigenvalue of the new vectors' second moments


@dataclass(frozen=True)
class Bridge:
    """`matrix` (dim_old, dim_new) and `bias` (dim_old,); `about` says what was chosen in fitting it."""

    matrix: Matrix
    bias: Matrix
    about: str = ""

    def __call__(self, queries: Matrix) -> Matrix:
        """New queries (q, dim_new) in the old space (q, dim_old), of unit length. Raises UsageError."""
        check_dim(queries, self.matrix.shape[1])
        return unit_rows((queries @ self.matrix.T + self.bias).astype(np.float32))


Fit = Callable[[Paired], Bridge]


def least_squares(pairs: Paired) -> Bridge:
    """The linear map that leaves least: min ‖X·Wᵀ − Y‖². With fewer pairs than dimensions, the shortest such map."""
    solved = np.linalg.lstsq(_wide(pairs.new), _wide(pairs.old), rcond=None)[0]
    return _bridge(solved.T.astype(np.float64))


def procrustes(pairs: Paired) -> Bridge:
    """The rotation, or reflection, that leaves least: W = U·Vᵀ of the singular value decomposition of Yᵀ·X. Schönemann,
    Psychometrika 1966.

    Where dimensions differ, the smaller space is padded with zeros: of a larger new one that keeps the directions that
    fit best, and a larger old one is reached in a subspace.
    """
    left, _, right = np.linalg.svd(_wide(pairs.old).T @ _wide(pairs.new), full_matrices=False)
    turned: Wide = left @ right
    return _bridge(turned)


def ridge(pairs: Paired) -> Bridge:
    """The affine map that leaves least with λ‖W‖² added, around the means; λ by cross-validation in five folds, by the
    cosine of what is mapped to what it stands for. Hoerl and Kennard, Technometrics 1970.
    """
    new, old = _wide(pairs.new), _wide(pairs.old)
    fold = np.random.default_rng(0).permutation(len(new)) % FOLDS
    scores = np.zeros(len(RIDGES))
    for number in range(FOLDS):
        kept = fold != number
        for place, made in enumerate(_ridges(new[kept], old[kept])):
            mapped = new[~kept] @ made[0].T + made[1]
            lengths = np.linalg.norm(mapped, axis=1) * np.linalg.norm(old[~kept], axis=1)
            scores[place] += np.sum(np.einsum("nd,nd->n", mapped, old[~kept]) / np.maximum(lengths, 1e-30))
    best = int(np.argmax(scores))
    matrix, bias = _ridges(new, old)[best]
    return _bridge(matrix, bias, f"λ = {RIDGES[best]:g} of the mean eigenvalue")


BRIDGES: dict[str, Fit] = {"least-squares": least_squares, "procrustes": procrustes, "ridge": ridge}


def _ridges(new: Wide, old: Wide) -> list[tuple[Wide, Wide]]:
    """Matrix and bias for each of RIDGES, from one eigendecomposition."""
    mean_new, mean_old = new.mean(axis=0), old.mean(axis=0)
    centred = new - mean_new
    values, vectors = np.linalg.eigh(centred.T @ centred)
    turned = vectors.T @ (centred.T @ (old - mean_old))
    made = []
    for share in RIDGES:
        weights = np.maximum(values, 0) + max(share * float(values.mean()), 1e-12)
        matrix = (vectors @ (turned / weights[:, None])).T
        made.append((matrix, mean_old - matrix @ mean_new))
    return made


def _bridge(matrix: Wide, bias: Wide | None = None, about: str = "") -> Bridge:
    zero = np.zeros(len(matrix)) if bias is None else bias
    return Bridge(np.ascontiguousarray(matrix, np.float32), np.ascontiguousarray(zero, np.float32), about)


def _wide(rows: Matrix) -> Wide:
    return rows.astype(np.float64)
