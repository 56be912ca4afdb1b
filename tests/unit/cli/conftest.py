"""The real program, with or without a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "annbench.cli.main"]
PLAIN = {"NO_COLOR": "", "FORCE_COLOR": "", "COLUMNS": "80", "TERM": "xterm", "ANNBENCH_ISA": ""}


@pytest.fixture
def annbench(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs a command line without a terminal; keywords are environment variables."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*PROGRAM, *arguments], cwd=tmp_path, capture_output=True, timeout=300, env=os.environ | PLAIN | environment
        )

    return run


@pytest.fixture
def terminal(tmp_path: Path) -> Callable[..., str]:
    """Runs a command line in a terminal of so many columns; returns all that it shows, control codes included."""

    def run(*arguments: str, columns: int = 80, **environment: str) -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        variables = {name: value for name, value in (os.environ | PLAIN | environment).items() if name != "COLUMNS"}
        process = subprocess.Popen(
            [*PROGRAM, *arguments], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, env=variables
        )
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + 300
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(ours, 1 << 16)
            except OSError:  # the program has closed its end
                break
            if not data:
                break
            shown += data
        os.close(ours)
        process.wait(60)
        return shown.decode()

    return run
