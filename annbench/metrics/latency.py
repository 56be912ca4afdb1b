"""Throughput and latency figures from raw times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Nanoseconds = NDArray[np.int64]


class LatencySummary(BaseModel):
    """Latencies of single calls in one pass, in microseconds; None where calls were not timed one by one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_mean_us: float | None = None
    latency_p50_us: float | None = None
    latency_p95_us: float | None = None
    latency_p99_us: float | None = None
    latency_p999_us: float | None = None


class SpeedSummary(LatencySummary):
    """Queries per second over the passes; `best` is the fastest pass, and the latencies are of that pass."""

    qps_best: float
    qps_median: float
    qps_min: float
    qps_spread: float  # (best − worst) ÷ median over the passes


def summarise_latencies(latencies_ns: Nanoseconds) -> LatencySummary:
    """Mean and percentiles (linear between closest ranks) of the times (q,) of one pass."""
    p50, p95, p99, p999 = np.percentile(latencies_ns, [50, 95, 99, 99.9]) / 1e3
    return LatencySummary(
        latency_mean_us=float(latencies_ns.mean() / 1e3),
        latency_p50_us=float(p50),
        latency_p95_us=float(p95),
        latency_p99_us=float(p99),
        latency_p999_us=float(p999),
    )


def pass_qps(pass_ns: Nanoseconds, queries: int) -> NDArray[np.float64]:
    """Queries per second of each pass (p,), from how long it took; no time at all counts as 1 ns."""
    return np.asarray(queries * 1e9 / np.maximum(pass_ns, 1))


def summarise_passes(pass_ns: Nanoseconds, queries: int, latencies_ns: Nanoseconds | None = None) -> SpeedSummary:
    """Speed over passes that took `pass_ns` (p,) for `queries` each; `latencies_ns` (p, queries) if calls
    were single.
    """
    qps = pass_qps(pass_ns, queries)
    latency = LatencySummary() if latencies_ns is None else summarise_latencies(latencies_ns[pass_ns.argmin()])
    return SpeedSummary(
        **latency.model_dump(),
        qps_best=float(qps.max()),
        qps_median=float(np.median(qps)),
        qps_min=float(qps.min()),
        qps_spread=float((qps.max() - qps.min()) / np.median(qps)),
    )
