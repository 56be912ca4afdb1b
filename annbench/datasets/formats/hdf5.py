"""The HDF5 layouts of ann-benchmarks, VIBE and annbench: structure checked, vectors read lazily.

Layout: `train`, `test`, `neighbors (q, K)`, `distances (q, K)`, attribute `distance`; optional `learn`,
`query_sets/<name>/{test,learn,neighbors,distances,relevant}`, `attributes/<column> (n,)`. How the vectors lie is in
hdf5_layouts.py. A file without `train` names its base set: attributes `base_set`, `base_sha256`.
Source: github.com/erikbern/ann-benchmarks (datasets.py) and github.com/vector-index-bench/vibe (datasets.py).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py

from annbench.bundled import bundled
from annbench.datasets.formats.hdf5_guard import (
    member,
    member_names,
    open_file,
    scalar_attribute,
    text_attribute,
)
from annbench.datasets.formats.hdf5_layouts import layout_of
from annbench.datasets.formats.hdf5_members import IDS, Members
from annbench.datasets.formats.rows import Rows
from annbench.datasets.formats.source import BaseSet, QuerySource
from annbench.datasets.info import DEFAULT_QUERY_SET, DatasetShape, Metric, QuerySetInfo
from annbench.distances.registry import distance_of
from annbench.errors import DatasetError

# The field's words for a metric. `normalized` is 1 − dot of unit vectors: the same number as 1 − cosine.
METRICS: dict[str, Metric] = {
    "euclidean": "euclidean",
    "angular": "cosine",
    "cosine": "cosine",
    "normalized": "cosine",
    "ip": "ip",
    "hamming": "hamming",
    "jaccard": "jaccard",
    "snr": "snr",
    "poincare": "poincare",
}

_STRUCTURAL = frozenset({"distance", "type", "dimension", "point_type", "base_set", "base_sha256"})
_SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DATASET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Hdf5Source:
    """An open HDF5 dataset; with `whole`, one that must have its own vectors.

    Raises DatasetError naming the part of the file that is wrong.
    """

    def __init__(self, path: Path, *, whole: bool = False) -> None:
        self._file = open_file(path)
        self._whole = whole
        self._base_source: Hdf5Source | None = None
        self.base_set: BaseSet | None = None
        try:
            self._path = path
            self._members = Members(self._file, path, self._where)
            self.metric = self._metric()
            self._layout = layout_of(self._members, self.metric)
            self.base = self._base()
            self._form = self._layout.form(self.base)
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
        if self._base_source is not None:
            self._base_source.close()

    @property
    def _where(self) -> str:
        return str(self._path)

    def _metric(self) -> Metric:
        distance = text_attribute(self._file, "distance", self._where)
        if distance is None:
            raise DatasetError(
                "the attribute `distance` is missing",
                where=self._where,
                remedy=f"set it to one of {', '.join(METRICS)}",
            )
        if distance not in METRICS:
            raise DatasetError(
                f"unknown distance {distance!r}",
                where=f"{self._where}: attribute distance",
                remedy=f"use one of {', '.join(METRICS)}",
            )
        metric = METRICS[distance]
        self._check_kind(metric)
        return metric

    def _check_kind(self, metric: Metric) -> None:
        """What the file says of its vectors must be what its metric compares."""
        layout = distance_of(metric).layout
        sparse = text_attribute(self._file, "type", self._where) == "sparse"
        bits = scalar_attribute(self._file, "point_type") in ("binary", "bit")
        if sparse != (layout == "sets") or (bits and layout == "dense"):
            found = "sparse sets" if sparse else "bits" if bits else "a dense matrix"
            raise DatasetError(
                f"holds {found}, which {metric} does not compare",
                where=self._where,
                remedy="correct the attribute `distance`, `type` (sparse: sets) or `point_type` (bit, binary: bits)",
            )

    def _base(self) -> Rows:
        base = self._layout.vectors(self._members, "train")
        if base is None:
            base = self._base_elsewhere()
        if len(base) == 0 or base.shape[1] == 0:
            raise DatasetError(f"has shape {base.shape}", where=base.where, remedy="store at least one vector")
        return base

    def _base_elsewhere(self) -> Rows:
        """The base of the set that the file names: one beside it, or bundled; never a path."""
        name = text_attribute(self._file, "base_set", self._where)
        if name is None or self._whole:
            raise self._members.missing("train")
        digest = text_attribute(self._file, "base_sha256", self._where) or ""
        if not _DATASET_NAME.fullmatch(name) or not _SHA256.fullmatch(digest):
            raise DatasetError(
                f"names the base set {name!r} with sha256 {digest!r}",
                where=f"{self._where}: attributes base_set, base_sha256",
                remedy="give a dataset's name and the sha256 of its file, as `annbench data info` shows them",
            )
        places = (self._path.parent / f"{name}.hdf5", bundled("datasets") / f"{name}.hdf5")
        path = next((place for place in places if place.is_file()), None)
        if path is None or path.resolve().parent not in [place.parent.resolve() for place in places]:
            raise DatasetError(
                f"its vectors are those of {name}, which is not here",
                where=self._where,
                remedy=f"get it with `annbench data get {name}` into the same folder",
            )
        self._base_source = Hdf5Source(path, whole=True)
        if self._base_source.metric != self.metric:
            raise DatasetError(
                f"has distance {self.metric}, and its base set {name} {self._base_source.metric}",
                where=self._where,
                remedy="name a set with the same distance",
            )
        self.base_set = BaseSet(name, path, digest)
        return self._base_source.base

    def _query_sets(self) -> dict[str, QuerySource]:
        found = {DEFAULT_QUERY_SET: self._query_set(self._members)}
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
                found[name] = self._query_set(Members(group, self._path, f"{where}/{name}"))
        return found

    def _query_set(self, members: Members) -> QuerySource:
        test = self._layout.vectors(members, "test")
        if test is None:
            raise members.missing("test")
        neighbors = members.required("neighbors", rank=2, kinds=IDS)
        distances = self._layout.distances(members)
        learn = self._layout.vectors(members, "learn")
        relevant = members.optional("relevant", rank=1, kinds=IDS)
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
                where=members.where,
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
        provenance = self._provenance()
        if self.base.dtype.newbyteorder("=") == "float64":
            provenance["stored_dtype"] = "float64"
        return DatasetShape(
            metric=self.metric,
            dtype=self._form.dtype,
            n=len(self.base),
            dim=self._form.dim,
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
            elements=self._form.elements,
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
        if self.base_set is not None:
            found["base_set"] = self.base_set.name
        return {name: value for name, value in found.items() if value is not None}
