"""The child of `measure_upgrade`: opens the datasets and measures. `python -m annbench.tasks.upgrade_files`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from annbench.datasets.dataset import Dataset
from annbench.datasets.info import DatasetInfo
from annbench.datasets.serving import Progress, serve
from annbench.errors import UsageError
from annbench.indexes.training import limited_threads
from annbench.indexes.transforms.binarizer import Binarizer, unit_rows
from annbench.indexes.transforms.model_file import read_binarizer
from annbench.tasks.upgrade import SHARES, UpgradeRequest
from annbench.upgrade.generation import Generation
from annbench.upgrade.measuring import Asked, Measuring
from annbench.upgrade.model import ModelFacts, UpgradeReport
from annbench.upgrade.pairs import Matrix
from annbench.upgrade.ways import Sizes


def measure(request: UpgradeRequest, progress: Progress) -> UpgradeReport:
    """All of it."""
    models = []
    for number, info in enumerate(request.models):
        progress("read", number / len(request.models))
        models.append(_generation(info, request))
    asked = Asked(
        codes=request.codes,
        fit_on=request.fit_on,
        most_pairs=request.most_pairs,
        shares=SHARES,
        sizes=Sizes(extra=request.extra, anchors=request.anchors, seed=request.seed),
        threads=request.threads,
        binarizers=_binarizers(request),
    )
    progress("truth", 0.0)
    with limited_threads(1):  # of numpy: what is fitted is small, and more would wait for each other
        measuring = Measuring(models, asked, lambda done: progress("measure", done))
        upgrades, compatibility = measuring.run()
    return UpgradeReport(
        models=tuple(_facts(info) for info in request.models),
        items=len(models[-1].base),
        queries=len(models[-1].queries),
        query_set=request.query_set,
        measure=measuring.truths.measure,
        pairs=measuring.pairs,
        pairs_of=request.fit_on,
        seed=request.seed,
        upgrades=upgrades,
        compatibility=compatibility,
    )


def _generation(info: DatasetInfo, request: UpgradeRequest) -> Generation:
    with Dataset(Path(info.path)) as dataset:
        relevant = dataset.relevant(request.query_set)
        learn = dataset.learn(request.query_set)
        some = slice(request.count)
        return Generation(
            name=info.name,
            base=_unit(dataset.base()),
            queries=_unit(dataset.queries(request.query_set)[some]),
            learn=None if learn is None else _unit(learn),
            relevant=None if relevant is None else relevant[some],
        )


def _unit(rows: Any) -> Matrix:
    return unit_rows(np.asarray(rows).astype(np.float32, copy=False))


def _facts(info: DatasetInfo) -> ModelFacts:
    return ModelFacts(name=info.name, dim=info.dim, sha256=info.sha256, about=str(info.provenance.get("model", "")))


def _binarizers(request: UpgradeRequest) -> tuple[Binarizer, Binarizer] | None:
    """Raises ModelFileError, and UsageError where codes cannot be compared or are of other vectors."""
    if request.old_binarizer is None or request.new_binarizer is None:
        return None
    paths = request.old_binarizer, request.new_binarizer
    old, new = (read_binarizer(path).binarizer for path in paths)
    if (old.dim, old.steps) != (new.dim, new.steps):
        raise UsageError(
            f"codes of {old.dim} dimensions and {old.steps} steps, and of {new.dim} and {new.steps}",
            where=str(paths[1]),
            remedy="train it with --compatible-with the old one, which gives it the same",
        )
    for path, binarizer, info in zip(paths, (old, new), request.models[-2:], strict=True):
        if binarizer.dim_in != info.dim:
            raise UsageError(
                f"was trained on vectors of {binarizer.dim_in} dimensions, {info.name} has {info.dim}",
                where=str(path),
                remedy="give one that was trained on vectors of that model",
            )
    return old, new


def _work(line: str, progress: Progress) -> dict[str, Any]:
    return measure(UpgradeRequest.model_validate_json(line), progress).model_dump(mode="json")


if __name__ == "__main__":
    serve(_work)
