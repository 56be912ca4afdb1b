"""The command line as a user meets it: exit codes, streams, JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MISBEHAVING = Path(__file__).with_name("misbehaving.py")


@pytest.fixture
def annbench(tmp_path: Path):
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "annbench.cli.main", *arguments],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "99", **environment}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run


@pytest.fixture
def config(tmp_path: Path, tiny: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"dataset: {tiny}\nk: 5\nmeasure: {{modes: batch, passes: 2}}\nalgorithms:\n"
        f"  - algorithm: hnswlib\n    build: {{M: 8, ef_construction: 40}}\n    search: {{ef: [5, 20]}}\n"
    )
    return path


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--version"], 0, "annbench 0"),
        (["--help"], 0, "run"),
        (["rnu"], 2, "rnu"),
        (["run"], 2, "CONFIG"),
        (["run", "quikstart"], 2, "did you mean quickstart"),
        (["plan", "quickstart", "--dataset", "glove-100-angulr"], 2, "did you mean glove-100-angular"),
        (["plan", "quickstart", "--only", "hnswlb"], 2, "did you mean hnswlib"),
        (["report", "nothing-here"], 3, "annbench run"),
        (["results", "export", "all.csv"], 3, "annbench run"),
        (["results", "export", "all.doc"], 2, ".parquet"),
        (["data", "info", "no-such-set"], 2, "no-such-set"),
    ],
)
def test_exit_codes(annbench, arguments: list[str], code: int, said: str) -> None:
    done = annbench(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) is (code == 0)


def test_entries_are_chosen_by_name_or_label(annbench) -> None:
    def points(pattern: str) -> int:
        return json.loads(annbench("plan", "quickstart", "--only", pattern, "--json").stdout)["total"]["points"]

    lists, graphs = points("annbench-lists"), points("annbench-graph")
    assert 0 < lists < lists + graphs == points("annbench-*") == points("composed")


def test_from_config_to_report(annbench, config: Path, tmp_path: Path) -> None:
    plan = annbench("plan", "mine.yaml", "--json")
    assert json.loads(plan.stdout)["total"]["points"] == 2
    assert not (tmp_path / "results").exists()
    done = annbench("run", "mine.yaml", "--report", "page")
    assert done.returncode == 0, done.stderr
    assert "Which index to use" in done.stdout
    assert "page/report.html" in done.stderr
    assert (tmp_path / "page" / "report.html").stat().st_size > 10**6
    again = annbench("run", "mine.yaml", "--json")
    assert json.loads(again.stdout) == {"points": 2, "measured": 0, "statuses": {"ok": 2}}
    rows = json.loads(annbench("results", "ls", "--json").stdout)
    assert {row["configuration"] for row in rows} == {
        "hnswlib M=8 ef_construction=40 · ef=5", "hnswlib M=8 ef_construction=40 · ef=20"
    }  # fmt: skip
    for name in ("all.csv", "all.parquet"):
        assert annbench("results", "export", name).returncode == 0
        assert (tmp_path / name).stat().st_size > 0
    assert json.loads(annbench("report", "--json").stdout)["answers"]
    assert json.loads(annbench("plan", "mine.yaml", "--json").stdout)["total"]["stored"] == 2


def test_failed_points_exit_4_and_say_why(annbench, config: Path) -> None:
    config.write_text(config.read_text() + f"  - algorithm: {MISBEHAVING}:DiesInBuild\n")
    done = annbench("run", "mine.yaml", "--quiet")
    assert done.returncode == 4
    assert "SIGABRT" in done.stderr


def test_a_damaged_result_is_passed_over_and_measured_again(annbench, config: Path, tmp_path: Path) -> None:
    annbench("run", "mine.yaml")
    victim = next((tmp_path / "results").glob("*/*/*.h5"))
    victim.write_bytes(victim.read_bytes()[:700])
    listed = annbench("results", "ls", "--json")
    assert len(json.loads(listed.stdout)) == 1
    assert victim.name in listed.stderr
    assert json.loads(annbench("run", "mine.yaml", "--json").stdout)["measured"] == 1


@pytest.mark.fault(27)
def test_read_only_results_are_a_clear_error(annbench, config: Path, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    done = annbench("run", "mine.yaml")
    assert done.returncode == 2
    assert "--results" in done.stderr


@pytest.mark.fault(30)
def test_ctrl_c_exits_130_and_says_how_to_go_on(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text() + f"  - algorithm: {MISBEHAVING}:SleepsForever\n")
    run = subprocess.Popen(
        [sys.executable, "-m", "annbench.cli.main", "run", "mine.yaml"], cwd=tmp_path, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "results").glob("*/*/*.h5"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=20)
    assert run.returncode == 130
    assert "goes on from there" in said


def test_env_is_complete(annbench) -> None:
    facts = json.loads(annbench("env", "--json").stdout)
    assert {"cpu", "isa", "machine_id", "memory_bytes", "libraries", "blas", "system", "git"} <= set(facts)
    assert facts["cpu"]["model"]


@pytest.mark.fault(33)
def test_a_misspelt_isa_lists_those_available(annbench) -> None:
    done = annbench("env", ANNBENCH_ISA="avx3")
    assert done.returncode == 2
    assert "scalar" in done.stderr
    assert annbench("env", ANNBENCH_ISA="scalar").returncode == 0
