"""The only place that reads the clock around an adapter's call.

Inside the timed part there is the adapter's call and nothing else: no scoring, no conversion, no pool creation, no
progress. The collector of garbage is off meanwhile, so that its pauses are not charged to whoever is being measured.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns, process_time_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

Search = Callable[[Any, int], Any]


@dataclass(frozen=True)
class Pass:
    """One pass over all queries.

    `elapsed_ns` is the time that counts for throughput: the sum of the calls in single mode, the one call of a batch,
    and from the first start to the last end for concurrent clients. `latencies_ns` (q,) int64 is None for a batch.
    `wall_ns` and `cpu_ns` cover the same stretch for all threads of the process: their ratio is the thread audit.
    """

    outputs: Any
    elapsed_ns: int
    latencies_ns: NDArray[np.int64] | None
    wall_ns: int
    cpu_ns: int


@dataclass(frozen=True)
class Timed:
    """One call, its wall and CPU time."""

    value: Any
    wall_ns: int
    cpu_ns: int

    @property
    def seconds(self) -> float:
        """Wall time in seconds."""
        return self.wall_ns / 1e9

    @property
    def cpu_ratio(self) -> float:
        """CPU time ÷ wall time."""
        return self.cpu_ns / max(self.wall_ns, 1)


def time_call(call: Callable[[], Any]) -> Timed:
    """Run `call` once: builds, saves and loads."""
    with _quiet():
        cpu, start = process_time_ns(), perf_counter_ns()
        value = call()
        end = perf_counter_ns()
        return Timed(value, end - start, process_time_ns() - cpu)


def time_each(search: Search, queries: Sequence[Any], k: int) -> Pass:
    """One call a query, in order; every latency is kept."""
    count = len(queries)
    outputs: list[Any] = [None] * count
    latencies = [0] * count
    clock = perf_counter_ns
    with _quiet():
        cpu, first = process_time_ns(), clock()
        for i in range(count):
            query = queries[i]
            start = clock()
            output = search(query, k)
            end = clock()
            outputs[i] = output
            latencies[i] = end - start
        wall = clock() - first
        cpu = process_time_ns() - cpu
    kept = np.array(latencies, dtype=np.int64)
    return Pass(outputs, int(kept.sum()), kept, wall, cpu)


def time_batch(search_batch: Search, queries: Any, k: int) -> Pass:
    """All queries in one call."""
    timed = time_call(lambda: search_batch(queries, k))
    return Pass(timed.value, timed.wall_ns, None, timed.wall_ns, timed.cpu_ns)


def time_clients(
    search: Search, queries: Sequence[Any], k: int, clients: int, enter: Callable[[], None] = lambda: None
) -> Pass:
    """`clients` threads of single calls, all started at one barrier; client i takes queries i, i+clients, …

    `enter` is called once in each thread before the barrier.
    """
    count = len(queries)
    outputs: list[Any] = [None] * count
    latencies = np.zeros(count, dtype=np.int64)
    errors: list[BaseException] = []
    gate = threading.Barrier(clients + 1)
    ends = [0] * clients

    def client(index: int) -> None:
        mine = range(index, count, clients)
        taken = [0] * len(mine)
        clock = perf_counter_ns
        try:
            enter()
        except BaseException as error:
            errors.append(error)
        gate.wait()
        try:
            for position, i in enumerate(mine):
                query = queries[i]
                start = clock()
                output = search(query, k)
                taken[position] = clock() - start
                outputs[i] = output
        except BaseException as error:
            errors.append(error)
        ends[index] = clock()
        latencies[index::clients] = taken

    threads = [threading.Thread(target=client, args=(i,), daemon=True) for i in range(clients)]
    for thread in threads:
        thread.start()
    with _quiet():
        cpu, start = process_time_ns(), perf_counter_ns()
        gate.wait()
        for thread in threads:
            thread.join()
        wall = max(ends) - start
        cpu = process_time_ns() - cpu
    if errors:
        raise errors[0]
    return Pass(outputs, wall, latencies, wall, cpu)


def thread_count() -> int:
    """Threads of this process now, sleeping pools included."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:  # not Linux: those that Python knows of
        return threading.active_count()


@contextmanager
def _quiet() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
