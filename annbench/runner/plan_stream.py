"""The runbook that a config asks for, over one dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annbench.config.load import LoadedConfig
from annbench.config.streaming import Generate
from annbench.datasets.info import DatasetInfo
from annbench.datasets.runbook import Runbook, load_runbook, runbook_names
from annbench.datasets.runbook_making import make_runbook
from annbench.errors import AnnbenchError, ConfigError, DatasetError, UnknownNameError


@dataclass(frozen=True)
class PlannedStream:
    """A checked runbook, how its steps are measured, and `config`: what asks for it from any folder."""

    runbook: Runbook
    title: str
    update_batch: int | None
    index_bytes: bool
    config: dict[str, Any]

    def key(self) -> dict[str, Any]:
        """What identifies it."""
        return {
            "runbook_sha256": self.runbook.digest,
            "update_batch": self.update_batch,
            "index_bytes": self.index_bytes,
        }

    def request(self) -> dict[str, Any]:
        """What a worker must know of it, in JSON types."""
        runbook = self.runbook.model_dump(mode="json")
        return {"runbook": runbook, "update_batch": self.update_batch, "index_bytes": self.index_bytes}


def plan_stream(loaded: LoadedConfig, dataset: DatasetInfo) -> PlannedStream | None:
    """The runbook over `dataset`, or None if the config has none. Raises ConfigError and DatasetError, naming line and
    step.
    """
    asked = loaded.config.streaming
    if asked is None:
        return None
    config = asked.model_dump(mode="json", exclude_defaults=True)
    if asked.generate is not None:
        where = loaded.where("streaming", "generate")
        runbook, title = _made(asked.generate, dataset, where), _title(asked.generate)
        config["generate"] = asked.generate.model_dump(mode="json", exclude_none=True)
    else:
        path = loaded.path.absolute().parent / Path(str(asked.runbook)).expanduser()
        where = str(path)
        section = asked.section or _only_section(path, dataset.name, loaded.where("streaming", "runbook"))
        runbook, title = load_runbook(path, section), f"{path.stem}: {section}"
        config |= {"runbook": str(path), "section": section}
    runbook.check_rows(dataset.n, where)
    if not runbook.searches:
        raise DatasetError("it never searches: nothing would be measured", where=where, remedy="add a search step")
    return PlannedStream(runbook, title, asked.update_batch, asked.index_bytes, config)


def _made(asked: Generate, dataset: DatasetInfo, where: str) -> Runbook:
    rows = dataset.n if asked.rows is None else asked.rows
    if rows > dataset.n:
        raise ConfigError(
            f"rows={rows:,} exceeds the {dataset.n:,} that {dataset.name} has",
            where=where,
            remedy="lower it, or leave it out for all",
        )
    try:
        return make_runbook(asked.kind, dataset.name, rows, asked.parts, asked.share, asked.seed)
    except AnnbenchError as error:
        raise ConfigError(error.message, where=where, remedy=error.remedy) from error


def _title(asked: Generate) -> str:
    seed = "" if asked.kind == "sliding-window" else f", seed {asked.seed}"
    return f"{asked.kind}: {asked.parts} parts, share {asked.share:g}{seed}"


def _only_section(path: Path, dataset: str, where: str) -> str:
    """The runbook of a file that has one for this dataset, or one at all: names of datasets differ between projects."""
    names = runbook_names(path)
    if dataset in names or len(names) == 1:
        return dataset if dataset in names else names[0]
    raise UnknownNameError("dataset", dataset, names, where=where, remedy="; name the one to use with section:")
