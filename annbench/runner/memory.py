"""Memory of this process as the kernel accounts for it."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


def settle() -> None:
    """Give freed memory back to the system, so that it is not charged to what comes next."""
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int | None:
    """What this process alone keeps in memory, file mappings included: the larger of USS and PSS.

    Of programs and libraries only what was written to counts: the rest is no data, comes in when a function is first
    called, and would make the figure fall by megabytes whenever another process happens to load the same library.

    None on a system that does not tell: another measure under the same name would be compared with this one.
    """
    try:
        with Path("/proc/self/smaps").open(errors="surrogateescape") as smaps:
            files = _mapped(smaps)
    except OSError:
        return None
    data = [file for path, file in files.items() if not (file.executable and path.startswith("/"))]
    written = sum(file.anonymous for file in files.values()) - sum(file.anonymous for file in data)
    return (written + max(sum(file.private for file in data), sum(file.shared for file in data))) * 1024


@dataclass(slots=True)
class _Mapped:
    """All mappings of one file, or of none: KiB."""

    executable: bool = False
    anonymous: int = 0  # not, or no longer, as in the file
    private: int = 0
    shared: int = 0  # this process' share of it


def _mapped(smaps: Iterable[str]) -> dict[str, _Mapped]:
    """What the lines of `smaps` tell of each path; line by line, so that reading it takes no memory to speak of."""
    files: dict[str, _Mapped] = {}
    file = _Mapped()
    for line in smaps:
        field, _, rest = line.partition(" ")
        if not field.endswith(":"):  # address, permissions, offset, device, inode and perhaps a path
            heading = rest.split(maxsplit=4)
            file = files.setdefault(heading[4].rstrip("\n") if len(heading) > 4 else "", _Mapped())
            file.executable |= "x" in heading[0]
        elif field == "Pss:":
            file.shared += int(rest.split()[0])
        elif field == "Anonymous:":
            file.anonymous += int(rest.split()[0])
        elif field in ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:"):
            file.private += int(rest.split()[0])
    return files


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
