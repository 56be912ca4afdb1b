"""The child of `train_bebr`: opens the dataset, trains, writes the file. `python -m annbench.train.bebr_file`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.dataset import Dataset
from annbench.datasets.serving import Progress, serve
from annbench.errors import UsageError
from annbench.indexes.transforms.binarizer import Binarizer, BinarizerMetric, unit_rows
from annbench.indexes.transforms.model_file import write_binarizer
from annbench.train.bebr import TrainRequest
from annbench.train.held_out import HeldOut
from annbench.train.pairs import LEAST_PAIRS, Pairs, neighbours, queries_and_documents
from annbench.train.plan import TrainingPlan
from annbench.train.start import linear_start
from annbench.train.trainer import Trainer

Matrix = NDArray[np.float32]


def train(request: TrainRequest, progress: Progress) -> dict[str, Any]:
    """All of it; returns the fields of `bebr.Trained`."""
    plan = request.plan
    progress("read", 0.0)
    with Dataset(Path(request.dataset.path)) as dataset:
        base, learn = dataset.base(), dataset.learn(request.query_set)
    metric: BinarizerMetric = "euclidean" if request.dataset.metric == "euclidean" else "cosine"
    seen = Seen.of(base, metric)
    vectors, queries = seen(base), None if learn is None else seen(learn)
    progress("pairs", 0.0)
    pairs, held_out = prepared(vectors, queries, metric, plan)
    start = linear_start(vectors, plan.dim, plan.steps, seed=plan.seed)
    trainer = Trainer(plan, pairs, held_out, start)

    binarizer = seen.by(trainer.run(request.checkpoint, lambda done: progress("train", done)))
    state = trainer.state
    about = {"method": "bebr", "dataset": request.dataset.name, "pairs": pairs.digest, "plan": plan.model_dump(),
             "recall": state.best, "begun_at": state.recalls[0][2], "batches": state.batches,
             "seconds": state.seconds}  # fmt: skip
    write_binarizer(request.out, binarizer, about)
    request.checkpoint.unlink(missing_ok=True)
    return {"out": str(request.out), "pairs": len(pairs), "learned_queries": queries is not None,
            "batches": state.batches, "seconds": state.seconds, "recall": state.best,
            "recalls": state.recalls}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What a binarizer sees of vectors: directions, or what is left after a mean in units of its usual length."""

    mean: Matrix | None
    scale: float = 1.0

    @classmethod
    def of(cls, base: NDArray[Any], metric: BinarizerMetric) -> Seen:
        """For vectors like `base` (n, dim)."""
        if metric == "cosine":
            return cls(None)
        mean = base.mean(axis=0, dtype=np.float64)
        squares = float(np.mean([np.square(rows - mean).sum(axis=1).mean() for rows in np.array_split(base, 64)]))
        return cls(mean.astype(np.float32), 1 / np.sqrt(squares) if squares > 0 else 1.0)

    def __call__(self, rows: NDArray[Any]) -> Matrix:
        """Of rows (n, dim)."""
        floats = rows.astype(np.float32, copy=False)
        return unit_rows(floats) if self.mean is None else (floats - self.mean) * np.float32(self.scale)

    def by(self, binarizer: Binarizer) -> Binarizer:
        """A binarizer that was trained on what is seen, for the vectors themselves."""
        return replace(binarizer, mean=self.mean, scale=self.scale)


def prepared(
    vectors: Matrix, queries: Matrix | None, metric: BinarizerMetric, plan: TrainingPlan
) -> tuple[Pairs, HeldOut]:
    """Pairs, and queries that are in none of them, with a corpus to find their neighbours in.

    Queries are held out of the training queries where there are such, else of the vectors.
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
    learned = vectors if queries is not None else vectors[rest]
    corpus = learned[np.sort(random.choice(len(learned), min(plan.corpus, len(learned)), replace=False))]
    if queries is None:
        pairs = neighbours(learned, metric, plan.neighbours, threads=plan.threads, seed=plan.seed)
    else:
        pairs = queries_and_documents(
            queries[rest], vectors, metric, plan.neighbours, threads=plan.threads, seed=plan.seed
        )
    return pairs, HeldOut.of(asked[kept], corpus, metric)


def _work(line: str, progress: Progress) -> dict[str, Any]:
    return train(TrainRequest.model_validate_json(line), progress)


if __name__ == "__main__":
    serve(_work)
