"""What is known about a dataset without its vectors: what planning, records and reports use."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from annbench.distances import Metric as Metric

DType = Literal["float32", "float16", "int8", "uint8", "bits", "sets"]

DEFAULT_QUERY_SET = "test"


class QuerySetInfo(BaseModel):
    """One set of queries of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int
    truth_k: int  # neighbours stored per query
    learn_count: int = 0  # queries that an index may be fitted on


class DatasetShape(BaseModel):
    """What the structure of a file tells, before any vector is read.

    `dtype` is what the base is stored in; float64 counts as float32, which it is read as (`provenance` says
    so). `dim` counts bits where that is "bits", and the elements of the universe where it is "sets"; `elements` is
    the number of elements in all sets of the base together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: Metric
    dtype: DType
    n: int
    dim: int
    query_sets: dict[str, QuerySetInfo]
    attributes: tuple[str, ...] = ()
    provenance: dict[str, Any] = {}
    elements: int = 0

    @property
    def raw_bytes(self) -> int:
        """The yardstick of every compression ratio: the base as float32, as packed bits, or as int32 elements."""
        if self.dtype == "bits":
            return self.n * -(-self.dim // 8)
        return 4 * self.elements if self.dtype == "sets" else 4 * self.n * self.dim


class DatasetInfo(DatasetShape):
    """Facts about a dataset file whose every vector has been checked, gathered once and cached.

    `sha256` is of the whole file: it identifies the data in every result. `zero_rows` and `unit_norm` (every
    norm within 1e-3 of 1) say what a metric must know about the base.
    """

    name: str
    path: str
    sha256: str
    file_bytes: int
    zero_rows: int
    unit_norm: bool
