"""The HDF5 layouts of ann-benchmarks, VIBE and annbench: structure checked, vectors read lazily, and writing.

Layout: `train (n, dim)`, `test (q, dim)`, `neighbors (q, K)`, `distances (q, K)`, attribute `distance`;
optional `learn (m, dim)`, `query_sets/<name>/{test,learn,neighbors,distances,relevant}`,
`attributes/<column> (n,)`. Source: github.com/erikbern/ann-benchmarks (datasets.py) and
github.com/vector-index-bench/vibe (datasets.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.hdf5_guard import (
    check_array,
    member,
    member_names,
    open_file,
    scalar_attribute,
    text_attribute,
)
from annbench.datasets.formats.rows import BLOCK_BYTES, Hdf5Rows, Rows
from annbench.datasets.formats.source import QuerySource
from annbench.datasets.info import DEFAULT_QUERY_SET, DatasetShape, DType, Metric, QuerySetInfo
from annbench.errors import DatasetError

# The field's words for a metric. `normalized` is 1 − dot of unit vectors: the same number as 1 − cosine.
METRICS: dict[str, Metric] = {
    "euclidean": "euclidean",
    "angular": "cosine",
    "cosine": "cosine",
    "normalized": "cosine",
    "ip": "ip",
}
LATER = ("hamming", "jaccard")
WRITTEN: dict[Metric, str] = {"euclidean": "euclidean", "cosine": "angular", "ip": "ip"}
MAX_DIM = 1 << 20

_BASE = "f4 f2 f8 i1 u1"
_IDS = "i4 i8 u4 u8"
_FLOATS = "f4 f8"
_STRUCTURAL = frozenset({"distance", "type", "dimension", "point_type"})
_SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Hdf5Source:
    """An open HDF5 dataset. Raises DatasetError naming the part of the file that is wrong."""

    def __init__(self, path: Path) -> None:
        self._file = open_file(path)
        try:
            self._path = path
            self.metric = self._metric()
            self.base = self._rows(self._file, "train", self._where, rank=2, kinds=_BASE)
            self._check_base()
            self.query_sets = self._query_sets()
            self.shape = self._shape()
        except RuntimeError as error:  # the HDF5 library on a damaged file
            self.close()
            raise DatasetError(f"is damaged: {error}", where=self._where, remedy="get it again") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def _where(self) -> str:
        return str(self._path)

    def _metric(self) -> Metric:
        if text_attribute(self._file, "type", self._where) == "sparse":
            raise self._later("the sparse layout")
        distance = text_attribute(self._file, "distance", self._where)
        if distance is None:
            raise DatasetError(
                "the attribute `distance` is missing",
                where=self._where,
                remedy=f"set it to one of {', '.join(METRICS)}",
            )
        if distance in LATER or scalar_attribute(self._file, "point_type") in ("binary", "bit"):
            raise self._later(f"distance {distance}")
        if distance not in METRICS:
            raise DatasetError(
                f"unknown distance {distance!r}",
                where=f"{self._where}: attribute distance",
                remedy=f"use one of {', '.join(METRICS)}",
            )
        return METRICS[distance]

    def _later(self, what: str) -> DatasetError:
        return DatasetError(
            f"{what} is not supported yet",
            where=self._where,
            remedy=f"dense sets with {', '.join(METRICS)} are",
        )

    def _check_base(self) -> None:
        n, dim = self.base.shape
        if n == 0 or dim == 0:
            raise DatasetError(f"has shape {(n, dim)}", where=self.base.where, remedy="store at least one vector")
        if dim > MAX_DIM:
            raise DatasetError(
                f"has {dim} dimensions", where=self.base.where, remedy=f"at most {MAX_DIM} are supported"
            )
        declared = scalar_attribute(self._file, "dimension")
        if isinstance(declared, int) and declared != dim:
            raise DatasetError(
                f"has {dim} dimensions, and the attribute `dimension` says {declared}",
                where=self.base.where,
                remedy="correct one of them",
            )

    def _query_sets(self) -> dict[str, QuerySource]:
        found = {DEFAULT_QUERY_SET: self._query_set(self._file, self._where)}
        sets = member(self._file, "query_sets", self._where)
        if isinstance(sets, h5py.Group):
            where = f"{self._where}:query_sets"
            for name in member_names(sets, where):
                if not _SAFE_NAME.fullmatch(name) or name == DEFAULT_QUERY_SET:
                    raise DatasetError(
                        f"{name!r} cannot name a query set",
                        where=where,
                        remedy="use a-z, 0-9, ., _, -; not `test`",
                    )
                group = member(sets, name, where)
                if not isinstance(group, h5py.Group):
                    raise DatasetError("is not a group", where=f"{where}/{name}", remedy="see datasets/README.md")
                found[name] = self._query_set(group, f"{where}/{name}")
        return found

    def _query_set(self, group: h5py.Group, where: str) -> QuerySource:
        test = self._rows(group, "test", where, rank=2, kinds=_BASE)
        neighbors = self._rows(group, "neighbors", where, rank=2, kinds=_IDS)
        distances = self._rows(group, "distances", where, rank=2, kinds=_FLOATS)
        learn = self._optional_rows(group, "learn", where, rank=2, kinds=_BASE)
        relevant = self._optional_rows(group, "relevant", where, rank=1, kinds=_IDS)
        if len(test) == 0:
            raise DatasetError("holds no queries", where=test.where, remedy="store at least one")
        for queries in (test, learn):
            if queries is not None and queries.shape[1] != self.base.shape[1]:
                raise DatasetError(
                    f"has {queries.shape[1]} dimensions, and train has {self.base.shape[1]}",
                    where=queries.where,
                    remedy="queries and base must come from the same space",
                )
        if neighbors.shape != distances.shape or len(neighbors) != len(test) or neighbors.shape[1] == 0:
            raise DatasetError(
                f"test {test.shape}, neighbors {neighbors.shape} and distances {distances.shape} do not fit",
                where=where,
                remedy="make the truth again: `annbench data add` from the vectors",
            )
        if relevant is not None and len(relevant) != len(test):
            raise DatasetError(
                f"has {len(relevant)} rows for {len(test)} queries",
                where=relevant.where,
                remedy="one a query",
            )
        return QuerySource(test, neighbors, distances, learn, relevant)

    def _shape(self) -> DatasetShape:
        n, dim = self.base.shape
        provenance = self._provenance()
        stored = self.base.dtype.newbyteorder("=")
        if stored == np.float64:
            provenance["stored_dtype"] = "float64"
        dtype: DType = "float32" if stored == np.float64 else cast(DType, stored.name)
        return DatasetShape(
            metric=self.metric,
            dtype=dtype,
            n=n,
            dim=dim,
            query_sets={
                name: QuerySetInfo(
                    count=len(queries.test),
                    truth_k=queries.neighbors.shape[1],
                    learn_count=0 if queries.learn is None else len(queries.learn),
                )
                for name, queries in self.query_sets.items()
            },
            attributes=self._attributes(),
            provenance=provenance,
        )

    def _attributes(self) -> tuple[str, ...]:
        group = member(self._file, "attributes", self._where)
        if not isinstance(group, h5py.Group):
            return ()
        where = f"{self._where}:attributes"
        columns = {name: member(group, name, where) for name in member_names(group, where)}
        for name, column in columns.items():
            if isinstance(column, h5py.Dataset) and (column.shape is None or column.shape[:1] != (len(self.base),)):
                raise DatasetError(
                    f"has shape {column.shape}, and train has {len(self.base)} rows",
                    where=f"{where}/{name}",
                    remedy="an attribute has one value a row",
                )
        # A group among the columns is a structured one (tags); it is not a column.
        return tuple(sorted(name for name, column in columns.items() if isinstance(column, h5py.Dataset)))

    def _provenance(self) -> dict[str, Any]:
        names = [name for name in list(self._file.attrs)[:64] if name not in _STRUCTURAL]
        found = {name: scalar_attribute(self._file, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def _optional_rows(self, group: h5py.Group, name: str, where: str, *, rank: int, kinds: str) -> Rows | None:
        found = member(group, name, where)
        if found is None:
            return None
        where = f"{where}:{name}"
        if not isinstance(found, h5py.Dataset):
            raise DatasetError("is a group", where=where, remedy="store a dataset under this name")
        return Hdf5Rows(check_array(found, where, rank=rank, kinds=kinds), self._path, where)

    def _rows(self, group: h5py.Group, name: str, where: str, *, rank: int, kinds: str) -> Rows:
        found = self._optional_rows(group, name, where, rank=rank, kinds=kinds)
        if found is None:
            present = ", ".join(member_names(group, where)[:12]) or "nothing"
            raise DatasetError(
                f"`{name}` is missing (found: {present})",
                where=where,
                remedy="an ann-benchmarks file has train, test, neighbors, distances",
            )
        return found


@dataclass(frozen=True)
class QuerySetArrays:
    """One query set to be written; shapes as in `QuerySource`."""

    test: NDArray[Any]
    neighbors: NDArray[np.integer[Any]]
    distances: NDArray[np.floating[Any]]
    learn: NDArray[Any] | None = None
    relevant: NDArray[np.integer[Any]] | None = None


@dataclass(frozen=True)
class DatasetArrays:
    """A whole dataset to be written. `base` (n, dim) may be a memory map: it is written in blocks."""

    base: NDArray[Any]
    metric: Metric
    queries: QuerySetArrays
    query_sets: Mapping[str, QuerySetArrays] = field(default_factory=dict)
    held_out_rows: NDArray[np.integer[Any]] | None = None
    provenance: Mapping[str, str | int | float] = field(default_factory=dict)


def write_hdf5(path: Path, arrays: DatasetArrays) -> None:
    """Write a dataset in the annbench layout, readable as ann-benchmarks' when the base is float32.

    Not atomic by itself: write to a temporary name and rename. Raises OSError when the disk is full.
    """
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        file.attrs["type"] = "dense"
        file.attrs["distance"] = WRITTEN[arrays.metric]
        file.attrs["dimension"] = int(arrays.base.shape[1])
        file.attrs["point_type"] = "float" if arrays.base.dtype.kind == "f" else arrays.base.dtype.name
        for name, value in arrays.provenance.items():
            file.attrs[name] = value
        train = file.create_dataset("train", shape=arrays.base.shape, dtype=arrays.base.dtype.newbyteorder("<"))
        step = max(1, BLOCK_BYTES // (arrays.base.shape[1] * arrays.base.itemsize))
        for start in range(0, len(arrays.base), step):
            train[start : start + step] = arrays.base[start : start + step]
        _write_queries(file, arrays.queries)
        for name, queries in arrays.query_sets.items():
            _write_queries(file.create_group(f"query_sets/{name}"), queries)
        if arrays.held_out_rows is not None:
            file["held_out_rows"] = arrays.held_out_rows.astype("<i8")


def _write_queries(group: h5py.Group, queries: QuerySetArrays) -> None:
    group["test"] = np.ascontiguousarray(queries.test)
    group["neighbors"] = queries.neighbors.astype("<i8" if queries.neighbors.max(initial=0) >= 2**31 else "<i4")
    group["distances"] = queries.distances.astype("<f4")
    if queries.learn is not None:
        group["learn"] = np.ascontiguousarray(queries.learn)
    if queries.relevant is not None:
        group["relevant"] = queries.relevant.astype("<i8")
