"""Ranking: codes of what belongs to an anchor are to be nearer to its code than those that are in their place.

    mean over p and n of log(1 + exp((s_n − s_p)/τ))

s are cosines of codes, p runs over what belongs to the anchor and n over its hard negatives: of all that do not belong
to it those whose codes are nearest. That is what recall@k counts. InfoNCE over whatever shares a batch raises recall
among the best hundred and lowers that of the ten best: among what is far there is much to gain that no search asks for.

Negatives are found by a scan of codes that the network's follower makes, anew every `mine_every` batches.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from annbench.train.batches import Batches
from annbench.train.network import Network
from annbench.train.plan import TrainingPlan

CODED_AT_ONCE = 8192
SOUGHT_AT_ONCE = 512
NOTHING = -1
NOISE = 0.6  # τ·√dim: cosines of ±1 codes deviate by about 1/√dim


def ranking_loss(scores: Tensor, belong: int, temperature: float, counted: Tensor) -> Tensor:
    """The loss of `scores` (n, belong + m): those of what belongs to an anchor, then those of its negatives, of which
    only those `counted` (n, m) count. 0 where none does.
    """
    above = (scores[:, None, belong:] - scores[:, :belong, None]) / temperature
    losses = softplus(above).mean(1) * counted
    return losses.sum() / counted.sum().clamp_min(1)


class Ranking:
    """The loss of a batch of anchors. Hard negatives of several batches are found at once."""

    def __init__(self, plan: TrainingPlan, batches: Batches, old_codes: list[Tensor]) -> None:
        self.plan, self.batches = plan, batches
        self.old_codes = [normalize(codes, dim=1) for codes in old_codes]
        self._mined_at = NOTHING
        self.negatives: list[Tensor] = []  # (anchors, negatives) by own codes, and by the old ones

    def begin(self, network: Network, vectors: Tensor) -> None:
        """Nothing: what counts is the order of codes."""

    def loss(self, network: Network, follower: Network, number: int) -> Tensor:
        """Of batch `number`."""
        plan, pairs, tensor = self.plan, self.batches.pairs, self.batches.tensor
        into = number % plan.mine_every
        if self._mined_at != number - into:
            self._mine(follower, number - into)
        rows = self.batches.anchors(number, plan.batch)
        near = tensor(pairs.near[rows][:, : plan.neighbours])
        some = slice(into * plan.batch, into * plan.batch + len(rows))
        among = [torch.cat([near, negatives[some]], dim=1) for negatives in self.negatives]
        ids, places = torch.unique(among[0].clamp_min(0), return_inverse=True)
        made = network(torch.cat([tensor(pairs.anchors[rows]), tensor(pairs.positives[ids.cpu().numpy()])]))
        loss = torch.zeros((), device=self.batches.device)
        for step, codes in enumerate(made):
            asked, found = normalize(codes, dim=1).split([len(rows), len(ids)])
            loss = loss + self._of(asked, found, places, among[0], near.shape[1])
            if self.old_codes:  # new queries among old codes, which nothing changes any more
                loss = loss + self._of(asked, self.old_codes[step], among[1].clamp_min(0), among[1], near.shape[1])
        return loss / len(made)

    def state(self) -> dict[str, Tensor]:
        """Nothing: runs are resumed where negatives are looked for anew."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """From state()."""

    def _of(self, asked: Tensor, codes: Tensor, places: Tensor, ids: Tensor, belong: int) -> Tensor:
        scores = torch.einsum("nd,nmd->nm", asked, codes[places])
        temperature = self.plan.temperature or NOISE / math.sqrt(codes.shape[1])
        return ranking_loss(scores, belong, temperature, ids[:, belong:] != NOTHING)

    def _mine(self, follower: Network, first: int) -> None:
        """Negatives of the anchors of batches `first` … `first` + mine_every − 1."""
        plan, pairs, tensor = self.plan, self.batches.pairs, self.batches.tensor
        numbers = range(first, first + plan.mine_every)
        rows = np.concatenate([self.batches.anchors(number, plan.batch) for number in numbers])
        random = np.random.default_rng((plan.seed, 4, first))
        corpus = random.permutation(len(pairs.positives))[: plan.corpus]
        belong = np.concatenate([pairs.near[rows][:, : plan.neighbours], pairs.own[rows][:, None]], axis=1)
        with torch.no_grad():
            asked = _coded(follower, tensor(pairs.anchors[rows]))
            own = _coded(follower, tensor(pairs.positives[corpus]))
            galleries = [own, *(codes[tensor(corpus)] for codes in self.old_codes[-1:])]
            self.negatives = [
                nearest_others(asked, gallery, tensor(corpus), tensor(belong), plan.negatives) for gallery in galleries
            ]
        self._mined_at = first


def nearest_others(asked: Tensor, gallery: Tensor, ids: Tensor, belong: Tensor, count: int) -> Tensor:
    """(n, count) ids of the `gallery` (m, dim) of codes of things `ids` (m,) that are nearest to `asked` (n, dim), but
    for those that `belong` (n, b) to them; −1 where that leaves fewer.
    """
    found = []
    most = min(count + belong.shape[1], len(gallery))
    for some, theirs in zip(asked.split(SOUGHT_AT_ONCE), belong.split(SOUGHT_AT_ONCE), strict=True):
        near = ids[(some @ gallery.T).topk(most, dim=1).indices]
        barred = (near[:, :, None] == theirs[:, None, :]).any(2)
        order = barred.to(torch.int8).argsort(dim=1, stable=True)[:, :count]
        found.append(near.masked_fill(barred, NOTHING).gather(1, order))
    return torch.cat(found)


def _coded(network: Network, vectors: Tensor) -> Tensor:
    return torch.cat([normalize(network(some)[-1], dim=1) for some in vectors.split(CODED_AT_ONCE)])
