"""Real runs whose store is interrupted, filled up, or shared."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from annbench.results.container import read_whole
from annbench.results.store import ResultStore

ANNBENCH = [sys.executable, "-m", "annbench.cli.main"]

DIE = """\
import os, pathlib, signal, sys
sys.path[:0] = [{here!r}, {faults!r}]
from conftest import Bench
from store_steps import Death

class DeathAt(Death):
    def step(self, kind):
        self.count += kind == {kind!r}
        if self.count == {number}:
            os.kill(os.getpid(), signal.SIGKILL)

bench = Bench(pathlib.Path({folder!r}), pathlib.Path({dataset!r}))
DeathAt(bench.store.folder, 0, -1)
bench.run(pathlib.Path({config!r}))
"""


@pytest.fixture
def hnsw(tiny: Path):
    """A config of hnswlib with these `ef`, written to a file of this name."""

    def write(folder: Path, name: str, ef: list[int]) -> Path:
        path = folder / name
        path.write_text(
            f"dataset: {tiny}\nk: 5\nmeasure: {{modes: batch, passes: 2, build_threads: 1}}\nalgorithms:\n"
            f"  - algorithm: hnswlib\n    build: {{M: 8, ef_construction: 40}}\n    search: {{ef: {ef}}}\n"
        )
        return path

    return write


@pytest.mark.fault(26)
def test_a_run_killed_in_the_middle_of_a_file_goes_on(bench, misbehaving) -> None:
    """tests/faults/test_store_steps.py has every other step, without the measuring."""
    kind, number, stored = "half-written", 5, 1  # the mark of the index, two writes of the first point, two of the next
    config = bench.config(misbehaving("Exact", search="{step: [0, 1, 2]}"))
    here = Path(__file__).parent
    code = DIE.format(
        here=str(here), faults=str(here.parent / "faults"), kind=kind, number=number,
        folder=str(bench.folder), dataset=str(bench.dataset), config=str(config),
    )  # fmt: skip
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == -signal.SIGKILL, run.stderr
    before = {path: path.read_bytes() for path in bench.store.paths()}
    assert len(before) == stored
    for path in before:
        read_whole(path)
    assert bench.run(config).measured == 3 - stored
    wanted = {point.key.digest for point in bench.plan(config).points}
    assert {record.key.digest for record in bench.store.records()} == wanted
    assert all(path.read_bytes() == content for path, content in before.items())
    assert bench.store.temporaries() == bench.store.builds() == []


@pytest.mark.fault(29)
def test_two_runs_into_one_folder_lose_and_double_nothing(tmp_path: Path, hnsw) -> None:
    first_config, second_config = hnsw(tmp_path, "a.yaml", [5, 10, 20]), hnsw(tmp_path, "b.yaml", [10, 20, 40])

    def start(config: Path) -> subprocess.Popen[str]:
        # Files, since a pipe that nobody empties would hold the process up.
        with (tmp_path / f"{config.stem}.out").open("w") as out, (tmp_path / f"{config.stem}.err").open("w") as err:
            return subprocess.Popen([*ANNBENCH, "run", config.name, "--json"], cwd=tmp_path, stdout=out, stderr=err)

    def wait_for(condition, what: str) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.02)

    store = ResultStore(tmp_path / "results")
    first = start(first_config)
    wait_for(store.is_held, "the first run never held the folder")
    psutil.Process(first.pid).suspend()
    second = start(second_config)
    wait_for(lambda: "waiting" in (tmp_path / "b.err").read_text(), "the second run did not wait")
    assert second.poll() is None
    psutil.Process(first.pid).resume()
    assert (first.wait(60), second.wait(60)) == (0, 0)
    measured = [json.loads((tmp_path / name).read_text())["measured"] for name in ("a.out", "b.out")]
    assert measured == [3, 1]
    damaged: list[object] = []
    efs = sorted(record.key.search["ef"] for record in store.records(on_damage=damaged.append))
    assert (efs, damaged) == ([5, 10, 20, 40], [])


# A run into 96 KiB, then what it left, then the same run with room.
FULL = """\
mount -t tmpfs -o size=96k tmpfs "$1" || exit 99
shift
"$@"; echo "first $?"
find results -name '*.h5' -exec sha256sum {} +
mount -o remount,size=8m "$OLDPWD" 2>/dev/null || mount -o remount,size=8m "$PWD/results"
"$@"; echo "second $?"
find results -name '*.h5' -exec sha256sum {} +
"""


@pytest.mark.fault(27)
def test_a_run_on_a_full_disk_fails_cleanly_and_goes_on_when_there_is_room(tmp_path: Path, hnsw) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    config = hnsw(tmp_path, "full.yaml", [5, 10, 20, 40])
    (tmp_path / "results").mkdir()
    done = subprocess.run(
        ["unshare", "-r", "-m", "sh", "-c", FULL, "sh", str(tmp_path / "results"), *ANNBENCH, "run", config.name, "-q"],
        cwd=tmp_path, capture_output=True, text=True, timeout=90, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("this user may not mount a tmpfs in a namespace of its own")
    first, _, second = done.stdout.partition("first ")[2].partition("second ")
    assert first.startswith("2\n")
    assert "No space left on device; free space or choose another --results" in done.stderr
    assert "Traceback" not in done.stderr
    kept = first.splitlines()[1:]
    kept = [line for line in kept if line.endswith(".h5")]
    assert 1 <= len(kept) < 4
    assert second.startswith("0\n")
    after = [line for line in second.splitlines() if line.endswith(".h5")]
    assert len(after) == 4
    assert set(kept) <= set(after)
