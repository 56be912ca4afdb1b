"""The recall axis: −log10(1 − recall), so that 0.9, 0.99 and 0.999 stand apart; its ticks say recall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annbench.compare.frontier import MISS_FLOOR

_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999, 0.99999)
_PREFERRED = (0.9, 0.99, 0.999, 0.9999)
_MARGIN = 0.03


@dataclass(frozen=True)
class RecallScale:
    """Where recall lies on the axis. Recall 1 has no place on a log scale: it stands at `floor`."""

    floor: float  # the share of misses at which recall 1 is drawn
    low: float  # axis ends, in axis units
    high: float
    ticks: tuple[float, ...]  # recall values

    @classmethod
    def of(cls, recall: ArrayLike, spacing: float = 0.075) -> RecallScale:
        """A scale for all of `recall`; ticks stand at least `spacing` of the axis apart."""
        r = np.asarray(recall, dtype=np.float64)
        misses = 1.0 - r
        positive = misses[misses > MISS_FLOOR]
        exact = bool((misses <= MISS_FLOOR).any())
        # Half a step beyond the best inexact point: near enough to waste no paper, and visibly beyond it.
        floor = max(MISS_FLOOR, float(positive.min()) / 3) if positive.size else MISS_FLOOR
        floor = min(floor, 1e-3)
        places = -np.log10(np.clip(misses, floor, 1.0))
        low, high = float(places.min(initial=0.0 if r.size == 0 else np.inf)), float(places.max(initial=1.0))
        pad = _MARGIN * max(high - low, 0.3)
        return cls(floor, low - pad, high + pad, _ticks(low - pad, high + pad, floor, exact, spacing))

    def place(self, recall: ArrayLike) -> NDArray[np.float64]:
        """`recall` in axis units; same shape."""
        return np.asarray(-np.log10(np.clip(1.0 - np.asarray(recall, dtype=np.float64), self.floor, 1.0)))

    @property
    def labels(self) -> tuple[str, ...]:
        """The text of every tick."""
        return tuple(f"{tick:g}" for tick in self.ticks)


def _ticks(low: float, high: float, floor: float, exact: bool, spacing: float) -> tuple[float, ...]:
    candidates = [t for t in _TICKS if 1 - t > floor * 1.5 or not exact]
    ranked = sorted(candidates, key=lambda t: (t not in _PREFERRED, -t))
    places: dict[float, float] = {1.0: -np.log10(floor)} if exact else {}
    for tick in ranked:
        place = -np.log10(1 - tick)
        if low <= place <= high and all(abs(place - p) >= spacing * (high - low) for p in places.values()):
            places[tick] = place
    return tuple(sorted(places))
