"""What is on this machine now: the data, libraries and adapter files that stored results were measured with.

Nothing is opened or hashed again: a dataset file is known by its cached description, size and time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path

from annbench.algorithms.registry import names
from annbench.datasets.info import DatasetInfo
from annbench.datasets.inspect import recall
from annbench.datasets.library import cache_dir, resolve
from annbench.errors import AnnbenchError, DatasetError


class Present:
    """Answers about this machine, each looked up once. `data_folder` is where datasets are kept."""

    def __init__(self, *, machine_id: str, isa: str, data_folder: Path) -> None:
        self.machine_id, self.isa = machine_id, isa
        self.data = DataFiles(data_folder)
        self.version = cache(_version)
        self.source_sha256 = cache(_source_sha256)

    @cached_property
    def algorithms(self) -> frozenset[str]:
        """All registered names."""
        return frozenset(names())


class DataFiles:
    """Finds the files that hold the data of stored results; each is looked at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._recalled = cache(self._recall)
        self._candidates = cache(self._find_candidates)

    def same_as(self, measured: DatasetInfo, started_at: str) -> Path:
        """The file that holds the very data of a measurement. Raises DatasetError: it is gone, or how it differs.

        A file that nobody described since it was last written counts as the same if it has the size of then and is
        older than the measurement.
        """
        problem: DatasetError | None = None
        for path in self._candidates(measured.name, measured.path):
            found = self._difference(path, measured, started_at)
            if found is None:
                return path
            problem = problem or found
        if problem is not None:
            raise problem
        remedy = "put the file back, or get it again with `annbench data`"
        raise DatasetError("the dataset file is gone", where=measured.path, remedy=remedy)

    def _find_candidates(self, name: str, path: str) -> tuple[Path, ...]:
        def existing() -> Iterator[Path]:
            if Path(path).exists():
                yield Path(path)
            try:
                yield resolve(name, self.folder)
            except AnnbenchError:
                return  # a name that means nothing here any more

        return tuple(dict.fromkeys(existing()))

    def _difference(self, path: Path, measured: DatasetInfo, started_at: str) -> DatasetError | None:
        known, size, written_seconds = self._recalled(path)
        if known == measured.sha256:
            return None
        if known is not None:
            what = f"the dataset file changed: its SHA-256 is {known[:12]}…, and was {measured.sha256[:12]}…"
        elif size != measured.file_bytes:
            what = f"the dataset file changed: it has {size:,} bytes, and had {measured.file_bytes:,}"
        elif written_seconds > _seconds(started_at):
            what = "the dataset file was written after the measurement; `annbench data info` tells what it holds"
        else:
            return None
        return DatasetError(what, where=str(path), remedy="measure again, or put the old file back")

    def _recall(self, path: Path) -> tuple[str | None, int, float]:
        status = path.stat()
        known = recall(path, cache_dir(self.folder))
        return known.sha256 if known else None, status.st_size, status.st_mtime


def _seconds(started_at: str) -> float:
    try:
        return datetime.fromisoformat(started_at).timestamp()
    except ValueError:
        return 0.0


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: an empty name, from a strange record
        return None


def _source_sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
