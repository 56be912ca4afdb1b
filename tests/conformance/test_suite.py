"""The suite itself: an adapter that keeps the contract passes, and each way to break it is found by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from annbench.errors import UnknownNameError
from annbench.testing import CHECKS, NonConformanceError, cases_of, check_adapter, run_check

HERE = Path(__file__).parent
FILE = "misbehaving_adapters.py"


def test_what_keeps_the_contract_passes() -> None:
    check_adapter(f"{FILE}:Exact", HERE)


@pytest.mark.parametrize(
    ("name", "check", "message"),
    [
        ("WrongMetric", "right_neighbours", "recall"),
        pytest.param("OffByOne", "right_neighbours", "recall", marks=pytest.mark.fault(22)),
        pytest.param("Twice", "right_neighbours", "recall", marks=pytest.mark.fault(22)),
        pytest.param("Floats", "right_neighbours", "returned an array of float32", marks=pytest.mark.fault(22)),
        pytest.param("TooMany", "right_neighbours", "returned shape", marks=pytest.mark.fault(22)),
        ("RepeatsToPad", "padding", "with n=1 and k=10 returned"),
        ("FailsOnNothing", "no_queries", "need at least one array"),
        ("KeepsAView", "inputs_untouched", "keeps a view of the base"),
        ("ScalesInPlace", "inputs_untouched", "changes the queries"),
        ("Unseeded", "same_bytes", "gave other bytes"),
        ("ForgetsHalf", "round_trip", "loaded, it gives other ids"),
        ("ForgetsHalf", "stands_alone_in_one_thread", "in another process"),
        ("SharedScratch", "concurrent_clients", "answers differ"),
        ("TwoThreads", "stands_alone_in_one_thread", "threads at work|CPU"),
        ("TakesAnything", "nonsense_is_refused", "effort=-1 is accepted"),
        ("OverflowsInt32", "integers_in_many_dimensions", "dim=33026"),
        ("ExcusesWhatItCan", "padding", "is out of date"),
        ("ExcusesInOtherWords", "padding", "is none of known_limits"),
    ],
)
def test_each_way_to_break_it_is_found(name: str, check: str, message: str) -> None:
    (case,) = cases_of(f"{FILE}:{name}", HERE)
    with pytest.raises(Exception, match=message):
        run_check(check, case)


def test_all_problems_are_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHECKS.keys() - {"right_neighbours", "padding"}:
        monkeypatch.delitem(CHECKS, name)
    with pytest.raises(NonConformanceError) as found:
        check_adapter(f"{FILE}:Floats", HERE)
    first, *rest = str(found.value).splitlines()
    assert first == f"{FILE}:Floats fails 2 checks"
    assert [line.split(": ")[1] for line in rest] == ["right_neighbours", "padding"]
    with pytest.raises(NonConformanceError, match="checks that do not exist: paddin"):
        check_adapter(f"{FILE}:ExcusesWhatNobodyAsks", HERE)
    with pytest.raises(UnknownNameError):
        check_adapter("hnswlb")
