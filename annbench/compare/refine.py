"""Which search points are missing for a comparison at equal recall: those that halve a step that is too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from annbench.compare.equal import Located, changed_parameter, locate, machine_of
from annbench.compare.matching import Point, points_of
from annbench.compare.taken import Series, Setting, taken_of
from annbench.results.schema import OVERHEAD_ALGORITHM, Record

# Two floats this close are not worth a point between them.
SMALLEST_STEP = 1.02


def points_to_add(records: Sequence[Record], targets: Sequence[float]) -> dict[str, list[dict[str, Any]]]:
    """Searches to measure beside points that were: digest of the point's key → search parameters.

    Where the points around a target differ by more than 2× in 1 − recall, and in nothing but one number that recall
    grows with, the number in the (geometric) middle is asked for. Nothing is asked for beyond the grid, between
    neighbouring integers, or where a step is short enough: an empty answer means that no more can be done.
    """
    wanted: dict[str, list[dict[str, Any]]] = {}
    for points in _frontiers(records).values():
        machine = machine_of(points)
        for target in targets:
            for low, search in _missing(points, target, machine):
                for one in low.taken:
                    searches = wanted.setdefault(one.digest, [])
                    if search not in searches:
                        searches.append(search)
    return wanted


def _frontiers(records: Sequence[Record]) -> dict[tuple[Series, Setting], list[Point]]:
    taken = [taken_of(r) for r in records if r.key.algorithm != OVERHEAD_ALGORITHM and r.key.stream is None]
    groups: dict[tuple[Series, Setting], list[Point]] = {}
    for series in dict.fromkeys(one.series for one in taken):
        for point in points_of(one for one in taken if one.series == series):
            groups.setdefault((series, point.first.setting), []).append(point)
    return groups


def _missing(points: Sequence[Point], target: float, machine: str | None) -> list[tuple[Point, dict[str, Any]]]:
    """The points to add for one target, each with one that is measured already and differs in nothing else."""
    found = locate(points, target, machine)
    if not found.place.wide:
        return []
    between = _between(found)
    if between is not None:
        return [between]
    # The two ends are different indexes: refine each one's own step around the target.
    added = []
    for end in found.ends:
        own = locate([p for p in points if p.first.build_text == end.first.build_text], target, machine)
        between = _between(own) if own.place.wide else None
        if between is not None:
            added.append(between)
    return added


def _between(found: Located) -> tuple[Point, dict[str, Any]] | None:
    low, high = (end.first for end in found.ends)
    changed = changed_parameter(low, high)
    if changed is None:
        return None
    name, before, after = changed
    value = middle_of(before, after)
    return None if value is None else (found.ends[0], _with(low.search, name, value))


def middle_of(before: Any, after: Any) -> int | float | None:
    """The geometric middle of two numbers of one kind (the arithmetic one from 0), or None if there is none."""
    kind = type(before)
    if kind is not type(after) or kind not in (int, float) or before == after:
        return None
    low, high = sorted((before, after))
    middle = sqrt(low * high) if low > 0 else (low + high) / 2
    if kind is int:
        whole = min(max(round(middle), low + 1), high - 1)
        return whole if low < whole < high else None
    return middle if low <= 0 or high / low > SMALLEST_STEP else None


def _with(search: Mapping[str, Any], name: str, value: int | float) -> dict[str, Any]:
    return {**search, name: value}
