"""Runs a module of annbench in a child process that answers with JSON lines.

What opens files that nobody vouches for runs there: if it crashes, hangs or floods, the parent reports and
goes on. A line is an object with one key: `result`, `error` (a typed error) or `progress`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from annbench import errors
from annbench.errors import AnnbenchError, DatasetError
from annbench.processes.endings import last_words, signal_name
from annbench.processes.lines import LineBuffer
from annbench.processes.log import LOG_BYTES
from annbench.processes.started import Started

MAX_LINE_BYTES = 4 << 20
MAX_LINES = 1_000_000
_GRACE_SECONDS = 2.0
_FROM_OUTSIDE = (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


def run_child(
    module: str,
    arguments: list[str],
    *,
    where: str,
    timeout_seconds: float | None = None,
    request: str = "",
    threads: int | None = None,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> Any:
    """Run `python -m module arguments`, with one `request` line on its stdin; returns the `result` it prints.

    Raises the child's own AnnbenchError; or DatasetError, about `where`, if the child dies, exceeds
    `timeout_seconds`, or says something else. Whatever happens, the child is gone when this returns.
    """
    process = Started(
        [sys.executable, "-P", "-m", module, *arguments],
        talks=True,
        threads=threads,
        # The child imports what the parent would, in the same order; -P keeps the current folder from coming first.
        environment={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    try:
        # Stdin stays open: its end tells the child that the parent is gone.
        _send(process, request)
        answer = _listen(process, deadline, on_progress)
        code = process.wait(_GRACE_SECONDS)
    except _ExpiredError:
        raise _death(f"reading it took more than {timeout_seconds:.0f} s", process, where) from None
    except KeyboardInterrupt:
        process.interrupt()  # so that it can keep what it has
        process.wait(_GRACE_SECONDS)
        raise
    finally:
        process.kill()
    if answer is not None and "result" in answer:
        return answer["result"]
    if answer is not None and "error" in answer:
        raise _rebuilt(answer["error"])
    raise _death(_fate(code), process, where, code)


def error_line(error: AnnbenchError) -> dict[str, Any]:
    """The line by which a child hands an expected error to `run_child`."""
    fields = {"message": error.message, "where": error.where, "remedy": error.remedy}
    return {"error": {"kind": type(error).__name__, **fields}}


def end_with_parent() -> None:
    """In a child: end this process when the parent's end of stdin closes, however the parent died."""

    descriptor = sys.stdin.fileno()

    def watch() -> None:
        # Not through sys.stdin, whose lock a thread must not hold when the interpreter ends.
        while os.read(descriptor, 1):
            pass
        os._exit(errors.EXIT_INTERRUPTED)

    threading.Thread(target=watch, daemon=True).start()


class _ExpiredError(Exception):
    """The deadline has passed."""


def _send(process: Started, request: str) -> None:
    # A child that is dead already has an exit code that says why.
    with suppress(BrokenPipeError):
        process.stdin.write(request.encode() + b"\n")
        process.stdin.flush()


def _listen(
    process: Started, deadline: float | None, on_progress: Callable[[dict[str, Any]], None] | None
) -> dict[str, Any] | None:
    """The first line that is a result or an error; None if the child stops or breaks the form."""
    lines = LineBuffer(MAX_LINE_BYTES)
    for _ in range(MAX_LINES):
        line = _next_line(process, lines, deadline)
        try:
            message = None if line is None else json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            return None
        if "progress" not in message:
            return message
        if on_progress is not None:
            on_progress(message["progress"])
    return None


def _next_line(process: Started, lines: LineBuffer, deadline: float | None) -> bytes | None:
    """None at the end of what the child says, or if a line has none. Raises _ExpiredError."""
    while (line := lines.next()) is None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and (left <= 0 or not select.select([process.stdout], [], [], left)[0]):
            raise _ExpiredError
        data = os.read(process.stdout.fileno(), 1 << 16)
        if not data or not lines.feed(data):
            return None
    return line


def _rebuilt(fields: dict[str, str]) -> AnnbenchError:
    kind = getattr(errors, fields["kind"], DatasetError)
    error: AnnbenchError = kind.__new__(kind)
    # Not the kind's own __init__: some take other arguments.
    AnnbenchError.__init__(error, fields["message"], where=fields["where"], remedy=fields["remedy"])
    return error


def _fate(code: int | None) -> str:
    if code is None:
        return "the process that read it did not answer in the form it should"
    if code < 0:
        return f"the process that read it died of {signal_name(-code)}"
    return f"the process that read it ended with code {code} and no answer"


def _death(what: str, process: Started, where: str, code: int | None = None) -> DatasetError:
    said = last_words(process.log.tail(LOG_BYTES))
    remedy = "the file is damaged or hostile; get it again"
    if code == 1:  # an exception has escaped, which no input should bring about
        remedy = "if the file is sound, this is a bug in annbench; please report it"
    elif code in _FROM_OUTSIDE:
        remedy = "nothing is wrong with the file: something ended the process; start it again"
    elif code == -signal.SIGKILL:
        remedy = "it was killed, mostly for want of memory: free some, or take fewer rows"
    return DatasetError(what + (f" ({said})" if said else ""), where=where, remedy=remedy)
