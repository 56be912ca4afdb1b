"""faiss IVF: inverted lists of float32, scalar-quantized or 4-bit PQ (fast scan) codes, with optional
re-ranking.
"""

from __future__ import annotations

from typing import Any, Literal

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
from annbench.algorithms.faiss.updates import FaissUpdates

PQ_CENTROIDS = 16
HALF_RANGE = "SQfp16, as storage or for refine, holds values up to 65,504: beyond, no distance is a number"
FP16_OVERFLOWS = {"ends_of_float32:euclidean": HALF_RANGE, "ends_of_float32:ip": HALF_RANGE}
NO_REFINE: dict[str, Any] = {
    "small_build": {"nlist": 1, "refine": "none"},
    "small_search": {"nprobe": 1, "k_factor": 1.0},
}


class IvfBuild(Params):
    """`IVF{nlist},{storage}`; storage `PQfs` is `PQ{pq_m}x4fs`; `refine` is a second copy to re-rank with."""

    nlist: int = Field(ge=1)
    storage: Literal["Flat", "SQfp16", "SQbf16", "SQ8", "SQ6", "SQ4", "PQfs"] = "Flat"
    pq_m: int | None = Field(default=None, ge=1)
    refine: Literal["none", "Flat", "SQfp16", "SQbf16", "SQ8", "SQ6", "SQ4"] = "none"
    seed: int = Field(default=DEFAULT_CLUSTERING_SEED, ge=0)


class IvfSearch(Params):
    """`nprobe` lists are scanned; with `refine`, k·k_factor candidates are re-ranked."""

    nprobe: int = Field(default=1, ge=1)
    k_factor: float = 1.0


class FaissIvf(FaissUpdates, FaissFamily):
    """IndexIVFFlat, IndexIVFScalarQuantizer, IndexIVFPQFastScan, and IndexRefine over them."""

    BuildParams = IvfBuild
    SearchParams = IvfSearch
    seed_parameter = "seed"
    known_limits = (
        WRAPPER,
        ZERO_VECTORS,
        SLOW_DIMENSIONS,
        "compressed storage without refine caps recall however many lists are probed: SQ8 near 0.995 on "
        "fashion-mnist-784",
        HALF_RANGE,
        "PQfs needs pq_m to divide dim, and 16 vectors to train on",
    )

    trials = (
        Trial({"nlist": 8, "storage": "Flat"}, {"nprobe": 8}, recall=1.0, **ONE_LIST),
        Trial({"nlist": 8, "storage": "SQ8"}, {"nprobe": 8}, recall=0.95, **ONE_LIST),
        Trial({"nlist": 8, "storage": "SQ4"}, {"nprobe": 8}, recall=0.5, **ONE_LIST),
        Trial(
            {"nlist": 8, "storage": "SQ6", "refine": "SQbf16"}, {"nprobe": 8, "k_factor": 5.0}, recall=0.93, **NO_REFINE
        ),
        Trial({"nlist": 8, "storage": "SQfp16"}, {"nprobe": 8}, recall=0.98, **ONE_LIST, exceptions=FP16_OVERFLOWS),
        Trial(
            {"nlist": 8, "storage": "SQ4", "refine": "Flat"}, {"nprobe": 8, "k_factor": 10.0}, recall=0.99, **NO_REFINE
        ),
        Trial(
            {"nlist": 8, "storage": "PQfs", "pq_m": 17, "refine": "SQ8"},
            {"nprobe": 8, "k_factor": 20.0},
            recall=0.95,
            small_build={"nlist": 1, "pq_m": 1, "refine": "none"},
            small_search={"nprobe": 1, "k_factor": 1.0},
        ),
    )

    @classmethod
    def factory(cls, params: IvfBuild) -> str:
        """Such as `IVF1024,PQ50x4fs,Refine(SQ8)`."""
        codes = f"PQ{params.pq_m}x4fs" if params.storage == "PQfs" else params.storage
        return f"IVF{params.nlist},{codes}{refine_suffix(params.refine)}"

    @classmethod
    def exact_codes(cls, params: IvfBuild) -> bool:
        """Only float32 lists are exact."""
        return params.storage == "Flat"

    @classmethod
    def cannot_update(cls, params: IvfBuild) -> str | None:
        """The lists can; the second copy of IndexRefine cannot, and fast scan only seems to."""
        if params.storage == "PQfs":
            # faiss 1.15.1: many vectors added after a removal are not found by a search for themselves.
            return "what faiss adds to fast-scan lists (PQfs) after a removal is stored wrongly"
        return None if params.refine == "none" else f"faiss cannot remove vectors from refine {params.refine}"

    @classmethod
    def check(cls, context: PointContext, build: IvfBuild, search: IvfSearch) -> str | None:
        """Lists, product quantizer and re-ranking must fit the data and each other."""
        return (
            ivf_problem(context.n, build.nlist, search.nprobe)
            or refine_problem(build.refine, search.k_factor)
            or _pq_problem(context, build)
        )

    @classmethod
    def estimate(cls, context: PointContext, build: IvfBuild, search: IvfSearch) -> Cost:
        """Codes, ids of 8 bytes and centroids; a search scans nprobe ÷ nlist of the codes."""
        n, dim = context.n, context.dim
        pq = build.storage == "PQfs"
        code_bytes = (build.pq_m or dim) / 2 if pq else dim * SCALAR_BYTES[build.storage]
        refine_bytes = 0 if build.refine == "none" else dim * SCALAR_BYTES[build.refine]
        scanned = n * min(1.0, search.nprobe / build.nlist)
        reranked = 0 if build.refine == "none" else context.k * search.k_factor
        # Fast scan rounds each list up to blocks of 32 codes, and stores its codebook.
        overhead = 16 * build.nlist * code_bytes + 4 * PQ_CENTROIDS * dim if pq else 0
        return Cost(
            index_bytes=n * (code_bytes + 8 + refine_bytes) + 4 * build.nlist * dim + overhead,
            build_operations=ivf_build_operations(n, dim, build.nlist),
            search_operations=dim * (build.nlist + reranked) + scanned * ((build.pq_m or dim) if pq else dim),
        )

    def prepare(self, index: Any, params: IvfBuild) -> None:
        """Seed the clustering."""
        seed_clustering(index, params.seed)

    def apply(self, index: Any, params: IvfSearch) -> None:
        """Set `nprobe` on the lists and `k_factor` on the re-ranking index around them."""
        inverted_lists(index).nprobe = params.nprobe
        if hasattr(index, "k_factor"):
            index.k_factor = params.k_factor


def _pq_problem(context: PointContext, build: IvfBuild) -> str | None:
    if build.storage != "PQfs":
        return f"pq_m={build.pq_m} without storage PQfs has no effect" if build.pq_m else None
    if build.pq_m is None:
        return "storage PQfs needs pq_m"
    if context.dim % build.pq_m:
        return f"pq_m={build.pq_m} does not divide dim={context.dim}"
    if context.n < PQ_CENTROIDS:
        return f"PQfs needs {PQ_CENTROIDS} vectors to train on, n={context.n}"
    return None
