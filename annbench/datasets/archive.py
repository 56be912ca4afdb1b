"""Unpacks archives that nobody vouches for: regular files only, inside one folder, within limits, in a child process.

The child is `python -m annbench.datasets.archive`, with an `Order` on its stdin.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pydantic import BaseModel, ConfigDict

from annbench.datasets.child import end_with_parent, error_line, run_child
from annbench.errors import AnnbenchError, DatasetError

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ENDINGS = (*TAR_ENDINGS, ".zip", ".gz")

# No vectors of this field compress by more, and no set of it comes in more pieces.
MAX_RATIO = 100
MIN_ALLOWANCE_BYTES = 64 << 20
MAX_FILES = 1000
SLOWEST_BYTES_PER_SECOND = 5e6
BASE_TIMEOUT_SECONDS = 60.0
CHILD_MEMORY_BYTES = 1 << 30
_BLOCK_BYTES = 1 << 20


class Order(BaseModel):
    """What is to be unpacked, where, and how much of it at most."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    archive: Path
    folder: Path
    max_bytes: int
    max_files: int


def is_archive(name: str) -> bool:
    """Whether a file of this name is to be unpacked."""
    return name.lower().endswith(ENDINGS)


def unpack(archive: Path, folder: Path, *, max_bytes: int | None = None, max_files: int = MAX_FILES) -> list[Path]:
    """Unpack into `folder`, which must not exist; returns the files, in the archive's order.

    `max_bytes` bounds what comes out; by default it is 100 times the archive, and in any case what the disk has free.
    Raises DatasetError, and removes the folder, for a member that is a link, a device or outside the folder, for more
    or larger members than allowed, and for a damaged archive.
    """
    allowance = max_bytes or max(MIN_ALLOWANCE_BYTES, MAX_RATIO * archive.stat().st_size)
    allowance = min(allowance, shutil.disk_usage(archive.parent).free)
    order = Order(archive=archive.absolute(), folder=folder.absolute(), max_bytes=allowance, max_files=max_files)
    folder.mkdir()
    try:
        names = run_child(
            "annbench.datasets.archive",
            [],
            where=str(archive),
            request=order.model_dump_json(),
            timeout_seconds=BASE_TIMEOUT_SECONDS + allowance / SLOWEST_BYTES_PER_SECOND,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return [folder / name for name in names]


@dataclass
class _Allowance:
    """What may still come out of an archive."""

    where: str
    bytes_left: int
    files_left: int

    def file(self, name: str, size: int) -> None:
        """Take one file of `size` bytes, as stated."""
        self.files_left -= 1
        if self.files_left < 0:
            raise self.refusal(name, "is one file too many")
        self.bytes(name, size)

    def bytes(self, name: str, count: int) -> None:
        """Take bytes."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise self.refusal(name, "would unpack to more than is allowed, or than the disk has room for")

    def refusal(self, name: str, what: str) -> DatasetError:
        """The error about a member."""
        return DatasetError(
            what, where=f"{self.where}: {name[:200]}", remedy="unpack it yourself, if you trust where it comes from"
        )

    def check_name(self, name: str) -> PurePosixPath:
        """A member's name as a path inside the folder."""
        path = PurePosixPath(name)
        if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
            raise self.refusal(name, "is a name that leads out of the folder")
        return path


def _unpack_tar(order: Order, allowance: _Allowance) -> Iterator[str]:
    with tarfile.open(order.archive, "r:*") as archive:
        for member in archive:  # one after the other: a list of all could be endless
            allowance.check_name(member.name)
            if member.isdir():
                continue
            if not member.isreg():
                raise allowance.refusal(member.name, "is a link or a device, and not a file")
            allowance.file(member.name, member.size)
            if (order.folder / member.name).exists():
                raise allowance.refusal(member.name, "is there twice")
            archive.extract(member, order.folder, filter="data")
            yield member.name


def _unpack_zip(order: Order, allowance: _Allowance) -> Iterator[str]:
    with zipfile.ZipFile(order.archive) as archive:
        for member in archive.infolist():
            path = allowance.check_name(member.filename)
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise allowance.refusal(member.filename, "is a link or a device, and not a file")
            if member.flag_bits & 1:
                raise allowance.refusal(member.filename, "is encrypted")
            allowance.file(member.filename, 0)
            with archive.open(member) as stream:
                _copy(stream, order.folder / path, member.filename, allowance)
            yield member.filename


def _unpack_gzip(order: Order, allowance: _Allowance) -> Iterator[str]:
    name = order.archive.name.removesuffix(".gz")
    allowance.file(name, 0)
    with gzip.open(order.archive) as stream:
        _copy(stream, order.folder / name, name, allowance)
    yield name


def _copy(stream: IO[bytes] | gzip.GzipFile, target: Path, name: str, allowance: _Allowance) -> None:
    """As many bytes as come, whatever the archive says of their number."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        out = target.open("xb")
    except FileExistsError as error:
        raise allowance.refusal(name, "is there twice") from error
    with out:
        while block := stream.read(_BLOCK_BYTES):
            allowance.bytes(name, len(block))
            out.write(block)


def unpack_here(order: Order) -> list[str]:
    """Unpack in this process; for child processes only. Raises DatasetError."""
    lower = order.archive.name.lower()
    how: Callable[[Order, _Allowance], Iterator[str]] = _unpack_gzip
    if lower.endswith(TAR_ENDINGS):
        how = _unpack_tar
    elif lower.endswith(".zip"):
        how = _unpack_zip
    where = str(order.archive)
    try:
        return list(how(order, _Allowance(where, order.max_bytes, order.max_files)))
    except tarfile.FilterError as error:
        raise DatasetError(
            f"is refused: {error}", where=where, remedy="unpack it yourself, if you trust where it comes from"
        ) from error
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, LZMAError, EOFError) as error:
        raise DatasetError(
            f"is not a sound archive: {error}", where=where, remedy="it is damaged; get it again"
        ) from error
    except (OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DatasetError(
            f"cannot be unpacked: {error}", where=where, remedy="make room, or unpack it yourself"
        ) from error


def _limit(order: Order) -> None:
    """The kernel's word on it, should a library be talked into more."""
    import resource

    for kind, limit in ((resource.RLIMIT_AS, CHILD_MEMORY_BYTES), (resource.RLIMIT_FSIZE, order.max_bytes)):
        with suppress(ValueError, OSError):
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (limit if hard < 0 else min(limit, hard), hard))


def _main() -> None:
    order = Order.model_validate_json(sys.stdin.readline())
    end_with_parent()
    _limit(order)
    os.umask(0o022)
    try:
        line: dict[str, Any] = {"result": unpack_here(order)}
    except AnnbenchError as error:
        line = error_line(error)
    except MemoryError:
        line = error_line(
            DatasetError("needs too much memory", where=str(order.archive), remedy="it is not believable: get it again")
        )
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main()
