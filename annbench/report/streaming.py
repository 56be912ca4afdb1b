"""Runbooks, as a report shows them: one table and one figure for each that was run under one set of conditions."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from annbench.metrics.stream import CallTimes, StreamStep, StreamSummary
from annbench.report import formatting as fmt
from annbench.report.palette import Style, styles
from annbench.report.point import configuration_of
from annbench.report.setting import slugify
from annbench.results.schema import PointKey, Record, canonical_json

STREAM_NOTES = (
    "An index is made of a runbook's first step, then changed and searched as it says, all in one process. Recall at "
    "each search is tie-aware recall@k against the exact neighbours among the vectors there then; the mean and "
    "the lowest are over the search steps. QPS are all queries ÷ the time of each search's best pass. Rates of updates "
    "are vectors a second in the library's own calls, without the first step (start s); their p99 is of calls of up to "
    "the stated number of vectors. Bytes/vector are the serialized index ÷ the vectors present, at its largest."
)
HEAD = (
    "recall",
    "lowest (step)",
    "QPS",
    "p99 µs",
    "inserts/s",
    "insert p99 ms",
    "deletes/s",
    "delete p99 ms",
    "replaces/s",
    "replace p99 ms",
    "start s",
    "bytes/vector",
)


@dataclass(frozen=True)
class StreamRow:
    """One point; of several workers the one in the middle by QPS. `summary` is None for a point that failed."""

    algorithm: str
    configuration: str
    workers: int
    verdict: str  # or the status
    reasons: str
    summary: StreamSummary | None
    config_yaml: str

    @property
    def name(self) -> str:
        """What its line is called."""
        return self.algorithm if self.configuration == "default" else f"{self.algorithm} {self.configuration}"

    def cells(self) -> list[str]:
        """The figures under `HEAD`."""
        found = self.summary
        if found is None:
            return [fmt.MISSING] * len(HEAD)
        return [
            fmt.recall_text(found.recall_mean),
            f"{fmt.recall_text(found.recall_min)} ({found.recall_min_step})",
            fmt.significant(found.qps),
            fmt.significant(found.search.p99_us if found.search else None),
            fmt.significant(found.inserts_per_second),
            _milliseconds(found.insert),
            fmt.significant(found.deletes_per_second),
            _milliseconds(found.delete),
            fmt.significant(found.replaces_per_second),
            _milliseconds(found.replace),
            fmt.significant(found.start_seconds),
            fmt.significant(found.bytes_per_vector_max),
        ]


@dataclass(frozen=True)
class StreamSetting:
    """One runbook over one dataset under one set of conditions, with everything that was put through it."""

    title: str
    slug: str
    rows: tuple[StreamRow, ...]

    @property
    def measured(self) -> list[tuple[StreamRow, StreamSummary]]:
        """The rows that ran to their end."""
        return [(row, row.summary) for row in self.rows if row.summary is not None]

    @property
    def styles(self) -> dict[str, Style]:
        """How each row's line is drawn."""
        return styles(row.name for row, _ in self.measured)

    def columns(self) -> list[int]:
        """Places in `HEAD` of what was measured at all: few runbooks replace."""
        cells = [row.cells() for row in self.rows]
        return [i for i in range(len(HEAD)) if any(row[i] != fmt.MISSING for row in cells)]

    def as_json(self) -> dict[str, Any]:
        """JSON types only, without the steps."""
        rows = [
            {
                "algorithm": row.algorithm,
                "configuration": row.configuration,
                "verdict": row.verdict,
                "reasons": row.reasons,
                **({} if row.summary is None else row.summary.model_dump(mode="json", exclude={"steps"})),
            }
            for row in self.rows
        ]
        return {"title": self.title, "points": rows}


def stream_settings(records: Iterable[Record]) -> list[StreamSetting]:
    """What `records` has of task streaming, by dataset and runbook; all others are passed over."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        if record.key.stream is not None:
            groups.setdefault(_conditions(record), []).append(record)
    slugs: dict[str, int] = {}
    found = []
    for rows in groups.values():
        title = _title(rows)
        slug = f"streaming-{slugify(title.partition(':')[0])}"
        slugs[slug] = slugs.get(slug, 0) + 1
        found.append(StreamSetting(title, slug if slugs[slug] == 1 else f"{slug}-{slugs[slug]}", tuple(_points(rows))))
    return sorted(found, key=lambda setting: setting.title)


def steps_frame(settings: Sequence[StreamSetting]) -> pd.DataFrame:
    """One row a step of every point, with flat columns."""
    rows = []
    for setting in settings:
        for row, summary in setting.measured:
            for number, step in enumerate(summary.steps, start=1):
                facts = {"setting": setting.title, "algorithm": row.algorithm, "configuration": row.configuration}
                rows.append({**facts, "step": number, **_flat(step)})
    return pd.DataFrame(rows)


def _flat(step: StreamStep) -> dict[str, Any]:
    plain = step.model_dump(mode="json", exclude={"recall", "times"})
    times = {} if step.times is None else step.times.model_dump()
    recall = {} if step.recall is None else {"recall_at_k": step.recall.recall_at_k}
    return {**plain, **times, **recall}


def _conditions(record: Record) -> tuple[Any, ...]:
    key = record.key
    names = (
        "dataset_sha256", "query_set", "queries", "k", "mode", "threads", "build_threads", "passes", "warmup",
        "machine_id",
    )  # fmt: skip
    return (record.dataset.name, *(getattr(key, name) for name in names), canonical_json(key.stream))


def _title(rows: Sequence[Record]) -> str:
    key = rows[0].key
    stream = key.stream or {}
    named = next((r.stream.runbook for r in rows if r.stream is not None), f"runbook {stream['runbook_sha256'][:8]}")
    batch = stream["update_batch"]
    parts = (
        rows[0].dataset.name,
        "" if key.query_set == "test" else f"queries {key.query_set}",
        named,
        f"updates by {batch:,}" if batch else "updates by step",
        f"k = {key.k}",
        f"{key.mode}, {key.threads} thr",
        f"updates {key.build_threads} thr",
    )
    return " · ".join(part for part in parts if part)


def _points(records: Sequence[Record]) -> list[StreamRow]:
    points: dict[str, list[Record]] = {}
    for record in records:
        points.setdefault(canonical_json(_identity(record.key)), []).append(record)
    rows = [_row(members) for members in points.values()]
    return sorted(rows, key=lambda row: (row.summary is None, row.algorithm, row.configuration))


def _identity(key: PointKey) -> dict[str, Any]:
    return {
        "algorithm": key.name,
        "build": key.build,
        "search": key.search,
        "python": key.python,
        "versions": key.library_versions,
        "isa": key.isa,
    }


def _row(members: Sequence[Record]) -> StreamRow:
    """Of several workers, the one in the middle; what went wrong in any of them is said."""
    good = [record for record in members if record.stream is not None]
    rates = {id(record): record.stream.qps for record in good if record.stream is not None}
    chosen = members[0]
    if good:
        middle = statistics.median_low(rates.values())
        chosen = next(record for record in good if rates[id(record)] == middle)
    lost = len(members) - len(good)
    failure = chosen.stream is None and chosen.status_detail  # which says more than that it failed
    reasons = [failure] if failure else [*chosen.verdict_reasons]
    if good and lost:
        reasons.append(f"{lost} of {len(members)} workers failed")
    return StreamRow(
        algorithm=chosen.key.name,
        configuration=configuration_of(chosen.label, chosen.key.name),
        workers=len(good),
        verdict=chosen.status if chosen.stream is None else chosen.verdict,
        reasons="; ".join(reason for reason in reasons if reason),
        summary=chosen.stream,
        config_yaml=chosen.config_yaml,
    )


def _milliseconds(times: CallTimes | None) -> str:
    return fmt.MISSING if times is None else fmt.significant(times.p99_us / 1e3)
