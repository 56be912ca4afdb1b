"""What the network learns by: InfoNCE in both directions between anchors and positives, with soft labels.

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

import torch
from torch import Tensor
from torch.nn.functional import normalize

NEVER = -1e9  # as a similarity: exp() of it is 0


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
