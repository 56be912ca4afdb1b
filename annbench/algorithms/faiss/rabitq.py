"""faiss IVF with RaBitQ codes (Gao and Long, SIGMOD 2024; several bits: Gao et al., SIGMOD 2025).

RaBitQ's error bound holds for randomly rotated vectors, and faiss does not rotate by itself: a random
rotation is put in front of the index.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from annbench.algorithms.base import Cost, Params, PointContext, Trial
from annbench.algorithms.faiss.common import (
    DEFAULT_CLUSTERING_SEED,
    ONE_LIST,
    SCALAR_BYTES,
    SLOW_DIMENSIONS,
    WRAPPER,
    ZERO_VECTORS,
    FaissFamily,
    inverted_lists,
    ivf_build_operations,
    ivf_problem,
    refine_problem,
    refine_suffix,
    seed_clustering,
)


class RabitqBuild(Params):
    """`RR,IVF{nlist},RaBitQ{nb_bits}`, and a finer copy to re-rank with if `refine` is not none."""

    nlist: int = Field(ge=1)
    nb_bits: int = Field(default=1, ge=1, le=9)
    refine: Literal["none", "Flat", "SQfp16", "SQbf16", "SQ8", "SQ6", "SQ4"] = "none"
    seed: int = Field(default=DEFAULT_CLUSTERING_SEED, ge=0)


class RabitqSearch(Params):
    """`qb` bits for a component of the query, 0 meaning float32."""

    nprobe: int = Field(default=1, ge=1)
    qb: int = Field(default=4, ge=0, le=8)
    k_factor: float = 1.0


class FaissRabitq(FaissFamily):
    """IndexIVFRaBitQ behind a RandomRotationMatrix, and IndexRefine over them."""

    BuildParams = RabitqBuild
    SearchParams = RabitqSearch
    metrics = frozenset({"euclidean", "cosine"})
    seed_parameter = "seed"
    known_limits: ClassVar[tuple[str, ...]] = (
        WRAPPER,
        ZERO_VECTORS,
        SLOW_DIMENSIONS,
        "inner product is left out: the estimate depends on the length of the query, and recall falls to "
        "nothing when queries are a thousand times shorter than the base (faiss 1.15)",
        "one bit a component without refine orders neighbours only roughly",
    )

    trials = (
        Trial({"nlist": 8}, {"nprobe": 8, "qb": 8}, recall=0.25, **ONE_LIST),
        Trial({"nlist": 8, "nb_bits": 4}, {"nprobe": 8, "qb": 0}, recall=0.75, **ONE_LIST),
        Trial({"nlist": 8, "nb_bits": 8}, {"nprobe": 8, "qb": 8}, recall=0.95, **ONE_LIST),
        Trial(
            {"nlist": 8, "refine": "Flat"},
            {"nprobe": 8, "qb": 8, "k_factor": 40.0},
            recall=0.99,
            small_build={"nlist": 1, "refine": "none"},
            small_search={"nprobe": 1, "k_factor": 1.0},
        ),
    )

    @classmethod
    def factory(cls, params: RabitqBuild) -> str:
        """Such as `RR,IVF256,RaBitQ4,Refine(SQ8)`; one bit is spelt without a number."""
        bits = "" if params.nb_bits == 1 else str(params.nb_bits)
        return f"RR,IVF{params.nlist},RaBitQ{bits}{refine_suffix(params.refine)}"

    @classmethod
    def exact_codes(cls, params: RabitqBuild) -> bool:
        """Never: the estimator is made for L2."""
        return False

    @classmethod
    def check(cls, context: PointContext, build: RabitqBuild, search: RabitqSearch) -> str | None:
        """Lists and re-ranking must fit the data and each other."""
        return ivf_problem(context.n, build.nlist, search.nprobe) or refine_problem(build.refine, search.k_factor)

    @classmethod
    def estimate(cls, context: PointContext, build: RabitqBuild, search: RabitqSearch) -> Cost:
        """Codes with their factors, ids of 8 bytes, centroids and the rotation; a binary product counts as
        1/8.
        """
        n, dim = context.n, context.dim
        code_bytes = dim * build.nb_bits / 8 + (8 if build.nb_bits == 1 else 20)
        refine_bytes = 0 if build.refine == "none" else dim * SCALAR_BYTES[build.refine]
        reranked = 0 if build.refine == "none" else context.k * search.k_factor
        scanned = n * min(1.0, search.nprobe / build.nlist)
        return Cost(
            index_bytes=n * (code_bytes + 8 + refine_bytes) + 4 * dim * (build.nlist + dim),
            build_operations=ivf_build_operations(n, dim, build.nlist) + float(n) * dim * dim,
            search_operations=dim * (dim + build.nlist + reranked) + scanned * dim * build.nb_bits / 8,
        )

    def prepare(self, index: Any, params: RabitqBuild) -> None:
        """Seed the clustering and the rotation."""
        import faiss

        seed_clustering(index, params.seed)
        inner: Any = faiss.downcast_index(index.base_index) if params.refine != "none" else index
        rotation: Any = faiss.downcast_VectorTransform(inner.chain.at(0))
        rotation.init(params.seed)

    def apply(self, index: Any, params: RabitqSearch) -> None:
        """Set `nprobe` and `qb` on the lists, `k_factor` on the re-ranking index around them."""
        ivf = inverted_lists(index)
        ivf.nprobe, ivf.qb = params.nprobe, params.qb
        if hasattr(index, "k_factor"):
            index.k_factor = params.k_factor
