"""The files that a dataset is made of, and how."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from annbench.datasets.formats import vector_format
from annbench.datasets.info import Metric
from annbench.errors import UsageError

DEFAULT_MEMORY_BYTES = 1 << 30


class Parts(BaseModel):
    """`base` is a file of vectors, of which the first `limit` are used. `queries` are held out from it when None:
    `held_out` of them, by default min(1000, n // 10), drawn with `seed`. `truth` gives the nearest rows of each query,
    which are checked; without it the `k` nearest are computed, in `memory_bytes` beyond the vectors themselves. `learn`
    are queries that an index may be fitted on.

    `column` and `id_column` choose those of a Parquet file; `dimension` is the number of bits of packed rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Path
    queries: Path | None = None
    truth: Path | None = None
    learn: Path | None = None
    metric: Metric | None = None
    k: int = Field(default=100, ge=1)
    limit: int | None = Field(default=None, ge=1)
    held_out: int | None = Field(default=None, ge=1)
    seed: int = Field(default=42, ge=0)
    dimension: int | None = Field(default=None, ge=1)
    column: str | None = None
    id_column: str | None = None
    threads: int | None = Field(default=None, ge=1)
    memory_bytes: int = Field(default=DEFAULT_MEMORY_BYTES, ge=1)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is read."""
        return tuple(path for path in (self.base, self.queries, self.truth, self.learn) if path is not None)


def check_parts(parts: Parts) -> None:
    """Raise UsageError or DatasetError for what can be refused before a file is read."""
    for path in (parts.base, parts.queries, parts.learn):
        if path is not None:
            vector_format(path)
    if parts.metric is None:
        raise UsageError("vectors need a metric", remedy="give --metric cosine, euclidean, ip …")
    if parts.queries is not None and parts.held_out is not None:
        raise UsageError("--queries and --held-out exclude each other", remedy="leave out one of them")
    if parts.truth is not None and parts.queries is None:
        raise UsageError("--truth is about queries", remedy="give --queries too")
