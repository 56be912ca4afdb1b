"""Whether a measured point may be believed, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.metrics.latency import summarise_passes
from annbench.metrics.recall import RecallSummary
from annbench.metrics.stream import StreamSummary
from annbench.results.schema import TimeSummary, Verdict
from annbench.runner.disturbance import stolen_share

MAX_THREAD_RATIO = 1.1
MIN_CORE_SHARE = 0.9
MIN_PREEMPTIONS = 10
MAX_OVERHEAD = 0.2
MAX_STOLEN = 0.05
MAX_SPREAD = 0.5


def judge(
    recall: RecallSummary,
    time: TimeSummary,
    disturbance: Mapping[str, int],
    *,
    threads: int,
    wall_seconds: float,
    unpinned: Sequence[str] = (),
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on a point that ran to its end; `wall_seconds` is the length of all its passes, `unpinned` what
    the system it ran on cannot vouch for.
    """
    if recall.recall_at_k == 0:
        return "invalid", ("recall is 0: wrong metric, or ids not in base order",)
    stolen = stolen_share(disturbance["stolen_ticks"], wall_seconds, threads)
    checks = (
        (recall.duplicate_ids > 0, f"{recall.duplicate_ids} duplicate ids returned"),
        (recall.out_of_range_ids > 0, f"{recall.out_of_range_ids} ids returned that do not exist"),
        (
            time.cpu_ratio > MAX_THREAD_RATIO * threads,
            f"thread audit: CPU ÷ wall = {time.cpu_ratio:.2f} with {threads} thread{'s' * (threads > 1)}",
        ),
        (
            threads == 1 and time.cpu_ratio < MIN_CORE_SHARE and disturbance["preemptions"] >= MIN_PREEMPTIONS,
            f"something else ran on its core: it had {time.cpu_ratio:.0%} of it",
        ),
        (
            (time.overhead_ratio or 0) > MAX_OVERHEAD,
            f"the harness's own call is {time.overhead_ratio or 0:.0%} of the measured one",
        ),
        (disturbance["swapped_pages"] > 0, f"{disturbance['swapped_pages']} pages swapped meanwhile"),
        (disturbance["throttled"] > 0, f"the processor throttled {disturbance['throttled']} times"),
        (stolen > MAX_STOLEN, f"{stolen:.0%} of the time was taken by other guests of this host"),
        (time.qps_spread > MAX_SPREAD, f"passes differ by {time.qps_spread:.0%} of their median"),
    )
    reasons = (*unpinned, *(reason for failed, reason in checks if failed))
    return ("suspect" if reasons else "ok"), reasons


def judge_stream(
    stream: StreamSummary, arrays: Mapping[str, NDArray[Any]], reply: Mapping[str, Any], threads: int
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on a runbook that ran to its end, by the same rules: the recall is that of its worst step, the passes
    are those of all its searches.
    """
    asked = [step.recall for step in stream.steps if step.recall is not None]
    worst = min(asked, key=lambda recall: recall.recall_at_k)
    passes = arrays["pass_ns"].sum(axis=0)
    wall_seconds = float(arrays["pass_wall_ns"].sum()) / 1e9
    speed = summarise_passes(passes, len(asked) * arrays["ids"].shape[1])
    mean_ns = float(np.mean(arrays["latencies_ns"])) if "latencies_ns" in arrays else None
    return judge(
        worst.model_copy(
            update={name: sum(getattr(r, name) for r in asked) for name in ("duplicate_ids", "out_of_range_ids")}
        ),
        TimeSummary(
            **speed.model_dump(),
            cpu_ratio=float(arrays["pass_cpu_ns"].sum()) / 1e9 / max(wall_seconds, 1e-9),
            thread_count=reply["thread_count"],
            overhead_ratio=reply["overhead_ns"] / mean_ns if reply["overhead_ns"] is not None and mean_ns else None,
        ),
        reply["disturbance"],
        threads=threads,
        wall_seconds=wall_seconds + float(arrays["call_ns"].sum()) / 1e9,
        unpinned=reply["unpinned"],
    )
