"""The uniform code: LVQ, RaBitQ and OSQ are three fits of it; what is stored and how it is scored is the same."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from annbench.indexes.codecs.base import Codec, Learned, Matrix, lines
from annbench.indexes.codecs.bit_budget import allocate_bits
from annbench.indexes.transforms.base import narrow

ROW_BITS = (4, 8)  # those that lie in rows with fast kernels; others are bit planes, or signs alone
MAX_BITS = 8
MAX_SIGNS = 8192  # dimensions whose signs are scanned
VARIANCE_ROWS = 20_000


class Uniform(Codec):
    """`bits` a dimension on an evenly spaced grid of each vector's own.

    - `fit` chooses the grid: `min-max` (LVQ; Aguerrebere et al., VLDB 2023), `rabitq` (best cosine, swept; Gao et al.,
      SIGMOD 2025), `rabitq-fast` (the same, predicted), `osq` (coordinate descent, as Lucene).
    - `residual_bits` adds a second level for what the first leaves, read only when the first cannot decide.
    - `scan_bits` 1 keeps the sign bits apart from the others: they are scanned for all vectors, the other bits are read
      where the upper bound that follows passes. The grid must be symmetric: a `rabitq` fit, of 2 bits or more.
    - `bits_per_dim` spends `bits` on average, more where the variance is larger, on one grid for all vectors, after a
      transform that sorts dimensions by it (pca without rotate).
    - `query_bits` rounds the query; below 8 it is cheaper and less exact (4 for BBQ).
    - `rescale` false leaves out the factor that undoes how much the code shrinks a vector; for comparison.
    """

    kind: Literal["uniform"] = "uniform"
    told: ClassVar[tuple[str, ...]] = ("bits", "fit")
    bits: int = Field(default=4, ge=1, le=MAX_BITS)
    fit: Literal["min-max", "rabitq", "rabitq-fast", "osq"] = "rabitq"
    residual_bits: Literal[0, 4, 8] = 0
    scan_bits: Literal[0, 1] = 0
    bits_per_dim: bool = False
    query_bits: int = Field(default=8, ge=1, le=8)
    rescale: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Uniform:
        if self.residual_bits and self.scan_bits:
            raise ValueError("residual_bits and scan_bits are two ways to look twice; keep one of them")
        two_stages = "residual_bits" if self.residual_bits else "scan_bits" if self.scan_bits else ""
        if not two_stages:
            return self
        if self.residual_bits and self.bits != 4:
            raise ValueError(f"bits {self.bits} cannot go with residual_bits; set bits 4")
        if self.scan_bits and self.bits == 1:
            raise ValueError(
                "bits 1 leaves nothing to look at after scan_bits; set bits 2 to 8, or leave scan_bits out"
            )
        if self.scan_bits and not self.symmetric:
            raise ValueError(f"scan_bits cannot go with fit {self.fit}; set fit rabitq or rabitq-fast")
        if self.bits_per_dim or self.query_bits != 8 or not self.rescale:
            raise ValueError(f"bits_per_dim, query_bits and rescale cannot be chosen with {two_stages}; leave them out")
        return self

    @property
    def symmetric(self) -> bool:
        """Whether grids are symmetric about 0."""
        return self.fit.startswith("rabitq")

    @property
    def layout(self) -> str:
        """The native codec that holds it."""
        if self.residual_bits:
            return "two-level"
        if self.scan_bits:
            return "staged"
        plain = not self.bits_per_dim and self.query_bits == 8 and self.rescale
        if plain and self.bits == 1 and self.symmetric:
            return "signs"
        return "uniform" if plain and self.bits in ROW_BITS else "planes"

    def native(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"codec": self.layout, "bits": self.bits, "fit": self.fit}
        match self.layout:
            case "two-level":
                arguments["second_bits"] = self.residual_bits
            case "staged":
                arguments |= {"bits": self.scan_bits, "second_bits": self.bits}
            case "planes":
                arguments |= {"query_bits": self.query_bits, "rescale": self.rescale}
        return arguments

    def code_bytes(self, dim: int) -> float:
        factors = 8 if self.symmetric else 12
        rows = dim * self.bits / 8 + factors
        match self.layout:
            case "two-level":
                return lines(rows + 4) + lines(dim * self.residual_bits / 8 + factors)
            case "signs":
                return float(2 * np.ceil(dim / 16) + 8)
            case "staged":
                # Blocks of signs by fours of dimensions, in fours; planes of the other bits in sixteens of bytes; the
                # factors of both stages.
                planes = sum(16 * np.ceil(dim * width / 128) for width in (4, 2, 1) if (self.bits - 1) & width)
                return float(2 * np.ceil(dim / 16) + planes + 16)
            case "planes":
                return float(self.bits * np.ceil(dim / 64) * 8 + 12)
        return lines(rows)

    def problem(self, dim: int) -> tuple[str, str] | None:
        if self.layout in ("signs", "staged") and dim > MAX_SIGNS:
            return f"signs of {dim:,} dimensions are too many to scan", f"use pca with dim <= {MAX_SIGNS}"
        return None

    @property
    def training_rows(self) -> int:
        return VARIANCE_ROWS if self.bits_per_dim else 0

    def learn(self, mapped: Matrix, *, seed: int) -> Learned:
        if not self.bits_per_dim:
            return Learned()
        variances = mapped.var(axis=0, dtype=np.float64)
        bits = allocate_bits(variances, self.bits * mapped.shape[1], MAX_BITS)
        return Learned(tables=narrow(np.sqrt(variances)), table_bits=bits)
