"""Exact truth of a dataset or of files of vectors: computed, written, or compared with what a dataset has stored.

`find_truth` starts `python -m annbench.datasets.truth_file`, which does the work: files are opened there only. A second
call after an interruption goes on with what is computed already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from annbench.datasets.child import run_child
from annbench.datasets.formats import FORMATS, vector_format
from annbench.datasets.info import DEFAULT_QUERY_SET, DatasetInfo, Metric
from annbench.datasets.parts import DEFAULT_MEMORY_BYTES
from annbench.distances.registry import distance_of
from annbench.errors import DatasetError, UsageError

IDS_AND_DISTANCES = (".bin", ".ibin", ".gt")
IDS_ALONE = {".npy": ".distances.npy", ".ivecs": ".distances.fvecs"}  # and what is written beside them
DEFAULT_K = 100


class TruthRequest(BaseModel):
    """Whose nearest rows are to be found, among which, and what to do with them.

    `base` is a dataset (then `dataset` describes it, and the queries are its `query_set` unless `queries` is a file) or
    a file of vectors. Of its rows only `first_row` … `stop_row` − 1 count, and of these the ones that `rows_filter`
    admits: a .npy of booleans or of their packed bits, or the labels of the rows (.csr, .spmat), all of a query's
    `query_labels` among them. `k` is by default what the dataset stores, or 100. `partial` is the folder where progress
    is kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Path
    dataset: DatasetInfo | None = None
    queries: Path | None = None
    query_set: str = DEFAULT_QUERY_SET
    metric: Metric
    k: int | None = Field(default=None, ge=1)
    first_row: int | None = Field(default=None, ge=0)
    stop_row: int | None = Field(default=None, ge=0)
    rows_filter: Path | None = None
    query_labels: Path | None = None
    out: Path | None = None
    check: bool = False
    force: bool = False
    dimension: int | None = Field(default=None, ge=1)
    column: str | None = None
    id_column: str | None = None
    threads: int | None = Field(default=None, ge=1)
    memory_bytes: int = Field(default=DEFAULT_MEMORY_BYTES, ge=1)
    partial: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is read."""
        return tuple(p for p in (self.base, self.queries, self.rows_filter, self.query_labels) if p is not None)


@dataclass(frozen=True)
class Comparison:
    """What a stored truth has that is not so: neighbours that are farther than the k-th nearest, and distances that are
    not those of their ids; with the first of each in words.
    """

    neighbors: int
    wrong_neighbors: int
    wrong_distances: int
    examples: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong_neighbors and not self.wrong_distances


@dataclass(frozen=True)
class Found:
    """What was computed, written and compared."""

    metric: Metric
    n: int
    rows: int  # that count, for all queries; labels leave fewer
    queries: int
    k: int
    tied_queries: int
    short_queries: int  # with fewer than k rows that count
    notes: tuple[str, ...]
    written: tuple[Path, ...]
    comparison: Comparison | None


def find_truth(request: TruthRequest, on_progress: Callable[[str, float], None] | None = None) -> Found:
    """Compute the truth; `on_progress` is told the phase and the fraction done of it.

    Raises UsageError for what cannot be asked for, and DatasetError for data that cannot be used.
    """
    check_request(request)

    def progress(fields: dict[str, Any]) -> None:
        if on_progress is not None:
            on_progress(str(fields["phase"]), float(fields["fraction"]))

    answer = run_child(
        "annbench.datasets.truth_file",
        [],
        where=str(request.base),
        request=request.model_dump_json(),
        threads=request.threads,
        on_progress=progress,
    )
    compared = answer.pop("comparison")
    return Found(
        **{**answer, "notes": tuple(answer["notes"]), "written": tuple(map(Path, answer["written"]))},
        comparison=None if compared is None else Comparison(**{**compared, "examples": tuple(compared["examples"])}),
    )


def targets(out: Path) -> tuple[Path, ...]:
    """The files that are written for `out`: formats of ids alone get a second one with the distances."""
    beside = IDS_ALONE.get(out.suffix.lower())
    return (out,) if beside is None else (out, out.with_name(out.stem + beside))


def check_request(request: TruthRequest) -> None:
    """Raise for what can be refused before a file is read."""
    if request.out is None and not request.check:
        raise UsageError("nothing is to be done with the truth", remedy="give --out FILE, or --check")
    if request.check and _is_other_truth(request):
        raise UsageError(
            "--check compares the stored truth of a dataset, over its whole base",
            remedy="leave out the rest, or --check",
        )
    if request.dataset is not None:
        _check_dataset(request, request.dataset)
    else:
        vector_format(request.base)
        if request.queries is None:
            raise UsageError(f"{request.base.name} has no queries", remedy="give --queries FILE")
    if request.queries is not None:
        vector_format(request.queries)
    _check_filter(request)
    if request.out is not None:
        _check_out(request.out, request.force)


def _is_other_truth(request: TruthRequest) -> bool:
    parts = (request.queries, request.first_row, request.stop_row, request.rows_filter, request.k)
    dataset = request.dataset
    return dataset is None or any(part is not None for part in parts) or request.metric != dataset.metric


def _check_dataset(request: TruthRequest, dataset: DatasetInfo) -> None:
    from annbench.errors import UnknownNameError

    if request.queries is None and request.query_set not in dataset.query_sets:
        raise UnknownNameError(f"query set of {dataset.name}", request.query_set, dataset.query_sets)
    layouts = distance_of(request.metric).layout, distance_of(dataset.metric).layout
    if layouts[0] != layouts[1]:
        raise UsageError(
            f"{request.metric} compares {layouts[0]}, and {dataset.name} has {layouts[1]}",
            remedy=f"leave out --metric {request.metric}",
        )


def _check_filter(request: TruthRequest) -> None:
    labels = request.rows_filter is not None and request.rows_filter.suffix.lower() in (".csr", ".spmat")
    if request.rows_filter is not None and not labels and request.rows_filter.suffix.lower() != ".npy":
        raise UsageError(
            f"{request.rows_filter} is no filter", remedy="give booleans (.npy), or labels of the rows (.csr, .spmat)"
        )
    if labels and request.query_labels is None:
        raise UsageError("labels of the rows say nothing without those of the queries", remedy="give --query-labels")
    if request.query_labels is not None and not labels:
        raise UsageError("--query-labels needs the labels of the rows", remedy="give --filter FILE.csr")


def _check_out(out: Path, force: bool) -> None:
    known = (*FORMATS, *IDS_AND_DISTANCES, *IDS_ALONE)
    if out.suffix.lower() not in known:
        raise UsageError(f"{out.suffix or 'no ending'} is no format of truth", remedy=f"give one of {', '.join(known)}")
    if not out.parent.is_dir():
        raise DatasetError("no such folder", where=str(out.parent), remedy="create it first")
    for path in targets(out):
        if path.exists() and not force:
            raise DatasetError("exists already", where=str(path), remedy="choose another name, or give --force")
