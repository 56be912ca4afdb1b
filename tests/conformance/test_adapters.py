"""Every registered adapter passes every check of annbench.testing: a line in the registry buys them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from annbench.algorithms import registry
from annbench.errors import MissingLibraryError
from annbench.testing import CHECKS, cases_of, run_check
from annbench.testing.case import Case

FAULTS: dict[str, tuple[int, ...]] = {
    "padding": (18, 19),
    "no_queries": (19,),
    "odd_dimensions": (19,),
    "nonsense_is_refused": (18,),
    "layouts_of_queries": (20,),
    "all_vectors_equal": (17,),
    "half_the_vectors_repeat": (17,),
    "zero_vectors": (16,),
    "ends_of_float32": (15,),
    "integers_in_many_dimensions": (21,),
    "concurrent_clients": (34,),
}
ABSENT: dict[str, str] = {}
CASES: list[Case] = []
for registered in sorted(registry.ALGORITHMS):
    try:
        CASES += cases_of(registered)
    except MissingLibraryError as error:
        ABSENT[registered] = str(error)


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    with threadpool_limits(limits=None):
        yield


@pytest.mark.parametrize(
    ("case", "check"),
    [
        pytest.param(
            case, name, id=f"{case}-{name}", marks=[pytest.mark.fault(*FAULTS[name])] if name in FAULTS else []
        )
        for case in CASES
        for name in CHECKS
    ],
)
def test_conforms(case: Case, check: str) -> None:
    run_check(check, case)


def test_every_registered_algorithm_is_tried_under_all_its_metrics() -> None:
    tried = {(case.spec, case.metric) for case in CASES}
    for name in registry.ALGORITHMS.keys() - ABSENT.keys():
        cls = registry.load_algorithm(name, Path()).cls
        assert {metric for spec, metric in tried if spec == name} == cls.metrics
    required = {"bruteforce", "hnswlib", "null"}
    assert not any(name in required or name.startswith("faiss") for name in ABSENT)
    assert set(FAULTS) <= CHECKS.keys()


def test_names_what_is_not_installed() -> None:
    if ABSENT:
        pytest.skip("; ".join(ABSENT.values()))


def test_exceptions_quote_a_known_limit_and_name_a_check() -> None:
    for case in CASES:
        for name, limit in case.trial.exceptions.items():
            check, _, metric = name.partition(":")
            assert check in CHECKS
            assert metric in {"", *case.cls.metrics}
            assert limit in case.cls.known_limits
