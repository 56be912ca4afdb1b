"""Children that sleep, die, eat memory, shout, and leave others behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from annbench.processes.kernel import adopt_orphans
from annbench.runner.supervisor import Child, ChildFailedError

HEAD = """\
from annbench.runner.boot import boot
SETTINGS = boot()
import os, signal, subprocess, sys, time
from annbench.runner.protocol import Channel
channel = Channel.from_descriptor(SETTINGS.descriptor)
request = channel.receive()
"""


def child_that(folder: Path, body: str, **options: object) -> Child:
    (folder / "trial.py").write_text(HEAD + textwrap.dedent(body))
    return Child("trial", folder=folder, **options)  # type: ignore[arg-type]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_an_answer_comes_back(tmp_path: Path) -> None:
    with child_that(tmp_path, "channel.send('done', got=request['value'])") as child:
        assert child.request("ask", 60, value=[1, "x"])["got"] == [1, "x"]
    assert gone(child.process.pid)


def test_what_a_child_prints_is_not_a_message(tmp_path: Path) -> None:
    body = """\
    print('{"type": "done"}', flush=True)
    channel.send('done', real=True)
    """
    with child_that(tmp_path, body) as child:
        assert child.request("ask", 60)["real"] is True


@pytest.mark.fault(25)
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGILL)", "crashed", "SIGILL"),
        ("os.abort()", "crashed", "SIGABRT"),
        ("raise SystemExit(0)", "crashed", "exit 0 without an answer"),
        ("raise ValueError('no such luck')", "crashed", "no such luck"),
    ],
)
def test_a_death_is_named(tmp_path: Path, body: str, status: str, said: str) -> None:
    with child_that(tmp_path, body) as child, pytest.raises(ChildFailedError) as caught:
        child.request("ask", 60)
    assert caught.value.status == status
    assert said in caught.value.detail


@pytest.mark.fault(25)
def test_a_gigabyte_of_output_neither_blocks_nor_is_kept(tmp_path: Path) -> None:
    body = """\
    line = b'x' * (1 << 20)
    for _ in range(1024):
        os.write(1, line)
    channel.send('done')
    """
    with child_that(tmp_path, body) as child:
        assert child.request("ask", 60)["type"] == "done"
        assert len(child.log.tail(10**9)) <= 16 << 10


@pytest.mark.fault(23)
def test_a_sleeper_that_ignores_sigterm_and_has_children_is_gone(tmp_path: Path) -> None:
    adopt_orphans()
    body = """\
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    same = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
    other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)
    # a grandchild whose parent leaves at once: nobody's child, in nobody's group
    orphan = subprocess.run([sys.executable, '-c',
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"],
        capture_output=True, text=True)
    open('pids', 'w').write(f'{same.pid} {other.pid} {orphan.stdout.strip()}')
    channel.send('ready')
    time.sleep(600)
    """
    with child_that(tmp_path, body) as child:
        assert child.request("ask", 30)["type"] == "ready"
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        started = time.monotonic()
        with pytest.raises(ChildFailedError) as caught:
            child.receive(0.5)
        assert caught.value.status == "timeout"
        assert time.monotonic() - started < 5.5
    assert len(pids) == 3
    assert all(gone(pid) for pid in [child.process.pid, *pids])


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    "body",
    [
        # creeping: caught by watching; at once: refused by the kernel
        "kept = []\nwhile True:\n    kept.append(bytearray(os.urandom(1 << 20) * 16)); time.sleep(0.01)",
        "try:\n    b = bytearray(8 << 30)\nexcept MemoryError:\n    channel.send('failed', status='oom', detail='MiB')",
    ],
)
def test_memory_past_the_limit_is_oom(tmp_path: Path, body: str) -> None:
    with child_that(tmp_path, body, memory_bytes=300 << 20) as child:
        try:
            reply = child.request("ask", 60)
            found = reply["status"], reply["detail"]
        except ChildFailedError as error:
            found = error.status, error.detail
    assert found[0] == "oom"
    assert "MiB" in found[1]


def test_it_runs_where_and_with_what_it_was_given(tmp_path: Path) -> None:
    core = sorted(os.sched_getaffinity(0))[-1]
    body = """\
    channel.send('done', cores=sorted(os.sched_getaffinity(0)), threads=os.environ['OMP_NUM_THREADS'])
    """
    with child_that(tmp_path, body, cores=(core,), threads=3) as child:
        reply = child.request("ask", 60)
    assert reply["cores"] == [core]
    assert reply["threads"] == "3"


@pytest.mark.fault(26)
def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "trial.py").write_text(HEAD + "open('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n")
    code = (
        "import pathlib, time\n"
        "from annbench.runner.supervisor import Child\n"
        f"child = Child('trial', folder=pathlib.Path({str(tmp_path)!r}))\n"
        "child.channel.send('ask')\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = int((tmp_path / "pid").read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while not gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
