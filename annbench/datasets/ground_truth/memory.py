"""The block sizes that a memory limit allows, and the peak that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from annbench import _native
from annbench.datasets.ground_truth.rows import READ_BYTES
from annbench.errors import UsageError

DEFAULT_MEMORY_LIMIT_BYTES = 1 << 30
# A product takes QUERY_ROWS × TILE_ROWS scores: large enough to be fast, small enough for a shared cache.
TILE_ROWS = 1024
QUERY_ROWS = 512
BLAS_BYTES_PER_THREAD = 8 << 20  # the packed panels of a product of such blocks
_ID_AND_DISTANCE_BYTES = 16


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
    needs = Needs(
        row=(0 if base_resident else 4 * dim) + _bytes_per_base_row(),
        query=2 * dim * 4 + 16,
        staging=0 if base_resident else READ_BYTES,
        thread=lambda rows: _dense_thread_bytes(rows, k, tile_rows),
        rows_at_once=base_resident,
    )
    return plan_blocks(n, queries, k, threads=threads, memory_limit_bytes=memory_limit_bytes, needs=needs)


@dataclass(frozen=True)
class Needs:
    """Bytes that a kind of search allocates: for a `row` of a slab and a `query` of a block; `staging` while reading;
    and what else a `thread` needs for a block of so many queries. `rows_at_once`: the base is one slab anyway.
    """

    row: int
    query: int
    staging: int
    thread: Callable[[int], int]
    rows_at_once: bool = False


def plan_blocks(n: int, queries: int, k: int, *, threads: int, memory_limit_bytes: int, needs: Needs) -> MemoryPlan:
    """Blocks within the limit: few queries a block before few rows a slab. Raises `UsageError` with the least limit."""
    tile_rows = max(1, min(TILE_ROWS, n))
    least_rows = n if needs.rows_at_once else min(n, tile_rows)
    query_rows = _balanced(queries, threads)
    while True:
        lists = query_rows * (k * _ID_AND_DISTANCE_BYTES + 8)
        block = lists + query_rows * needs.query + needs.thread(query_rows)
        fixed = result_bytes(queries, k) + threads * block + needs.staging
        least = fixed + least_rows * needs.row
        if query_rows == 1 or (2 * fixed <= memory_limit_bytes and least <= memory_limit_bytes):
            break
        query_rows = (query_rows + 1) // 2
    if least > memory_limit_bytes:
        raise UsageError(
            f"{queries} queries and k={k} on {n} rows do not fit in {memory_limit_bytes} bytes",
            where="memory limit",
            remedy=f"give at least {least}",
        )
    slab_rows = n
    if needs.row and not needs.rows_at_once:
        fitting = (memory_limit_bytes - fixed) // needs.row
        slab_rows = min(n, max(tile_rows, fitting // tile_rows * tile_rows))
    return MemoryPlan(query_rows, tile_rows, slab_rows, fixed + slab_rows * needs.row)


def result_bytes(queries: int, k: int) -> int:
    """The lists of all queries, and the copy of the ids that is returned."""
    returned_id, ties_done_and_norm = 8, 24
    return queries * (k * (_ID_AND_DISTANCE_BYTES + returned_id) + ties_done_and_norm)


def _balanced(queries: int, threads: int) -> int:
    """At most QUERY_ROWS queries a block, in a number of blocks that keeps every thread busy to the end."""
    rounds = max(1, -(-queries // (threads * QUERY_ROWS)))
    return max(1, -(-queries // (threads * rounds)))


def _bytes_per_base_row() -> int:
    squared_norm, scratch, term = 8, 10, 4
    return squared_norm + scratch + term


def _dense_thread_bytes(query_rows: int, k: int, tile_rows: int) -> int:
    collector = _native.NeighborCollector.bytes(query_rows, k, tile_rows)
    scores = query_rows * tile_rows * 4
    return collector + scores + BLAS_BYTES_PER_THREAD
