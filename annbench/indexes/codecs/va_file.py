"""VA-file with unequal bits a dimension: a cell says between which two boundaries a component lies."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from annbench.indexes.codecs.base import Codec, Learned, Matrix
from annbench.indexes.codecs.bit_budget import allocate_bits
from annbench.indexes.codecs.cells import cell_centres
from annbench.indexes.transforms.base import narrow

MAX_BITS = 8
TRAINING_ROWS = 20_000
HAMMING_ROWS = 1_000


class VaFile(Codec):
    """`bits` a dimension on average, more where the variance is larger (at most 8), as cells of a Lloyd quantizer of
    each dimension, with lower bounds of distances (Weber et al., VLDB 1998; packed as in SQUASH, arXiv 2502.01528).

    Of the codes, the share `hamming_keep` that is nearest by 1 bit a dimension is looked at; 1 for all. The transform
    should make dimensions independent: PCA of all dimensions.

    Under cosine it holds directions as points of length 1, whose distances tell the cosine; a vector of length zero has
    none, and is refused.
    """

    kind: Literal["va-file"] = "va-file"
    told: ClassVar[tuple[str, ...]] = ("bits",)
    bits: float = Field(default=4.0, gt=0, le=MAX_BITS)
    hamming_keep: float = Field(default=1.0, gt=0, le=1)

    def native(self) -> dict[str, Any]:
        return {"codec": self.kind, "parameter": self.hamming_keep}

    def code_bytes(self, dim: int) -> float:
        return float(np.ceil(dim * self.bits / 8)) + (dim / 8 if self.hamming_keep < 1 else 0) + 4

    def problem(self, dim: int) -> tuple[str, str] | None:
        if round(self.bits * dim) < 1:
            return f"bits {self.bits} leave {dim} dimensions without any", "set bits to 1 or more"
        return None

    @property
    def only_distances(self) -> bool:
        return True

    @property
    def relative(self) -> bool:
        return False

    @property
    def training_rows(self) -> int:
        return TRAINING_ROWS

    def learn(self, mapped: Matrix, *, seed: int) -> Learned:
        """`table_bits` are the bits (dim,), `tables` the centres of the cells, dimension after dimension. For the first
        stage follow what its bits compare with (dim,), and the bits of a sample, by which it knows how many differ.
        """
        variances = mapped.var(axis=0, dtype=np.float64)
        bits = allocate_bits(variances, round(self.bits * mapped.shape[1]), MAX_BITS)
        tables = [cell_centres(mapped[:, i], 1 << int(count)) for i, count in enumerate(bits)]
        if self.hamming_keep == 1:
            return Learned(tables=narrow(np.concatenate(tables)), table_bits=bits)
        middles = narrow(np.median(mapped, axis=0))
        signs = np.packbits(mapped[:HAMMING_ROWS] > middles, axis=1, bitorder="little")
        return Learned(
            tables=narrow(np.concatenate([*tables, middles])), table_bits=np.concatenate([bits, signs.ravel()])
        )
