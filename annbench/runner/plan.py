"""What a config asks for, worked out to the last point before anything is measured."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from annbench.algorithms.base import Cost
from annbench.config.expand import Constraint, expand
from annbench.config.load import LoadedConfig
from annbench.config.model import AlgorithmEntry, Config, clients_of
from annbench.datasets.info import DEFAULT_QUERY_SET, DatasetInfo
from annbench.distances.registry import distance_of
from annbench.errors import ConfigError, UnknownNameError, WorkerError
from annbench.isa import isa
from annbench.results.schema import PointKey, digest_of, parameters_text
from annbench.runner.environment import machine_id
from annbench.runner.pinning import available_cores
from annbench.runner.plan_stream import PlannedStream, plan_stream
from annbench.runner.supervisor import Child, ChildFailedError
from annbench.tasks.registry import TASKS

DESCRIBE_SECONDS = 120.0
WORKER = "annbench.runner.worker"


@dataclass(frozen=True)
class PlannedPoint:
    """One search point of one build in one worker. A runbook asks its queries `searches` times."""

    key: PointKey
    cost: Cost | None
    searches: int = 1

    @property
    def cores(self) -> int:
        """How many cores its worker is pinned to."""
        return max(self.key.threads, clients_of(self.key.mode) or 1)


@dataclass(frozen=True)
class PlannedBuild:
    """One index to build, and the points to measure with it."""

    digest: str
    dataset: DatasetInfo
    dataset_ref: str  # as the config names it: a name, or a path
    algorithm: str  # as records name it
    spec: str  # as the config names it, so that a worker finds it
    base_dir: Path
    python: str | None
    params: Mapping[str, Any]  # as a worker takes them: `key.build` with the whole paths of files
    build_threads: int
    can_save: bool
    unsupported: str | None  # why the library cannot do this at all
    known_limits: tuple[str, ...]
    points: tuple[PlannedPoint, ...]
    stream: PlannedStream | None = None  # then the index is made by the point itself

    @property
    def label(self) -> str:
        """`hnswlib M=16 ef_construction=200`."""
        return f"{self.points[0].key.name} {parameters_text(self.points[0].key.build)}".rstrip()


@dataclass(frozen=True)
class Plan:
    """All builds of a config, in the order they will be made."""

    config: Config
    name: str
    builds: tuple[PlannedBuild, ...]
    left_out: int  # points that a constraint excludes

    @property
    def points(self) -> list[PlannedPoint]:
        """Every point of every build."""
        return [point for build in self.builds for point in build.points]


@dataclass(frozen=True)
class _Request:
    """One build of the grid with its searches, before its algorithm was asked about it."""

    entry: AlgorithmEntry
    index: int
    dataset: DatasetInfo
    dataset_ref: str
    build: dict[str, Any]
    searches: list[dict[str, Any]]
    stream: PlannedStream | None


def make_plan(loaded: LoadedConfig, find_dataset: Callable[[str], DatasetInfo], *, only: tuple[str, ...] = ()) -> Plan:
    """Work out the plan. `only` keeps the algorithms whose name or label matches one of its patterns.

    Raises ConfigError, with the line, for anything that could not run.
    """
    config = loaded.config
    _check_task(loaded)
    _check_cores(loaded)
    datasets = {name: find_dataset(name) for name in config.dataset}
    for dataset in datasets.values():
        for query_set in config.query_set:
            if query_set not in dataset.query_sets:
                raise UnknownNameError(
                    f"query set of {dataset.name}", query_set, dataset.query_sets, where=loaded.where("query_set")
                )
            if config.streaming is None:  # a runbook's truth is computed, whatever k is
                _check_k(loaded, dataset, query_set)
    streams = {name: plan_stream(loaded, dataset) for name, dataset in datasets.items()}
    requests, left_out = _expand(loaded, datasets, streams, only)
    answers = _describe(loaded, requests)
    builds: dict[str, PlannedBuild] = {}
    for request, answer in zip(requests, answers, strict=True):
        for build in _planned(loaded, request, answer):
            known = builds.get(build.digest)
            builds[build.digest] = build if known is None else _merged(known, build)
    return Plan(config, loaded.config.title or loaded.name, tuple(builds.values()), left_out)


def interpreter(base_dir: Path, python: str | None) -> str | None:
    """The `python:` of a config as a path that holds anywhere: relative ones are relative to the config's folder.

    Links are kept: what makes a virtual environment one is the link's own place.
    """
    return str(base_dir.absolute() / Path(python).expanduser()) if python and "/" in python else python


def _check_task(loaded: LoadedConfig) -> None:
    if loaded.config.task not in TASKS:
        raise UnknownNameError("task", loaded.config.task, TASKS, where=loaded.where("task"))


def _check_cores(loaded: LoadedConfig) -> None:
    measure, cores = loaded.config.measure, len(available_cores())
    for field, threads in (("threads", measure.threads), ("build_threads", measure.build_threads or 1)):
        if threads > cores:
            raise ConfigError(
                f"{field}={threads} exceeds the {cores} core(s) this process may use",
                where=loaded.where("measure", field),
                remedy=f"set {field} <= {cores}",
            )


def _check_k(loaded: LoadedConfig, dataset: DatasetInfo, query_set: str) -> None:
    k, stored = loaded.config.k, dataset.query_sets[query_set].truth_k
    if k > stored:
        of = "" if query_set == DEFAULT_QUERY_SET else f" of query set {query_set}"
        raise ConfigError(
            f"k={k} exceeds the {stored} true neighbours that {dataset.name} has per query{of}",
            where=loaded.where("k"),
            remedy=f"set k <= {stored}, or add the data again with --k {k}",
        )


def _expand(
    loaded: LoadedConfig,
    datasets: Mapping[str, DatasetInfo],
    streams: Mapping[str, PlannedStream | None],
    only: tuple[str, ...],
) -> tuple[list[_Request], int]:
    requests: list[_Request] = []
    left_out = 0
    chosen = list(_chosen(loaded, only))
    for ref, dataset in datasets.items():
        for index, entry in chosen:
            constraints = [
                Constraint(text, where=loaded.where("algorithms", index, "constraints", i))
                for i, text in enumerate(entry.constraints)
            ]
            facts = {"k": loaded.config.k, "n": dataset.n, "dim": dataset.dim}
            for build in (point for grid in entry.build for point in expand(grid)):
                searches = [point for grid in entry.search for point in expand(grid)]
                kept = []
                for search in searches:
                    names = {**facts, "build": build, "search": search, **build, **search}
                    if all(constraint.holds(names) for constraint in constraints):
                        kept.append(search)
                left_out += len(searches) - len(kept)
                if kept:
                    requests.append(_Request(entry, index, dataset, ref, build, kept, streams[ref]))
    return requests, left_out


def _chosen(loaded: LoadedConfig, only: tuple[str, ...]) -> Iterator[tuple[int, AlgorithmEntry]]:
    entries = list(enumerate(loaded.config.algorithms))
    names = {name for _, entry in entries for name in _names(entry)}
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UnknownNameError("algorithm or label in this config", pattern, sorted(names), where="--only")
    return ((i, e) for i, e in entries if not only or any(fnmatchcase(n, p) for n in _names(e) for p in only))


def _names(entry: AlgorithmEntry) -> list[str]:
    return [entry.algorithm, *([] if entry.label is None else [entry.label])]


def _describe(loaded: LoadedConfig, requests: list[_Request]) -> list[dict[str, Any]]:
    """Ask each interpreter once about all its algorithms; a child does it, since their code may do anything."""
    answers: dict[int, dict[str, Any]] = {}
    for python in dict.fromkeys(request.entry.python for request in requests):
        mine = [i for i, request in enumerate(requests) if request.entry.python == python]
        entries = [_question(loaded, requests[i]) for i in mine]
        where = loaded.where("algorithms", requests[mine[0]].index, "python" if python else "algorithm")
        try:
            with (
                tempfile.TemporaryDirectory(prefix="annbench-") as folder,
                Child(WORKER, folder=Path(folder), python=interpreter(loaded.path.parent, python)) as child,
            ):
                reply = child.request("describe", DESCRIBE_SECONDS, entries=entries)
        except (ChildFailedError, WorkerError) as error:
            remedy = f"check the path, then: {python} -m pip install annbench" if python else "correct the file"
            raise ConfigError(f"its process failed: {error}", where=where, remedy=remedy) from error
        if reply["type"] == "failed":
            raise ConfigError(reply["detail"], where=where, remedy="correct the algorithm's file")
        for i, answer in zip(mine, reply["entries"], strict=True):
            answers[i] = answer
    return [answers[i] for i in range(len(requests))]


def _question(loaded: LoadedConfig, request: _Request) -> dict[str, Any]:
    dataset, distance, stream = request.dataset, distance_of(request.dataset.metric), request.stream
    return {
        "algorithm": request.entry.algorithm,
        "base_dir": str(loaded.path.resolve().parent),
        "called_from": str(Path.cwd()),  # as datasets are: a config of ours knows of no file of the caller's
        "build": request.build,
        "searches": request.searches,
        "context": {
            # What an index of a runbook learns, and whether that is possible, depends on the first step.
            "n": dataset.n if stream is None else stream.runbook.first_insert,
            "dim": distance.reduced_dim(dataset.dim),
            "k": loaded.config.k,
            "metric": distance.served_by,
        },
        "most": dataset.n if stream is None else stream.runbook.max_points,
    }


def _planned(loaded: LoadedConfig, request: _Request, answer: dict[str, Any]) -> Iterator[PlannedBuild]:
    if "error" in answer:
        part = answer["part"]
        # The child knows the parameter, the file its line; without one, the line of the part it is in.
        field = str(answer["error"]).partition("=")[0].strip()
        where = loaded.where("algorithms", request.index, part, field)
        raise ConfigError(answer["error"], where=where, remedy=answer["remedy"])
    config, dataset = loaded.config, request.dataset
    measure = config.measure
    build_threads = measure.build_threads or len(available_cores())
    unsupported = None
    if distance_of(dataset.metric).served_by not in answer["metrics"]:
        unsupported = f"{answer['name']} does not support {dataset.metric}, only {', '.join(answer['metrics'])}"
    elif request.stream is not None and answer["cannot_update"]:
        unsupported = f"{answer['name']} cannot be changed: {answer['cannot_update']}"
    stored = {name: dataset.query_sets[name].count for name in config.query_set}
    for build_index in range(measure.builds if answer["varies"] else 1):
        shared = {
            "dataset_sha256": dataset.sha256,
            "algorithm": answer["name"],
            "source_sha256": answer["source_sha256"],
            "python": answer["python"] if request.entry.python else None,
            "build": answer["build"],
            "build_threads": build_threads,
            "build_index": build_index,
            "library_versions": answer["library_versions"],
            "isa": isa(),
            "machine_id": machine_id(),
        }
        if request.entry.label is not None:
            shared["label"] = request.entry.label
        if request.stream is not None:
            shared["stream"] = request.stream.key()
        points = tuple(
            PlannedPoint(
                PointKey(
                    **shared,
                    query_set=query_set,
                    task=config.task,
                    k=config.k,
                    mode=mode,
                    threads=measure.threads if mode == "batch" else 1,
                    queries=min(stored[query_set], measure.queries or stored[query_set]),
                    passes=measure.passes,
                    warmup=measure.warmup,
                    search=described["search"],
                    seed=measure.seed,
                    worker_index=worker,
                    interleaved=measure.interleave,
                ),
                Cost(**described["cost"]) if described["cost"] else None,
                1 if request.stream is None else request.stream.runbook.searches,
            )
            for worker in range(measure.workers)
            for query_set in config.query_set
            for described in answer["searches"]
            for mode in dict.fromkeys(measure.modes)
        )
        yield PlannedBuild(
            digest=digest_of(shared),
            dataset=dataset,
            dataset_ref=request.dataset_ref,
            algorithm=answer["name"],
            spec=request.entry.algorithm,
            base_dir=loaded.path.resolve().parent,
            python=interpreter(loaded.path.parent, request.entry.python),
            params=answer["params"],
            build_threads=build_threads,
            can_save=answer["can_save"],
            unsupported=unsupported,
            known_limits=tuple(answer["known_limits"]),
            points=points,
            stream=request.stream,
        )


def _merged(first: PlannedBuild, second: PlannedBuild) -> PlannedBuild:
    """The same index asked for twice: built once, every distinct point measured once."""
    points = {point.key.digest: point for point in (*first.points, *second.points)}
    return replace(first, points=tuple(points.values()))
