"""Puts the parts of a measurement together into the record that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from annbench.config.model import clients_of
from annbench.datasets.info import DEFAULT_QUERY_SET
from annbench.metrics.latency import summarise_passes
from annbench.metrics.recall import RecallSummary
from annbench.metrics.stream import StreamRecall, summarise_stream
from annbench.results.schema import BuildSummary, LoadSummary, Phase, Record, TimeSummary
from annbench.runner.plan import Plan, PlannedBuild, PlannedPoint
from annbench.runner.supervisor import ChildFailedError
from annbench.runner.verdict import judge, judge_stream

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Measured:
    """What came back of a point: the worker's `reply`, the judge's `quality`, the arrays in `spool`, when it
    `started`, and its place in its block.
    """

    reply: Mapping[str, Any]
    quality: Mapping[str, Any]
    spool: Path
    started: str
    block_id: str
    order: int

    def arrays(self) -> Arrays:
        """Everything in the spool."""
        with np.load(self.spool, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}


class Recorder:
    """Writes the records of one run; the environment was captured once, at its start."""

    def __init__(self, plan: Plan, environment: dict[str, Any]) -> None:
        self.plan = plan
        self.environment = environment

    @staticmethod
    def now() -> str:
        """ISO 8601, UTC, seconds."""
        return datetime.now(UTC).isoformat(timespec="seconds")

    def measured(
        self,
        build: PlannedBuild,
        point: PlannedPoint,
        summary: BuildSummary | None,
        load: LoadSummary | None,
        what: Measured,
    ) -> tuple[Record, Arrays]:
        """The record and arrays of a point that ran to its end."""
        arrays, reply = what.arrays(), what.reply
        if not arrays["latencies_ns"].size:
            del arrays["latencies_ns"]
        wall_seconds = float(arrays["pass_wall_ns"].sum()) / 1e9
        cpu_ratio = float(arrays["pass_cpu_ns"].sum()) / 1e9 / max(wall_seconds, 1e-9)
        speed = summarise_passes(arrays["pass_ns"], point.key.queries, arrays.get("latencies_ns"))
        mean_us = speed.latency_mean_us
        overhead_ns = reply["overhead_ns"]
        time = TimeSummary(
            **speed.model_dump(),
            cpu_ratio=cpu_ratio,
            thread_count=reply["thread_count"],
            overhead_ratio=overhead_ns / 1e3 / mean_us if overhead_ns is not None and mean_us else None,
        )
        quality = RecallSummary.model_validate(what.quality)
        verdict, reasons = judge(
            quality, time, reply["disturbance"],
            threads=point.key.threads * (clients_of(point.key.mode) or 1), wall_seconds=wall_seconds,
            unpinned=reply["unpinned"],
        )  # fmt: skip
        notes = [*build.known_limits, *(summary.notes if summary is not None else ())]
        if not reply["passes_agree"]:
            notes.append("passes returned different ids; those of the best pass are scored")
        if summary is not None and summary.rebuilt_in_worker:
            notes.append("the adapter cannot save: rebuilt in this worker")
        if load is not None:
            load = load.model_copy(update={"resident_after_search_bytes": reply["resident_after_search_bytes"]})
        record = Record(
            **self._common(build, point, what.started, what.block_id, what.order),
            status="ok",
            verdict=verdict,
            verdict_reasons=reasons,
            notes=tuple(notes),
            build=summary,
            load=load,
            recall=quality,
            time=time,
            counters={**reply["disturbance"], **reply["counters"]},
        )
        return record, arrays

    def streamed(self, build: PlannedBuild, point: PlannedPoint, what: Measured) -> tuple[Record, Arrays]:
        """The record and arrays of a runbook that ran to its end."""
        assert build.stream is not None
        arrays, reply = what.arrays(), what.reply
        recall = StreamRecall.model_validate(what.quality)
        summary = summarise_stream(build.stream.title, reply["steps"], arrays, recall)
        verdict, reasons = judge_stream(summary, arrays, reply, clients_of(point.key.mode) or point.key.threads)
        record = Record(
            **self._common(build, point, what.started, what.block_id, what.order),
            status="ok",
            verdict=verdict,
            verdict_reasons=reasons,
            notes=build.known_limits,
            stream=summary,
            counters={**reply["disturbance"], **reply["counters"]},
        )
        return record, arrays

    def failed(
        self,
        build: PlannedBuild,
        point: PlannedPoint,
        summary: BuildSummary | None,
        error: ChildFailedError,
        phase: Phase,
        block_id: str,
        order: int,
    ) -> Record:
        """The record of a point that did not."""
        return Record(
            **self._common(build, point, self.now(), block_id, order),
            status=error.status,
            status_detail=error.detail,
            failed_phase=phase,
            verdict="invalid",
            verdict_reasons=(f"{error.status} in {phase}",),
            notes=build.known_limits,
            build=summary,
        )

    def _common(
        self, build: PlannedBuild, point: PlannedPoint, started: str, block_id: str, order: int
    ) -> dict[str, Any]:
        return {
            "key": point.key,
            "dataset": build.dataset,
            "config_name": self.plan.name,
            "config_yaml": reproduction(self.plan, build, point),
            "claim": self.plan.config.claim,
            "started_at": started,
            "block_id": block_id,
            "order": order,
            "environment": self.environment,
        }


def reproduction(plan: Plan, build: PlannedBuild, point: PlannedPoint) -> str:
    """A complete config, as YAML, that measures this one point again."""
    config = plan.config
    measure = config.measure.model_dump(mode="json", exclude_defaults=True) | {"modes": [point.key.mode]}
    measure["build_threads"] = build.build_threads
    for name in ("workers", "builds", "interleave"):
        measure.pop(name, None)
    entry: dict[str, Any] = {"algorithm": _findable(build)}
    if point.key.label:
        entry["label"] = point.key.label
    if build.python:
        entry["python"] = build.python
    entry["build"] = _literal(build.params)
    entry["search"] = _literal(point.key.search)
    # Like the algorithm's file, a dataset's must be found from any folder.
    by_name = build.dataset_ref == build.dataset.name
    whole: dict[str, Any] = {"dataset": build.dataset_ref if by_name else build.dataset.path}
    if point.key.query_set != DEFAULT_QUERY_SET:
        whole["query_set"] = point.key.query_set
    if build.stream is not None:
        whole |= {"task": config.task, "streaming": build.stream.config}
    whole |= {"k": config.k, "measure": measure}
    limits = config.limits.model_dump(mode="json", exclude_defaults=True)
    if limits:
        whole["limits"] = limits
    whole["algorithms"] = [entry]
    return yaml.safe_dump(whole, sort_keys=False, default_flow_style=None, width=100)


def _findable(build: PlannedBuild) -> str:
    """The algorithm as a config anywhere names it: a file's path is relative to a config that may be gone."""
    path, colon, name = build.spec.rpartition(":")
    return f"{build.base_dir / path}:{name}" if colon and path.endswith(".py") else build.spec


def _literal(value: Any) -> Any:
    """A list in a config means a choice; a list that is one value is written as a list of one."""
    if isinstance(value, Mapping):
        return {key: [item] if isinstance(item, list | tuple) else _literal(item) for key, item in value.items()}
    return value
