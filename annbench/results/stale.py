"""Which stored points are stale: something they depend on has changed since, or they were measured again."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from annbench.errors import DatasetError
from annbench.results.present import Present
from annbench.results.schema import SCHEMA_VERSION, PointKey, Record, canonical_json

Cause = Literal["superseded", "dataset", "library", "source", "schema", "machine", "isa"]

# Nothing is wrong with these points; they are only not of this machine as it runs now.
ELSEWHERE: frozenset[Cause] = frozenset({"machine", "isa"})


@dataclass(frozen=True)
class Reason:
    """One reason why a point is stale, in words."""

    cause: Cause
    text: str

    def as_json(self) -> dict[str, str]:
        """For `--json`."""
        return {"cause": self.cause, "text": self.text}


Reasons = tuple[Reason, ...]


def stale_reasons(records: Sequence[Record], present: Present) -> list[Reasons]:
    """For each record, why it is stale; empty for one that is as good as new.

    What a library's version is in another interpreter (`python:`) is not asked: a file names that interpreter, and
    nothing is started because a file says so.
    """
    newest = _newest(records)
    return [tuple(_reasons(record, newest[_question(record)], present)) for record in records]


def algorithm_file(record: Record) -> Path | None:
    """The file of an algorithm that is `path/file.py:Class`, if the record names it so that it can be found."""
    if record.key.source_sha256 is None:
        return None
    path = Path(_spec(record).rpartition(":")[0])
    return path if path.is_absolute() else None


def _reasons(record: Record, newest: Record, present: Present) -> Iterator[Reason]:
    key = record.key
    if newest.started_at > record.started_at:
        yield Reason("superseded", f"measured again on {newest.started_at[:10]}{_difference(key, newest.key)}")
    if key.schema_version != SCHEMA_VERSION:
        yield Reason("schema", f"written in schema {key.schema_version}, now {SCHEMA_VERSION}")
    if key.machine_id != present.machine_id:
        # What is installed here says nothing about a point from there.
        yield Reason("machine", f"measured on another machine ({key.machine_id}, {_cpu_model(record)})")
        return
    try:
        present.data.same_as(record.dataset, record.started_at)
    except DatasetError as error:
        yield Reason("dataset", f"{error.message}: {error.where}")
    if key.python is None:
        yield from _library_reasons(key, present)
    yield from _source_reasons(record, present)
    if key.isa != present.isa:
        yield Reason("isa", f"measured with {key.isa}, now {present.isa}")


def _library_reasons(key: PointKey, present: Present) -> Iterator[Reason]:
    for name, then in key.library_versions.items():
        now = present.version(name)
        if now is None:
            yield Reason("library", f"measured with {name} {then}, which is not installed now")
        elif now != then:
            yield Reason("library", f"measured with {name} {then}, now {now}")


def _source_reasons(record: Record, present: Present) -> Iterator[Reason]:
    key = record.key
    if key.source_sha256 is None:
        if key.python is None and key.algorithm not in present.algorithms:
            yield Reason("source", f"there is no algorithm {key.algorithm} now")
        return
    path = algorithm_file(record)
    if path is None:
        return  # relative to a config whose place nobody recorded
    now = present.source_sha256(path)
    if now is None:
        yield Reason("source", f"the algorithm's file is gone: {path}")
    elif now != key.source_sha256:
        yield Reason("source", f"the algorithm's file changed: {path}")


def _newest(records: Sequence[Record]) -> dict[Hashable, Record]:
    """The last successful measurement of each question; of one that was never answered, the last attempt."""
    newest: dict[Hashable, Record] = {}
    for record in records:
        question = _question(record)
        known = newest.get(question)
        if known is None or _rank(record) > _rank(known):
            newest[question] = record
    return newest


def _rank(record: Record) -> tuple[bool, str]:
    return record.status == "ok", record.started_at


def _question(record: Record) -> Hashable:
    """What was asked, whatever data, code and libraries answered it."""
    key = record.key
    asked: list[Any] = [
        getattr(key, name)
        for name in PointKey.model_fields
        if name not in ("schema_version", "dataset_sha256", "source_sha256", "python", "library_versions")
        and name not in ("build", "search", "stream")
    ]
    asked += [canonical_json(key.build), canonical_json(key.search), canonical_json(key.stream), record.dataset.path]
    if key.source_sha256 is not None:
        asked.append(_spec(record))
    if key.python is not None:  # interpreters are compared with each other, on purpose
        asked += [key.python, canonical_json(key.library_versions)]
    return tuple(asked)


def _difference(then: PointKey, now: PointKey) -> str:
    parts = []
    if then.library_versions != now.library_versions:
        parts.append("with " + ", ".join(f"{name} {version}" for name, version in now.library_versions.items()))
    if then.dataset_sha256 != now.dataset_sha256:
        parts.append("on other data of this name")
    if then.source_sha256 != now.source_sha256:
        parts.append("with another version of the algorithm's file")
    return " " + ", ".join(parts) if parts else ""


def _spec(record: Record) -> str:
    """The algorithm as the config named it; empty if the record's config is no config."""
    # Thousands of records share this piece of their configs, and YAML is slow.
    piece = re.search(r"^- (algorithm:.*?)(?=^  \w)", record.config_yaml, re.M | re.S)
    return _parsed_spec(piece.group(1)) if piece else ""


@cache
def _parsed_spec(piece: str) -> str:
    try:
        return str(yaml.safe_load(piece)["algorithm"])
    except (yaml.YAMLError, TypeError, KeyError, RecursionError):
        return ""


def _cpu_model(record: Record) -> str:
    cpu = record.environment.get("cpu")
    return str(cpu.get("model")) if isinstance(cpu, dict) else "unknown"
