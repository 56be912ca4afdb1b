"""Starts child processes, watches their time and memory, and makes sure that nothing of them is left."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from annbench.errors import WorkerError
from annbench.results.schema import Status
from annbench.runner.boot import THREAD_VARIABLES, Boot
from annbench.runner.protocol import PROTOCOL_VERSION, Channel, Message

LOG_BYTES = 16 << 10
_POLL_SECONDS = 0.1
_GRACE_SECONDS = 2.0
_MARK = "ANNBENCH_CHILD_OF"
_live: set[int] = set()


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
            # Only started from the main thread: the kernel ends a child with the *thread* that made it.
            self.process = subprocess.Popen(
                [self.python, "-m", module, boot.argument()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                env=_environment(threads),
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise WorkerError(
                f"cannot start {self.python}: {error.strerror}", remedy="correct `python:` in the config"
            ) from error
        finally:
            theirs.close()
        _live.add(self.process.pid)
        self.channel = Channel(ours)
        self.log = _Log(self.process)

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
        with suppress(OSError):
            self.channel.send("end")
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the child and everything it started, in whatever group or session that is now."""
        family = _family(self.process.pid)
        _signal_all(family, self.process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE_SECONDS if self.process.poll() is None else 0)
        family += [p for p in _family(self.process.pid) if p not in family]
        _signal_all(family, self.process, signal.SIGKILL)
        self.process.wait()
        _live.discard(self.process.pid)
        _reap(family)
        _end_strays()
        self.channel.close()
        self.log.finish()

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
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE_SECONDS)
        code = self.process.poll()
        self.kill()
        tail = self.log.tail()
        said = f"; last output: {tail}" if tail else ""
        if code is None:
            return ChildFailedError("crashed", f"hung up and had to be killed{said}")
        if code == -signal.SIGKILL and self.memory_bytes and self.peak_bytes > 0.8 * self.memory_bytes:
            return ChildFailedError("oom", f"SIGKILL by the system at {self.peak_bytes / 2**20:,.0f} MiB")
        if code < 0:
            return ChildFailedError("crashed", f"{_signal_name(-code)}{said}")
        return ChildFailedError("crashed", f"exit {code} without an answer{said}")


class _Log(threading.Thread):
    """Drains what a child prints and keeps the end of it: a child that prints a gigabyte neither blocks nor fills."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._kept = b""
        self.start()

    def run(self) -> None:
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):
            while data := os.read(self._process.stdout.fileno(), 1 << 16):
                self._kept = (self._kept + data)[-LOG_BYTES:]

    def tail(self, characters: int = 800) -> str:
        """The last lines, printable."""
        self.join(0.5)
        text = self._kept.decode("utf-8", "replace")[-characters:].strip()
        return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)

    def finish(self) -> None:
        """Let go of the pipe."""
        self.join(0.5)
        if self._process.stdout is not None and not self.is_alive():
            self._process.stdout.close()


def _environment(threads: int) -> Mapping[str, str]:
    return {
        **os.environ,
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONHASHSEED": "0",
        _MARK: str(os.getpid()),
    }


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def _signal_all(family: list[psutil.Process], process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
    for member in family:
        with suppress(psutil.Error):
            member.send_signal(number)


def _reap(family: list[psutil.Process]) -> None:
    """Bury those of the dead that became ours; the others are their new parent's."""
    deadline = time.monotonic() + _GRACE_SECONDS
    for member in family:
        with suppress(ChildProcessError):
            while os.waitpid(member.pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.01)


def _end_strays() -> None:
    """Orphans that became ours (see boot.adopt_orphans) and belong to no living child."""
    mine = psutil.Process()
    for stray in mine.children():
        if stray.pid not in _live and _is_adopted(stray):
            with suppress(psutil.Error):
                stray.kill()
            with suppress(ChildProcessError):
                os.waitpid(stray.pid, 0)


def _is_adopted(process: psutil.Process) -> bool:
    """Whether it carries the mark of a child's environment, so that a host's own children are never touched."""
    with suppress(psutil.Error):
        return process.environ().get(_MARK) == str(os.getpid())
    return False


def _anonymous_bytes(pid: int) -> int:
    """Memory that cannot be dropped: resident less file-backed, of the child and all it started."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    own = (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    return own + sum(_anonymous_bytes(int(child)) for child in children)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
