"""Throughput and percentiles from raw times."""

from __future__ import annotations

import numpy as np
import pytest

from annbench.metrics.latency import pass_qps, summarise_latencies, summarise_passes


def test_percentiles_are_in_microseconds() -> None:
    summary = summarise_latencies(np.arange(1, 1002, dtype=np.int64) * 1000)
    assert summary.latency_mean_us == pytest.approx(501)
    assert summary.latency_p50_us == pytest.approx(501)
    assert summary.latency_p95_us == pytest.approx(951)
    assert summary.latency_p99_us == pytest.approx(991)
    assert summary.latency_p999_us == pytest.approx(1000)


def test_the_best_pass_is_the_one_described() -> None:
    latencies = np.array([[40, 60], [10, 30], [80, 120]], dtype=np.int64) * 1000
    summary = summarise_passes(latencies.sum(axis=1), 2, latencies)
    assert summary.qps_best == pytest.approx(2 / 40e-6)
    assert summary.qps_median == pytest.approx(2 / 100e-6)
    assert summary.qps_min == pytest.approx(2 / 200e-6)
    assert summary.qps_spread == pytest.approx((50_000 - 10_000) / 20_000)
    assert summary.latency_mean_us == pytest.approx(20)
    assert summary.latency_p50_us == pytest.approx(20)


def test_a_batch_has_no_latencies() -> None:
    summary = summarise_passes(np.array([2_000_000_000]), 100)
    assert (summary.qps_best, summary.qps_spread) == (50, 0)
    assert summary.latency_mean_us is summary.latency_p999_us is None


def test_a_clock_that_stood_still_is_no_division_by_zero() -> None:
    assert pass_qps(np.array([0]), 10).tolist() == [1e10]
