"""Index files as bytes, taken apart as annbench/native/io/index_format.hpp has it: to forge what looks sound."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import google_crc32c

PRELUDE, ENTRY, ENTRIES = 64, 88, 64
HEADER = PRELUDE + ENTRY * ENTRIES
HEADER_CRC = 32  # where it stands
BYTE_ORDER, VERSION, SECTION_COUNT, FILE_BYTES = 8, 12, 20, 24
# Within an entry.
DTYPE, RANK, SHAPE, OFFSET, BYTES, CRC = 32, 36, 40, 64, 72, 80


@dataclass(frozen=True)
class Section:
    """Where a section's entry, and its bytes, are in the file."""

    entry: int
    offset: int
    bytes: int


def sections(file: bytes | bytearray) -> dict[str, Section]:
    """By name."""
    (count,) = struct.unpack_from("<I", file, SECTION_COUNT)
    found = {}
    for entry in range(PRELUDE, PRELUDE + ENTRY * min(count, ENTRIES), ENTRY):
        name = bytes(file[entry : entry + DTYPE]).rstrip(b"\0").decode("latin-1")
        found[name] = Section(entry, *struct.unpack_from("<QQ", file, entry + OFFSET))
    return found


def reseal(file: bytearray) -> bytes:
    """With every checksum that can be right put right: only the checks of structure are left to refuse it."""
    for section in sections(file).values():
        if section.offset + section.bytes <= len(file):
            content = bytes(file[section.offset : section.offset + section.bytes])
            struct.pack_into("<I", file, section.entry + CRC, google_crc32c.value(content))
    struct.pack_into("<I", file, HEADER_CRC, 0)
    struct.pack_into("<I", file, HEADER_CRC, google_crc32c.value(bytes(file[:HEADER])))
    return bytes(file)


def put(file: bytearray, name: str, at: int, value: int, form: str = "<q") -> None:
    """A number into the content of a section, `at` bytes from where it begins."""
    struct.pack_into(form, file, sections(file)[name].offset + at, value)


def put_entry(file: bytearray, name: str, field: int, value: int, form: str = "<Q") -> None:
    """A number into the entry of a section."""
    struct.pack_into(form, file, sections(file)[name].entry + field, value)
