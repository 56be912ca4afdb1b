"""Examines a dataset file: `examine_dataset` starts the child process that opens it (`annbench.doctor.examining`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from annbench.datasets.child import run_child
from annbench.datasets.inspect import safe_name
from annbench.datasets.library import ENDINGS, data_dir, resolve
from annbench.doctor.model import Diagnosis

DEFAULT_SAMPLE = 1000
DEFAULT_K = 10
# A file that keeps the child busy for longer than any sound one would is not waited for.
_BASE_TIMEOUT_SECONDS = 600.0
_SLOWEST_BYTES_PER_SECOND = 2e6
_SECONDS_PER_SAMPLED_BYTE = 2e-8


class ExamineRequest(BaseModel):
    """What is to be examined. `query_sets` restricts which are; all of them if empty. `sample` bounds the rows of the
    base and the queries of each set that neighbours are searched for, `seed` draws them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    name: str
    query_sets: tuple[str, ...] = ()
    sample: int = Field(default=DEFAULT_SAMPLE, ge=1)
    seed: int = Field(default=42, ge=0)
    k: int = Field(default=DEFAULT_K, ge=1, le=1000)
    threads: int = Field(default=1, ge=1)


def examine_dataset(
    name_or_path: str,
    *,
    folder: Path | None = None,
    query_sets: tuple[str, ...] = (),
    sample: int = DEFAULT_SAMPLE,
    seed: int = 42,
    k: int = DEFAULT_K,
    threads: int | None = None,
    on_progress: Callable[[str, float], None] | None = None,
) -> Diagnosis:
    """Everything `annbench doctor` says of a dataset, by name or path; `folder` is the data folder.

    Unlike `find_dataset` it goes on at bad values, and tells them all. `on_progress` is told the phase and the
    fraction done of it. Raises UnknownNameError for an unknown dataset or query set, and DatasetError for a file whose
    structure cannot be understood.
    """
    path = resolve(name_or_path, data_dir(folder))
    request = ExamineRequest(
        path=path,
        name=safe_name(path) if name_or_path.lower().endswith(ENDINGS) else name_or_path,
        query_sets=query_sets,
        sample=sample,
        seed=seed,
        k=k,
        threads=threads or _processors(),
    )

    def progress(fields: dict[str, Any]) -> None:
        if on_progress is not None:
            on_progress(str(fields["phase"]), float(fields["fraction"]))

    answer = run_child(
        "annbench.doctor.examining",
        [],
        where=str(path),
        request=request.model_dump_json(),
        threads=request.threads,
        timeout_seconds=_patience(path.stat().st_size, sample),
        on_progress=progress,
    )
    return Diagnosis.model_validate(answer)


def _patience(file_bytes: int, sample: int) -> float:
    """Seconds after which something must be wrong: reading, and the search for every sampled point."""
    return (
        _BASE_TIMEOUT_SECONDS + file_bytes / _SLOWEST_BYTES_PER_SECOND + file_bytes * sample * _SECONDS_PER_SAMPLED_BYTE
    )


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
