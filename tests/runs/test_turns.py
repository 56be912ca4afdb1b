"""Interleaved blocks: who is loaded when, what runs back to back, and what a label does."""

from __future__ import annotations

import json
import random

from annbench.runner.execute import Execution, Observer, _Subject, in_turns

TWO_SIDES = """  - {algorithm: hnswlib, label: old, build: {M: 4}, search: {ef: [5, 10, 20]}}
  - {algorithm: hnswlib, label: new, build: {M: 4}, search: {ef: [5, 10, 20]}}
"""


def test_labels_make_one_configuration_two_sides(bench) -> None:
    bench.run(bench.config(TWO_SIDES, measure="modes: batch, interleave: true, workers: 2"))
    records = list(bench.store.records())
    assert len(records) == 12
    assert {record.label for record in records} == {
        f"hnswlib ({side}) M=4 ef_construction=200 · ef={ef}" for side in ("old", "new") for ef in (5, 10, 20)
    }
    blocks = {record.block_id for record in records}
    assert len(blocks) == 2
    for block in blocks:
        rows = sorted((r for r in records if r.block_id == block), key=lambda r: r.order)
        assert [r.order for r in rows] == list(range(6))
        for one, other in zip(rows[::2], rows[1::2], strict=True):  # the two sides of a search back to back
            assert one.key.search == other.key.search
            assert {one.key.label, other.key.label} == {"old", "new"}


def test_a_point_without_a_label_is_the_point_it_was(bench) -> None:
    bench.run(bench.config("  - {algorithm: bruteforce}\n"))
    (record,) = bench.store.records()
    assert "label" not in json.loads(record.model_dump_json())["key"]
    assert record.key.name == "bruteforce"


def test_a_labelled_point_reproduces_itself(bench) -> None:
    bench.run(bench.config("  - {algorithm: bruteforce, label: old}\n"))
    (record,) = bench.store.records()
    again = bench.folder / "again.yaml"
    again.write_text(record.config_yaml)
    assert [point.key.digest for point in bench.plan(again).points] == [record.key.digest]


def test_searches_of_another_name_are_taken_by_their_place(bench) -> None:
    entries = (
        "  - {algorithm: hnswlib, build: {M: 4}, search: {ef: [5, 10, 20]}}\n"
        "  - {algorithm: faiss-hnsw, build: {M: 4}, search: {efSearch: [5, 10, 20]}}\n"
    )
    group = [_Subject(build, list(build.points)) for build in bench.plan(bench.config(entries)).builds]
    turns = in_turns(group, 0, random.Random(3))
    assert {in_turns(group, 0, random.Random(seed))[0][1].key.algorithm for seed in range(20)} == {
        "hnswlib", "faiss-hnsw"
    }  # in random order  # fmt: skip
    for one, other in zip(turns[::2], turns[1::2], strict=True):
        assert one[0] is not other[0]
        assert next(iter(one[1].key.search.values())) == next(iter(other[1].key.search.values()))


def test_a_death_ends_its_block_so_that_no_pair_has_two_ages(bench, misbehaving) -> None:
    blocks: dict[str, list[str]] = {}

    class Watcher(Observer):
        def stored(self, record) -> None:
            blocks.setdefault(record.block_id, []).append(record.status)

    entries = misbehaving("SegfaultsAtTwo", search="{step: [1, 2, 3]}") + (
        "  - {algorithm: hnswlib, build: {M: 4}, search: {ef: [5, 10, 20]}}\n"
    )
    outcome = bench.run(bench.config(entries, measure="modes: batch, interleave: true"), Watcher())
    assert outcome.statuses == {"ok": 5, "crashed": 1}
    for statuses in blocks.values():
        assert "crashed" not in statuses[:-1]


def test_points_that_are_added_share_the_blocks_of_all_later_workers(bench) -> None:
    entries = """  - {algorithm: hnswlib, label: old, build: {M: 4}, search: {ef: [5, 20]}}
  - {algorithm: hnswlib, label: new, build: {M: 4}, search: {ef: [5, 20]}}
"""
    asked: list[int] = []

    def more(records):
        asked.append(len(records))
        return {record.key.digest: [{"ef": 10}] for record in records if record.key.search == {"ef": 5}}

    config = bench.config(entries, measure="modes: batch, interleave: true, workers: 2")
    with bench.store.measuring() as scratch:
        execution = Execution(bench.plan(config), bench.store, scratch, more=more)
        outcome = execution.run()
    assert asked == [4, 6]  # one worker finds the points, and asks until there are no more
    assert outcome.statuses == {"ok": 12}
    assert len(execution.plan.points) == 12
    last = [record for record in bench.store.records() if record.key.worker_index == 1]
    assert len({record.block_id for record in last}) == 1
    assert {(record.key.label, record.key.search["ef"]) for record in last} == {
        (label, ef) for label in ("old", "new") for ef in (5, 10, 20)
    }
    assert not list((bench.folder / "results" / ".builds").glob("*"))
    with bench.store.measuring() as scratch:  # a rerun asks again, and finds everything stored
        again = Execution(bench.plan(config), bench.store, scratch, more=more).run()
    assert (again.measured, again.statuses) == (0, {"ok": 12})
