"""The native kernels. Arguments are never converted: a wrong dtype or layout raises TypeError, wrong sizes
ValueError."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

def isa() -> str: ...
def available_isas() -> list[str]: ...
def threshold_select(
    scores: NDArray[np.float32],
    threshold: float,
    *,
    add: NDArray[np.float32] | None = None,
    multiply: NDArray[np.float32] | None = None,
    isa: str | None = None,
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]: ...
def exact_distance(
    query: NDArray[np.float32],
    base: NDArray[np.float32],
    rows: NDArray[np.uint32],
    form: Literal["dot", "squared_l2"],
    *,
    isa: str | None = None,
) -> NDArray[np.float64]: ...
def squared_norms(rows: NDArray[np.float32], out: NDArray[np.float64], *, isa: str | None = None) -> None: ...
def hamming_select(
    query: NDArray[np.uint8], codes: NDArray[np.uint8], limit: int, *, isa: str | None = None
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]: ...

class HammingCollector:
    def __init__(
        self,
        *,
        base: NDArray[np.uint8],
        first_id: int,
        queries: NDArray[np.uint8],
        neighbors: NDArray[np.int64],
        distances: NDArray[np.float64],
        ties: NDArray[np.int64],
        isa: str | None = None,
    ) -> None: ...
    def offer(self, first: int, count: int) -> None: ...
    def finish(self) -> None: ...
    @staticmethod
    def bytes(queries: int, k: int) -> int: ...

class NeighborCollector:
    def __init__(
        self,
        metric: Literal["euclidean", "cosine", "ip"],
        *,
        base: NDArray[np.float32],
        base_squared_norms: NDArray[np.float64],
        base_terms: NDArray[np.float32],
        first_id: int,
        queries: NDArray[np.float32],
        query_squared_norms: NDArray[np.float64],
        neighbors: NDArray[np.int64],
        distances: NDArray[np.float64],
        ties: NDArray[np.int64],
        isa: str | None = None,
    ) -> None: ...
    def offer(self, scores: NDArray[np.float32], first: int, error_slope: float, error_constant: float) -> None: ...
    def finish(self) -> None: ...
    @staticmethod
    def bytes(queries: int, k: int, offered_rows: int) -> int: ...
