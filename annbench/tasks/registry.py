"""The tasks by name. A new task is one file and one line here."""

from __future__ import annotations

from annbench.errors import UnknownNameError
from annbench.tasks.base import Task
from annbench.tasks.knn import Knn
from annbench.tasks.streaming import Streaming

TASKS: dict[str, type[Task]] = {
    "knn": Knn,
    "streaming": Streaming,
}


def load_task(name: str) -> Task:
    """The task of this name. Raises UnknownNameError with the closest ones."""
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[name]()
