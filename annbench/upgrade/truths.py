"""What is right: known items, and the exact neighbours by the newest model."""

from __future__ import annotations

import numpy as np

from annbench.datasets.ground_truth.exact import exact_neighbors
from annbench.metrics.compatibility import flips
from annbench.metrics.known_item import hits, ranks, reciprocal_ranks
from annbench.metrics.recall import Scorer, bootstrap_interval
from annbench.upgrade.gallery import Ids
from annbench.upgrade.model import FlipFigures, Quality
from annbench.upgrade.pairs import Matrix

K = 10
FLIPS_AT = (1, 10)


class Truths:
    """Judges ids (q, 10). `base` and `queries` are the newest model's; `relevant` (q,) the rows that queries were made
    from, if they were.

    What is near by one model judges that model alone: by its own neighbours any model is perfect. So the neighbours
    are the newest model's for all, and measure how far a system is from a full re-embedding, not how good it is. That
    is what known items are for, which no model has chosen.
    """

    def __init__(self, base: Matrix, queries: Matrix, relevant: Ids | None, *, threads: int, seed: int) -> None:
        self.relevant, self.seed = relevant, seed
        self.k = min(K, len(base))
        nearest = exact_neighbors(base, queries, self.k, "cosine", threads=threads).neighbors.astype(np.int64)
        self.scorer = Scorer(queries, nearest, self.k, "cosine", lambda ids: base[ids], len(base), seed=seed)

    @property
    def measure(self) -> str:
        """What models are compared by."""
        return "recall@10" if self.relevant is None else "hit@10"

    def quality(self, ids: Ids) -> Quality:
        """Of ids (q, k)."""
        recall = self.scorer.score(ids)
        fields: dict[str, float | None] = dict.fromkeys(
            ("hit_at_1", "hit_at_10", "hit_at_10_low", "hit_at_10_high", "mrr_at_10")
        )
        if self.relevant is not None:
            found = ranks(ids, self.relevant)
            right = hits(found, self.k).astype(np.float64)
            low, high = bootstrap_interval(right, self.seed)
            fields = {"hit_at_1": float(hits(found, 1).mean()), "hit_at_10": float(right.mean()),
                      "hit_at_10_low": low, "hit_at_10_high": high,
                      "mrr_at_10": float(reciprocal_ranks(found, self.k).mean())}  # fmt: skip
        return Quality(
            **fields,
            recall_at_10=recall.recall_at_k,
            recall_at_10_low=recall.recall_low,
            recall_at_10_high=recall.recall_high,
        )

    def flips(self, before: Ids, after: Ids) -> tuple[FlipFigures, ...]:
        """Between the ids of two systems, at k = 1 and 10; none where no item is known."""
        if self.relevant is None:
            return ()
        old, new = ranks(before, self.relevant), ranks(after, self.relevant)
        found = []
        for k in FLIPS_AT:
            counted = flips(hits(old, k), hits(new, k))
            found.append(
                FlipFigures(
                    k=k, negative=counted.negative, positive=counted.positive, negative_rate=counted.negative_rate
                )
            )
        return tuple(found)
