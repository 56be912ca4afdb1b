"""Truth files: which rows are the nearest to each query, found by what the file is, not what it is called.

big-ann-benchmarks stores uint32 queries, uint32 k, int32 ids and float32 distances (8 + 8·q·k bytes), or for range
search int32 queries, int32 total, int32 counts, int32 ids, float32 distances. `.ivecs`, `.ibin`, `.npy` and Parquet
hold ids alone. Source: github.com/harsha-simhadri/big-ann-benchmarks (benchmark/dataset_io.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.mapped import map_array, read_head, regular_size
from annbench.datasets.formats.rows import ArrayRows, Rows
from annbench.datasets.formats.vector_file import Blocks, Columns, check_matrix
from annbench.errors import DatasetError

HEAD_BYTES = 8
_BY_CONTENT = ("", ".bin", ".ibin", ".gt")


@dataclass(frozen=True)
class TruthFile:
    """Ids (q, k) of the nearest rows, nearest first; distances (q, k) as the file has them, if it has any."""

    neighbors: Rows
    distances: Rows | None


@dataclass(frozen=True)
class RangeTruth:
    """All rows within a radius: those of query i are ids[indptr[i]:indptr[i + 1]], likewise distances."""

    indptr: NDArray[np.int64]
    ids: NDArray[np.int32]
    distances: NDArray[np.float32]


def read_truth(path: Path, columns: Columns | None = None) -> TruthFile:
    """Open a truth file. Raises DatasetError if it holds anything but ids, with or without distances."""
    from annbench.datasets.formats import VECTOR_FORMATS, open_vectors

    ending = path.suffix.lower()
    if ending in VECTOR_FORMATS and ending not in _BY_CONTENT:
        rows = open_vectors(path, columns).rows
        if rows.dtype.kind not in "iu":
            raise DatasetError(f"holds {rows.dtype.name}", where=str(path), remedy="truth is integer ids of rows")
        return TruthFile(rows, None)
    queries, k = read_head(path, "<u4", 2)
    check_matrix(queries, k, str(path), "give the truth of at least one query")
    size, cells = regular_size(path), queries * k
    if size == HEAD_BYTES + 8 * cells:
        ids = map_array(path, "<i4", HEAD_BYTES, (queries, k))
        distances = map_array(path, "<f4", HEAD_BYTES + 4 * cells, (queries, k))
        return TruthFile(ArrayRows(ids, str(path)), ArrayRows(distances, f"{path}: distances"))
    if size == HEAD_BYTES + 4 * cells and ending != ".bin":
        return TruthFile(ArrayRows(map_array(path, "<i4", HEAD_BYTES, (queries, k)), str(path)), None)
    if size == HEAD_BYTES + 4 * queries + 8 * k:
        raise DatasetError(
            "is a truth for range search", where=str(path), remedy="give the truth of a k-nearest-neighbour search"
        )
    raise DatasetError(
        f"declares {queries:,} queries with {k:,} neighbours, {HEAD_BYTES + 8 * cells:,} bytes with distances and "
        f"{HEAD_BYTES + 4 * cells:,} without, and has {size:,}",
        where=str(path),
        remedy="the file is truncated, or no truth file; get it again",
    )


def read_range_truth(path: Path) -> RangeTruth:
    """Read a truth file for range search. Raises DatasetError."""
    queries, total = read_head(path, "<i4", 2)
    size = regular_size(path)
    if queries < 1 or total < 0 or size != HEAD_BYTES + 4 * queries + 8 * total:
        raise DatasetError(
            f"declares {queries:,} queries with {total:,} results, and has {size:,} bytes",
            where=str(path),
            remedy="the file is truncated, or no truth for range search; get it again",
        )
    counts = map_array(path, "<i4", HEAD_BYTES, (queries,)).astype(np.int64)
    if int(counts.min()) < 0 or int(counts.sum()) != total:
        row = int(np.argmin(counts)) if int(counts.min()) < 0 else 0
        raise DatasetError(
            f"has counts that add up to {int(counts.sum()):,}, and declares {total:,} results",
            where=f"{path}: row {row}",
            remedy="the file is damaged; get it again",
        )
    at = HEAD_BYTES + 4 * queries
    return RangeTruth(
        np.concatenate([[0], np.cumsum(counts)]),
        np.asarray(map_array(path, "<i4", at, (total,))),
        np.asarray(map_array(path, "<f4", at + 4 * total, (total,))),
    )


def write_truth(path: Path, neighbors: Rows, distances: Blocks) -> None:
    """Write ids and distances as big-ann-benchmarks does. Raises DatasetError for ids that int32 cannot hold."""
    with path.open("wb") as stream:
        np.array(neighbors.shape, "<u4").tofile(stream)
        for start, block in neighbors.blocks():
            if int(block.max(initial=0)) >= 1 << 31:
                raise DatasetError(
                    "holds ids beyond int32", where=f"{neighbors.where}: row {start}", remedy="write them to .npy"
                )
            block.astype("<i4").tofile(stream)
        for _, piece in distances:
            np.asarray(piece, "<f4").tofile(stream)
