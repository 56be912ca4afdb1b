"""Product quantization: a few dimensions together are the nearest of 16 learned centroids, 4 bits."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
from pydantic import Field

from annbench.indexes.clusters import cluster
from annbench.indexes.codecs.base import Codec, Learned, Matrix

CENTROIDS = 16
TRAINING_ROWS = 65_536
OPQ_ITERATIONS = 20


class Product(Codec):
    """`groups` codes of 4 bits, each for its share of the dimensions (Jégou et al., TPAMI 2011), the first groups with
    one more where `groups` does not divide them. `opq` learns a rotation first (Ge et al., TPAMI 2014).

    `rescale` false leaves out the factor that undoes how much the code shrinks a vector; for comparison. `factors`
    false leaves out both floats of a vector, whose 8 bytes few bits put to better use as groups; for flat indexes under
    euclidean and cosine.
    """

    kind: Literal["product"] = "product"
    groups: int = Field(ge=1)
    opq: bool = False
    rescale: bool = True
    factors: bool = True

    def native(self) -> dict[str, Any]:
        return {"codec": self.kind, "bits": self.groups, "rescale": self.rescale, "factors": self.factors}

    def code_bytes(self, dim: int) -> float:
        return 2 * float(np.ceil(self.groups / 4)) + (8 if self.factors else 0)

    def problem(self, dim: int) -> tuple[str, str] | None:
        if self.groups > dim:
            return f"groups {self.groups} exceeds the {dim} dimensions that are coded", f"set groups <= {dim}"
        if self.opq and dim % self.groups:
            nearest = min((g for g in range(1, dim + 1) if dim % g == 0), key=lambda g: abs(g - self.groups))
            return (
                f"opq needs groups of equal width, and {self.groups} does not divide the {dim} dimensions",
                f"set groups {nearest}, or leave opq out",
            )
        return None

    @property
    def only_distances(self) -> bool:
        return not self.factors

    @property
    def training_rows(self) -> int:
        return TRAINING_ROWS

    def rotation(self, mapped: Matrix, *, seed: int) -> Matrix | None:
        """OPQ's, for the dimensions cut into `groups`."""
        if not self.opq:
            return None
        import faiss

        dim = mapped.shape[1]
        # faiss ends the process where vectors are fewer than dimensions.
        rows = np.resize(mapped, (max(len(mapped), dim, CENTROIDS), dim))
        quantizer = faiss.ProductQuantizer(dim, self.groups, 4)
        quantizer.cp.seed = seed % (1 << 31)
        quantizer.cp.min_points_per_centroid = 1
        transform = faiss.OPQMatrix(dim, self.groups)
        transform.niter = OPQ_ITERATIONS
        transform.pq = quantizer
        transform.train(np.ascontiguousarray(rows))
        return np.array(faiss.vector_to_array(transform.A), dtype=np.float32).reshape(dim, dim)

    def learn(self, mapped: Matrix, *, seed: int) -> Learned:
        """`tables` (16·dim,): group after group, its 16 centroids."""
        edges = group_edges(mapped.shape[1], self.groups)
        books = [
            cluster(np.ascontiguousarray(mapped[:, first:end]), CENTROIDS, seed=seed + group).ravel()
            for group, (first, end) in enumerate(pairwise(edges))
        ]
        return Learned(tables=np.concatenate(books))


def group_edges(dim: int, groups: int) -> list[int]:
    """Where groups begin, and where the last one ends: as even as can be, the first ones wider."""
    width, wider = divmod(dim, groups)
    return [group * width + min(group, wider) for group in range(groups + 1)]
