"""Cells of time: what was paired is tested, everything else says why it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite, log, nan
from typing import Literal

from annbench.compare.equal import Located, locate, machine_of
from annbench.compare.frontier import AtRecall
from annbench.compare.gates import BYTES_TOLERANCE, Gates
from annbench.compare.matching import Point, PointPair, SeriesPair, shared_machine
from annbench.compare.quality import judged
from annbench.compare.result import Cell, Evidence, Figure, Metric, Verdict
from annbench.compare.statistics import (
    MAX_PAIRS,
    MIN_PAIRS,
    MIN_SLOWDOWN,
    PILOT_PAIRS,
    Judged,
    detectable_slowdown,
    judge,
    noise_of,
    part_to_test,
)
from annbench.compare.taken import Place, Setting, Taken

Timed = Literal["qps", "p99"]
Logs = Mapping[Place, float]
FigureOf = Callable[[Taken], float | None]
TAKEN_APART = "taken apart"
TOO_FAR_APART = "points too far apart"


@dataclass(frozen=True)
class Open:
    """A cell that waits for the test of its pairs: d = ln(t_new ÷ t_base) in the order in which they were taken."""

    cell: Cell
    differences: tuple[float, ...]
    workers: int  # distinct workers among the pairs, to say how many more it takes
    same_ids: bool


@dataclass(frozen=True)
class TimeCells:
    """Cells of time with their verdicts, and how many tests share the error rate."""

    cells: tuple[Cell, ...]
    tested: int


def time_cells(pairs: Iterable[SeriesPair], targets: Sequence[float], gates: Gates) -> TimeCells:
    """Every cell of time of a comparison; all of them are tested together."""
    found: list[Cell | Open] = []
    for pair in pairs:
        for point in pair.points:
            found += _point_cells(pair, point, gates)
        for setting, (base, new) in pair.frontiers.items():
            found += _frontier_cells(pair, setting, base, new, targets, gates)
    return _settle(found)


def _point_cells(pair: SeriesPair, point: PointPair, gates: Gates) -> Iterator[Cell | Open]:
    """The same parameters on both sides: time is compared only if so was what was found."""
    base, new = point.base, point.new
    if not (base.ok and new.ok) or not (base.times or new.times):
        return
    for metric in _metrics(gates):
        cell = _cell(
            pair, "point", metric, point.base.first.setting, point.base.first.configuration,
            _point_figure(base, metric), _point_figure(new, metric), gates,
        )  # fmt: skip
        reason = _apart(base.times, new.times)
        if not point.same_threads:
            reason = f"{base.first.setting.threads} against {new.first.setting.threads} threads"
        elif not reason and not point.recall_unchanged:
            reason = "recall changed: see equal recall"
        if reason:
            yield _closed(cell, "not comparable", reason)
        else:
            figure = FIGURES[metric]
            yield _opened(cell, _logs(base, figure), _logs(new, figure), point.same_ids)


def _frontier_cells(
    pair: SeriesPair,
    setting: Setting,
    base: Sequence[Point],
    new: Sequence[Point],
    targets: Sequence[float],
    gates: Gates,
) -> Iterator[Cell | Open]:
    """Both frontiers at each target; nothing where one side has no times at all, as a baseline has not."""
    if not all(any(point.times for point in side) for side in (base, new)):
        return
    machine = shared_machine(base, new)
    built_alike = bool(pair.points)
    for target in targets:
        left = locate(base, target, machine or machine_of(base))
        right = locate(new, target, machine or machine_of(new))
        for metric in FIGURES:
            if metric == "qps" or all(isfinite(s.place.values.get(metric, nan)) for s in (left, right)):
                yield _at_target(pair, setting, target, left, right, metric, gates, two_machines=machine is None)
        yield from _costs_at_target(pair, setting, target, left, right, gates, gated=not built_alike)


def _at_target(
    pair: SeriesPair,
    setting: Setting,
    target: float,
    left: Located,
    right: Located,
    metric: Timed,
    gates: Gates,
    *,
    two_machines: bool,
) -> Cell | Open:
    figure = FIGURES[metric]
    mine, theirs = left.by_place(figure), right.by_place(figure)
    cell = _cell(
        pair, "recall", metric, setting, recall_text(target),
        left.figure(metric, mine, inverse=metric == "qps"), right.figure(metric, theirs, inverse=metric == "qps"),
        gates, target=target,
    )  # fmt: skip
    closed = _unreachable(cell, left, right, bool(pair.points))
    if closed is not None:
        return closed
    if metric not in _metrics(gates):
        return cell
    reason = "two machines" if two_machines else _apart(mine, theirs)
    if reason:
        return _closed(cell, "not comparable", reason)
    ids = [frozenset().union(*(end.ids for end in side.ends)) for side in (left, right)]
    return _opened(cell, mine, theirs, ids[0] == ids[1] and left.configuration == right.configuration)


def _unreachable(cell: Cell, left: Located, right: Located, matched: bool) -> Cell | None:
    """The verdict where a side does not reach the target, or passes it in too long a step."""
    for name, side in (("base", left), ("new", right)):
        if side.place.kind == "not_reached" and side.reaches(cell.target or 0.0):
            return _closed(cell, "not comparable", f"no valid time in {name} of a point that reaches it")
    missing = [side.place.kind == "not_reached" for side in (left, right)]
    if all(missing):
        return _closed(cell, "not reached", "by either side").model_copy(update={"gates": False})
    if any(missing):
        below = f"{'new' if missing[1] else 'base'} stays below {cell.subject}"
        if matched:  # recall of the same parameters gates already, with its tolerance
            return _closed(cell, "not reached", below).model_copy(update={"gates": False})
        return _closed(cell, "regression" if missing[1] else "improvement", f"not reached: {below}")
    for name, side in (("base", left), ("new", right)):
        if side.place.wide:
            return _closed(cell, "not comparable", f"{TOO_FAR_APART} in {name}: {side.advice}")
    return None


def _costs_at_target(
    pair: SeriesPair, setting: Setting, target: float, left: Located, right: Located, gates: Gates, *, gated: bool
) -> Iterator[Cell]:
    """Bytes and build seconds at the target: bytes have a verdict where no index is the same on both sides."""
    names: tuple[Metric, ...] = ("bytes", "build_seconds")
    for metric in names:
        one, other = left.figure(metric), right.figure(metric)
        if one.value is None or other.value is None:
            continue
        change = other.value / one.value - 1 if metric == "bytes" and one.value > 0 else None
        exact = metric == "bytes" and gated and change is not None
        narrow = not (left.place.wide or right.place.wide)
        tolerance = BYTES_TOLERANCE if gates.bytes is None else gates.bytes
        yield Cell(
            scope="recall", metric=metric, series=pair.name, setting=setting.title, subject=recall_text(target),
            target=target, base=one, new=other, change=change, tolerance=tolerance if exact else None,
            gates=exact and narrow and gates.bytes is not None,
            verdict=judged(change, tolerance) if exact and narrow and change is not None else "shown",
        )  # fmt: skip


def recall_text(target: float) -> str:
    """`recall 0.90`, with more decimals where there are any."""
    return f"recall {target:.2f}" if round(target, 2) == target else f"recall {target:g}"


def _seconds(one: Taken) -> float | None:
    return None if one.times is None else one.times.seconds


def _p99(one: Taken) -> float | None:
    return None if one.times is None else one.times.p99_us


FIGURES: Mapping[Timed, FigureOf] = {"qps": _seconds, "p99": _p99}


def _metrics(gates: Gates) -> tuple[Timed, ...]:
    """What is tested: throughput always, the tail where it gates, since every test costs the others power."""
    return ("qps",) if gates.p99 is None else ("qps", "p99")


def _logs(point: Point, figure: FigureOf) -> dict[Place, float]:
    values = {place: figure(one) for place, one in point.times.items()}
    return {place: log(value) for place, value in values.items() if value is not None and value > 0}


def _point_figure(point: Point, metric: Timed) -> Figure:
    only = Located(_place_of(point), (point,))
    return only.figure(metric, _logs(point, FIGURES[metric]), inverse=metric == "qps")


def _place_of(point: Point) -> AtRecall:
    seconds, p99 = point.median_of("seconds"), point.median_of("p99_us")
    values = {"qps": 1 / seconds if seconds else nan, "p99": nan if p99 is None else p99}
    return AtRecall(point.recall or 0.0, "measured", values, upper=0)


def _apart(mine: Mapping[Place, object], theirs: Mapping[Place, object]) -> str:
    """Why two sides were not taken together; empty if they were."""
    machines = [{place.machine_id for place in side} for side in (mine, theirs)]
    if all(machines) and not machines[0] & machines[1]:
        return "two machines"
    return "" if mine.keys() & theirs.keys() else TAKEN_APART


def _opened(cell: Cell, mine: Logs, theirs: Logs, same_ids: bool) -> Open:
    shared = sorted(mine.keys() & theirs.keys())
    d = tuple(theirs[place] - mine[place] for place in shared)
    return Open(cell, d, len({place.worker_index for place in shared}), same_ids)


def _closed(cell: Cell, verdict: Verdict, reason: str) -> Cell:
    return cell.model_copy(update={"verdict": verdict, "reason": reason})


def _cell(
    pair: SeriesPair,
    scope: Literal["point", "recall"],
    metric: Timed,
    setting: Setting,
    subject: str,
    base: Figure,
    new: Figure,
    gates: Gates,
    target: float | None = None,
) -> Cell:
    tolerance = getattr(gates, metric)
    return Cell(
        scope=scope, metric=metric, series=pair.name, setting=setting.title, subject=subject, target=target,
        base=base, new=new, tolerance=tolerance, gates=tolerance is not None, verdict="shown",
    )  # fmt: skip


def _settle(found: Sequence[Cell | Open]) -> TimeCells:
    """Test all that are open in one family; the very same pairs, reached by two ways, are one test."""
    cells_open = [one for one in found if isinstance(one, Open)]
    distinct = list(dict.fromkeys(one.differences for one in cells_open))
    m = len(distinct)
    noises = {d: noise_of(d, m) for d in distinct}
    parts = {d: part for d, noise in noises.items() if noise and (part := part_to_test(d, noise)) is not None}
    results = dict(zip(parts, judge(list(parts.values()), m), strict=True)) if parts else {}
    settled = [one if isinstance(one, Cell) else _verdict(one, results.get(one.differences), m) for one in found]
    return TimeCells(tuple(settled), m)


def _verdict(one: Open, result: Judged | None, m: int) -> Cell:
    if result is None:
        return _closed(one.cell, "inconclusive", _why_open(one, m))
    tolerance = max(one.cell.tolerance or 0.0, MIN_SLOWDOWN)
    change = _shown_change(one.cell.metric, result.slowdown)
    verdict: Verdict = "pass"
    reason = f"a slowdown of {_limit(one, result.pairs, m)} would have been found"
    if result.slower and result.slowdown >= tolerance:
        verdict, reason = "regression", _proof(result.slowdown, "longer", result.p_slower, one)
    elif result.slower:
        reason = f"{result.slowdown:.1%} longer is within {tolerance:.1%}"
    elif result.faster:
        verdict, reason = "improvement", _proof(1 / (1 + result.slowdown) - 1, "faster", result.p_faster, one)
    evidence = Evidence(
        pairs=result.pairs, slowdown=result.slowdown, low=result.low, high=result.high, p_slower=result.p_slower,
        p_faster=result.p_faster, outliers=result.outliers, same_ids=one.same_ids,
    )  # fmt: skip
    return one.cell.model_copy(update={"verdict": verdict, "reason": reason, "evidence": evidence, "change": change})


def _proof(size: float, word: str, p: float, one: Open) -> str:
    return f"{size:.1%} {word}, p = {p:.1g}{', same ids' if one.same_ids else ''}"


def _why_open(one: Open, m: int) -> str:
    noise = noise_of(one.differences, m)
    if noise is not None and noise.too_noisy:
        usable = min(MAX_PAIRS, len(one.differences) - PILOT_PAIRS)
        found = detectable_slowdown(noise.sigma, usable, m)
        return "machine too noisy" + ("" if found == inf else f" (detects ≥ {100 * found:.2g} %)")
    needed = PILOT_PAIRS + (MIN_PAIRS if noise is None else noise.pairs_needed)
    a_worker = max(1, len(one.differences) // max(1, one.workers))
    return f"{len(one.differences)} pairs of {needed}; set measure.workers: {ceil(needed / a_worker)} and run again"


def _limit(one: Open, pairs: int, m: int) -> str:
    noise = noise_of(one.differences, m)
    assert noise is not None
    return f"{max(detectable_slowdown(noise.sigma, pairs, m), MIN_SLOWDOWN):.1%}"


def _shown_change(metric: Metric, slowdown: float) -> float:
    """Throughput falls where time grows."""
    return 1 / (1 + slowdown) - 1 if metric == "qps" else slowdown
