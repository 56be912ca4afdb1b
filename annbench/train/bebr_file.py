"""The child of `train_bebr`: opens the dataset, trains, writes the file. `python -m annbench.train.bebr_file`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.dataset import Dataset
from annbench.datasets.serving import Progress, serve
from annbench.errors import UsageError
from annbench.indexes.transforms.binarizer import Binarizer, BinarizerMetric, unit_rows
from annbench.indexes.transforms.model_file import read_binarizer, write_binarizer
from annbench.train.bebr import TrainRequest
from annbench.train.held_out import HeldOut
from annbench.train.pairs import LEAST_PAIRS, Pairs, neighbours, queries_and_documents, two_views
from annbench.train.plan import MOST_STEPS, TrainingPlan
from annbench.train.seen import Seen
from annbench.train.start import best_start, compatible_start
from annbench.train.trainer import Trainer

Matrix = NDArray[np.float32]


def train(request: TrainRequest, progress: Progress) -> dict[str, Any]:
    """All of it; returns the fields of `bebr.Trained`."""
    progress("read", 0.0)
    with Dataset(Path(request.dataset.path)) as dataset:
        base, learn = dataset.base(), dataset.learn(request.query_set)
    metric: BinarizerMetric = "euclidean" if request.dataset.metric == "euclidean" else "cosine"
    seen = Seen.of(base, metric)
    vectors, queries = seen(base), None if learn is None else seen(learn)
    views = None if request.positives is None else seen(_base(Path(request.positives.path)))
    old = _old_binarizer(request)
    plan = request.plan if old is None else request.plan.model_copy(update={"steps": old.steps})
    old_levels = None if old is None else _old_levels(request, old)
    progress("pairs", 0.0)
    pairs, held_out = prepared(vectors, queries if views is None else None, metric, plan, views, old_levels)
    progress("start", 0.0)
    if old_levels is None:
        start = best_start(vectors, plan.bits, _steps(request), held_out.recall, seed=plan.seed)
        plan = plan.model_copy(update={"steps": start.steps})
    else:
        start = compatible_start(vectors, old_levels, plan.steps, seed=plan.seed)
    trainer = Trainer(plan, pairs, held_out, start)

    binarizer = trainer.run(request.checkpoint, lambda done: progress("train", done))
    state = trainer.state
    about = {"method": "bebr", "dataset": request.dataset.name, "pairs": pairs.digest, "plan": plan.model_dump(),
             "recall": state.best, "begun_at": state.recalls[0][2], "batches": state.batches,
             "seconds": state.seconds}  # fmt: skip
    alone, in_old = held_out.recalls(binarizer)
    if in_old is not None:
        about |= {
            "recall_alone": alone,
            "recall_in_old": in_old,
            "compatible_with": Path(str(request.compatible_with)).name,
        }
    write_binarizer(request.out, seen.by(binarizer), about)
    request.checkpoint.unlink(missing_ok=True)
    return {"out": str(request.out), "pairs": len(pairs), "learned_from": _learned_from(request, queries),
            "dim": start.dim, "steps": start.steps, "recall_alone": alone, "recall_in_old": in_old,
            "batches": state.batches, "seconds": state.seconds, "recall": state.best,
            "recalls": state.recalls}  # fmt: skip


def _learned_from(request: TrainRequest, queries: Matrix | None) -> str:
    if request.positives is not None:
        return f"vectors with those of {request.positives.name}"
    return "vectors with their neighbours" if queries is None else "training queries with their neighbours"


def _base(path: Path) -> NDArray[Any]:
    with Dataset(path) as dataset:
        base: NDArray[Any] = dataset.base()
    return base


def _steps(request: TrainRequest) -> list[int]:
    """Those to choose from."""
    if not request.choose_steps:
        return [request.plan.steps]
    return [steps for steps in range(MOST_STEPS + 1) if request.plan.bits % (steps + 1) == 0]


def _old_binarizer(request: TrainRequest) -> Binarizer | None:
    """Whose codes stay. Raises ModelFileError, UsageError."""
    if request.compatible_with is None:
        return None
    old, plan = read_binarizer(request.compatible_with).binarizer, request.plan
    bits = old.dim * (old.steps + 1)
    if bits != plan.bits or not (request.choose_steps or old.steps == plan.steps):
        raise UsageError(
            f"its codes have {bits} bits in {old.steps} steps",
            where=str(request.compatible_with),
            remedy=f"codes can be compared where they are alike: give --bits {bits} --steps {old.steps}",
        )
    return old


def _old_levels(request: TrainRequest, old: Binarizer) -> NDArray[np.int8]:
    """Codes of the old model's vectors of all base rows, by its binarizer. Raises UsageError."""
    assert request.old_dataset is not None  # check_request
    vectors = _base(Path(request.old_dataset.path)).astype(np.float32, copy=False)
    if vectors.shape[1] != old.dim_in:
        raise UsageError(
            f"was trained on vectors of {old.dim_in} dimensions, {request.old_dataset.name} has {vectors.shape[1]}",
            where=str(request.compatible_with),
            remedy="give the vectors of the model that it was trained on",
        )
    return old.levels(vectors if old.metric == "euclidean" else unit_rows(vectors))


def prepared(
    vectors: Matrix,
    queries: Matrix | None,
    metric: BinarizerMetric,
    plan: TrainingPlan,
    views: Matrix | None = None,
    old_levels: NDArray[np.int8] | None = None,
) -> tuple[Pairs, HeldOut]:
    """Pairs, and queries that are in none of them, with a corpus to find their neighbours in.

    Queries are held out of the training queries where there are such, else of the vectors. With `views` (n, dim_in),
    vector i and view i belong together, and the views are the corpus. `old_levels` (n, dim) are an older model's codes
    of all vectors.
    """
    random = np.random.default_rng((plan.seed, 1))
    asked = vectors if queries is None else queries
    count = min(plan.held_out, len(asked) // 10)
    if count < 1 or len(asked) - count < LEAST_PAIRS:
        raise UsageError(
            f"{len(asked):,} {'vectors' if queries is None else 'training queries'} are too few to learn from",
            remedy=f"give {LEAST_PAIRS * 10 // 9 + 1} or more",
        )
    order = random.permutation(len(asked))
    kept, rest = np.sort(order[:count]), np.sort(order[count:])
    learned = np.arange(len(vectors)) if queries is not None else rest
    corpus = learned[np.sort(random.choice(len(learned), min(plan.corpus, len(learned)), replace=False))]
    if views is not None:
        pairs = two_views(vectors[learned], views[learned])
    elif queries is None:
        near = plan.neighbours if plan.objective == "ranking" else max(plan.neighbours, plan.neighbourhood - 1)
        pairs = neighbours(vectors[learned], metric, near, threads=plan.threads, seed=plan.seed)
    else:
        pairs = queries_and_documents(
            queries[rest], vectors, metric, plan.neighbours, threads=plan.threads, seed=plan.seed
        )
    sought = vectors if views is None else views
    if old_levels is None:
        return pairs, HeldOut.of(asked[kept], sought[corpus], metric)
    held_out = HeldOut.of(asked[kept], sought[corpus], metric, old_levels[corpus])
    return replace(pairs, old_levels=old_levels[learned]), held_out


def _work(line: str, progress: Progress) -> dict[str, Any]:
    return train(TrainRequest.model_validate_json(line), progress)


if __name__ == "__main__":
    serve(_work)
