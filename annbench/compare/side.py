"""BASE and NEW of the command line: a folder of results, part of one, or a baseline file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from annbench.compare.baseline import read_baseline
from annbench.compare.taken import Taken, taken_of
from annbench.errors import NothingComparableError, ResultError, UnknownNameError, UsageError
from annbench.results.schema import OVERHEAD_ALGORITHM
from annbench.results.store import ResultStore


@dataclass(frozen=True)
class Side:
    """One side: what was measured, and what had to be passed over."""

    name: str  # as typed
    taken: tuple[Taken, ...]
    notes: tuple[str, ...] = ()
    is_baseline: bool = False


def load_side(text: str, default: Path, *, datasets: Iterable[str] = ()) -> Side:
    """Read `FOLDER`, `FOLDER:SELECTOR`, `:SELECTOR` (in the folder `default`) or a baseline file.

    A selector is a label or an algorithm; * is allowed. Damaged files are passed over with a note. Raises
    UsageError for a path that does not exist, UnknownNameError for a selector or dataset that nothing has,
    NothingComparableError for a folder without results.
    """
    path, selector = _split(text, default)
    notes: list[str] = []
    if path.is_dir():
        damaged: list[ResultError] = []
        records = list(ResultStore(path).records(damaged.append))
        found = [taken_of(record) for record in records if record.key.stream is None]
        notes += [f"passed over: {error}" for error in damaged]
        streams = len(records) - len(found)
        if streams:
            notes.append(f"passed over: {streams} points of task streaming, which annbench report shows side by side")
        if streams and not found:
            raise NothingComparableError(
                f"all {streams} results are of task streaming, which is not compared",
                where=str(path),
                remedy="read them side by side: annbench report " + str(path),
            )
        if not found:
            raise NothingComparableError(
                f"{len(damaged)} damaged results and no other" if damaged else "there are no results in this folder",
                where=str(path),
                remedy="measure some: annbench run CONFIG --results " + str(path),
            )
    else:
        found = read_baseline(path)
        if not found:
            raise NothingComparableError("there are no points in this baseline", where=str(path))
    wanted = set(datasets)
    known = {taken.setting.dataset for taken in found}
    for name in sorted(wanted - known):
        raise UnknownNameError(f"dataset in {path}", name, known, where="--dataset")
    chosen = [taken for taken in found if not wanted or taken.setting.dataset in wanted]
    return Side(text, tuple(_selected(chosen, selector, path)), tuple(notes), not path.is_dir())


def refuse_same(base: Side, new: Side) -> None:
    """Raise UsageError if a measurement is on both sides."""
    mine = {_identity(taken) for taken in base.taken if taken.times}
    shared = sum(_identity(taken) in mine for taken in new.taken if taken.times)
    if shared:
        labels = sorted({t.series.label or t.series.algorithm for t in (*base.taken, *new.taken)})
        raise UsageError(
            f"{shared} results are on both sides",
            where=f"{base.name} {new.name}",
            remedy=f"name what differs, as in FOLDER:{labels[0]}; there are {', '.join(labels)}",
        )


def _identity(taken: Taken) -> tuple[str, str]:
    assert taken.times is not None
    return taken.digest, taken.times.place.block_id


def _split(text: str, default: Path) -> tuple[Path, str | None]:
    whole = Path(text)
    if text and whole.exists():
        return whole, None
    # A selector may have colons of its own, a path rarely: the shortest that exists is meant.
    for i, letter in enumerate(text):
        if letter == ":":
            path = Path(text[:i]) if i else default
            if path.exists() and text[i + 1 :]:
                return path, text[i + 1 :]
    raise UsageError(
        "no such folder of results or baseline file",
        where=text or '""',
        remedy="write FOLDER, FOLDER:LABEL, FOLDER:ALGORITHM, or the path of a baseline",
    )


def _selected(taken: list[Taken], selector: str | None, path: Path) -> list[Taken]:
    measured = [one for one in taken if one.series.algorithm != OVERHEAD_ALGORITHM]
    if selector is None:
        return measured
    labels = {one.series.label for one in taken if one.series.label}
    kept = [one for one in taken if one.series.label and fnmatchcase(one.series.label, selector)]
    kept = kept or [one for one in taken if fnmatchcase(one.series.algorithm, selector)]
    if not kept:
        known = labels | {one.series.algorithm for one in taken}
        raise UnknownNameError(f"label or algorithm in {path}", selector, known, where=f"{path}:{selector}")
    return kept
