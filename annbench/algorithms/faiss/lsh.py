"""faiss IndexLSH: the signs of projections, compared exhaustively by Hamming distance (Charikar, STOC 2002).

The weakest code of this library, kept as the baseline that every newer binary code claims to beat.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from annbench.algorithms.base import Cost, Params, PointContext, Trial
from annbench.algorithms.faiss.common import WRAPPER, FaissFamily

DEFAULT_ROTATION_SEED = 5


class LshBuild(Params):
    """`IndexLSH(d, nbits, rotate_data, train_thresholds)`, with faiss' names and defaults.

    `rotate_data` projects on `nbits` random directions, without it the first `nbits` components are taken as they
    are; `train_thresholds` cuts each at its median instead of at 0; `seed` draws the directions.
    """

    nbits: int = Field(ge=1)
    rotate_data: bool = True
    train_thresholds: bool = False
    seed: int = Field(default=DEFAULT_ROTATION_SEED, ge=0)


class FaissLsh(FaissFamily):
    """faiss IndexLSH."""

    BuildParams = LshBuild
    metrics = frozenset({"euclidean", "cosine"})
    seed_parameter = "seed"
    known_limits = (
        WRAPPER,
        "a code of signs says little about distance: on wordnet-minilm-384-angular, 384 bits reach recall 0.61 where "
        "one-bit RaBitQ reaches 0.77, and 2,048 bits reach 0.81 where 1,536 bits of RaBitQ reach 0.96",
        "the rotation is made by a slow QR of nbits × nbits where nbits exceeds dim",
        "without train_thresholds the code knows directions only: under euclidean it ranks by angle",
        "inner product is left out: the library builds it for L2 only, and signs do not know lengths",
    )
    trials = (
        Trial({"nbits": 256}, recall=0.15),
        Trial({"nbits": 256, "train_thresholds": True}, recall=0.15),
    )

    @classmethod
    def check(cls, context: PointContext, build: LshBuild, search: Any) -> str | None:
        """Without a rotation there are only as many bits as dimensions."""
        if not build.rotate_data and build.nbits > context.dim:
            return f"nbits={build.nbits} exceeds dim={context.dim}, which needs rotate_data"
        return None

    @classmethod
    def estimate(cls, context: PointContext, build: LshBuild, search: Any) -> Cost:
        """Codes, and the projection; the Hamming distance of 64 bits counts as one multiply-add."""
        n, dim = context.n, context.dim
        projection = dim * build.nbits if build.rotate_data else 0
        return Cost(
            index_bytes=n * -(-build.nbits // 8) + 4.0 * (projection + build.nbits) + 100,
            build_operations=float(n) * max(projection, dim),
            search_operations=projection + n * build.nbits / 64,
        )

    @classmethod
    def exact_codes(cls, params: LshBuild) -> bool:
        """Never; and a trained threshold depends on the length of the vectors."""
        return False

    def create(self, dim: int, params: LshBuild, metric: int) -> Any:
        """Built directly: the factory string cannot carry the seed."""
        import faiss

        index = faiss.IndexLSH(dim, params.nbits, params.rotate_data, params.train_thresholds)
        if params.rotate_data:
            index.rrot.init(params.seed)
        return index
