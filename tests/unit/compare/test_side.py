from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from compare_sides import taken
from synthetic_records import make_record

from annbench.compare.baseline import read_baseline, write_baseline
from annbench.compare.compare import compare
from annbench.compare.side import load_side
from annbench.compare.taken import taken_of
from annbench.errors import AnnbenchError, NothingComparableError, ResultError, UsageError
from annbench.results.store import ResultStore


def labelled(record, label: str):
    return record.model_copy(update={"key": record.key.model_copy(update={"label": label})})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = ResultStore(tmp_path / "results")
    for record in (
        make_record(search={"ef": 10}),
        labelled(make_record(search={"ef": 10}), "old"),
        labelled(make_record(search={"ef": 10}), "old-2"),
        make_record(algorithm="faiss-ivf", search={"nprobe": 4}),
        make_record(algorithm="null", recall=0.0, verdict="invalid"),
    ):
        store.write(record, {"ids": np.zeros((1, 1), dtype=np.int64)})
    return tmp_path / "results"


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("", {"hnswlib", "hnswlib (old)", "hnswlib (old-2)", "faiss-ivf"}),
        (":old", {"hnswlib (old)"}),
        (":old*", {"hnswlib (old)", "hnswlib (old-2)"}),
        (":faiss-ivf", {"faiss-ivf"}),
        (":hnswlib", {"hnswlib", "hnswlib (old)", "hnswlib (old-2)"}),
    ],
)
def test_selectors_are_labels_or_algorithms(folder, selector, names):
    assert {one.series.name for one in load_side(f"{folder}{selector}", folder).taken} == names


def test_without_a_folder_it_is_the_default(folder):
    assert len(load_side(":old", folder).taken) == 1


def test_a_folder_with_a_colon_is_a_folder(folder, tmp_path):
    odd = tmp_path / "12:30"
    folder.rename(odd)
    assert len(load_side(str(odd), folder).taken) == 4
    assert len(load_side(f"{odd}:old", folder).taken) == 1


@pytest.mark.parametrize(
    ("text", "said", "code"),
    [
        ("{}:odl", "did you mean old", 2),
        ("{}:", "FOLDER:LABEL", 2),
        ("{}-gone", "no such folder", 2),
        ("", "no such folder", 2),
    ],
)
def test_what_does_not_exist_is_said(folder, text, said, code):
    with pytest.raises(AnnbenchError) as caught:
        load_side(text.format(folder), folder)
    assert said in str(caught.value)
    assert caught.value.exit_code == code


def test_datasets_are_chosen_by_name(folder):
    assert load_side(str(folder), folder, datasets=["wordnet-minilm-384-angular"]).taken
    with pytest.raises(AnnbenchError, match="did you mean wordnet"):
        load_side(str(folder), folder, datasets=["wordnet-minilm-384-anglar"])


def test_damaged_results_are_passed_over_with_a_note(folder):
    first, *rest = ResultStore(folder).paths()
    first.write_bytes(first.read_bytes()[:100])
    found = load_side(str(folder), folder)
    assert len(found.notes) == 1
    assert str(first) in found.notes[0]
    for path in rest:
        path.write_bytes(b"\0" * 1000)
    with pytest.raises(NothingComparableError, match="5 damaged results and no other") as caught:
        load_side(str(folder), folder)
    assert caught.value.exit_code == 3


def test_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(NothingComparableError, match="no results in this folder; measure some") as caught:
        load_side(str(tmp_path), tmp_path)
    assert caught.value.exit_code == 3


def test_a_record_gives_what_is_compared():
    record = make_record(search={"ef": 10}, qps=1000.0, recall=0.9)
    one = taken_of(record.model_copy(update={"counters": {"distances": 7, "preemptions": 3, "stolen_ticks": 1}}))
    assert one.counters == {"distances": 7}  # what the machine did is no cost of the algorithm
    assert one.times is not None
    assert one.times.seconds == pytest.approx(1 / 970)  # the median pass, not the best
    assert (one.recall, one.ids_crc32c, one.digest) == (0.9, "deadbeef", record.key.digest)
    invalid = make_record(recall=0.0, verdict="invalid")
    assert (taken_of(invalid).times, taken_of(invalid).recall) == (None, 0.0)


# Baselines


def test_a_baseline_gives_back_everything_but_time(tmp_path):
    parts = [taken("old", ef=10, counters={"distances": 5}), taken(ef=20, status="crashed"), taken(ef=30, recall=None)]
    path = tmp_path / "baseline.json"
    assert write_baseline(parts, path) == 3
    again = {one.search["ef"]: one for one in read_baseline(path)}
    for one in parts:
        back = again[one.search["ef"]]
        assert back.times is None
        for name in ("setting", "series", "build", "n", "isa", "status", "recall", "index_bytes", "counters"):
            assert getattr(back, name) == getattr(one, name)
    assert "here" not in path.read_text()  # nothing of the machine


def test_workers_that_found_the_same_are_one_point(tmp_path):
    path = tmp_path / "baseline.json"
    assert write_baseline([taken(worker=w) for w in range(9)], path) == 1
    first = path.read_text()
    write_baseline([taken(worker=w) for w in range(3)], path)
    assert path.read_text() == first  # renewing without a change leaves no difference to commit


def test_a_baseline_gates_recall_and_bytes(tmp_path):
    path = tmp_path / "baseline.json"
    write_baseline([taken(ef=10), taken(ef=20)], path)
    base = load_side(str(path), tmp_path)
    new = [taken(ef=10), taken(ef=20, recall=0.9)]
    found = compare(base, load_from(new))
    assert found.exit_code == 1
    assert {cell.verdict_text for cell in found.cells if cell.metric == "qps"} == {"not comparable (taken apart)"}
    assert "base is a baseline file: it has no times" in found.notes


def load_from(parts):
    from compare_sides import side

    return side("new", parts)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"annbench_baseline": 2, "points": []}',
        b'{"annbench_baseline": 1, "points": [{"dataset": 3}]}',
        b'{"annbench_baseline": 1, "points": [' + b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path, content):
    path = tmp_path / "baseline.json"
    path.write_bytes(content)
    with pytest.raises(ResultError, match="annbench baseline"):
        read_baseline(path)


def test_a_baseline_without_points(tmp_path):
    path = tmp_path / "baseline.json"
    with pytest.raises(NothingComparableError):
        write_baseline([], path)
    path.write_text(json.dumps({"annbench_baseline": 1, "points": []}))
    with pytest.raises(NothingComparableError, match="no points in this baseline"):
        load_side(str(path), tmp_path)
    with pytest.raises(UsageError, match="cannot write"):
        write_baseline([taken()], tmp_path / "gone" / "baseline.json")


def test_what_the_machine_did_is_known_by_name():
    from annbench.results.schema import MACHINE_COUNTERS
    from annbench.runner import disturbance

    assert set(disturbance.counters([0])) == MACHINE_COUNTERS


def test_without_a_test_nothing_waits_for_scipy_and_pandas():
    code = "import sys, annbench.compare.compare, annbench.compare.side; print({'scipy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
