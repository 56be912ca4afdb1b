"""One stored point in full, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.metrics.latency import pass_qps
from annbench.results.schema import Record
from annbench.results.stale import Reasons


def point_facts(record: Record, arrays: Mapping[str, NDArray[Any]], stale: Reasons) -> dict[str, Any]:
    """What a reader asks of one point, as nested mappings in the order of asking; absent parts are left out.

    `passes` summarises the raw times: QPS of every pass, and of all calls of all passes the latencies in microseconds,
    with the slowest call's pass and query (both from 0).
    """
    key, environment = record.key, record.environment
    facts: dict[str, Any] = {
        "point": record.label,
        "digest": key.digest,
        "dataset": record.dataset.name,
        "status": " ".join(filter(None, (record.status, record.failed_phase and f"in {record.failed_phase}"))),
        "status_detail": record.status_detail or None,
        "verdict": "; ".join((record.verdict, *record.verdict_reasons)),
        "stale": [reason.text for reason in stale] or None,
        "notes": list(record.notes) or None,
        "setting": {name: getattr(key, name) for name in ("query_set", "queries", "k", "mode", "threads", "seed")},
        "build": {**key.build, **_measured(record.build)},
        "search": dict(key.search) or None,
        "load": _measured(record.load) or None,
        "recall": _measured(record.recall) or None,
        "time": _measured(record.time) or None,
        "stream": {name: value for name, value in _measured(record.stream).items() if name != "steps"} or None,
        "passes": _passes(arrays, key.queries) or None,
        "counters": dict(record.counters) or None,
        "versions": {"annbench": environment.get("annbench"), **key.library_versions, "isa": key.isa},
        "measured": {
            "at": record.started_at,
            "config": record.config_name,
            "machine": key.machine_id,
            "cpu": environment["cpu"].get("model") if isinstance(environment.get("cpu"), dict) else None,
        },
    }
    return {name: value for name, value in facts.items() if value is not None}


def readable(value: Any) -> Any:
    """`value` with its floats as text of five significant digits."""
    if isinstance(value, dict):
        return {name: readable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [readable(item) for item in value]
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.5g}"
    return value


def _measured(part: Any) -> dict[str, Any]:
    return {} if part is None else {n: v for n, v in part.model_dump(mode="json").items() if v is not None}


def _passes(arrays: Mapping[str, NDArray[Any]], queries: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "pass_ns" in arrays and arrays["pass_ns"].ndim > 1:
        return found  # of a runbook: every search step has passes of its own
    if "pass_ns" in arrays:
        found["qps"] = [round(float(qps), 1) for qps in pass_qps(arrays["pass_ns"], queries)]
    latencies = arrays.get("latencies_ns")
    if latencies is not None and latencies.size:
        marks = {"min": 0, "p50": 50, "p90": 90, "p99": 99, "p999": 99.9, "max": 100}
        values = np.percentile(latencies, list(marks.values())) / 1e3
        found |= {f"latency_{name}_us": round(float(value), 3) for name, value in zip(marks, values, strict=True)}
        slowest = np.unravel_index(int(latencies.argmax()), latencies.shape)
        found["slowest_call"] = f"pass {slowest[0]}, query {slowest[1]}"
    return found
