"""Everything a report says, computed once and handed to whatever writes it down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from annbench.errors import NothingComparableError
from annbench.report.answer import Answer, answers
from annbench.report.claims import ClaimMeasured, claims_measured
from annbench.report.evidence import Machine, Overhead, VerdictGroup, machines, overheads, verdict_groups
from annbench.report.palette import Style, styles
from annbench.report.query_sets import QuerySetShift, query_set_shifts
from annbench.report.setting import Setting, settings_of
from annbench.report.streaming import StreamSetting, stream_settings
from annbench.results.frame import OVERHEAD_ALGORITHM, points_frame, records_frame
from annbench.results.schema import Record


@dataclass(frozen=True)
class Content:
    """A report's tables and their sources; `answers` are parallel to `settings`."""

    title: str
    records: pd.DataFrame  # one row a record, failed ones included
    points: pd.DataFrame  # one row a point
    settings: list[Setting]
    streams: list[StreamSetting]
    answers: list[list[Answer]]
    claims: list[ClaimMeasured]
    shifts: list[QuerySetShift]
    verdicts: list[VerdictGroup]
    overheads: list[Overhead]
    machines: list[Machine]
    styles: dict[str, Style]

    @property
    def summary(self) -> str:
        """One line: how much was measured, and when."""
        if self.points.empty:
            return self._streams_summary
        contenders = self.points[self.points["algorithm"] != OVERHEAD_ALGORITHM]
        days = sorted({str(t)[:10] for t in self.records["started_at"]})
        when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        usable = int(contenders["usable"].sum())
        return (
            f"{_count(len(contenders), 'point')}, {usable:,} usable, "
            f"of {_count(contenders['algorithm'].nunique(), 'algorithm')} "
            f"on {_count(contenders['dataset'].nunique(), 'dataset')} · "
            f"{_count(len(self.records), 'record')}, measured {when} · "
            f"{_count(len(self.machines), 'machine')}" + (f" · {self._streams_summary}" if self.streams else "")
        )

    @property
    def _streams_summary(self) -> str:
        rows = [row for stream in self.streams for row in stream.rows]
        done = sum(row.summary is not None for row in rows)
        return f"{_count(len(self.streams), 'runbook')}: {_count(len(rows), 'point')}, {done:,} ran to the end"

    def answers_json(self) -> list[dict[str, Any]]:
        """The answers with their settings, JSON types only."""
        return [
            {**setting.as_json(), "answers": [answer.as_json() for answer in found]}
            for setting, found in zip(self.settings, self.answers, strict=True)
        ]


def report_content(records: Iterable[Record], *, title: str) -> Content:
    """Compute a report. Raises NothingComparableError if no record but the null adapter's can be compared."""
    rows = list(records)
    if not rows:
        raise NothingComparableError("there are no results", remedy="run a config first: annbench run quickstart")
    streams = stream_settings(rows)
    searched = [record for record in rows if record.key.stream is None]
    frame = records_frame(searched)
    points = points_frame(frame) if searched else frame
    settings = settings_of(points) if searched else []
    if all(setting.points.empty for setting in settings):
        if not any(stream.measured for stream in streams):
            raise NothingComparableError(*_why_nothing(records_frame(rows)), remedy=_REMEDY)
        settings = []
    return Content(
        title=title,
        records=frame,
        points=points,
        settings=settings,
        streams=streams,
        answers=[answers(setting) for setting in settings],
        claims=claims_measured(searched, settings),
        shifts=query_set_shifts(points) if searched else [],
        verdicts=verdict_groups(points) if searched else [],
        overheads=overheads(points) if searched else [],
        machines=machines(rows),
        styles=styles(name for setting in settings for name in setting.algorithms),
    )


_REMEDY = "read the reasons with: annbench results ls, then repeat the run with a config that avoids them"


def _why_nothing(frame: pd.DataFrame) -> tuple[str]:
    contenders = frame[frame["algorithm"] != OVERHEAD_ALGORITHM]
    if contenders.empty:
        return ("the only results are of the null adapter, which measures the harness itself",)
    outcomes: Any = contenders["status"].where(contenders["status"] != "ok", contenders["verdict"])
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.value_counts().items())
    return (f"none of {_count(len(contenders), 'result')} can be compared: {counts}",)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
