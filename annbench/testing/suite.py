"""All checks, and how they are run over an adapter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from annbench.testing import answers, hard_data, indexes
from annbench.testing.case import Case, NonConformanceError, cases_of, require
from annbench.testing.fresh_process import stands_alone_in_one_thread

__all__ = ["CHECKS", "NonConformanceError", "cases_of", "check_adapter", "run_check"]

Check = Callable[[Case], None]

CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        answers.right_neighbours,
        answers.order_of_metric,
        answers.padding,
        answers.no_queries,
        answers.odd_dimensions,
        answers.nonsense_is_refused,
        answers.layouts_of_queries,
        answers.concurrent_clients,
        indexes.inputs_untouched,
        indexes.round_trip,
        indexes.same_bytes,
        hard_data.all_vectors_equal,
        hard_data.half_the_vectors_repeat,
        hard_data.zero_vectors,
        hard_data.ends_of_float32,
        hard_data.integers_in_many_dimensions,
        stands_alone_in_one_thread,
    )
}


def run_check(name: str, case: Case) -> None:
    """One check of one case. Raises NonConformanceError, or whatever the adapter raised.

    A check among the trial's exceptions must fail, and the exception must quote one of the adapter's `known_limits`.
    """
    exceptions = case.trial.exceptions
    limit = exceptions.get(f"{name}:{case.metric}", exceptions.get(name))
    if limit is None:
        CHECKS[name](case)
        return
    require(limit in case.cls.known_limits, f"{name}: the exception {limit!r} is none of known_limits")
    try:
        CHECKS[name](case)
    except Exception:
        return
    raise NonConformanceError(f"{name}: passes, so that the exception {limit!r} is out of date")


def check_adapter(spec: str, base_dir: Path = Path()) -> None:
    """Run every check over every trial of an adapter under each of its metrics.

    `spec` is what a config would say: a registered name, an entry point, or `file.py:Class` below `base_dir`. Raises
    NonConformanceError that lists all that failed, and what `load_algorithm` raises.
    """
    problems = []
    for case in cases_of(spec, base_dir):
        unknown = {name.partition(":")[0] for name in case.trial.exceptions} - CHECKS.keys()
        if unknown:
            problems.append(f"{case}: exceptions to checks that do not exist: {', '.join(sorted(unknown))}")
        for name in CHECKS:
            try:
                run_check(name, case)
            except Exception as error:
                kind = "" if isinstance(error, NonConformanceError) else f"{type(error).__name__}: "
                problems.append(f"{case}: {name}: {kind}{error}")
    if problems:
        raise NonConformanceError("\n".join([f"{spec} fails {len(problems)} checks", *problems]))
