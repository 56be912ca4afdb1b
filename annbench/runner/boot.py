"""First steps of every child process, before any library is imported: standard library only."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Address space is not memory: room for thread stacks and allocator arenas that are reserved and never touched.
_DATA_SLACK_BYTES = 1 << 29

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "TBB_NUM_THREADS",
)  # fmt: skip


@dataclass(frozen=True)
class Boot:
    """What a child must know before it does anything."""

    descriptor: int
    protocol: int
    parent: int
    cores: tuple[int, ...]
    memory_bytes: int | None

    def argument(self) -> str:
        """As one command-line argument."""
        return json.dumps(asdict(self))


def boot() -> Boot:
    """Read the argument, die with the parent, and take cores and memory limit."""
    fields = json.loads(sys.argv[1])
    settings = Boot(**{**fields, "cores": tuple(fields["cores"])})
    die_with_parent(settings.parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's business
    pin(settings.cores)
    if settings.memory_bytes is not None:
        limit = settings.memory_bytes + _DATA_SLACK_BYTES
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return settings


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent is gone, however that ended."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Make this process the parent of whatever its children leave behind, so that nothing escapes a kill."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def pin(cores: tuple[int, ...]) -> None:
    """Bind every thread of this process, pools that exist already included, to `cores`."""
    for task in os.listdir("/proc/self/task") if cores else ():
        with suppress(OSError):  # a thread that has just ended
            os.sched_setaffinity(int(task), cores)


def _prctl(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
