"""The block sizes that a memory limit allows, and the peak that follows from them."""

from __future__ import annotations

from dataclasses import dataclass

from annbench import _native
from annbench.datasets.ground_truth.rows import READ_BYTES
from annbench.errors import UsageError

DEFAULT_MEMORY_LIMIT_BYTES = 1 << 30
# A product takes QUERY_ROWS × TILE_ROWS scores: large enough to be fast, small enough for a shared cache.
TILE_ROWS = 1024
QUERY_ROWS = 512
BLAS_BYTES_PER_THREAD = 8 << 20  # the packed panels of a product of such blocks


@dataclass(frozen=True)
class MemoryPlan:
    """Block sizes, and the bytes that `exact_neighbors` allocates with them at most.

    Not counted: the arrays given to it, and pages of a memory-mapped base, which the system takes back at
    need.
    """

    query_rows: int
    tile_rows: int
    slab_rows: int
    peak_bytes: int


def plan_memory(
    n: int,
    dim: int,
    queries: int,
    k: int,
    *,
    threads: int,
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    base_resident: bool = False,
) -> MemoryPlan:
    """Plans blocks within `memory_limit_bytes`.

    `base_resident` says that the base is a float32 array in memory, which need not be copied.

    Raises `UsageError` with the least limit that works.
    """
    tile_rows = max(1, min(TILE_ROWS, n))
    bytes_per_row = (0 if base_resident else 4 * dim) + _bytes_per_base_row()
    least_rows = n if base_resident else min(n, tile_rows)
    staging = 0 if base_resident else READ_BYTES
    query_rows = _balanced(queries, threads)
    while True:
        fixed = _fixed_bytes(dim, queries, k, threads, query_rows, tile_rows) + staging
        least = fixed + least_rows * bytes_per_row
        if query_rows == 1 or (2 * fixed <= memory_limit_bytes and least <= memory_limit_bytes):
            break
        query_rows = (query_rows + 1) // 2
    if least > memory_limit_bytes:
        raise UsageError(
            f"{queries} queries and k={k} on {n} rows of dim {dim} do not fit in {memory_limit_bytes} bytes",
            where="memory limit",
            remedy=f"give at least {least}",
        )
    slab_rows = n
    if not base_resident:
        fitting = (memory_limit_bytes - fixed) // bytes_per_row
        slab_rows = min(n, max(tile_rows, fitting // tile_rows * tile_rows))
    return MemoryPlan(query_rows, tile_rows, slab_rows, fixed + slab_rows * bytes_per_row)


def _balanced(queries: int, threads: int) -> int:
    """At most QUERY_ROWS queries a block, in a number of blocks that keeps every thread busy to the end."""
    rounds = max(1, -(-queries // (threads * QUERY_ROWS)))
    return max(1, -(-queries // (threads * rounds)))


def _bytes_per_base_row() -> int:
    squared_norm, scratch, term = 8, 10, 4
    return squared_norm + scratch + term


def _fixed_bytes(dim: int, queries: int, k: int, threads: int, query_rows: int, tile_rows: int) -> int:
    id_and_distance, returned_id, ties_done_and_norm = 16, 8, 24
    results = queries * (k * (id_and_distance + returned_id) + ties_done_and_norm)
    lists = query_rows * (k * id_and_distance + 8)
    vectors = 2 * query_rows * dim * 4 + query_rows * 16
    collector = _native.NeighborCollector.bytes(query_rows, k, tile_rows)
    scores = query_rows * tile_rows * 4
    return results + threads * (lists + vectors + collector + scores + BLAS_BYTES_PER_THREAD)
