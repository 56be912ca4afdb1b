"""What an algorithm says about the points a config asks of it; runs in the interpreter that will run the algorithm."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from annbench.algorithms.base import Params, PointContext
from annbench.algorithms.registry import LoadedAlgorithm, load_algorithm
from annbench.errors import AnnbenchError, UnknownNameError


def describe_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Check one build with its searches, over `context`'s vectors; the estimate is of `most` of them, if that is given.
    Files that parameters name are found from `called_from`, by default this process' folder.

    The answer has the algorithm's facts, the parameters with all defaults filled in, an estimate per search, or
    `error` with the part it is about: `algorithm`, `build`, or `search` with `index`. Of the build's parameters `build`
    is what identifies a point, `params` what a worker in another folder is given.
    """
    try:
        loaded = load_algorithm(entry["algorithm"], Path(entry["base_dir"]))
        loaded.cls.import_library()
    except AnnbenchError as error:
        place = f"{error.where}: " if error.where else ""
        return {"error": place + error.message, "remedy": error.remedy, "part": "algorithm"}
    build, problem = _validated(loaded, loaded.cls.BuildParams, entry["build"])
    if problem:
        return {**problem, "part": "build"}
    context = PointContext(**entry["context"])
    searches = []
    for index, raw in enumerate(entry["searches"]):
        search, problem = _validated(loaded, loaded.cls.SearchParams, raw)
        reason = None if problem else loaded.cls.check(context, build, search)
        if reason:
            remedy = "correct it, or leave such points out with `constraints:`"
            problem = {"error": reason, "remedy": remedy}
        if problem:
            return {**problem, "part": "search", "index": index}
        assert search is not None
        cost = loaded.cls.estimate(replace(context, n=entry.get("most", context.n)), build, search)
        searches.append({"search": search.model_dump(mode="json"), "cost": cost and asdict(cost)})
    assert build is not None
    located = loaded.cls.located(context, build, Path(entry.get("called_from", ".")))
    return {
        "name": loaded.name,
        "source_sha256": loaded.source_sha256,
        "library_versions": loaded.library_versions,
        "python": platform.python_version(),
        "can_save": loaded.cls.can_save,
        "varies": loaded.cls.random_build or loaded.cls.seed_parameter is not None,
        "metrics": sorted(loaded.cls.metrics),
        "cannot_update": loaded.cls.cannot_update(build),
        "known_limits": list(loaded.cls.known_limits),
        "build": loaded.cls.identity(located).model_dump(mode="json"),
        "params": located.model_dump(mode="json"),
        "searches": searches,
    }


def _validated(
    loaded: LoadedAlgorithm, model: type[Params], raw: Mapping[str, Any]
) -> tuple[Params | None, dict[str, str]]:
    try:
        return model.model_validate_json(json.dumps(raw)), {}
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"])
        if first["type"] == "extra_forbidden":
            named = UnknownNameError(f"parameter of {loaded.name}", field, model.model_fields)
            return None, {"error": named.message, "remedy": named.remedy}
        if first["type"] == "missing":
            return None, {"error": f"{loaded.name} needs {field}", "remedy": f"add {field}"}
        message = first["msg"].removeprefix("Value error, ")
        at = f"{field} = {json.dumps(first['input'])}: " if field else ""
        return None, {"error": f"{at}{message}", "remedy": f"see the parameters of {loaded.name}"}
