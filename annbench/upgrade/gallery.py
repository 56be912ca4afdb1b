"""What is searched: items as floats or as codes, in annbench's own index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench import Index
from annbench.errors import UnknownNameError, UsageError
from annbench.indexes.presets import PRESETS
from annbench.indexes.transforms.bebr import Bebr
from annbench.upgrade.pairs import Matrix

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

FLOAT = "float32"
UNIFORM = {f"uniform-{bits}": bits for bits in (1, 2, 3, 4, 5, 6, 7, 8)}


def slots_of(codes: str) -> dict[str, Any]:
    """What `Index.build` is given for float32, uniform-1 … uniform-8 or a preset.

    Raises UnknownNameError; UsageError for presets of one binarizer, since models have one each.
    """
    if codes == FLOAT:
        return {"codec": {"kind": "float32"}, "structure": "flat"}
    if codes in UNIFORM:
        codec = {"kind": "uniform", "bits": UNIFORM[codes]}
        return {"transform": {"kind": "random-rotation"}, "codec": codec, "structure": "flat"}
    if codes in PRESETS:
        if isinstance(PRESETS[codes].make(1, 1, "cosine").transform, Bebr):
            raise UsageError(
                f"preset {codes} reads one binarizer, and each model has its own",
                where="--codes",
                remedy="give --old-binarizer and --new-binarizer",
            )
        return {"preset": codes}
    raise UnknownNameError("codes", codes, (FLOAT, *UNIFORM, *PRESETS), where="--codes")


def levels_slots(bits: int) -> dict[str, Any]:
    """For codes of a binarizer with so many bits a dimension: kept as they are, and compared exactly."""
    return {"transform": "identity", "codec": {"kind": "levels", "bits": bits}, "structure": "flat"}


class Gallery:
    """An index of `items` (n, dim) under cosine distance, searched with one thread a call."""

    def __init__(self, items: Matrix, slots: dict[str, Any], *, seed: int, threads: int) -> None:
        self.index = Index.build(items, "cosine", **slots, seed=seed, threads=threads)
        self.threads = threads

    def search(self, queries: Matrix, k: int, allowed: Mask | None = None) -> tuple[Ids, Matrix]:
        """Ids (q, k) and cosines, largest first, among the rows that are `allowed` (n,); −1 and −inf where there are no
        more.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        ids, distances = self.index.search(queries, k, allowed=allowed, threads=self.threads)
        return ids, 1 - distances

    @property
    def bytes_per_vector(self) -> float:
        """Of all that the index keeps in memory."""
        return self.index.nbytes / len(self.index)
