"""The record of one measured point: everything a report needs, as JSON, in the user block of its HDF5 file.

Units are in the names. A record is built from validated parts and never edited; a field that could not be measured is
None and `verdict_reasons` or `notes` says why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from annbench.config.model import Claim
from annbench.datasets.info import DatasetInfo
from annbench.metrics.latency import SpeedSummary
from annbench.metrics.recall import RecallSummary
from annbench.metrics.stream import StreamSummary

SCHEMA_VERSION = 1

# What the machine did meanwhile, recorded among a point's counters; all others are the algorithm's costs.
MACHINE_COUNTERS = frozenset({"swapped_pages", "throttled", "stolen_ticks", "major_faults", "preemptions"})

# The adapter that measures the harness's own cost: never a contender.
OVERHEAD_ALGORITHM = "null"

Status = Literal["ok", "config_error", "unsupported", "timeout", "oom", "crashed", "invalid_output"]
Verdict = Literal["ok", "suspect", "invalid"]
Phase = Literal["build", "load", "search", "stream", "score"]


class Part(BaseModel):
    """Base of the record's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PointKey(Part):
    """What identifies a point: the file's name is the hash of this as canonical JSON."""

    schema_version: int = SCHEMA_VERSION
    dataset_sha256: str
    query_set: str
    task: str
    k: int
    mode: str  # "single", "batch" or "clients:N"
    threads: int
    build_threads: int
    queries: int  # how many were asked
    passes: int
    warmup: int
    algorithm: str
    source_sha256: str | None  # of the file, for an algorithm that is `path/file.py:Class`
    python: str | None  # version of another interpreter, when the config names one
    build: dict[str, Any]
    search: dict[str, Any]
    seed: int
    build_index: int
    worker_index: int
    interleaved: bool  # measured in shuffled blocks with the other builds of its config
    library_versions: dict[str, str]
    isa: str
    machine_id: str
    label: str | None = None  # the config's own name for this side of a comparison
    stream: dict[str, Any] | None = None  # runbook_sha256, update_batch, index_bytes: of task streaming

    @model_serializer(mode="wrap")
    def _without_absent_parts(self, rest: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A point without a label or a runbook is the point that it was before there were any.
        return {n: value for n, value in rest(self).items() if n not in ("label", "stream") or value is not None}

    @property
    def name(self) -> str:
        """The algorithm as tables show it: `hnswlib`, or `hnswlib (old)` with a label."""
        return f"{self.algorithm} ({self.label})" if self.label else self.algorithm

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, hex."""
        return digest_of(self.model_dump(mode="json"))


class BuildSummary(Part):
    """The build → save half, measured in its own process (or, if the adapter cannot save, in the worker)."""

    build_seconds: float
    save_seconds: float | None
    build_peak_bytes: int | None  # peak resident memory over the build, less what was resident before it
    index_bytes: int | None  # serialized size; None if the adapter cannot save
    index_crc32c: str | None
    build_cpu_ratio: float  # CPU time ÷ wall time
    build_thread_count: int
    rebuilt_in_worker: bool = False
    table_bytes: int | None = None  # the part of index_bytes that does not grow with the vectors; None if not told
    notes: tuple[str, ...] = ()  # of the adapter, about what was built


class LoadSummary(Part):
    """The load in a fresh process that holds no base vectors."""

    load_seconds: float | None
    resident_bytes: int | None
    resident_after_search_bytes: int | None


class TimeSummary(SpeedSummary):
    """Speed over the passes, and how the process behaved meanwhile."""

    cpu_ratio: float  # CPU time ÷ wall time over the passes
    thread_count: int
    overhead_ratio: float | None  # the null adapter's time per call ÷ this point's, measured in the same worker


class Record(Part):
    """One point, measured or failed."""

    key: PointKey
    status: Status
    status_detail: str = ""  # e.g. "SIGSEGV", the exception, or the limit that was hit
    failed_phase: Phase | None = None
    verdict: Verdict
    verdict_reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    dataset: DatasetInfo
    config_name: str
    config_yaml: str  # a complete config that reproduces this point alone
    claim: Claim | None = None  # what the config was written to measure again
    started_at: str  # ISO 8601, UTC
    block_id: str
    order: int
    build: BuildSummary | None = None
    load: LoadSummary | None = None
    recall: RecallSummary | None = None
    time: TimeSummary | None = None
    stream: StreamSummary | None = None  # of task streaming, in place of recall and time
    counters: dict[str, int] = {}
    environment: dict[str, Any]

    @model_serializer(mode="wrap")
    def _without_absent_parts(self, rest: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {n: value for n, value in rest(self).items() if n not in ("claim", "stream") or value is not None}

    @property
    def label(self) -> str:
        """`hnswlib M=16 ef_construction=200 · ef=40`: the configuration for people."""
        head = f"{self.key.name} {parameters_text(self.key.build)}".rstrip()
        search = parameters_text(self.key.search)
        return f"{head} · {search}" if search else head


def is_usable(record: Record) -> bool:
    """Whether the record was measured and is not invalid: only such ones are compared."""
    measured = record.recall is not None and record.time is not None
    return record.status == "ok" and record.verdict != "invalid" and measured


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """`M=16 ef_construction=200`: what a reader tells configurations apart by; seeds and unset values are left out."""
    shown = ((k, v) for k, v in parameters.items() if v not in (None, "") and k not in ("seed", "random_seed"))
    return " ".join(f"{k}={_short(v)}" for k, v in shown)


def canonical_json(value: Any) -> str:
    """The one spelling of `value` as JSON: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _short(value: Any) -> str:
    if isinstance(value, dict):
        # Of a checksum as much as tells two files apart.
        shown = ((k, v[:8] if k == "checksum" else _short(v)) for k, v in value.items() if v is not None)
        return "{" + " ".join(f"{k}={text}" for k, text in shown) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)
