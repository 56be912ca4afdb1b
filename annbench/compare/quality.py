"""Cells that a clock has no part in: status, recall, bytes and counters. They mean the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator

from annbench.compare.gates import BYTES_TOLERANCE, COUNTER_TOLERANCE, RECALL_TOLERANCE, Gates
from annbench.compare.matching import Point, PointPair, SeriesPair
from annbench.compare.result import Cell, Figure, Verdict
from annbench.compare.taken import configuration_text

# A recall is a mean of floats: a fall of exactly the tolerance must not fail for the last bit.
_ROUNDING = 1e-9


def quality_cells(pair: SeriesPair, gates: Gates) -> Iterator[Cell]:
    """Every cell of two series that is compared anywhere, whichever machine it was measured on."""
    for point in pair.points:
        failed = status_cell(pair, point)
        if failed is not None:
            yield failed
            continue
        yield recall_cell(pair, point, gates)
        yield from counter_cells(pair, point, gates)
    for one, other in pair.other_queries:
        yield Cell(
            scope="point", metric="recall", series=pair.name, setting=one.first.setting.title,
            subject=one.first.configuration, base=_recall(one), new=_recall(other), gates=False,
            verdict="not comparable",
            reason=f"{one.first.setting.queries} against {other.first.setting.queries} queries",
        )  # fmt: skip
    yield from bytes_cells(pair, gates)


def status_cell(pair: SeriesPair, point: PointPair) -> Cell | None:
    """A point that failed on one side; None if it was measured on both."""
    base, new = point.base, point.new
    if base.ok and new.ok:
        return None
    if base.ok:
        verdict, reason = "regression", f"new: {new.failure}"
    elif new.ok:
        verdict, reason = "improvement", f"base: {base.failure}"
    else:
        verdict, reason = "not comparable", f"base: {base.failure}; new: {new.failure}"
    return _cell(pair, point, "status", Figure(), Figure(), gates=True, verdict=verdict, reason=reason)


def recall_cell(pair: SeriesPair, point: PointPair, gates: Gates) -> Cell:
    """Recall of the same parameters."""
    base, new = _recall(point.base), _recall(point.new)
    tolerance = RECALL_TOLERANCE if gates.recall is None else gates.recall
    if base.value is None or new.value is None:
        return _cell(
            pair, point, "recall", base, new, gates=False, verdict="not comparable", reason="recall was not measured"
        )
    change = new.value - base.value
    verdict = judged(-change, tolerance)
    reason = "same ids" if point.same_ids else ""
    return _cell(
        pair, point, "recall", base, new,
        gates=gates.recall is not None, verdict=verdict, reason=reason, change=change, tolerance=tolerance,
    )  # fmt: skip


def counter_cells(pair: SeriesPair, point: PointPair, gates: Gates) -> Iterator[Cell]:
    """Costs that the library counts: exact where index, instruction set and threads agree, else within 0.5 %."""
    one, other = point.base.first, point.new.first
    exact = (
        one.index_crc32c is not None
        and one.index_crc32c == other.index_crc32c
        and one.isa == other.isa
        and point.same_threads
    )
    tolerance = gates.counters if gates.counters is not None else 0.0 if exact else COUNTER_TOLERANCE
    for name in sorted(one.counters.keys() & other.counters.keys()):
        before, after = one.counters[name], other.counters[name]
        change = after / before - 1 if before else (0.0 if after == 0 else None)
        verdict: Verdict = "not comparable" if change is None else judged(change, tolerance)
        yield _cell(
            pair, point, "counter",
            Figure(value=before, configuration=one.configuration),
            Figure(value=after, configuration=other.configuration),
            gates=gates.gates_counters, verdict=verdict, change=change, tolerance=tolerance, counter=name,
            reason="was 0" if change is None else "same index and ISA: exact" if tolerance == 0 else "",
        )  # fmt: skip


def bytes_cells(pair: SeriesPair, gates: Gates) -> Iterator[Cell]:
    """Serialized size of the indexes that both sides built, once each."""
    tolerance = BYTES_TOLERANCE if gates.bytes is None else gates.bytes
    seen = set()
    for point in pair.points:
        one, setting = point.base.first, point.base.first.setting
        key = (setting.dataset_sha256, one.build_text)
        before, after = point.base.index_bytes, point.new.index_bytes
        if key in seen or before is None or after is None:
            continue
        seen.add(key)
        subject = configuration_text(one.build, {})
        change = after / before - 1 if before else (0.0 if after == 0 else None)
        yield Cell(
            scope="build", metric="bytes", series=pair.name, setting=setting.dataset, subject=subject,
            base=Figure(value=before, configuration=subject), new=Figure(value=after, configuration=subject),
            change=change, tolerance=tolerance, gates=gates.bytes is not None,
            verdict="not comparable" if change is None else judged(change, tolerance),
            reason="was 0" if change is None else "",
        )  # fmt: skip


def judged(worse_by: float, tolerance: float) -> Verdict:
    """The verdict on an exact figure that got worse by `worse_by`."""
    if worse_by > tolerance + _ROUNDING:
        return "regression"
    return "improvement" if worse_by < -tolerance - _ROUNDING else "pass"


def _recall(point: Point) -> Figure:
    return Figure(value=point.recall, recall=point.recall, configuration=point.first.configuration)


def _cell(
    pair: SeriesPair,
    point: PointPair,
    metric: str,
    base: Figure,
    new: Figure,
    *,
    gates: bool,
    verdict: str,
    reason: str = "",
    change: float | None = None,
    tolerance: float | None = None,
    counter: str | None = None,
) -> Cell:
    return Cell.model_validate(
        {
            "scope": "point", "metric": metric, "counter": counter, "series": pair.name,
            "setting": point.base.first.setting.title, "subject": point.base.first.configuration,
            "base": base, "new": new, "change": change, "tolerance": tolerance,
            "gates": gates, "verdict": verdict, "reason": reason,
        }
    )  # fmt: skip
