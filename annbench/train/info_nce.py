"""InfoNCE in both directions between anchors and positives, with soft labels.

    −Σ_n p_n·log(exp(s_n/τ) / Σ_m exp(s_m/τ)),   p_n = exp(t_n/τ) / Σ_m exp(t_m/τ)

s are cosines of codes, t those of the float vectors that they stand for (`similarity`); n and m are the `hardest` of
the batch and the queue by either. Gan et al. take 1 for the positive and 0 for all others as p: that pulls together
what belongs together, and forgets who is nearer, which is all that a search is asked. What is the anchor itself does
not count.

The queue holds codes of past positives, made by a copy of the network that follows it slowly: codes of the network
itself would be of another one by the time they are compared with.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from annbench.train.batches import Batches
from annbench.train.network import Network
from annbench.train.plan import TrainingPlan

NEVER = -1e9  # as a similarity: exp() of it is 0
TEMPERATURE = 0.05


class Queue:
    """The last `capacity` codes (capacity, dim) of every step, with the vectors (capacity, dim_in) and their ids."""

    def __init__(self, capacity: int, dim_in: int, dim: int, steps: int, device: torch.device | None = None) -> None:
        self.codes = torch.zeros(steps + 1, capacity, dim, device=device)
        self.vectors = torch.zeros(capacity, dim_in, device=device)
        self.ids = torch.full((capacity,), -1, dtype=torch.int64, device=device)
        self.next = 0

    @property
    def filled(self) -> Tensor:
        """Which of the places are taken."""
        return self.ids >= 0

    def push(self, codes: list[Tensor], vectors: Tensor, ids: Tensor) -> None:
        """In the place of the oldest."""
        capacity = len(self.ids)
        if not capacity:
            return
        places = (self.next + torch.arange(len(ids), device=ids.device)) % capacity
        for step, made in enumerate(codes):
            self.codes[step, places] = made.detach()
        self.vectors[places] = vectors
        self.ids[places] = ids
        self.next = int((self.next + len(ids)) % capacity)


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """−‖a − b‖²/2 of rows (n, dim) and (m, dim): their cosines, but for a constant, where they have length 1."""
    return a @ b.T - a.square().sum(1)[:, None] / 2 - b.square().sum(1)[None, :] / 2


def sharpness_of(codes: Tensor, vectors: Tensor) -> float:
    """The logarithm of what cosines between `codes` (n, dim) are to be multiplied by to vary with the similarities of
    their `vectors` (n, dim_in) one to one, by least squares.
    """
    normal = normalize(codes, dim=1)
    scores, similar = (values - values.mean() for values in (normal @ normal.T, similarity(vectors, vectors)))
    slope = float((scores * similar).sum() / similar.square().sum().clamp_min(1e-12))
    return -math.log(slope) if slope > 0 else 0.0


def info_nce(
    codes: Tensor,
    others: Tensor,
    similar: Tensor,
    barred: Tensor,
    temperature: float,
    hardest: int,
    sharpness: Tensor | float = 0.0,
) -> Tensor:
    """The mean loss of `codes` (n, dim) among those of `others` (m, dim), `similar` (n, m) being how near the vectors
    are, where pairs that are `barred` (n, m) are left out; cosines are multiplied by exp(`sharpness`). Rows with fewer
    than two others left have no loss.
    """
    scores = normalize(codes, dim=1) @ normalize(others, dim=1).T * torch.as_tensor(sharpness).exp()
    with torch.no_grad():
        most = min(hardest, scores.shape[1])
        by_either = [by.masked_fill(barred, NEVER).topk(most, dim=1).indices for by in (scores, similar)]
        chosen = torch.cat(by_either, dim=1).sort(dim=1).values
        left_out = barred.gather(1, chosen)
        left_out[:, 1:] |= chosen[:, 1:] == chosen[:, :-1]  # hard by both
        labels = torch.softmax((similar.gather(1, chosen) / temperature).masked_fill(left_out, NEVER), dim=1)
        rows = (~left_out).sum(1) >= 2
    logs = torch.log_softmax((scores.gather(1, chosen) / temperature).masked_fill(left_out, NEVER), dim=1)
    losses = -(labels * logs.masked_fill(left_out, 0)).sum(1)
    return losses[rows].sum() / max(int(rows.sum()), 1)


class InfoNce:
    """The loss of a batch of anchors, each with one of what belongs to it. Of neighbours a batch is made of
    neighbourhoods: some anchors with the nearest of each.
    """

    def __init__(self, plan: TrainingPlan, batches: Batches, old_codes: list[Tensor]) -> None:
        self.plan, self.batches, self.old_codes = plan, batches, old_codes
        pairs, device = batches.pairs, batches.device
        self.queue = Queue(plan.queue_batches * plan.batch, pairs.anchors.shape[1], plan.dim, plan.steps, device)

    def begin(self, network: Network, vectors: Tensor) -> None:
        """Sharpen `network` by `vectors` (n, dim_in) that stand for all: or it makes codes more alike first."""
        network.set_moments(vectors)
        with torch.no_grad():
            for step, codes in enumerate(network.train(False)(vectors)):
                network.sharpness[step] = sharpness_of(codes, vectors)

    def loss(self, network: Network, follower: Network, number: int) -> Tensor:
        """Of batch `number`."""
        anchors, positives, own, ids = self._batch(number)
        codes = [made.split(len(anchors)) for made in network(torch.cat([anchors, positives]))]
        filled = self.queue.filled
        others = torch.cat([positives, self.queue.vectors[filled]])
        other_ids = torch.cat([ids, self.queue.ids[filled]])
        onward = similarity(anchors, others)
        back = onward[:, : len(anchors)].T
        barred = own[:, None] == other_ids[None, :]
        loss = torch.zeros((), device=anchors.device)
        how = self.plan.temperature or TEMPERATURE, self.plan.hardest
        for step, (a, p) in enumerate(codes):
            sharpness = network.sharpness[step]
            among = torch.cat([p, self.queue.codes[step, filled]])
            loss = loss + info_nce(a, among, onward, barred, *how, sharpness) / 2
            loss = loss + info_nce(p, a, back, barred[:, : len(a)].T, *how, sharpness) / 2
            if self.old_codes:  # new queries among old codes, which nothing changes any more
                old = self.old_codes[step][other_ids]
                loss = loss + info_nce(a, old, onward, barred, *how, sharpness)
        if len(self.queue.ids):
            with torch.no_grad():
                self.queue.push(follower(positives), positives, ids)
        return loss / len(codes)

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs."""
        queue = self.queue
        return {"codes": queue.codes, "vectors": queue.vectors, "ids": queue.ids, "next": torch.tensor(queue.next)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """From state()."""
        for part in ("codes", "vectors", "ids"):
            setattr(self.queue, part, state[part].to(self.batches.device))
        self.queue.next = int(state["next"])

    def _batch(self, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Anchors, positives, and the ids of both; −1 for anchors that are no positives."""
        pairs, plan = self.batches.pairs, self.plan
        rows = self._rows(number)
        near = pairs.near[rows][:, : plan.neighbours]
        random = np.random.default_rng((plan.seed, number))
        ids = near[np.arange(len(rows)), random.integers(near.shape[1], size=len(rows))]
        tensor = self.batches.tensor
        return tensor(pairs.anchors[rows]), tensor(pairs.positives[ids]), tensor(pairs.own[rows]), tensor(ids)

    def _rows(self, number: int) -> NDArray[np.int64]:
        plan, pairs = self.plan, self.batches.pairs
        if not pairs.of_themselves or plan.neighbourhood == 1:
            return self.batches.anchors(number, plan.batch)
        members = min(plan.neighbourhood, pairs.near.shape[1] + 1)
        middles = self.batches.anchors(number, max(1, plan.batch // members))
        return np.unique(np.concatenate([middles, pairs.near[middles, : members - 1].ravel()]))
