"""What a results folder holds that is of no use any more, and getting rid of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from annbench.errors import ResultError
from annbench.results.container import is_of_another_version, read_whole
from annbench.results.schema import Record
from annbench.results.stale import Reasons
from annbench.results.store import DAMAGED, SCRATCH, ResultStore, safe_name

Kind = Literal["scratch", "temporary", "build", "damaged", "set aside", "failed", "superseded", "stale"]


@dataclass(frozen=True)
class Waste:
    """One file or folder that can go, and why. `set_aside` says that it is moved to `.damaged` instead of deleted."""

    kind: Kind
    path: Path
    file_bytes: int
    why: str
    set_aside: bool = False

    def as_json(self) -> dict[str, Any]:
        """The fields, for `--json`."""
        action = "set aside" if self.set_aside else "delete"
        return {
            "kind": self.kind, "action": action, "path": str(self.path), "bytes": self.file_bytes, "why": self.why
        }  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """What is to go besides leftovers of dead processes.

    `damaged`: damaged files and those set aside earlier, which otherwise are only set aside. `failed`: points without a
    result. `stale` maps the SHA-256 digests of points that are to go to the reasons. `dataset` and `algorithm` restrict
    everything to results of one; leftovers belong to none, and then stay.
    """

    damaged: bool = False
    failed: bool = False
    stale: Mapping[str, Reasons] | None = None
    dataset: str | None = None
    algorithm: str | None = None

    @property
    def everywhere(self) -> bool:
        """Whether nothing restricts it."""
        return self.dataset is None and self.algorithm is None

    def covers(self, record: Record) -> bool:
        """Whether the record is of the chosen dataset and algorithm."""
        return self.dataset in (None, record.dataset.name) and self.algorithm in (None, record.key.algorithm)

    def covers_path(self, path: Path) -> bool:
        """The same for a result file that cannot be read: by its folders' names."""
        dataset, algorithm = path.parts[-3:-1]
        wanted = [None if name is None else safe_name(name) for name in (self.dataset, self.algorithm)]
        return wanted[0] in (None, dataset) and wanted[1] in (None, algorithm)


def find_garbage(store: ResultStore, choice: Choice, *, held_by_another: bool = False) -> list[Waste]:
    """Everything that `choice` lets go, ordered by kind and path; every result file is read whole.

    What only a live run may touch is left out if the folder is `held_by_another`.
    """
    found = [] if held_by_another or not choice.everywhere else list(_leftovers(store))
    if choice.damaged and choice.everywhere:
        found += [
            Waste("set aside", path, size_of(path), "damaged, set aside earlier")
            for path in sorted(store.folder.glob(f"{DAMAGED}/*"))
        ]
    return found + [waste for path in store.paths() for waste in _judged(store, path, choice)]


def remove(store: ResultStore, garbage: Iterable[Waste]) -> int:
    """Delete it, or set it aside; returns the bytes that were freed. Call it while holding the store.

    Raises ResultError if the system refuses; what comes after is untouched then.
    """
    freed = 0
    for waste in garbage:
        try:
            freed += _set_aside(store, waste) if waste.set_aside else _delete(waste)
        except OSError as error:
            raise ResultError(
                f"cannot delete: {error.strerror}", where=str(waste.path), remedy="make its folder writable"
            ) from error
        with suppress(OSError):  # it holds something else
            waste.path.parent.rmdir()
            waste.path.parent.parent.rmdir()
    return freed


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        return sum(size_of(child) for child in path.iterdir())
    return path.lstat().st_size


def _leftovers(store: ResultStore) -> Iterator[Waste]:
    scratch = store.folder / SCRATCH
    if scratch.exists():
        yield Waste("scratch", scratch, size_of(scratch), "working folder of a dead run")
    for path in store.temporaries():
        yield Waste("temporary", path, size_of(path), "half-written by a dead process")
    for path in store.builds():
        whole = (path / "build.json").exists()
        why = "index of an interrupted run; the same run would go on with it" if whole else "half-built index"
        yield Waste("build", path, size_of(path), why)


def _judged(store: ResultStore, path: Path, choice: Choice) -> Iterator[Waste]:
    """The result file at `path`, if it is to go."""
    try:
        if is_of_another_version(path):
            return
        size = size_of(path)
        try:
            record = Record.model_validate_json(read_whole(path))
        except ValidationError:
            return  # whole, but of another schema: that version of annbench may still want it
        if path != store.path_of(record):
            raise ResultError("lies where another point belongs", where=str(path))
    except OSError:
        return  # gone meanwhile, or not ours to read
    except ResultError as error:
        if choice.covers_path(path):
            yield Waste("damaged", path, size, error.message, set_aside=not choice.damaged)
        return
    if not choice.covers(record):
        return
    reasons = (choice.stale or {}).get(record.key.digest, ())
    if choice.failed and record.status != "ok":
        yield Waste("failed", path, size, f"{record.status}: {record.status_detail}".rstrip(": "))
    elif reasons:
        superseded = any(reason.cause == "superseded" for reason in reasons)
        why = "; ".join(reason.text for reason in reasons)
        yield Waste("superseded" if superseded else "stale", path, size, why)


def _set_aside(store: ResultStore, waste: Waste) -> int:
    folder = store.folder / DAMAGED
    folder.mkdir(exist_ok=True)
    dataset, algorithm = waste.path.parts[-3:-1]
    os.replace(waste.path, folder / f"{dataset}.{algorithm}.{waste.path.name}")
    return 0


def _delete(waste: Waste) -> int:
    if waste.path.is_dir() and not waste.path.is_symlink():
        shutil.rmtree(waste.path)
    else:
        waste.path.unlink(missing_ok=True)
    return waste.file_bytes
