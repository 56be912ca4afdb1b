"""A dataset in, a trained binarizer out.

`train_bebr` starts `python -m annbench.train.bebr_file`, which does the work: datasets are opened there only. A second
call after an interruption goes on where the last evaluation was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict

from annbench.datasets.child import run_child
from annbench.datasets.info import DEFAULT_QUERY_SET, DatasetInfo
from annbench.errors import DatasetError, MissingLibraryError, UnknownNameError, UsageError
from annbench.indexes.transforms.binarizer import BinarizerMetric
from annbench.train.plan import TrainingPlan

METRICS: tuple[BinarizerMetric, ...] = get_args(BinarizerMetric)


class TrainRequest(BaseModel):
    """What to learn from, and where to leave it. With a `query_set` that has queries to learn from, these are paired
    with their neighbours; else vectors with theirs. With `positives`, row i of both datasets is a pair. Where steps are
    to be chosen, the plan's do not count: they are the older model's, or what finds most before training.

    `compatible_with` is the binarizer of an older model whose codes stay, and `old_dataset` has that model's vectors of
    the same things: then new queries learn to find old codes too (Gan et al., KDD 2023).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: DatasetInfo
    query_set: str = DEFAULT_QUERY_SET
    plan: TrainingPlan
    choose_steps: bool = False
    out: Path
    checkpoint: Path
    force: bool = False
    positives: DatasetInfo | None = None
    compatible_with: Path | None = None
    old_dataset: DatasetInfo | None = None


@dataclass(frozen=True)
class Trained:
    """What came of it: codes of `dim` dimensions with `steps` + 1 bits in each. `recalls` are (batches, seconds,
    held-out recall@10), the first of where training began. In compatible training a recall is the mean of two:
    `recall_alone` among its own codes, `recall_in_old` among the old.
    """

    out: Path
    pairs: int
    learned_from: str
    dim: int
    steps: int
    recall_alone: float
    recall_in_old: float | None
    batches: int
    seconds: float
    recall: float
    recalls: tuple[tuple[int, float, float], ...]


def train_bebr(request: TrainRequest, on_progress: Callable[[str, float], None] | None = None) -> Trained:
    """Train, and write the file. `on_progress` is told what is done, and the fraction of it.

    Raises MissingLibraryError without torch, UsageError and DatasetError for what cannot be learned from, TrainingError
    for a run that fails, ModelFileError for files that do not fit.
    """
    check_request(request)

    def progress(fields: dict[str, Any]) -> None:
        if on_progress is not None:
            on_progress(str(fields["phase"]), float(fields["fraction"]))

    answer = run_child(
        "annbench.train.bebr_file",
        [],
        where=request.dataset.path,
        request=request.model_dump_json(),
        threads=request.plan.threads,
        on_progress=progress,
    )
    return Trained(**{**answer, "out": Path(answer["out"]), "recalls": tuple(map(tuple, answer["recalls"]))})


def check_request(request: TrainRequest) -> None:
    """Raise for what can be refused before a file is read."""
    if find_spec("torch") is None:
        raise MissingLibraryError("torch", "annbench[train]")
    dataset = request.dataset
    if dataset.metric not in METRICS or dataset.dtype in ("bits", "sets"):
        raise UsageError(
            f"{dataset.name} has {dataset.dtype} under {dataset.metric}, and binarizers are learned from vectors",
            remedy=f"give a dataset of one of {', '.join(METRICS)}",
        )
    if request.query_set not in dataset.query_sets:
        raise UnknownNameError(f"query set of {dataset.name}", request.query_set, dataset.query_sets)
    if (request.compatible_with is None) != (request.old_dataset is None):
        raise UsageError(
            "an old binarizer goes with the old model's vectors",
            where="train bebr",
            remedy="give both --compatible-with and --old-dataset, or neither",
        )
    for other in (request.positives, request.old_dataset):
        if other is not None and other.n != dataset.n:
            raise DatasetError(
                f"{other.name} has {other.n:,} base rows, {dataset.name} has {dataset.n:,}",
                where="train bebr",
                remedy="row i of both must be one thing: give as many",
            )
    if request.positives is not None and request.positives.dim != dataset.dim:
        raise DatasetError(
            f"{request.positives.name} has {request.positives.dim} dimensions, {dataset.name} has {dataset.dim}",
            where="train bebr",
            remedy="one network maps both: give vectors of one dimension",
        )
    if not request.out.parent.is_dir():
        raise DatasetError("no such folder", where=str(request.out.parent), remedy="create it first")
    if request.out.exists() and not request.force:
        raise DatasetError("exists already", where=str(request.out), remedy="choose another name, or give --force")
