"""Which measured points are the same codes with and without a finer copy to rerank with.

Every adapter says it in its own library's words: our composed index and rabitqlib-like ones by a parameter, faiss by
`refine` and `k_factor`, its factory strings by `RFlat` and `k_factor_rf`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

_FACTORY_REFINE = re.compile(r",(RFlat|Refine\((.+)\))$")
_FACTORY_DEPTH = re.compile(r"(?:^|[ ,]+)k_factor_rf=([0-9.eE+]+)")


@dataclass(frozen=True)
class Codes:
    """What a point searched: `key` is the same for the same codes searched alike, whatever reranked them.

    `rerank` names the finer copy (`float32`, `SQ8`), None without one; `depth` is how many candidates it scored.
    """

    key: str
    rerank: str | None
    depth: int | None


def codes_of(row: Mapping[Any, Any]) -> Codes:
    """The codes of a row of `points_frame`; parameters that are not set do not tell two points apart."""
    parameters = {
        str(name): value
        for name, value in row.items()
        if str(name).startswith(("build.", "search.")) and not _missing(value)
    }
    rerank, depth = _taken_out(parameters, int(row["k"]))
    key = json.dumps([row["algorithm"], sorted(parameters.items())], default=str)
    return Codes(key, rerank, depth if rerank is not None else None)


def _taken_out(parameters: dict[str, Any], k: int) -> tuple[str | None, int | None]:
    """The finer copy and its depth, removed from `parameters`."""
    kinds = [
        parameters.pop(name) for name in ("build.rerank", "build.rerank.kind", "build.refine") if name in parameters
    ]
    details = [
        f"{name.rpartition('.')[2]}={parameters.pop(name)}"
        for name in sorted(parameters)
        if name.startswith("build.rerank.")
    ]
    depth = parameters.pop("search.rerank_k", None)
    factor = parameters.pop("search.k_factor", None)
    if "build.factory" in parameters:
        parameters["build.factory"], refine = _without_refine(str(parameters["build.factory"]))
        kinds += [refine] if refine else []
        text, found = _without_depth(str(parameters.get("search.parameters", "")))
        parameters["search.parameters"] = text
        factor = found if found is not None else factor
    kind = next((str(kind) for kind in kinds if str(kind) != "none"), None)
    if kind is None:
        return None, None
    name = " ".join([{"Flat": "float32", "SQfp16": "float16"}.get(kind, kind), *details])
    return name, int(depth) if depth is not None else round(k * float(factor if factor is not None else 1))


def _without_refine(factory: str) -> tuple[str, str | None]:
    match = _FACTORY_REFINE.search(factory)
    return (factory, None) if match is None else (factory[: match.start()], match.group(2) or "Flat")


def _without_depth(parameters: str) -> tuple[str, float | None]:
    match = _FACTORY_DEPTH.search(parameters)
    if match is None:
        return parameters, None
    return (parameters[: match.start()] + parameters[match.end() :]).strip(" ,"), float(match.group(1))


def _missing(value: Any) -> bool:
    return value is None or value == "" or bool(pd.isna(value))
