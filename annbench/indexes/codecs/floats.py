"""Vectors as they are, or rounded to half precision."""

from __future__ import annotations

from typing import Any, Literal

from annbench.indexes.codecs.base import Codec


class Float32(Codec):
    """Nothing is lost."""

    kind: Literal["float32"] = "float32"

    def native(self) -> dict[str, Any]:
        return {"codec": self.kind}

    def code_bytes(self, dim: int) -> float:
        return 4 * dim + 4


class Float16(Codec):
    """11 significant bits a dimension."""

    kind: Literal["float16"] = "float16"

    def native(self) -> dict[str, Any]:
        return {"codec": self.kind}

    def code_bytes(self, dim: int) -> float:
        return 2 * dim + 4
