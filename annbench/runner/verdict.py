"""Whether a measured point may be believed, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from annbench.metrics.recall import RecallSummary
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
