import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_records import example_dataset, make_record

from annbench.report.answer import WISHES, answers
from annbench.report.setting import settings_of
from annbench.results.frame import points_frame, records_frame

DATA = example_dataset(n=1000, dim=100)


def found(*points, target=0.9):
    """Answers by wish, for points (recall, qps, ratio)."""
    records = [
        make_record(search={"ef": i}, recall=r, qps=q, float32_ratio=s, dataset=DATA)
        for i, (r, q, s) in enumerate(points)
    ]
    (setting,) = settings_of(points_frame(records_frame(records)))
    return {a.wish.name: a for a in answers(setting, targets=[target])}


def test_each_wish_takes_the_right_point():
    by_wish = found((0.95, 1000, 1.2), (0.91, 100, 0.1), (0.92, 300, 0.24), (0.93, 500, 0.5), (0.89, 9000, 0.05))
    chosen = {name: (a.point.recall, a.point.qps) for name, a in by_wish.items()}
    assert chosen == {
        "fastest": (0.95, 1000),
        "smallest": (0.91, 100),
        "fastest_quarter": (0.92, 300),
        "fastest_half": (0.93, 500),
    }


def test_of_equal_sizes_the_faster_is_the_smallest():
    assert found((0.95, 100, 0.5), (0.92, 200, 0.5))["smallest"].point.qps == 200


def test_an_unknown_size_fits_no_wish_for_memory():
    by_wish = found((0.95, 1000, None), (0.93, 10, 0.9))
    assert by_wish["fastest"].point.qps == 1000
    assert by_wish["smallest"].point.qps == 10
    assert by_wish["fastest_half"].point is None


def test_recall_that_rounds_to_the_target_counts_and_less_does_not():
    assert found((0.9 - 1e-12, 10, 0.5))["fastest"].point is not None
    assert found((0.8999, 10, 0.5))["fastest"].point is None


def test_closest_miss_is_the_highest_recall_within_the_budget():
    by_wish = found((0.5, 900, 0.2), (0.85, 100, 0.2), (0.99, 50, 1.0))
    assert by_wish["fastest_quarter"].miss.recall == 0.85


def test_closest_miss_without_anything_in_budget_is_the_smallest_with_the_recall():
    by_wish = found((0.95, 100, 2.0), (0.92, 50, 0.6), (0.5, 900, 0.55))
    assert by_wish["fastest_quarter"].miss.float32_ratio == pytest.approx(0.6)


def test_suspect_points_answer_marked_and_invalid_ones_never():
    records = [
        make_record(recall=0.99, qps=9e9, verdict="invalid", reasons=("swap",), search={"ef": 1}),
        make_record(recall=0.99, qps=500, verdict="suspect", reasons=("swap",), search={"ef": 2}),
        make_record(recall=0.99, qps=100, search={"ef": 3}),
        make_record(algorithm="null", recall=0.99, qps=1e9),
    ]
    (setting,) = settings_of(points_frame(records_frame(records)))
    fastest = answers(setting)[0].point
    assert (fastest.qps, fastest.verdict, fastest.verdict_reasons) == (500, "suspect", "swap")


def test_the_answer_carries_the_config_that_reproduces_it():
    point = found((0.95, 1000, 0.2))["fastest"].point
    assert point.config_yaml == make_record(search={"ef": 0}, dataset=DATA).config_yaml
    assert found((0.95, 1000, 0.2))["fastest"].as_json()["point"]["recall"] == 0.95


def test_a_setting_where_everything_failed_has_no_answer():
    frame = points_frame(records_frame([make_record(status="oom", verdict="invalid")]))
    (setting,) = settings_of(frame)
    assert [(a.point, a.miss) for a in answers(setting)] == [(None, None)] * 12


points = st.tuples(st.floats(0.5, 1), st.floats(1, 1e6), st.one_of(st.none(), st.floats(0.02, 2)))


@given(st.lists(points, min_size=1, max_size=12))
def test_no_other_point_fulfils_a_wish_better(cloud):
    by_wish = found(*cloud)
    for wish in WISHES:
        fits = [
            (r, q, int(s * DATA.raw_bytes) / DATA.raw_bytes if s is not None else None)
            for r, q, s in cloud
            if r >= 0.9 and ((s is not None) if wish.by_size or wish.budget else True)
        ]
        fits = [p for p in fits if wish.budget is None or p[2] <= wish.budget]
        point = by_wish[wish.name].point
        assert (point is None) == (not fits)
        if point is not None and wish.by_size:
            assert point.float32_ratio == pytest.approx(min(p[2] for p in fits))
        elif point is not None:
            assert point.qps == max(p[1] for p in fits)
