"""A folder of results: one file a point, named by the hash of what identifies it.

    results/<dataset>/<algorithm>/<digest>.h5      finished points, complete and checksummed
    results/.builds/<digest>/                      indexes of points that are not done yet: a rerun need not build again
    results/.scratch/                              working folder of the run's processes
    results/.lock                                  held by the run that measures

Nothing else is state: a rerun looks which digests exist.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from annbench.errors import ResultError
from annbench.results.container import Arrays, read_arrays, read_record, write_container
from annbench.results.schema import SCHEMA_VERSION, BuildSummary, Record, canonical_json

_STALE_SECONDS = 60.0


@dataclass(frozen=True)
class KeptBuild:
    """An index on disk, complete, with the figures of its build."""

    folder: Path
    summary: BuildSummary


class ResultStore:
    """Reads and writes the results below `folder`; the folder need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, record: Record) -> Path:
        """Where this record's file belongs."""
        return self._path(record.dataset.name, record.key.algorithm, record.key.digest)

    def find(self, dataset: str, algorithm: str, digest: str) -> Record | None:
        """The stored record of a point, or None; a damaged file counts as absent."""
        path = self._path(dataset, algorithm, digest)
        try:
            return self._read(path) if path.exists() else None
        except ResultError:
            return None

    def write(self, record: Record, arrays: Arrays) -> Path:
        """Store one point atomically. Raises ResultError if the disk refuses; earlier results stay intact."""
        path = self.path_of(record)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_container(path, canonical_json(record.model_dump(mode="json")).encode(), arrays)
        except OSError as error:
            raise ResultError(
                f"cannot write: {error.strerror}", where=str(path), remedy="free space or choose another --results"
            ) from error
        return path

    def records(self, on_damage: Callable[[ResultError], None] | None = None) -> Iterator[Record]:
        """Every readable record, ordered by path; damaged files go to `on_damage` (default: passed over)."""
        for path in self.paths():
            try:
                yield self._read(path)
            except ResultError as error:
                if on_damage is not None:
                    on_damage(error)

    def paths(self) -> list[Path]:
        """The result files, ordered."""
        return sorted(p for p in self.folder.glob("*/*/*.h5") if not p.name.startswith("."))

    def arrays(self, record: Record) -> dict[str, NDArray[np.generic]]:
        """Raw arrays of a point: `ids (q, k)`, `pass_ns (passes,)`, and in single calls `latencies_ns (passes, q)`."""
        return read_arrays(self.path_of(record))

    @contextmanager
    def measuring(self, on_wait: Callable[[], None] | None = None) -> Iterator[Path]:
        """Hold the folder for one measuring run; a second one waits, since it would disturb the first one's times.

        Gives a scratch folder that lasts as long. The lock is the kernel's, so that of a dead process is free, and what
        that process left behind is cleaned.
        """
        scratch = self.folder / ".scratch"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                if on_wait is not None:
                    on_wait()
                lock.acquire()
        except OSError as error:
            raise ResultError(
                f"cannot use this folder: {error.strerror}", where=str(self.folder), remedy="choose another --results"
            ) from error
        try:
            self._clean()
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            yield scratch.resolve()
            shutil.rmtree(scratch, ignore_errors=True)
        finally:
            lock.release()

    def build_folder(self, digest: str) -> Path:
        """An empty folder for an index under construction; `keep_build` completes it."""
        folder = self.folder / ".builds" / digest[:32]
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "index").mkdir(parents=True)
        return folder

    def keep_build(self, digest: str, summary: BuildSummary) -> KeptBuild:
        """Mark the index as complete, so that an interrupted run need not build it again."""
        folder = self.folder / ".builds" / digest[:32]
        temporary = folder / "build.json.tmp"
        temporary.write_text(summary.model_dump_json())
        temporary.replace(folder / "build.json")
        return KeptBuild(folder / "index", summary)

    def kept_build(self, digest: str) -> KeptBuild | None:
        """The complete index of an earlier, interrupted run, if there is one."""
        folder = self.folder / ".builds" / digest[:32]
        try:
            summary = BuildSummary.model_validate_json((folder / "build.json").read_bytes())
        except (OSError, ValidationError):
            return None
        return KeptBuild(folder / "index", summary)

    def drop_build(self, digest: str) -> None:
        """Delete the index; its points are done."""
        shutil.rmtree(self.folder / ".builds" / digest[:32], ignore_errors=True)

    def _path(self, dataset: str, algorithm: str, digest: str) -> Path:
        return self.folder / _safe(dataset) / _safe(algorithm) / f"{digest[:32]}.h5"

    def _read(self, path: Path) -> Record:
        try:
            text = read_record(path)
            record = Record.model_validate_json(text)
        except OSError as error:
            raise ResultError(f"cannot read: {error.strerror}", where=str(path)) from error
        except ValidationError as error:
            raise ResultError(
                f"not a record of schema {SCHEMA_VERSION}: {error.errors()[0]['msg']}",
                where=str(path),
                remedy="it was written by another version of annbench: measure again, or read it with that version",
            ) from error
        if path.stem != record.key.digest[:32]:
            raise ResultError("the name does not match the content", where=str(path), remedy="delete the file")
        return record

    def _clean(self) -> None:
        oldest = time.time() - _STALE_SECONDS
        for path in self.folder.glob("*/*/.*.tmp"):
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


def _safe(name: str) -> str:
    """A folder name for any algorithm or dataset name; identity is in the digest, this is for people."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip(".")[:80] or "_"
