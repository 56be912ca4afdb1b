"""faiss IVF with RaBitQ codes in fast-scan layout: IndexIVFRaBitQFastScan, 32 codes at a time by SIMD look-ups.

The same codes as `faiss-rabitq`, scanned faster: the first bit of every component goes through quantized look-up
tables, and with more bits only candidates that this bound lets pass are computed in full. As there, a random rotation
stands in front of the index, because faiss does not rotate by itself.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from annbench.algorithms.base import Cost, PointContext, Trial
from annbench.algorithms.faiss.common import ONE_LIST, inverted_lists, refine_suffix
from annbench.algorithms.faiss.rabitq import FaissRabitq, RabitqBuild, RabitqSearch

CODES_PER_BLOCK = 32


class IvfRabitqBuild(RabitqBuild):
    """`RR,IVF{nlist},RaBitQfs{nb_bits}`, and a finer copy to re-rank with if `refine` is not none."""


class IvfRabitqSearch(RabitqSearch):
    """`qb` bits for a component of the query, `centered` around zero or not, with faiss' names and defaults."""

    qb: int = Field(default=8, ge=1, le=8)
    centered: bool = False


class FaissIvfRabitq(FaissRabitq):
    """IndexIVFRaBitQFastScan behind a RandomRotationMatrix, and IndexRefine over them."""

    BuildParams = IvfRabitqBuild
    SearchParams = IvfRabitqSearch
    known_limits = (
        *FaissRabitq.known_limits,
        "qb=0, a query in float32, aborts the process inside the library (faiss 1.15): it is refused here",
    )
    trials = (
        Trial({"nlist": 8}, {"nprobe": 8}, recall=0.25, **ONE_LIST),
        Trial({"nlist": 8, "nb_bits": 4}, {"nprobe": 8}, recall=0.75, **ONE_LIST),
        Trial(
            {"nlist": 8, "nb_bits": 8},
            {"nprobe": 8, "qb": 6, "centered": True},
            recall=0.93,
            **ONE_LIST,
        ),
        Trial(
            {"nlist": 8, "refine": "Flat"},
            {"nprobe": 8, "k_factor": 40},
            recall=0.99,
            small_build={"nlist": 1, "refine": "none"},
            small_search={"nprobe": 1, "k_factor": 1.0},
        ),
    )

    @classmethod
    def factory(cls, params: RabitqBuild) -> str:
        """Such as `RR,IVF256,RaBitQfs4,Refine(SQ8)`; one bit is spelt without a number."""
        bits = "" if params.nb_bits == 1 else str(params.nb_bits)
        return f"RR,IVF{params.nlist},RaBitQfs{bits}{refine_suffix(params.refine)}"

    @classmethod
    def estimate(cls, context: PointContext, build: RabitqBuild, search: RabitqSearch) -> Cost:
        """As without fast scan; every list is filled up to blocks of 32 codes."""
        plain = super().estimate(context, build, search)
        code_bytes = context.dim * build.nb_bits / 8 + (8 if build.nb_bits == 1 else 20)
        filling = CODES_PER_BLOCK / 2 * build.nlist * code_bytes
        return Cost(plain.index_bytes + filling, plain.build_operations, plain.search_operations)

    def apply(self, index: Any, params: RabitqSearch) -> None:
        """Set `centered` besides what the plain index has."""
        assert isinstance(params, IvfRabitqSearch)
        super().apply(index, params)
        inverted_lists(index).centered = params.centered
