"""A process and everything it started, in whatever group or session that is by now."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

import psutil
from psutil import Process

# In the environment of every child, so that a host's own children are never touched.
MARK = "ANNBENCH_CHILD_OF"

_REAP_SECONDS = 2.0
_live: set[int] = set()
# Between the start of a process and its entry in `_live` it would look like a stray.
guard = threading.RLock()


def enter(pid: int) -> None:
    """This child is alive and wanted."""
    _live.add(pid)


def leave(pid: int) -> None:
    """This child is gone."""
    _live.discard(pid)


def descendants(pid: int) -> list[Process]:
    """All that the process started and that can still be traced to it."""
    with suppress(psutil.Error):
        return Process(pid).children(recursive=True)
    return []


def signal_all(members: list[Process], number: signal.Signals) -> None:
    """Send a signal to those that are left."""
    for member in members:
        with suppress(psutil.Error):
            member.send_signal(number)


def reap(members: list[Process]) -> None:
    """Bury those of the dead that became ours; the others are their new parent's."""
    deadline = time.monotonic() + _REAP_SECONDS
    for member in members:
        with suppress(ChildProcessError):
            while os.waitpid(member.pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.01)


def end_strays() -> None:
    """End orphans that became ours (see `kernel.adopt_orphans`) and belong to no living child."""
    with guard:
        for stray in Process().children():
            if stray.pid not in _live and _is_adopted(stray):
                with suppress(psutil.Error):
                    stray.kill()
                with suppress(ChildProcessError):
                    os.waitpid(stray.pid, 0)


def _is_adopted(process: Process) -> bool:
    with suppress(psutil.Error):
        return process.environ().get(MARK) == str(os.getpid())
    return False
