"""Algorithms that misbehave are recorded with the right status, and everything else goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from annbench.results.store import ResultStore


@pytest.mark.fault(25)
@pytest.mark.parametrize(
    ("name", "status", "phase", "said"),
    [
        ("SegfaultsAtTwo", "crashed", "search", "SIGSEGV"),
        ("RaisesAtTwo", "crashed", "search", "cannot do two"),
    ],
)
def test_one_bad_point_does_not_take_the_others(bench, misbehaving, name, status, phase, said) -> None:
    outcome = bench.run(bench.config(misbehaving(name, search="{step: [0, 1, 2, 3]}")))
    assert outcome.statuses == {"ok": 3, status: 1}
    bad = bench.records()[f"{name} · step=2"]
    assert (bad.status, bad.failed_phase, bad.verdict) == (status, phase, "invalid")
    assert said in bad.status_detail
    assert bench.run(bench.config(misbehaving(name, search="{step: [0, 1, 2, 3]}"))).measured == 0
    again = bench.run(bench.config(misbehaving(name, search="{step: [0, 1, 2, 3]}")), retry_failed=True)
    assert again.measured == 1


@pytest.mark.fault(22, 25)
@pytest.mark.parametrize(
    ("name", "status", "phase", "said"),
    [
        ("DiesInBuild", "crashed", "build", "SIGABRT"),
        ("DiesInLoad", "crashed", "load", "SIGILL"),
        ("LeavesWithoutAnAnswer", "crashed", "search", "exit 0 without an answer"),
        ("WrongShape", "invalid_output", "search", "shape"),
        ("Floats", "invalid_output", "search", "float32"),
    ],
)
def test_every_failure_has_its_status(bench, misbehaving, name, status, phase, said) -> None:
    outcome = bench.run(bench.config(misbehaving(name) + misbehaving("Exact")))
    assert outcome.statuses == {"ok": 1, status: 1}
    bad = bench.records()[f"{name} · step=0"]
    assert (bad.status, bad.failed_phase) == (status, phase)
    assert said in bad.status_detail


@pytest.mark.fault(24)
def test_memory_past_the_limit_is_oom_with_evidence(bench, misbehaving) -> None:
    config = bench.config(misbehaving("EatsMemoryInBuild") + misbehaving("Exact"), extra="limits: {memory: 700MiB}")
    assert bench.run(config).statuses == {"ok": 1, "oom": 1}
    detail = bench.records()["EatsMemoryInBuild · step=0"].status_detail
    assert "MiB" in detail or "MemoryError" in detail


@pytest.mark.fault(23)
def test_a_sleeper_times_out_and_leaves_nobody(bench, misbehaving) -> None:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    started = time.monotonic()
    config = bench.config(misbehaving("SleepsForever"), extra="limits: {point: 1s}")
    assert bench.run(config).statuses == {"timeout": 1}
    assert time.monotonic() - started < 30
    left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before]
    assert [p.cmdline() for p in left if "sleep" in " ".join(p.cmdline())] == []


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("name", "verdict", "said", "recall"),
    [
        ("Duplicates", "suspect", "25 duplicate ids", 0.8),
        ("InventsIds", "suspect", "25 ids returned that do not exist", 0.8),
        ("NeverRight", "invalid", "recall is 0", 0.0),
        ("TwoThreads", "suspect", "thread audit", 1.0),
    ],
)
def test_what_is_wrong_but_ran_gets_its_verdict(bench, misbehaving, name, verdict, said, recall) -> None:
    if name == "TwoThreads" and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores to use two threads at once")
    deadline = time.monotonic() + 60
    while True:
        bench.run(bench.config(misbehaving(name)), fresh=True)
        record = bench.records()[f"{name} · step=0"]
        if name != "TwoThreads" or record.time.cpu_ratio > 1.1 or time.monotonic() > deadline:
            break  # on a busy machine two threads may get less than one core between them, for a while
    assert record.recall.recall_at_k == pytest.approx(recall)
    assert record.verdict == verdict
    assert said in "; ".join(record.verdict_reasons)


RUN = """\
import sys, pathlib
sys.path.insert(0, {tests!r})
from conftest import Bench
bench = Bench(pathlib.Path({folder!r}), pathlib.Path({dataset!r}))
from annbench.runner.execute import Observer
class Loud(Observer):
    def stored(self, record):
        print(record.key.digest, flush=True)
print('measured', bench.run(pathlib.Path({config!r}), Loud()).measured, flush=True)
"""


@pytest.mark.fault(26, 30)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_loses_nothing_and_repeats_nothing(bench, misbehaving, number: signal.Signals) -> None:
    config = bench.config(misbehaving("Exact", search="{step: [0, 1, 2, 3, 4, 5]}"))
    code = RUN.format(
        tests=str(Path(__file__).parent), folder=str(bench.folder), dataset=str(bench.dataset), config=str(config)
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert run.stdout is not None
    seen = [run.stdout.readline().strip() for _ in range(2)]
    children = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(number)
    run.wait(20)
    run.stdout.close()
    psutil.wait_procs(children, timeout=10)
    assert not [child for child in children if child.is_running()]
    store = ResultStore(bench.store.folder)
    damaged = []
    kept = {r.key.digest: store.path_of(r).read_bytes() for r in store.records(on_damage=damaged.append)}
    assert damaged == []
    assert set(seen) <= set(kept)
    assert len(kept) < 6
    outcome = bench.run(config)
    assert outcome.measured == 6 - len(kept)
    after = {r.key.digest: r for r in store.records()}
    assert len(after) == 6
    assert all(store.path_of(after[digest]).read_bytes() == content for digest, content in kept.items())


def test_an_index_that_was_built_is_not_built_again(bench, misbehaving) -> None:
    from annbench.runner.execute import Observer

    class Stop(Observer):
        def stored(self, record) -> None:
            raise KeyboardInterrupt

    class Watch(Observer):
        def __init__(self) -> None:
            self.reused: list[bool] = []

        def building(self, build, reused) -> None:
            self.reused.append(reused)

    config = bench.config(misbehaving("Exact", search="{step: [0, 1]}"))
    with pytest.raises(KeyboardInterrupt):
        bench.run(config, Stop())
    watch = Watch()
    assert bench.run(config, watch).measured == 1
    assert watch.reused == [True]
