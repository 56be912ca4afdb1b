"""Makes a dataset file of its parts: read, check, split, find or check the truth, write. For child processes only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.checks import check_rows
from annbench.datasets.formats import open_vectors
from annbench.datasets.formats.hdf5_write import DatasetArrays, QuerySetArrays, write_hdf5
from annbench.datasets.formats.npy import VECTORS
from annbench.datasets.formats.rows import BitRows, Rows, SetRows
from annbench.datasets.formats.vector_file import Columns, VectorFile
from annbench.datasets.formats.views import CastRows, FirstRows, RemainingRows
from annbench.datasets.info import Metric
from annbench.datasets.parts import Parts
from annbench.datasets.publish import refusals
from annbench.datasets.serving import Progress
from annbench.distances.hamming import packed_bytes
from annbench.distances.registry import distance_of
from annbench.distances.sets import Sets
from annbench.errors import DatasetError

MAX_HELD_OUT = 1000


@dataclass(frozen=True)
class Split:
    """Base and queries; `held_out_rows` are the queries' rows in the original file, if they come from it."""

    base: Rows
    queries: Any  # an array, or Sets
    held_out_rows: NDArray[np.int64] | None


def assemble(
    parts: Parts,
    temporary: Path,
    progress: Progress,
    *,
    made_by: str,
    disk_remedy: str,
    checkpoint: Callable[[str], Path] | None = None,
) -> list[str]:
    """Write the dataset of `parts` to `temporary`; returns remarks for its owner.

    `checkpoint` gives the file that keeps the progress of the truth, for the hash of what it is computed from.
    Raises DatasetError.
    """
    assert parts.metric is not None
    progress("read", 0.0)
    base, notes = load_vectors(parts.base, parts, limit=parts.limit)
    split = _split(parts, base, notes)
    learn = None
    if parts.learn is not None:
        learn, more = load_vectors(parts.learn, parts, like=base)
        notes += more
    if parts.metric == "cosine":
        notes += _about_zero_rows(split)
    neighbors, distances = _truth(parts, split, notes, progress, checkpoint)
    progress("write", 0.0)
    arrays = DatasetArrays(
        base=split.base,
        metric=parts.metric,
        queries=QuerySetArrays(split.queries, neighbors, distances, learn),
        held_out_rows=split.held_out_rows,
        provenance=_provenance(parts, split, made_by),
        dim=base.dim if isinstance(base, BitRows) else None,
    )
    with refusals(temporary.parent, disk_remedy):
        write_hdf5(temporary, arrays, lambda done: progress("write", done))
    return notes


def load_vectors(
    path: Path, parts: Parts, *, limit: int | None = None, like: Rows | None = None
) -> tuple[Rows, list[str]]:
    """The rows of a file in the form that the metric compares, checked, with remarks.

    With `like`, they are queries over that base. Raises DatasetError, naming the first bad row.
    """
    assert parts.metric is not None
    file = open_vectors(path, Columns(parts.column, parts.id_column))
    rows, notes = _in_layout(file, parts, limit), list(file.notes)
    if file.rows.dtype.itemsize == 8 and not isinstance(rows, SetRows):
        notes.append(f"{path.name}: float64 was converted to float32")
    if like is not None and rows.shape[1] != like.shape[1]:
        raise DatasetError(
            f"has {rows.shape[1]} dimensions, and the base has {like.shape[1]}",
            where=str(path),
            remedy="queries and base must come from the same space",
        )
    dim = rows.dim if isinstance(rows, BitRows) else rows.shape[1]
    check_rows(rows, parts.metric, dim, queries=like is not None)
    return rows, notes


def hold_out(rows: Rows, count: int | None, seed: int) -> Split:
    """Take `count` random rows out as queries. Raises DatasetError if nothing would be left."""
    n = len(rows)
    count = min(MAX_HELD_OUT, n // 10) if count is None else count
    if not 0 < count < n:
        raise DatasetError(
            f"has {n} vectors, from which {count} cannot be held out",
            where=rows.where,
            remedy="give --queries, or --held-out",
        )
    taken = np.sort(np.random.default_rng(seed).choice(n, count, replace=False)).astype(np.int64)
    queries = rows.gather(taken)
    if isinstance(rows, SetRows):
        return Split(SetRows(rows.gather(np.delete(np.arange(n), taken)), rows.where), queries, taken)
    base: Rows = RemainingRows(rows, taken)
    if isinstance(rows, BitRows):
        base = BitRows(base, rows.dim, packed=True)
    return Split(base, queries, taken)


def count_copies(base: Rows, queries: Any) -> int:
    """How many base rows are byte for byte one of the queries."""
    same = queries if isinstance(queries, Sets) else np.asarray(queries, dtype=base.dtype)
    wanted = {row.tobytes() for row in same}
    return sum(row.tobytes() in wanted for _, block in base.blocks() for row in block)


def _in_layout(file: VectorFile, parts: Parts, limit: int | None) -> Rows:
    """What the metric compares: numbers, packed bits, or sets."""
    assert parts.metric is not None
    layout, rows = distance_of(parts.metric).layout, file.rows
    if layout == "sets":
        if file.as_sets is None:
            raise DatasetError(
                "holds dense rows, and jaccard compares sets", where=rows.where, remedy="give .csr or .spmat"
            )
        sets = file.as_sets()
        return sets if limit is None else SetRows(sets[:limit], rows.where)
    if limit is not None and limit < len(rows):
        rows = FirstRows(rows, limit)
    if layout == "bits":
        return _bits(rows, parts)
    if rows.dtype.name not in VECTORS and rows.dtype.newbyteorder("=").name not in VECTORS:
        raise DatasetError(
            f"has dtype {rows.dtype}",
            where=rows.where,
            remedy="convert it to float32, float16, int8 or uint8 (`annbench data convert --dtype`)",
        )
    return CastRows(rows, np.float32) if rows.dtype.itemsize == 8 else rows


def _bits(rows: Rows, parts: Parts) -> BitRows:
    width = rows.shape[1]
    if rows.dtype == np.bool_:
        return BitRows(rows, width, packed=False)
    dim = 8 * width if parts.dimension is None else parts.dimension
    if rows.dtype != np.uint8 or packed_bytes(dim) != width:
        raise DatasetError(
            f"has {width} columns of {rows.dtype.name}, which are not {dim} packed bits",
            where=rows.where,
            remedy="pack the bits with numpy.packbits and give --dimension, or store them as bool",
        )
    return BitRows(rows, dim, packed=True)


def _split(parts: Parts, base: Rows, notes: list[str]) -> Split:
    if parts.queries is None:
        split = hold_out(base, parts.held_out, parts.seed)
        notes.append(f"{len(split.queries)} rows were held out as queries (seed {parts.seed})")
    else:
        rows, more = load_vectors(parts.queries, parts, like=base)
        notes += more
        split = Split(base, rows.stored(), None)
    copies = count_copies(split.base, split.queries)
    if copies:
        notes.append(f"{copies} base vectors are exact copies of a query; they stay, and make recall look easier")
    return split


def _truth(
    parts: Parts,
    split: Split,
    notes: list[str],
    progress: Progress,
    checkpoint: Callable[[str], Path] | None,
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    from annbench.datasets.ground_truth import exact_neighbors

    assert parts.metric is not None
    if parts.truth is not None:
        from annbench.datasets.given_truth import check_given_truth

        progress("truth", 0.0)
        given = check_given_truth(split.base, split.queries, parts)
        notes += given.notes
        return given.neighbors, given.distances
    k = min(parts.k, len(split.base))
    if k < parts.k:
        notes.append(f"the base has {k} vectors: k is {k}, not {parts.k}")
    fingerprint = _fingerprint(split, parts.metric, k)
    truth = exact_neighbors(
        split.base,
        split.queries,
        k,
        parts.metric,
        threads=parts.threads,
        memory_limit_bytes=parts.memory_bytes,
        checkpoint=None if checkpoint is None else checkpoint(fingerprint),
        fingerprint=fingerprint,
        progress=lambda done: progress("truth", done),
    )
    tied = int((truth.ties_beyond_k > 0).sum())
    if tied:
        notes.append(f"{tied} queries have further neighbours as near as the last of their {k}")
    return truth.neighbors, truth.distances


def _about_zero_rows(split: Split) -> list[str]:
    blocks: dict[str, Iterator[tuple[int, Any]]] = {"base": split.base.blocks(), "queries": iter([(0, split.queries)])}
    found = {
        what: np.concatenate([start + np.flatnonzero(~block.any(axis=1)) for start, block in vectors])
        for what, vectors in blocks.items()
    }
    return [
        f"{len(rows)} zero vectors in the {what}, at cosine distance 1 from everything; rows: "
        + ", ".join(map(str, rows[:10]))
        + (", …" if len(rows) > 10 else "")
        for what, rows in found.items()
        if len(rows)
    ]


def _provenance(parts: Parts, split: Split, made_by: str) -> dict[str, str | int | float]:
    files = {
        "base_file": parts.base,
        "queries_file": parts.queries,
        "truth_file": parts.truth,
        "learn_file": parts.learn,
    }
    found: dict[str, str | int | float] = {"made_by": made_by}
    found |= {name: path.name for name, path in files.items() if path is not None}
    if split.held_out_rows is not None:
        found["held_out_seed"] = parts.seed
    return found


def _fingerprint(split: Split, metric: Metric, k: int) -> str:
    """Identifies what the truth is computed from."""
    digest = hashlib.sha256(f"{metric} {k} {split.base.dtype} {split.base.shape} {split.queries.shape}".encode())
    for block in (*(block for _, block in split.base.blocks()), split.queries):
        for array in (block.indptr, block.elements) if isinstance(block, Sets) else (block,):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
