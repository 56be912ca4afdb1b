"""Starts child processes, watches their time and memory, and makes sure that nothing of them is left."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from annbench.errors import WorkerError
from annbench.processes.endings import signal_name
from annbench.processes.interrupts import interrupts_wait
from annbench.processes.started import Started
from annbench.results.schema import Status
from annbench.runner.boot import Boot
from annbench.runner.protocol import PROTOCOL_VERSION, Channel, Message

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 2.0


class ChildFailedError(Exception):
    """A child that did not answer: the status of the point it was working on, and the evidence."""

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(detail)
        self.status: Status = status
        self.detail = detail


class Child:
    """A child process `<python> -m <module>`, pinned to `cores`, held to `memory_bytes`."""

    def __init__(
        self,
        module: str,
        *,
        folder: Path,
        python: str | None = None,
        cores: tuple[int, ...] = (),
        threads: int = 1,
        memory_bytes: int | None = None,
    ) -> None:
        self.python = python or sys.executable
        self.memory_bytes = memory_bytes
        self.peak_bytes = 0
        ours, theirs = socket.socketpair()
        boot = Boot(theirs.fileno(), PROTOCOL_VERSION, os.getpid(), cores, memory_bytes)
        try:
            self.process = Started(
                [self.python, "-m", module, boot.argument()],
                talks=False,
                threads=threads,
                folder=folder,
                pass_fds=[theirs.fileno()],
            )
        except OSError as error:
            ours.close()
            raise WorkerError(
                f"cannot start {self.python}: {error.strerror}", remedy="correct `python:` in the config"
            ) from error
        finally:
            theirs.close()
        self.channel = Channel(ours)
        self.log = self.process.log

    def request(self, kind: str, seconds: float, **fields: Any) -> Message:
        """Send a message and wait for its answer. Raises ChildFailedError."""
        try:
            self.channel.send(kind, **fields)
        except OSError:
            raise self._death() from None
        return self.receive(seconds)

    def receive(self, seconds: float) -> Message:
        """The next message, within `seconds` and the memory limit. Raises ChildFailedError; the child is gone then."""
        deadline = time.monotonic() + seconds
        while True:
            message = self.channel.pending()
            if message is not None:
                return message
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                self.kill()
                raise ChildFailedError("timeout", f"no answer within {seconds:g} s; raise limits in the config")
            ready, _, _ = select.select([self.channel], [], [], min(_POLL_SECONDS, remaining))
            if ready and not self.channel.read_some():
                raise self._death()
            self._check_memory()

    def close(self) -> None:
        """Ask the child to end, and see to it."""
        with interrupts_wait():
            with suppress(OSError):
                self.channel.send("end")
            self.process.wait(_GRACE_SECONDS)
            self.kill()

    def kill(self) -> None:
        """End the child and everything it started, in whatever group or session that is now."""
        self.process.kill(_GRACE_SECONDS)
        self.channel.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()

    def _check_memory(self) -> None:
        used = _anonymous_bytes(self.process.pid)
        self.peak_bytes = max(self.peak_bytes, used)
        if self.memory_bytes is not None and used > self.memory_bytes:
            self.kill()
            raise ChildFailedError(
                "oom", f"used {used / 2**20:,.0f} MiB of the {self.memory_bytes / 2**20:,.0f} MiB it was given"
            )

    def _death(self) -> ChildFailedError:
        """Why the conversation ended."""
        code = self.process.wait(_GRACE_SECONDS)
        self.kill()
        tail = self.log.tail()
        said = f"; last output: {tail}" if tail else ""
        if code is None:
            return ChildFailedError("crashed", f"hung up and had to be killed{said}")
        if code == -signal.SIGKILL and self.memory_bytes and self.peak_bytes > 0.8 * self.memory_bytes:
            return ChildFailedError("oom", f"SIGKILL by the system at {self.peak_bytes / 2**20:,.0f} MiB")
        if code < 0:
            return ChildFailedError("crashed", f"{signal_name(-code)}{said}")
        return ChildFailedError("crashed", f"exit {code} without an answer{said}")


def _anonymous_bytes(pid: int) -> int:
    """Memory that cannot be dropped: resident less file-backed, of the child and all it started."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    own = (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    return own + sum(_anonymous_bytes(int(child)) for child in children)
