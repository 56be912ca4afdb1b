"""The work of `annbench data convert`, done in its child process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from annbench.datasets.assembling import assemble
from annbench.datasets.casting import Casting
from annbench.datasets.convert import ConvertRequest
from annbench.datasets.dataset import Dataset
from annbench.datasets.formats import FORMATS, VECTOR_FORMATS, open_vectors, vector_format
from annbench.datasets.formats.rows import Rows, SetRows
from annbench.datasets.formats.truth import read_truth, write_truth
from annbench.datasets.formats.vector_file import Columns
from annbench.datasets.formats.views import FirstRows
from annbench.datasets.inspect import inspect, safe_name
from annbench.datasets.publish import refusals, written_whole
from annbench.datasets.serving import Progress, limit_memory, serve
from annbench.errors import DatasetError, UsageError

_DISK = "free disk space, or write elsewhere"


def write_target(request: ConvertRequest, progress: Progress) -> dict[str, Any]:
    """Write what is asked for; returns its shape, dtype, size and remarks. Raises DatasetError, UsageError."""
    with written_whole(request.target, _DISK) as temporary:
        if request.parts is not None:
            answer = _make_dataset(request, temporary, progress)
        else:
            assert request.source is not None
            if request.source.suffix.lower() in FORMATS:
                with Dataset(request.source) as dataset:
                    answer = _write_part(request, dataset, temporary, progress)
            else:
                answer = _write_file(request, temporary, progress)
    return {**answer, "file_bytes": request.target.stat().st_size}


def _make_dataset(request: ConvertRequest, temporary: Path, progress: Progress) -> dict[str, Any]:
    assert request.parts is not None
    notes = assemble(request.parts, temporary, progress, made_by="annbench data convert", disk_remedy=_DISK)
    progress("check", 0.0)
    info = inspect(temporary, safe_name(request.target))
    return {"shape": (info.n, info.dim), "dtype": info.dtype, "notes": notes}


def _write_part(request: ConvertRequest, dataset: Dataset, temporary: Path, progress: Progress) -> dict[str, Any]:
    if request.part is None:
        raise UsageError("a dataset has several parts", remedy="give --part base, queries, neighbors, distances …")
    if request.part == "base":
        rows, notes = dataset.base_raw, _about_layout(dataset)
        return _write_rows(request, rows, notes, temporary, progress)
    queries = dict(dataset.query_rows())
    if request.query_set not in queries:
        dataset.queries(request.query_set)  # raises the error that lists those there are
    source = queries[request.query_set]
    if request.part == "truth":
        return _write_truth(request, source.neighbors, source.distances, temporary)
    parts = {"queries": source.test, "learn": source.learn, "neighbors": source.neighbors}
    rows_or_none = {**parts, "distances": source.distances}[request.part]
    if rows_or_none is None:
        raise DatasetError(f"has no {request.part}", where=str(dataset.path), remedy="choose another --query-set")
    notes = _about_layout(dataset) if request.part in ("queries", "learn") else []
    return _write_rows(request, rows_or_none, notes, temporary, progress)


def _about_layout(dataset: Dataset) -> list[str]:
    if dataset.info.dtype == "bits" and dataset.info.dim % 8:
        dim = dataset.info.dim
        return [f"rows are packed bits, {dim} of them; to read them again, give --dimension {dim}"]
    return []


def _write_file(request: ConvertRequest, temporary: Path, progress: Progress) -> dict[str, Any]:
    assert request.source is not None
    columns = Columns(request.column, request.id_column)
    is_truth = request.part in ("neighbors", "distances", "truth") or (
        request.source.suffix.lower() not in VECTOR_FORMATS and request.part is None
    )
    if not is_truth:
        if request.part is not None:
            raise UsageError(f"{request.source} has no parts", remedy="leave out --part")
        file = open_vectors(request.source, columns)
        return _write_rows(request, file.rows, list(file.notes), temporary, progress)
    truth = read_truth(request.source, columns)
    if request.part in ("distances", "truth") and truth.distances is None:
        raise DatasetError("holds ids alone", where=str(request.source), remedy="take --part neighbors")
    if request.part == "truth":
        assert truth.distances is not None
        return _write_truth(request, truth.neighbors, truth.distances, temporary)
    rows = truth.distances if request.part == "distances" else truth.neighbors
    lost = truth.distances is not None and request.part is None
    notes = [f"{request.source.name}: its distances are left out (--part distances)"] if lost else []
    assert rows is not None
    return _write_rows(request, rows, notes, temporary, progress)


def _write_truth(request: ConvertRequest, neighbors: Rows, distances: Rows, temporary: Path) -> dict[str, Any]:
    if request.limit is not None:
        neighbors, distances = FirstRows(neighbors, request.limit), FirstRows(distances, request.limit)
    casting = Casting(distances, np.dtype(np.float32), lossy=request.lossy)
    with refusals(temporary.parent, _DISK):
        write_truth(temporary, neighbors, casting.blocks())
    return {"shape": neighbors.shape, "dtype": "int32 and float32", "notes": _losses(casting, "float32")}


def _write_rows(
    request: ConvertRequest, rows: Rows, notes: list[str], temporary: Path, progress: Progress
) -> dict[str, Any]:
    target = vector_format(request.target)
    if isinstance(rows, SetRows):
        if "sets" not in target.dtypes:
            raise UsageError("sets are not rows of one length", remedy="write .spmat or .csr")
        if request.limit is not None:
            rows = SetRows(rows[: request.limit], rows.where)
        with refusals(temporary.parent, _DISK):
            target.write(temporary, rows.shape, rows.dtype, rows.blocks())
        return {"shape": rows.shape, "dtype": "sets", "notes": notes}
    if request.limit is not None:
        rows = FirstRows(rows, request.limit)
    own = rows.dtype.newbyteorder("=")
    stored = [name for name in target.dtypes if name != "sets"]
    dtype = np.dtype(request.dtype or (own.name if own.name in stored else stored[0]))
    casting = Casting(rows, dtype, lossy=request.lossy)
    with refusals(temporary.parent, _DISK):
        target.write(temporary, rows.shape, dtype, _watched(casting.blocks(), len(rows), progress))
    return {"shape": rows.shape, "dtype": dtype.name, "notes": notes + _losses(casting, dtype.name)}


def _losses(casting: Casting, dtype: str) -> list[str]:
    if not casting.changed:
        return []
    return [f"{casting.changed:,} values changed to be {dtype}, by {casting.largest:.4g} at most"]


def _watched(blocks: Iterator[tuple[int, Any]], n: int, progress: Progress) -> Iterator[tuple[int, Any]]:
    for start, block in blocks:
        yield start, block
        progress("write", (start + len(block)) / n)


def _work(line: str, progress: Progress) -> dict[str, Any]:
    request = ConvertRequest.model_validate_json(line)
    if request.parts is not None:
        limit_memory(request.parts.files, request.parts.memory_bytes)
    elif request.source is not None:
        limit_memory([request.source], 0)
    return write_target(request, progress)


if __name__ == "__main__":
    serve(_work)
