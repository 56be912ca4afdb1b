"""Two frontiers at one recall: where each side's figure lies, and what has to be measured if it lies nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, isnan, log, nan
from typing import Any

import numpy as np

from annbench.compare.frontier import RECALL_TOLERANCE, AtRecall, at_recall
from annbench.compare.matching import Point
from annbench.compare.result import Figure
from annbench.compare.statistics import median_interval
from annbench.compare.taken import Place, Taken


@dataclass(frozen=True)
class Located:
    """One side at one recall: its place on the frontier, and the points that the place is made of."""

    place: AtRecall
    points: tuple[Point, ...]

    @property
    def ends(self) -> tuple[Point, ...]:
        """No, one or two points: the one below the target and the one above it."""
        return tuple(self.points[i] for i in (self.place.lower, self.place.upper) if i is not None)

    def reaches(self, target: float) -> bool:
        """Whether any point does, with or without a time."""
        return any(point.recall is not None and point.recall >= target - RECALL_TOLERANCE for point in self.points)

    @property
    def configuration(self) -> str:
        """Of the ends, shortest: `M=16 · ef=20 … 40`, or both in full."""
        ends = [end.first for end in self.ends]
        if not ends:
            return ""
        low, high = ends[0], ends[-1]
        changed = changed_parameter(low, high)
        if len(ends) == 1 or changed is None:
            return " … ".join(end.configuration for end in ends)
        name, before, after = changed
        return low.configuration.replace(f"{name}={before}", f"{name}={before}…{after}")

    @cached_property
    def recall(self) -> float | None:
        """The target where interpolated, otherwise the recall of the point."""
        return self.place.target if self.place.kind == "interpolated" else self.ends[-1].recall if self.ends else None

    def by_place(self, figure: Callable[[Taken], float | None]) -> dict[Place, float]:
        """ln of a figure at this recall, for every worker that measured all the ends; the workers' own times, with
        the weights of the frontier of medians.
        """
        ends = self.ends
        if not ends:
            return {}
        weights = [1 - self.place.weight, self.place.weight] if len(ends) == 2 else [1.0]
        found = {}
        for place in ends[0].times:
            values = [figure(end.times[place]) if place in end.times else None for end in ends]
            if all(value is not None and value > 0 for value in values):
                found[place] = sum(w * log(v) for w, v in zip(weights, values, strict=True) if v is not None)
        return found

    def figure(self, name: str, workers: Mapping[Place, float] | None = None, *, inverse: bool = False) -> Figure:
        """The figure `name` of the frontier; `workers` (of `by_place`) give its interval, as `inverse` where 1 ÷ it is
        shown.
        """
        value = self.place.values.get(name, nan)
        low = high = None
        if workers and len(workers) > 1:
            ends = [exp(-x if inverse else x) for x in median_interval(list(workers.values()))]
            low, high = min(ends), max(ends)
        return Figure(
            value=None if isnan(value) else value,
            low=low,
            high=high,
            mark=self.place.mark,
            recall=self.recall,
            configuration=self.configuration,
        )

    @property
    def advice(self) -> str:
        """What to measure where the points around the target are too far apart."""
        low, high = (end.first for end in self.ends)
        changed = changed_parameter(low, high)
        recalls = f"recall {self.ends[0].recall:.4f} and {self.ends[1].recall:.4f}"
        if changed is None:
            return f"add points between {low.configuration} and {high.configuration} ({recalls})"
        name, before, after = changed
        return f"add {name} between {before} and {after} ({recalls})"


def locate(points: Sequence[Point], target: float, machine: str | None) -> Located:
    """Where the frontier of one side passes `target`, by the medians over the workers of one machine.

    Times of a point without any on `machine` are missing: it is on no frontier.
    """
    kept = tuple(_on(point, machine) for point in points)
    recall = [nan if point.recall is None else point.recall for point in kept]
    seconds = [_or_nan(point.median_of("seconds")) for point in kept]
    costs: dict[str, Any] = {
        "p99": [_or_nan(point.median_of("p99_us")) for point in kept],
        "bytes": [_or_nan(point.index_bytes) / point.first.n for point in kept],
        "build_seconds": [_or_nan(point.median_of("build_seconds")) for point in kept],
    }
    return Located(at_recall(recall, 1 / np.asarray(seconds), target, costs), kept)


def machine_of(points: Sequence[Point]) -> str | None:
    """Where most of these points' workers ran."""
    machines = [place.machine_id for point in points for place in point.times]
    return max(sorted(set(machines)), key=machines.count, default=None)


def several_machines(points: Sequence[Point]) -> bool:
    """Whether the points were measured on more than one machine."""
    return len({place.machine_id for point in points for place in point.times}) > 1


def _on(point: Point, machine: str | None) -> Point:
    return Point(tuple(_timed_on(one, machine) for one in point.taken))


def _timed_on(one: Taken, machine: str | None) -> Taken:
    if one.times is None or one.times.place.machine_id == machine:
        return one
    return replace(one, times=None)


def changed_parameter(low: Taken, high: Taken) -> tuple[str, Any, Any] | None:
    """The one search parameter in which two points of one build differ, with both values; None if it is not one."""
    if low.build_text != high.build_text:
        return None
    names = [name for name in low.search if low.search[name] != high.search.get(name)]
    if len(names) != 1 or low.search.keys() != high.search.keys():
        return None
    return names[0], low.search[names[0]], high.search[names[0]]


def _or_nan(value: float | None) -> float:
    return nan if value is None else float(value)
