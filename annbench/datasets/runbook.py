"""Runbooks of big-ann-benchmarks: a sequence of insertions, deletions, replacements and searches over a base.

A file holds one runbook a dataset: `max_pts`, steps numbered from 1, and perhaps the address of their truth. Source:
github.com/harsha-simhadri/big-ann-benchmarks (neurips23/streaming/README.md, benchmark/streaming/load_runbook.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from annbench.errors import DatasetError, UnknownNameError

MAX_FILE_BYTES = 4 << 20
MAX_STEPS = 10_000
MAX_POINTS = 1 << 40
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where it was built

Row = Annotated[int, Field(ge=0, le=MAX_POINTS)]


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    line: int = Field(default=0, exclude=True)  # of the file, for messages; 0 if there is no file

    @property
    def touched(self) -> int:
        """How many vectors it inserts, deletes or replaces."""
        return 0

    @property
    def rows(self) -> int:
        """How many rows the base must have for it."""
        return 0

    def where(self, path: Path | str) -> str:
        """Where it stands, for messages."""
        return f"{path}:{self.line}" if self.line else str(path)


class Insert(_Step):
    """Rows [start, end) of the base enter under their own ids."""

    operation: Literal["insert"] = "insert"
    start: Row
    end: Row

    @property
    def touched(self) -> int:
        return self.end - self.start

    @property
    def rows(self) -> int:
        return self.end


class Delete(_Step):
    """Ids [start, end), which are there, leave."""

    operation: Literal["delete"] = "delete"
    start: Row
    end: Row

    @property
    def touched(self) -> int:
        return self.end - self.start


class Replace(_Step):
    """Ids [tags_start, tags_end), which are there, get the vectors of rows [ids_start, ids_end) of the base."""

    operation: Literal["replace"] = "replace"
    tags_start: Row
    tags_end: Row
    ids_start: Row
    ids_end: Row

    @property
    def touched(self) -> int:
        return self.tags_end - self.tags_start

    @property
    def rows(self) -> int:
        return self.ids_end


class Search(_Step):
    """All queries are searched for."""

    operation: Literal["search"] = "search"


Step = Insert | Delete | Replace | Search
_STEPS: dict[str, type[Step]] = {"insert": Insert, "delete": Delete, "replace": Replace, "search": Search}


class Runbook(BaseModel):
    """What happens to an index over `dataset`, which holds at most `max_points` at a time. `rows` rows of the base are
    needed; `truth_url` is where the project publishes the truth of each search.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    max_points: int
    steps: tuple[Step, ...]
    rows: int
    truth_url: str | None = None

    @property
    def searches(self) -> int:
        """How many of its steps search."""
        return sum(isinstance(step, Search) for step in self.steps)

    @property
    def first_insert(self) -> int:
        """How many vectors are there when the index is made."""
        return self.steps[0].touched

    @property
    def digest(self) -> str:
        """SHA-256 of its steps, hex: two runbooks with the same steps are one, whatever file they are from."""
        steps = [step.model_dump(mode="json") for step in self.steps]
        return hashlib.sha256(json.dumps(steps, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def check_rows(self, n: int, path: str) -> None:
        """Raises DatasetError, naming the first step, if it needs rows that a base of n rows does not have."""
        for number, step in enumerate(self.steps, start=1):
            if step.rows > n:
                raise DatasetError(
                    f"step {number} ({step.operation}) takes rows up to {step.rows:,}, and the dataset has {n:,}",
                    where=step.where(path),
                    remedy="use the dataset that the runbook was written for",
                )


class Intervals:
    """A set of ids as disjoint intervals, sorted."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return sum(end - start for start, end in self.spans)

    def add(self, start: int, end: int) -> None:
        """Take in [start, end)."""
        touching = [span for span in self.spans if span[0] <= end and start <= span[1]]
        apart = [span for span in self.spans if not (span[0] <= end and start <= span[1])]
        merged = (
            (min(start, *(s for s, _ in touching)), max(end, *(e for _, e in touching))) if touching else (start, end)
        )
        self.spans = sorted([*apart, merged])

    def remove(self, start: int, end: int) -> None:
        """Take out [start, end)."""
        pieces = [piece for s, e in self.spans for piece in ((s, min(e, start)), (max(s, end), e))]
        self.spans = [(s, e) for s, e in pieces if s < e]

    def overlap(self, start: int, end: int) -> int:
        """How many of [start, end) are in the set."""
        return sum(max(0, min(e, end) - max(s, start)) for s, e in self.spans)


def load_runbook(path: Path, dataset: str) -> Runbook:
    """The runbook for `dataset` in the file, every step checked: ranges, numbering, and what is in the index when.

    Raises DatasetError naming the line, and UnknownNameError if the file is about other datasets.
    """
    names = {_text(name, path): node for name, node in _pairs(_compose(path), path)}
    if dataset not in names:
        raise UnknownNameError("dataset", dataset, names, where=str(path))
    return _runbook(dataset, names[dataset], path)


def runbook_names(path: Path) -> tuple[str, ...]:
    """The datasets that the file has runbooks for. Raises DatasetError."""
    return tuple(_text(name, path) for name, _ in _pairs(_compose(path), path))


def _runbook(dataset: str, node: yaml.Node, path: Path) -> Runbook:
    steps: dict[int, Step] = {}
    max_points: int | None = None
    truth_url: str | None = None
    for key, value in _pairs(node, path):
        word = _scalar(key, path)
        if isinstance(word, int):
            if word in steps:
                raise _error(path, key, f"step {word} appears twice", "number the steps 1, 2, 3 …")
            steps[word] = _step(value, path)
        elif word == "max_pts":
            declared = _scalar(value, path)
            if not isinstance(declared, int) or not 1 <= declared <= MAX_POINTS:
                raise _error(path, value, f"max_pts is {declared!r}", "give how many points there are at most")
            max_points = declared
        elif word == "gt_url":
            truth_url = _text(value, path)
        else:
            raise _error(path, key, f"unknown key {word!r}", "a runbook has max_pts, gt_url and numbered steps")
        if len(steps) > MAX_STEPS:
            raise _error(path, key, f"more than {MAX_STEPS} steps", "split the runbook")
    if max_points is None:
        raise _error(path, node, f"{dataset} has no max_pts", "add it")
    missing = next((number for number in range(1, len(steps) + 1) if number not in steps), None)
    if missing is not None or not steps:
        raise _error(path, node, f"{dataset} has no step {missing or 1}", "number the steps 1, 2, 3 …")
    ordered = tuple(steps[number] for number in range(1, len(steps) + 1))
    rows, _ = check_steps(ordered, max_points, path)
    return Runbook(dataset=dataset, max_points=max_points, steps=ordered, rows=rows, truth_url=truth_url)


def made_runbook(dataset: str, steps: Sequence[Step]) -> Runbook:
    """A runbook of steps that no file holds, checked like one that a file does. Raises DatasetError."""
    rows, most = check_steps(steps, MAX_POINTS, f"runbook for {dataset}")
    return Runbook(dataset=dataset, max_points=most, steps=tuple(steps), rows=rows)


def check_steps(steps: Sequence[Step], max_points: int, path: Path | str) -> tuple[int, int]:
    """What is in the index when; returns how many rows of the base are needed, and how many points there are at most.

    Raises DatasetError naming the step.
    """
    live, rows, most = Intervals(), 0, 0
    for number, step in enumerate(steps, start=1):
        try:
            _apply(step, live)
        except _MistakeError as mistake:
            raise DatasetError(
                f"step {number} ({step.operation}): {mistake.args[0]}", where=step.where(path), remedy=mistake.args[1]
            ) from None
        rows = max(rows, step.rows)
        most = max(most, len(live))
        if most > max_points:
            raise DatasetError(
                f"step {number} ({step.operation}) brings the index to {most:,} points, and max_pts is {max_points:,}",
                where=step.where(path),
                remedy="correct max_pts",
            )
    return rows, most


class _MistakeError(Exception):
    """What is wrong with a step, and what to do about it."""


def _apply(step: Step, live: Intervals) -> None:
    """Bring `live` to what is in the index after the step. Raises _MistakeError."""
    if isinstance(step, Search):
        if not len(live):
            raise _MistakeError("searches an empty index", "insert something before")
        return
    if isinstance(step, Replace):
        start, end = step.tags_start, step.tags_end
        if end - start != step.ids_end - step.ids_start:
            raise _MistakeError(
                f"replaces {end - start:,} points by {step.ids_end - step.ids_start:,}", "give as many ids as tags"
            )
    else:
        start, end = step.start, step.end
    if start >= end:
        raise _MistakeError(f"{step.operation} of {start:,} to {end:,}", "give start < end")
    there = live.overlap(start, end)
    if isinstance(step, Insert):
        if there:
            raise _MistakeError(
                f"inserts {there:,} points that are in the index already", "use replace, or delete them before"
            )
        live.add(start, end)
        return
    if there != end - start:
        raise _MistakeError(
            f"{step.operation}s {end - start - there:,} points that are not in the index", "insert them before"
        )
    if isinstance(step, Delete):
        live.remove(start, end)


def _step(node: yaml.Node, path: Path) -> Step:
    fields: dict[str, Any] = {"line": node.start_mark.line + 1}
    for key, value in _pairs(node, path):
        word = _text(key, path)
        if word in fields:
            raise _error(path, key, f"key {word!r} appears twice", "keep one of them")
        fields[word] = _scalar(value, path)
    operation = fields.get("operation")
    if not isinstance(operation, str) or operation not in _STEPS:
        raise _error(path, node, f"operation {operation!r}", f"use one of {', '.join(_STEPS)}")
    try:
        return _STEPS[operation].model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise _error(path, node, f"{operation}: {name}: {first['msg']}", "correct the step") from error


def _compose(path: Path) -> yaml.Node:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise DatasetError(f"is larger than {MAX_FILE_BYTES:,} bytes", where=str(path), remedy="split the runbook")
        node = yaml.compose(raw.decode("utf-8"), Loader=_LOADER)
    except OSError as error:
        raise DatasetError(f"cannot be opened: {error.strerror}", where=str(path), remedy="check the path") from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not text, or too deeply nested"
        line = mark.line + 1 if mark else 1
        raise DatasetError(f"not YAML: {problem}", where=f"{path}:{line}", remedy="fix the syntax") from error
    if node is None:
        raise DatasetError("is empty", where=str(path), remedy="a runbook has a dataset's name and steps")
    return node


def _pairs(node: yaml.Node, path: Path) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Keys and values. Only what is looked at is expanded, so that aliases cannot multiply."""
    if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
        raise _error(path, node, "is no mapping", "a runbook has a dataset's name, and below it steps")
    yield from node.value


def _text(node: yaml.Node, path: Path) -> str:
    value = _scalar(node, path)
    if not isinstance(value, str):
        raise _error(path, node, f"{value!r} is not a word", "quote it")
    return value


def _scalar(node: yaml.Node, path: Path) -> str | int:
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if isinstance(node, yaml.ScalarNode) and kind == "str":
        return str(node.value)
    if isinstance(node, yaml.ScalarNode) and kind == "int" and len(node.value) < 32:
        try:
            return int(yaml.constructor.SafeConstructor().construct_yaml_int(node))
        except ValueError:
            pass
    raise _error(path, node, f"{kind} is not allowed here", "use words and whole numbers")


def _error(path: Path, node: yaml.Node, message: str, remedy: str) -> DatasetError:
    return DatasetError(message, where=f"{path}:{node.start_mark.line + 1}", remedy=remedy)
