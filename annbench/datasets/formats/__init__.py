"""File formats of datasets and of vectors alone: one module each, found here by the file's ending.

A dataset format is a module with a class that satisfies `source.Source`, a vector format one with an object that
satisfies `vector_file.VectorFormat`; adding one is a file and a line here.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from annbench.errors import DatasetError

if TYPE_CHECKING:
    from annbench.datasets.formats.source import Source
    from annbench.datasets.formats.vector_file import Columns, VectorFile, VectorFormat

_HERE = "annbench.datasets.formats."

# Named, not imported: only the process that opens a file loads the library that reads it.
FORMATS = {
    ".hdf5": "hdf5:Hdf5Source",
    ".h5": "hdf5:Hdf5Source",
}
VECTOR_FORMATS = {
    ".npy": "npy:NPY",
    ".fbin": "xbin:FBIN",
    ".f16bin": "xbin:F16BIN",
    ".u8bin": "xbin:U8BIN",
    ".i8bin": "xbin:I8BIN",
    ".ibin": "xbin:IBIN",
    ".bin": "xbin:BIN",
    ".fvecs": "texmex:FVECS",
    ".ivecs": "texmex:IVECS",
    ".bvecs": "texmex:BVECS",
    ".csr": "sparse:SPARSE",
    ".spmat": "sparse:SPARSE",
    ".parquet": "parquet:PARQUET",
}


def open_source(path: Path) -> Source:
    """Open a dataset file by its ending.

    Raises DatasetError when it is not one, or fails the structural checks.
    """
    target = FORMATS.get(path.suffix.lower())
    if target is None:
        vectors = path.suffix.lower() in VECTOR_FORMATS
        raise DatasetError(
            f"{path.suffix or 'a file without ending'} is not a dataset format",
            where=str(path),
            remedy="make a dataset of vectors with `annbench data add`" if vectors else f"give {' or '.join(FORMATS)}",
        )
    return cast("Source", _named(target)(path))


def vector_format(path: Path) -> VectorFormat:
    """The format of a vector file by its ending. Raises DatasetError if there is none."""
    target = VECTOR_FORMATS.get(path.suffix.lower())
    if target is None:
        unpacked = path.suffix.lower() in (".gz", ".zip", ".bz2", ".xz", ".zst", ".tar", ".tgz")
        raise DatasetError(
            f"{path.suffix or 'a file without ending'} is not a format of vectors",
            where=str(path),
            remedy="unpack it first" if unpacked else f"give one of {', '.join(VECTOR_FORMATS)}",
        )
    return cast("VectorFormat", _named(target))


def open_vectors(path: Path, columns: Columns | None = None) -> VectorFile:
    """Open a vector file by its ending; for child processes only. Raises DatasetError."""
    from annbench.datasets.formats.vector_file import Columns

    return vector_format(path).read(path, columns or Columns())


def _named(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(_HERE + module), name)
