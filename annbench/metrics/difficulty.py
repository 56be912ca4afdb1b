"""How difficult a set is, from distances and vectors alone: local intrinsic dimensionality, relative contrast, and
how far queries are from the distribution of the base.

Everything here is arithmetic on arrays; where they come from is the business of `annbench.doctor`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Verdict = Literal["in distribution", "shifted", "out of distribution", "too few to tell"]

# An estimate from fewer neighbours scatters more than it tells: its standard error is LID / √k.
MIN_NEIGHBORS = 5
# Share of the identity that is mixed into a covariance, so that directions without variance do not decide.
SHRINKAGE = 0.01
# Distances from ½ of the probability that a query lies farther out than a row of the base. For two normal
# distributions of one width, 0.60 and 0.75 are means 0.36 and 0.95 standard deviations apart: a small and a large
# effect (Cohen 1988). Real sets whose queries were drawn like their base stay within 0.05 of ½ (fashion-mnist, glove,
# wordnet-minilm; benchmarks/doctor.py prints them), and questions against dictionary entries reach 0.3 and more.
SHIFTED, OUTSIDE = 0.10, 0.25
# Below that many standard errors, a difference is the luck of the sample.
STANDARD_ERRORS = 4.0
MIN_COMPARED = 20


@dataclass(frozen=True)
class Lid:
    """Local intrinsic dimensionality at m points: `plain` and `unbiased` (m,), and the neighbours `used` (m,).

    NaN at points with fewer than MIN_NEIGHBORS usable neighbours, inf where they are all equally far.
    """

    plain: Floats
    unbiased: Floats
    used: NDArray[np.int64]


def lid_mle(distances: Any, k: int) -> Lid:
    """Maximum-likelihood LID from each point's distances (m, K) to its neighbours, ascending, without the point itself.

    Of each row the first k that are positive and finite count: zeros (copies of the point) are passed over. With
    r_1 ≤ … ≤ r_k, plain is −[(1/k) Σ_{i≤k} ln(r_i / r_k)]⁻¹ and unbiased divides the sum by k − 2 instead. The
    distances must be lengths: squaring them halves the result, any constant factor leaves it as it is.

    Source: Levina and Bickel, NIPS 2004; Amsaleg et al., KDD 2015.
    """
    table = np.atleast_2d(np.asarray(distances, dtype=np.float64))
    zeros = (table <= 0).sum(axis=1)
    used = np.minimum(np.isfinite(table).sum(axis=1) - zeros, k)
    at = zeros[:, None] + np.arange(min(k, table.shape[1]))
    radii = np.take_along_axis(table, np.minimum(at, table.shape[1] - 1), axis=1)
    counted = np.arange(radii.shape[1]) < used[:, None]
    last = np.take_along_axis(radii, np.maximum(used - 1, 0)[:, None], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(counted, np.log(radii / last), 0.0).sum(axis=1)
        plain, unbiased = used / -logs, (used - 2) / -logs
    too_few = used < MIN_NEIGHBORS
    return Lid(np.where(too_few, np.nan, plain), np.where(too_few, np.nan, unbiased), used.astype(np.int64))


def harmonic_mean(values: Any) -> float:
    """Harmonic mean of the positive values that are not NaN: the maximum-likelihood pooling of LIDs (MacKay and
    Ghahramani 2005). NaN if there are none, inf if all are.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not known.size:
        return math.nan
    mean = float(np.mean(1 / known))
    return 1 / mean if mean > 0 else math.inf


def arithmetic_mean(values: Any) -> float:
    """Mean of the finite values; NaN if there are none."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else math.nan


def relative_contrast(mean_distance: float, near_distances: Any) -> float:
    """Mean distance to the base ÷ mean distance to a near neighbour (He, Kumar and Chang, ICML 2012): 1 says that
    near and far are alike. NaN without a positive distance.
    """
    near = arithmetic_mean(near_distances)
    return mean_distance / near if near > 0 else math.nan


@dataclass(frozen=True)
class Cloud:
    """Mean and covariance of a set of vectors: mean (dim,), eigenvalues (dim,) descending, eigenvectors (dim, dim) as
    columns.
    """

    mean: Floats
    eigenvalues: Floats
    eigenvectors: Floats

    @classmethod
    def of(cls, mean: Floats, covariance: Floats) -> Cloud:
        """From moments; eigenvalues that rounding made negative become 0."""
        values, vectors = np.linalg.eigh(covariance)
        return cls(mean, np.maximum(values[::-1], 0), np.ascontiguousarray(vectors[:, ::-1]))

    def dims_for(self, share: float) -> int:
        """How many principal directions hold this share of the variance; 0 if there is none."""
        total = self.eigenvalues.sum()
        if total <= 0:
            return 0
        # The last sum may fall short of 1 by rounding.
        return min(int(np.searchsorted(np.cumsum(self.eigenvalues), share * total)) + 1, len(self.eigenvalues))

    def whitened(self, vectors: Any) -> Floats:
        """Vectors (m, dim) in coordinates of about unit variance: along the principal axes, divided by the square
        root of (1 − s)·eigenvalue + s·mean eigenvalue, with s = SHRINKAGE.
        """
        floor = float(self.eigenvalues.mean())
        scale = np.sqrt((1 - SHRINKAGE) * self.eigenvalues + SHRINKAGE * floor) if floor > 0 else 1.0
        return np.asarray((np.asarray(vectors, np.float64) - self.mean) @ self.eigenvectors / scale)


def mahalanobis(whitened: Floats) -> Floats:
    """Distances (m,) from the mean, of whitened vectors (m, dim)."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", whitened, whitened)))


def exceedance(of: Any, over: Any) -> float:
    """Probability that a value of `of` is greater than one of `over`, ties counted half: ½ if the two are alike
    (Mann and Whitney's U, the area under the ROC curve). NaN if one is empty.
    """
    values, others = np.asarray(of, np.float64), np.sort(np.asarray(over, np.float64))
    if not values.size or not others.size:
        return math.nan
    below = np.searchsorted(others, values, side="left") + np.searchsorted(others, values, side="right")
    return float(below.mean() / (2 * len(others)))


def exceedance_error(of: int, over: int) -> float:
    """Standard error of `exceedance` between samples of these sizes from one distribution."""
    return math.sqrt((of + over + 1) / (12 * of * over))


def separability(queries: Floats, base: Floats, rng: np.random.Generator) -> float:
    """Exceedance along the line through the means of whitened queries (m, dim) and base rows: ½ if no direction tells
    them apart, 1 if one does so perfectly.

    The line of one random half is judged on the other half, so that noise does not look like a difference. NaN with
    fewer than 4 vectors on a side.
    """
    if min(len(queries), len(base)) < 4:
        return math.nan
    halves = [np.array_split(rng.permutation(len(rows)), 2) for rows in (queries, base)]
    found = []
    for fitted, judged in ((0, 1), (1, 0)):
        line = queries[halves[0][fitted]].mean(axis=0) - base[halves[1][fitted]].mean(axis=0)
        found.append(exceedance(queries[halves[0][judged]] @ line, base[halves[1][judged]] @ line))
    return float(np.mean(found))


def shift_verdict(exceedances: list[float], queries: int, base: int) -> Verdict:
    """What the largest distance of the exceedances from ½ says, for samples of these sizes; NaN is passed over."""
    known = [abs(value - 0.5) for value in exceedances if not math.isnan(value)]
    if not known or min(queries, base) < MIN_COMPARED:
        return "too few to tell"
    # Of half the sample: `separability` judges on halves.
    noise = STANDARD_ERRORS * exceedance_error(max(1, queries // 2), max(1, base // 2))
    largest = max(known)
    if largest < max(SHIFTED, noise):
        return "in distribution"
    return "out of distribution" if largest >= max(OUTSIDE, noise) else "shifted"
