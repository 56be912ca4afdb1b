"""The configuration of a run, as pydantic models: frozen, strict, and nothing unknown accepted.

The smallest useful file:

    dataset: wordnet-minilm-384-angular
    algorithms:
      - algorithm: hnswlib
        build: {M: 16, ef_construction: 200}
        search: {ef: [10, 20, 40, 80]}

Wherever a parameter has a list, each of its values is tried; the grid is their product. To pass a list as one value,
write a list of lists.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from annbench.config.base import Model as Model
from annbench.config.streaming import Streaming

_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def parse_bytes(value: object) -> object:
    """`"8GiB"` → 8589934592; numbers pass. Raises ValueError for anything else."""
    return int(_with_unit(value, _BYTES, "8GiB or 500MB")) if isinstance(value, str) else value


def parse_seconds(value: object) -> object:
    """`"10min"` → 600.0; numbers (seconds) pass. Raises ValueError for anything else."""
    return _with_unit(value, _SECONDS, "90s, 10min or 2h") if isinstance(value, str) else value


def _with_unit(text: str, units: dict[str, float] | dict[str, int], example: str) -> float:
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]+)\s*", text)
    if match is None or match.group(2).lower() not in units:
        raise ValueError(f"{text!r} is not understood; write it like {example}")
    number = float(match.group(1)) * units[match.group(2).lower()]
    if not math.isfinite(number):
        raise ValueError("that is too much")
    return number


def parse_mode(value: object) -> object:
    """One spelling for a mode: `single`, `batch` or `clients:N`; `{clients: 4}` and `clients: 4` are accepted."""
    if isinstance(value, dict) and list(value) == ["clients"]:
        value = f"clients:{value['clients']}"
    if not isinstance(value, str):
        raise ValueError("a mode is single, batch, or clients: N")
    mode = value.replace(" ", "")
    if mode not in ("single", "batch") and not re.fullmatch(r"clients:[1-9][0-9]{0,2}", mode):
        raise ValueError(f"unknown mode {value!r}; a mode is single, batch, or clients: N")
    return mode


def clients_of(mode: str) -> int | None:
    """N of `clients:N`, None for the other modes."""
    return int(mode.partition(":")[2]) if mode.startswith("clients:") else None


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0, lt=2**60)]
Seconds = Annotated[float, BeforeValidator(parse_seconds), Field(gt=0, le=1e9)]
Mode = Annotated[str, BeforeValidator(parse_mode)]
Grid = dict[str, Any]


class Measure(Model):
    """How every point is measured; the README says what each choice means."""

    modes: Annotated[tuple[Mode, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = ("single", "batch")
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    build_threads: Annotated[int, Field(ge=1, le=1024)] | None = None  # None: every core this process may use
    passes: Annotated[int, Field(ge=1, le=1000)] = 5
    warmup: Annotated[int, Field(ge=0, le=100)] = 1
    workers: Annotated[int, Field(ge=1, le=1000)] = 1  # fresh search processes per build
    queries: Annotated[int, Field(ge=1)] | None = None  # only the first so many queries; None: all
    builds: Annotated[int, Field(ge=1, le=100)] = 1  # fresh builds per configuration
    interleave: bool = False  # measure points of all builds in one shuffled block per worker
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42


class Limits(Model):
    """What a worker may use before it is stopped and its points are recorded as `oom` or `timeout`."""

    memory: Bytes | None = None  # None: 80 % of what this machine or container has
    build: Seconds = 3600.0
    point: Seconds = 600.0


class AlgorithmEntry(Model):
    """One algorithm with the grid of its parameters.

    `algorithm` is a registered name, an entry point, or `path/file.py:Class` (relative to the config file).
    `constraints` are expressions over parameters, `k`, `n` and `dim`; points that break one are left out.
    `label` tells two entries apart that would otherwise be the same thing, such as one library in two
    interpreters: `annbench compare results:old results:new`.
    """

    algorithm: Annotated[str, Field(min_length=1)]
    python: str | None = None
    build: Annotated[tuple[Grid, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = ({},)
    search: Annotated[tuple[Grid, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = ({},)
    constraints: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    label: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,39}$")] | None = None


class Figure(Model):
    """One figure of a claim, and which measured figure stands beside it.

    `of` is the label of an entry. With `against`, the label of another, the figure compares the two: recall is the
    difference, everything else how many times better `of` is. `measure: nothing` is of what cannot be measured again
    here; the claim's `reading` says why.
    """

    what: Annotated[str, Field(min_length=1)]
    claimed: Annotated[str, Field(min_length=1)]
    measure: Literal["recall", "bytes", "qps", "build_seconds", "nothing"]
    of: str | None = None
    against: str | None = None

    @model_validator(mode="after")
    def _of_something(self) -> Figure:
        if (self.of is None) != (self.measure == "nothing"):
            raise ValueError("a figure that is measured needs `of: LABEL`, and one of nothing has none")
        return self


class Claim(Model):
    """A published claim that the config measures again: what is claimed, by whom, and what a reader must know.

    `source` says where the claim was taken from: the paper's abstract, its authors' documentation, or memory
    (`recalled`: not verified against the paper).
    """

    paper: Annotated[str, Field(min_length=1)]
    says: Annotated[str, Field(min_length=1)]
    source: Literal["abstract", "documentation", "recalled"]
    ours_differs: str = ""
    reading: str = ""
    figures: Annotated[tuple[Figure, ...], Field(min_length=1)]


class Config(Model):
    """A whole run."""

    title: str = ""
    claim: Claim | None = None
    dataset: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    query_set: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = ("test",)
    task: str = "knn"
    streaming: Streaming | None = None
    k: Annotated[int, Field(ge=1, le=10_000)] = 10
    measure: Measure = Measure()
    limits: Limits = Limits()
    algorithms: Annotated[tuple[AlgorithmEntry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct_names(self) -> Config:
        for what, names in (("dataset", self.dataset), ("query set", self.query_set)):
            if len(set(names)) != len(names):
                raise ValueError(f"a {what} is named twice; name each once")
        return self

    @model_validator(mode="after")
    def _streaming_has_a_runbook(self) -> Config:
        if (self.task == "streaming") != (self.streaming is not None):
            raise ValueError("task: streaming and streaming: go together; give both or neither")
        return self

    @model_validator(mode="after")
    def _figures_are_of_entries(self) -> Config:
        labels = {entry.label for entry in self.algorithms if entry.label is not None}
        for figure in self.claim.figures if self.claim else ():
            for label in (figure.of, figure.against):
                if label is not None and label not in labels:
                    raise ValueError(f"the claim's figure {figure.what!r} is of {label!r}, which no entry has as label")
        return self
