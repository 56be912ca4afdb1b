"""What a worker does with a runbook: makes an index of its first step, and changes and searches it from there on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.algorithms.updatable import Updatable
from annbench.datasets.dataset import Dataset
from annbench.datasets.runbook import Delete, Replace, Runbook, Search, Step
from annbench.distances.registry import distance_of
from annbench.errors import UnsupportedError
from annbench.runner import disturbance
from annbench.runner.memory import grown_bytes, resident_bytes, settle
from annbench.runner.pinning import pin, unpinned
from annbench.runner.session import Subject, measure_folder, one_pass, overhead_ns, parsed
from annbench.runner.timing import Pass, Timed, thread_count, time_call
from annbench.tasks.registry import load_task


def run_stream(request: Mapping[str, Any]) -> dict[str, Any]:
    """Go through `request["runbook"]`, leaving ids and raw times in `request["spool"]` (npz), and before each step its
    name in `request["note"]`: of a process that dies, that is what is known.
    """
    stream = _Stream(request)
    for number, step in enumerate(stream.runbook.steps):
        stream.note.write_text(f"step {number + 1} of {len(stream.runbook.steps)} ({step.operation})")
        stream.take(number, step)
    return stream.finish()


@dataclass
class _Taken:
    """Raw figures of what was done so far."""

    facts: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[int, Timed]] = field(default_factory=list)  # step from 0, one update call
    passes: list[list[Pass]] = field(default_factory=list)  # of every search step, without outputs
    ids: list[NDArray[np.int64]] = field(default_factory=list)
    disturbed: dict[str, int] = field(default_factory=dict)


class _Stream:
    def __init__(self, request: Mapping[str, Any]) -> None:
        self.request = request
        self.runbook = Runbook.model_validate(request["runbook"])
        self.note, self.dataset = Path(request["note"]), Path(request["dataset"])
        self.subject = Subject(request)
        self.task = load_task(request["task"])
        self.k, self.mode = int(request["k"]), str(request["mode"])
        self.search = parsed(self.subject.kind.SearchParams, request["search"])
        self.search_cores, self.update_cores = tuple(request["cores"]), tuple(request["update_cores"])
        with Dataset(self.dataset) as dataset:
            self.distance = distance_of(dataset.info.metric)
            self.metric = self.distance.served_by
            self.adapter = self._updatable()
            self.subject.offer_queries(dataset)
            asked = dataset.queries(request["query_set"])[: request["queries"]]
        self.queries = self.distance.reduced_queries(asked)
        self.rows = list(self.queries)
        self.overhead = overhead_ns(self.metric, self.queries, self.rows, self.k)
        self.taken, self.present = _Taken(), 0
        settle()
        self.before = resident_bytes()

    def take(self, number: int, step: Step) -> None:
        """One step."""
        cores = self.search_cores if isinstance(step, Search) else self.update_cores
        pin(cores)
        disturbed = disturbance.counters(cores)
        if isinstance(step, Search):
            self._search()
        else:
            self._update(number, step)
        for name, value in disturbance.since(disturbed, cores).items():
            self.taken.disturbed[name] = self.taken.disturbed.get(name, 0) + value
        last = number + 1 == len(self.runbook.steps)
        count = len(self.rows) if isinstance(step, Search) else step.touched
        self.taken.facts.append(
            {
                "operation": step.operation,
                "count": count,
                "present": self.present,
                **(self._sizes() if isinstance(step, Search) or last else {}),
            }
        )

    def finish(self) -> dict[str, Any]:
        """Leave the arrays, and tell the rest."""
        taken = self.taken
        arrays: dict[str, Any] = {
            "ids": np.stack(taken.ids),
            "call_ns": np.array([timed.wall_ns for _, timed in taken.calls], dtype=np.int64),
            "call_step": np.array([number for number, _ in taken.calls], dtype=np.int64),
        }
        for name, attribute in (("pass_ns", "elapsed_ns"), ("pass_wall_ns", "wall_ns"), ("pass_cpu_ns", "cpu_ns")):
            values = [[getattr(done, attribute) for done in passes] for passes in taken.passes]
            arrays[name] = np.array(values, dtype=np.int64)
        if taken.passes[0][0].latencies_ns is not None:
            arrays["latencies_ns"] = np.array([[p.latencies_ns for p in passes] for passes in taken.passes])
        np.savez(self.request["spool"], **arrays)
        return {
            "steps": taken.facts,
            "thread_count": thread_count(),
            "unpinned": list(unpinned(self.search_cores if self._ended_searching() else self.update_cores)),
            "overhead_ns": None if self.mode == "batch" else self.overhead,
            "disturbance": taken.disturbed,
            "counters": {str(k): int(v) for k, v in self.adapter.counters().items()},
        }

    def _updatable(self) -> Updatable:
        reason = self.subject.kind.cannot_update(self.subject.params)
        if reason is not None or not isinstance(self.subject.adapter, Updatable):
            raise UnsupportedError(reason or "is no Updatable", remedy="choose an algorithm that takes updates")
        self.subject.check_metric(self.metric)
        return self.subject.adapter

    def _update(self, number: int, step: Step) -> None:
        adapter, threads = self.adapter, self.subject.threads
        with Dataset(self.dataset) as dataset:  # closed before memory is measured, so that a file is not an index
            for ids, rows in self._pieces(number, step):
                vectors = None if rows is None else self._vectors(dataset, rows)
                change: Callable[[], object]
                if number == 0:
                    params, most = self.subject.params, self.runbook.max_points
                    change = partial(adapter.start, ids, vectors, self.metric, params, threads, most)
                elif isinstance(step, Delete):
                    change = partial(adapter.delete, ids)
                else:
                    change = partial(
                        adapter.replace if isinstance(step, Replace) else adapter.insert, ids, vectors, threads
                    )
                self.taken.calls.append((number, time_call(change)))
        if not isinstance(step, Replace):
            self.present += -step.touched if isinstance(step, Delete) else step.touched

    def _pieces(self, number: int, step: Step) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64] | None]]:
        """Ids and rows of each call. The first step is one: what an index learns, it learns of all of it."""
        if isinstance(step, Replace):
            first, source = step.tags_start, step.ids_start
        else:
            assert not isinstance(step, Search)
            first = source = step.start
        size = step.touched if number == 0 else self.request["update_batch"] or step.touched
        for start in range(0, step.touched, size):
            offsets = np.arange(start, min(start + size, step.touched), dtype=np.int64)
            yield first + offsets, None if isinstance(step, Delete) else source + offsets

    def _vectors(self, dataset: Dataset, rows: NDArray[np.int64]) -> Any:
        vectors = self.distance.reduced_base(dataset.base_rows(rows))
        return np.ascontiguousarray(vectors) if isinstance(vectors, np.ndarray) else vectors

    def _search(self) -> None:
        self.adapter.configure(self.search, int(self.request["threads"]) if self.mode == "batch" else 1)
        for _ in range(int(self.request["warmup"])):
            self._pass()
        best: Pass | None = None
        kept = []
        for _ in range(int(self.request["passes"])):
            done = self._pass()
            if best is None or done.elapsed_ns < best.elapsed_ns:
                best = done
            kept.append(Pass(None, done.elapsed_ns, done.latencies_ns, done.wall_ns, done.cpu_ns))
        assert best is not None
        self.taken.ids.append(self.task.ids(best.outputs, len(self.rows), self.k))
        self.taken.passes.append(kept)

    def _pass(self) -> Pass:
        return one_pass(self.task, self.adapter, self.mode, self.queries, self.rows, self.k)

    def _sizes(self) -> dict[str, int | None]:
        """Of the index as it is now."""
        settle()
        sizes: dict[str, int | None] = {"resident_bytes": grown_bytes(self.before), "index_bytes": None}
        if not self.request["index_bytes"]:
            return sizes
        sizes["index_bytes"] = self.adapter.index_bytes()
        if sizes["index_bytes"] is None and self.subject.kind.can_save:
            with tempfile.TemporaryDirectory(prefix="index-", dir=self.note.parent) as folder:
                self.adapter.save(Path(folder))
                sizes["index_bytes"] = measure_folder(Path(folder))[0]
        return sizes

    def _ended_searching(self) -> bool:
        return isinstance(self.runbook.steps[-1], Search)
