"""How the vectors lie in an HDF5 file: a matrix of numbers, bits in one of two forms, or sets.

- dense: `train (n, dim)` of numbers;
- bits: ann-benchmarks stores one byte a bit (`point_type` bit) and distances as means over the bits; VIBE packs eight
  bits a byte (`point_type` binary, `dimension` in bits) and stores counts;
- sets: ann-benchmarks stores all elements in one row (`train`) and the sizes of the sets beside it (`size_train`).

Source: ann_benchmarks/datasets.py, ann_benchmarks/distance.py; vibe/datasets.py, vibe/distance.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.hdf5_guard import scalar_attribute
from annbench.datasets.formats.hdf5_members import DISTANCES, IDS, VECTORS, Members
from annbench.datasets.formats.rows import BitRows, Hdf5Rows, Rows, SetRows
from annbench.datasets.formats.sets import sorted_sets
from annbench.datasets.formats.views import CountRows
from annbench.datasets.info import DType
from annbench.distances import Layout, Metric
from annbench.distances.hamming import packed_bytes
from annbench.distances.registry import distance_of
from annbench.errors import DatasetError

MAX_DIM = 1 << 20
MAX_UNIVERSE = (1 << 31) - 1
_BYTES = "b1 u1 i1"


@dataclass(frozen=True)
class VectorForm:
    """What the base is stored in; `dim` and `elements` as in `DatasetShape`."""

    dtype: DType
    dim: int
    elements: int = 0


class VectorLayout(ABC):
    """Finds the vectors of one file. `file` is its root."""

    def __init__(self, file: Members) -> None:
        self.file = file
        declared = scalar_attribute(file.group, "dimension")
        self.declared = declared if isinstance(declared, int) else None

    @abstractmethod
    def vectors(self, members: Members, name: str) -> Rows | None:
        """The vectors called `train`, `test` or `learn` in a group, or None if there are none."""

    def distances(self, members: Members) -> Rows:
        """Stored distances (q, K), as `annbench.distances` defines them."""
        return members.required("distances", rank=2, kinds=DISTANCES)

    @abstractmethod
    def form(self, base: Rows) -> VectorForm:
        """What the base is. Raises DatasetError if the file says something else of it."""


class DenseLayout(VectorLayout):
    """A matrix of numbers."""

    def vectors(self, members: Members, name: str) -> Rows | None:
        return members.optional(name, rank=2, kinds=VECTORS)

    def form(self, base: Rows) -> VectorForm:
        dim = base.shape[1]
        if dim > MAX_DIM:
            raise DatasetError(f"has {dim} dimensions", where=base.where, remedy=f"at most {MAX_DIM} are supported")
        if self.declared is not None and self.declared != dim:
            raise DatasetError(
                f"has {dim} dimensions, and the attribute `dimension` says {self.declared}",
                where=base.where,
                remedy="correct one of them",
            )
        stored = base.dtype.newbyteorder("=")
        return VectorForm("float32" if stored == np.float64 else cast(DType, stored.name), dim)


class BitLayout(VectorLayout):
    """Bits, packed or one a byte."""

    def vectors(self, members: Members, name: str) -> Rows | None:
        found = members.optional(name, rank=2, kinds=_BYTES)
        if found is None:
            return None
        packed, dim = self._form(found)
        return BitRows(found, dim, packed=packed)

    def distances(self, members: Members) -> Rows:
        stored = super().distances(members)
        test = members.required("test", rank=2, kinds=_BYTES)
        packed, dim = self._form(test)
        return stored if packed else CountRows(stored, dim)

    def form(self, base: Rows) -> VectorForm:
        assert isinstance(base, BitRows)
        return VectorForm("bits", base.dim)

    def _form(self, rows: Hdf5Rows) -> tuple[bool, int]:
        """Whether the bytes are packed bits, and how many bits a row has."""
        width, point_type = rows.shape[1], scalar_attribute(self.file.group, "point_type")
        dim = self.declared
        if rows.dtype == np.bool_ or point_type == "bit" or (point_type != "binary" and dim == width):
            if dim not in (None, width):
                raise self._mismatch(rows, f"{width} bits a row, one a byte")
            return False, width
        if point_type != "binary" and dim is None:
            raise DatasetError(
                "could be packed bits, or one bit a byte",
                where=rows.where,
                remedy="set the attribute `point_type` to binary (packed) or bit (one a byte)",
            )
        dim = 8 * width if dim is None else dim
        if dim < 1 or packed_bytes(dim) != width:
            raise self._mismatch(rows, f"{width} bytes a row, which hold {8 * width - 7} to {8 * width} bits")
        return True, dim

    def _mismatch(self, rows: Rows, found: str) -> DatasetError:
        return DatasetError(
            f"has {found}, and the attribute `dimension` says {self.declared}",
            where=rows.where,
            remedy="correct one of them, or the attribute `point_type` (binary: packed; bit: one a byte)",
        )


class SetLayout(VectorLayout):
    """Sets; elements are sorted, and repeated ones dropped, when they are read."""

    def __init__(self, file: Members) -> None:
        super().__init__(file)
        self._found: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self.universe = self._universe()

    def vectors(self, members: Members, name: str) -> Rows | None:
        found = self._flat(members, name)
        if found is None:
            return None
        where = f"{members.where}:{name}"
        return SetRows(sorted_sets(*found, self.universe, where), where)

    def form(self, base: Rows) -> VectorForm:
        return VectorForm("sets", self.universe, len(base.stored().elements))

    def _universe(self) -> int:
        if self.declared is not None:
            if not 1 <= self.declared <= MAX_UNIVERSE:
                raise DatasetError(
                    f"is {self.declared}",
                    where=f"{self.file.where}: attribute dimension",
                    remedy=f"give the size of the universe, 1 to {MAX_UNIVERSE}",
                )
            return self.declared
        parts = (self._flat(self.file, name) for name in ("train", "test", "learn"))
        largest = max((int(part[1].max(initial=0)) for part in parts if part is not None), default=0)
        return min(largest, MAX_UNIVERSE - 1) + 1

    def _flat(self, members: Members, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Where each set begins, and all elements."""
        where = f"{members.where}:{name}"
        if where not in self._found:
            found = self._read(members, name, where)
            if found is None:
                return None
            self._found[where] = found
        return self._found[where]

    def _read(self, members: Members, name: str, where: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        flat = members.group.get(name, getlink=True)
        if flat is None:
            return None
        elements = members.required(name, rank=1, kinds=IDS)
        sizes = members.required(f"size_{name}", rank=1, kinds=IDS).stored()
        # Each is bounded by what there is, so that their sum cannot wrap.
        if len(sizes) and (int(sizes.min()) < 0 or int(sizes.max()) > len(elements)):
            raise _sizes_error(where, len(elements), f"one of {int(sizes.max())} or less than 0")
        indptr = np.concatenate([[0], np.cumsum(sizes.astype(np.int64))]).astype(np.int64)
        if int(indptr[-1]) != len(elements):
            raise _sizes_error(where, len(elements), f"{int(indptr[-1]):,} together")
        values = elements.stored()
        outside = np.flatnonzero((values < 0) | (values >= MAX_UNIVERSE))
        if outside.size:
            row = int(np.searchsorted(indptr, outside[0], side="right")) - 1
            raise DatasetError(
                f"holds element {values[outside[0]]}",
                where=f"{where}: row {row}",
                remedy=f"elements are numbers from 0 to {MAX_UNIVERSE - 1}",
            )
        return indptr, values.astype(np.int64)


def layout_of(file: Members, metric: Metric) -> VectorLayout:
    """How the vectors of a file with this metric lie."""
    kinds: dict[Layout, Callable[[Members], VectorLayout]] = {
        "dense": DenseLayout,
        "bits": BitLayout,
        "sets": SetLayout,
    }
    return kinds[distance_of(metric).layout](file)


def _sizes_error(where: str, found: int, sizes: str) -> DatasetError:
    return DatasetError(
        f"holds {found:,} elements, and the sizes of its sets are {sizes}",
        where=where,
        remedy="write the file again: one size a set, in the order of the sets",
    )
