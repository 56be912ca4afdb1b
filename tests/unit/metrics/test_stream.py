"""Figures of a runbook from its raw times."""

from __future__ import annotations

import numpy as np
import pytest

from annbench.metrics.recall import RecallSummary
from annbench.metrics.stream import StreamRecall, summarise_stream


def recall(value: float) -> RecallSummary:
    return RecallSummary(
        recall_at_k=value, recall_ids_at_k=value, recall_ann_benchmarks=value, recall_low=value, recall_high=value,
        recall_worst_decile=value, relative_distance_error=None, duplicate_ids=0, out_of_range_ids=0, missing_ids=0,
        ids_crc32c="00000000",
    )  # fmt: skip


FACTS = [
    {"operation": "insert", "count": 100, "present": 100},
    {"operation": "search", "count": 4, "present": 100, "index_bytes": 1000, "resident_bytes": 3000},
    {"operation": "insert", "count": 20, "present": 120},
    {"operation": "delete", "count": 110, "present": 10},
    {"operation": "search", "count": 4, "present": 10, "index_bytes": 500, "resident_bytes": None},
]
ARRAYS = {
    "call_ns": np.array([5_000_000_000, 1_000_000, 3_000_000, 11_000_000]),
    "call_step": np.array([0, 2, 2, 3]),
    "pass_ns": np.array([[4000, 2000], [8000, 9000]]),
    "latencies_ns": np.array([[[1000] * 4, [500] * 4], [[2000] * 4, [9999] * 4]]),
}


def test_the_first_step_is_in_no_rate() -> None:
    found = summarise_stream("r", FACTS, ARRAYS, StreamRecall(steps=(recall(0.9), recall(0.7))))
    assert found.start_seconds == 5
    assert (found.inserts_per_second, found.deletes_per_second) == (pytest.approx(5000), pytest.approx(10_000))
    assert found.updates_per_second == pytest.approx(130 / 0.015)
    assert found.replaces_per_second is found.replace is None
    assert found.insert is not None
    assert (found.insert.calls, found.insert.p50_us, found.insert.max_us) == (2, 2000, 3000)


def test_searches_are_of_their_best_pass() -> None:
    found = summarise_stream("r", FACTS, ARRAYS, StreamRecall(steps=(recall(0.9), recall(0.7))))
    assert found.qps == pytest.approx(8 / 10e-6)
    assert found.search is not None
    assert (found.search.calls, found.search.p50_us, found.search.max_us) == (8, 1.25, 2)
    assert (found.recall_mean, found.recall_min, found.recall_min_step) == (pytest.approx(0.8), 0.7, 5)
    assert [step.per_second for step in found.steps if step.recall] == pytest.approx([2e6, 5e5])
    assert (found.index_bytes_max, found.bytes_per_vector_max, found.resident_bytes_max) == (1000, 50, 3000)


def test_a_batch_has_no_latencies() -> None:
    arrays = {name: array for name, array in ARRAYS.items() if name != "latencies_ns"}
    found = summarise_stream("r", FACTS, arrays, StreamRecall(steps=(recall(1.0), recall(1.0))))
    assert found.search is None
    assert found.steps[1].times is None
