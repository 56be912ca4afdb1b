import pytest
from hypothesis import given
from hypothesis import strategies as st

from annbench.report import formatting as fmt


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345, "12,300"),
        (4.567, "4.57"),
        (0.03125, "0.0312"),
        (999.7, "1,000"),
        (0, "0"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_three_significant_digits(value, text):
    assert fmt.significant(value) == text


def test_rounding_up_does_not_add_a_digit():
    assert fmt.significant(0.0999, 2) == "0.10"


@given(st.floats(1e-6, 1e9))
def test_text_is_within_half_a_percent(value):
    assert float(fmt.significant(value).replace(",", "")) == pytest.approx(value, rel=0.0051)


@given(st.floats(0, 1))
def test_no_more_recall_is_shown_than_measured(recall):
    assert float(fmt.recall_text(recall)) <= recall + 1e-9


def test_recall_just_below_a_target_does_not_look_like_it():
    assert fmt.recall_text(0.98999) == "0.9899"
    assert fmt.recall_text(0.99) == "0.9900"
    assert fmt.interval_text(0.98999, 0.99001) == "[0.9899, 0.9901]"


def test_sizes_and_builds():
    assert fmt.bytes_text(412.3, 0.268) == "412 (0.27×)"
    assert fmt.bytes_text(None, None) == "–"
    assert fmt.build_text(12.34, 2) == "12.3 (2 thr)"
    assert [fmt.thousands(v) for v in (950, 12345, 4.2e6)] == ["950", "12.3k", "4.20M"]
    assert [fmt.tick_text(v) for v in (0.05, 500, 20000)] == ["0.05", "500", "20k"]
