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


def resident_bytes() -> int | None:
    """What this process alone keeps in memory, file mappings included: the larger of USS and PSS.

    None on a system that does not tell: another measure under the same name would be compared with this one.
    """
    private = shared = 0
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        field, _, rest = line.partition(":")
        if field in ("Private_Clean", "Private_Dirty", "Private_Hugetlb"):
            private += int(rest.split()[0]) * 1024
        elif field == "Pss":
            shared = int(rest.split()[0]) * 1024
    return max(private, shared)


def grown_bytes(before: int | None) -> int | None:
    """How much more than `before` is resident now; None where it is not known."""
    now = resident_bytes()
    return None if now is None or before is None else max(0, now - before)


class PeakMeter:
    """Peak resident memory over a stretch, less what was resident when it began."""

    def __init__(self) -> None:
        settle()
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        self.start_bytes = _status("VmRSS")

    def peak_bytes(self) -> int | None:
        """Bytes above the start, at the highest point since; None on a system that does not tell."""
        peak = _status("VmHWM")
        return None if peak is None or self.start_bytes is None else max(0, peak - self.start_bytes)


def _status(field: str) -> int | None:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return None
