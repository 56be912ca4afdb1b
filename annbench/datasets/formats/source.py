"""What a dataset format must offer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from annbench.datasets.formats.rows import Rows
from annbench.datasets.info import DatasetShape


@dataclass(frozen=True)
class QuerySource:
    """One query set: queries (q, dim), truth (q, K), and what may come with them."""

    test: Rows
    neighbors: Rows
    distances: Rows
    learn: Rows | None
    relevant: Rows | None


@dataclass(frozen=True)
class BaseSet:
    """The set whose base a file without vectors uses; `sha256` is what its file must have."""

    name: str
    path: Path
    sha256: str


class Source(Protocol):
    """An open dataset file whose structure has been checked."""

    shape: DatasetShape
    base: Rows
    query_sets: dict[str, QuerySource]
    base_set: BaseSet | None  # where the base comes from another file

    def close(self) -> None:
        """Close the file."""
