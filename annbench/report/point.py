"""One measured point, as the tables show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from annbench.report import formatting as fmt


@dataclass(frozen=True)
class Point:
    """A row of `points_frame` with Python types; a figure that was not measured is None."""

    point_id: str
    algorithm: str
    configuration: str  # build and search parameters, without the algorithm's name
    recall: float
    recall_low: float | None
    recall_high: float | None
    qps: float  # best pass; median over workers
    qps_low: float | None
    qps_high: float | None
    latency_p99_us: float | None
    index_bytes: float | None
    bytes_per_vector: float | None
    float32_ratio: float | None
    build_seconds: float | None
    build_threads: int
    workers: int
    libraries: str
    isa: str
    verdict: str
    verdict_reasons: str
    config_yaml: str

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Point:
        """The point in `row`, a row of `points_frame` as a mapping."""
        return cls(
            point_id=row["point_id"],
            algorithm=row["algorithm"],
            configuration=configuration_of(row["label"], row["algorithm"]),
            recall=float(row["recall_at_k"]),
            recall_low=_number(row["recall_low"]),
            recall_high=_number(row["recall_high"]),
            qps=float(row["qps_best"]),
            qps_low=_number(row["qps_low"]),
            qps_high=_number(row["qps_high"]),
            latency_p99_us=_number(row["latency_p99_us"]),
            index_bytes=_number(row["index_bytes"]),
            bytes_per_vector=_number(row["bytes_per_vector"]),
            float32_ratio=_number(row["float32_ratio"]),
            build_seconds=_number(row["build_seconds"]),
            build_threads=int(row["build_threads"]),
            workers=int(row["workers"]),
            libraries=row["libraries"],
            isa=row["isa"],
            verdict=row["verdict"],
            verdict_reasons=row["verdict_reasons"],
            config_yaml=row["config_yaml"],
        )

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self)

    def cells(self) -> dict[str, str]:
        """The figures as text, by the name of their column."""
        return {
            "recall": fmt.recall_text(self.recall),
            "interval": fmt.interval_text(self.recall_low, self.recall_high),
            "qps": fmt.significant(self.qps),
            "p99": fmt.significant(self.latency_p99_us),
            "bytes": fmt.bytes_text(self.bytes_per_vector, self.float32_ratio),
            "build": fmt.build_text(self.build_seconds, self.build_threads),
            "verdict": self.verdict,
        }


def configuration_of(label: str, algorithm: str) -> str:
    """The parameters of a record's label: all but the algorithm's name in front."""
    rest = label[len(algorithm) :] if label.startswith(algorithm) else label
    return rest.strip(" ·") or "default"


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
