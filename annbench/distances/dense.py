"""Euclidean, cosine and inner product: the distances of embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.distances.base import STORED_TOLERANCE, TIE_TOLERANCE, Distance, Floats, wide

_TINY = np.finfo(np.float32).tiny


class Euclidean(Distance):
    """‖x − q‖."""

    metric = "euclidean"
    served_by = "euclidean"
    stored = "L2 distances, not squared"

    def rowwise(self, queries: Any, vectors: Any) -> Floats:
        difference = wide(vectors) - wide(queries)
        return np.asarray(np.sqrt(np.einsum("...d,...d->...", difference, difference)))

    def disagrees(self, stored: Floats, true: Floats, query: Any, vectors: Any) -> NDArray[np.bool_]:
        # Squares are compared: float32 truth by ‖x‖² + ‖q‖² − 2x·q is only that exact near zero.
        scale = _squares(wide(vectors)) + _squares(wide(query))
        slack = STORED_TOLERANCE * true**2 + 1e-5 * scale
        return np.asarray((np.abs(stored**2 - true**2) > slack) | (stored < -STORED_TOLERANCE))


class Cosine(Distance):
    """1 − q·x / (‖q‖‖x‖); a zero vector has distance 1 to everything."""

    metric = "cosine"
    served_by = "cosine"
    stored = "1 − cosine"

    def rowwise(self, queries: Any, vectors: Any) -> Floats:
        queries, vectors = wide(queries), wide(vectors)
        dot = np.einsum("...d,...d->...", *np.broadcast_arrays(queries, vectors))
        lengths = np.sqrt(_squares(queries)) * np.sqrt(_squares(vectors))
        return np.asarray(1 - np.divide(dot, lengths, out=np.zeros_like(dot), where=lengths > 0))

    def tie_slack(self, queries: Any, d_k: Floats, max_norm: float) -> Floats:
        return np.full_like(d_k, TIE_TOLERANCE)  # of unit vectors, whose scale is 1

    def disagrees(self, stored: Floats, true: Floats, query: Any, vectors: Any) -> NDArray[np.bool_]:
        return np.asarray(np.abs(stored - true) > STORED_TOLERANCE)


class InnerProduct(Distance):
    """−q·x."""

    metric = "ip"
    served_by = "ip"
    stored = "inner products, negated"

    def rowwise(self, queries: Any, vectors: Any) -> Floats:
        return np.asarray(-np.einsum("...d,...d->...", *np.broadcast_arrays(wide(queries), wide(vectors))))

    def tie_slack(self, queries: Any, d_k: Floats, max_norm: float) -> Floats:
        # The scale of its rounding: a factor on a negative −q·x would tighten instead of loosen.
        return np.asarray(TIE_TOLERANCE * np.sqrt(_squares(wide(queries))) * max_norm)

    def disagrees(self, stored: Floats, true: Floats, query: Any, vectors: Any) -> NDArray[np.bool_]:
        scale = np.sqrt(_squares(wide(query)) * _squares(wide(vectors)))
        return np.asarray(np.abs(stored - true) > STORED_TOLERANCE * np.maximum(scale, _TINY))


def _squares(vectors: Floats) -> Floats:
    return np.asarray(np.einsum("...d,...d->...", vectors, vectors))
