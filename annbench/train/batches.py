"""Which anchors come when: every epoch in an order of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from annbench.train.pairs import Pairs
from annbench.train.plan import TrainingPlan


class Batches:
    """Of `pairs`, as tensors on one device."""

    def __init__(self, plan: TrainingPlan, pairs: Pairs, device: torch.device) -> None:
        self.plan, self.pairs, self.device = plan, pairs, device
        self._shuffled: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))  # an epoch, and its order

    @property
    def an_epoch(self) -> int:
        """Batches."""
        return max(1, len(self.pairs) // self.plan.batch)

    def anchors(self, number: int, count: int) -> NDArray[np.int64]:
        """`count` anchors for batch `number` of the run, at most a batch."""
        epoch, place = divmod(number, self.an_epoch)
        if self._shuffled[0] != epoch:
            self._shuffled = epoch, np.random.default_rng((self.plan.seed, epoch)).permutation(len(self.pairs))
        return self._shuffled[1][place * count : (place + 1) * count]

    def tensor(self, rows: NDArray[Any]) -> Tensor:
        """On the device."""
        return torch.from_numpy(np.ascontiguousarray(rows)).to(self.device)
