"""Levels: the codes that a binarizer makes, as they are."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from annbench.indexes.codecs.base import Codec

MAX_BITS = 4
MAX_DIM = 2048
NORM_BYTES = {"blocks": 2, "rows": 4}


class Levels(Codec):
    """A sum of ±1 vectors of falling weights, of `bits` a dimension (steps + 1 of transform bebr, which is what None
    takes), and its length. Scores are cosines between codes: SDC, by exact integers (Gan et al., KDD 2023), or of the
    query as it is, rounded to 8 bits, after an asymmetric transform.

    With transform identity, under cosine, vectors are such sums already, of `bits` that are to be told; any other
    vector becomes the sum of best cosine with it.

    `layout` blocks holds 32 codes side by side, whose products are looked up in tables: for what is scanned. `rows` is
    for graphs, which look at one code here and one there.
    """

    kind: Literal["levels"] = "levels"
    bits: int | None = Field(default=None, ge=1, le=MAX_BITS)
    layout: Literal["blocks", "rows"] = "blocks"
    query: Literal["levels", "values"] | None = None

    def native(self) -> dict[str, Any]:
        assert self.bits is not None, "IndexSpec.resolved gives it"
        return {
            "codec": f"level-{self.layout}",
            "bits": self.bits,
            "query_bits": 8 if self.query == "values" else self.bits,
        }

    def code_bytes(self, dim: int) -> float:
        bits = self.bits or 2
        norm = NORM_BYTES[self.layout] if bits > 1 or self.layout == "rows" else 0
        if self.layout == "blocks":
            groups = -(-dim // 2) + -(-dim // 4) if bits == 3 else -(-dim * bits // 4)
            return float(2 * np.ceil(groups / 4)) + norm
        return float(sum(16 * np.ceil(dim * width / 128) for width in (4, 2, 1) if bits & width)) + norm

    def problem(self, dim: int) -> tuple[str, str] | None:
        if dim > MAX_DIM:
            return f"{dim:,} dimensions are too many", f"train a binarizer of {MAX_DIM:,} dimensions or fewer"
        return None

    @property
    def relative(self) -> bool:
        return False
