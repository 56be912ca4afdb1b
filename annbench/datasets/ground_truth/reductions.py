"""What a search over reduced vectors proves about the original distances.

SNR and Poincaré distances rank, for one query, exactly as another distance over other vectors does
(`annbench.distances`). Those vectors are rounded to float32, so that the order found over them is the true one only up
to an error. A `Reduction` says which queries to ask so that the error is one-sided, and turns the last distance of a
shortlist into a bound: every row that is not in the shortlist has a float64 distance of at least that.

Throughout u = 2⁻²⁴ and v = 2⁻⁵³ are the roundings of float32 and float64, D the dimensions, X the largest norm of the
base; factors above 1 absorb terms of second order.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.ground_truth.bounds import FLOAT32_UNIT, FLOAT64_UNIT
from annbench.distances import Metric
from annbench.distances.registry import distance_of

Floats = NDArray[np.float64]

_SECOND_ORDER = 1.01
_SMALLEST = 2.0**-149  # float32: what a number is off by when it underflows


class Reduction(Protocol):
    """One metric's reduction, for a base whose largest norm is `max_norm`."""

    def __init__(self, max_norm: float) -> None: ...

    def queries(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """What to ask the search over `Distance.reduced_base`."""

    def beyond(self, queries: NDArray[np.float32], last: Floats) -> Floats:
        """Bounds (q,): rows outside a shortlist whose last reduced distance is `last` (q,) are at least that far."""


class SnrReduction:
    """Centred vectors ĉ = fl(x − mean x) and L2.

    ‖ĉ_x − c_x‖ ≤ u‖c_x‖ + 2(D + 4)v·X + √D·2⁻¹⁴⁹, and likewise for the query with Q = ‖q‖. Since ‖c_x‖ ≤ ‖c_q‖ +
    ‖c_q − c_x‖, a row with ‖ĉ_q − ĉ_x‖ ≥ r has

        (1 + u)·‖c_q − c_x‖ ≥ r − 2u‖c_q‖ − 2(D + 4)v·(Q + X) − 2√D·2⁻¹⁴⁹,

    whatever its own length; and the float64 variance of q − x is off by the same (D + 4)v·(Q + X) before it is squared,
    and by a factor 1 ± (D + 8)v after.
    """

    def __init__(self, max_norm: float) -> None:
        self.max_norm = max_norm

    def queries(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        centred: NDArray[np.float32] = distance_of("snr").reduced_queries(queries)
        return centred

    def beyond(self, queries: NDArray[np.float32], last: Floats) -> Floats:
        wide = queries.astype(np.float64)
        dim = wide.shape[1]
        variance = wide.var(axis=1)
        lengths = np.sqrt((wide**2).sum(axis=1)) + self.max_norm
        float64_error = (dim + 4) * FLOAT64_UNIT * lengths * _SECOND_ORDER
        signal = np.sqrt(dim * variance) + float64_error
        least = last * (1 - (dim + 32) * FLOAT64_UNIT) - 2 * _SECOND_ORDER * FLOAT32_UNIT * signal
        least = (least - 2 * float64_error - 2 * np.sqrt(dim) * _SMALLEST) / (1 + _SECOND_ORDER * FLOAT32_UNIT)
        least = np.maximum(least - float64_error, 0)
        return np.asarray(least**2 / (dim * variance) * (1 - (2 * dim + 32) * FLOAT64_UNIT))


class PoincareReduction:
    """Features (w·v, w·‖v‖², w) and inner product, w = 1/(1 − ‖v‖²) as float64 gives it for the definition too.

    Near the boundary w is huge, and so is the error of a feature; but it is always a small multiple of w itself: the
    float64 product of the rounded features with (2q, −1, −‖q‖²) is −w‖q − v‖² up to κ·w with

        κ = (u + (4D + 128)v)·(X + ‖q‖)² + D·2⁻¹⁴⁷.

    So κ is taken off ‖q‖² in the query, rounding upwards: then the score is never below −w‖q − v‖², each row is ranked
    by a lower bound of its own distance, and a row outside the shortlist has w‖q − v‖² ≥ the last one's.
    """

    def __init__(self, max_norm: float) -> None:
        self.max_norm = max_norm

    def queries(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        wide = queries.astype(np.float64)
        squares = (wide**2).sum(axis=1, keepdims=True)
        dim = wide.shape[1]
        error = _SECOND_ORDER * FLOAT32_UNIT + (4 * dim + 128) * FLOAT64_UNIT
        margin = error * (self.max_norm + np.sqrt(squares)) ** 2 + dim * 2.0**-147
        weight = np.nextafter((margin - squares).astype(np.float32), np.float32(np.inf))
        return np.concatenate([2 * queries, -np.ones_like(weight), weight], axis=1)

    def beyond(self, queries: NDArray[np.float32], last: Floats) -> Floats:
        wide = queries.astype(np.float64)
        dim = wide.shape[1]
        excess = 2 * np.maximum(last, 0) / (1 - (wide**2).sum(axis=1)) * (1 - (2 * dim + 32) * FLOAT64_UNIT)
        return np.asarray(np.log1p(excess + np.sqrt(excess * (excess + 2))) * (1 - 32 * FLOAT64_UNIT))


REDUCTIONS: dict[Metric, type[Reduction]] = {"snr": SnrReduction, "poincare": PoincareReduction}


class ReducedRows:
    """Base rows as the search over them wants them, reduced as they are read."""

    def __init__(self, source: Any, metric: Metric) -> None:
        self._source, self._distance = source, distance_of(metric)
        self.shape: tuple[int, ...] = (source.shape[0], self._distance.reduced_dim(source.shape[1]))
        self.dtype: Any = np.dtype(np.float32)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        start, stop, _ = rows.indices(self.shape[0])
        reduced = np.empty((max(0, stop - start), self.shape[1]), np.float32)
        step = max(1, _PIECE_BYTES // (8 * self.shape[1]))
        for first in range(start, stop, step):
            last = min(first + step, stop)
            vectors = np.asarray(self._source[first:last], dtype=np.float32)
            reduced[first - start : last - start] = self._distance.reduced_base(vectors)
        return reduced


_PIECE_BYTES = 1 << 20  # of float64 at once
