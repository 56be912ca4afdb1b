"""How a run asks its children, and the cores it leaves to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from annbench.datasets.info import DatasetInfo
from annbench.runner.pinning import available_cores
from annbench.runner.protocol import Message
from annbench.runner.supervisor import Child, ChildFailedError


def answer(child: Child, kind: str, seconds: float, **fields: Any) -> Message:
    """The answer to a request; a failure that the child survived is raised like one that it did not."""
    reply = child.request(kind, seconds, **fields)
    if reply["type"] == "failed":
        raise ChildFailedError(reply["status"], reply["detail"])
    return reply


def changed(dataset: DatasetInfo) -> str:
    """What is different about a dataset's file since it was checked; empty if nothing is."""
    try:
        size = Path(dataset.path).stat().st_size
    except OSError as error:
        return f"the dataset cannot be read any more ({error.strerror}: {dataset.path})"
    return (
        ""
        if size == dataset.file_bytes
        else (
            f"the dataset changed during the run ({size:,} bytes, and {dataset.file_bytes:,} when it was checked: "
            f"{dataset.path})"
        )
    )


def search_cores(count: int) -> tuple[int, ...]:
    """The last cores: the first one serves most interrupts."""
    return tuple(available_cores()[-count:])


@contextmanager
def out_of_the_way(cores: tuple[int, ...]) -> Iterator[None]:
    """Keep this process off the cores that are being measured, if others are left and the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    everything = os.sched_getaffinity(0)
    rest = everything - set(cores)
    os.sched_setaffinity(0, rest or everything)
    try:
        yield
    finally:
        os.sched_setaffinity(0, everything)
