"""Runbooks from config to report, in the real processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from annbench.cli.here import present
from annbench.compare.side import load_side
from annbench.config.load import load_config
from annbench.datasets.library import find_dataset
from annbench.errors import AnnbenchError, ConfigError, NothingComparableError
from annbench.report import write_report
from annbench.results.schema import PointKey
from annbench.results.stale import stale_reasons
from annbench.runner.execute import Observer
from annbench.runner.plan import make_plan

ADAPTERS = Path(__file__).with_name("misbehaving_streams.py")
RUNBOOK = """\
some-10M:
  max_pts: 300
  1: {operation: insert, start: 50, end: 250}
  2: {operation: search}
  3: {operation: delete, start: 60, end: 160}
  4: {operation: insert, start: 300, end: 400}
  5: {operation: search}
  6: {operation: replace, tags_start: 200, tags_end: 230, ids_start: 0, ids_end: 30}
  7: {operation: insert, start: 60, end: 100}
  8: {operation: search}
"""


@pytest.fixture
def stream(bench) -> Callable[..., Path]:
    """A config over the tiny dataset with the runbook above, or another."""

    def config(
        algorithms: str, runbook: str = RUNBOOK, streaming: str = "runbook: book.yaml, update_batch: 30"
    ) -> Path:
        (bench.folder / "book.yaml").write_text(runbook)
        extra = f"task: streaming\nstreaming: {{{streaming}}}\nlimits: {{point: 60s}}"
        return bench.config(algorithms, "modes: single", extra)

    return config


def test_bundled_vectors_through_a_window(bench, tmp_path: Path) -> None:
    """Exact indexes have recall 1 at every step, which only a right truth gives them."""
    config = tmp_path / "c.yaml"
    config.write_text(
        "dataset: wordnet-minilm-384-angular\ntask: streaming\n"
        "streaming: {generate: {kind: sliding-window, rows: 1200, parts: 6}, update_batch: 100}\n"
        "measure: {modes: batch, passes: 1, queries: 40, build_threads: 1}\n"
        "algorithms:\n  - algorithm: composed\n    build: {structure: {kind: ivf, nlist: 4}}\n    search: {nprobe: 4}\n"
        "  - algorithm: hnswlib\n    search: {ef: 100}\n  - algorithm: faiss-flat\n  - algorithm: faiss-hnsw\n"
    )
    assert bench.run(config).statuses == {"ok": 3, "unsupported": 1}
    records = {record.key.algorithm: record for record in bench.store.records()}
    for name in ("composed", "faiss-flat"):
        assert [s.recall.recall_at_k for s in records[name].stream.steps if s.recall] == [1.0] * 6
    assert records["hnswlib"].stream.recall_min > 0.95
    for name in ("composed", "faiss-flat", "hnswlib"):
        steps = records[name].stream.steps
        assert [step.present for step in steps if step.recall] == [200, 400, 600, 600, 600, 600]
        assert all(
            step.index_bytes > 200 * 384 * 4 and step.resident_bytes is not None for step in steps if step.recall
        )
        assert records[name].stream.insert.calls == 10  # of five parts, the first being no insertion
    assert (
        records["faiss-hnsw"].status_detail == "faiss-hnsw cannot be changed: faiss cannot remove vectors from an HNSW"
    )


def test_a_runbook_of_big_ann_benchmarks(bench, stream) -> None:
    config = stream(f"  - algorithm: {ADAPTERS}:Exact\n  - algorithm: faiss-flat\n")
    assert bench.run(config).statuses == {"ok": 2}
    for record in bench.store.records():
        assert record.stream.runbook == "book: some-10M"
        assert [step.present for step in record.stream.steps] == [200, 200, 100, 200, 200, 200, 240, 240]
        assert [step.operation for step in record.stream.steps[2:4]] == ["delete", "insert"]
        assert [s.recall.recall_at_k for s in record.stream.steps if s.recall] == [1.0, 1.0, 1.0]
        assert record.stream.delete.calls == 4
        arrays = bench.store.arrays(record)
        assert arrays["ids"].shape == (3, 25, 5)
        assert arrays["latencies_ns"].shape == (3, 2, 25)
        assert sorted(set(arrays["call_step"].tolist())) == [0, 2, 3, 5, 6]
    assert len(list((bench.store.folder / ".truths").rglob("*.npy"))) == 3


def test_a_rerun_resumes_and_other_runbooks_are_other_points(bench, stream) -> None:
    algorithms = f"  - algorithm: {ADAPTERS}:Exact\n"
    assert bench.run(stream(algorithms)).measured == 1
    assert bench.run(stream(algorithms)).measured == 0
    # The same steps in a file of another section are the same runbook.
    assert bench.run(stream(algorithms, RUNBOOK.replace("some-10M", "other"))).measured == 0
    assert bench.run(stream(algorithms, RUNBOOK.replace("end: 100}", "end: 99}"))).measured == 1
    assert bench.run(stream(algorithms, streaming="runbook: book.yaml, update_batch: 31")).measured == 1
    record = next(record for record in bench.store.records() if record.key.stream["update_batch"] == 31)
    (bench.folder / "again.yaml").write_text(record.config_yaml)
    again = bench.plan(bench.folder / "again.yaml")
    assert [point.key.digest for point in again.points] == [record.key.digest]


@pytest.mark.fault(25, 22)
@pytest.mark.parametrize(
    ("name", "status", "phase", "said"),
    [
        ("RaisesInDelete", "crashed", "stream", "step 3 of 8 (delete): ValueError: lost its way"),
        ("DiesInDelete", "crashed", "stream", "step 3 of 8 (delete): SIGSEGV"),
        ("Floats", "invalid_output", "stream", "step 2 of 8 (search): search: returned an array of float32"),
    ],
)
def test_a_failure_names_its_step(bench, stream, name: str, status: str, phase: str, said: str) -> None:
    outcome = bench.run(stream(f"  - algorithm: {ADAPTERS}:{name}\n  - algorithm: {ADAPTERS}:Exact\n"))
    assert outcome.statuses == {"ok": 1, status: 1}
    record = next(record for record in bench.store.records() if record.status != "ok")
    assert (record.failed_phase, record.key.algorithm) == (phase, name)
    assert record.status_detail.startswith(said)


@pytest.mark.fault(23)
def test_a_sleeping_update_times_out(bench, stream) -> None:
    config = stream(f"  - algorithm: {ADAPTERS}:SleepsInDelete\n")
    config.write_text(config.read_text().replace("point: 60s", "point: 12s"))
    assert bench.run(config).statuses == {"timeout": 1}
    assert next(bench.store.records()).status_detail.startswith("step 3 of 8 (delete): no answer within 12 s")


def test_deleted_vectors_that_are_found_are_no_neighbours(bench, stream) -> None:
    assert bench.run(stream(f"  - algorithm: {ADAPTERS}:KeepsTheDeleted\n")).statuses == {"ok": 1}
    record = next(bench.store.records())
    recalls = [step.recall for step in record.stream.steps if step.recall]
    assert recalls[0].recall_at_k == 1
    assert recalls[1].recall_at_k < 0.9
    assert record.verdict == "suspect"
    assert f"{sum(r.out_of_range_ids for r in recalls)} ids returned that do not exist" in record.verdict_reasons


def test_an_adapter_without_updates_is_unsupported(bench, stream, misbehaving) -> None:
    assert bench.run(stream(misbehaving("Exact"))).statuses == {"unsupported": 1}
    assert next(bench.store.records()).status_detail == "Exact cannot be changed: its adapter has no insert and delete"


@pytest.mark.fault(11)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("operation: delete", "operation: forget", "operation 'forget'; use one of insert, delete, replace, search"),
        ("end: 400", "end: 401", "step 4 (insert) takes rows up to 401, and the dataset has 400"),
        ("start: 60, end: 160", "start: 40, end: 160", "step 3 (delete): deletes 10 points that are not in the index"),
        ("start: 60, end: 100", "start: 170, end: 180", "step 7 (insert): inserts 10 points that are in the index"),
        ("operation: search", "operation: !!python/name:os.system ''", "not allowed"),
        ("start: 60, end: 160", "start: 50, end: 250", "step 6 (replace)"),
    ],
)
def test_a_bad_runbook_is_refused_before_anything_runs(bench, stream, old: str, new: str, said: str) -> None:
    assert old in RUNBOOK
    config = stream("  - algorithm: faiss-flat\n", RUNBOOK.replace(old, new, 1))
    with pytest.raises(AnnbenchError) as caught:
        bench.plan(config)
    assert said in str(caught.value)
    assert "book.yaml:" in str(caught.value)


@pytest.mark.parametrize(
    ("streaming", "said"),
    [
        ("runbook: nowhere.yaml", "cannot be opened"),
        ("runbook: book.yaml, section: sume-10M", "did you mean some-10M"),
        ("update_batch: 3", "give a runbook or generate"),
        ("generate: {kind: sliding-window, rows: 500}", "rows=500 exceeds the 400 that tiny has"),
        ("generate: {kind: sliding-window, parts: 300}", "set parts <= 200"),
        ("generate: {kind: sliding-window, part: 4}", "did you mean parts"),
        ("generate: {kind: sliding}", "kind"),
    ],
)
def test_bad_settings_are_refused(stream, bench, streaming: str, said: str) -> None:
    with pytest.raises(AnnbenchError) as caught:
        bench.plan(stream("  - algorithm: faiss-flat\n", streaming=streaming))
    assert said in str(caught.value)


def test_task_and_streaming_go_together(bench) -> None:
    for extra in ("task: streaming", "streaming: {generate: {kind: expiration}}"):
        with pytest.raises(ConfigError, match="go together"):
            load_config(bench.config("  - algorithm: faiss-flat\n", extra=extra))
    with pytest.raises(ConfigError, match="unknown task 'streming'"):
        bench.plan(bench.config("  - algorithm: faiss-flat\n", extra="task: streming"))


def test_reports_show_it_and_comparisons_pass_it_over(bench, stream, tmp_path: Path) -> None:
    bench.run(stream(f"  - algorithm: {ADAPTERS}:Exact\n  - algorithm: faiss-flat\n  - algorithm: faiss-hnsw\n"))
    with pytest.raises(NothingComparableError, match="of task streaming"):
        load_side(str(bench.store.folder), bench.store.folder)
    only = write_report(bench.store.records(), tmp_path / "only", title="runbooks")
    assert only.results_csv is None
    assert "## Answer" not in only.markdown.read_text()
    bench.run(bench.config("  - algorithm: faiss-flat\n"))
    side = load_side(str(bench.store.folder), bench.store.folder)
    assert len(side.taken) == 1
    assert "3 points of task streaming" in side.notes[0]
    both = write_report(bench.store.records(), tmp_path / "both", title="both")
    text = both.markdown.read_text()
    assert "## Answer" in text
    assert "book: some-10M · updates by 30" in text
    assert "unsupported: faiss-hnsw cannot be changed" in text
    assert len(both.steps_csv.read_text().splitlines()) == 1 + 2 * 8
    assert "data:image/png;base64," in both.html.read_text()
    records = list(bench.store.records())
    assert stale_reasons(records, present(bench.folder / "data")) == [()] * 4


def test_the_bundled_config_is_planned(tmp_path: Path) -> None:
    from annbench.config.load import find_config

    plan = make_plan(load_config(find_config("streaming")), lambda name: find_dataset(name, tmp_path))
    assert not any(build.unsupported for build in plan.builds)
    assert {point.searches for point in plan.points} == {16}


def test_points_without_a_runbook_are_what_they_were(bench) -> None:
    bench.run(bench.config("  - algorithm: faiss-flat\n"), Observer())
    key = next(bench.store.records()).key
    assert "stream" not in key.model_dump(mode="json")
    assert PointKey.model_validate(key.model_dump(mode="json")).digest == key.digest
    assert "streaming" not in yaml.safe_load(next(bench.store.records()).config_yaml)
