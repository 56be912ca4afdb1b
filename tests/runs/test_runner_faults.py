"""What workers do to a whole run: they flood it, outlive it, and are interrupted with it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from annbench.results.store import ResultStore

MISBEHAVING = Path(__file__).with_name("misbehaving.py")


def stubborn(flag: Path) -> list[psutil.Process]:
    """Whatever the algorithm Stubborn of this test started and is still there."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        said = " ".join(process.info["cmdline"] or ())
        if f"stubborn {flag}" in said and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def until(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.fault(23)
def test_a_stubborn_worker_and_all_it_started_are_gone_in_time(bench, misbehaving, monkeypatch, tmp_path) -> None:
    flag = tmp_path / "started"
    monkeypatch.setenv("STUBBORN", str(flag))
    config = bench.config(misbehaving("Stubborn"), extra="limits: {point: 4s}")
    assert bench.run(config).statuses == {"timeout": 1}
    assert flag.exists(), "it was too slow to misbehave"
    assert until(lambda: not stubborn(flag), 5)
    bad = bench.records()["Stubborn · step=0"]
    assert "no answer within 4 s" in bad.status_detail


@pytest.mark.fault(25)
def test_a_gigabyte_of_output_is_not_kept(bench, misbehaving, tmp_path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    config = bench.config(misbehaving("Floods"))
    assert bench.run(config).statuses == {"ok": 1}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 1 << 20


@pytest.mark.fault(30)
def test_ctrl_c_twice_leaves_nobody_and_a_valid_store(tmp_path: Path, tiny: Path) -> None:
    """The second time while the first is still being tidied up after, as an impatient user does."""
    flag = tmp_path / "started"
    (tmp_path / "mine.yaml").write_text(
        f"dataset: {tiny}\nk: 5\nmeasure: {{modes: batch, passes: 2}}\nalgorithms:\n"
        f"  - algorithm: {MISBEHAVING}:Exact\n  - algorithm: {MISBEHAVING}:Stubborn\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "annbench.cli.main", "run", "mine.yaml"], cwd=tmp_path, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True, env={**os.environ, "STUBBORN": str(flag)},
    )  # fmt: skip
    with run:
        assert until(lambda: flag.exists() or run.poll() is not None, 60)
        assert run.poll() is None, run.stderr.read()
        assert stubborn(flag)
        for _ in range(2):
            run.send_signal(signal.SIGINT)
            time.sleep(0.5)
        assert run.stderr is not None
        said = run.stderr.read()
        assert run.wait(20) == 130
    assert "Traceback" not in said, said
    assert "goes on from there" in said
    assert until(lambda: not stubborn(flag), 5), stubborn(flag)
    damaged: list[object] = []
    (kept,) = ResultStore(tmp_path / "results").records(on_damage=damaged.append)
    assert damaged == []
    assert kept.status == "ok"
