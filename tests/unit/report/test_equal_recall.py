import pytest
from synthetic_records import make_record

from annbench.report.equal_recall import equal_recall
from annbench.results.frame import points_frame, records_frame


def rows_at(target, *records, budget=None):
    return equal_recall(points_frame(records_frame(records)), targets=[target], budget=budget)[target]


def point(algorithm, recall, qps, **more):
    return make_record(algorithm=algorithm, recall=recall, qps=qps, search={"ef": int(recall * 1e6)}, **more)


RECORDS = (
    point("a", 0.8, 4000, float32_ratio=0.2),
    point("a", 0.95, 1000, float32_ratio=0.2, verdict="suspect", reasons=("swap",)),
    point("b", 0.97, 3000, float32_ratio=1.2),
    point("c", 0.7, 99999, float32_ratio=0.1),
)


def test_rows_are_ranked_and_marked():
    rows = rows_at(0.9, *RECORDS)
    assert [(r.algorithm, r.place.kind, r.fastest, r.suspect) for r in rows] == [
        ("b", "at_least", True, False),
        ("a", "interpolated", False, True),
        ("c", "not_reached", False, False),
    ]
    assert [r.cells()["qps"] for r in rows] == ["≥3,000", "≈2,000", "not reached"]
    assert rows[1].between == ("ef=800000", "ef=950000")


def test_a_budget_leaves_larger_indexes_out():
    rows = rows_at(0.9, *RECORDS, budget=0.25)
    assert [r.algorithm for r in rows] == ["a", "c"]
    assert rows[0].fastest


def test_nobody_is_fastest_where_nobody_arrives():
    assert not any(r.fastest for r in rows_at(0.99, *RECORDS))


def test_bytes_and_build_are_of_the_same_place():
    cells = rows_at(0.9, *RECORDS[:2])[0].cells()
    assert cells["build"] == "10.0"
    assert cells["bytes"].endswith("(0.20×)")
    assert cells["p99"] == "1,000"  # 2 × mean latency of 500 and 2,000 µs, half-way in log
    assert cells["interval"].startswith("[")


def test_batch_points_have_no_p99():
    (row,) = rows_at(0.9, point("a", 0.95, 10, mode="batch"))
    assert row.cells()["p99"] == "–"
    assert row.place.values["qps"] == pytest.approx(10)
