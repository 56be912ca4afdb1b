"""Pareto frontiers, and what a method costs at a given recall.

Two methods are compared at equal recall by interpolating each one's frontier: log cost against −ln(1 −
recall), the scale on which the frontiers of this field are close to straight. Nothing is ever extrapolated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

RECALL_TARGETS = (0.90, 0.95, 0.99)

# −ln(1 − recall) has no value at recall 1, so misses are counted as at least this share: one neighbour in
# 10,000 queries at k = 10. Every interpolation towards recall 1 spans more than WIDE_BRACKET and is marked as
# such.
MISS_FLOOR = 1e-5

# Bracketing points whose misses differ by more than this factor leave the value in between to the curve's
# goodwill.
WIDE_BRACKET = 2.0

# Recall is a mean of floats: 0.9 may arrive as 0.8999999999999999.
RECALL_TOLERANCE = 1e-9

Kind = Literal["measured", "interpolated", "at_least", "not_reached"]


@dataclass(frozen=True)
class AtRecall:
    """A method at one recall target.

    `kind`: `measured` (a point has exactly this recall), `interpolated` (between `lower` and `upper`,
    positions in the arrays given), `at_least` (even the fastest point, `upper`, exceeds the target) or
    `not_reached`. `values` holds each cost at the target; NaN where a bracketing point lacks it. `wide` flags
    a bracket whose points differ by more than a factor of 2 in 1 − recall.
    """

    target: float
    kind: Kind
    values: Mapping[str, float] = field(default_factory=dict)
    lower: int | None = None
    upper: int | None = None
    wide: bool = False
    weight: float = 1.0  # of `upper`; that of `lower` is the rest

    @property
    def mark(self) -> Literal["", "≥", "≈"]:
        """What stands before the figure: `≈` for a wide bracket, `≥` for a recall above the target."""
        return "≥" if self.kind == "at_least" else "≈" if self.wide else ""


def hardness(recall: ArrayLike, floor: float = MISS_FLOOR) -> NDArray[np.float64]:
    """−ln(1 − recall), with 1 − recall no smaller than `floor`; same shape as `recall`."""
    misses = 1.0 - np.asarray(recall, dtype=np.float64)
    return np.asarray(-np.log(np.clip(misses, floor, 1.0)))


def pareto_mask(recall: ArrayLike, cost: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other point beats: recall to be high, `cost` to be low (give −QPS for speed). Both
    (n,).

    Of points equal in both, the first is kept. Points with a NaN in either are never on the front.
    """
    r, c = np.asarray(recall, dtype=np.float64), np.asarray(cost, dtype=np.float64)
    mask = np.zeros(r.shape, dtype=bool)
    valid = np.flatnonzero(~(np.isnan(r) | np.isnan(c)))
    order = valid[np.lexsort((valid, c[valid], -r[valid]))]
    best_before = np.minimum.accumulate(np.concatenate(([np.inf], c[order])))[:-1]
    mask[order[c[order] < best_before]] = True
    return mask


def at_recall(
    recall: ArrayLike, qps: ArrayLike, target: float, costs: Mapping[str, ArrayLike] | None = None
) -> AtRecall:
    """A method's QPS at `target`, from its points' recall and QPS (each (n,)), and its other `costs` there.

    The points are reduced to their QPS–recall frontier first. `values["qps"]` and every entry of `costs`
    (p99, bytes, build seconds: (n,) each) are interpolated between the same two points, so that they describe
    one place of the frontier and not the best of several.
    """
    r, q = np.asarray(recall, dtype=np.float64), np.asarray(qps, dtype=np.float64)
    columns = {"qps": q, **{name: np.asarray(v, dtype=np.float64) for name, v in (costs or {}).items()}}
    front = np.flatnonzero(pareto_mask(r, -q))
    front = front[np.argsort(r[front], kind="stable")]
    reached = front[r[front] >= target - RECALL_TOLERANCE]
    if reached.size == 0:
        return AtRecall(target, "not_reached")
    upper = int(reached[0])
    if abs(r[upper] - target) <= RECALL_TOLERANCE:
        return AtRecall(target, "measured", _values(columns, upper), upper=upper)
    if reached.size == front.size:
        return AtRecall(target, "at_least", _values(columns, upper), upper=upper)
    lower = int(front[front.size - reached.size - 1])
    x_low, x_target, x_high = hardness([r[lower], target, r[upper]])
    weight = float((x_target - x_low) / (x_high - x_low))
    values = {name: _between(float(c[lower]), float(c[upper]), weight) for name, c in columns.items()}
    wide = bool(x_high - x_low > np.log(WIDE_BRACKET) + RECALL_TOLERANCE)
    return AtRecall(target, "interpolated", values, lower, upper, wide, weight)


def _values(columns: Mapping[str, NDArray[np.float64]], point: int) -> dict[str, float]:
    return {name: float(column[point]) for name, column in columns.items()}


def _between(low: float, high: float, weight: float) -> float:
    """Geometric interpolation; linear where a cost of zero (a build that does nothing) has no logarithm."""
    if low > 0 and high > 0:
        return float(np.exp((1 - weight) * np.log(low) + weight * np.log(high)))
    return (1 - weight) * low + weight * high
