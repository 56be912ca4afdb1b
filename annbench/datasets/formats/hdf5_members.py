"""Arrays of an HDF5 group by name, checked."""

from __future__ import annotations

from pathlib import Path

import h5py

from annbench.datasets.formats.hdf5_guard import check_array, member, member_names
from annbench.datasets.formats.rows import Hdf5Rows
from annbench.errors import DatasetError

VECTORS = "f4 f2 f8 i1 u1"
IDS = "i4 i8 u4 u8"
DISTANCES = "f4 f8"


class Members:
    """The members of a group of the file at `path`; `where` names the group."""

    def __init__(self, group: h5py.Group, path: Path, where: str) -> None:
        self.group = group
        self.path = path
        self.where = where

    def optional(self, name: str, *, rank: int, kinds: str) -> Hdf5Rows | None:
        """The array, or None if there is none. Raises DatasetError for anything but an array of this rank and
        one of these kinds (`f4 i8 …`) with bytes behind its shape.
        """
        found = member(self.group, name, self.where)
        if found is None:
            return None
        where = f"{self.where}:{name}"
        if not isinstance(found, h5py.Dataset):
            raise DatasetError("is a group", where=where, remedy="store a dataset under this name")
        return Hdf5Rows(check_array(found, where, rank=rank, kinds=kinds), self.path, where)

    def required(self, name: str, *, rank: int, kinds: str) -> Hdf5Rows:
        """As `optional`, and DatasetError if there is none."""
        found = self.optional(name, rank=rank, kinds=kinds)
        if found is None:
            raise self.missing(name)
        return found

    def missing(self, name: str) -> DatasetError:
        """The error about a member that is not there."""
        present = ", ".join(member_names(self.group, self.where)[:12]) or "nothing"
        return DatasetError(
            f"`{name}` is missing (found: {present})",
            where=self.where,
            remedy="an ann-benchmarks file has train, test, neighbors, distances",
        )
