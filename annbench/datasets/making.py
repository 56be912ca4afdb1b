"""The work of `annbench data add`, done in its child process: make or copy the dataset, check it, install it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from annbench.datasets.add import AddRequest
from annbench.datasets.assembling import assemble
from annbench.datasets.info import DatasetInfo
from annbench.datasets.inspect import inspect
from annbench.datasets.publish import refusals, written_whole
from annbench.datasets.serving import Progress, limit_memory, serve
from annbench.errors import DatasetError

PARTIAL = ".partial"  # in the data folder: locks, and truth that is not complete yet
_DISK = "free disk space, or give another --data-dir"


def make(request: AddRequest, progress: Progress) -> tuple[DatasetInfo, list[str]]:
    """Make the dataset of `request` and install it; returns its description and remarks.

    Raises DatasetError.
    """
    request.folder.mkdir(parents=True, exist_ok=True)
    with _alone(request):
        if request.target.exists() and not request.force:
            raise DatasetError(f"{request.name} exists already", where=str(request.target), remedy="give --force")
        for stale in request.folder.glob(f".{request.name}.*.tmp.hdf5"):
            stale.unlink(missing_ok=True)
        with written_whole(request.target, _DISK) as temporary:
            notes = (_import if request.imports_hdf5 else _assemble)(request, temporary, progress)
            progress("check", 0.0)
            info = inspect(temporary, request.name)
            if request.metric not in (None, info.metric):
                raise DatasetError(
                    f"is a {info.metric} dataset",
                    where=str(request.base),
                    remedy=f"leave out --metric {request.metric}",
                )
        for leftover in _checkpoints(request):
            leftover.unlink(missing_ok=True)
        return info.model_copy(update={"path": str(request.target.absolute())}), notes


def _assemble(request: AddRequest, temporary: Path, progress: Progress) -> list[str]:
    def checkpoint(fingerprint: str) -> Path:
        return request.folder / PARTIAL / f"{request.name}+{fingerprint[:16]}.truth"

    return assemble(request, temporary, progress, disk_remedy=_DISK, made_by="annbench data add", checkpoint=checkpoint)


def _import(request: AddRequest, temporary: Path, progress: Progress) -> list[str]:
    """Copy a whole dataset; it is checked afterwards, as the copy that will be used."""
    progress("write", 0.0)
    if not request.base.is_file():
        raise DatasetError("no such file", where=str(request.base), remedy="check the path")
    # Checked before it is copied, so that a refusal names the file that was given.
    inspect(request.base, request.name)
    with refusals(request.folder, _DISK):
        shutil.copyfile(request.base, temporary)
    return []


@contextmanager
def _alone(request: AddRequest) -> Iterator[None]:
    """One process at a time makes one name; the lock of a dead one is free."""
    partial = request.folder / PARTIAL
    partial.mkdir(exist_ok=True)
    lock = FileLock(partial / f"{request.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DatasetError(
            f"{request.name} is being added by another process",
            where=str(request.folder),
            remedy="wait for it",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _checkpoints(request: AddRequest) -> list[Path]:
    """Every checkpoint of this name; `+` occurs in no name, so no other name's is among them."""
    return list((request.folder / PARTIAL).glob(f"{request.name}+*"))


def _work(line: str, progress: Progress) -> dict[str, Any]:
    request = AddRequest.model_validate_json(line)
    limit_memory(request.files, request.memory_bytes)
    info, notes = make(request, progress)
    return {"info": info.model_dump(mode="json"), "notes": notes}


if __name__ == "__main__":
    serve(_work)
