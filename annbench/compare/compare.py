"""Compare two sides: what was found, what it takes, and whether that fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from annbench import __version__
from annbench.compare.frontier import RECALL_TARGETS
from annbench.compare.gates import Gates
from annbench.compare.matching import Matched, Point, match
from annbench.compare.quality import quality_cells
from annbench.compare.result import ORDER, Cell, Comparison, SideFacts
from annbench.compare.side import Side, refuse_same
from annbench.compare.times import TAKEN_APART, TOO_FAR_APART, time_cells
from annbench.errors import EXIT_NOTHING_COMPARABLE, EXIT_OK, EXIT_REGRESSION

SHOWN_MISSING = 5


def compare(
    base: Side, new: Side, *, targets: Sequence[float] = RECALL_TARGETS, gates: Gates | None = None
) -> Comparison:
    """Compare `new` with `base`. Cells come worst first. Raises UsageError if a result is on both sides."""
    chosen = gates or Gates()
    refuse_same(base, new)
    matched = match(base, new)
    timed = time_cells(matched.pairs, targets, chosen)
    cells = [cell for pair in matched.pairs for cell in quality_cells(pair, chosen)] + list(timed.cells)
    cells.sort(key=_badness)
    outcome, code = _outcome(cells)
    return Comparison.model_validate(
        {
            "annbench": __version__,
            "base": _facts(base),
            "new": _facts(new),
            "at_recall": tuple(targets),
            "fail_on": chosen.text,
            "outcome": outcome,
            "exit_code": code,
            "tested_cells": timed.tested,
            "cells": cells,
            "notes": tuple(_notes(base, new, matched, cells)),
        }
    )


def _badness(cell: Cell) -> tuple[int, int, float, str]:
    """Worst first: what gates before what does not, and by how much."""
    size = abs(cell.change or 0.0) / (cell.tolerance or 1.0)
    return not cell.gates, ORDER.index(cell.verdict), -size, cell.setting


def _outcome(cells: Sequence[Cell]) -> tuple[str, int]:
    gating = [cell.verdict for cell in cells if cell.gates]
    if "regression" in gating:
        return "regression", EXIT_REGRESSION
    if "pass" in gating or "improvement" in gating:
        return "fine", EXIT_OK
    return "nothing comparable", EXIT_NOTHING_COMPARABLE


def _facts(side: Side) -> SideFacts:
    versions: dict[str, set[str]] = {}
    for taken in side.taken:
        for name, version in taken.versions.items():
            versions.setdefault(name, set()).add(version)
    return SideFacts(
        name=side.name,
        measurements=len(side.taken),
        machines=len({taken.times.place.machine_id for taken in side.taken if taken.times}),
        versions={name: sorted(found) for name, found in sorted(versions.items())},
    )


def _notes(base: Side, new: Side, matched: Matched, cells: Sequence[Cell]) -> Iterator[str]:
    for name, side in (("base", base), ("new", new)):
        yield from (f"{name}: {note}" for note in side.notes)
        if side.is_baseline:
            yield f"{name} is a baseline file: it has no times"
    for name, only in (("base", matched.only_base), ("new", matched.only_new)):
        if only:
            yield f"only in {name}: {', '.join(series.name for series in only)}"
    for pair in matched.pairs:
        if pair.points or pair.base.algorithm == pair.new.algorithm:
            yield from _missing(f"{pair.base.name} only in base", pair.only_base)
            yield from _missing(f"{pair.new.name} only in new", pair.only_new)
        for one, other in pair.other_threads:
            what = "threads" if one.queries == other.queries else "queries"
            yield (
                f"{one.title}: {getattr(one, what)} {what} in base, {getattr(other, what)} in new: "
                f"no comparison at equal recall"
            )
    yield from _data_notes(base, new)
    if any(cell.reason == TAKEN_APART and cell.gates for cell in cells):
        yield (
            "times of results taken apart are never compared: put both sides into one config with "
            "`label:` and `measure: {interleave: true, workers: 28}`"
        )
    wide = sorted({cell.target for cell in cells if cell.target and cell.reason.startswith(TOO_FAR_APART)})
    if wide:
        recalls = ",".join(f"{target:g}" for target in wide)
        yield f"annbench run CONFIG --at-recall {recalls} adds the points that are missing"
    waiting = [cell for cell in cells if cell.verdict == "inconclusive" and cell.gates]
    if waiting:
        yield f"{len(waiting)} cells have no answer: an inconclusive cell is no pass"


def _missing(what: str, points: Sequence[Point]) -> Iterator[str]:
    if points:
        names = list(dict.fromkeys(point.first.configuration for point in points))
        more = f" and {len(names) - SHOWN_MISSING} more" if len(names) > SHOWN_MISSING else ""
        yield f"{what}: {', '.join(names[:SHOWN_MISSING])}{more}"


def _data_notes(base: Side, new: Side) -> Iterator[str]:
    left, right = ({t.setting.dataset: t.setting.dataset_sha256 for t in side.taken} for side in (base, new))
    for name in sorted(left.keys() & right.keys()):
        if left[name] != right[name]:
            yield f"{name} is another file in new ({right[name][:8]}, base {left[name][:8]}): not comparable"
