"""What a dataset is, for everyone who is not reading it from a file.

`DatasetInfo` is the JSON-able description that planning, records and reports use. `Dataset` gives the vectors; it is
only ever opened in a child process, because what comes from a file is hostile until checked.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Metric = Literal["euclidean", "cosine", "ip"]
DType = Literal["float32", "float16", "int8", "uint8"]

DEFAULT_QUERY_SET = "test"


class QuerySetInfo(BaseModel):
    """One set of queries of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int
    truth_k: int  # neighbours stored per query
    learn_count: int = 0  # queries that an index may be fitted on


class DatasetInfo(BaseModel):
    """Facts about a dataset file, gathered once and cached beside it.

    `sha256` is of the whole file: it identifies the data in every result. `zero_rows` and `unit_norm` say what a metric
    must know about the base; `bytes_float32` is n·dim·4, the yardstick of every compression ratio.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: str
    sha256: str
    file_bytes: int
    metric: Metric
    dtype: DType
    n: int
    dim: int
    zero_rows: int
    unit_norm: bool
    query_sets: dict[str, QuerySetInfo]
    attributes: tuple[str, ...] = ()
    provenance: dict[str, Any] = {}

    @property
    def bytes_float32(self) -> int:
        """Size of the raw float32 base in bytes."""
        return self.n * self.dim * 4
