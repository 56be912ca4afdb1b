"""Files that appear whole or not at all: written under another name, synced, renamed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from annbench.errors import DatasetError


@contextmanager
def written_whole(target: Path, remedy: str) -> Iterator[Path]:
    """Yields the path to write to; it becomes `target` when the block ends well, and is gone when it does not.

    What dead processes left beside the target is removed. Raises DatasetError when the disk refuses; what writes in the
    block does so within `refusals`.
    """
    for stale in target.parent.glob(escape(f".{target.stem}.") + "*" + escape(f".tmp{target.suffix}")):
        if not _is_alive(stale.name):
            stale.unlink(missing_ok=True)
    temporary = target.parent / f".{target.stem}.{os.getpid()}.tmp{target.suffix}"
    try:
        yield temporary
        with refusals(target.parent, remedy):
            for path in (temporary, target.parent):
                _sync(path)
                if path == temporary:
                    os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def refusals(folder: Path, remedy: str) -> Iterator[None]:
    """Turns what the disk says into a DatasetError."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py raises RuntimeError when closing fails
        raise DatasetError(f"cannot be written: {error}", where=str(folder), remedy=remedy) from error


def _is_alive(name: str) -> bool:
    found = re.search(r"\.(\d+)\.tmp", name)
    try:
        os.kill(int(found[1]) if found else 0, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return found is not None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
