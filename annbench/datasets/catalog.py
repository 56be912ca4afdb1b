"""The catalogue of public datasets: `datasets/catalog.yaml`, typed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from annbench.bundled import bundled
from annbench.datasets.info import DType
from annbench.errors import DatasetError

MAX_BYTES = 1 << 20
WHOLE_LAYOUTS = frozenset({"annbench-hdf5", "ann-benchmarks-hdf5", "vibe-hdf5"})
XBIN_HEAD_BYTES = 8
# What the big-ann layout stores, and how its files are called.
XBIN_ENDINGS: dict[DType, str] = {"float32": ".fbin", "float16": ".f16bin", "int8": ".i8bin", "uint8": ".u8bin"}

_ITEM_BYTES: dict[DType, int] = {"float32": 4, "float16": 2, "int8": 1, "uint8": 1}

Layout = Literal["annbench-hdf5", "ann-benchmarks-hdf5", "vibe-hdf5", "big-ann-bin", "big-ann-csr"]


class CatalogEntry(BaseModel):
    """A public dataset. What no source states is None.

    `files` are further addresses of sets that are more than one file: `queries` and `truth` make a dataset of the
    vectors at `url`, others are for tasks of their own. A base of `of_rows` rows is of a larger set, whose first `n`
    rows this one is. `unlisted` sets are named by their project's code only, so that the address may not answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    source: str
    layout: Layout
    page: str
    licence: str
    metric: Literal["euclidean", "cosine", "ip", "hamming", "jaccard"]
    url: str | None = None
    files: dict[str, str] = {}
    sha256: str | None = None
    n: int | None = None
    of_rows: int | None = None
    dim: int | None = None
    queries: int | None = None
    dtype: DType | None = None
    approximate_bytes: int | None = None
    out_of_distribution: bool = False
    unlisted: bool = False
    note: str = ""

    @property
    def base_bytes(self) -> int | None:
        """What the base takes of the file at `url`, where the layout is so plain that its figures tell; else None."""
        if self.layout == "big-ann-bin" and self.n and self.dim and self.dtype:
            return XBIN_HEAD_BYTES + self.n * self.dim * _ITEM_BYTES[self.dtype]
        return None

    @property
    def download_bytes(self) -> int | None:
        """About how large the main file is: as stated, or as its plain layout implies; else None."""
        return self.base_bytes if self.approximate_bytes is None else self.approximate_bytes

    @property
    def obstacle(self) -> str:
        """Why annbench cannot make a dataset of it; empty if it can."""
        if self.layout in WHOLE_LAYOUTS:
            return ""
        if self.layout == "big-ann-csr":
            return "its vectors are sparse, with weights"
        if not {"queries", "truth"} <= self.files.keys():
            return "it has no truth of the k nearest neighbours"
        return "" if self.dtype in XBIN_ENDINGS and self.dim else "the type of its vectors is not known"

    @property
    def readable(self) -> bool:
        """Whether annbench can make a dataset of it."""
        return not self.obstacle


def load_catalog(path: Path | None = None) -> dict[str, CatalogEntry]:
    """Every entry by name, in the file's order; by default of the bundled catalogue. Raises DatasetError."""
    return _load(path or bundled("datasets") / "catalog.yaml")


@cache
def _load(path: Path) -> dict[str, CatalogEntry]:
    import yaml

    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise DatasetError(f"is larger than {MAX_BYTES} bytes", where=str(path), remedy="restore the file")
        document = yaml.safe_load(text)
    except (OSError, yaml.YAMLError) as error:
        raise DatasetError(f"cannot be read: {error}", where=str(path), remedy="restore the file") from error
    return _entries(document, path)


def _entries(document: Any, path: Path) -> dict[str, CatalogEntry]:
    entries = {}
    name = ""
    try:
        sources = document["sources"]
        for name, fields in document["datasets"].items():
            merged = _merged(fields, sources, document["datasets"]) | {"name": name}
            if "url" in merged:
                merged["url"] = merged["url"].replace("{name}", name)
            entries[name] = CatalogEntry.model_validate(merged)
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"is not a valid entry: {error}", where=f"{path}: {name}", remedy="see the head of the catalogue"
        ) from error
    return entries


def _merged(fields: dict[str, Any], sources: dict[str, Any], datasets: dict[str, Any]) -> dict[str, Any]:
    """An entry with what it need not say: what its source says and, for the first rows of another set, that one."""
    if "first_of" not in fields:
        return {**sources[fields["source"]], **fields}
    larger = datasets[fields["first_of"]]
    shared = {**sources[larger["source"]], **larger, "of_rows": larger["n"]}
    own = {field: value for field, value in fields.items() if field != "first_of"}
    return {**shared, **own, "files": {"queries": larger["files"]["queries"], **own["files"]}}
