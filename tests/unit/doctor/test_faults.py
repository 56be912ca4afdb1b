"""Every fault that is planted is found, told with its rows, and nothing else is; clean data are left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import h5py
import numpy as np
import pytest

from annbench.datasets.formats.hdf5_write import QuerySetArrays
from annbench.datasets.formats.rows import ArrayRows
from annbench.distances.registry import distance_of
from annbench.doctor.copies import RowIndex
from annbench.doctor.scan import scan_rows

N, DIM, QUERIES, K = 1200, 12, 200, 30  # of a file that nothing is said about


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "ip"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clean_data_raise_no_alarm(lab: Any, metric: str, seed: int) -> None:
    found = lab.examine(lab.drawn(N, seed), lab.drawn(QUERIES, seed + 50), metric, request={"seed": seed})
    assert lab.bad(found) == set()
    assert {one.code for one in found.findings} >= {"unusable_rows", "duplicate_rows", "truth_wrong", "query_shift"}
    assert found.worst == "ok"
    assert [seen.zero_distance for seen in found.neighborhoods] == [0, 0]  # no row is its own neighbour


@pytest.mark.fault(15)
def test_rows_that_are_no_vectors_are_all_told(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    base[[5, 17, 900], [0, 1, 2]] = np.nan
    base[40, 3], base[41, :2], base[42, 4] = np.inf, (-np.inf, np.nan), 3e30
    queries[7, 0] = np.nan
    found = lab.examine(base, lab.with_truth(base, queries))
    assert lab.bad(found) == {("error", "nan_rows"), ("error", "inf_rows"), ("error", "overflow_rows")}
    assert lab.finding(found, "nan_rows", "base").rows == (5, 17, 41, 900)
    assert lab.finding(found, "inf_rows", "base").rows == (40,)
    assert lab.finding(found, "overflow_rows", "base").rows == (42,)
    assert lab.finding(found, "nan_rows", "test").rows == (7,)
    # The others are examined as if the bad rows were not there.
    assert lab.finding(found, "truth_wrong").severity == "ok"
    assert found.truth["test"].sampled_queries == QUERIES - 1
    clean = np.delete(base, [5, 17, 40, 41, 42, 900], axis=0)
    assert found.arrays[0].lengths is not None
    assert found.arrays[0].lengths.mean == pytest.approx(np.linalg.norm(clean, axis=1).mean(), rel=1e-6)


def test_a_base_of_nothing_but_nan(lab: Any) -> None:
    base = np.full((50, DIM), np.nan, np.float32)
    ids = np.tile(np.arange(5), (10, 1))
    found = lab.examine(base, QuerySetArrays(lab.drawn(10, 1), ids, np.zeros((10, 5))))
    assert lab.finding(found, "nan_rows").count == 50
    assert found.neighborhoods == ()
    assert found.variance is None


@pytest.mark.fault(16)
def test_zero_rows(lab: Any) -> None:
    base = lab.drawn(N, 1)
    base[3], base[500] = 0, -0.0
    found = lab.examine(base, metric="cosine")
    assert lab.bad(found) == {("warning", "zero_rows"), ("note", "duplicate_rows")}
    assert lab.finding(found, "zero_rows", "base").rows == (3, 500)
    assert lab.bad(lab.examine(base, metric="euclidean")) == {("note", "zero_rows"), ("note", "duplicate_rows")}


def test_duplicates(lab: Any) -> None:
    base = lab.drawn(N, 1)
    base[[100, 700, 1100]] = base[30]
    base[1199] = base[0]
    base[60, 2], base[61] = 0.0, base[60]
    base[61, 2] = -0.0
    found = lab.examine(base)
    assert lab.bad(found) == {("note", "duplicate_rows")}
    copies = found.arrays[0].duplicates
    assert copies is not None
    assert (copies.groups, copies.copies, copies.largest_group) == (3, 5, 4)
    assert copies.example == (30, 100, 700, 1100)


def test_many_duplicates_are_a_warning(lab: Any) -> None:
    base = lab.drawn(N, 1)
    base[N // 2 :] = base[: N // 2]
    found = lab.examine(base)
    assert ("warning", "duplicate_rows") in lab.bad(found)
    copies = found.arrays[0].duplicates
    assert copies is not None
    assert (copies.groups, copies.copies, copies.largest_group) == (N // 2, N // 2, 2)
    # LID is that of the space, not of the copies in it.
    lid = found.neighborhoods[0].lid[-1].unbiased_harmonic
    half = lab.examine(base[: N // 2]).neighborhoods[0].lid[-1].unbiased_harmonic
    assert lid == pytest.approx(half, rel=0.15)


@pytest.mark.fault(17)
def test_a_base_of_one_vector_many_times(lab: Any) -> None:
    base = np.repeat(lab.drawn(1, 1), 500, axis=0)
    found = lab.examine(base, lab.drawn(30, 2))
    assert lab.finding(found, "duplicate_rows", "base").severity == "warning"
    assert found.arrays[0].duplicates is not None
    assert found.arrays[0].duplicates.largest_group == 500
    assert found.neighborhoods[0].lid[0].undefined == found.neighborhoods[0].points
    assert found.neighborhoods[0].nearest is None
    assert lab.finding(found, "near_ties").severity == "warning"


def test_neighbours_are_looked_for_behind_copies(lab: Any) -> None:
    base = np.repeat(lab.drawn(20, 1), 150, axis=0)
    found = lab.examine(base, lab.drawn(30, 2), request={"sample": 100})
    seen = found.neighborhoods[0]
    assert (seen.points, seen.zero_distance) == (100, 100)
    apart = np.linalg.norm(base[::150, None] - base[None, ::150], axis=2)
    assert seen.nearest.minimum == pytest.approx(np.sort(apart, axis=1)[:, 1].min(), rel=1e-6)


def test_rows_that_only_hash_alike_are_no_copies(lab: Any) -> None:
    rows = ArrayRows(lab.drawn(8, 1), "base")
    rows._array[[3, 6]] = rows._array[1]
    rows._array[7] = rows._array[5]
    scan = scan_rows(rows, distance_of("euclidean"), 12, queries=False)
    alike = replace(scan, hashes=np.zeros(8, np.uint64))
    found = RowIndex(rows, alike).duplicates()
    assert found == RowIndex(rows, scan).duplicates()
    assert (found.groups, found.copies, found.largest_group, found.example) == (2, 3, 3, (1, 3, 6))
    others = ArrayRows(lab.drawn(3, 9), "test")
    assert (
        RowIndex(rows, alike).overlap(others, replace(alike, lengths=alike.lengths[:3], hashes=alike.hashes[:3])).rows
        == 0
    )


def test_leaks(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    queries[[4, 9]] = base[[1000, 33]]
    found = lab.examine(base, lab.with_truth(base, queries))
    assert lab.bad(found) == {("warning", "train_test_leaks")}
    assert found.leaks["test"].rows == 2
    assert found.leaks["test"].example == (4, 1000)


def test_leaks_across_dtypes(lab: Any) -> None:
    base = lab.drawn(N, 1).astype(np.float16)
    queries = lab.drawn(QUERIES, 2)
    queries[8] = base[77]
    assert lab.examine(base, lab.with_truth(base, queries)).leaks["test"].example == (8, 77)


def test_queries_among_those_an_index_is_fitted_on(lab: Any) -> None:
    base, queries, learn = lab.drawn(N, 1), lab.drawn(QUERIES, 2), lab.drawn(300, 3)
    learn[250] = queries[11]
    found = lab.examine(base, lab.with_truth(base, queries, learn=learn))
    assert lab.bad(found) == {("warning", "learn_test_overlap")}
    assert found.learn_overlaps["test"].example == (11, 250)


@pytest.mark.parametrize(
    ("stored", "explanation"),
    [
        (lambda ids, d, base, queries: d**2, "squared L2"),
        (
            lambda ids, d, base, queries: d + np.linalg.norm(queries, axis=1)[:, None],
            "other vectors or another metric",
        ),
        (lambda ids, d, base, queries: -d, "other vectors or another metric"),
    ],
)
def test_distances_of_another_metric(lab: Any, stored: Any, explanation: str) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    ids, distances = lab.truth_of(base, queries)
    found = lab.examine(base, QuerySetArrays(queries, ids, stored(ids, distances, base, queries)))
    one = lab.finding(found, "distances_disagree")
    assert one.severity == "error"
    assert explanation in one.remedy
    told = found.truth["test"].disagreement
    assert told is not None
    assert told.true == pytest.approx(np.linalg.norm(base[told.row] - queries[told.query]), rel=1e-5)
    assert told.stored != pytest.approx(told.true, rel=1e-3)
    assert f"{told.true:.6g}" in one.message
    assert f"{told.stored:.6g}" in one.message


def test_the_wrong_metric_is_named(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    found = lab.examine(base, lab.with_truth(base, queries, "cosine"), "euclidean")
    assert lab.finding(found, "distances_disagree").remedy == (
        "the stored values are cosine distances: correct the attribute `distance`"
    )


def test_neighbours_that_are_not_the_nearest(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    ids, distances = lab.truth_of(base, queries, k=K + 1)
    ids[20:30, :K], distances[20:30, :K] = ids[20:30, 1:], distances[20:30, 1:]  # without the nearest one
    found = lab.examine(base, QuerySetArrays(queries, ids[:, :K], distances[:, :K]))
    assert lab.bad(found) == {("error", "truth_wrong")}
    assert lab.finding(found, "distances_disagree").severity == "ok"
    assert found.truth["test"].queries_with_wrong_neighbors == 10
    assert found.truth["test"].neighbors_compared - found.truth["test"].neighbors_true == 10


def test_the_truth_of_float32_is_a_note(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    last = base[lab.truth_of(base, queries)[0][50, K - 1]]
    base = np.concatenate([base, (queries[50] + (last - queries[50]) * (1 + 2e-5))[None]]).astype(np.float32)
    ids, distances = lab.truth_of(base, queries)
    assert N not in ids[50]
    ids[50, K - 1] = N
    found = lab.examine(base, QuerySetArrays(queries, ids, distances))
    assert lab.bad(found) == {("note", "truth_wrong")}
    assert found.truth["test"].largest_excess == pytest.approx(2e-5, rel=0.2)


def test_equally_near_neighbours_are_as_true(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    base = np.concatenate([base, base])
    ids, distances = lab.truth_of(base, queries, k=29)
    assert (ids[:, -1] < N).all()
    ids[:, -1] += N  # the copy, which is not in the list, instead
    found = lab.examine(base, QuerySetArrays(queries, ids, distances))
    assert lab.finding(found, "truth_wrong").severity == "ok"


def test_lists_that_cannot_be(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    ids, distances = lab.truth_of(base, queries)
    ids[3, 0], ids[8, 5] = N, -1
    ids[12, 1] = ids[12, 0]
    distances[15, 2] = np.nan
    distances[18] = distances[18, ::-1]
    found = lab.examine(base, QuerySetArrays(queries, ids, distances))
    assert lab.finding(found, "truth_unknown_ids").rows == (3, 8)
    assert lab.finding(found, "truth_repeats").rows == (12,)
    assert lab.finding(found, "truth_not_finite").rows == (15,)
    assert lab.finding(found, "truth_unsorted").rows == (18,)
    assert found.truth["test"].sampled_queries == QUERIES - 2
    assert found.worst == "error"


def test_ties_at_k(lab: Any) -> None:
    half = lab.drawn(N // 2, 1)
    above, below = (np.concatenate([half, np.full((N // 2, 1), side, np.float32)], axis=1) for side in (1, -1))
    queries = np.concatenate([lab.drawn(QUERIES, 2), np.zeros((QUERIES, 1), np.float32)], axis=1)
    base = np.concatenate([above, below])
    found = lab.examine(base, lab.with_truth(base, queries), request={"k": 9})
    assert lab.finding(found, "near_ties").severity == "warning"
    assert found.ties["test"].exact == 1.0
    assert found.ties["test"].within_1e_6 == 1.0
    even = lab.examine(base, lab.with_truth(base, queries), request={"k": 10})
    assert lab.finding(even, "near_ties").severity == "ok"


@pytest.mark.parametrize(
    ("moved", "farther"), [(lambda q: q + 2, True), (lambda q: 2 * q, True), (lambda q: 0.4 * q, False)]
)
def test_queries_out_of_distribution(lab: Any, moved: Any, farther: bool) -> None:
    base = lab.drawn(N, 1)
    found = lab.examine(base, lab.with_truth(base, moved(lab.drawn(QUERIES, 2))))
    assert lab.bad(found) - {("note", "hubs")} == {("warning", "query_shift")}
    shift = found.shifts[0]
    assert shift.verdict == "out of distribution"
    for value in (shift.mahalanobis_exceedance, shift.nearest_exceedance, shift.kth_exceedance):
        assert (value > 0.7) is farther
        assert (value < 0.3) is not farther
    assert (shift.mahalanobis_queries > shift.mahalanobis_base) is farther
    assert lab.finding(found, "query_shift").message.startswith("out of distribution")


def test_queries_a_little_off(lab: Any) -> None:
    base = lab.drawn(N, 1)
    found = lab.examine(base, lab.with_truth(base, lab.drawn(600, 2) + 0.16), request={"sample": 600})
    assert lab.bad(found) == {("note", "query_shift")}
    assert found.shifts[0].verdict == "shifted"


def test_each_query_set_has_its_verdict(lab: Any) -> None:
    base = lab.drawn(N, 1)
    more = {"far": lab.with_truth(base, lab.drawn(60, 4) + 3), "near": lab.with_truth(base, lab.drawn(60, 5))}
    path = lab.write(base, query_sets=more)
    found = lab.examine(path)
    assert {shift.query_set: shift.verdict for shift in found.shifts} == {
        "test": "in distribution", "far": "out of distribution", "near": "in distribution"
    }  # fmt: skip
    alone = lab.examine(path, request={"query_sets": ("far",)})
    assert [shift.query_set for shift in alone.shifts] == ["far"]
    assert [array.name for array in alone.arrays] == ["base", "far"]


def test_constant_columns(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    base[:, [2, 9]] = queries[:, [2, 9]] = 0.0, 0.25
    found = lab.examine(base, lab.with_truth(base, queries))
    assert lab.bad(found) == {("note", "constant_columns")}
    assert lab.finding(found, "constant_columns").rows == (2, 9)
    assert found.variance is not None
    assert (found.variance.constant_columns, found.variance.zero_columns) == (2, 1)


def test_a_subspace_is_seen_as_one(lab: Any) -> None:
    frame = np.linalg.qr(np.random.default_rng(3).standard_normal((64, 5)))[0].T
    base, queries = (np.random.default_rng(seed).standard_normal((n, 5)) @ frame for seed, n in ((1, 4000), (2, 200)))
    found = lab.examine(base.astype(np.float32), lab.with_truth(base.astype(np.float32), queries.astype(np.float32)))
    assert found.variance is not None
    assert found.variance.dims_99 == 5
    assert found.variance.participation == pytest.approx(5, rel=0.02)
    for seen in found.neighborhoods:
        assert seen.lid[-1].k == 100
        assert seen.lid[-1].unbiased_harmonic == pytest.approx(5, rel=0.15)
    assert lab.bad(found) == set()


@pytest.mark.parametrize("factor", [1e-3, 1e4])
def test_figures_do_not_depend_on_scale(lab: Any, factor: float) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    one, other = (
        lab.examine(base * f, lab.with_truth(base * f, queries * f)) for f in (np.float32(1), np.float32(factor))
    )
    for a, b in zip(one.neighborhoods, other.neighborhoods, strict=True):
        assert b.lid[-1].plain_mean == pytest.approx(a.lid[-1].plain_mean, rel=1e-4)
        assert b.contrast_kth == pytest.approx(a.contrast_kth, rel=1e-4)
    assert [shift.verdict for shift in other.shifts] == [shift.verdict for shift in one.shifts]


def test_cosine_lid_is_that_of_the_unit_vectors(lab: Any) -> None:
    base = lab.drawn(N, 1)
    scaled = base * np.random.default_rng(4).uniform(0.7, 1.4, (N, 1)).astype(np.float32)
    unit = base / np.linalg.norm(base, axis=1, keepdims=True)
    angular = lab.examine(scaled, metric="cosine").neighborhoods[0]
    flat = lab.examine(unit, metric="euclidean").neighborhoods[0]
    assert angular.lid[-1].unbiased_mean == pytest.approx(flat.lid[-1].unbiased_mean, rel=1e-3)


def test_cosine_where_length_or_direction_is_lost(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    spread = base * np.random.default_rng(4).lognormal(0, 1, (N, 1)).astype(np.float32)
    assert ("warning", "cosine_caveat") in lab.bad(
        lab.examine(spread, lab.with_truth(spread, queries, "cosine"), "cosine")
    )
    base, queries = base + 4, queries + 4
    assert lab.bad(lab.examine(base, lab.with_truth(base, queries, "cosine"), "cosine")) == {
        ("warning", "common_direction")
    }


def test_inner_product_of_unit_vectors(lab: Any) -> None:
    base, queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (lab.drawn(N, 1), lab.drawn(QUERIES, 2)))
    assert ("note", "equal_lengths") in lab.bad(lab.examine(base, lab.with_truth(base, queries, "ip"), "ip"))


def test_a_part_that_cannot_be_read_does_not_hide_the_rest(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    queries[3, 0] = np.nan
    path = lab.write(base, lab.with_truth(base, queries))
    with h5py.File(path, "a") as file:
        del file["train"]
        file.create_dataset("train", data=base, chunks=(100, DIM), fletcher32=True)
        place = file["train"].id.get_chunk_info(5).byte_offset
    with path.open("r+b") as stream:
        stream.seek(place + 8)
        stream.write(b"\x55" * 16)
    found = lab.examine(path)
    assert lab.bad(found) == {("error", "unreadable"), ("error", "nan_rows")}
    assert lab.finding(found, "unreadable").subject == "base"
    assert lab.finding(found, "nan_rows", "test").rows == (3,)
    assert found.arrays[0].name == "test"


@pytest.mark.fault(19)
@pytest.mark.parametrize("n", [1, 2, 3, 30])
@pytest.mark.parametrize("dim", [1, 5])
def test_tiny_bases(lab: Any, n: int, dim: int) -> None:
    base = lab.drawn(n, 1, dim)
    found = lab.examine(base, lab.with_truth(base, lab.drawn(2, 2, dim)), request={"k": 3})
    assert found.count("error") == 0
    assert all(shift.verdict == "too few to tell" for shift in found.shifts)


def test_what_would_take_minutes_is_left_out_and_said_to_be(lab: Any) -> None:
    base = lab.drawn(60, 1, 4097)
    found = lab.examine(base, lab.with_truth(base, lab.drawn(5, 2, 4097), k=5))
    assert found.variance is None
    assert ("note", "variance_left_out") in lab.bad(found)


def test_many_query_sets(lab: Any) -> None:
    base = lab.drawn(60, 1)
    more = {f"set{i:02}": lab.with_truth(base, lab.drawn(3, i), k=5) for i in range(20)}
    path = lab.write(base, lab.with_truth(base, lab.drawn(3, 99), k=5), query_sets=more)
    found = lab.examine(path)
    assert len(found.shifts) == 16
    assert lab.finding(found, "query_sets_left_out").count == 5
    assert [shift.query_set for shift in lab.examine(path, request={"query_sets": ("set19",)}).shifts] == ["set19"]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16", "float64"])
def test_every_dtype(lab: Any, dtype: str) -> None:
    scale = 20 if dtype.endswith("int8") else 1
    base, queries = (np.clip(lab.drawn(n, s) * scale + 60 * (dtype == "uint8"), -128, 127 + 128 * (dtype == "uint8"))
                     .astype(dtype) for n, s in ((N, 1), (QUERIES, 2)))  # fmt: skip
    if dtype == "uint8":
        base = np.maximum(base, 0)
    found = lab.examine(base, lab.with_truth(base.astype(np.float32), queries.astype(np.float32)))
    assert found.count("error") == found.count("warning") == 0
