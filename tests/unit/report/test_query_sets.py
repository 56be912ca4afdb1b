"""What the report says of other queries, on records whose figures are known."""

from __future__ import annotations

import json
from typing import Any

import pytest
from synthetic_records import make_record

from annbench.errors import UnknownNameError
from annbench.report.content import report_content
from annbench.report.html import html_report
from annbench.report.markdown import markdown_report
from annbench.report.query_sets import query_set_shifts
from annbench.report.select import select_records
from annbench.results.frame import points_frame, records_frame
from annbench.results.schema import Record


def record(algorithm: str, ef: int, query_set: str, recall: float, qps: float, **more: Any) -> Record:
    made = make_record()
    assert made.recall is not None
    assert made.time is not None
    return made.model_copy(
        update={
            "key": made.key.model_copy(
                update={
                    "algorithm": algorithm, "build": {"M": 8}, "search": {"ef": ef}, "query_set": query_set,
                    "mode": "batch", "queries": 100 if query_set == "test" else 70, **more,
                }
            ),
            "recall": made.recall.model_copy(update={"recall_at_k": recall}),
            "time": made.time.model_copy(update={"qps_best": qps}),
        }
    )  # fmt: skip


def both() -> list[Record]:
    """An index that loses recall and needs about four times the effort on the other queries."""
    test = [(10, 0.90, 8000.0), (20, 0.95, 4000.0), (40, 0.99, 2000.0)]
    ood = [(10, 0.70, 8000.0), (20, 0.80, 4000.0), (40, 0.90, 2000.0), (80, 0.95, 1000.0)]
    return [record("hnswlib", ef, "test", recall, qps) for ef, recall, qps in test] + [
        record("hnswlib", ef, "ood", recall, qps) for ef, recall, qps in ood
    ]


def test_recall_is_of_one_configuration_and_qps_of_equal_recall() -> None:
    (shift,) = query_set_shifts(points_frame(records_frame(both())))
    assert (shift.reference_set, shift.other_set) == ("test", "ood")
    first, second, third = shift.rows
    assert first.configuration == "M=8 · ef=10"
    assert (first.recall_reference, first.recall_other) == (0.90, 0.70)
    assert first.recall_change == pytest.approx(-0.2)
    assert first.qps_ratio == pytest.approx(2000 / 8000)  # 0.90 is ef=10 on the one, ef=40 on the other
    assert second.qps_ratio == pytest.approx(1000 / 4000)
    assert third.recall_reference == 0.99
    assert third.recall_other == 0.90
    assert third.qps_ratio is None  # the other queries never get there
    assert third.cells()["qps_other"] == "–"
    assert first.cells()["recall_change"] == "−0.2000"


def test_without_a_pair_nothing_is_compared() -> None:
    alone = [one for one in both() if one.key.query_set == "ood"]
    assert query_set_shifts(points_frame(records_frame(alone))) == []
    other_machine = [
        one.model_copy(update={"key": one.key.model_copy(update={"machine_id": "elsewhere"})}) for one in alone
    ]
    mine = [one for one in both() if one.key.query_set == "test"]
    assert query_set_shifts(points_frame(records_frame([*mine, *other_machine]))) == []


def test_a_target_nobody_reaches_takes_the_nearest() -> None:
    low = [record("ivf", 1, "test", 0.5, 100.0), record("ivf", 1, "ood", 0.4, 100.0)]
    (shift,) = query_set_shifts(points_frame(records_frame(low)))
    assert all(not row.reached for row in shift.rows)
    assert shift.rows[0].recall_other == 0.4


def test_every_form_of_the_report_says_it() -> None:
    content = report_content(both(), title="two sets")
    assert [setting.query_set for setting in content.settings] == ["test", "ood"]  # the usual one first
    text = markdown_report(content, {})
    assert "## Other queries" in text
    assert "| 0.90 | **hnswlib** | M=8 · ef=10 | 0.9000 | 0.7000 | −0.2000 | 8,000 | 2,000 | 0.25× |" in text
    page = html_report(content)
    assert 'id="query-sets"' in page
    assert "−0.2000" in page
    shifts = json.loads(json.dumps([shift.as_json() for shift in content.shifts], allow_nan=False))
    assert shifts[0]["rows"][0]["qps_ratio"] == pytest.approx(0.25)
    single = report_content([one for one in both() if one.key.query_set == "test"], title="one set")
    assert "Other queries" not in markdown_report(single, {})
    assert 'id="query-sets"' not in html_report(single)


def test_query_sets_are_chosen_by_name() -> None:
    assert {one.key.query_set for one in select_records(both(), query_sets=["ood"])} == {"ood"}
    with pytest.raises(UnknownNameError, match="ood"):
        select_records(both(), query_sets=["odd"])
