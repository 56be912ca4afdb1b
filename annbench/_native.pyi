"""The native kernels. Arguments are never converted: a wrong dtype or layout raises TypeError, wrong sizes
ValueError."""

from typing import Any, Literal

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

class HammingFlat:
    def __init__(self, codes: NDArray[np.uint8], *, isa: str | None = None) -> None: ...
    def __len__(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def codes(self) -> NDArray[np.uint8]: ...
    def search(
        self, queries: NDArray[np.uint8], k: int, threads: int = 1
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...
    def search_one(self, query: NDArray[np.uint8], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...

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

class RecurrentBinarizer:
    """Codes b_u (n, dim) of rows (n, dim_in) of length 1; `shape` and `values` as Binarizer.packed gives them."""

    def __init__(self, shape: NDArray[np.uint32], values: NDArray[np.float32]) -> None: ...
    def map(self, rows: NDArray[np.float32]) -> NDArray[np.float32]: ...
    @property
    def nbytes(self) -> int:
        """Bytes of the maps as they are multiplied by."""

def rotated(rows: NDArray[np.float32], seed: int) -> NDArray[np.float32]: ...
def half_scale(largest: float) -> float: ...

class IndexFileError(Exception):
    """With three arguments: where, what was found, what to do."""

class HalfVectors:
    def __init__(self, nodes: int, *, dim: int, scale: float) -> None: ...
    def put(self, first: int, vectors: NDArray[np.float32]) -> None: ...

class GraphBuilder:
    @property
    def linked(self) -> int: ...
    @property
    def asked(self) -> int: ...
    @property
    def repaired(self) -> int: ...
    def step(self, threads: int = 1) -> bool: ...

class IdFilter:
    def __init__(self, ids: NDArray[np.int64]) -> None: ...
    def __len__(self) -> int: ...

class ComposedIndex:
    def __init__(
        self,
        *,
        metric: Literal["euclidean", "cosine", "ip"],
        dim_in: int,
        dim: int,
        mean: NDArray[np.float32] | None = None,
        query_map: NDArray[np.float32] | None = None,
        base_map: NDArray[np.float32] | None = None,
        binarizer_shape: NDArray[np.uint32] | None = None,
        binarizer: NDArray[np.float32] | None = None,
        rotation: int | None = None,
        normalise: bool = False,
        mapped_metric: bool = False,
        codec: str,
        bits: int = 0,
        second_bits: int = 0,
        fit: str = "rabitq-fast",
        query_bits: int = 8,
        rescale: bool = True,
        factors: bool = True,
        parameter: float = 1.0,
        tables: NDArray[np.float32] | None = None,
        table_bits: NDArray[np.uint8] | None = None,
        centroids: NDArray[np.float32] | None = None,
        rerank: str = "none",
        rerank_bits: int = 8,
        rerank_scale: float = 1.0,
        description: str = "",
        isa: str | None = None,
    ) -> None: ...
    def add(
        self,
        originals: NDArray[np.float32],
        mapped: NDArray[np.float32],
        lists: NDArray[np.uint32],
        ids: NDArray[np.int64],
        *,
        check_ids: bool = True,
        threads: int = 1,
    ) -> None: ...
    def reserve(self, n: int, largest_id: int) -> None: ...
    def compact(self, threads: int = 1) -> None: ...
    def remove(self, ids: NDArray[np.int64], threads: int = 1) -> None: ...
    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        nprobe: int = 1,
        rerank_k: int = 0,
        epsilon: float = 1.9,
        threads: int = 1,
        ef: int = 64,
        interleave: int = 3,
        patience: int = 0,
        slack: float = -1.0,
        filter: IdFilter | None = None,
        shared: bool | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...
    def search_one(
        self,
        query: NDArray[np.float32],
        k: int,
        nprobe: int = 1,
        rerank_k: int = 0,
        epsilon: float = 1.9,
        threads: int = 1,
        ef: int = 64,
        patience: int = 0,
        slack: float = -1.0,
        filter: IdFilter | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...
    @property
    def keeps_vectors(self) -> bool: ...
    def graph_builder(
        self,
        order: NDArray[np.uint32],
        entries: int,
        *,
        degree: int,
        alpha: float,
        candidates: int,
        halves: HalfVectors | None = None,
        query_links: int = 0,
        queries: NDArray[np.float32] | None = None,
    ) -> GraphBuilder: ...
    def set_graph(self, builder: GraphBuilder) -> None: ...
    def set_growth(self, *, alpha: float, candidates: int, entries: int) -> None: ...
    @property
    def degree(self) -> int: ...
    @property
    def links(self) -> NDArray[np.uint32] | None: ...
    @property
    def counts(self) -> dict[str, int]: ...
    def reset_counts(self) -> None: ...
    def __len__(self) -> int: ...
    def save(self, path: str, *, description: str | None = None) -> None: ...
    @staticmethod
    def load(
        path: str,
        isa: str | None = None,
        *,
        rerank_on_disk: bool = False,
        links_on_disk: bool = False,
        cache_bytes: int = 0,
    ) -> ComposedIndex: ...
    @property
    def nbytes(self) -> dict[str, int]: ...
    @property
    def disk_nbytes(self) -> dict[str, int]: ...
    @property
    def nlist(self) -> int: ...
    @property
    def description(self) -> str: ...
    @property
    def maps(self) -> dict[str, Any]: ...
    @property
    def ids(self) -> NDArray[np.int64]: ...
