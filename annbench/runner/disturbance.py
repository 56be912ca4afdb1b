"""What the machine did to a measurement meanwhile: swap, throttling, stolen time, preemption."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def counters(cores: Iterable[int]) -> dict[str, int]:
    """Counters that only grow; the difference over a stretch is what happened in it.

    `swapped_pages` is of the whole machine, `throttled` and `stolen_ticks` of `cores`, the rest of this process.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    chosen = set(cores)
    return {
        "swapped_pages": _swapped(),
        "throttled": sum(_throttled(core) for core in chosen),
        "stolen_ticks": _stolen(chosen),
        "major_faults": usage.ru_majflt,
        "preemptions": usage.ru_nivcsw,
    }


def since(before: dict[str, int], cores: Iterable[int]) -> dict[str, int]:
    """The difference to `before`."""
    now = counters(cores)
    return {name: now[name] - value for name, value in before.items()}


def stolen_share(stolen_ticks: int, wall_seconds: float, cores: int) -> float:
    """Share of the cores' time that the hypervisor gave to others."""
    ticks = wall_seconds * os.sysconf("SC_CLK_TCK") * max(cores, 1)
    return stolen_ticks / ticks if ticks > 0 else 0.0


def _swapped() -> int:
    with suppress(OSError):
        lines = Path("/proc/vmstat").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(("pswpin ", "pswpout ")))
    return 0


def _throttled(core: int) -> int:
    folder = Path(f"/sys/devices/system/cpu/cpu{core}/thermal_throttle")
    total = 0
    for name in ("core_throttle_count", "package_throttle_count"):
        with suppress(OSError, ValueError):
            total += int((folder / name).read_text())
    return total


def _stolen(cores: set[int]) -> int:
    total = 0
    with suppress(OSError):
        for line in Path("/proc/stat").read_text().splitlines():
            fields = line.split()
            if fields[0].startswith("cpu") and fields[0][3:].isdigit() and int(fields[0][3:]) in cores:
                total += int(fields[8])
    return total
