"""How far a float32 score can be from the float64 distance that it stands for.

A score is larger when nearer: euclidean q·x − ½‖x‖², cosine q·x/(‖q‖‖x‖), inner product q·x. With u = 2⁻²⁴,
γ(m) = m·u/(1 − m·u), Q = ‖q‖ and X the largest ‖x‖ of the rows concerned, float32 arithmetic in any order of
summation, fused or not, gives (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., §3.1):

    inner product  γ(d)·Q·X
    euclidean      γ(d + 2)·Q·X + γ(3)·½X²     rounding ½‖x‖² to float32, and the subtraction
    cosine         γ(d + 4)                    rounding q/‖q‖ and 1/‖x‖ to float32, and the multiplication

Two terms are added that hardly matter: 2⁻¹²⁶ a term for products that underflow or are flushed to zero, and
(d + 32)·2⁻⁵³ for the float64 distance itself. The product is taken to be a conventional one: a BLAS that
computes in less than float32, or by Strassen's scheme, would break the first term.
"""

from __future__ import annotations

from dataclasses import dataclass

from annbench.datasets.info import Metric

FLOAT32_UNIT = 2.0**-24
FLOAT32_SMALLEST_NORMAL = 2.0**-126
FLOAT64_UNIT = 2.0**-53
MAX_COSINE_SCALE = 2.0**100  # beyond it a score says nothing: 1/‖x‖ leaves too little of float32's range
MAX_SQUARED_NORM = 2.0**126  # q·x − ½‖x‖² stays finite in float32, with its rounding
MAX_DIM = 1 << 20  # γ stays below 1/15


@dataclass(frozen=True)
class ErrorBound:
    """|float32 score − what the float64 distance amounts to| ≤ slope·‖q‖ + constant, for each query of a
    block."""

    slope: float
    constant: float


def gamma(terms: int) -> float:
    """Higham's γ for float32: the relative error that `terms` roundings can add up to."""
    return terms * FLOAT32_UNIT / (1.0 - terms * FLOAT32_UNIT)


def score_error(
    metric: Metric, dim: int, *, max_query_norm: float, max_base_norm: float, max_scale: float = 1.0
) -> ErrorBound:
    """The bound for a block of queries and a block of rows.

    `max_scale` is the largest 1/‖x‖ of the rows (cosine only). An infinite constant says that nothing is
    known.
    """
    float64_term = (dim + 32) * FLOAT64_UNIT
    underflow = FLOAT32_SMALLEST_NORMAL * (dim + 2)
    if metric == "cosine":
        if max_scale > MAX_COSINE_SCALE:
            return ErrorBound(0.0, float("inf"))
        lost = underflow * (5.0 + max_base_norm) * max(1.0, max_scale)
        return ErrorBound(0.0, gamma(dim + 4) + 2.0 * float64_term + lost)
    lost = underflow * (4.0 + max_query_norm + max_base_norm)
    if metric == "ip":
        return ErrorBound((gamma(dim) + float64_term) * max_base_norm, lost)
    float64_error = float64_term * (max_query_norm + max_base_norm) ** 2
    return ErrorBound(gamma(dim + 2) * max_base_norm, 0.5 * gamma(3) * max_base_norm**2 + float64_error + lost)
