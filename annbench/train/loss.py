"""What the network learns by: InfoNCE in both directions between anchors and positives, with soft labels.

    −Σ_n p_n·log(exp(s_n/τ) / Σ_m exp(s_m/τ)),   p_n = exp(t_n/τ) / Σ_m exp(t_m/τ)

s are cosines of codes, t those of the float vectors that they stand for; n and m are the `hardest` of the batch and the
queue by either. Gan et al. take 1 for the positive and 0 for all others as p: that pulls together what belongs
together, and forgets who is nearer, which is all that a search is asked. What is the anchor itself does not count.

The queue holds codes of past positives, made by a copy of the network that follows it slowly: codes of the network
itself would be of another one by the time they are compared with.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

NEVER = -1e9  # as a similarity: exp() of it is 0


class Queue:
    """The last `capacity` codes (capacity, dim) of every step, with the vectors (capacity, dim_in) and their ids."""

    def __init__(self, capacity: int, dim_in: int, dim: int, steps: int) -> None:
        self.codes = torch.zeros(steps + 1, capacity, dim)
        self.vectors = torch.zeros(capacity, dim_in)
        self.ids = torch.full((capacity,), -1, dtype=torch.int64)
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
        places = (self.next + torch.arange(len(ids))) % capacity
        for step, made in enumerate(codes):
            self.codes[step, places] = made.detach()
        self.vectors[places] = vectors
        self.ids[places] = ids
        self.next = int((self.next + len(ids)) % capacity)


def info_nce(
    codes: Tensor, others: Tensor, similar: Tensor, barred: Tensor, temperature: float, hardest: int
) -> Tensor:
    """The mean loss of `codes` (n, dim) among those of `others` (m, dim), `similar` (n, m) being the cosines of the
    vectors, where pairs that are `barred` (n, m) are left out. Rows with fewer than two others left have no loss.
    """
    scores = normalize(codes, dim=1) @ normalize(others, dim=1).T
    with torch.no_grad():
        chosen = torch.zeros_like(barred)
        most = min(hardest, scores.shape[1])
        for by in (scores, similar):
            chosen.scatter_(1, by.masked_fill(barred, NEVER).topk(most, dim=1).indices, value=True)
        chosen &= ~barred
        labels = torch.softmax((similar / temperature).masked_fill(~chosen, NEVER), dim=1)
        rows = chosen.sum(1) >= 2
    logs = torch.log_softmax((scores / temperature).masked_fill(~chosen, NEVER), dim=1)
    losses = -(labels * logs.masked_fill(~chosen, 0)).sum(1)
    return losses[rows].sum() / max(int(rows.sum()), 1)
