"""faiss NSG: a navigating spreading-out graph (Fu et al., VLDB 2019) over float32 or scalar-quantized codes."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annbench.algorithms.base import Cost, Ids, Params, PointContext, Trial, Vectors, padded
from annbench.algorithms.faiss.common import SCALAR_BYTES, SLOW_DIMENSIONS, WRAPPER, ZERO_VECTORS, FaissFamily
from annbench.errors import UnsupportedError

BRUTE_FORCE, NN_DESCENT = 0, 1
NN_DESCENT_MINIMUM = 101
NN_DESCENT_DISTANCES = 10_000  # a vector: about ten rounds of some hundreds of pairs
EXTRA_BUILD_POOL = 32  # NSG's own L is R + 32
ROWS_PER_BLOCK = 4096
EXTRA_NN_DESCENT_POOL = 50  # nndescent_L is raised to GK + 50
DUPLICATES = (
    "a vector, or code, that the base holds more than R/2 times may keep the library from ever finishing the graph "
    "(faiss 1.15): such a base is refused"
)
BRUTE_FORCE_DUPLICATES = (
    "build_type 0 fails with `too many invalid entries in the knn graph` where a tenth of the rows repeat another one: "
    "such a base is refused"
)
INNER_PRODUCT = (
    "inner product is left out: the graph's entry point may then link to an id twice, and that id "
    "comes back twice (faiss 1.15); cosine is L2 over unit vectors"
)


class NsgBuild(Params):
    """`NSG{R},{storage}`, with faiss' names and defaults.

    Its starting graph has `GK` neighbours a vector, found by brute force (`build_type` 0) or NN-descent (1).
    """

    R: int = Field(default=32, ge=2)
    storage: Literal["Flat", "SQ8", "SQ6", "SQ4", "SQfp16", "SQbf16"] = "Flat"
    GK: int = Field(default=64, ge=1)
    build_type: Literal[0, 1] = 1


class NsgSearch(Params):
    """`search_L`, the length of the candidate list, with faiss' name and default."""

    search_L: int = Field(default=16, ge=1)  # noqa: N815 (the library's name)


class FaissNsg(FaissFamily):
    """IndexNSGFlat and IndexNSGSQ."""

    BuildParams = NsgBuild
    SearchParams = NsgSearch
    metrics = frozenset({"euclidean", "cosine"})
    random_build = True
    known_limits = (
        WRAPPER,
        ZERO_VECTORS,
        SLOW_DIMENSIONS,
        DUPLICATES,
        BRUTE_FORCE_DUPLICATES,
        "a candidate list longer than the base never fills, and the library waits for it for ever: search_L and R + 32 "
        "must not exceed n, and k is cut to n",
        "its random draws are fixed inside the library: there is no seed to set, and one thread always builds the same "
        "graph",
        INNER_PRODUCT,
        "cannot grow: the library builds it in one call",
    )
    trials = (
        Trial({"R": 32, "GK": 16}, {"search_L": 150}, recall=0.98, exceptions={"all_vectors_equal": DUPLICATES}),
        Trial(
            {"R": 32, "build_type": BRUTE_FORCE, "GK": 40},
            {"search_L": 150},
            recall=0.98,
            exceptions={
                "all_vectors_equal": DUPLICATES,
                "half_the_vectors_repeat": BRUTE_FORCE_DUPLICATES,
            },
        ),
        Trial(
            {"R": 32, "storage": "SQ8", "build_type": BRUTE_FORCE, "GK": 40},
            {"search_L": 150},
            exceptions={
                "all_vectors_equal": DUPLICATES,
                "half_the_vectors_repeat": BRUTE_FORCE_DUPLICATES,
            },
        ),
    )

    @classmethod
    def factory(cls, params: NsgBuild) -> str:
        """Such as `NSG32,SQ8`."""
        return f"NSG{params.R},{params.storage}"

    @classmethod
    def exact_codes(cls, params: NsgBuild) -> bool:
        """Never, so that cosine is L2 over unit vectors: see INNER_PRODUCT."""
        return False

    @classmethod
    def check(cls, context: PointContext, build: NsgBuild, search: NsgSearch) -> str | None:
        """Candidate lists must be as long as k and not longer than the base; graphs need enough vectors."""
        n = context.n
        if search.search_L < context.k:
            return f"search_L={search.search_L} is below k={context.k}"
        if search.search_L > n:
            return f"search_L={search.search_L} exceeds n={n}"
        if n < build.R + EXTRA_BUILD_POOL:
            return f"R={build.R} needs {build.R + EXTRA_BUILD_POOL} vectors to build with, n={n}"
        if n <= build.GK:
            return f"GK={build.GK} needs more than {build.GK} vectors, n={n}"
        needed = max(NN_DESCENT_MINIMUM, build.GK + EXTRA_NN_DESCENT_POOL)
        if build.build_type == NN_DESCENT and n < needed:
            return f"build_type={NN_DESCENT} needs {needed} vectors, n={n}; 0 needs fewer"
        return None

    @classmethod
    def estimate(cls, context: PointContext, build: NsgBuild, search: NsgSearch) -> Cost:
        """Code and up to R links of 4 bytes a vector; the starting graph and the candidates of each vector."""
        n, dim = context.n, context.dim
        brute = build.build_type == BRUTE_FORCE
        start = n if brute else NN_DESCENT_DISTANCES
        return Cost(
            # The pruning rule fills about two thirds of the links.
            index_bytes=n * (dim * SCALAR_BYTES[build.storage] + 4 * (0.65 * build.R + 1)) + 200,
            build_operations=float(n) * dim * (start + (build.R + EXTRA_BUILD_POOL) * build.GK),
            search_operations=dim * build.R * (search.search_L / 2 + log2(max(n, 2))),
        )

    def refuse(self, index: Any, vectors: Vectors, params: NsgBuild) -> None:
        """Refuse a base that the library fails on, or might never finish. What counts is what the graph sees: codes,
        if it stores codes, and under cosine unit vectors.
        """
        import faiss

        flat = params.storage == "Flat"
        seen = repeats(vectors if flat else faiss.downcast_index(index.storage).sa_encode(vectors))
        what, remedy = "vector" if flat else "code", "remove repeated vectors, raise R, or take another index"
        if seen.most > params.R / 2:
            raise UnsupportedError(
                f"the {what} of row {seen.row} occurs {seen.most} times, and NSG may never finish with more than R/2",
                remedy=remedy,
            )
        if params.build_type == BRUTE_FORCE and seen.repeated >= len(vectors) // 10:
            raise UnsupportedError(
                f"{seen.repeated} of {len(vectors)} rows repeat the {what} of another, and build_type 0 fails from a "
                "tenth on",
                remedy=f"remove repeated vectors, or set build_type to {NN_DESCENT}",
            )

    def prepare(self, index: Any, params: NsgBuild) -> None:
        """Set what the factory string cannot carry."""
        index.GK = params.GK
        index.build_type = params.build_type
        index.nndescent_L = params.GK + EXTRA_NN_DESCENT_POOL

    def apply(self, index: Any, params: NsgSearch) -> None:
        """Set `search_L`."""
        index.nsg.search_L = params.search_L

    def search(self, query: Vectors, k: int) -> Ids:
        """One query as a batch of one, for no more neighbours than there are vectors."""
        n = self._index.ntotal
        return super().search(query, k) if k <= n else padded(super().search(query, n), k)

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """All queries in one call, for no more neighbours than there are vectors."""
        n = self._index.ntotal
        return super().search_batch(queries, k) if k <= n else padded(super().search_batch(queries, n), k)


@dataclass(frozen=True)
class Repeats:
    """`row` is the first of those that occur most often, `most` times; `repeated` rows equal an earlier one."""

    row: int
    most: int
    repeated: int


def repeats(rows: NDArray[Any]) -> Repeats:
    """How often the rows (n, width), float32 or uint8, repeat each other.

    They are told apart by a 64-bit hash of their values, linear with random odd factors and exact in integers.
    """
    factors = np.random.default_rng(0).integers(0, 2**63, rows.shape[1], dtype=np.uint64) * 2 + 1
    hashes = np.empty(len(rows), dtype=np.uint64)
    for start in range(0, len(rows), ROWS_PER_BLOCK):
        block = np.ascontiguousarray(rows[start : start + ROWS_PER_BLOCK])
        if block.dtype == np.float32:
            block = (block + np.float32(0)).view(np.uint32)  # −0 equals 0
        hashes[start : start + len(block)] = (block * factors).sum(axis=1, dtype=np.uint64)
    _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    most = int(counts.argmax())
    return Repeats(int(first[most]), int(counts[most]), len(rows) - len(counts))
