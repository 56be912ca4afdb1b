import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annbench.report.html import _MARKER_PATHS
from annbench.report.palette import BASELINE, styles
from annbench.report.scale import RecallScale


def test_no_two_algorithms_look_alike_even_in_grey():
    found = styles([f"a{i:03d}" for i in range(252)])
    assert len({(s.marker, s.dash) for s in list(found.values())[:36]}) == 36
    assert len({(s.colour, s.marker, s.dash) for s in found.values()}) == 252
    assert all(s.symbol in _MARKER_PATHS for s in found.values())


def test_the_baseline_is_always_the_star_and_leaves_the_others_alone():
    assert styles([BASELINE, "x"])[BASELINE].marker == "*"
    assert styles([BASELINE, "x"])["x"] == styles(["x"])["x"]


def luminance(colour):
    r, g, b = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (r, g, b)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_stand_out_from_both_papers():
    for style in styles([BASELINE, *"abcdefg"]).values():
        assert contrast(style.colour, "#ffffff") > 2
        assert contrast(style.dark_colour, "#16181b") > 3


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_every_recall_and_tick_is_on_the_axis_in_order(recall):
    scale = RecallScale.of(recall)
    places = scale.place(sorted(recall))
    assert ((places >= scale.low) & (places <= scale.high)).all()
    assert (np.diff(places) >= 0).all()
    ticks = scale.place(scale.ticks)
    assert ((ticks >= scale.low) & (ticks <= scale.high)).all()
    gaps = np.diff(ticks)
    assert (gaps > 0.07 * (scale.high - scale.low)).all()


def test_the_decades_of_misses_are_equally_far_apart():
    scale = RecallScale.of([0.5, 0.9999])
    a, b, c = scale.place([0.9, 0.99, 0.999])
    assert b - a == pytest.approx(c - b)
    assert {"0.9", "0.99", "0.999"} <= set(scale.labels)


def test_recall_one_is_labelled_and_lies_beyond_the_rest():
    scale = RecallScale.of([0.9, 0.999, 1.0])
    assert scale.labels[-1] == "1"
    assert scale.place(1.0) > scale.place(0.999)
    assert "1" not in RecallScale.of([0.9, 0.999]).labels
