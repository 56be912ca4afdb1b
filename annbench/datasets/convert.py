"""Converts vectors between file formats, takes parts out of datasets, and makes datasets of parts.

`convert_files` starts `python -m annbench.datasets.converting`, which does the work: files are opened there only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from annbench.datasets.child import run_child
from annbench.datasets.formats import FORMATS, VECTOR_FORMATS, vector_format
from annbench.datasets.info import DEFAULT_QUERY_SET
from annbench.datasets.library import data_dir, resolve
from annbench.datasets.parts import Parts, check_parts
from annbench.errors import DatasetError, UsageError

PartName = Literal["base", "queries", "neighbors", "distances", "truth", "learn"]


class ConvertRequest(BaseModel):
    """What is to be written to `target`: `source`, which is a vector file, a truth file or a dataset, of which `part`
    is taken; or the dataset of `parts`.

    Only the first `limit` rows, as `dtype` (NumPy's name; by default as they are, or as the target stores). Values that
    would change are refused unless `lossy`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Path | None
    target: Path
    part: PartName | None = None
    query_set: str = DEFAULT_QUERY_SET
    limit: int | None = Field(default=None, ge=1)
    dtype: str | None = None
    lossy: bool = False
    force: bool = False
    column: str | None = None
    id_column: str | None = None
    parts: Parts | None = None


@dataclass(frozen=True)
class Converted:
    """A file that was written: rows and columns, dtype, and what its owner should know about it."""

    path: Path
    shape: tuple[int, ...]
    dtype: str
    file_bytes: int
    notes: tuple[str, ...]


def convert_files(request: ConvertRequest, on_progress: Callable[[str, float], None] | None = None) -> Converted:
    """Write the target, whole or not at all; `on_progress` is told the phase and the fraction done of it.

    Raises UsageError for what cannot be asked for, and DatasetError for files that cannot be used, a target that
    exists, and values that would change.
    """
    check_request(request)

    def progress(fields: dict[str, Any]) -> None:
        if on_progress is not None:
            on_progress(str(fields["phase"]), float(fields["fraction"]))

    answer = run_child(
        "annbench.datasets.converting",
        [],
        where=str(request.source or request.target),
        request=request.model_dump_json(),
        threads=None if request.parts is None else request.parts.threads,
        on_progress=progress,
    )
    return Converted(
        request.target, tuple(answer["shape"]), answer["dtype"], int(answer["file_bytes"]), tuple(answer["notes"])
    )


def find_source(name_or_path: str, folder: Path | None = None) -> Path:
    """The file meant by a path, or by the name of a dataset. Raises as `library.resolve`, and DatasetError."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.suffix.lower() in VECTOR_FORMATS or len(path.parts) > 1:
        raise DatasetError("no such file", where=str(path), remedy="check the path")
    return resolve(name_or_path, data_dir(folder))


def check_request(request: ConvertRequest) -> None:
    """Raise for what can be refused before a file is read."""
    target = request.target
    if target.exists() and not request.force:
        raise DatasetError("exists already", where=str(target), remedy="choose another name, or give --force")
    if not target.parent.is_dir():
        raise DatasetError("no such folder", where=str(target.parent), remedy="create it first")
    makes_dataset = target.suffix.lower() in FORMATS
    if request.parts is not None:
        if not makes_dataset:
            raise UsageError(f"{target} is no dataset", remedy="with --base, give a .hdf5 file to write")
        if request.part or request.dtype or request.lossy:
            raise UsageError("--part, --dtype and --lossy are not for datasets", remedy="convert the parts before")
        check_parts(request.parts)
        return
    if makes_dataset:
        raise UsageError(
            "a dataset needs more than vectors", remedy="give --base, --queries and --metric; see also `data add`"
        )
    if request.part == "truth":
        if target.suffix.lower() not in ("", ".bin", ".ibin"):
            raise UsageError("a truth of ids and distances is .bin or .ibin", remedy="or take --part neighbors")
        return
    stored = vector_format(target).dtypes
    if not stored:
        raise UsageError(f"{target.suffix} does not say what is in it", remedy="write .fbin, .u8bin, .i8bin …")
    if request.dtype is not None and request.dtype not in stored:
        raise UsageError(f"{target.suffix} cannot store {request.dtype}", remedy=f"it stores {', '.join(stored)}")
