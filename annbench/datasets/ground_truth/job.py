"""One exact search: what it works on and with what."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from annbench.datasets.ground_truth.rows import RowSource
from annbench.distances import Metric


def _itself(row: int) -> int:
    return row


@dataclass(frozen=True)
class Job:
    """`base` (n, d) are the rows that count, numbered from 0; `part` says which rows of the whole base they are, for
    checkpoints, and `base_row` gives the number there of one, for messages. `inline` runs on the calling thread, which
    is one of several.
    """

    base: RowSource
    queries: RowSource
    k: int
    metric: Metric
    threads: int
    memory_limit_bytes: int
    checkpoint: Path | None = None
    fingerprint: str = ""
    part: str = "all"
    progress: Callable[[float], None] | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    inline: bool = False
    base_row: Callable[[int], int] = _itself
    query_row: Callable[[int], int] = _itself

    def base_place(self, row: int) -> str:
        """What a row of `base` is called in a message."""
        return f"base row {self.base_row(row)}"

    def query_place(self, row: int) -> str:
        """What a query is called in a message."""
        return f"queries row {self.query_row(row)}"

    @property
    def n(self) -> int:
        """Rows of the base that count."""
        return int(self.base.shape[0])

    @property
    def query_count(self) -> int:
        """Number of queries."""
        return int(self.queries.shape[0])
