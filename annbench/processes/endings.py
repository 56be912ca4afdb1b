"""How a process ended, in words."""

from __future__ import annotations

import re
import signal


def signal_name(number: int) -> str:
    """`SIGSEGV`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_words(log: str) -> str:
    """The exception that ended a Python process, or else the last line of its log."""
    lines = log.strip().splitlines()
    exceptions = [line for line in lines if re.match(r"Fatal Python error|[A-Za-z_.]+(Error|Exception)\b", line)]
    return (exceptions or lines or [""])[-1][:200]
