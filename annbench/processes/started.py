"""One child process, from its start to the end of everything it started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from psutil import Process

from annbench.processes import family
from annbench.processes.interrupts import interrupts_wait
from annbench.processes.log import LogTail

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "TBB_NUM_THREADS",
)  # fmt: skip


class Started:
    """A running command, in a session of its own.

    With `talks` its stdin and stdout are pipes, and stderr is its log; else both outputs are, and stdin is empty.
    `threads` is told to every library that reads it from the environment; `environment` comes on top of ours. Raises
    OSError if it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        talks: bool,
        threads: int | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        with family.guard:
            # Only started from the main thread where it must outlive others: the kernel ends a child that asked for it
            # with the *thread* that made it.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if talks else subprocess.STDOUT,
                pass_fds=pass_fds,
                env=_environment(threads) | dict(environment or {}),
                cwd=folder,
                start_new_session=True,
            )
            family.enter(self.pid)
        printed = self._process.stderr if talks else self._process.stdout
        assert printed is not None
        self.log = LogTail(printed)

    @property
    def pid(self) -> int:
        """Its number, which is that of its session as well."""
        return self._process.pid

    @property
    def stdin(self) -> IO[bytes]:
        """Its stdin, if it talks."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Its stdout, if it talks."""
        assert self._process.stdout is not None
        return self._process.stdout

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> int | None:
        """As `poll`, after waiting for its end."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll()

    def interrupt(self) -> None:
        """Send what Ctrl-C sends: being in a session of its own, it does not get the terminal's."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def kill(self, grace_seconds: float = 0.0) -> None:
        """End it and everything it started; asked to first, if it is to have some grace. May be called again.

        Ctrl-C waits until that is done.
        """
        with interrupts_wait():
            self._kill(grace_seconds)

    def _kill(self, grace_seconds: float) -> None:
        members = family.descendants(self.pid)
        if grace_seconds:
            self._signal_all(members, signal.SIGTERM)
            self.wait(grace_seconds if self.poll() is None else 0)
            members += [one for one in family.descendants(self.pid) if one not in members]
        self._signal_all(members, signal.SIGKILL)
        self._process.wait()
        family.leave(self.pid)
        family.reap(members)
        family.end_strays()
        self.log.finish()
        for pipe in (self._process.stdin, self._process.stdout):
            # An unwritten request to a process that is dead is no news; the log's pipe is the log's to close.
            if pipe is not None and pipe is not self.log.pipe:
                with suppress(OSError):
                    pipe.close()

    def _signal_all(self, members: list[Process], number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
        family.signal_all(members, number)


def _environment(threads: int | None) -> dict[str, str]:
    pinned = {} if threads is None else dict.fromkeys(THREAD_VARIABLES, str(threads))
    return {
        **os.environ,
        **pinned,
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONHASHSEED": "0",
        family.MARK: str(os.getpid()),
    }
