"""A finer copy of the vectors for the short list. A new one is one class and one line here."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from annbench.indexes.choice import Choice


class Rerank(Choice):
    """The choice of a finer copy, by which the `rerank_k` best candidates of a search are sorted again."""

    def native(self) -> dict[str, Any]:
        """Arguments of the native index."""
        return {"rerank": self.kind}

    def code_bytes(self, dim_in: int) -> float:
        """Bytes of one vector of `dim_in` dimensions: the finer copy is of the vector before the transform."""
        return 0.0


class NoRerank(Rerank):
    """The order of the codes is the answer."""

    kind: Literal["none"] = "none"


class UniformRerank(Rerank):
    """`bits` a dimension on a grid of each vector's own, min-max fitted."""

    kind: Literal["uniform"] = "uniform"
    told: ClassVar[tuple[str, ...]] = ("bits",)
    bits: Literal[4, 8] = 8

    def native(self) -> dict[str, Any]:
        return {"rerank": self.kind, "rerank_bits": self.bits}

    def code_bytes(self, dim_in: int) -> float:
        return dim_in * self.bits / 8 + 12


class Float16Rerank(Rerank):
    """Half precision."""

    kind: Literal["float16"] = "float16"

    def code_bytes(self, dim_in: int) -> float:
        return 2.0 * dim_in


class Float32Rerank(Rerank):
    """The vectors themselves: distances are exact."""

    kind: Literal["float32"] = "float32"

    def code_bytes(self, dim_in: int) -> float:
        return 4.0 * dim_in


RERANKS: dict[str, type[Rerank]] = {
    "none": NoRerank,
    "uniform": UniformRerank,
    "float16": Float16Rerank,
    "float32": Float32Rerank,
}
