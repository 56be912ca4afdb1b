from __future__ import annotations

import math

import pytest
from compare_sides import CURVE, N, frontier, pair, side, taken

from annbench.compare.compare import compare
from annbench.compare.gates import Gates
from annbench.compare.result import Cell, Comparison
from annbench.compare.times import TAKEN_APART
from annbench.errors import UsageError

QUICK = Gates(qps=0.05)


def cells(found: Comparison, metric: str, scope: str = "point") -> list[Cell]:
    return [cell for cell in found.cells if (cell.metric, cell.scope) == (metric, scope)]


def one(found: Comparison, metric: str, scope: str = "point") -> Cell:
    (cell,) = cells(found, metric, scope)
    return cell


def at(found: Comparison, target: float, metric: str = "qps") -> Cell:
    return next(c for c in found.cells if c.target == target and c.metric == metric)


# What a clock has no part in


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (0.95, 0.948, "pass"),  # exactly the tolerance
        (0.95, 0.9479, "regression"),
        (0.95, 0.9521, "improvement"),
        (0.95, 0.0, "regression"),
    ],
)
def test_recall_is_compared_absolutely(before, after, verdict):
    found = compare(*pair([taken(recall=before, machine="a")], [taken(recall=after, machine="b")]))
    assert one(found, "recall").verdict == verdict
    assert one(found, "recall").change == pytest.approx(after - before)
    assert found.exit_code == (1 if verdict == "regression" else 0)


@pytest.mark.parametrize(("after", "verdict"), [(505_000, "pass"), (505_001, "regression"), (494_999, "improvement")])
def test_bytes_are_compared_once_an_index(after, verdict):
    base = [taken(ef=ef, worker=w) for ef in (10, 20) for w in range(2)]
    new = [taken(ef=ef, worker=w, index_bytes=after, machine="b") for ef in (10, 20) for w in range(2)]
    found = compare(*pair(base, new))
    assert one(found, "bytes", "build").verdict == verdict


@pytest.mark.parametrize(
    ("changed", "after", "verdict"),
    [
        ({}, 1000, "pass"),
        ({}, 1001, "regression"),  # same index, ISA and threads: exact
        ({}, 999, "improvement"),
        ({"index_crc": "other"}, 1005, "pass"),  # else within 0.5 %
        ({"index_crc": "other"}, 1006, "regression"),
        ({"index_crc": None}, 1004, "pass"),
        ({"isa": "avx512"}, 1004, "pass"),
        ({"threads": 2}, 1004, "pass"),
    ],
)
def test_counters_are_exact_where_they_can_be(changed, after, verdict):
    base = [taken(counters={"distances": 1000, "gone": 3})]
    new = [taken(counters={"distances": after, "fresh": 7}, **{"machine": "b", **changed})]
    cell = one(compare(*pair(base, new)), "counter")
    assert (cell.counter, cell.verdict) == ("distances", verdict)


def test_a_tolerance_for_counters_holds_everywhere():
    base, new = [taken(counters={"distances": 1000})], [taken(counters={"distances": 1009}, machine="b")]
    assert one(compare(*pair(base, new), gates=Gates(counters=0.01)), "counter").verdict == "pass"


def test_a_point_that_fails_now_is_a_regression():
    found = compare(*pair([taken()], [taken(status="crashed", machine="b")]))
    cell = one(found, "status")
    assert cell.verdict_text == "regression (new: crashed (SIGSEGV))"
    assert found.exit_code == 1
    back = compare(*pair([taken(status="crashed")], [taken(machine="b")]))
    assert (one(back, "status").verdict, back.exit_code) == ("improvement", 0)
    both = compare(
        *pair([taken(status="oom", index_bytes=None)], [taken(status="crashed", index_bytes=None, machine="b")])
    )
    assert (one(both, "status").verdict, both.exit_code) == ("not comparable", 3)


def test_what_has_no_tolerance_is_shown_and_fails_nothing():
    found = compare(*pair([taken(recall=0.95)], [taken(recall=0.5, machine="b")]), gates=Gates(recall=None))
    assert one(found, "recall").verdict == "regression"
    assert found.exit_code == 0  # bytes passed


def test_other_queries_are_no_comparison():
    found = compare(*pair([taken(queries=100)], [taken(queries=200, machine="b")]))
    assert one(found, "recall").verdict_text == "not comparable (100 against 200 queries)"
    assert found.exit_code == 3


def test_another_file_of_the_same_name_is_said():
    found = compare(*pair([taken()], [taken(sha="f" * 64, machine="b")]))
    assert found.exit_code == 3
    assert any("set is another file in new (ffffffff, base 00000000)" in note for note in found.notes)


# What is compared with what


def test_labels_are_matched_by_name_then_by_what_is_left():
    base = [taken("old"), taken(algorithm="ivf"), taken("same", algorithm="flat")]
    new = [taken("new", machine="b"), taken(algorithm="ivf", machine="b"), taken("same", algorithm="flat")]
    new[2] = taken("same", algorithm="flat", machine="b")
    found = compare(*pair(base, new))
    assert {cell.series for cell in found.cells} == {"hnswlib (old) → hnswlib (new)", "ivf", "flat (same)"}


def test_two_labels_left_of_one_algorithm_are_not_guessed():
    found = compare(*pair([taken("a"), taken("b")], [taken("c", machine="b"), taken("d", machine="b")]))
    assert found.cells == ()
    assert found.exit_code == 3
    assert "only in base: hnswlib (a), hnswlib (b)" in found.notes


def test_points_of_one_side_are_named():
    found = compare(*pair([taken(ef=10), taken(ef=20)], [taken(ef=20, machine="b"), taken(ef=30, machine="b")]))
    assert "hnswlib only in base: M=16 · ef=10" in found.notes
    assert "hnswlib only in new: M=16 · ef=30" in found.notes


def test_the_same_results_on_both_sides_are_refused():
    same = [taken("old"), taken("new")]
    with pytest.raises(UsageError, match=r"2 results are on both sides; name what differs.*new, old"):
        compare(side("results", same), side("results", same))


# Time


def test_a_slowdown_is_found_at_every_recall_and_point():
    found = compare(*pair(frontier("old"), frontier("new", factor=1.05, seed=1)), gates=QUICK)
    # 0.99 lies in too long a step, the rest is judged; a median of 5 % ± noise may fall short of the tolerance.
    found = compare(*pair(frontier("old"), frontier("new", factor=1.08, seed=1)), gates=QUICK)
    cell = at(found, 0.95)
    assert cell.verdict == "regression"
    assert "same ids" in cell.reason
    assert cell.evidence is not None
    assert cell.evidence.pairs == 18
    assert cell.evidence.slowdown == pytest.approx(0.08, abs=0.005)
    assert cell.change == pytest.approx(1 / 1.08 - 1, abs=0.005)
    assert {c.verdict for c in cells(found, "qps")} == {"regression"}
    assert found.exit_code == 1
    # Four points and the two recalls inside narrow steps.
    assert found.tested_cells == 6


def test_no_difference_passes_and_says_what_it_would_have_found():
    found = compare(*pair(frontier("old"), frontier("new", seed=1)))
    assert at(found, 0.90).verdict == "pass"
    assert "would have been found" in at(found, 0.90).reason
    assert found.exit_code == 0


def test_faster_is_an_improvement():
    assert at(compare(*pair(frontier("old"), frontier("new", factor=0.9, seed=1))), 0.9).verdict == "improvement"


def test_a_proven_slowdown_within_the_tolerance_passes():
    found = compare(*pair(frontier("old"), frontier("new", factor=1.04, seed=1)), gates=Gates(qps=0.10))
    assert at(found, 0.9).verdict == "pass"
    assert "longer is within 10.0%" in at(found, 0.9).reason


def test_interpolates_in_every_block_with_the_weights_of_the_frontier():
    found = compare(*pair(frontier("old", noise=0), frontier("new", noise=0, factor=1.08)))
    low, high = CURVE[10], CURVE[20]
    weight = math.log((1 - low[0]) / (1 - 0.9)) / math.log((1 - low[0]) / (1 - high[0]))
    expected = math.exp((1 - weight) * math.log(1 / low[1]) + weight * math.log(1 / high[1]))
    cell = at(found, 0.9)
    assert cell.base.value == pytest.approx(expected)
    assert cell.new.value == pytest.approx(expected / 1.08)
    assert (cell.base.low, cell.base.high) == pytest.approx((expected, expected))
    assert cell.base.configuration == "M=16 · ef=10…20"
    assert cell.evidence is not None
    assert cell.evidence.slowdown == pytest.approx(0.08)
    assert at(found, 0.9, "p99").base.value == pytest.approx(2e6 / expected)
    assert at(found, 0.9, "bytes").base.value == pytest.approx(500_000 / N)
    assert at(found, 0.9, "build_seconds").base.value == pytest.approx(4.0)


def test_a_long_step_is_no_comparison_and_says_what_to_add():
    cell = at(compare(*pair(frontier("old"), frontier("new", seed=1))), 0.99)
    assert cell.verdict == "not comparable"
    assert cell.reason == "points too far apart in base: add ef between 40 and 80 (recall 0.9600 and 0.9950)"


def test_a_fastest_point_beyond_the_target_counts_and_is_marked():
    curve = {10: (0.96, 1e-3), 20: (0.97, 2e-3)}
    found = compare(
        *pair(frontier("old", curve=curve), frontier("new", curve=curve, factor=1.1, seed=1)), targets=(0.9,)
    )
    cell = at(found, 0.9)
    assert (cell.base.mark, cell.new.mark, cell.verdict) == ("≥", "≥", "regression")
    assert cell.base.recall == 0.96
    assert found.tested_cells == 2  # at 0.90 the pairs are those of ef=10: one test, not two


def test_who_does_not_reach_the_target_loses_the_cell_without_a_ratio():
    short = {ef: CURVE[ef] for ef in (10, 20)}
    other = {"algorithm": "ivf", "build": {"nlist": 4}}
    found = compare(*pair(frontier("old"), frontier("new", curve=short, **other)), targets=(0.95,))
    cell = at(found, 0.95)
    assert cell.verdict_text == "regression (not reached: new stays below recall 0.95)"
    assert (cell.change, cell.new.value, found.exit_code) == (None, None, 1)
    back = at(compare(*pair(frontier("old", curve=short), frontier("new", **other)), targets=(0.95,)), 0.95)
    assert back.verdict == "improvement"
    neither = compare(*pair(frontier("old", curve=short), frontier("new", curve=short, seed=1)), targets=(0.999,))
    assert at(neither, 0.999).verdict_text == "not reached (by either side)"


def test_not_reaching_a_target_fails_nothing_where_recall_itself_is_compared():
    """Recall 0.950 → 0.949 is within the tolerance, though it no longer reaches 0.95."""
    found = compare(*pair([taken(recall=0.95)], [taken(recall=0.949, machine="b")]), targets=(0.95,))
    assert at(found, 0.95).verdict_text == "not reached (new stays below recall 0.95)"
    assert found.exit_code == 0


def test_a_point_without_a_valid_time_is_not_called_unreached():
    spoiled = [
        taken("new", ef=t.search["ef"], recall=t.recall, worker=t.times.place.worker_index, seconds=None)
        if t.search["ef"] >= 40
        else t
        for t in frontier("new", seed=1)
    ]
    cell = at(compare(*pair(frontier("old"), spoiled), targets=(0.95,)), 0.95)
    assert cell.verdict_text == "not comparable (no valid time in new of a point that reaches it)"


def test_results_taken_apart_are_never_tested():
    found = compare(*pair(frontier("old"), frontier("new", factor=3, block="other")))
    timed = [c for c in found.cells if c.metric == "qps" and c.target != 0.99]
    assert {c.verdict_text for c in timed} == {f"not comparable ({TAKEN_APART})"}
    assert found.tested_cells == 0
    assert found.exit_code == 0  # recall and bytes passed
    assert any("interleave: true" in note for note in found.notes)
    only_time = Gates(recall=None, bytes=None, gates_counters=False)
    assert compare(*pair(frontier("old"), frontier("new", factor=3, block="other")), gates=only_time).exit_code == 3


def test_two_machines_are_never_compared_in_time():
    found = compare(*pair(frontier("old", machine="a"), frontier("new", machine="b")))
    timed = [c for c in found.cells if c.metric == "qps" and c.target != 0.99]
    assert {c.verdict_text for c in timed} == {"not comparable (two machines)"}


def test_other_threads_are_no_comparison_of_time_but_of_recall():
    found = compare(*pair(frontier("old"), frontier("new", threads=2)))
    assert {c.verdict_text for c in cells(found, "qps")} == {"not comparable (1 against 2 threads)"}
    assert {c.verdict for c in cells(found, "recall")} == {"pass"}
    assert any("1 threads in base, 2 in new" in note for note in found.notes)


def test_a_point_with_other_recall_is_compared_at_equal_recall_only():
    curve = {ef: (recall - 0.003, seconds) for ef, (recall, seconds) in CURVE.items()}
    found = compare(*pair(frontier("old"), frontier("new", curve=curve, seed=1)))
    assert {c.reason for c in cells(found, "qps")} == {"recall changed: see equal recall"}
    # The same speed at 0.003 less recall is a little slower at equal recall.
    assert at(found, 0.9).evidence is not None


def test_too_few_pairs_are_inconclusive_and_say_how_many_it_takes():
    found = compare(*pair(frontier("old", workers=20), frontier("new", workers=20, seed=1)))
    assert at(found, 0.9).verdict_text == "inconclusive: 20 pairs of 28; set measure.workers: 28 and run again"
    few = compare(*pair(frontier("old", workers=3), frontier("new", workers=3, seed=1)))
    assert at(few, 0.9).verdict_text == "inconclusive: 3 pairs of 28; set measure.workers: 28 and run again"


def test_a_noisy_machine_is_inconclusive_and_never_passes():
    found = compare(*pair(frontier("old", noise=0.1), frontier("new", noise=0.1, seed=1)))
    assert at(found, 0.9).verdict == "inconclusive"
    assert at(found, 0.9).reason.startswith("machine too noisy (detects ≥ ")
    only_time = Gates(recall=None, bytes=None, gates_counters=False)
    again = compare(*pair(frontier("old", noise=0.1), frontier("new", noise=0.1, seed=1)), gates=only_time)
    assert again.exit_code == 3


def test_pairs_beyond_the_number_change_nothing():
    """No peeking: whoever measures on until the answer pleases gets the same answer."""
    few = compare(*pair(frontier("old", workers=28), frontier("new", workers=28, seed=1)))
    more = compare(
        *pair(
            [*frontier("old", workers=28), *(t for t in frontier("old", workers=60, factor=9) if _worker(t) >= 28)],
            [*frontier("new", workers=28, seed=1), *(t for t in frontier("new", workers=60) if _worker(t) >= 28)],
        )
    )
    assert at(few, 0.9).evidence == at(more, 0.9).evidence


def _worker(t):
    return t.times.place.worker_index


def test_only_what_shares_a_block_is_a_pair():
    new = [t for t in frontier("new", seed=1) if _worker(t) != 5]  # one worker died
    cell = at(compare(*pair(frontier("old", workers=30), new)), 0.9)
    assert cell.evidence is not None  # 29 pairs are enough
    other = [
        t if _worker(t) != 5 else taken("new", ef=t.search["ef"], recall=t.recall, worker=5, block="x") for t in new
    ]
    assert at(compare(*pair(frontier("old"), other)), 0.9).evidence == cell.evidence


def test_two_of_one_place_are_no_pair():
    new = frontier("new", seed=1)
    doubled = [*new, *(t for t in new if _worker(t) == 0)]
    alone = [t for t in new if _worker(t) != 0]
    found, expected = (at(compare(*pair(frontier("old"), part)), 0.9).evidence for part in (doubled, alone))
    assert found == expected


def test_outliers_are_marked_and_kept():
    new = frontier("new", seed=1)
    new = [
        t if _worker(t) != 15 else taken("new", ef=t.search["ef"], recall=t.recall, worker=15, seconds=1.0) for t in new
    ]
    cell = at(compare(*pair(frontier("old"), new)), 0.9)
    assert cell.evidence is not None
    assert (cell.evidence.outliers, cell.evidence.pairs, cell.verdict) == (1, 18, "pass")


def test_two_algorithms_are_compared_at_equal_recall():
    base = frontier(None, algorithm="hnswlib")
    new = frontier(None, algorithm="ivf", factor=1.5, seed=1, index_bytes=900_000, build={"nlist": 4})
    found = compare(*pair(base, new))
    assert cells(found, "recall") == []
    assert at(found, 0.9).verdict == "regression"
    assert at(found, 0.9, "bytes").verdict == "regression"  # no index is the same: bytes gate at equal recall
    assert at(found, 0.9, "bytes").change == pytest.approx(0.8)
    same = at(compare(*pair(frontier("old"), frontier("new", seed=1))), 0.9, "bytes")
    assert same.verdict == "shown"  # the index itself is compared instead


def test_the_tail_is_tested_only_where_it_gates():
    base, new = frontier("old"), frontier("new", factor=1.2, seed=1)
    assert at(compare(*pair(base, new)), 0.9, "p99").verdict == "shown"
    found = compare(*pair(base, new), gates=Gates(qps=None, p99=0.05))
    assert at(found, 0.9, "p99").verdict == "regression"
    assert not at(found, 0.9, "qps").gates


def test_the_worst_comes_first():
    base = [taken(ef=10), taken(ef=20), taken(ef=30)]
    new = [taken(ef=10, recall=0.94, machine="b"), taken(ef=20, machine="b"), taken(ef=30, recall=0.90, machine="b")]
    found = compare(*pair(base, new))
    assert [c.subject for c in found.cells[:2]] == ["M=16 · ef=30", "M=16 · ef=10"]
