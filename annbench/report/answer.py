"""The answer: in every setting and at every recall, which measured point to use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.compare.frontier import RECALL_TARGETS, RECALL_TOLERANCE
from annbench.report.point import Point
from annbench.report.setting import Setting


@dataclass(frozen=True)
class Wish:
    """What a reader may want: the fastest or the smallest index, within a share of the float32 base."""

    name: str
    text: str
    by_size: bool = False
    budget: float | None = None  # at most this ratio of index bytes to the raw float32 base


WISHES = (
    Wish("fastest", "fastest"),
    Wish("smallest", "smallest", by_size=True),
    Wish("fastest_quarter", "fastest within ¼ of float32", budget=0.25),
    Wish("fastest_half", "fastest within ½ of float32", budget=0.5),
)


@dataclass(frozen=True)
class Answer:
    """One wish at one recall target: the measured point that fulfils it, else the closest miss (or None)."""

    target: float
    wish: Wish
    point: Point | None
    miss: Point | None

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "recall_target": self.target,
            "wish": self.wish.name,
            "point": self.point and self.point.as_json(),
            "closest_miss": self.miss and self.miss.as_json(),
        }


def answers(setting: Setting, targets: Sequence[float] = RECALL_TARGETS) -> list[Answer]:
    """Every wish at every target. Only points that were measured: nothing is interpolated here."""
    recall = setting.points["recall_at_k"].to_numpy(dtype=np.float64)
    qps = setting.points["qps_best"].to_numpy(dtype=np.float64)
    ratio = setting.points["float32_ratio"].to_numpy(dtype=np.float64)
    found = []
    for target in targets:
        for wish in WISHES:
            best = _best(wish, target, recall, qps, ratio)
            miss = None if best is not None else _closest_miss(wish, target, recall, ratio)
            found.append(Answer(target, wish, _point(setting, best), _point(setting, miss)))
    return found


def _best(wish: Wish, target: float, recall: NDArray[Any], qps: NDArray[Any], ratio: NDArray[Any]) -> int | None:
    fits = (recall >= target - RECALL_TOLERANCE) & _within(wish, ratio)
    if wish.by_size:
        fits &= ~np.isnan(ratio)
    places = np.flatnonzero(fits)
    if places.size == 0:
        return None
    # Equal sizes are common (one index, several search settings): the faster one is the better answer.
    keys = (-qps[places], ratio[places]) if wish.by_size else (ratio[places], -qps[places])
    return int(places[np.lexsort(keys)[0]])


def _closest_miss(wish: Wish, target: float, recall: NDArray[Any], ratio: NDArray[Any]) -> int | None:
    """Within the budget the highest recall; else the smallest with the recall; else the highest recall."""
    if recall.size == 0:
        return None
    within = np.flatnonzero(_within(wish, ratio))
    if within.size:
        return int(within[np.argmax(recall[within])])
    reached = np.flatnonzero((recall >= target - RECALL_TOLERANCE) & ~np.isnan(ratio))
    return int(reached[np.argmin(ratio[reached])]) if reached.size else int(np.argmax(recall))


def _within(wish: Wish, ratio: NDArray[Any]) -> NDArray[np.bool_]:
    if wish.budget is None:
        return np.ones(ratio.shape, dtype=bool)
    return np.asarray(ratio <= wish.budget, dtype=bool)


def _point(setting: Setting, place: int | None) -> Point | None:
    return None if place is None else Point.of(setting.points.iloc[place].to_dict())
