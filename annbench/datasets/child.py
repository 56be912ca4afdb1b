"""Runs a module of annbench in a child process that answers with JSON lines.

What opens files that nobody vouches for runs there: if it crashes, hangs or floods, the parent reports and
goes on. A line is an object with one key: `result`, `error` (a typed error) or `progress`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from annbench import errors
from annbench.errors import AnnbenchError, DatasetError

MAX_LINE_BYTES = 4 << 20
MAX_LINES = 1_000_000
MAX_LOG_BYTES = 8 << 10
_GRACE_SECONDS = 2.0


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
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(threads),
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    log: deque[bytes] = deque(maxlen=MAX_LOG_BYTES // 1024)
    listener = threading.Thread(target=_keep_tail, args=(process.stderr, log), daemon=True)
    listener.start()
    expired = threading.Event()
    timer = threading.Timer(timeout_seconds or 0, _expire, (process, expired))
    timer.daemon = True
    if timeout_seconds is not None:
        timer.start()
    try:
        # Stdin stays open: its end tells the child that the parent is gone.
        _send(process.stdin, request)
        answer = _listen(process.stdout, on_progress)
        code = _wait(process)
    except KeyboardInterrupt:
        # The child is in a session of its own; it is told, so that it can keep what it has.
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        _wait(process)
        raise
    finally:
        timer.cancel()
        _end(process)
        listener.join(_GRACE_SECONDS)
        for stream in (process.stdin, process.stdout, process.stderr):
            _close(stream)
    if answer is not None and "result" in answer:
        return answer["result"]
    if answer is not None and "error" in answer:
        raise _rebuilt(answer["error"])
    raise _death(code, expired.is_set(), timeout_seconds, b"".join(log), where)


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


def _environment(threads: int | None) -> dict[str, str]:
    # The child imports what the parent would, in the same order; -P keeps the current folder from coming
    # first.
    found = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p), PYTHONUNBUFFERED="1")
    if threads is not None:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            found[name] = str(threads)
    return found


def _send(stream: IO[bytes], request: str) -> None:
    # A child that is dead already has an exit code that says why.
    with suppress(BrokenPipeError):
        stream.write(request.encode() + b"\n")
        stream.flush()


def _listen(stream: IO[bytes], on_progress: Callable[[dict[str, Any]], None] | None) -> dict[str, Any] | None:
    """The first line that is a result or an error; None if the child stops or breaks the form."""
    for _ in range(MAX_LINES):
        line = stream.readline(MAX_LINE_BYTES)
        try:
            message = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            message = None
        if not isinstance(message, dict):
            return None
        if "progress" not in message:
            return message
        if on_progress is not None:
            on_progress(message["progress"])
    return None


def _keep_tail(stream: IO[bytes], log: deque[bytes]) -> None:
    while chunk := stream.read1(1024):  # type: ignore[attr-defined]
        log.append(chunk)


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    deadline = time.monotonic() + _GRACE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    return process.poll()


def _expire(process: subprocess.Popen[bytes], expired: threading.Event) -> None:
    expired.set()
    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _close(stream: IO[bytes]) -> None:
    with suppress(OSError):
        stream.close()


def _rebuilt(fields: dict[str, str]) -> AnnbenchError:
    kind = getattr(errors, fields["kind"], DatasetError)
    error: AnnbenchError = kind.__new__(kind)
    # Not the kind's own __init__: some take other arguments.
    AnnbenchError.__init__(error, fields["message"], where=fields["where"], remedy=fields["remedy"])
    return error


def _death(code: int | None, expired: bool, seconds: float | None, log: bytes, where: str) -> DatasetError:
    if expired:
        what = f"reading it took more than {seconds:.0f} s"
    elif code is None:
        what = "the process that read it did not answer in the form it should"
    elif code < 0:
        what = f"the process that read it died of {signal.Signals(-code).name}"
    else:
        what = f"the process that read it ended with code {code} and no answer"
    said = _last_words(log)
    return DatasetError(
        what + (f" ({said})" if said else ""),
        where=where,
        # A Python process ends with 1 when an exception escapes, which no input should make it do.
        remedy="if the file is sound, this is a bug in annbench; please report it"
        if code == 1
        else "the file is damaged or hostile; get it again",
    )


def _last_words(log: bytes) -> str:
    """The exception that ended a child, or else the last line of its log."""
    lines = log.decode("utf-8", "replace").strip().splitlines()
    exceptions = [line for line in lines if re.match(r"[A-Za-z_.]+(Error|Exception)\b", line)]
    return (exceptions or lines or [""])[-1][:200]
