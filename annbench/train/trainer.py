"""A training run: from pairs to a binarizer, resumable at every evaluation."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from annbench.errors import TrainingError, UsageError
from annbench.indexes.transforms.binarizer import Binarizer
from annbench.train.batches import Batches
from annbench.train.checkpoints import load_checkpoint, save_checkpoint
from annbench.train.held_out import HeldOut
from annbench.train.info_nce import InfoNce
from annbench.train.network import Network, Shape
from annbench.train.pairs import Pairs
from annbench.train.plan import TrainingPlan
from annbench.train.ranking import Ranking
from annbench.train.start import steps_of

Progress = Callable[[float], None]
MOMENTS_ROWS = 2048


@dataclass
class State:
    """How far a run is. `recalls` are (batches, seconds, recall@10 of the held-out queries), one an evaluation."""

    batches: int = 0
    seconds: float = 0.0
    recalls: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The highest recall so far."""
        return max(recall for _, _, recall in self.recalls)

    def stalled(self, patience: int) -> bool:
        """Whether the last `patience` evaluations have not risen above those before."""
        recalls = [recall for _, _, recall in self.recalls]
        return len(recalls) > patience and max(recalls[-patience:]) <= max(recalls[:-patience])


class Trainer:
    """Of one plan over `pairs`; begins at `start`, whose codes the network computes at first.

    What is evaluated and kept is the copy that follows the network: an average over its last batches, which finds more
    than the network at any of them.
    """

    def __init__(self, plan: TrainingPlan, pairs: Pairs, held_out: HeldOut, start: Binarizer) -> None:
        self.device = checked_device(plan.device)
        torch.manual_seed(plan.seed)
        torch.set_num_threads(plan.threads)
        self.plan, self.pairs, self.held_out = plan, pairs, held_out
        self.batches = Batches(plan, pairs, self.device)
        shape = Shape(start.dim_in, start.dim, start.steps, plan.hidden, plan.blocks)
        self.network = Network(shape)
        self.network.begin_at(start)
        self.network.to(self.device)
        # As tensors (m, dim) after every step; the lengths do not matter to cosines.
        self.old_codes = (
            []
            if pairs.old_levels is None
            else [self.batches.tensor(levels.astype(np.float32)) for levels in steps_of(pairs.old_levels, start.steps)]
        )
        objective = Ranking if plan.objective == "ranking" else InfoNce
        self.objective = objective(plan, self.batches, self.old_codes)
        self.objective.begin(self.network, self._some())
        self.follower = copy.deepcopy(self.network).requires_grad_(False).train(False)
        self.best = copy.deepcopy(self.network.state_dict())
        rest = [value for name, value in self.network.named_parameters() if name != "sharpness"]
        self.optimizer = torch.optim.AdamW(
            [{"params": rest}, {"params": [self.network.sharpness], "weight_decay": 0.0}],
            lr=plan.learning_rate, weight_decay=plan.weight_decay,
        )  # fmt: skip
        self.state = State()

    @property
    def most_batches(self) -> int:
        """Of the whole run."""
        return self.plan.epochs * self.batches.an_epoch

    def run(self, checkpoint: Path | None, progress: Progress) -> Binarizer:
        """Train, from the checkpoint if there is one; returns the best of what was evaluated.

        Raises TrainingError where the loss is no number any more; the checkpoint is then the last sound one.
        """
        if checkpoint is not None and checkpoint.exists():
            load_checkpoint(checkpoint, self)
        if not self.state.recalls:
            self._evaluate(checkpoint)
        while self.done < 1 and not self.state.stalled(self.plan.patience):
            begin = time.monotonic()
            loss = self._step()
            self.state.batches += 1
            self.state.seconds += time.monotonic() - begin
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} after {self.state.batches:,} batches",
                    remedy="give a smaller learning rate; what was saved before is sound",
                )
            if self.state.batches % self.plan.evaluate_every == 0:
                self._evaluate(checkpoint)
            progress(self.done)
        if self.state.recalls[-1][0] != self.state.batches:
            self._evaluate(checkpoint)
        self.follower.load_state_dict(self.best)
        return self._folded()

    @property
    def done(self) -> float:
        """The share of the batches, or of the minutes, whatever ends first."""
        share = self.state.batches / self.most_batches
        if self.plan.minutes is not None:
            share = max(share, self.state.seconds / (60 * self.plan.minutes))
        return min(share, 1.0)

    def _some(self) -> Tensor:
        """Anchors (n, dim_in) that stand for all."""
        rows = np.random.default_rng((self.plan.seed, 2)).permutation(len(self.pairs))[:MOMENTS_ROWS]
        return self.batches.tensor(self.pairs.anchors[rows])

    def _step(self) -> float:
        self._set_learning_rate()
        self.network.learning()
        loss = self.objective.loss(self.network, self.follower, self.state.batches)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.clip)
        self.optimizer.step()
        with torch.no_grad():
            for mine, theirs in zip(self.follower.parameters(), self.network.parameters(), strict=True):
                mine.lerp_(theirs, following(self.plan.momentum, self.state.batches))
        return float(loss.item())

    def _set_learning_rate(self) -> None:
        """Falls to nothing by half a cosine."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * 0.5 * (1 + math.cos(math.pi * self.done))

    def _evaluate(self, checkpoint: Path | None) -> None:
        begin = time.monotonic()
        for network in (self.network, self.follower):
            network.set_moments(self._some())
        recall = self.held_out.recall(self._folded())
        if not self.state.recalls or recall > self.state.best:
            self.best = copy.deepcopy(self.follower.state_dict())
        self.state.seconds += time.monotonic() - begin
        self.state.recalls.append((self.state.batches, self.state.seconds, recall))
        if checkpoint is not None:
            save_checkpoint(checkpoint, self)

    def _folded(self) -> Binarizer:
        folded: Binarizer = self.follower.train(False).folded()
        return folded


def following(momentum: float, batches: int) -> float:
    """The weight of the network in the average that follows it, after so many batches: at first of all that there was,
    the later the more.
    """
    return max(1 - momentum, 2 / (batches + 3))


def checked_device(name: str) -> torch.device:
    """The device of this name. Raises UsageError where torch sees none."""
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"torch sees {torch.cuda.device_count()} CUDA devices",
            where=f"device {name}",
            remedy="leave it out to train on the processor, or install a torch that has CUDA",
        )
    return device
