"""Describes a dataset file from a child process, so that the parent never opens it.

The child is `python -m annbench.datasets.inspect PATH NAME`: it checks structure and values (see `checks`),
hashes the file, and prints one JSON line. `describe` starts it, and keeps the answer until the file changes.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from annbench.datasets.child import end_with_parent, error_line, run_child
from annbench.datasets.info import DatasetInfo
from annbench.errors import AnnbenchError, DatasetError

if TYPE_CHECKING:
    from annbench.datasets.formats.source import BaseSet

CACHE_VERSION = 1
BASE_TIMEOUT_SECONDS = 120.0
SLOWEST_BYTES_PER_SECOND = 10e6
# Address space of the child beyond the file itself, which it may map.
CHILD_MEMORY_BYTES = 4 << 30
_HASH_BLOCK_BYTES = 4 << 20


def describe(path: Path, name: str, cache_dir: Path, *, timeout_seconds: float | None = None) -> DatasetInfo:
    """Facts about the dataset file at `path`, from the cache or from a child process that checks it whole.

    Raises DatasetError: what is wrong with the file, or how the child died (crash, timeout) reading it.
    """
    path = path.absolute()
    status = _status(path)
    known = _recall(path, status, cache_dir)
    if known is None:
        known = examine(path, name, timeout_seconds=timeout_seconds)
        remember(known, cache_dir, status)
    return known.model_copy(update={"name": name})


def examine(path: Path, name: str, *, timeout_seconds: float | None = None) -> DatasetInfo:
    """As `describe`, from a child process in any case, and not kept."""
    path = path.absolute()
    limit = timeout_seconds or BASE_TIMEOUT_SECONDS + _status(path).st_size / SLOWEST_BYTES_PER_SECOND
    answer = run_child(
        "annbench.datasets.inspect", [str(path), name], where=str(path), timeout_seconds=limit, threads=1
    )
    return DatasetInfo.model_validate(answer)


def recall(path: Path, cache_dir: Path) -> DatasetInfo | None:
    """Facts about the file, if it was described before and has not changed since; starts nothing."""
    return _recall(path.absolute(), _status(path), cache_dir)


def remember(info: DatasetInfo, cache_dir: Path, status: os.stat_result) -> None:
    """Keep what a child found out about the file that had this status.

    A cache that cannot be written is no error.
    """
    entry = {
        "version": CACHE_VERSION,
        **_identity(Path(info.path), status),
        "info": info.model_dump(mode="json"),
    }
    with suppress(OSError):
        cache_dir.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=cache_dir, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(entry, stream)
        os.replace(temporary, _entry_path(Path(info.path), cache_dir))


def inspect(path: Path, name: str) -> DatasetInfo:
    """Check the file whole and describe it.

    For child processes only: it opens the file. Raises DatasetError.
    """
    from annbench.datasets.checks import check_dataset
    from annbench.datasets.dataset import Dataset

    with Dataset(path) as dataset:
        shape = dataset.info
        _check_base_set(dataset.base_set, path)
        facts = check_dataset(dataset)
    return DatasetInfo(
        **shape.model_dump(),
        name=name,
        path=str(path),
        sha256=_sha256(path),
        file_bytes=path.stat().st_size,
        zero_rows=facts.zero_rows,
        unit_norm=facts.unit_norm,
    )


def safe_name(path: Path) -> str:
    """A dataset name for a file given by path: its stem, in the letters that names have."""
    return re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).lstrip("._-") or "dataset"


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise DatasetError(f"cannot be opened: {error.strerror}", where=str(path), remedy="check the path") from error


def _identity(path: Path, status: os.stat_result) -> dict[str, Any]:
    return {"path": str(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _entry_path(path: Path, cache_dir: Path) -> Path:
    import hashlib

    return cache_dir / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"


def _recall(path: Path, status: os.stat_result, cache_dir: Path) -> DatasetInfo | None:
    try:
        entry = json.loads(_entry_path(path, cache_dir).read_text("utf-8"))
        if entry.pop("version") != CACHE_VERSION:
            return None
        info = DatasetInfo.model_validate(entry.pop("info"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError):
        return None  # absent or damaged: it is made again
    return info if entry == _identity(path, status) else None


def _check_base_set(base: BaseSet | None, path: Path) -> None:
    """A file that uses another set's vectors stands for them by their hash, so that its own hash covers them."""
    if base is not None and (found := _sha256(base.path)) != base.sha256:
        raise DatasetError(
            f"was made for the file of {base.name} with sha256 {base.sha256}, and {base.path} has {found}",
            where=str(path),
            remedy=f"get that version of {base.name}, or make the truth again",
        )


def _sha256(path: Path) -> str:
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def limit_memory(path: Path) -> None:
    """Keep a hostile file from taking the machine's memory: beyond the limit, allocation fails."""
    import resource

    with suppress(ValueError, OSError):
        limit = CHILD_MEMORY_BYTES + 2 * path.stat().st_size
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


def _main(arguments: list[str]) -> None:
    path, name = Path(arguments[0]), arguments[1]
    sys.stdin.readline()
    end_with_parent()
    limit_memory(path)
    try:
        line: dict[str, Any] = {"result": inspect(path, name).model_dump(mode="json")}
    except AnnbenchError as error:
        line = error_line(error)
    except MemoryError:
        message = f"needs more than {CHILD_MEMORY_BYTES >> 30} GiB to be checked"
        line = error_line(
            DatasetError(message, where=str(path), remedy="get the file again; its sizes are not believable")
        )
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main(sys.argv[1:])
