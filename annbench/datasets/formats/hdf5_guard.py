"""Opening HDF5 that nobody vouches for: nothing outside the file is followed, nothing absurd is allocated.

HDF5 can point elsewhere in four ways: external links, soft links, external storage of a dataset, and virtual
datasets. All are refused before they are opened. Sizes are believed only when the file holds bytes for them.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from annbench.errors import DatasetError

MAX_MEMBERS = 4096
MAX_TEXT_BYTES = 4096
# Deflate cannot shrink by more than about 1032; real vectors by 2 or 3, and labels by perhaps 100.
MAX_COMPRESSION = 200
SMALL_BYTES = 64 << 20
MAX_CHUNK_BYTES = 256 << 20
# Filters that come with h5py: deflate, shuffle, fletcher32, szip, nbit, scaleoffset, lzf. Others would load
# a plugin.
KNOWN_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})


def open_file(path: Path) -> h5py.File:
    """Open `path` for reading. Raises DatasetError unless it is a regular file in HDF5 format, whole."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DatasetError(f"cannot be opened: {error.strerror}", where=str(path), remedy="check the path") from error
    if not stat.S_ISREG(mode):
        raise DatasetError("is not a regular file", where=str(path), remedy="give the path of a .hdf5 file")
    try:
        return h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise DatasetError(f"is not a readable HDF5 file: {error}", where=str(path), remedy="get it again") from error


def member_names(group: h5py.Group, where: str) -> list[str]:
    """Names in a group, without opening anything they refer to."""
    count = len(group)
    if count > MAX_MEMBERS:
        raise DatasetError(f"has {count} members, more than {MAX_MEMBERS}", where=where, remedy="remove some")
    return list(group)


def member(group: h5py.Group, name: str, where: str) -> h5py.Group | h5py.Dataset | None:
    """What `name` is a hard link to, or None if there is none.

    Raises DatasetError for every other kind of link.
    """
    link = group.get(name, getlink=True)
    if link is None:
        return None
    where = f"{where}:{name}"
    if isinstance(link, h5py.ExternalLink):
        raise _elsewhere(where, f"an external link to {link.filename!r}")
    if not isinstance(link, h5py.HardLink):
        raise _elsewhere(where, "a soft link")
    try:
        found = group[name]
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise DatasetError(f"cannot be opened: {error}", where=where, remedy="get the file again") from error
    if isinstance(found, h5py.Dataset):
        _check_storage(found, where)
    elif not isinstance(found, h5py.Group):
        raise DatasetError(f"is a {type(found).__name__}", where=where, remedy="store a dataset under this name")
    return found


def check_array(dataset: h5py.Dataset, where: str, *, rank: int, kinds: str) -> h5py.Dataset:
    """The dataset, if it has this rank and a dtype listed in `kinds` (`f2 f4 i1 …`), and bytes behind its
    shape.
    """
    shape = dataset.shape
    if shape is None or len(shape) != rank:
        found = "no shape" if shape is None else f"shape {shape}"
        raise DatasetError(f"has {found}", where=where, remedy=f"store an array of rank {rank}")
    dtype = _dtype(dataset, where)
    if f"{dtype.kind}{dtype.itemsize}" not in kinds.split():
        raise DatasetError(f"has dtype {dtype}", where=where, remedy=f"store one of: {_spelled(kinds)}")
    _check_size(dataset, dtype, where)
    return dataset


def text_attribute(group: h5py.Group, name: str, where: str) -> str | None:
    """A short text attribute, or None if there is none. Raises DatasetError if it is not text."""
    if name not in group.attrs:
        return None
    value = scalar_attribute(group, name)
    if not isinstance(value, str):
        raise DatasetError("is not a text", where=f"{where}: attribute {name}", remedy="store a short string")
    return value


def scalar_attribute(group: h5py.Group, name: str) -> str | int | float | None:
    """A short text or a number, or None if the attribute is anything else; arrays are not read."""
    try:
        identity = group.attrs.get_id(name)
        if identity.shape not in ((), (1,)) or identity.get_storage_size() > MAX_TEXT_BYTES:
            return None
        value = group.attrs[name]
    except (OSError, RuntimeError, TypeError, KeyError, ValueError):
        return None
    value = value.item() if isinstance(value, np.ndarray | np.generic) and np.size(value) == 1 else value
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT_BYTES else None
    return value if isinstance(value, int | float) and np.isfinite(value) else None


def _elsewhere(where: str, what: str) -> DatasetError:
    return DatasetError(
        f"is {what}, which could name any file of this machine",
        where=where,
        remedy="copy the data into the file itself (`h5repack`, or read it and write it again)",
    )


def _check_storage(dataset: h5py.Dataset, where: str) -> None:
    """Refuse data outside the file, before a byte of the dataset is read."""
    if dataset.external:
        raise _elsewhere(where, "stored in other files (external storage)")
    if dataset.is_virtual:
        raise _elsewhere(where, "a virtual dataset")
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(i) for i in range(settings.get_nfilters())]
    for number, _, _, name in filters:
        if number not in KNOWN_FILTERS:
            label = name.decode("ascii", "replace")
            raise DatasetError(
                f"is compressed with filter {number} ({label})",
                where=where,
                remedy="store it with gzip or uncompressed",
            )


def _dtype(dataset: h5py.Dataset, where: str) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = dataset.dtype
        return dtype
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        raise DatasetError(f"has a dtype numpy does not know: {error}", where=where, remedy="store float32") from error


def _check_size(dataset: h5py.Dataset, dtype: np.dtype[Any], where: str) -> None:
    """The declared size against the bytes that are really there. Python integers: nothing wraps."""
    declared = dtype.itemsize
    for extent in dataset.shape:
        declared *= int(extent)
    stored = int(dataset.id.get_storage_size())
    remedy = "get the file again, or store the data without compression"
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        behind = 0 if offset is None else dataset.file.id.get_filesize() - offset
        if declared and (stored < declared or (offset is not None and behind < declared)):
            raise DatasetError(
                f"declares {declared:,} bytes (shape {dataset.shape}), and {min(stored, behind):,} are there",
                where=where,
                remedy=remedy,
            )
        return
    chunk = dtype.itemsize * int(np.prod([int(c) for c in dataset.chunks], dtype=object))
    if chunk > MAX_CHUNK_BYTES:
        raise DatasetError(f"has chunks of {chunk:,} bytes", where=where, remedy=f"use at most {MAX_CHUNK_BYTES:,}")
    if declared > max(SMALL_BYTES, MAX_COMPRESSION * stored):
        raise DatasetError(
            f"declares {declared:,} bytes (shape {dataset.shape}) in {stored:,} compressed bytes",
            where=where,
            remedy=remedy,
        )


def _spelled(kinds: str) -> str:
    names = [np.dtype(kind).name for kind in kinds.split()]
    return ", ".join(names)
