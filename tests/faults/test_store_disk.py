"""A disk that is full, read-only or cut short, and what dead processes left on it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from annbench.errors import ResultError
from annbench.results.container import read_whole
from annbench.results.store import ResultStore

# Writes ever larger points until the disk refuses, and says how that ended.
FILL = """\
import json, pathlib, sys
sys.path.insert(0, {benchmarks!r})
import numpy as np
from synthetic_records import make_record
from annbench.errors import ResultError
from annbench.results.container import read_whole
from annbench.results.store import ResultStore

store, stored = ResultStore(pathlib.Path({folder!r})), 0
try:
    with store.measuring():
        for ef in range(1, 40):
            ids = np.random.default_rng(ef).integers(0, 2**31, (250 * ef, 4))
            store.write(make_record(search={{"ef": ef}}), {{"ids": ids}})
            stored += 1
except ResultError as error:
    for path in store.paths():
        read_whole(path)
    left = [str(path) for path in store.folder.rglob("*.tmp")]
    print(json.dumps([stored, len(store.paths()), left, error.message, error.where, error.remedy]))
"""


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run(["unshare", "-r", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return done.returncode == 0


def on_tmpfs(folder: Path, options: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a namespace of its own, in which `folder` is a tmpfs with these mount options."""
    script = f'mount -t tmpfs -o {options} tmpfs "$1" && shift && exec "$@"'
    return subprocess.run(
        ["unshare", "-r", "-m", "sh", "-c", script, "sh", str(folder), sys.executable, "-c", code],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def fill(folder: Path) -> str:
    benchmarks = str(Path(__file__).parents[2] / "benchmarks")
    return FILL.format(benchmarks=benchmarks, folder=str(folder / "results"))


@pytest.mark.fault(27)
@pytest.mark.skipif(not can_mount(), reason="this user may not mount a tmpfs in a namespace of its own")
def test_a_full_disk_is_a_clean_failure(tmp_path: Path) -> None:
    done = on_tmpfs(tmp_path, "size=400k", fill(tmp_path))
    assert done.returncode == 0, done.stderr
    stored, found, left, message, where, remedy = json.loads(done.stdout)
    assert 1 < stored < 39
    assert (found, left) == (stored, [])
    assert message == "cannot write: No space left on device"
    assert where.endswith(".h5")
    assert "free space" in remedy


@pytest.mark.fault(27)
def test_a_short_write_is_a_clean_failure(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # the kernel writes as much, and no more

    done = subprocess.run(
        [sys.executable, "-c", fill(tmp_path)], capture_output=True, text=True, timeout=300, preexec_fn=limit
    )
    assert done.returncode == 0, done.stderr
    stored, found, left, message, _, remedy = json.loads(done.stdout)
    assert 1 < stored < 39
    assert (found, left) == (stored, [])
    assert message == "cannot write: File too large"
    assert "ulimit -f" in remedy


@pytest.mark.fault(27)
@pytest.mark.skipif(os.geteuid() == 0 and not can_mount(), reason="root writes everywhere, and may not mount here")
def test_a_read_only_folder_is_a_clean_failure(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        done = on_tmpfs(tmp_path, "ro", fill(tmp_path))
    else:
        tmp_path.chmod(0o500)
        done = subprocess.run([sys.executable, "-c", fill(tmp_path)], capture_output=True, text=True, timeout=300)
        tmp_path.chmod(0o700)
    assert done.returncode == 0, done.stderr
    stored, _, _, message, where, remedy = json.loads(done.stdout)
    assert stored == 0
    assert message.startswith("cannot write: ")
    assert where == str(tmp_path / "results")
    assert remedy == "make the folder writable or choose another --results"


@pytest.mark.fault(27)
def test_a_disk_that_fills_up_during_a_build_leaves_no_index_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, summary: Callable[..., object]
) -> None:
    store = ResultStore(tmp_path)
    folder = store.build_folder("d" * 64)
    (folder / "index" / "graph.bin").write_bytes(b"as much as fitted")
    (folder / "build.json.tmp").mkdir()  # what stands in the way of the mark, as a full disk does
    with pytest.raises(ResultError, match="cannot write"):
        store.keep_build("d" * 64, summary(index_bytes=17))
    assert store.builds() == []


HOLD = """\
import pathlib, sys, time
from annbench.results.store import ResultStore
with ResultStore(pathlib.Path(sys.argv[1])).measuring() as scratch:
    (scratch / "spool.npz").write_bytes(b"ids")
    folder = pathlib.Path(sys.argv[1]) / "data" / "algorithm"
    folder.mkdir(parents=True)
    (folder / f".{'a' * 32}.h5.1-ab.tmp").write_bytes(b"half a point")
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.fault(28)
def test_what_a_dead_process_left_is_cleaned_and_its_lock_is_free(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert store.is_held()
    assert len(store.temporaries()) == 1
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert not store.is_held()
    started = time.monotonic()
    with store.measuring(on_wait=lambda: pytest.fail("waited for a dead process")) as scratch:
        assert list(scratch.iterdir()) == []
        assert store.temporaries() == []
    assert time.monotonic() - started < 5
    assert not (tmp_path / ".scratch").exists()


@pytest.mark.fault(28)
@pytest.mark.parametrize("change", ["cut", "gone", "longer"])
def test_an_index_that_is_not_as_it_was_saved_is_built_again(
    tmp_path: Path, change: str, summary: Callable[..., object]
) -> None:
    store = ResultStore(tmp_path)
    graph = store.build_folder("d" * 64) / "index" / "graph.bin"
    graph.write_bytes(b"whole")
    store.keep_build("d" * 64, summary(index_bytes=5))
    assert store.kept_build("d" * 64) is not None
    match change:
        case "cut":
            graph.write_bytes(b"who")
        case "gone":
            graph.unlink()
        case _:
            graph.write_bytes(b"whole and more")
    assert store.kept_build("d" * 64) is None


@pytest.fixture
def summary() -> Callable[..., object]:
    from annbench.results.schema import BuildSummary

    def make(index_bytes: int) -> BuildSummary:
        return BuildSummary(
            build_seconds=1.0, save_seconds=0.1, build_peak_bytes=1, index_bytes=index_bytes,
            index_crc32c="00000000", build_cpu_ratio=1.0, build_thread_count=1,
        )  # fmt: skip

    return make


def test_every_point_that_was_stored_is_whole(tmp_path: Path) -> None:
    """Guards the other tests here: the check they use finds damage."""
    path = tmp_path / "a.h5"
    path.write_bytes(b"annbench-result 1\nnothing else")
    with pytest.raises(ResultError):
        read_whole(path)
