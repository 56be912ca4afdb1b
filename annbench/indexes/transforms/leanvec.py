"""LeanVec: reduce so that the inner products of *these queries* with the base survive.

Minimises L(A, B) = Tr[(AᵀB − I) K_X (AᵀB − I)ᵀ K_Q], the mean squared error of ⟨Aq, Bx⟩ against ⟨q, x⟩, where K_Q and
K_X are the second moments of queries and base. Three solvers:

- `frank-wolfe`: block-coordinate over the ball of spectral norm 1 (Tepper et al., LeanVec, 2023);
- `eigensearch`: one orthonormal map, of the best mixture of both moments (same);
- `sphering`: in closed form, the global optimum (Tepper et al., GleanVec, 2024), in a balanced scaling: a diagonal
  factor moved from one map to the other leaves AᵀB as it is, and the one that gives both mapped sides the same second
  moment minimises the noise of a quantizer. With K_Q = K_X it is PCA.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import minimize_scalar

from annbench.errors import UsageError
from annbench.indexes.transforms.base import Maps, Transform, Wide, checked_dim, narrow
from annbench.indexes.transforms.moments import mean_of, principal, sampled, second_moment
from annbench.indexes.transforms.spectral import rotated

QUERY_FLOOR = 1e-4  # of the largest eigenvalue of K_Q: below it, a direction of queries is noise
MOMENT_RIDGE = 1e-6
STEP_EXPONENT = 0.7
LOSS_TOLERANCE = 1e-4
MAX_STEPS = 500

Pair = tuple[Wide, Wide]


class LeanVecOod(Transform):
    """Maps to `dim` dimensions fitted on the base and on training queries; see the module.

    `shrinkage` ρ mixes K_Q with the isotropic moment of the same trace, against the noise of few queries; None takes
    0.1 below 5·dim queries, else 0. Without training queries K_Q is K_X, and all three solvers give PCA's space.
    """

    kind: Literal["leanvec-ood"] = "leanvec-ood"
    dim: int = Field(ge=1)
    solver: Literal["sphering", "frank-wolfe", "eigensearch"] = "sphering"
    center: bool = True
    rotate: bool = False
    shrinkage: float | None = Field(default=None, ge=0, le=1)
    needs_queries: ClassVar[bool] = True

    def fit(self, base: NDArray[Any], queries: NDArray[Any] | None = None, *, seed: int) -> Maps:
        dim_in = base.shape[1]
        checked_dim(self.dim, dim_in)
        if queries is not None and queries.shape[1] != dim_in:
            raise UsageError(
                f"have dim {queries.shape[1]}", where="queries", remedy=f"give queries of dim {dim_in}, as the base"
            )
        sample = sampled(base, seed)
        mean = mean_of(sample) if self.center else None
        moment_x = ridged(second_moment(sample, mean))
        moment_q = moment_x
        if queries is not None and len(queries):
            moment_q = ridged(second_moment(sampled(queries, seed), mean))
            moment_q = shrunk(moment_q, self._rho(len(queries), dim_in))
        query_map, base_map = SOLVERS[self.solver](moment_q, moment_x, self.dim)
        # The same rotation on both sides leaves AᵀB as it is.
        query_map, base_map = (rotated(rows, self.rotate, seed) for rows in (query_map, base_map))
        return Maps(dim_in, self.dim, None if mean is None else narrow(mean), narrow(base_map), narrow(query_map))

    def _rho(self, queries: int, dim: int) -> float:
        if self.shrinkage is not None:
            return self.shrinkage
        return 0.1 if queries < 5 * dim else 0.0


def loss(query_map: Wide, base_map: Wide, moment_q: Wide, moment_x: Wide) -> float:
    """L(A, B): the mean squared error of the reduced inner product."""
    error = query_map.T @ base_map - np.eye(base_map.shape[1])
    return float(np.einsum("ij,ij->", error @ moment_x, moment_q @ error))


def sphering(moment_q: Wide, moment_x: Wide, dim: int) -> Pair:
    """A = S_d^½ U_dᵀ H⁻¹, B = S_d^-½ U_dᵀ H, with H = K_Q^½ and H K_X H = U S² Uᵀ: the balanced form."""
    values, rows = principal(moment_q)
    roots = np.sqrt(np.maximum(values, QUERY_FLOOR * values[0]))
    half, inverse_half = (rows.T * roots) @ rows, (rows.T / roots) @ rows
    squares, directions = principal(half @ moment_x @ half)
    kept = directions[:dim]
    balance = np.sqrt(np.sqrt(squares[:dim]))[:, None]  # S^½, where squares are S²
    safe = np.where(balance > 0, balance, 1)
    return balance * (kept @ inverse_half), (kept @ half) / safe


def eigensearch(moment_q: Wide, moment_x: Wide, dim: int) -> Pair:
    """A = B = the top eigenvectors of (1 − β) K_Q·tr(K_X)/tr(K_Q) + β K_X, for the β of least loss."""
    scaled = moment_q * (np.trace(moment_x) / np.trace(moment_q))

    def directions(beta: float) -> Wide:
        return principal((1 - beta) * scaled + beta * moment_x)[1][:dim]

    def loss_at(beta: float) -> float:
        rows = directions(beta)
        return loss(rows, rows, moment_q, moment_x)

    grid = np.linspace(0, 1, 11)
    losses = [loss_at(beta) for beta in grid]
    best = int(np.argmin(losses))
    # Smooth and nearly unimodal: refined between the grid's neighbours of the best.
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, 10)])
    found = minimize_scalar(loss_at, bounds=bounds, method="bounded", options={"maxiter": 20})
    beta = float(found.x) if found.fun < losses[best] else float(grid[best])
    rows = directions(beta)
    return rows, rows


def frank_wolfe(moment_q: Wide, moment_x: Wide, dim: int) -> Pair:
    """Alternate steps of A and B towards the polar factor of the falling gradient, from the eigensearch solution."""
    query_map, base_map = eigensearch(moment_q, moment_x, dim)
    best = (query_map, base_map)
    best_loss = previous = loss(query_map, base_map, moment_q, moment_x)
    identity = np.eye(len(moment_x))
    for step in range(1, MAX_STEPS + 1):
        size = (step + 1) ** -STEP_EXPONENT
        gradient = 2 * base_map @ moment_x @ (base_map.T @ query_map - identity) @ moment_q
        query_map = (1 - size) * query_map + size * _polar(-gradient)
        gradient = 2 * query_map @ moment_q @ (query_map.T @ base_map - identity) @ moment_x
        base_map = (1 - size) * base_map + size * _polar(-gradient)
        now = loss(query_map, base_map, moment_q, moment_x)
        if now < best_loss:
            best, best_loss = (query_map, base_map), now
        if abs(previous - now) <= LOSS_TOLERANCE * max(previous, np.finfo(np.float64).tiny):
            break
        previous = now
    return best


def ridged(moment: Wide) -> Wide:
    """With a little of the identity, so that no direction is without variance."""
    return moment + np.eye(len(moment)) * max(MOMENT_RIDGE * float(np.trace(moment)) / len(moment), 1e-30)


def shrunk(moment: Wide, rho: float) -> Wide:
    """(1 − ρ) K + ρ·tr(K)/dim·I."""
    return (1 - rho) * moment + rho * float(np.trace(moment)) / len(moment) * np.eye(len(moment))


def _polar(matrix: Wide) -> Wide:
    """U Vᵀ of the singular value decomposition: where a linear function is largest over the spectral ball."""
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray(u @ v)


SOLVERS: dict[str, Callable[[Wide, Wide, int], Pair]] = {
    "sphering": sphering,
    "frank-wolfe": frank_wolfe,
    "eigensearch": eigensearch,
}
