"""Indexes of `graph.py`: built once and kept in a folder, each by a process of its own, and searched in another.

The folder holds `<set>/<algorithm>-<key>/`, where the set is known by its vectors and the key by build parameters, the
versions of the libraries, the code that builds, and training queries. What is there is not built again.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from core_sets import CoreSet
from graph_grids import OURS, Entry
from graph_worker import INDEX, LOADS
from numpy.typing import NDArray

import annbench._native
from annbench.algorithms.registry import load_algorithm
from annbench.errors import AnnbenchError

WORKER = Path(__file__).with_name("graph_worker.py")
META = "built.json"
THREADS = 2  # of every build
MOST_SECONDS = 7200.0  # of an answer: a process that says nothing for longer is ended
LAST_WORDS = 300  # characters of what a process that ended has written


class LeftOutError(Exception):
    """Why an index takes no part."""


class FailedError(LeftOutError):
    """The same from a process that goes on: what it was asked for failed, and other things may not."""


class StoredSet:
    """A set in the cache, as the workers read it; sets with the same vectors share their indexes."""

    def __init__(self, data: CoreSet, cache: Path) -> None:
        self.data = data
        self.folder = cache / digest(data.base, data.metric)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.base = self._kept("base", data.base)
        self.asked = self.folder / f"asked-{digest(data.queries, data.truth)}.npz"
        np.savez(self.asked, queries=data.queries, truth=data.truth)
        self.learn = None if data.learn is None else self._kept(f"learn-{digest(data.learn)}", data.learn)

    def _kept(self, name: str, rows: NDArray[Any]) -> Path:
        path = self.folder / f"{name}.npy"
        if not path.exists():
            np.save(path.with_suffix(".part.npy"), rows)
            path.with_suffix(".part.npy").replace(path)
        return path


@dataclass(frozen=True)
class Built:
    """An index on disk: `index_bytes` that a search needs, `saved_bytes` that loading reads, and seconds of the build
    with `THREADS` threads.
    """

    entry: Entry
    folder: Path
    build_seconds: float
    index_bytes: int
    saved_bytes: int
    versions: dict[str, str]


def ensure_built(entry: Entry, stored: StoredSet) -> Built:
    """The index out of the cache, or built into it. Raises LeftOutError with the reason where that cannot be."""
    try:
        loaded = load_algorithm(entry.algorithm, Path())
    except AnnbenchError as error:
        raise LeftOutError(error.message) from None
    learn = stored.learn if entry.learns else None
    identity = {
        "algorithm": entry.algorithm, "build": entry.build, "versions": loaded.library_versions, "threads": THREADS,
        "learn": learn and learn.name, "code": _code(entry, loaded.cls),
    }  # fmt: skip
    folder = stored.folder / f"{entry.algorithm}-{digest(json.dumps(identity, sort_keys=True))}"
    if not (folder / META).exists():
        shutil.rmtree(folder, ignore_errors=True)  # of a build that was interrupted
        folder.mkdir()
        request = {"do": "build", **_request(entry, stored, folder), "threads": THREADS, "learn": learn and str(learn)}
        try:
            with Worker(request) as worker:
                answer = worker.answer()
        except BaseException:
            shutil.rmtree(folder)
            raise
        (folder / META).write_text(json.dumps({**identity, **answer}, indent=1))
    meta = json.loads((folder / META).read_text())
    saved = sum(path.stat().st_size for path in (folder / INDEX).rglob("*") if path.is_file())
    return Built(entry, folder, meta["build_seconds"], meta["index_bytes"], saved, loaded.library_versions)


def open_searching(built: Built, stored: StoredSet) -> tuple[Worker, dict[str, Any]]:
    """A process that has loaded the index, and what it says of that. Raises LeftOutError."""
    for path in built.folder.rglob("*"):
        if path.is_file():
            path.read_bytes()  # loads are timed from the page cache
    loads = LOADS if built.entry.family == OURS else 1
    request = {**_request(built.entry, stored, built.folder), "asked": str(stored.asked), "loads": loads}
    worker = Worker({"do": "search", **request})
    try:
        return worker, worker.answer()
    except LeftOutError:
        worker.close()
        raise


class Worker:
    """A process of graph_worker.py, which ends at the end of the `with`. Its errors, and its end, are LeftOutErrors."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._words = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, text=True
        )
        self._send(request)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._words.close()

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """What it answers. Raises FailedError, and LeftOutError when it has ended."""
        self._send({"do": do, **request})
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """To what it was asked last. Raises LeftOutError."""
        assert self._process.stdout is not None
        impatience = threading.Timer(MOST_SECONDS, self._process.kill)
        impatience.start()
        line = self._process.stdout.readline()
        impatience.cancel()
        if not line:
            self._words.seek(0)
            said = " ".join(self._words.read().split())[-LAST_WORDS:]
            raise LeftOutError(f"its process ended with {self._process.wait()}: {said or 'without a word'}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise FailedError(answer["error"])
        return answer

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # answer() tells how it ended


def digest(*parts: NDArray[Any] | str) -> str:
    """16 hex digits of arrays and texts."""
    whole = hashlib.blake2b(digest_size=8)
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part).data)
    return whole.hexdigest()


def _request(entry: Entry, stored: StoredSet, folder: Path) -> dict[str, Any]:
    return {"algorithm": entry.algorithm, "build": entry.build, "metric": stored.data.metric,
            "base": str(stored.base), "folder": str(folder)}  # fmt: skip


def _code(entry: Entry, cls: type) -> str:
    """Of what builds: the adapter, and of ours everything that an index is made by."""
    files = [Path(inspect.getfile(cls))]
    if entry.family == OURS:
        native = Path(annbench._native.__file__)
        files += [native, *sorted((files[0].parents[1] / "indexes").rglob("*.py"))]
    return digest(*_contents(files))


def _contents(files: Iterable[Path]) -> list[NDArray[np.uint8]]:
    return [np.frombuffer(path.read_bytes(), dtype=np.uint8) for path in files]
