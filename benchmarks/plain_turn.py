"""Gives a plain script its turn among annbench's own points, so that the two are measured alternately.

`configure` runs the script as a fresh process on the worker's core; the script measures itself, knows nothing
of annbench, and its figures come back as counters. The times that annbench takes of this adapter mean
nothing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from annbench.algorithms.base import Algorithm, Ids, Params, Vectors
from annbench.datasets.info import Metric


class TurnBuild(Params):
    """Absolute paths of the script and of the dataset it reads by itself."""

    script: str
    dataset: str


class TurnSearch(Params):
    """The script's one search parameter."""

    value: int


class PlainTurn(Algorithm):
    """A script with `build DATASET INDEX` and `search DATASET INDEX VALUE IDS`."""

    BuildParams = TurnBuild
    SearchParams = TurnSearch
    metrics = frozenset({"euclidean", "cosine"})

    def build(self, base: Vectors, metric: Metric, params: TurnBuild, threads: int) -> None:
        """Let the script build from the file; `base` is not passed on."""
        with tempfile.NamedTemporaryFile(delete=False) as file:
            self._built = Path(file.name)
        _run(params.script, "build", params.dataset, str(self._built))

    def save(self, folder: Path) -> None:
        """Move the script's index to where the search will find it."""
        shutil.move(self._built, folder / "index")

    def load(self, folder: Path, metric: Metric, dim: int, params: TurnBuild) -> None:
        """Remember where the index is: each run of the script loads it."""
        self._folder, self._params = folder, params

    def configure(self, params: TurnSearch, threads: int) -> None:
        """The turn itself, outside everything that annbench times."""
        with tempfile.TemporaryDirectory() as folder:
            ids = Path(folder) / "ids.npy"
            output = _run(
                self._params.script, "search", self._params.dataset, str(self._folder / "index"),
                str(params.value), str(ids),
            )  # fmt: skip
            self._ids: Ids = np.load(ids, allow_pickle=False)
        self._figures = {name: int(value) for name, value in json.loads(output).items()}

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """What the script found."""
        return self._ids

    def counters(self) -> Mapping[str, int]:
        """What the script measured."""
        return self._figures


def _run(*arguments: Any) -> str:
    return subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
