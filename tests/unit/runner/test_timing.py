"""The timed part: what it keeps, and that it measures time."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

from annbench.runner.timing import time_batch, time_call, time_clients, time_each

QUERIES = np.arange(40, dtype=np.float32).reshape(20, 2)


def answer(query: np.ndarray, k: int) -> np.ndarray:
    return np.full(k, int(query[0]), dtype=np.int64)


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_each_call_keeps_its_output_and_latency() -> None:
    done = time_each(answer, list(QUERIES), 3)
    assert [output.tolist() for output in done.outputs] == [[int(q[0])] * 3 for q in QUERIES]
    assert done.latencies_ns is not None
    assert done.latencies_ns.shape == (20,)
    assert done.elapsed_ns == done.latencies_ns.sum() <= done.wall_ns


def test_a_slow_call_is_a_long_latency() -> None:
    def sometimes(query: np.ndarray, k: int) -> np.ndarray:
        busy(0.02 if query[0] == 10 else 0)
        return answer(query, k)

    done = time_each(sometimes, list(QUERIES), 1)
    assert done.latencies_ns is not None
    # Any other call may be a long one on a busy machine, but not half of them.
    assert done.latencies_ns[5] >= 20_000_000 > np.median(done.latencies_ns)


def test_clients_answer_every_query_once() -> None:
    seen: list[int] = []
    lock = threading.Lock()

    def noted(query: np.ndarray, k: int) -> np.ndarray:
        with lock:
            seen.append(int(query[0]))
        return answer(query, k)

    done = time_clients(noted, list(QUERIES), 2, 3)
    assert sorted(seen) == [int(q[0]) for q in QUERIES]
    assert [output.tolist() for output in done.outputs] == [[int(q[0])] * 2 for q in QUERIES]
    assert done.latencies_ns is not None
    assert (done.latencies_ns > 0).all()


def test_an_error_in_a_client_is_not_lost() -> None:
    def fails(query: np.ndarray, k: int) -> np.ndarray:
        if query[0] == 6:
            raise ValueError("no")
        return answer(query, k)

    with pytest.raises(ValueError, match="no"):
        time_clients(fails, list(QUERIES), 1, 2)


def test_a_batch_is_one_call() -> None:
    done = time_batch(lambda queries, k: queries[:, :k], QUERIES, 1)
    assert done.outputs.shape == (20, 1)
    assert done.latencies_ns is None


def test_cpu_ratio_tells_work_from_waiting() -> None:
    def work() -> None:
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass

    waited, worked = time_call(lambda: time.sleep(0.2)), time_call(work)
    assert worked.cpu_ns >= 200_000_000
    assert worked.cpu_ratio > waited.cpu_ratio < 0.5


def test_no_collection_inside_the_timed_part() -> None:
    states: list[bool] = []
    time_call(lambda: states.append(gc.isenabled()))
    assert states == [False]
    assert gc.isenabled()
