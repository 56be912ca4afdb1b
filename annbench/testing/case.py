"""One adapter with one of its trials under one metric."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from annbench.algorithms.base import Algorithm, Params, PointContext, Trial
from annbench.algorithms.registry import load_algorithm
from annbench.datasets.info import Metric
from annbench.distances.registry import distance_of
from annbench.metrics.ids import Ids, validate_ids
from annbench.testing.examples import Example, example

K = 10
LARGER_DIM = 98  # no multiple of 4 either


class NonConformanceError(AssertionError):
    """An adapter that does not do what the harness relies on."""


def require(condition: object, message: str) -> None:
    """Raise NonConformanceError with `message` unless `condition` holds."""
    if not condition:
        raise NonConformanceError(message)


@dataclass(frozen=True, eq=False)
class Case:
    """`spec` and `base_dir` are what a config would say; `number` counts the adapter's trials."""

    spec: str
    base_dir: Path
    cls: type[Algorithm]
    number: int
    metric: Metric

    def __str__(self) -> str:
        return f"{self.spec}[{self.number}]-{self.metric}"

    @property
    def trial(self) -> Trial:
        """With which parameters."""
        return self.cls.trials[self.number]

    @property
    def exact(self) -> bool:
        """Whether every neighbour must be found."""
        return self.trial.recall == 1

    @cached_property
    def example(self) -> Example:
        """The data that most checks use; of LARGER_DIM where the adapter takes no smaller vectors."""
        data = example(distance_of(self.metric).layout)
        refused = self.refusal(data.n, data.dim) is not None
        return self.example_of(data.n, LARGER_DIM, len(data.queries)) if refused else data

    def example_of(self, n: int, dim: int, queries: int = 20) -> Example:
        """Other data in the same layout."""
        return example(distance_of(self.metric).layout, n, dim, queries)

    @cached_property
    def adapter(self) -> Algorithm:
        """Built over `example` with one thread, and configured; checks share it and leave it as it was."""
        return self.build(self.example.base)

    def parameters(self, *, small: bool = False, seed_shift: int = 0) -> tuple[Params, Params]:
        """Build and search parameters, read as the harness reads them."""
        trial = self.trial
        build = {**trial.build, **(trial.small_build if small else {})}
        search = {**trial.search, **(trial.small_search if small else {})}
        parsed = parse(self.cls.BuildParams, build)
        seed = self.cls.seed_parameter
        if seed is not None and seed_shift:
            parsed = parsed.model_copy(update={seed: getattr(parsed, seed) + seed_shift})
        return parsed, parse(self.cls.SearchParams, search)

    def refusal(self, n: int, dim: int, *, small: bool = False) -> str | None:
        """Why the adapter says that this cannot be done, or None."""
        return self.cls.check(PointContext(n=n, dim=dim, k=K, metric=self.metric), *self.parameters(small=small))

    def build(self, base: Any, *, threads: int = 1, small: bool = False, seed_shift: int = 0) -> Algorithm:
        """A fresh adapter over `base`, configured for one search thread."""
        build, search = self.parameters(small=small, seed_shift=seed_shift)
        adapter = self.cls()
        adapter.build(base, self.metric, build, threads)
        adapter.configure(search, 1)
        return adapter

    def loaded(self, folder: Path, dim: int) -> Algorithm:
        """A fresh adapter that read `folder`."""
        build, search = self.parameters()
        adapter = self.cls()
        adapter.load(folder, self.metric, dim, build)
        adapter.configure(search, 1)
        return adapter


def parse(model: type[Params], raw: Any) -> Params:
    """Parameters as they come out of a config. Raises pydantic.ValidationError."""
    return model.model_validate_json(json.dumps(dict(raw)))


def batch(adapter: Algorithm, queries: Any, k: int = K) -> Ids:
    """Ids (q, k) of one call. Raises InvalidOutputError."""
    return validate_ids(adapter.search_batch(queries, k), len(queries), k)


def singles(adapter: Algorithm, queries: Any, k: int = K) -> Ids:
    """Ids (q, k) of a call for each query. Raises InvalidOutputError."""
    # Copied: an adapter may hand out the same memory again.
    return validate_ids([adapter.search(query, k).copy() for query in queries], len(queries), k)


def cases_of(spec: str, base_dir: Path = Path()) -> list[Case]:
    """Every trial of an adapter under each of its metrics; `spec` is a name, or `file.py:Class` below `base_dir`.

    Raises what `load_algorithm` does, MissingLibraryError included.
    """
    cls = load_algorithm(spec, base_dir).cls
    cls.import_library()
    return [
        Case(spec, base_dir, cls, number, metric)
        for number in range(len(cls.trials))
        for metric in sorted(cls.metrics)
        if distance_of(metric).served_by == metric
    ]
