"""Memory of this process as the kernel accounts for it."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path


def settle() -> None:
    """Give freed memory back to the system, so that it is not charged to what comes next."""
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int:
    """What this process alone keeps in memory, file mappings included: the larger of USS and PSS."""
    private = shared = 0
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        field, _, rest = line.partition(":")
        if field in ("Private_Clean", "Private_Dirty", "Private_Hugetlb"):
            private += int(rest.split()[0]) * 1024
        elif field == "Pss":
            shared = int(rest.split()[0]) * 1024
    return max(private, shared)


class PeakMeter:
    """Peak resident memory over a stretch, less what was resident when it began."""

    def __init__(self) -> None:
        settle()
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        self.start_bytes = _status("VmRSS")

    def peak_bytes(self) -> int:
        """Bytes above the start, at the highest point since."""
        return max(0, _status("VmHWM") - self.start_bytes)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0
