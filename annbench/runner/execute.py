"""Runs a plan: builds, workers, points; each finished point is stored before the next begins."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from annbench.errors import ConfigError
from annbench.processes.interrupts import interrupts_wait
from annbench.processes.kernel import adopt_orphans
from annbench.results.schema import BuildSummary, LoadSummary, Phase, Record, Status, canonical_json
from annbench.results.store import KeptBuild, ResultStore
from annbench.runner.asking import answer, changed, out_of_the_way, search_cores
from annbench.runner.environment import capture_environment, memory_ceiling
from annbench.runner.pinning import available_cores
from annbench.runner.plan import WORKER, Plan, PlannedBuild, PlannedPoint
from annbench.runner.protocol import Message
from annbench.runner.recording import Measured, Recorder
from annbench.runner.supervisor import Child, ChildFailedError

SCORE_SECONDS = 1800.0
MEMORY_SHARE = 0.8


class Observer:
    """Told what happens, between measurements and never during one. Override what you want to show."""

    def starting(self, builds: Sequence[PlannedBuild], points: Sequence[PlannedPoint]) -> None:
        """These builds and points are missing and will be measured."""

    def building(self, build: PlannedBuild, reused: bool) -> None:
        """An index is about to be built, or was found complete from an interrupted run."""

    def built(self, build: PlannedBuild, summary: BuildSummary) -> None:
        """An index was built and saved."""

    def stored(self, record: Record) -> None:
        """A point was measured, or failed, and is on disk."""

    def adding(self, points: Sequence[PlannedPoint]) -> None:
        """These points were not planned, and will be measured too."""


# From what is stored of a plan to what else is worth measuring: digest of a point's key → searches to add beside it.
More = Callable[[Sequence[Record]], Mapping[str, Sequence[Mapping[str, Any]]]]


@dataclass(frozen=True)
class Outcome:
    """What became of the plan's points: statuses of all, and how many of them this call measured."""

    statuses: Counter[Status]
    measured: int

    @property
    def failed(self) -> int:
        """Points whose status is not `ok`."""
        return sum(count for status, count in self.statuses.items() if status != "ok")


@dataclass
class _Subject:
    """A build with its index, and the worker that has it loaded."""

    build: PlannedBuild
    todo: list[PlannedPoint]
    kept: KeptBuild | None = None
    summary: BuildSummary | None = None
    load: LoadSummary | None = None
    child: Child | None = None

    @property
    def build_index(self) -> int:
        """Which of the fresh builds of its configuration it is."""
        return self.build.points[0].key.build_index


@dataclass
class Execution:
    """One call of `annbench run`."""

    plan: Plan
    store: ResultStore
    scratch: Path  # where workers run: what a library drops in its working folder stays out of the user's
    observer: Observer = field(default_factory=Observer)
    fresh: bool = False
    retry_failed: bool = False
    more: More | None = None

    def __post_init__(self) -> None:
        limits = self.plan.config.limits
        self.memory_bytes = limits.memory or int(MEMORY_SHARE * memory_ceiling())
        self.statuses: Counter[Status] = Counter()
        self.measured = 0

    def run(self) -> Outcome:
        """Measure whatever is missing. An interrupt leaves the store valid and every child gone."""
        adopt_orphans()
        with ExitStack() as stack:
            self.scorer: Child | None = None
            stack.callback(self._close_scorer)
            subjects = [_Subject(build, self._missing(build)) for build in self.plan.builds]
            missing = [subject for subject in subjects if subject.todo]
            self.observer.starting([s.build for s in missing], [point for s in missing for point in s.todo])
            if missing or self.more is not None:
                self.recorder = Recorder(self.plan, capture_environment())
            if self.more is not None:
                # One worker is enough to find the points; then all others measure all of them in the same blocks.
                self._run_all(subjects, first_workers=True)
                while self._add_points(subjects, self.more):
                    self._run_all(subjects, first_workers=True)
            self._run_all(subjects)
            for subject in subjects:  # also what a run left that was killed after its last point
                self.store.drop_build(subject.build.digest)
        return Outcome(self.statuses, self.measured)

    def _run_all(self, subjects: list[_Subject], *, first_workers: bool = False) -> None:
        for group in self._groups(subjects):
            self._run_group([subject for subject in group if subject.todo], first_workers)

    def _add_points(self, subjects: list[_Subject], more: More) -> bool:
        """Plan what `more` asks for beside the points measured so far; whether that was anything new."""
        stored = [self._stored(subject.build, point) for subject in subjects for point in subject.build.points]
        wanted = more([record for record in stored if record is not None])
        added: list[PlannedPoint] = []
        for subject in subjects:
            fresh = list(_beside(subject.build, wanted))
            subject.build = replace(subject.build, points=(*subject.build.points, *fresh))
            subject.todo += self._missing(replace(subject.build, points=tuple(fresh)))
            added += fresh
        self.plan = replace(self.plan, builds=tuple(subject.build for subject in subjects))
        if added:
            self.observer.adding(added)
        return bool(added)

    def _missing(self, build: PlannedBuild) -> list[PlannedPoint]:
        missing = []
        for point in build.points:
            found = None if self.fresh else self._stored(build, point)
            if found is None or (self.retry_failed and found.status != "ok"):
                missing.append(point)
            else:
                self.statuses[found.status] += 1
        return missing

    def _stored(self, build: PlannedBuild, point: PlannedPoint) -> Record | None:
        return self.store.find(build.dataset.name, build.algorithm, point.key.digest)

    def _groups(self, subjects: list[_Subject]) -> Iterator[list[_Subject]]:
        """Builds that are measured together: one, or with `interleave` all of a dataset."""
        if not self.plan.config.measure.interleave:
            yield from ([subject] for subject in subjects)
            return
        for name in dict.fromkeys(subject.build.dataset.name for subject in subjects):
            yield [subject for subject in subjects if subject.build.dataset.name == name]

    def _run_group(self, group: list[_Subject], first_workers: bool) -> None:
        """Measure what is missing of these builds; with `first_workers`, only in the first worker of each."""
        if not group:
            return
        ready = [subject for subject in group if self._make_ready(subject)]
        by_build = [[s for s in ready if s.build_index == i] for i in sorted({s.build_index for s in ready})]
        for together in by_build:
            self._check_together(together)
        for together in by_build:
            workers = {point.key.worker_index for subject in together for point in subject.todo}
            for worker in sorted(workers & {0} if first_workers else workers):
                while self._run_block(together, worker):
                    pass
        if not self.plan.config.measure.interleave and not first_workers:
            self.store.drop_build(group[0].build.digest)

    def _make_ready(self, subject: _Subject) -> bool:
        """Have the index on disk; if that fails, every point of it is recorded with the reason."""
        build = subject.build
        if build.unsupported:
            self._fail(subject, subject.todo, ChildFailedError("unsupported", build.unsupported), "build")
            return False
        if build.stream is not None:
            self.observer.building(build, reused=False)
            return True
        if not build.can_save or subject.kept is not None:
            return True
        subject.kept = None if self.fresh else self.store.kept_build(build.digest)
        self.observer.building(build, reused=subject.kept is not None)
        if subject.kept is None:
            try:
                subject.kept = self._build(build)
            except ChildFailedError as error:
                self._fail(subject, subject.todo, error, "build")
                self.store.drop_build(build.digest)
                return False
            self.observer.built(build, subject.kept.summary)
        subject.summary = subject.kept.summary
        return True

    def _build(self, build: PlannedBuild) -> KeptBuild:
        folder = self.store.build_folder(build.digest)
        cores = tuple(available_cores())[: build.build_threads]
        with self._child(build, cores, build.build_threads) as child:
            reply = answer(
                child, "build", self.plan.config.limits.build,
                **self._common(build), folder=str((folder / "index").resolve()),
            )  # fmt: skip
        return self.store.keep_build(build.digest, BuildSummary.model_validate(reply["build"]))

    def _check_together(self, group: list[_Subject]) -> None:
        """Interleaved indexes are in memory at the same time: refuse before, not swap during."""
        needed = sum(subject.summary.index_bytes or 0 for subject in group if subject.summary)
        if len(group) > 1 and needed > self.memory_bytes:
            raise ConfigError(
                f"interleave: true needs {len(group)} indexes of together {needed / 2**30:.1f} GiB in memory at once, "
                f"and the limit is {self.memory_bytes / 2**30:.1f} GiB",
                where=self.plan.name,
                remedy="compare fewer builds at a time, or raise limits.memory",
            )

    def _run_block(self, group: list[_Subject], worker: int) -> bool:
        """One fresh worker per build, their points in shuffled turns, one at a time on the same cores.

        All load before the first point, so that no index is older than another: age costs time. If a worker dies, the
        block ends there, and whether points are left for another block is returned.
        """
        block_id = uuid.uuid4().hex[:16]
        dice = random.Random(f"{self.plan.config.measure.seed}/{block_id}")
        with ExitStack() as stack:
            stack.callback(_close_all, group)
            loaded = [s for s in dice.sample(group, len(group)) if self._load(s, worker)]
            for order, (subject, point) in enumerate(in_turns(loaded, worker, dice)):
                self._measure(subject, point, block_id, order)
                if subject.child is None and subject.build.stream is None:
                    break
        return any(point.key.worker_index == worker for subject in group for point in subject.todo)

    def _load(self, subject: _Subject, worker: int) -> bool:
        """Have a worker with the index in memory; if it cannot be, the worker's points are recorded as failed."""
        if subject.child is not None:
            return True
        remaining = [p for p in subject.todo if p.key.worker_index == worker]
        if not remaining:
            return False
        if subject.build.stream is not None:
            return True  # each point makes an index of its own, in a process of its own
        config, build = self.plan.config, subject.build
        threads = max(point.key.threads for point in remaining)
        child = self._child(build, search_cores(max(point.cores for point in remaining)), threads)
        try:
            reply = answer(
                child, "load", config.limits.build,
                **self._common(build),
                folder=None if subject.kept is None else str(subject.kept.folder.resolve()),
                query_sets={point.key.query_set: point.key.queries for point in remaining},
            )  # fmt: skip
        except ChildFailedError as error:
            child.kill()
            self._fail(subject, remaining, error, "load")
            return False
        except BaseException:
            child.kill()
            raise
        subject.child = child
        subject.load = LoadSummary.model_validate(reply["load"])
        if reply["build"] is not None:
            subject.summary = BuildSummary.model_validate(reply["build"])
        return True

    def _measure(self, subject: _Subject, point: PlannedPoint, block_id: str, order: int) -> None:
        started = self.recorder.now()
        spool = self.scratch / "spool.npz"
        phase: Phase = "search" if subject.build.stream is None else "stream"
        try:
            reply = self._ask(subject, point, spool)
        except ChildFailedError as error:
            if subject.child is not None and subject.child.process.poll() is not None:
                subject.child = None  # it died of this point; the next one gets a new worker
            self._fail(subject, [point], error, phase, block_id, order)
            return
        try:
            scored = self._score(subject.build, point, spool)
        except ChildFailedError as error:
            # Ids that are none are the search's fault; whatever else keeps them from being scored is not.
            phase = phase if error.status == "invalid_output" else "score"
            self._fail(subject, [point], error, phase, block_id, order)
            return
        measured = Measured(reply, scored["recall"], spool, started, block_id, order)
        if subject.build.stream is None:
            record, arrays = self.recorder.measured(subject.build, point, subject.summary, subject.load, measured)
        else:
            record, arrays = self.recorder.streamed(subject.build, point, measured)
        self._keep(subject, point, record, arrays)

    def _ask(self, subject: _Subject, point: PlannedPoint, spool: Path) -> Message:
        """Have a worker measure the point. Raises ChildFailedError."""
        cores, key = search_cores(point.cores), point.key
        asked = {
            "query_set": key.query_set, "search": key.search, "mode": key.mode, "threads": key.threads,
            "passes": key.passes, "warmup": key.warmup, "cores": list(cores), "spool": str(spool),
        }  # fmt: skip
        if subject.build.stream is not None:
            return self._ask_stream(subject.build, point, asked)
        assert subject.child is not None
        with out_of_the_way(cores):
            return answer(subject.child, "point", self.plan.config.limits.point, **asked)

    def _ask_stream(self, build: PlannedBuild, point: PlannedPoint, asked: Message) -> Message:
        """A fresh worker goes through the runbook, which leaves no index that could serve another point."""
        assert build.stream is not None
        update_cores = search_cores(build.build_threads)
        cores = search_cores(max(point.cores, build.build_threads))
        note = self.scratch / "step"
        note.unlink(missing_ok=True)
        try:
            with out_of_the_way(cores), self._child(build, cores, len(cores)) as child:
                return answer(
                    child, "stream", self.plan.config.limits.point, **asked, **self._common(build),
                    **build.stream.request(), queries=point.key.queries, update_cores=list(update_cores),
                    note=str(note),
                )  # fmt: skip
        except ChildFailedError as error:
            step = f"{note.read_text()}: " if note.exists() else ""
            raise ChildFailedError(error.status, step + error.detail) from error

    def _score(self, build: PlannedBuild, point: PlannedPoint, spool: Path) -> Message:
        if self.scorer is None:
            self.scorer = Child(WORKER, folder=self.scratch, threads=len(available_cores()))
        try:
            return answer(
                self.scorer, "score", SCORE_SECONDS * point.searches,
                dataset=build.dataset.path, task=point.key.task, query_set=point.key.query_set,
                queries=point.key.queries, k=point.key.k, spool=str(spool),
                runbook=None if build.stream is None else build.stream.request()["runbook"],
                truths=str(self.store.truths_folder(build.dataset.sha256).resolve()),
            )  # fmt: skip
        except ChildFailedError as error:
            if self.scorer.process.poll() is not None:
                self.scorer = None  # it died of this point; the next one gets a new one
            what = changed(build.dataset)
            if not what:
                raise
            raise ChildFailedError(error.status, f"{what}; {error.detail}") from error

    def _fail(
        self,
        subject: _Subject,
        points: list[PlannedPoint],
        error: ChildFailedError,
        phase: Phase,
        block_id: str = "",
        order: int = 0,
    ) -> None:
        for point in list(points):
            record = self.recorder.failed(subject.build, point, subject.summary, error, phase, block_id, order)
            self._keep(subject, point, record, {})

    def _keep(self, subject: _Subject, point: PlannedPoint, record: Record, arrays: dict[str, Any]) -> None:
        self.store.write(record, arrays)
        subject.todo.remove(point)
        self.statuses[record.status] += 1
        self.measured += 1
        self.observer.stored(record)

    def _common(self, build: PlannedBuild) -> dict[str, Any]:
        return {
            "algorithm": build.spec,
            "base_dir": str(build.base_dir),
            "dataset": build.dataset.path,
            "build": dict(build.params),
            "build_threads": build.build_threads,
            "build_index": build.points[0].key.build_index,
            "task": self.plan.config.task,
            "k": self.plan.config.k,
        }

    def _child(self, build: PlannedBuild, cores: tuple[int, ...], threads: int) -> Child:
        return Child(
            WORKER,
            folder=self.scratch,
            python=build.python,
            cores=cores,
            threads=threads,
            memory_bytes=self.memory_bytes,
        )

    def _close_scorer(self) -> None:
        if self.scorer is not None:
            self.scorer.close()


def _beside(build: PlannedBuild, wanted: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[PlannedPoint]:
    """The points that `wanted` adds to a build, in every worker of those that they stand beside."""
    known = {point.key.digest for point in build.points}
    searches: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for point in build.points:
        for search in wanted.get(point.key.digest, ()):
            searches.setdefault(_search_of(point), []).append(search)
    for point in build.points:
        for search in searches.get(_search_of(point), ()):
            key = point.key.model_copy(update={"search": dict(search)})
            if key.digest not in known:
                known.add(key.digest)
                yield PlannedPoint(key, None)


def in_turns(group: Sequence[_Subject], worker: int, dice: random.Random) -> list[tuple[_Subject, PlannedPoint]]:
    """The worker's missing points in random order, but what will be compared back to back.

    That is the same search on several builds or, where a build has searches of its own, the one in the same place of
    its grid.
    """
    searches = Counter(search for subject in group for search in {_search_of(p) for p in subject.build.points})
    turns: dict[tuple[Any, ...], list[tuple[_Subject, PlannedPoint]]] = {}
    for subject in group:
        places = {search: i for i, search in enumerate(dict.fromkeys(_search_of(p) for p in subject.build.points))}
        for point in subject.todo:
            if point.key.worker_index == worker:
                search = _search_of(point)
                turn = ("same", search) if searches[search] > 1 else ("place", point.key.mode, places[search])
                turns.setdefault(turn, []).append((subject, point))
    shuffled = dice.sample(list(turns.values()), len(turns))
    return [pair for turn in shuffled for pair in dice.sample(turn, len(turn))]


def _search_of(point: PlannedPoint) -> tuple[str, str, str]:
    return point.key.query_set, point.key.mode, canonical_json(point.key.search)


def _close_all(group: list[_Subject]) -> None:
    with interrupts_wait():  # or the second Ctrl-C would leave some of them
        for subject in group:
            if subject.child is not None:
                subject.child.close()
                subject.child = None
