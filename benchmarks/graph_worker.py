"""A process of `graph.py` that builds one index, or loads and searches it: no other library is in it, and what goes
wrong in it ends nothing else.

Requests and answers are lines of JSON on the standard streams; whatever a library prints goes to the standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from interleaved import LEAST_SECONDS, one_by_one, pin_to_one_core

from annbench.algorithms.base import Algorithm, PointContext
from annbench.algorithms.pyglass import BASE_FILE, CODE_BYTES, PyglassBuild
from annbench.algorithms.registry import load_algorithm
from annbench.metrics.ids import validate_ids
from annbench.metrics.recall import Scorer

K = 10
LOADS = 3
INDEX = "index"


def build(request: dict[str, Any]) -> dict[str, Any]:
    """Build and save as `request` says; seconds of the build, and bytes of what a search needs."""
    cls, params = _chosen(request)
    cls.import_library()
    base = np.load(request["base"])
    adapter = cls()
    if request["learn"]:
        adapter.learn(np.load(request["learn"]))
    start = time.perf_counter()
    adapter.build(base, request["metric"], params, request["threads"])
    seconds = time.perf_counter() - start
    folder = Path(request["folder"]) / INDEX
    folder.mkdir()
    adapter.save(folder)
    return {"build_seconds": seconds, "index_bytes": _index_bytes(folder, params, *base.shape)}


def _index_bytes(folder: Path, params: Any, n: int, dim: int) -> int:
    files = [path for path in folder.rglob("*") if path.is_file()]
    saved = sum(path.stat().st_size for path in files)
    if not isinstance(params, PyglassBuild):
        return saved
    # It makes its codes from the vectors whenever it loads: they are not in its files, and the vectors not in memory.
    codes = CODE_BYTES[params.quantizer] + (CODE_BYTES[params.refine_quant] if params.refine_quant else 0)
    return saved - (folder / BASE_FILE).stat().st_size + round(n * dim * codes)


class Searching:
    """A loaded index, and the requests that it answers."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._core = pin_to_one_core()
        self._cls, self._params = _chosen(request)
        self._cls.import_library()
        self._folder, self._metric = Path(request["folder"]) / INDEX, request["metric"]
        base = np.load(request["base"], mmap_mode="r")
        n, dim = base.shape
        self._context = PointContext(n, dim, K, self._metric)
        with np.load(request["asked"]) as asked:
            self._queries, truth = asked["queries"], asked["truth"]
        # The least that keeps recall exact: base vectors are read from the file, where ids are not the true ones.
        self._scorer = Scorer(self._queries, truth, K, self._metric, lambda ids: base[ids], len(base))
        self._load_seconds = sorted(self._load() for _ in range(request["loads"]))[request["loads"] // 2]

    def opened(self) -> dict[str, Any]:
        """The median of the loads."""
        return {"load_seconds": self._load_seconds, "core": self._core}

    def recall(self, search: dict[str, Any]) -> dict[str, Any]:
        """What a batch finds and, where the library counts it, what that cost a query; None for a search that makes no
        sense over this set.
        """
        params = self._cls.SearchParams.model_validate(search)
        if self._cls.check(self._context, self._params, params):
            return {"recall": None}
        self._adapter.configure(params, 1)
        self._adapter.reset_counters()
        ids = validate_ids(self._adapter.search_batch(self._queries, K), len(self._queries), K)
        costs = {name: count / len(self._queries) for name, count in self._adapter.counters().items()}
        return {"recall": self._scorer.score(ids).recall_at_k, "costs": costs}

    def seconds(self, search: dict[str, Any], mode: str, queries: int) -> dict[str, Any]:
        """Of the processor, for one query of the first `queries`."""
        self._adapter.configure(self._cls.SearchParams.model_validate(search), 1)
        asked = self._queries[:queries]
        call: Callable[[], object] = partial(self._adapter.search_batch, asked, K)
        if mode == "single":
            call = one_by_one(lambda query: self._adapter.search(query, K), asked)
        call()  # what the others have pushed out of the caches comes back
        calls, start = 0, time.process_time_ns()
        while (taken := time.process_time_ns() - start) < 1e9 * LEAST_SECONDS:
            call()
            calls += 1
        return {"seconds": taken / 1e9 / calls / len(asked)}

    def _load(self) -> float:
        self._adapter: Algorithm = self._cls()  # first, so that there are never two
        start = time.perf_counter()
        self._adapter.load(self._folder, self._metric, self._context.dim, self._params)
        return time.perf_counter() - start


def _chosen(request: dict[str, Any]) -> tuple[type[Algorithm], Any]:
    cls = load_algorithm(request["algorithm"], Path()).cls
    return cls, cls.BuildParams.model_validate_json(json.dumps(request["build"]))


def _answer(answers: TextIO, act: Callable[[], dict[str, Any]]) -> None:
    try:
        answer = act()
    except Exception as error:  # told to whoever asked, who goes on without this index
        answer = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    first = json.loads(sys.stdin.readline())
    if first["do"] == "build":
        _answer(answers, partial(build, first))
        return
    found: list[Searching] = []

    def open_index() -> dict[str, Any]:
        found.append(Searching(first))
        return found[0].opened()

    _answer(answers, open_index)
    for line in sys.stdin if found else ():
        request = json.loads(line)
        _answer(answers, partial(getattr(found[0], request.pop("do")), **request))


if __name__ == "__main__":
    main()
