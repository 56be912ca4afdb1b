"""What both ways of talking to a child rely on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from annbench.processes.endings import last_words, signal_name
from annbench.processes.kernel import adopt_orphans
from annbench.processes.lines import LineBuffer
from annbench.processes.started import Started

LEAVES_SOMEBODY = """
import subprocess, sys
left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)
print(left.pid, flush=True)
sys.stdin.read() if {waits} else None
"""


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.fault(23)
@pytest.mark.parametrize("waits", [True, False])
def test_nobody_is_left_even_of_another_session(waits: bool) -> None:
    adopt_orphans()
    process = Started([sys.executable, "-c", LEAVES_SOMEBODY.format(waits=waits)], talks=True)
    pid = int(process.stdout.readline())
    if not waits:
        assert process.wait(60) == 0
    process.kill()
    assert gone(pid)
    assert gone(process.pid)
    process.kill()  # again is no error


def test_it_runs_where_and_with_what_it_was_given(tmp_path: Path) -> None:
    code = "import os; print(os.getcwd(), os.environ['OMP_NUM_THREADS'], os.environ['MORE'])"
    process = Started([sys.executable, "-c", code], talks=False, threads=3, environment={"MORE": "x"}, folder=tmp_path)
    assert process.wait(60) == 0
    process.kill()
    assert process.log.tail() == f"{tmp_path} 3 x"


def test_an_interrupt_reaches_it() -> None:
    code = "import signal, time; signal.signal(2, signal.default_int_handler); print(flush=True); time.sleep(600)"
    process = Started([sys.executable, "-c", code], talks=True)
    process.stdout.readline()
    process.interrupt()
    assert process.wait(60) == -2
    process.kill()
    assert "KeyboardInterrupt" in process.log.tail()


def test_a_command_that_does_not_exist() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        Started(["/nowhere/at/all"], talks=True)
    assert len(os.listdir("/proc/self/fd")) == before


def test_lines() -> None:
    lines = LineBuffer(10)
    assert lines.feed(b"a\nbc")
    assert [lines.next(), lines.next()] == [b"a", None]
    assert lines.feed(b"d\n\n")
    assert [lines.next(), lines.next(), lines.next()] == [b"bcd", b"", None]
    assert lines.feed(b"x" * 10)
    assert not lines.feed(b"x")


def test_endings() -> None:
    assert signal_name(11) == "SIGSEGV"
    assert signal_name(250) == "signal 250"
    assert last_words("a\nTraceback\nValueError: no luck\nExtension modules: many") == "ValueError: no luck"
    assert last_words("one\ntwo\n") == "two"
    assert last_words("") == ""
