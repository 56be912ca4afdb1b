"""A baseline: recall, bytes and counters of a results folder, as one small file to commit.

It has no times: those of another day are never compared. What it has means the same on every machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from annbench.compare.taken import Series, Setting, Taken
from annbench.errors import NothingComparableError, ResultError, UsageError
from annbench.results.schema import Status, digest_of

MAX_BYTES = 1 << 26
_REMEDY = "write it again: annbench baseline RESULTS FILE"


class Part(BaseModel):
    """Base of the file's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class BaselinePoint(Part):
    """One point: the same fields as in a record, less everything that belongs to a machine or a day."""

    dataset: str
    dataset_sha256: str
    query_set: str
    task: str
    k: int
    mode: str
    threads: int
    queries: int
    algorithm: str
    label: str | None = None
    build: dict[str, Any]
    search: dict[str, Any]
    n: int = Field(gt=0)
    isa: str
    versions: dict[str, str]
    status: Status
    detail: str = ""
    recall: float | None = Field(ge=0, le=1)
    ids_crc32c: str | None
    index_bytes: int | None = Field(ge=0)
    index_crc32c: str | None
    counters: dict[str, int] = {}


class Baseline(Part):
    """The file."""

    annbench_baseline: Literal[1] = 1
    points: tuple[BaselinePoint, ...] = Field(strict=False)


def write_baseline(taken: Iterable[Taken], path: Path) -> int:
    """Write one line a point, ordered; returns how many. Workers that found the same are one point.

    Raises NothingComparableError if there is nothing, UsageError if the file cannot be written.
    """
    points = {digest_of(point): point for point in (_point_of(one).model_dump(mode="json") for one in taken)}
    if not points:
        raise NothingComparableError("there are no results to keep", remedy="measure some: annbench run CONFIG")
    ordered = sorted(points.values(), key=lambda p: json.dumps(p, sort_keys=True))
    lines = ",\n".join(json.dumps(point, sort_keys=True, ensure_ascii=False) for point in ordered)
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_text(f'{{"annbench_baseline": 1, "points": [\n{lines}\n]}}\n', encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"cannot write: {error.strerror}", where=str(path), remedy="choose another file") from error
    return len(ordered)


def read_baseline(path: Path) -> list[Taken]:
    """The points of a baseline. Raises ResultError for anything that is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ResultError("is too large for a baseline", where=str(path), remedy=_REMEDY)
        baseline = Baseline.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ResultError(f"cannot read: {error.strerror}", where=str(path)) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ResultError(f"is no baseline: {place}: {first['msg']}", where=str(path), remedy=_REMEDY) from error
    return [_taken_of(point) for point in baseline.points]


def _point_of(taken: Taken) -> BaselinePoint:
    setting = taken.setting
    return BaselinePoint(
        **{name: getattr(setting, name) for name in Setting.__dataclass_fields__},
        algorithm=taken.series.algorithm,
        label=taken.series.label,
        build=dict(taken.build),
        search=dict(taken.search),
        n=taken.n,
        isa=taken.isa,
        versions=dict(taken.versions),
        status=taken.status,
        detail=taken.detail,
        recall=taken.recall,
        ids_crc32c=taken.ids_crc32c,
        index_bytes=taken.index_bytes,
        index_crc32c=taken.index_crc32c,
        counters=dict(taken.counters),
    )


def _taken_of(point: BaselinePoint) -> Taken:
    return Taken(
        setting=Setting(**{name: getattr(point, name) for name in Setting.__dataclass_fields__}),
        series=Series(point.algorithm, point.label),
        build=point.build,
        search=point.search,
        n=point.n,
        isa=point.isa,
        versions=point.versions,
        status=point.status,
        detail=point.detail,
        recall=point.recall,
        ids_crc32c=point.ids_crc32c,
        index_bytes=point.index_bytes,
        index_crc32c=point.index_crc32c,
        counters=point.counters,
        times=None,
    )
