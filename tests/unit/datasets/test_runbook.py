"""Runbooks: what big-ann-benchmarks writes is read, everything else is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annbench.datasets.runbook import Delete, Insert, Intervals, Replace, Search, load_runbook, runbook_names
from annbench.errors import DatasetError, UnknownNameError

TEXT = """\
random-xs:  # two datasets in one file, as the project has them
  max_pts: 10000
  1:
    operation: "insert"
    start: 0
    end: 6000
  2:
    operation: search
  3: {operation: delete, start: 5000, end: 6000}
  4:
    operation: replace
    tags_start: 0
    tags_end: 100
    ids_start: 9000
    ids_end: 9100
  5: {operation: search}
  gt_url: "https://example.org/truth"
other:
  max_pts: 1
  1: {operation: insert, start: 3, end: 4}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "r.yaml").write_text(TEXT)
    return tmp_path / "r.yaml"


def test_steps_are_read_in_their_order(path: Path) -> None:
    assert runbook_names(path) == ("random-xs", "other")
    runbook = load_runbook(path, "random-xs")
    kinds = [Insert, Search, Delete, Replace, Search]
    assert [type(step) for step in runbook.steps] == kinds
    assert [step.line for step in runbook.steps] == [4, 8, 9, 11, 16]
    assert (runbook.max_points, runbook.rows, runbook.truth_url) == (10_000, 9100, "https://example.org/truth")
    assert load_runbook(path, "other").truth_url is None
    with pytest.raises(UnknownNameError, match="did you mean random-xs"):
        load_runbook(path, "random-x")


@pytest.mark.fault(11)
@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("    start: 0\n", "", 4, "start: Field required"),
        ("start: 0\n", "start: -1\n", 4, "start"),
        ("start: 0\n", "start: 1.5\n", 5, "float is not allowed"),
        ("start: 0\n", "start: 99999999999999999999\n", 4, "start"),
        ("end: 6000", "end: 0", 4, "insert of 0 to 0"),
        ("end: 6000", "end: 6000\n    start: 1", 7, "appears twice"),
        ("end: 6000", "end: 6000\n    speed: 1", 4, "speed"),
        ('"insert"', '"upsert"', 4, "operation 'upsert'"),
        ('"insert"', "!!python/object/apply:os.system [ls]", 4, "not allowed"),
        ("  2:\n", "  1:\n", 7, "step 1 appears twice"),
        ("  2:\n", "  7:\n", 2, "no step 2"),
        ("max_pts: 10000", "max_pts: 0", 2, "max_pts is 0"),
        ("max_pts: 10000", "max_pts: 5999", 4, "brings the index to 6,000 points"),
        ("  max_pts: 10000\n", "", 2, "no max_pts"),
        ("gt_url:", "url:", 17, "unknown key 'url'"),
        ("ids_end: 9100", "ids_end: 9101", 11, "replaces 100 points by 101"),
        ("tags_end: 100", "tags_end: 5100", 11, "replaces 5,100 points by 100"),
        ("tags_start: 0\n    tags_end: 100", "tags_start: 4950\n    tags_end: 5050", 11, "not in the index"),
        ("{operation: search}", "{operation: insert, start: 10, end: 11}", 16, "in the index already"),
        ("start: 5000, end: 6000", "start: 0, end: 6000", 11, "not in the index"),
        ("end: 6000}", "end: 7000}", 9, r"step 3 \(delete\): deletes 1,000 points that are not in the index"),
        ("  5: {", "  5: }", 16, "not YAML"),
    ],
)
def test_mistakes_are_named_with_their_line(path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(DatasetError, match=message) as caught:
        load_runbook(path, "random-xs")
    assert caught.value.where.endswith(f"r.yaml:{line}")
    assert caught.value.remedy


def test_an_empty_index_is_not_searched(path: Path) -> None:
    path.write_text("a:\n  max_pts: 9\n  1: {operation: insert, start: 0, end: 4}\n"
                    "  2: {operation: delete, start: 0, end: 4}\n  3: {operation: search}\n")  # fmt: skip
    with pytest.raises(DatasetError, match=r"r.yaml:5: step 3 \(search\): searches an empty index"):
        load_runbook(path, "a")


@pytest.mark.fault(11)
def test_an_alias_bomb_is_not_expanded(path: Path) -> None:
    lines = ["a0: &a0 {operation: search}"] + [
        f"a{i}: &a{i} {{1: *a{i - 1}, 2: *a{i - 1}, 3: *a{i - 1}}}" for i in range(1, 60)
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(DatasetError, match="1 is not a word"):
        load_runbook(path, "a59")


@given(st.binary(max_size=120))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    for head in (b"", TEXT.encode()[:150]):
        path.write_bytes(head + content)
        with pytest.raises((DatasetError, UnknownNameError)):
            load_runbook(path, "another")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(1, 12)), max_size=30), st.integers(0, 40))
def test_intervals_are_a_set(steps: list[tuple[bool, int, int]], probe: int) -> None:
    intervals, expected = Intervals(), set[int]()
    for enters, start, length in steps:
        (intervals.add if enters else intervals.remove)(start, start + length)
        expected = (
            expected | set(range(start, start + length)) if enters else expected - set(range(start, start + length))
        )
        assert len(intervals) == len(expected)
        assert intervals.overlap(probe, probe + 7) == len(expected & set(range(probe, probe + 7)))
