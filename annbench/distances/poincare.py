"""Distance in the Poincaré ball (Nickel and Kiela, NeurIPS 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.distances.base import Distance, Floats, wide


class Poincare(Distance):
    """arcosh(1 + 2‖u − v‖² / ((1 − ‖u‖²)(1 − ‖v‖²))), for vectors of norm below 1.

    For a fixed query u it ranks as w·‖u − v‖² with w = 1/(1 − ‖v‖²), which is linear in the features (w·v, w·‖v‖², w)
    of v: any index for inner products over dim + 2 dimensions serves it.
    """

    metric = "poincare"
    served_by = "ip"
    stored = "arcosh(1 + 2‖u − v‖² / ((1 − ‖u‖²)(1 − ‖v‖²)))"

    def rowwise(self, queries: Any, vectors: Any) -> Floats:
        queries, vectors = wide(queries), wide(vectors)
        gap = ((queries - vectors) ** 2).sum(axis=-1)
        excess = 2 * gap / ((1 - (queries**2).sum(axis=-1)) * (1 - (vectors**2).sum(axis=-1)))
        # arcosh(1 + t) without the cancellation of 1 + t near 0.
        return np.asarray(np.log1p(excess + np.sqrt(excess * (excess + 2))))

    def undefined_queries(self, queries: Any) -> NDArray[np.bool_]:
        return np.asarray((wide(queries) ** 2).sum(axis=-1) >= 1)

    def undefined_vectors(self, vectors: Any) -> NDArray[np.bool_]:
        return self.undefined_queries(vectors)

    def reduced_dim(self, dim: int) -> int:
        return dim + 2

    def reduced_base(self, vectors: Any) -> Any:
        vectors = wide(vectors)
        squares = (vectors**2).sum(axis=-1, keepdims=True)
        weight = 1 / (1 - squares)
        return np.concatenate([vectors * weight, squares * weight, weight], axis=-1).astype(np.float32)

    def reduced_queries(self, queries: Any) -> Any:
        queries = wide(queries)
        squares = (queries**2).sum(axis=-1, keepdims=True)
        return np.concatenate([2 * queries, -np.ones_like(squares), -squares], axis=-1).astype(np.float32)
