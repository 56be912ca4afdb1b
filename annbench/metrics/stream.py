"""What came of a runbook, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from annbench.metrics.recall import RecallSummary

Nanoseconds = NDArray[np.int64]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CallTimes(_Part):
    """Percentiles of calls, in microseconds: of single queries, or of whatever went into one call."""

    calls: int
    p50_us: float
    p95_us: float
    p99_us: float
    max_us: float


class StreamStep(_Part):
    """One step. Of a search, `seconds` and `times` are of its best pass, and so is `recall`; `count` is how many
    vectors were inserted, deleted or replaced, or how many queries asked.

    Sizes are of the index at a search, and after the last step; None elsewhere, and where they are not known.
    """

    operation: str
    count: int
    present: int  # vectors in the index after the step
    seconds: float  # in the adapter's calls
    per_second: float
    times: CallTimes | None  # None for a batch of queries, which is one call
    recall: RecallSummary | None = None
    index_bytes: int | None = None
    resident_bytes: int | None = None


class StreamRecall(_Part):
    """Quality at every search step, in order."""

    steps: tuple[RecallSummary, ...]


class StreamSummary(_Part):
    """A runbook from its first step to its last.

    Rates are operations per second in the adapter's calls. The first step, of which the index is made, is in none of
    them: `start_seconds` is what it took. Percentiles are over the calls of all steps of that operation.
    """

    runbook: str  # for people: the file's name and section, or how it was made
    start_seconds: float
    recall_mean: float  # over the search steps
    recall_min: float
    recall_min_step: int  # from 1
    qps: float  # all queries ÷ the seconds of the best passes
    search: CallTimes | None
    updates_per_second: float | None  # None where nothing of the kind was done
    inserts_per_second: float | None
    deletes_per_second: float | None
    replaces_per_second: float | None
    insert: CallTimes | None
    delete: CallTimes | None
    replace: CallTimes | None
    index_bytes_max: int | None
    bytes_per_vector_max: float | None  # index_bytes ÷ vectors present, at its highest
    resident_bytes_max: int | None
    steps: tuple[StreamStep, ...]


def call_times(nanoseconds: Nanoseconds) -> CallTimes | None:
    """Percentiles of the calls (m,), linear between closest ranks; None for no call."""
    if not nanoseconds.size:
        return None
    p50, p95, p99, most = np.percentile(nanoseconds, [50, 95, 99, 100]) / 1e3
    return CallTimes(calls=int(nanoseconds.size), p50_us=p50, p95_us=p95, p99_us=p99, max_us=most)


def summarise_stream(
    runbook: str, facts: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]], recall: StreamRecall
) -> StreamSummary:
    """Put figures to the steps.

    `facts` has operation, count, present, index_bytes and resident_bytes of each. `arrays`: `call_ns` (m,) and
    `call_step` (m,), the step from 0, of every update call; `pass_ns` (s, p) of every search step and, where queries
    were asked one by one, `latencies_ns` (s, p, q).
    """
    best = arrays["pass_ns"].argmin(axis=1)
    searches = iter(range(len(best)))
    steps = [
        _search(fact, next(searches), best, arrays, recall)
        if fact["operation"] == "search"
        else _update(fact, arrays["call_ns"][arrays["call_step"] == number])
        for number, fact in enumerate(facts)
    ]
    asked = [(number, step) for number, step in enumerate(steps, start=1) if step.recall is not None]
    lowest = min(asked, key=lambda pair: pair[1].recall.recall_at_k if pair[1].recall else 1.0)
    recalls = [one.recall_at_k for one in recall.steps]
    later = arrays["call_step"] > 0
    kinds = np.array([fact["operation"] for fact in facts])[arrays["call_step"]]
    calls = {kind: arrays["call_ns"][later & (kinds == kind)] for kind in ("insert", "delete", "replace")}
    singles = arrays.get("latencies_ns")
    return StreamSummary(
        runbook=runbook,
        start_seconds=steps[0].seconds,
        recall_mean=float(np.mean(recalls)),
        recall_min=min(recalls),
        recall_min_step=lowest[0],
        qps=_rate([step for _, step in asked]) or 0.0,
        search=None if singles is None else call_times(singles[np.arange(len(best)), best].ravel()),
        updates_per_second=_rate([step for step in steps[1:] if step.recall is None]),
        inserts_per_second=_rate([step for step in steps[1:] if step.operation == "insert"]),
        deletes_per_second=_rate([step for step in steps[1:] if step.operation == "delete"]),
        replaces_per_second=_rate([step for step in steps[1:] if step.operation == "replace"]),
        insert=call_times(calls["insert"]),
        delete=call_times(calls["delete"]),
        replace=call_times(calls["replace"]),
        index_bytes_max=max((s.index_bytes for s in steps if s.index_bytes is not None), default=None),
        bytes_per_vector_max=max(
            (s.index_bytes / s.present for s in steps if s.index_bytes is not None and s.present), default=None
        ),
        resident_bytes_max=max((s.resident_bytes for s in steps if s.resident_bytes is not None), default=None),
        steps=tuple(steps),
    )


def _search(
    fact: Mapping[str, Any], place: int, best: NDArray[Any], arrays: Mapping[str, NDArray[Any]], recall: StreamRecall
) -> StreamStep:
    taken = int(arrays["pass_ns"][place, best[place]])
    singles = arrays.get("latencies_ns")
    return StreamStep(
        **fact,
        seconds=taken / 1e9,
        per_second=fact["count"] * 1e9 / max(taken, 1),
        times=None if singles is None else call_times(singles[place, best[place]]),
        recall=recall.steps[place],
    )


def _update(fact: Mapping[str, Any], calls: Nanoseconds) -> StreamStep:
    taken = int(calls.sum())
    return StreamStep(
        **fact, seconds=taken / 1e9, per_second=fact["count"] * 1e9 / max(taken, 1), times=call_times(calls)
    )


def _rate(steps: Sequence[StreamStep]) -> float | None:
    seconds = sum(step.seconds for step in steps)
    return sum(step.count for step in steps) / max(seconds, 1e-9) if steps else None
