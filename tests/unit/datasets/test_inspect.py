"""Describing a file through a child process, and remembering the answer."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from annbench import errors
from annbench.datasets import child
from annbench.datasets.inspect import describe, recall, safe_name
from annbench.errors import DatasetError

File = Callable[..., Path]


def test_a_description_has_every_fact(ann_benchmarks_file: File, tmp_path: Path) -> None:
    path = ann_benchmarks_file("cosine")
    info = describe(path, "mine", tmp_path / "cache")
    assert (info.name, info.path, info.metric, info.n, info.dim) == ("mine", str(path), "cosine", 60, 8)
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info.file_bytes == path.stat().st_size
    assert info.query_sets["test"].count == 7
    assert info.query_sets["test"].truth_k == 10
    assert info.raw_bytes == 60 * 8 * 4


def test_an_unchanged_file_is_not_opened_again(
    ann_benchmarks_file: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ann_benchmarks_file()
    assert recall(path, tmp_path) is None
    first = describe(path, "one", tmp_path)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert describe(path, "two", tmp_path) == first.model_copy(update={"name": "two"})
    assert recall(path, tmp_path) == first
    os.utime(path, ns=(1, 1))
    assert recall(path, tmp_path) is None
    with pytest.raises(OSError, match="nowhere"):
        describe(path, "one", tmp_path)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"version": 1}', b"\xff\xfe"])
def test_a_damaged_cache_is_made_again(ann_benchmarks_file: File, tmp_path: Path, damage: bytes) -> None:
    path, cache = ann_benchmarks_file(), tmp_path / "cache"
    first = describe(path, "a", cache)
    (entry,) = cache.iterdir()
    entry.write_bytes(damage)
    assert describe(path, "a", cache) == first


def test_a_cache_that_cannot_be_written_is_no_error(ann_benchmarks_file: File, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert describe(ann_benchmarks_file(), "a", tmp_path / "file" / "cache").n == 60


def test_the_parent_never_loads_hdf5(ann_benchmarks_file: File, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from annbench.datasets.library import describe_any, list_datasets\n"
        "folder = Path(sys.argv[2])\n"
        "assert describe_any(sys.argv[1], folder)['info']['n'] == 60\n"
        "list_datasets(folder)\n"
        "assert not {'h5py', 'numpy'} & sys.modules.keys()\n"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    subprocess.run(
        [sys.executable, "-c", program, str(ann_benchmarks_file()), str(tmp_path)],
        check=True,
        env=environment,
    )


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        describe(tmp_path / "x.hdf5", "x", tmp_path)


def test_names_for_files_given_by_path() -> None:
    assert safe_name(Path("/a/My Data (v2).hdf5")) == "my-data-v2-"
    assert safe_name(Path("/a/___.hdf5")) == "dataset"
    assert safe_name(Path("/a/sift-128.hdf5")) == "sift-128"


CHILDREN = {
    "result": ("print('{\"result\": [1, 2]}')", None),
    "crash": ("import os, signal; os.kill(os.getpid(), signal.SIGBUS)", "died of SIGBUS"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "died of SIGKILL.*want of memory"),
    "ended": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "died of SIGTERM.*start it again"),
    "exit": ("import sys; sys.exit('out of luck')", r"ended with code 1 and no answer \(out of luck\)"),
    "silent": ("pass", "ended with code 0 and no answer"),
    "noise": ("print('hello')", "no answer"),
    "unfinished": ("import sys; sys.stdout.write('{\"result\": 1}')", "no answer"),
    "hang": ("import time; time.sleep(60)", "took more than 1 s"),
    "flood": ("while True: print('x' * 10_000_000)", "did not answer in the form"),
}


@pytest.mark.parametrize("case", CHILDREN)
def test_whatever_a_child_does_the_parent_reports_it(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, message = CHILDREN[case]
    (tmp_path / "some_child.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)

    def run() -> object:
        return child.run_child("some_child", [], where="here", timeout_seconds=1 if case == "hang" else 300)

    if message is None:
        assert run() == [1, 2]
    else:
        with pytest.raises(DatasetError, match=message) as caught:
            run()
        assert caught.value.where == "here"


def test_a_childs_error_keeps_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_child.py").write_text(
        "import json\nfrom annbench.datasets.child import error_line\nfrom annbench.errors import *\n"
        "print(json.dumps({'progress': {'a': 1}}))\n"
        "print(json.dumps(error_line(UnknownNameError('thing', 'aple', ['apple'], where='w'))))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[dict[str, int]] = []
    with pytest.raises(errors.UnknownNameError) as caught:
        child.run_child("some_child", [], where="here", on_progress=seen.append)
    assert str(caught.value) == "w: unknown thing 'aple'; did you mean apple?"
    assert seen == [{"a": 1}]


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    """The parent is killed outright; the child, which would sleep, must go by itself."""
    (tmp_path / "sleeper.py").write_text(
        "import os, sys, time, json\nfrom annbench.datasets.child import end_with_parent\n"
        "sys.stdin.readline()\nend_with_parent()\n"
        "print(json.dumps({'progress': {'pid': os.getpid()}}), flush=True)\ntime.sleep(60)\n"
    )
    parent = (
        "import os, signal\nfrom annbench.datasets.child import run_child\n"
        "def seen(fields):\n    print(fields['pid'], flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "run_child('sleeper', [], where='', on_progress=seen)\n"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), *(p for p in sys.path if p)]))
    done = subprocess.run([sys.executable, "-c", parent], env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    for _ in range(200):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.05)
    pytest.fail(f"child {pid} outlived its parent")
