"""The bytes of a result file: a record that can be read without HDF5, in front of arrays that can be checked.

    annbench-result 1\n
    <record bytes> <record CRC32C> <payload offset> <payload bytes> <payload CRC32C>\n
    {the record as JSON}
    zeros up to the payload offset (a power of two: the HDF5 user block)
    the HDF5 file with the arrays

Both checksums are verified before anything behind them is parsed, so h5py never opens a file that was cut or altered.
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import h5py
import numpy as np
from numpy.typing import NDArray

from annbench.errors import ResultError

MAGIC = b"annbench-result 1\n"
MAX_RECORD_BYTES = 1 << 24
_HEAD_BYTES = 1 << 13
_REMEDY = "delete the file; the point is measured again by the next run"

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class _Head:
    record_bytes: int
    record_crc32c: int
    payload_offset: int
    payload_bytes: int
    payload_crc32c: int
    record_offset: int


def write_container(path: Path, record: bytes, arrays: Arrays) -> None:
    """Write the file under a temporary name, sync it, and put it in its place: it is complete or absent."""
    block = 512
    while block < len(MAGIC) + 80 + len(record):
        block *= 2
    payload = _payload(arrays, block)
    head = b"%d %08x %d %d %08x\n" % (
        len(record), google_crc32c.value(record), block, len(payload), google_crc32c.value(payload),
    )  # fmt: skip
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write((MAGIC + head + record).ljust(block, b"\0"))
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def read_record(path: Path) -> bytes:
    """The record's JSON, checked. Raises ResultError if the file is not whole."""
    with path.open("rb") as file:
        start = file.read(_HEAD_BYTES)
        head = _parse_head(path, start, os.fstat(file.fileno()).st_size)
        end = head.record_offset + head.record_bytes
        if end > len(start):
            start += file.read(end - len(start))
    record = start[head.record_offset : end]
    if google_crc32c.value(record) != head.record_crc32c:
        raise ResultError("the record's checksum does not match", where=str(path), remedy=_REMEDY)
    return record


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays, checked. Raises ResultError if the file is not whole."""
    content = path.read_bytes()
    _checked_payload(path, content)
    with h5py.File(io.BytesIO(content), "r") as file:
        return {name: np.asarray(file[name]) for name in file}


def read_whole(path: Path) -> bytes:
    """The record's JSON after checking the arrays too. Raises ResultError if anything of the file is damaged."""
    record, content = read_record(path), path.read_bytes()
    _checked_payload(path, content)
    return record


def is_of_another_version(path: Path) -> bool:
    """Whether the file says that it is a result of a container version that is not this one."""
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    return start.startswith(MAGIC.split(b" ")[0] + b" ") and start != MAGIC


def sync(path: Path) -> None:
    """Make a file's content, or the renames in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checked_payload(path: Path, content: bytes) -> None:
    head = _parse_head(path, content[:_HEAD_BYTES], len(content))
    if google_crc32c.value(content[head.payload_offset :]) != head.payload_crc32c:
        raise ResultError("the arrays' checksum does not match", where=str(path), remedy=_REMEDY)


def _payload(arrays: Arrays, block: int) -> bytes:
    image = io.BytesIO()
    with h5py.File(image, "w", userblock_size=block, track_order=True) as file:
        for name, array in arrays.items():
            compress = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if array.size else {}
            file.create_dataset(name, data=array, **compress)
    return image.getvalue()[block:]


def _parse_head(path: Path, start: bytes, size: int) -> _Head:
    def bad(what: str) -> ResultError:
        return ResultError(what, where=str(path), remedy=_REMEDY)

    if not start.startswith(MAGIC):
        raise bad("not a result file of this version" if start else "an empty file")
    line, newline, _ = start[len(MAGIC) : len(MAGIC) + 200].partition(b"\n")
    fields = line.split(b" ")
    try:
        record_bytes, payload_offset, payload_bytes = int(fields[0]), int(fields[2]), int(fields[3])
        record_crc, payload_crc = int(fields[1], 16), int(fields[4], 16)
    except (ValueError, IndexError) as error:
        raise bad("a damaged header") from error
    offset = len(MAGIC) + len(line) + 1
    whole = newline and 0 < record_bytes <= MAX_RECORD_BYTES and offset + record_bytes <= payload_offset
    if not whole or payload_bytes < 0 or payload_offset + payload_bytes != size:
        raise bad(f"cut short or altered ({size} bytes)")
    return _Head(record_bytes, record_crc, payload_offset, payload_bytes, payload_crc, offset)
