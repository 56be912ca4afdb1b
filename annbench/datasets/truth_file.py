"""The work of `annbench groundtruth`, done in its child process: read, compute, compare, write."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from filelock import FileLock, Timeout

from annbench.datasets.assembling import load_vectors
from annbench.datasets.dataset import Dataset
from annbench.datasets.formats import FORMATS, open_vectors, vector_format
from annbench.datasets.formats.hdf5_write import WRITTEN
from annbench.datasets.formats.rows import ArrayRows, Rows
from annbench.datasets.formats.truth import write_truth
from annbench.datasets.formats.views import CastRows
from annbench.datasets.ground_truth import GroundTruth, Labels, exact_neighbors
from annbench.datasets.ground_truth.checkpoint import bytes_of
from annbench.datasets.parts import Parts
from annbench.datasets.publish import refusals, written_whole
from annbench.datasets.serving import Progress, limit_memory, serve
from annbench.datasets.truth import DEFAULT_K, IDS_AND_DISTANCES, Comparison, TruthRequest, targets
from annbench.datasets.truth_check import compare_stored
from annbench.errors import DatasetError

_DISK = "free disk space, or write elsewhere"


@dataclass(frozen=True)
class Inputs:
    """What the truth is computed from."""

    base: Rows
    queries: Any  # an array, or Sets
    rows: tuple[int, int]
    rows_filter: Any  # an array, Labels, or None
    k: int
    fingerprint: str
    notes: tuple[str, ...] = ()


def find(request: TruthRequest, progress: Progress) -> dict[str, Any]:
    """Compute, compare and write the truth; returns the fields of `truth.Found`. Raises DatasetError, UsageError."""
    progress("read", 0.0)
    if request.dataset is not None:
        with Dataset(request.base) as dataset:
            return _find(request, _of_dataset(request, dataset), dataset, progress)
    return _find(request, _of_files(request), None, progress)


def _find(request: TruthRequest, inputs: Inputs, dataset: Dataset | None, progress: Progress) -> dict[str, Any]:
    with _checkpoint(request, inputs.fingerprint) as checkpoint:
        truth = exact_neighbors(
            inputs.base,
            inputs.queries,
            inputs.k,
            request.metric,
            rows=inputs.rows,
            rows_filter=inputs.rows_filter,
            threads=request.threads,
            memory_limit_bytes=request.memory_bytes,
            checkpoint=checkpoint,
            fingerprint=inputs.fingerprint,
            progress=lambda done: progress("truth", done),
        )
        comparison: Comparison | None = None
        if request.check and dataset is not None:
            progress("compare", 0.0)
            comparison = compare_stored(dataset, request.query_set, inputs.queries, truth)
        progress("write", 0.0)
        written = [] if request.out is None else _write(request, inputs, truth)
        for leftover in checkpoint.parent.glob(f"{checkpoint.name}*"):
            leftover.unlink(missing_ok=True)
    start, stop = inputs.rows
    return {
        "metric": request.metric,
        "n": len(inputs.base),
        "rows": stop - start,
        "queries": len(inputs.queries),
        "k": inputs.k,
        "tied_queries": int((truth.ties_beyond_k > 0).sum()),
        "short_queries": int((truth.neighbors[:, -1] < 0).sum()),
        "notes": list(inputs.notes),
        "written": [str(path) for path in written],
        "comparison": None if comparison is None else asdict(comparison),
    }


def _of_dataset(request: TruthRequest, dataset: Dataset) -> Inputs:
    assert request.dataset is not None
    base = dataset.base_raw
    if base.dtype.kind == "f" and base.dtype.itemsize == 8:
        base = CastRows(base, np.float32)
    notes: list[str] = []
    if request.queries is None:
        queries, stored_k = dataset.queries(request.query_set), dataset.info.query_sets[request.query_set].truth_k
    else:
        rows, notes = load_vectors(request.queries, _parts(request), like=base)
        queries, stored_k = rows.stored(), DEFAULT_K
    return _inputs(request, base, queries, stored_k, request.dataset.sha256, notes)


def _of_files(request: TruthRequest) -> Inputs:
    assert request.queries is not None
    base, notes = load_vectors(request.base, _parts(request))
    rows, more = load_vectors(request.queries, _parts(request), like=base)
    digest = hashlib.sha256()
    for _, block in base.blocks():
        digest.update(bytes_of(block))
    return _inputs(request, base, rows.stored(), DEFAULT_K, digest.hexdigest(), notes + more)


def _parts(request: TruthRequest) -> Parts:
    return Parts(
        base=request.base,
        queries=request.queries,
        metric=request.metric,
        dimension=request.dimension,
        column=request.column,
        id_column=request.id_column,
    )


def _inputs(
    request: TruthRequest, base: Rows, queries: Any, default_k: int, base_sha256: str, notes: list[str]
) -> Inputs:
    n = len(base)
    rows = (request.first_row or 0, n if request.stop_row is None else request.stop_row)
    k = min(request.k or default_k, n)
    if request.k is not None and k < request.k:
        notes = [*notes, f"the base has {n} rows: k is {k}, not {request.k}"]
    digest = hashlib.sha256(f"{base_sha256} {request.metric} {k} {rows} {base.shape} {queries.shape}".encode())
    digest.update(bytes_of(queries))
    rows_filter = _filter(request)
    return Inputs(base, queries, rows, rows_filter, k, digest.hexdigest(), tuple(notes))


def _filter(request: TruthRequest) -> Any:
    path = request.rows_filter
    if path is None:
        return None
    if request.query_labels is not None:
        return Labels(_sets(path), _sets(request.query_labels))
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise DatasetError(
            f"is no readable .npy: {error}", where=str(path), remedy="write it with numpy.save"
        ) from error
    return np.asarray(found).reshape(-1) if found.ndim == 2 and 1 in found.shape else found


def _sets(path: Path) -> Any:
    file = open_vectors(path)
    if file.as_sets is None:
        raise DatasetError("holds no labels", where=str(path), remedy="give the labels as .csr or .spmat")
    return file.as_sets().whole()


@contextmanager
def _checkpoint(request: TruthRequest, fingerprint: str) -> Iterator[Path]:
    """Where the progress of this truth is kept; one process at a time computes it."""
    with refusals(request.partial, "give another --data-dir"):
        request.partial.mkdir(parents=True, exist_ok=True)
    path = request.partial / f"truth+{fingerprint[:32]}"
    lock = FileLock(request.partial / f".{path.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DatasetError(
            "this truth is being computed by another process", where=str(request.partial), remedy="wait for it"
        ) from None
    try:
        yield path
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _write(request: TruthRequest, inputs: Inputs, truth: GroundTruth) -> list[Path]:
    assert request.out is not None
    out = request.out
    paths = targets(out)
    with written_whole(out, _DISK) as temporary, refusals(out.parent, _DISK):
        if out.suffix.lower() in FORMATS:
            _write_hdf5(temporary, request, inputs, truth)
        elif out.suffix.lower() in IDS_AND_DISTANCES:
            write_truth(temporary, ArrayRows(truth.neighbors, str(out)), [(0, truth.distances)])
        else:
            vector_format(out).write(temporary, truth.neighbors.shape, truth.neighbors.dtype, [(0, truth.neighbors)])
            with written_whole(paths[1], _DISK) as beside:
                stored = truth.distances if out.suffix.lower() == ".npy" else truth.distances.astype(np.float32)
                vector_format(paths[1]).write(beside, stored.shape, stored.dtype, [(0, stored)])
    return list(paths)


def _write_hdf5(path: Path, request: TruthRequest, inputs: Inputs, truth: GroundTruth) -> None:
    facts: dict[str, Any] = {
        "type": "truth",
        "distance": WRITTEN[request.metric],
        "made_by": "annbench groundtruth",
        "base_file": request.base.name,
        "base_rows": len(inputs.base),
        "first_row": inputs.rows[0],
        "stop_row": inputs.rows[1],
        "queries": request.query_set if request.queries is None else request.queries.name,
    }
    facts |= {
        name: found.name
        for name, found in (("filter_file", request.rows_filter), ("query_labels_file", request.query_labels))
        if found is not None
    }
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        for name, value in facts.items():
            file.attrs[name] = value
        for name, array in vars(truth).items():
            file[name] = array


def _work(line: str, progress: Progress) -> dict[str, Any]:
    request = TruthRequest.model_validate_json(line)
    limit_memory(request.files, request.memory_bytes)
    return find(request, progress)


if __name__ == "__main__":
    serve(_work)
