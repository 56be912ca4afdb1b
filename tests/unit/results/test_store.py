"""The store: complete or absent, found again, never believed when damaged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from annbench.errors import ResultError
from annbench.results.container import read_arrays, read_record, write_container
from annbench.results.schema import BuildSummary, canonical_json, digest_of
from annbench.results.store import ResultStore

ARRAYS = {"ids": np.arange(12, dtype=np.int32).reshape(4, 3), "pass_ns": np.array([5, 6], dtype=np.int64)}


def test_a_container_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    record = b'{"x": "' + b"y" * 5000 + b'"}'
    write_container(path, record, ARRAYS)
    assert read_record(path) == record
    arrays = read_arrays(path)
    assert {name: array.tolist() for name, array in arrays.items()} == {n: a.tolist() for n, a in ARRAYS.items()}
    assert arrays["ids"].dtype == np.int32
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_the_file_is_hdf5_for_everyone_else(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "a.h5"
    write_container(path, b"{}", ARRAYS)
    with h5py.File(path, "r") as file:
        assert file["ids"][:].tolist() == ARRAYS["ids"].tolist()
        assert file.userblock_size == 512


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_container(path, b'{"k":1}', ARRAYS)
    for length in reversed(range(path.stat().st_size)):
        os.truncate(path, length)
        with pytest.raises(ResultError):
            read_record(path)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_container(tmp_path / "a.h5", b"{}", ARRAYS)
    assert list(tmp_path.iterdir()) == []


def test_parameters_that_differ_by_sign_or_punctuation_have_different_names() -> None:
    values = [{"a": 1}, {"a": -1}, {"a": "1"}, {"a": "-1"}, {"a.": 1}, {"a": [1]}, {"a": 1.5}, {"a": True}]
    assert len({digest_of(value) for value in values}) == len(values)
    assert canonical_json({"b": 1, "a": 2}) == '{"a":2,"b":1}'


def test_an_index_is_kept_only_when_complete(tmp_path: Path) -> None:
    store, digest = ResultStore(tmp_path), "d" * 64
    folder = store.build_folder(digest)
    (folder / "index" / "graph.bin").write_bytes(b"half")
    assert store.kept_build(digest) is None
    summary = BuildSummary(
        build_seconds=1.0, save_seconds=0.1, build_peak_bytes=1, index_bytes=4, index_crc32c="00000000",
        build_cpu_ratio=1.0, build_thread_count=1,
    )  # fmt: skip
    store.keep_build(digest, summary)
    kept = store.kept_build(digest)
    assert kept is not None
    assert kept.summary == summary
    store.drop_build(digest)
    assert store.kept_build(digest) is None


def test_the_lock_waits_for_the_other_run(tmp_path: Path) -> None:
    import subprocess
    import sys

    holder = subprocess.Popen(
        [sys.executable, "-c", (
            "import sys, time, pathlib\n"
            "from annbench.results.store import ResultStore\n"
            f"with ResultStore(pathlib.Path({str(tmp_path)!r})).measuring():\n"
            "    print('held', flush=True); time.sleep(60)\n"
        )],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    waited = []

    def on_wait() -> None:
        waited.append(True)
        holder.kill()  # kill −9: the lock of a dead process is free

    with ResultStore(tmp_path).measuring(on_wait):
        pass
    holder.wait()
    holder.stdout.close()
    assert waited == [True]
