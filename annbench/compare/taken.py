"""A measurement, reduced to what two of them are compared by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annbench.results.schema import (
    MACHINE_COUNTERS,
    Record,
    Status,
    canonical_json,
    is_usable,
    parameters_text,
)


@dataclass(frozen=True, order=True)
class Place:
    """Which fresh worker of which block measured: two measurements of one place were taken back to back."""

    worker_index: int
    build_index: int
    block_id: str
    machine_id: str


@dataclass(frozen=True)
class Times:
    """What a clock said. `seconds` is a query's share of the worker's median pass.

    Only interleaved runs put two builds into one block, so whatever shares a place was taken in turns.
    """

    place: Place
    seconds: float
    p99_us: float | None
    build_seconds: float | None


@dataclass(frozen=True)
class Setting:
    """What is held fixed when frontiers are compared."""

    dataset: str
    dataset_sha256: str
    query_set: str
    task: str
    k: int
    mode: str
    threads: int
    queries: int

    @property
    def title(self) -> str:
        """`glove-100 · k = 10 · batch · 2 threads`."""
        parts = [
            self.dataset,
            "" if self.query_set == "test" else f"queries {self.query_set}",
            "" if self.task == "knn" else self.task,
            f"k = {self.k}",
            self.mode,
            f"{self.threads} thread{'s' * (self.threads != 1)}",
        ]
        return " · ".join(part for part in parts if part)


@dataclass(frozen=True)
class Series:
    """An algorithm, or one of its labelled entries: what has a frontier."""

    algorithm: str
    label: str | None = None

    @property
    def name(self) -> str:
        """`hnswlib`, or `hnswlib (old)`."""
        return f"{self.algorithm} ({self.label})" if self.label else self.algorithm


@dataclass(frozen=True)
class Taken:
    """One measurement of one point. `times` is None where there are none to believe."""

    setting: Setting
    series: Series
    build: Mapping[str, Any]
    search: Mapping[str, Any]
    n: int
    isa: str
    versions: Mapping[str, str]
    status: Status
    detail: str
    recall: float | None
    ids_crc32c: str | None
    index_bytes: int | None
    index_crc32c: str | None
    counters: Mapping[str, int]
    times: Times | None
    digest: str = ""  # of the record's key; empty for a baseline

    @property
    def build_text(self) -> str:
        """Canonical JSON of the build parameters."""
        return canonical_json(dict(self.build))

    @property
    def search_text(self) -> str:
        """Canonical JSON of the search parameters."""
        return canonical_json(dict(self.search))

    @property
    def configuration(self) -> str:
        """`M=16 ef_construction=200 · ef=40`, or `default`."""
        return configuration_text(self.build, self.search)


def configuration_text(build: Mapping[str, Any], search: Mapping[str, Any]) -> str:
    """Parameters for people: `M=16 · ef=40`, or `default` if there are none."""
    return " · ".join(part for part in (parameters_text(build), parameters_text(search)) if part) or "default"


def taken_of(record: Record) -> Taken:
    """What a stored record has to compare."""
    key, build, recall = record.key, record.build, record.recall
    return Taken(
        setting=Setting(
            record.dataset.name,
            key.dataset_sha256,
            key.query_set,
            key.task,
            key.k,
            key.mode,
            key.threads,
            key.queries,
        ),
        series=Series(key.algorithm, key.label),
        build=key.build,
        search=key.search,
        n=record.dataset.n,
        isa=key.isa,
        versions=key.library_versions,
        status=record.status,
        detail=record.status_detail,
        recall=None if recall is None else recall.recall_at_k,
        ids_crc32c=None if recall is None else recall.ids_crc32c,
        index_bytes=None if build is None else build.index_bytes,
        index_crc32c=None if build is None else build.index_crc32c,
        counters={name: value for name, value in record.counters.items() if name not in MACHINE_COUNTERS},
        times=_times_of(record) if is_usable(record) else None,
        digest=key.digest,
    )


def _times_of(record: Record) -> Times | None:
    key, time = record.key, record.time
    if time is None or time.qps_median <= 0:
        return None
    return Times(
        Place(key.worker_index, key.build_index, record.block_id, key.machine_id),
        1 / time.qps_median,
        time.latency_p99_us,
        None if record.build is None else record.build.build_seconds,
    )
