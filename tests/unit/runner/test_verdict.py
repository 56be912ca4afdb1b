"""When a point may be believed."""

from __future__ import annotations

from typing import Any

import pytest

from annbench.metrics.recall import RecallSummary
from annbench.results.schema import TimeSummary
from annbench.runner.verdict import judge

RECALL: dict[str, Any] = {
    "recall_at_k": 0.9, "recall_ids_at_k": 0.9, "recall_ann_benchmarks": 0.9, "recall_low": 0.88, "recall_high": 0.92,
    "recall_worst_decile": 0.5, "relative_distance_error": 0.01, "duplicate_ids": 0, "out_of_range_ids": 0,
    "missing_ids": 0, "ids_crc32c": "00000000",
}  # fmt: skip
TIME: dict[str, Any] = {
    "qps_best": 1000.0, "qps_median": 990.0, "qps_min": 950.0, "qps_spread": 0.05, "latency_mean_us": 1000.0,
    "latency_p50_us": 990.0, "latency_p95_us": 1100.0, "latency_p99_us": 1200.0, "latency_p999_us": 1300.0,
    "cpu_ratio": 1.0, "thread_count": 1, "overhead_ratio": 0.001,
}  # fmt: skip
CALM = {"swapped_pages": 0, "throttled": 0, "stolen_ticks": 0, "major_faults": 0, "preemptions": 0}


def verdict(recall: dict[str, Any], time: dict[str, Any], disturbance: dict[str, int], threads: int = 1):
    return judge(
        RecallSummary(**{**RECALL, **recall}), TimeSummary(**{**TIME, **time}), {**CALM, **disturbance},
        threads=threads, wall_seconds=10.0,
    )  # fmt: skip


def test_a_calm_point_is_ok() -> None:
    assert verdict({}, {}, {}) == ("ok", ())


@pytest.mark.parametrize(
    ("recall", "time", "disturbance", "said"),
    [
        ({"duplicate_ids": 3}, {}, {}, "3 duplicate"),
        ({"out_of_range_ids": 2}, {}, {}, "do not exist"),
        ({}, {"cpu_ratio": 1.2}, {}, "thread audit: CPU ÷ wall = 1.20 with 1 thread"),
        ({}, {"cpu_ratio": 0.6}, {"preemptions": 50}, "60% of it"),
        ({}, {"overhead_ratio": 0.21}, {}, "21%"),
        ({}, {}, {"swapped_pages": 7}, "7 pages"),
        ({}, {}, {"throttled": 1}, "throttled"),
        ({}, {}, {"stolen_ticks": 100}, "10% of the time"),
        ({}, {"qps_spread": 0.8}, {}, "80%"),
    ],
)
def test_each_reason_makes_it_suspect(recall, time, disturbance, said: str) -> None:
    found, reasons = verdict(recall, time, disturbance)
    assert found == "suspect"
    assert len(reasons) == 1
    assert said in reasons[0]


def test_recall_zero_is_invalid() -> None:
    assert verdict({"recall_at_k": 0.0}, {}, {})[0] == "invalid"


def test_threads_that_were_given_may_be_used() -> None:
    assert verdict({}, {"cpu_ratio": 1.95}, {}, threads=2)[0] == "ok"
    assert verdict({}, {"cpu_ratio": 2.3}, {}, threads=2)[0] == "suspect"


def test_waiting_alone_is_not_suspect() -> None:
    assert verdict({}, {"cpu_ratio": 0.3}, {"preemptions": 0})[0] == "ok"
