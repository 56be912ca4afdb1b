"""What a record says would measure it again does: config → points → config of one point → the same point."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_records import make_record

from annbench.config.expand import count, expand
from annbench.config.load import load_config
from annbench.config.model import Config
from annbench.runner.plan import Plan, PlannedBuild, PlannedPoint
from annbench.runner.recording import reproduction

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    ["yes", "null", "~", "é\xa0", "0x10", "1:30", "2001-01-01", "- a", "a: b", "#", "!!int 3", "&a", "*a", "'", '"']
)  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT | st.floats(allow_nan=False, allow_infinity=False)
)
# One value of a parameter: a scalar, a list that is one value (a list in a list), or a mapping of such.
VALUES = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=3).map(lambda value: [value]),
    lambda inner: st.dictionaries(TEXT, inner | st.lists(SCALARS, min_size=1, max_size=2), max_size=2),
    max_leaves=4,
)
GRIDS = st.dictionaries(TEXT, VALUES | st.lists(SCALARS, min_size=1, max_size=3), max_size=3)
CONFIGS = st.fixed_dictionaries(
    {
        "dataset": TEXT.filter(bool),
        "k": st.integers(1, 10_000),
        "query_set": st.sampled_from(["test", "ood"]),
        "measure": st.fixed_dictionaries(
            {},
            optional={
                "modes": st.just(["single"]),
                "threads": st.integers(1, 1024),
                "passes": st.integers(1, 1000),
                "warmup": st.integers(0, 100),
                "workers": st.integers(1, 20),
                "seed": st.integers(0, 2**31 - 1),
                "queries": st.integers(1, 10**6),
            },
        ),
        "limits": st.fixed_dictionaries({}, optional={"memory": st.integers(1, 2**50), "point": st.floats(0.1, 1e6)}),
        "algorithms": st.tuples(
            st.fixed_dictionaries({"algorithm": TEXT.filter(bool), "build": GRIDS, "search": GRIDS}),
        ),
    }
)
AS_ONE_POINT = ("modes", "build_threads", "workers", "builds", "interleave")  # of one point, these are its own


def written(folder: Path, document: dict[str, Any] | str) -> Path:
    path = folder / "trial.yaml"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


@given(CONFIGS)
def test_the_config_in_a_record_is_the_point(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    config = load_config(written(folder, document)).config
    record = make_record()
    dataset = record.dataset.model_copy(update={"name": config.dataset[0]})
    (entry,) = config.algorithms
    for params in expand(entry.build[0]):
        for search in expand(entry.search[0]):
            key = record.key.model_copy(update={"mode": "single", "search": search, "query_set": config.query_set[0]})
            build = PlannedBuild(
                digest="d", dataset=dataset, dataset_ref=config.dataset[0], algorithm="x", spec=entry.algorithm,
                base_dir=folder, python=None, params=params, build_threads=3, can_save=True, unsupported=None,
                known_limits=(), points=(),
            )  # fmt: skip
            point = PlannedPoint(key, None)
            plan = Plan(config, "trial", (replace(build, points=(point,)),), 0)
            again = load_config(written(folder, reproduction(plan, build, point))).config
            assert same_but_for_the_grid(again) == same_but_for_the_grid(config)
            assert again.measure.modes == ("single",)
            assert again.measure.build_threads == 3
            assert list(expand(again.algorithms[0].build[0])) == [params]
            assert list(expand(again.algorithms[0].search[0])) == [search]


def same_but_for_the_grid(config: Config) -> dict[str, Any]:
    facts = config.model_dump()
    facts["measure"] = {name: value for name, value in facts["measure"].items() if name not in AS_ONE_POINT}
    facts["algorithms"] = [entry.algorithm for entry in config.algorithms]
    return facts


@given(GRIDS)
def test_counting_is_expanding(grid: dict[str, Any]) -> None:
    assert count(grid) == len(list(expand(grid)))
