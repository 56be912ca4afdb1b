"""What a worker does with one index: build and save it, or load it and measure its points."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from annbench.algorithms.base import Algorithm, Params
from annbench.algorithms.registry import load_algorithm
from annbench.config.model import clients_of
from annbench.datasets.dataset import Dataset
from annbench.datasets.info import Metric
from annbench.distances.registry import distance_of
from annbench.errors import UnsupportedError
from annbench.results.schema import BuildSummary, LoadSummary
from annbench.runner import disturbance
from annbench.runner.memory import PeakMeter, grown_bytes, resident_bytes, settle
from annbench.runner.pinning import pin, unpinned
from annbench.runner.timing import (
    Pass,
    thread_count,
    time_batch,
    time_call,
    time_clients,
    time_each,
)
from annbench.tasks.base import Task
from annbench.tasks.registry import load_task

OVERHEAD_PASSES = 3


class Subject:
    """The adapter under measurement with its validated build parameters."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        loaded = load_algorithm(request["algorithm"], Path(request["base_dir"]))
        self.kind: type[Algorithm] = loaded.cls
        self.kind.import_library()
        self.params = parsed(self.kind.BuildParams, request["build"])
        seed = self.kind.seed_parameter
        if seed is not None:
            # Another build of the same configuration is another draw, under the same name.
            value = getattr(self.params, seed) + int(request["build_index"])
            self.params = self.params.model_copy(update={seed: value})
        self.adapter = self.kind()
        self.threads = int(request["build_threads"])

    def build(self, dataset: Dataset) -> dict[str, Any]:
        """Build over the whole base; returns the fields of BuildSummary that a build gives."""
        distance = distance_of(dataset.info.metric)
        metric = distance.served_by
        self.check_metric(metric)
        self.offer_queries(dataset)
        base = distance.reduced_base(dataset.base())
        peak = PeakMeter()
        timed = time_call(lambda: self.adapter.build(base, metric, self.params, self.threads))
        return {
            "build_seconds": timed.seconds,
            "build_peak_bytes": peak.peak_bytes(),
            "build_cpu_ratio": timed.cpu_ratio,
            "build_thread_count": thread_count(),
            "notes": self.adapter.build_notes(),
        }

    def check_metric(self, metric: Metric) -> None:
        """Raises UnsupportedError."""
        if metric not in self.kind.metrics:
            supported = ", ".join(sorted(self.kind.metrics))
            raise UnsupportedError(f"metric {metric} is not supported", remedy=f"this algorithm does: {supported}")

    def offer_queries(self, dataset: Dataset) -> None:
        """Hand over the training queries that the build wants."""
        query_set = self.kind.learn_set(self.params)
        if query_set is None:
            return
        queries = dataset.learn(query_set)
        if queries is None:
            raise UnsupportedError(
                f"query set {query_set} has no training queries",
                where=str(dataset.path),
                remedy="name a set that `annbench data info` lists with a learn part, or build without",
            )
        self.adapter.learn(distance_of(dataset.info.metric).reduced_queries(queries))


def build_and_save(request: Mapping[str, Any]) -> dict[str, Any]:
    """Build, save into `request["folder"]`, and describe both."""
    subject = Subject(request)
    folder = Path(request["folder"])
    with Dataset(Path(request["dataset"])) as dataset:
        figures = subject.build(dataset)
    saved = time_call(lambda: subject.adapter.save(folder))
    size, checksum = measure_folder(folder)
    summary = BuildSummary(
        **figures,
        save_seconds=saved.seconds,
        index_bytes=size,
        index_crc32c=checksum,
        table_bytes=subject.adapter.table_bytes(),
    )
    return {"build": summary.model_dump(mode="json")}


class SearchSession:
    """An index in memory and the queries that are asked of it, by the name of their set."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.subject = Subject(request)
        self.adapter = self.subject.adapter
        self.task = load_task(request["task"])
        self.k = int(request["k"])
        with Dataset(Path(request["dataset"])) as dataset:
            distance = distance_of(dataset.info.metric)
            self.metric, self.dim = distance.served_by, distance.reduced_dim(dataset.info.dim)
            self.queries = {
                name: distance.reduced_queries(dataset.queries(name)[:count])
                for name, count in request["query_sets"].items()
            }
            self.rows = {name: list(queries) for name, queries in self.queries.items()}
            build: BuildSummary | None = None
            settle()
            before = resident_bytes()
            if request["folder"] is None:
                build = BuildSummary(
                    **self.subject.build(dataset),
                    save_seconds=None, index_bytes=None, index_crc32c=None, rebuilt_in_worker=True,
                )  # fmt: skip
                load_seconds = None
            else:
                load_seconds = self._load(Path(request["folder"]))
            settle()
        self.resident_before = before
        self.load_summary = LoadSummary(
            load_seconds=load_seconds,
            resident_bytes=grown_bytes(before),
            resident_after_search_bytes=None,
        )
        self.overhead_ns = {
            name: overhead_ns(self.metric, self.queries[name], self.rows[name], self.k) for name in self.queries
        }
        self.summary = {
            "build": None if build is None else build.model_dump(mode="json"),
            "load": self.load_summary.model_dump(mode="json"),
        }

    def measure(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Warm up, run the passes, and leave ids and raw times in `request["spool"]` (npz)."""
        mode, threads, passes = request["mode"], int(request["threads"]), int(request["passes"])
        query_set = request["query_set"]
        cores = tuple(request["cores"])
        pin(cores)
        params = parsed(self.subject.kind.SearchParams, request["search"])
        self.adapter.configure(params, threads if mode == "batch" else 1)
        for _ in range(int(request["warmup"])):
            self._pass(mode, query_set)
        before = disturbance.counters(cores)
        kept: list[Pass] = []
        best: Pass | None = None
        checksums: list[int] = []
        for _ in range(passes):
            done = self._pass(mode, query_set)
            # Only the best pass keeps its outputs: ids and times of a point come from the same pass.
            if best is None or done.elapsed_ns < best.elapsed_ns:
                best = done
            kept.append(Pass(None, done.elapsed_ns, done.latencies_ns, done.wall_ns, done.cpu_ns))
            checksums.append(_checksum(done.outputs))
        disturbed = disturbance.since(before, cores)
        assert best is not None
        ids = self.task.ids(best.outputs, len(self.rows[query_set]), self.k)
        latencies = [p.latencies_ns for p in kept if p.latencies_ns is not None]
        np.savez(
            request["spool"],
            ids=ids,
            pass_ns=np.array([p.elapsed_ns for p in kept], dtype=np.int64),
            pass_wall_ns=np.array([p.wall_ns for p in kept], dtype=np.int64),
            pass_cpu_ns=np.array([p.cpu_ns for p in kept], dtype=np.int64),
            latencies_ns=np.stack(latencies) if latencies else np.empty((0, 0), dtype=np.int64),
        )
        return {
            "thread_count": thread_count(),
            "resident_after_search_bytes": grown_bytes(self.resident_before),
            "unpinned": list(unpinned(cores)),
            "overhead_ns": None if mode == "batch" else self.overhead_ns[query_set],
            "passes_agree": len(set(checksums)) == 1,
            "disturbance": disturbed,
            "counters": {str(k): int(v) for k, v in self.adapter.counters().items()},
        }

    def _load(self, folder: Path) -> float:
        timed = time_call(lambda: self.adapter.load(folder, self.metric, self.dim, self.subject.params))
        return timed.seconds

    def _pass(self, mode: str, query_set: str) -> Pass:
        return one_pass(self.task, self.adapter, mode, self.queries[query_set], self.rows[query_set], self.k)


def one_pass(task: Task, adapter: Algorithm, mode: str, queries: Any, rows: list[Any], k: int) -> Pass:
    """All queries once, in this mode; `rows` are the queries one by one."""
    clients = clients_of(mode)
    adapter.reset_counters()
    if mode == "batch":
        return time_batch(task.batch(adapter), queries, k)
    if clients is not None:
        return time_clients(task.single(adapter), rows, k, clients, adapter.enter_thread)
    return time_each(task.single(adapter), rows, k)


def overhead_ns(metric: Metric, queries: Any, rows: list[Any], k: int) -> float:
    """Nanoseconds that a call to an adapter which does nothing takes here and now."""
    null = load_algorithm("null", Path()).cls()
    null.build(queries[:1], metric, null.BuildParams(), 1)
    null.configure(null.SearchParams(), 1)
    means = [time_each(null.search, rows, k).elapsed_ns for _ in range(OVERHEAD_PASSES)]
    return min(means) / max(len(rows), 1)


def parsed(model: type[Params], raw: Mapping[str, Any]) -> Params:
    """The parameters of a request."""
    # Through JSON, as in the plan: strict, and lists still become tuples.
    return model.model_validate_json(json.dumps(raw))


def measure_folder(folder: Path) -> tuple[int, str]:
    """Bytes and CRC32C of all files below `folder`, in the order of their names."""
    size, checksum = 0, google_crc32c.Checksum()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        size += path.stat().st_size
        checksum.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                checksum.update(block)
    return size, checksum.hexdigest().decode()


def _checksum(outputs: Any) -> int:
    """Of whatever an adapter returned, to tell whether its passes agree; 0 if it is not arrays at all."""
    with suppress(Exception):
        rows = outputs if isinstance(outputs, list) else [outputs]
        total = google_crc32c.Checksum()
        for row in rows:
            total.update(np.ascontiguousarray(row).tobytes())
        return int(total.hexdigest(), 16)
    return 0
