"""A run from config to records: what is measured, stored, resumed and reported."""

from __future__ import annotations

import os
import platform
import sys

import numpy as np
import pytest
import yaml

from annbench.config.load import load_config
from annbench.errors import ConfigError

EXACT = "Exact"


def test_a_record_has_everything_a_report_needs(bench, misbehaving) -> None:
    config = bench.config(misbehaving(EXACT), measure="modes: [single, batch, clients: 2], workers: 2")
    outcome = bench.run(config)
    records = list(bench.store.records())
    assert outcome.measured == len(records) == 6
    assert outcome.failed == 0
    for record in records:
        assert record.status == "ok"
        assert record.recall.recall_at_k == record.recall.recall_ids_at_k == 1.0
        assert record.build.index_bytes == 400 * 12 * 4 + 128
        assert record.build.build_peak_bytes is not None
        assert record.load.resident_bytes is not None
        assert record.time.qps_best >= record.time.qps_median >= record.time.qps_min > 0
        arrays = bench.store.arrays(record)
        assert arrays["ids"].shape == (25, 5)
        assert arrays["pass_ns"].shape == (2,)
        if record.key.mode == "batch":
            assert record.time.latency_p99_us is None
        else:
            assert arrays["latencies_ns"].shape == (2, 25)
            best = arrays["latencies_ns"][arrays["pass_ns"].argmin()]
            assert record.time.latency_p99_us == pytest.approx(np.percentile(best, 99) / 1e3)
            assert 0 < record.time.overhead_ratio < 1
    assert {r.key.worker_index for r in records} == {0, 1}
    assert not (bench.store.folder / ".builds").exists() or not list((bench.store.folder / ".builds").iterdir())


def test_a_rerun_does_nothing_twice_and_fresh_does(bench, misbehaving) -> None:
    config = bench.config(misbehaving(EXACT, search="{step: [0, 1]}"))
    bench.run(config)
    before = {path: path.read_bytes() for path in bench.store.paths()}
    assert bench.run(config).measured == 0
    assert {path: path.read_bytes() for path in bench.store.paths()} == before
    wider = bench.config(misbehaving(EXACT, search="{step: [0, 1, 2]}"))
    assert bench.run(wider).measured == 1
    assert all(path.read_bytes() == content for path, content in before.items())
    assert bench.run(wider, fresh=True).measured == 3


def test_the_yaml_of_a_record_is_that_point(bench, misbehaving) -> None:
    config = bench.config(misbehaving(EXACT, search="{step: [0, 1]}"), measure="modes: [single, batch]")
    bench.run(config)
    for record in bench.store.records():
        path = bench.folder / "again.yaml"
        path.write_text(record.config_yaml)
        assert [point.key for point in bench.plan(path).points] == [record.key]
        assert yaml.safe_load(record.config_yaml)["k"] == 5


def test_interleaved_points_share_blocks(bench, misbehaving) -> None:
    entries = misbehaving(EXACT, search="{step: [0, 1, 2]}") + misbehaving("Duplicates", search="{step: [0, 1, 2]}")
    bench.run(bench.config(entries, measure="modes: batch, interleave: true, workers: 2"))
    records = list(bench.store.records())
    assert len(records) == 12
    blocks = {record.block_id for record in records}
    assert len(blocks) == 2
    for block in blocks:
        rows = sorted((r for r in records if r.block_id == block), key=lambda r: r.order)
        assert [r.order for r in rows] == list(range(6))
        assert {r.key.worker_index for r in rows} == {rows[0].key.worker_index}
        assert {r.key.algorithm for r in rows} == {"Exact", "Duplicates"}
    ordered = sorted(records, key=lambda r: (r.block_id, r.order))
    orders = [[r.key.algorithm for r in ordered if r.block_id == block] for block in blocks]
    assert any(order != sorted(order) for order in orders)  # shuffled, not one algorithm after the other


def test_an_adapter_that_cannot_save_is_rebuilt_in_every_worker(bench, misbehaving) -> None:
    bench.run(bench.config(misbehaving("CannotSave"), measure="modes: batch, workers: 2"))
    records = list(bench.store.records())
    assert len(records) == 2
    for record in records:
        assert record.build.rebuilt_in_worker
        assert record.build.index_bytes is None
        assert any("cannot save" in note for note in record.notes)


def test_constraints_leave_points_out(bench, misbehaving) -> None:
    entry = misbehaving(EXACT, search="{step: [0, 1, 2, 7]}") + "    constraints: ['step * 2 <= k']\n"
    plan = bench.plan(bench.config(entry))
    assert [point.key.search["step"] for point in plan.points] == [0, 1, 2]
    assert plan.left_out == 1


@pytest.mark.parametrize(
    ("entry", "line", "said"),
    [
        ("  - algorithm: hnswlip\n", 6, "did you mean hnswlib"),
        ("  - algorithm: hnswlib\n    search: {ef: 3}\n", 7, "ef=3 is below k=5"),
        ("  - algorithm: hnswlib\n    build: {m: 3}\n", 7, "did you mean M"),
        ("  - algorithm: hnswlib\n    search:\n      ef: '30'\n", 8, "valid integer"),
        ("  - algorithm: faiss-ivf\n    build: {nlist: 4}\n    search: {nprobe: 8}\n", 8, "nprobe=8 exceeds nlist=4"),
        ("  - algorithm: nowhere.py:Thing\n", 6, "nowhere.py"),
        ("  - algorithm: hnswlib\n    python: /no/such/python\n", 7, "python"),
    ],
)
def test_a_config_that_cannot_run_is_refused_with_its_line(bench, entry: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bench.plan(bench.config(entry))
    assert said in str(caught.value)
    assert caught.value.where.endswith(f"trial.yaml:{line}")


def test_more_threads_than_cores_are_refused(bench, misbehaving) -> None:
    config = bench.config(misbehaving(EXACT), measure=f"modes: batch, threads: {len(os.sched_getaffinity(0)) + 1}")
    with pytest.raises(ConfigError, match="exceeds"):
        bench.plan(config)


def test_k_beyond_the_truth_is_refused(bench, misbehaving) -> None:
    config = bench.config(misbehaving(EXACT))
    config.write_text(config.read_text().replace("k: 5", "k: 21"))
    with pytest.raises(ConfigError, match="20 true neighbours"):
        bench.plan(config)


def test_an_unsupported_metric_is_a_status(bench, misbehaving) -> None:
    outcome = bench.run(bench.config(misbehaving("OnlyInnerProduct") + misbehaving(EXACT)))
    assert outcome.statuses == {"unsupported": 1, "ok": 1}


def test_two_entries_that_ask_the_same_build_once(bench, misbehaving) -> None:
    entries = misbehaving(EXACT, search="{step: [0, 1]}") + misbehaving(EXACT, search="{step: [1, 2]}")
    plan = bench.plan(bench.config(entries))
    assert len(plan.builds) == 1
    assert [point.key.search["step"] for point in plan.points] == [0, 1, 2]


def test_the_config_may_lie_anywhere(bench, misbehaving, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_config(bench.config(misbehaving(EXACT))).path.is_absolute()
    assert bench.run(bench.config(misbehaving(EXACT))).failed == 0


def test_a_fresh_build_is_another_draw_of_the_same_configuration(bench) -> None:
    entry = "  - algorithm: hnswlib\n    build: {M: 4, ef_construction: 20}\n    search: {ef: 5}\n"
    assert bench.run(bench.config(entry, measure="modes: batch, builds: 2")).statuses == {"ok": 2}
    first, second = sorted(bench.store.records(), key=lambda record: record.key.build_index)
    assert (first.key.build_index, second.key.build_index) == (0, 1)
    assert first.key.build == second.key.build
    assert first.build.index_crc32c != second.build.index_crc32c


def test_another_interpreter_runs_its_own_algorithms(bench, misbehaving) -> None:
    link = bench.folder / "env" / "python"
    link.parent.mkdir()
    # A wrapper, not a link: what makes an environment one is where its python lies.
    link.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    link.chmod(0o755)
    assert bench.run(bench.config(misbehaving(EXACT) + "    python: env/python\n")).statuses == {"ok": 1}
    (record,) = bench.store.records()
    assert record.key.python == platform.python_version()
    assert yaml.safe_load(record.config_yaml)["algorithms"][0]["python"] == str(link)
