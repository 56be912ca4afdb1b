"""Records as a pandas table: one row a record, then one row a point.

A *record* is one worker's measurement; a *point* is what a reader compares: the same build and search
parameters on the same data, machine and libraries, whichever worker, build or block measured it. Column names
carry their unit; parameters appear as `build.<name>` and `search.<name>`, cost counters as `counter.<name>`.

Columns are gathered as lists and handed to pandas once, because a report over thousands of records must take
seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from annbench.metrics.recall import RecallSummary
from annbench.results.schema import OVERHEAD_ALGORITHM as OVERHEAD_ALGORITHM
from annbench.results.schema import (
    BuildSummary,
    LoadSummary,
    PointKey,
    Record,
    TimeSummary,
    canonical_json,
    digest_of,
)
from annbench.results.schema import is_usable as is_usable

# What may differ between two measurements of one point.
_REPLICATION = ("build_index", "worker_index", "interleaved")
_KEY_COLUMNS = tuple(
    n for n in PointKey.model_fields if n not in ("build", "search", "library_versions", "label", "stream")
)
_TEXT_PARTS = frozenset({"index_crc32c", "ids_crc32c", "rebuilt_in_worker"})
_PARTS: Mapping[str, tuple[str, ...]] = {
    "build": tuple(name for name in BuildSummary.model_fields if name != "notes"),  # they are among the record's
    "load": tuple(LoadSummary.model_fields),
    "recall": tuple(RecallSummary.model_fields),
    "time": tuple(TimeSummary.model_fields),
}
_DERIVED_FROM = ("n", "raw_bytes", "index_bytes", "resident_bytes")
_MEASURED = tuple(n for names in _PARTS.values() for n in names if n not in _TEXT_PARTS)


def records_frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row a record, in the given order, with flat columns.

    `record_id` is the digest of the key (the result file's name), `point_id` the same without worker, build
    and block; `usable` is True if the record may be compared: status ok, verdict not invalid, recall and
    times present. `bytes_per_vector` is index_bytes ÷ n and `float32_ratio` index_bytes ÷ raw_bytes, which is
    4·n·dim of vectors that are not packed bits or sets.
    """
    rows = list(records)
    columns: dict[str, Any] = {**_identity(rows), **_description(rows)}
    for part, names in _PARTS.items():
        columns |= _part_columns([getattr(r, part) for r in rows], names)
    columns |= _derived(columns)
    columns |= _param_columns("build", [r.key.build for r in rows])
    columns |= _param_columns("search", [r.key.search for r in rows])
    columns |= _param_columns("counter", [r.counters for r in rows])
    columns["config_yaml"] = [r.config_yaml for r in rows]
    return pd.DataFrame(columns)


def points_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a point: `frame` (of `records_frame`) with its workers, builds and blocks aggregated.

    Measured columns are medians over the usable records, since the unit of replication is a worker. Added
    columns: `workers` (usable records), `workers_lost` (the others), `qps_low` and `qps_high` (extremes of
    `qps_best` over workers; with one worker, its slowest and its best pass). The recall interval is the union
    of the workers'. A point that lost some of its workers, or has one that is suspect, is suspect and says
    why; a point without a usable record keeps the status, verdict and reasons of its first.
    """
    order = np.argsort(~frame["usable"].to_numpy(dtype=bool), kind="stable")
    first = frame.iloc[order].drop_duplicates("point_id").sort_index().set_index("point_id")
    good = frame[frame["usable"].to_numpy(dtype=bool)].groupby("point_id", sort=False)
    points = first.copy()
    for name, values in good[list(_MEASURED) + _counters(frame)].median().items():
        points[name] = values.reindex(points.index).fillna(first[name].astype("float64"))
    points["recall_low"] = good["recall_low"].min().reindex(points.index)
    points["recall_high"] = good["recall_high"].max().reindex(points.index)
    points["workers"] = good.size().reindex(points.index).fillna(0).astype("int64")
    points["workers_lost"] = frame.groupby("point_id").size().reindex(points.index) - points["workers"]
    alone = points["workers"] <= 1
    points["qps_low"] = good["qps_best"].min().reindex(points.index).where(~alone, points["qps_min"])
    points["qps_high"] = good["qps_best"].max().reindex(points.index)
    for name, ratio in _derived({c: points[c] for c in _DERIVED_FROM}).items():
        points[name] = ratio
    verdicts = _joint_verdicts(frame)
    points["verdict"] = [verdicts[i][0] for i in points.index]
    points["verdict_reasons"] = [verdicts[i][1] for i in points.index]
    return points.drop(columns=["record_id", *_REPLICATION, "block_id", "order"]).reset_index()


def _identity(rows: Sequence[Record]) -> dict[str, list[Any]]:
    record_ids, point_ids = [], []
    for row in rows:
        key = row.key.model_dump(mode="json")
        record_ids.append(digest_of(key))
        point_ids.append(digest_of({n: v for n, v in key.items() if n not in _REPLICATION}))
    columns: dict[str, list[Any]] = {"record_id": record_ids, "point_id": point_ids}
    columns["dataset"] = [r.dataset.name for r in rows]
    columns |= {name: [getattr(r.key, name) for r in rows] for name in _KEY_COLUMNS}
    columns["algorithm"] = [r.key.name for r in rows]
    columns["libraries"] = [" ".join(f"{n} {v}" for n, v in r.key.library_versions.items()) for r in rows]
    return columns


def _description(rows: Sequence[Record]) -> dict[str, Any]:
    return {
        "metric": [r.dataset.metric for r in rows],
        "n": np.array([r.dataset.n for r in rows], dtype=np.int64),
        "dim": np.array([r.dataset.dim for r in rows], dtype=np.int64),
        "raw_bytes": np.array([r.dataset.raw_bytes for r in rows], dtype=np.int64),
        "status": [r.status for r in rows],
        "status_detail": [r.status_detail for r in rows],
        "failed_phase": [r.failed_phase for r in rows],
        "verdict": [r.verdict for r in rows],
        "verdict_reasons": ["; ".join(r.verdict_reasons) for r in rows],
        "notes": ["; ".join(r.notes) for r in rows],
        "usable": np.array([is_usable(r) for r in rows], dtype=bool),
        "label": [r.label for r in rows],
        "config_name": [r.config_name for r in rows],
        "started_at": [r.started_at for r in rows],
        "block_id": [r.block_id for r in rows],
        "order": [r.order for r in rows],
    }


def _part_columns(parts: Sequence[BaseModel | None], names: Iterable[str]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in names:
        values = [None if part is None else getattr(part, name) for part in parts]
        columns[name] = values if name in _TEXT_PARTS else np.array(values, dtype=np.float64)
    return columns


def _derived(columns: Mapping[str, Any]) -> dict[str, Any]:
    n, raw = (np.asarray(columns[c], dtype=np.float64) for c in ("n", "raw_bytes"))
    index, resident = (np.asarray(columns[c], dtype=np.float64) for c in ("index_bytes", "resident_bytes"))
    return {
        "bytes_per_vector": index / n,
        "float32_ratio": index / raw,
        "resident_bytes_per_vector": resident / n,
        "resident_float32_ratio": resident / raw,
    }


def _param_columns(prefix: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {}
    for i, row in enumerate(rows):
        for name, value in _flat(prefix, row):
            columns.setdefault(name, [None] * len(rows))[i] = value
    return {name: _typed(values) for name, values in columns.items()}


def _flat(prefix: str, value: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(f"{prefix}.{name}", inner)
        else:
            yield f"{prefix}.{name}", canonical_json(inner) if isinstance(inner, list | tuple) else inner


def _typed(values: list[Any]) -> Any:
    """One type a column: a parameter that is a number in one library and a word in another becomes text."""
    types = {type(v) for v in values if v is not None}
    if types == {bool}:
        return pd.array(values, dtype="boolean")
    if types == {int} and all(-(2**63) <= v < 2**63 for v in values if v is not None):
        return pd.array(values, dtype="Int64")
    if types in ({float}, {int, float}):
        return np.array(values, dtype=np.float64)
    return pd.array([None if v is None else str(v) for v in values], dtype="string")


def _counters(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame.columns if str(name).startswith("counter.")]


def _joint_verdicts(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Verdict and reasons of every point, by point_id, from all its records."""
    members: dict[str, list[tuple[bool, str, str, str, str]]] = {}
    columns = ("usable", "verdict", "verdict_reasons", "status", "status_detail")
    for point, *facts in zip(frame["point_id"], *(frame[c] for c in columns), strict=True):
        members.setdefault(point, []).append(tuple(facts))
    return {point: _joint_verdict(records) for point, records in members.items()}


def _joint_verdict(records: Sequence[tuple[bool, str, str, str, str]]) -> tuple[str, str]:
    usable = [r for r in records if r[0]]
    if not usable:
        return records[0][1], records[0][2]
    reasons = list(dict.fromkeys(r[2] for r in usable if r[2]))
    lost = [r for r in records if not r[0]]
    if lost:
        _, verdict, why, status, detail = lost[0]
        cause = detail or status if status != "ok" else f"{verdict}: {why}"
        reasons.append(f"{len(lost)} of {len(records)} workers not usable ({cause})")
    verdict = "suspect" if lost or any(r[1] != "ok" for r in usable) else "ok"
    return verdict, "; ".join(reasons)
