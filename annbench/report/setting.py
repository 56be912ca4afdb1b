"""A setting: what is held fixed when points are compared with each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from annbench.datasets.info import DEFAULT_QUERY_SET
from annbench.results.frame import OVERHEAD_ALGORITHM

SETTING_COLUMNS = (
    "dataset",
    "dataset_sha256",
    "query_set",
    "queries",
    "task",
    "k",
    "mode",
    "threads",
    "machine_id",
)
_MODE_ORDER = {"single": 0, "batch": 1}


@dataclass(frozen=True)
class Setting:
    """One dataset, query set, k, mode, thread count and machine, with the contenders measured there.

    `points` has the usable points only (rows of `points_frame`, renumbered); the overhead adapter is no
    contender. `title` tells settings of one report apart; `slug` is safe as a file name and unique in the
    report.
    """

    title: str
    slug: str
    dataset: str
    query_set: str
    k: int
    mode: str
    threads: int
    metric: str
    n: int
    dim: int
    points: pd.DataFrame

    @property
    def algorithms(self) -> list[str]:
        """Names of the contenders with a usable point, sorted."""
        return sorted(set(self.points["algorithm"]))

    def as_json(self) -> dict[str, Any]:
        """What is held fixed, JSON types only."""
        names = ("title", "dataset", "query_set", "k", "mode", "threads", "metric", "n", "dim")
        return {name: getattr(self, name) for name in names}


def settings_of(points: pd.DataFrame) -> list[Setting]:
    """The settings in `points` (of `points_frame`), by dataset, query set, k, mode and threads.

    A setting in which every point failed is listed too, with no points: its answer is that nothing was
    measured.
    """
    contenders = points[points["algorithm"] != OVERHEAD_ALGORITHM]
    groups = list(contenders.groupby(list(SETTING_COLUMNS), sort=False))
    keys: list[dict[str, Any]] = [dict(zip(SETTING_COLUMNS, key, strict=True)) for key, _ in groups]
    shared = {name: len({key[name] for key in keys}) <= 1 for name in SETTING_COLUMNS}
    several_files = len({k["dataset"] for k in keys}) < len({k["dataset_sha256"] for k in keys})
    slugs: set[str] = set()
    settings = []
    for key, rows in sorted(zip(keys, (g for _, g in groups), strict=True), key=lambda pair: _order(pair[0])):
        title = _title(key, shared, several_files)
        slug = _unique(slugify(title), slugs)
        usable = rows[rows["usable"].to_numpy(dtype=bool)].reset_index(drop=True)
        facts = {name: rows[name].iloc[0] for name in ("metric", "n", "dim")}
        settings.append(
            Setting(
                title=title,
                slug=slug,
                dataset=key["dataset"],
                query_set=key["query_set"],
                k=int(key["k"]),
                mode=key["mode"],
                threads=int(key["threads"]),
                metric=facts["metric"],
                n=int(facts["n"]),
                dim=int(facts["dim"]),
                points=usable,
            )
        )
    return settings


def slugify(text: str) -> str:
    """`text` as a file name: letters, digits, `-._`, no leading dot, at most 100 characters."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:100] or "setting"


def _unique(slug: str, taken: set[str]) -> str:
    number, candidate = 2, slug
    while candidate in taken:
        candidate, number = f"{slug}-{number}", number + 1
    taken.add(candidate)
    return candidate


def _order(key: dict[str, Any]) -> tuple[Any, ...]:
    mode = (_MODE_ORDER.get(key["mode"], 2), key["mode"])
    return (
        key["dataset"],
        (key["query_set"] != DEFAULT_QUERY_SET, key["query_set"]),  # the other sets are read against it
        int(key["k"]),
        mode,
        int(key["threads"]),
        *map(str, key.values()),
    )


def _title(key: dict[str, Any], shared: dict[str, bool], several_files: bool) -> str:
    parts: Iterable[str] = (
        key["dataset"] + (f" ({key['dataset_sha256'][:8]})" if several_files else ""),
        "" if key["query_set"] == "test" and shared["query_set"] else f"queries {key['query_set']}",
        "" if shared["queries"] else f"{key['queries']} queries",
        "" if key["task"] == "knn" else key["task"],
        f"k = {key['k']}",
        key["mode"],
        f"{key['threads']} thread{'s' * (key['threads'] != 1)}",
        "" if shared["machine_id"] else f"machine {key['machine_id']}",
    )
    return " · ".join(part for part in parts if part)
