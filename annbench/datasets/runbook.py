"""Runbooks of big-ann-benchmarks: a sequence of insertions, deletions, replacements and searches over a base.

A file holds one runbook a dataset: `max_pts`, steps numbered from 1, and perhaps the address of their truth. Source:
github.com/harsha-simhadri/big-ann-benchmarks (neurips23/streaming/README.md, benchmark/streaming/load_runbook.py).
"""

from __future__ import annotations

from collections.abc import Iterator
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

    line: int = Field(exclude=True)  # of the file, for messages


class Insert(_Step):
    """Rows [start, end) of the base enter under their own ids."""

    operation: Literal["insert"]
    start: Row
    end: Row


class Delete(_Step):
    """Ids [start, end) leave; those that are not there are passed over."""

    operation: Literal["delete"]
    start: Row
    end: Row


class Replace(_Step):
    """Ids [tags_start, tags_end), which are there, get the vectors of rows [ids_start, ids_end) of the base."""

    operation: Literal["replace"]
    tags_start: Row
    tags_end: Row
    ids_start: Row
    ids_end: Row


class Search(_Step):
    """All queries are searched for."""

    operation: Literal["search"]


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
    rows = _check_steps(ordered, max_points, path)
    return Runbook(dataset=dataset, max_points=max_points, steps=ordered, rows=rows, truth_url=truth_url)


def _check_steps(steps: tuple[Step, ...], max_points: int, path: Path) -> int:
    """What is in the index when; returns how many rows of the base are needed."""
    live, rows = Intervals(), 0
    for step in steps:
        where = f"{path}:{step.line}"
        if isinstance(step, Search):
            if not len(live):
                raise DatasetError("searches an empty index", where=where, remedy="insert something before")
            continue
        if isinstance(step, Replace):
            start, end, source = step.tags_start, step.tags_end, step.ids_end
            if end - start != step.ids_end - step.ids_start:
                raise DatasetError(
                    f"replaces {end - start:,} points by {step.ids_end - step.ids_start:,}",
                    where=where,
                    remedy="give as many ids as tags",
                )
            if live.overlap(start, end) != end - start:
                raise DatasetError(
                    "replaces points that are not in the index", where=where, remedy="insert them before"
                )
        else:
            start, end, source = step.start, step.end, step.end
        if start >= end:
            raise DatasetError(f"{step.operation} of {start:,} to {end:,}", where=where, remedy="give start < end")
        if isinstance(step, Delete):
            live.remove(start, end)
            continue
        if isinstance(step, Insert):
            if live.overlap(start, end):
                raise DatasetError(
                    "inserts points that are in the index already", where=where, remedy="use replace, or delete before"
                )
            live.add(start, end)
        rows = max(rows, source)
        if len(live) > max_points:
            raise DatasetError(
                f"brings the index to {len(live):,} points, and max_pts is {max_points:,}",
                where=where,
                remedy="correct max_pts",
            )
    return rows


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
