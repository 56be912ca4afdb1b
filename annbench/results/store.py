"""A folder of results: one file a point, named by the hash of what identifies it.

    results/<dataset>/<algorithm>/<digest>.h5      finished points, complete and checksummed
    results/.builds/<digest>/                      indexes of points that are not done yet: a rerun need not build again
    results/.truths/<dataset>/                     exact neighbours at the searches of runbooks, for the next algorithm
    results/.scratch/                              working folder of the run's processes
    results/.damaged/                              files that failed their checks, set aside by `annbench results gc`
    results/.lock                                  held by whoever writes

Nothing else is state: a rerun looks which digests exist.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from annbench.errors import ResultError, UnknownNameError, UsageError
from annbench.results.container import Arrays, read_arrays, read_record, sync, write_container
from annbench.results.schema import SCHEMA_VERSION, BuildSummary, Record, canonical_json

BUILDS, TRUTHS, SCRATCH, DAMAGED = ".builds", ".truths", ".scratch", ".damaged"

_REMEDIES = {
    errno.ENOSPC: "free space or choose another --results",
    errno.EDQUOT: "free space or choose another --results",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f) or choose another --results",
}
_NO_ENTRY = "make the folder writable or choose another --results"


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
            return self.read(path) if path.exists() else None
        except ResultError:
            return None

    def write(self, record: Record, arrays: Arrays) -> Path:
        """Store one point atomically. Raises ResultError if the disk refuses; earlier results stay intact."""
        path = self.path_of(record)
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_container(path, canonical_json(record.model_dump(mode="json")).encode(), arrays)
        return path

    def records(self, on_damage: Callable[[ResultError], None] | None = None) -> Iterator[Record]:
        """Every readable record, ordered by path; damaged files go to `on_damage` (default: passed over)."""
        for path in self.paths():
            try:
                yield self.read(path)
            except ResultError as error:
                if on_damage is not None:
                    on_damage(error)

    def paths(self) -> list[Path]:
        """The result files, ordered."""
        return sorted(self.folder.glob("[!.]*/[!.]*/[!.]*.h5"))

    def path_starting(self, digest: str) -> Path:
        """The result file whose digest starts so. Raises UsageError if there is none, or more than one."""
        wanted = digest.lower()[:32]
        found = [path for path in self.paths() if path.stem.startswith(wanted)] if wanted else []
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(
                f"no point has a digest that starts with {digest!r}",
                where=str(self.folder),
                remedy="`annbench results ls` lists them",
            )
        shown = ", ".join(path.stem[: max(12, len(wanted) + 2)] for path in found[:5])
        raise UsageError(
            f"{len(found)} points have a digest that starts with {digest!r}",
            where=str(self.folder),
            remedy=f"give more digits: {shown}",
        )

    def check_names(self, dataset: str | None, algorithm: str | None) -> None:
        """Raises UnknownNameError if there are results, but no file of this dataset or algorithm, readable or not."""
        folders = [path.parts[-3:-1] for path in self.paths()]
        for position, (kind, name) in enumerate((("dataset", dataset), ("algorithm", algorithm))):
            known = {parts[position] for parts in folders}
            if name is not None and known and safe_name(name) not in known:
                raise UnknownNameError(f"{kind} in these results", name, known, where=f"--{kind}")

    def arrays(self, record: Record) -> dict[str, NDArray[np.generic]]:
        """Raw arrays of a point: `ids (q, k)`, `pass_ns (passes,)`, and in single calls `latencies_ns (passes, q)`."""
        return read_arrays(self.path_of(record))

    @contextmanager
    def holding(self, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the folder for writing. While another process does, `on_wait` is called once, and then waited for it; it
        may raise instead.

        The lock is the kernel's, so that of a dead process is free. Raises ResultError if the folder cannot be used.
        """
        with _writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / ".lock")
            held = _try_to_hold(lock)
        if not held:
            if on_wait is not None:
                on_wait()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def measuring(self, on_wait: Callable[[], None] | None = None) -> Iterator[Path]:
        """`holding` for one measuring run; a second one waits, since it would disturb the first one's times. Gives a
        scratch folder that lasts as long. What a dead process left half written is removed first.
        """
        scratch = self.folder / SCRATCH
        with self.holding(on_wait):
            with _writing(scratch):
                for path in self.temporaries():
                    path.unlink(missing_ok=True)
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
            try:
                yield scratch.resolve()
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def is_held(self) -> bool:
        """Whether some process is writing into this folder now."""
        if not (self.folder / ".lock").exists():
            return False
        lock = filelock.FileLock(self.folder / ".lock")
        try:
            free = _try_to_hold(lock)
        except OSError:  # a lock of another user cannot be tried
            return True
        lock.release()
        return not free

    def temporaries(self) -> list[Path]:
        """Half-written result files; whoever holds the folder knows that their writers are dead."""
        return sorted(self.folder.glob("[!.]*/[!.]*/.*.tmp"))

    def builds(self) -> list[Path]:
        """Folders of indexes that an interrupted run left, or that a live one is using."""
        return sorted(path for path in self.folder.glob(f"{BUILDS}/*") if path.is_dir())

    def truths_folder(self, dataset_sha256: str) -> Path:
        """Where truths over a dataset are kept that its file does not hold; it need not exist."""
        return self.folder / TRUTHS / dataset_sha256[:32]

    def build_folder(self, digest: str) -> Path:
        """An empty folder for an index under construction; `keep_build` completes it."""
        folder = self.folder / BUILDS / digest[:32]
        with _writing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "index").mkdir(parents=True)
        return folder

    def keep_build(self, digest: str, summary: BuildSummary) -> KeptBuild:
        """Mark the index as complete, so that an interrupted run need not build it again."""
        folder = self.folder / BUILDS / digest[:32]
        temporary = folder / "build.json.tmp"
        try:
            with _writing(folder):
                # The index first: after a power cut, its mark must not be there without it.
                for path in _files(folder / "index"):
                    sync(path)
                temporary.write_text(summary.model_dump_json())
                sync(temporary)
                temporary.replace(folder / "build.json")
                sync(folder)
        except ResultError:
            self.drop_build(digest)  # some libraries do not notice that the disk cut their index short
            raise
        return KeptBuild(folder / "index", summary)

    def kept_build(self, digest: str) -> KeptBuild | None:
        """The complete index of an earlier, interrupted run, if there is one."""
        folder = self.folder / BUILDS / digest[:32]
        try:
            summary = BuildSummary.model_validate_json((folder / "build.json").read_bytes())
            found = sum(path.stat().st_size for path in _files(folder / "index"))
        except (OSError, ValidationError):
            return None
        # An adapter that cannot save has no size, and no index to keep.
        return KeptBuild(folder / "index", summary) if found == summary.index_bytes else None

    def drop_build(self, digest: str) -> None:
        """Delete the index; its points are done."""
        shutil.rmtree(self.folder / BUILDS / digest[:32], ignore_errors=True)

    def _path(self, dataset: str, algorithm: str, digest: str) -> Path:
        return self.folder / safe_name(dataset) / safe_name(algorithm) / f"{digest[:32]}.h5"

    def read(self, path: Path) -> Record:
        """The record of a result file. Raises ResultError."""
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


def safe_name(name: str) -> str:
    """A folder name for any algorithm or dataset name; identity is in the digest, this is for people."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip(".")[:80] or "_"


def _try_to_hold(lock: filelock.BaseFileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return False
    return True


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make the system's refusal to write at `path` an error that says what to do."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, _NO_ENTRY)
        raise ResultError(
            f"cannot write: {os.strerror(error.errno) if error.errno else error}", where=str(path), remedy=remedy
        ) from error
