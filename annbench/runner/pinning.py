"""Binding to cores, and what a measurement on this system cannot vouch for. Standard library only.

Linux binds threads to cores, accounts for memory page by page, and counts what disturbs. Where it does not, annbench
still runs; its records say `unpinned`, with the reason, and are never better than suspect.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")
_MEMORY = Path("/proc/self/smaps_rollup")
_DISTURBANCES = Path("/proc/vmstat")


def available_cores() -> list[int]:
    """The cores this process may run on; all there are, where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(cores: tuple[int, ...]) -> None:
    """Bind every thread of this process, pools that exist already included, to `cores`, if the system can."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        return
    with suppress(OSError):  # refused: `unpinned` tells
        os.sched_setaffinity(0, cores)
        for task in os.listdir(_TASKS):
            with suppress(OSError):  # a thread that has just ended
                os.sched_setaffinity(int(task), cores)


def unpinned(cores: tuple[int, ...]) -> tuple[str, ...]:
    """Why figures of this process, which `pin` was to bind to `cores`, are not what they are on Linux; mostly none."""
    reasons = []
    if not hasattr(os, "sched_getaffinity"):
        reasons.append("unpinned: this system does not bind a process to cores; its times are of any core")
    elif cores and os.sched_getaffinity(0) != set(cores):
        reasons.append(f"unpinned: it may have run on other cores than {', '.join(map(str, cores))}")
    if not _readable(_MEMORY):
        reasons.append("unpinned: this system does not account for a process' own memory; it was not measured")
    if not _readable(_DISTURBANCES):
        reasons.append("unpinned: this system does not tell of swapping or stolen time")
    return tuple(reasons)


def _readable(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return bool(file.read(1))
    except OSError:
        return False
