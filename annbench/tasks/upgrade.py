"""A model is replaced by a newer one: its queries come at once, the old one's vectors and codes stay for a while.

Unlike other tasks this is about models and not about one index, so that no adapter is driven: what is searched are
annbench's own indexes. `measure_upgrade` starts `python -m annbench.tasks.upgrade_files`, where datasets are opened.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from annbench.datasets.child import run_child
from annbench.datasets.info import DEFAULT_QUERY_SET, DatasetInfo
from annbench.errors import DatasetError, UnknownNameError, UsageError
from annbench.upgrade.gallery import slots_of
from annbench.upgrade.model import UpgradeReport

SHARES = tuple(share / 10 for share in range(11))
DEFAULT_CODES = ("float32", "uniform-4")


class UpgradeRequest(BaseModel):
    """What is to be measured: `models`, oldest first, the last one being the new one. `count` is how many of the
    queries (None: all); `old_binarizer` and `new_binarizer` are model files of BEBR for the last two models.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[DatasetInfo, ...]
    query_set: str = DEFAULT_QUERY_SET
    count: int | None = Field(default=None, ge=1)
    codes: tuple[str, ...] = DEFAULT_CODES
    fit_on: Literal["learn", "base", "both"] = "both"
    most_pairs: int = Field(default=20_000, ge=1)
    extra: int = Field(default=128, ge=0)
    anchors: int = Field(default=512, ge=2)
    old_binarizer: Path | None = None
    new_binarizer: Path | None = None
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _both(self) -> UpgradeRequest:
        if (self.old_binarizer is None) != (self.new_binarizer is None):
            raise ValueError("a binarizer of one model says nothing of an upgrade; give those of both")
        return self


def measure_upgrade(request: UpgradeRequest, on_progress: Callable[[str, float], None] | None = None) -> UpgradeReport:
    """Everything that is found. `on_progress` is told what is done, and the fraction of it.

    Raises UsageError and DatasetError for models that do not fit each other or are too few, UnknownNameError for codes
    and query sets, ModelFileError for binarizers, TrainingError for a map that cannot be trained.
    """
    check_request(request)

    def progress(fields: dict[str, Any]) -> None:
        if on_progress is not None:
            on_progress(str(fields["phase"]), float(fields["fraction"]))

    answer = run_child(
        "annbench.tasks.upgrade_files",
        [],
        where=", ".join(model.name for model in request.models),
        request=request.model_dump_json(),
        threads=request.threads,
        on_progress=progress,
    )
    return UpgradeReport.model_validate(answer)


def check_request(request: UpgradeRequest) -> None:
    """Raise for what can be refused before a file is read."""
    names = [model.name for model in request.models]
    if len(set(names)) < len(names):
        raise UsageError(f"{', '.join(names)}: one name twice", where="upgrade", remedy="give files of other names")
    for codes in request.codes:
        slots_of(codes)
    for model in request.models:
        if model.metric != "cosine" or model.dtype in ("bits", "sets"):
            raise UsageError(
                f"{model.name} has {model.dtype} under {model.metric}",
                where="upgrade",
                remedy="give datasets under cosine distance",
            )
        if request.query_set not in model.query_sets:
            raise UnknownNameError(f"query set of {model.name}", request.query_set, model.query_sets)
        if model.n != request.models[0].n:
            raise DatasetError(
                f"{names[0]} has {request.models[0].n:,} base rows, {model.name} has {model.n:,}",
                where="upgrade",
                remedy="embed the same things with both models, in the same order",
            )
