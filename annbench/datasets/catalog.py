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
READABLE_LAYOUTS = frozenset({"annbench-hdf5", "ann-benchmarks-hdf5", "vibe-hdf5"})

_ITEM_BYTES: dict[DType, int] = {"float32": 4, "float16": 2, "int8": 1, "uint8": 1}

Layout = Literal["annbench-hdf5", "ann-benchmarks-hdf5", "vibe-hdf5", "big-ann-bin", "big-ann-csr"]


class CatalogEntry(BaseModel):
    """A public dataset. What no source states is None.

    `files` are further addresses of sets that are more than one file; `unlisted` sets are named by their
    project's code only, so that the address may not answer.
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
    dim: int | None = None
    queries: int | None = None
    dtype: DType | None = None
    approximate_bytes: int | None = None
    out_of_distribution: bool = False
    unlisted: bool = False
    note: str = ""

    @property
    def download_bytes(self) -> int | None:
        """About how large the main file is: as stated, or as its plain layout implies; else None."""
        if self.approximate_bytes is None and self.layout == "big-ann-bin" and self.n and self.dim and self.dtype:
            return 8 + self.n * self.dim * _ITEM_BYTES[self.dtype]
        return self.approximate_bytes

    @property
    def readable(self) -> bool:
        """Whether its file is a dataset as it is; others are vectors and truth apart, for `annbench data add`."""
        return self.layout in READABLE_LAYOUTS


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
            merged: dict[str, Any] = {**sources[fields["source"]], **fields, "name": name}
            if "url" in merged:
                merged["url"] = merged["url"].replace("{name}", name)
            entries[name] = CatalogEntry.model_validate(merged)
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"is not a valid entry: {error}", where=f"{path}: {name}", remedy="see the head of the catalogue"
        ) from error
    return entries
