"""Signal-to-noise-ratio distance (Yuan et al., CVPR 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.distances.base import Distance, Floats, wide


class Snr(Distance):
    """var(q − x) / var(q), where the query q is the anchor; var is over the dimensions.

    For a fixed query it ranks as L2 between vectors whose own mean was subtracted, so that any index for L2 serves it.
    A constant query has no signal, and no distance to anything.
    """

    metric = "snr"
    served_by = "euclidean"
    stored = "var(q − x) / var(q)"

    def rowwise(self, queries: Any, vectors: Any) -> Floats:
        queries = wide(queries)
        return np.asarray((queries - wide(vectors)).var(axis=-1) / queries.var(axis=-1))

    def undefined_queries(self, queries: Any) -> NDArray[np.bool_]:
        return np.asarray(wide(queries).var(axis=-1) == 0)

    def reduced_base(self, vectors: Any) -> Any:
        return _centred(vectors)

    def reduced_queries(self, queries: Any) -> Any:
        return _centred(queries)


def _centred(vectors: NDArray[Any]) -> NDArray[np.float32]:
    centred = np.subtract(vectors, vectors.mean(axis=-1, dtype=np.float64, keepdims=True))
    return np.asarray(centred, dtype=np.float32)
