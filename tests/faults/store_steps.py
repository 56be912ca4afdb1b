"""Plays a run's way through the store, over and over, and dies of SIGKILL at its first, second, … step on the disk.

`python store_steps.py FOLDER` prints, as JSON, the kinds of steps; or how the first death did harm. It forks, so that
each of some hundred deaths costs milliseconds and not the import of a library.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import numpy as np
from synthetic_records import make_record

from annbench.results.container import read_whole
from annbench.results.schema import BuildSummary, digest_of
from annbench.results.store import ResultStore

INDEX = b"graph" * 4000
SUMMARY = BuildSummary(
    build_seconds=1.0, save_seconds=0.1, build_peak_bytes=1, index_bytes=len(INDEX), index_crc32c="00000000",
    build_cpu_ratio=1.0, build_thread_count=1,
)  # fmt: skip
ARRAYS = {"ids": np.arange(5000, dtype=np.int32).reshape(500, 10), "pass_ns": np.array([5, 6], dtype=np.int64)}
BUILDS = {
    digest_of(m): [make_record(build={"M": m}, search={"ef": ef}) for ef in (10, 20)] for m in (8, 16)
}  # fmt: skip


def play(folder: Path) -> None:
    """What a run does to the store, without the measuring."""
    store = ResultStore(folder)
    with store.measuring() as scratch:
        for digest, records in BUILDS.items():
            missing = [r for r in records if store.find(r.dataset.name, r.key.algorithm, r.key.digest) is None]
            if missing:
                kept = store.kept_build(digest)
                if kept is None:
                    (store.build_folder(digest) / "index" / "graph.bin").write_bytes(INDEX)
                    kept = store.keep_build(digest, SUMMARY)
                assert (kept.folder / "graph.bin").read_bytes() == INDEX, "half an index was taken for a whole one"
            for record in missing:
                (scratch / "spool.npz").write_bytes(b"ids")
                store.write(record, ARRAYS)
            store.drop_build(digest)


class Death:
    """Counts the steps that this process takes below `folder`, and ends it at the one with number `last`."""

    EVENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir")

    def __init__(self, folder: Path, last: int, log: int) -> None:
        self.folder, self.last, self.log, self.count = str(folder), last, log, 0
        self.open = io.open
        os.fsync = self._fsync  # type: ignore[assignment]
        io.open = self._open  # type: ignore[assignment]
        sys.addaudithook(self._audit)

    def step(self, kind: str) -> None:
        self.count += 1
        os.write(self.log, f"{kind}\n".encode())
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        # shutil.rmtree names files relative to a descriptor of their folder.
        relative = event in ("os.remove", "os.rmdir") and arguments[1] >= 0
        if event in self.EVENTS and (relative or str(arguments[0]).startswith(self.folder)):
            self.step(event)

    def _fsync(self, descriptor: int) -> None:
        self.step("fsync")  # and nothing else: what was written outlives a process, it need not outlive the power

    def _open(self, path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = self.open(path, mode, *arguments, **options)
        return _Halting(file, self) if "r" not in mode and str(path).startswith(self.folder) else file


class _Halting:
    """A file that can be left half-written."""

    def __init__(self, file: Any, death: Death) -> None:
        self.file, self.death = file, death

    def write(self, data: Any) -> int:
        half = len(data) // 2
        self.file.write(data[:half])
        self.file.flush()
        self.death.step("half-written")
        return half + int(self.file.write(data[half:]))

    def __enter__(self) -> _Halting:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def die_at(folder: Path, step: int) -> tuple[bool, list[str]]:
    """Play in a child that dies at this step; whether it came to the end instead, and the steps it took."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            Death(folder, step, writer)
            play(folder)
            os._exit(0)
        except BaseException as error:
            os.write(2, f"step {step}: {type(error).__name__}: {error}\n".encode())
            os._exit(70)
    os.close(writer)
    with os.fdopen(reader) as log:
        kinds = log.read().split()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), f"exit {code} at step {step}"
    return code == 0, kinds


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below, but for the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def main(root: Path) -> None:
    os.fsync = lambda descriptor: None
    play(root / "whole")
    whole = tree(root / "whole")
    assert len(whole) == 4
    for step in itertools.count(1):
        folder = root / str(step)
        finished, kinds = die_at(folder, step)
        if finished:
            break
        store = ResultStore(folder)
        for path in store.paths():  # complete, or absent
            read_whole(path)
            assert path.read_bytes() == whole[str(path.relative_to(folder))], f"step {step}: {path} differs"
        times = {path: path.stat().st_mtime_ns for path in store.paths()}
        play(folder)
        assert tree(folder) == whole, f"step {step}: {sorted(tree(folder))}"
        assert all(path.stat().st_mtime_ns == then for path, then in times.items()), f"step {step}: written again"
    print(json.dumps({"steps": kinds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
