"""Which parts of an index stay in its file when it is loaded, and what its file's errors become."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from annbench._native import ComposedIndex
from annbench._native import IndexFileError as NativeIndexFileError
from annbench.errors import IndexFileError, UnknownNameError, UsageError
from annbench.isa import isa

PARTS = ("rerank", "links")
DEFAULT_CACHE_BYTES = 64 << 20


def load_native(file_name: str, on_disk: str | Sequence[str], cache_bytes: int) -> ComposedIndex:
    """The native index of a file. Raises IndexFileError, and UsageError for parts that cannot stay there."""
    isa()  # an ANNBENCH_ISA that is none is told first
    parts = checked_parts(on_disk)
    if isinstance(cache_bytes, bool) or not isinstance(cache_bytes, int | np.integer) or not 0 <= cache_bytes < 1 << 63:
        raise UsageError(f"got {cache_bytes!r}", where="cache_bytes", remedy="give a number of bytes, such as 64 << 20")
    try:
        return ComposedIndex.load(
            file_name,
            rerank_on_disk="rerank" in parts,
            links_on_disk="links" in parts,
            cache_bytes=int(cache_bytes) if parts else 0,
        )
    except NativeIndexFileError as error:
        raise file_error(error) from None
    except ValueError as error:
        raise UsageError(str(error), where="on_disk", remedy="name parts that the index has") from None


def checked_parts(on_disk: str | Sequence[str]) -> tuple[str, ...]:
    """The names of parts, each once, in the order of `PARTS`. Raises UnknownNameError."""
    given = (on_disk,) if isinstance(on_disk, str) else tuple(on_disk)
    for part in given:
        if part not in PARTS:
            raise UnknownNameError("part of an index", str(part), PARTS, where="on_disk")
    return tuple(part for part in PARTS if part in given)


def file_error(error: NativeIndexFileError) -> IndexFileError:
    """The same with its parts by name."""
    where, message, remedy = error.args
    return IndexFileError(message, where=where, remedy=remedy)


def require_in_memory(native: ComposedIndex) -> None:
    """Before whatever changes an index or writes it. Raises UsageError."""
    if parts := native.disk_nbytes:
        raise UsageError(
            f"has its {' and '.join(parts)} on disk, and is for searches only",
            where="index",
            remedy="load its file without on_disk to change it; copy the file to have it elsewhere",
        )
