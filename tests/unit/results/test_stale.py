"""Stale points: every cause alone, found in words, and nothing else called stale."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from synthetic_records import make_record, make_records

from annbench.datasets.info import DatasetInfo, QuerySetInfo
from annbench.datasets.inspect import remember
from annbench.datasets.library import cache_dir
from annbench.errors import DatasetError
from annbench.results.present import DataFiles, Present
from annbench.results.schema import Record
from annbench.results.stale import algorithm_file, stale_reasons

MEASURED_AT = "2024-05-01T12:00:00+00:00"


@pytest.fixture
def data(tmp_path: Path) -> DatasetInfo:
    """A dataset file that is older than the measurement, and its description. Nobody opens it."""
    path = tmp_path / "data" / "mine.hdf5"
    path.parent.mkdir()
    path.write_bytes(b"vectors")
    before = datetime.fromisoformat(MEASURED_AT).timestamp() - 1000
    os.utime(path, (before, before))
    return DatasetInfo(
        name="mine", path=str(path), sha256="a" * 64, file_bytes=7, metric="cosine", dtype="float32", n=9, dim=3,
        zero_rows=0, unit_norm=True, query_sets={"test": QuerySetInfo(count=2, truth_k=5)},
    )  # fmt: skip


@pytest.fixture
def present(tmp_path: Path) -> Present:
    return Present(machine_id="machine-a", isa="avx2", data_folder=tmp_path / "data")


def measured(data: DatasetInfo, *, key: dict[str, Any] | None = None, **fields: Any) -> Record:
    """A record as if measured now, on this machine, with what is installed; then changed."""
    record = make_record(build={"M": 8}, search={"ef": 10}, dataset=data)
    current = {"library_versions": {"hnswlib": metadata.version("hnswlib")}, **(key or {})}
    return record.model_copy(update={"key": record.key.model_copy(update=current), "started_at": MEASURED_AT, **fields})


def texts(record: Record, present: Present, *others: Record) -> list[tuple[str, str]]:
    return [(reason.cause, reason.text) for reason in stale_reasons([record, *others], present)[0]]


def test_a_point_of_what_is_here_is_not_stale(data: DatasetInfo, present: Present) -> None:
    assert texts(measured(data), present) == []


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({"library_versions": {"hnswlib": "0.0.1"}}, ("library", "measured with hnswlib 0.0.1, now ")),
        ({"library_versions": {"no-such-library": "1"}}, ("library", "no-such-library 1, which is not installed now")),
        ({"algorithm": "hnswlib-of-old"}, ("source", "there is no algorithm hnswlib-of-old now")),
        ({"schema_version": 0}, ("schema", "written in schema 0, now ")),
        ({"isa": "scalar"}, ("isa", "measured with scalar, now avx2")),
        ({"machine_id": "machine-b"}, ("machine", "another machine (machine-b, Example CPU @ 2.00 GHz)")),
    ],
)
def test_each_cause_alone(data: DatasetInfo, present: Present, key: dict[str, Any], said: tuple[str, str]) -> None:
    ((cause, text),) = texts(measured(data, key=key), present)
    assert cause == said[0]
    assert said[1] in text


def test_a_point_of_another_machine_is_not_asked_what_is_installed_here(data: DatasetInfo, present: Present) -> None:
    key = {"machine_id": "machine-b", "library_versions": {"hnswlib": "0.0.1"}, "isa": "neon"}
    assert [cause for cause, _ in texts(measured(data, key=key), present)] == ["machine"]


def test_another_interpreters_libraries_are_not_asked(data: DatasetInfo, present: Present) -> None:
    key = {"python": "3.12.1", "library_versions": {"hnswlib": "0.0.1"}}
    assert texts(measured(data, key=key), present) == []


def test_a_dataset_file_that_is_gone(data: DatasetInfo, present: Present) -> None:
    Path(data.path).unlink()
    assert texts(measured(data), present) == [("dataset", f"the dataset file is gone: {data.path}")]


def test_a_dataset_file_of_another_size(data: DatasetInfo, present: Present) -> None:
    Path(data.path).write_bytes(b"other vectors")
    ((cause, text),) = texts(measured(data), present)
    assert (cause, "it has 13 bytes, and had 7" in text) == ("dataset", True)


def test_a_dataset_file_written_since_counts_as_changed_until_it_is_described(
    data: DatasetInfo, tmp_path: Path
) -> None:
    def here() -> Present:
        return Present(machine_id="machine-a", isa="avx2", data_folder=tmp_path / "data")

    path = Path(data.path)
    path.write_bytes(b"VECTORS")
    ((_, text),) = texts(measured(data), here())
    assert "written after the measurement" in text
    remember(data.model_copy(update={"sha256": "b" * 64}), cache_dir(tmp_path / "data"), path.stat())
    ((_, text),) = texts(measured(data), here())
    assert f"its SHA-256 is {'b' * 12}…, and was {'a' * 12}…" in text
    remember(data, cache_dir(tmp_path / "data"), path.stat())
    assert texts(measured(data), here()) == []


def test_a_dataset_that_moved_is_found_by_its_name(data: DatasetInfo, tmp_path: Path) -> None:
    moved = data.model_copy(update={"path": "/where/it/was/mine.hdf5"})
    assert DataFiles(tmp_path / "data").same_as(moved, MEASURED_AT) == Path(data.path)
    with pytest.raises(DatasetError, match="gone"):
        DataFiles(tmp_path / "elsewhere").same_as(moved, MEASURED_AT)


@pytest.mark.parametrize("started_at", ["yesterday", "", "2024-05-01T12:00:00", "2024-05-01T12:00:00Z"])
def test_any_time_of_a_record_is_survived(data: DatasetInfo, present: Present, started_at: str) -> None:
    stale_reasons([measured(data, started_at=started_at)], present)


def test_the_file_of_an_algorithm(data: DatasetInfo, tmp_path: Path) -> None:
    def here() -> Present:
        return Present(machine_id="machine-a", isa="avx2", data_folder=tmp_path / "data")

    path = tmp_path / "my algorithms, all of them; each with its reasons and the people who thought of it" / "mine.py"
    path.parent.mkdir()
    path.write_text("class Mine: ...")
    import yaml

    config = {"dataset": "mine", "algorithms": [{"algorithm": f"{path}:Mine", "build": {}, "search": {"a": [1]}}]}
    record = measured(
        data,
        key={"algorithm": "Mine", "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        config_yaml=yaml.safe_dump(config, sort_keys=False, default_flow_style=None, width=100),
    )
    assert algorithm_file(record) == path
    assert texts(record, here()) == []
    path.write_text("class Mine: better = True")
    assert texts(record, here()) == [("source", f"the algorithm's file changed: {path}")]
    path.unlink()
    assert texts(record, here()) == [("source", f"the algorithm's file is gone: {path}")]
    relative = record.model_copy(update={"config_yaml": "algorithms:\n- algorithm: mine.py:Mine\n  build: {}\n"})
    assert algorithm_file(relative) is None
    assert texts(relative, here()) == []


@pytest.mark.parametrize(
    "text", ["", "- algorithm: [", "algorithms: 3", "- algorithm: !!python/object:os.system x\n  b:"]
)
def test_any_config_of_a_record_is_survived(data: DatasetInfo, present: Present, text: str) -> None:
    record = measured(data, key={"algorithm": "Mine", "source_sha256": "c" * 64}, config_yaml=text)
    assert algorithm_file(record) is None
    assert texts(record, present) == []


def newer(data: DatasetInfo, *, key: dict[str, Any] | None = None, **fields: Any) -> Record:
    return measured(data, key=key, **{"started_at": "2024-06-01T12:00:00+00:00", **fields})


OLD = {"library_versions": {"hnswlib": "0.0.1"}}


def test_a_point_measured_again_with_another_version_is_superseded(data: DatasetInfo, present: Present) -> None:
    (first, text), (second, _) = texts(measured(data, key=OLD), present, newer(data))
    assert (first, second) == ("superseded", "library")
    assert text == f"measured again on 2024-06-01 with hnswlib {metadata.version('hnswlib')}"
    assert stale_reasons([measured(data, key=OLD), newer(data)], present)[1] == ()


@pytest.mark.parametrize(
    "key",
    [
        {"search": {"ef": 11}},
        {"search": {"ef": 10.0}},
        {"mode": "batch"},
        {"worker_index": 1},
        {"build_index": 1},
        {"isa": "scalar"},
        {"machine_id": "machine-b"},
        {"python": "3.12.1"},
    ],
)
def test_a_newer_answer_to_another_question_supersedes_nothing(
    data: DatasetInfo, present: Present, key: dict[str, Any]
) -> None:
    causes = [cause for cause, _ in texts(measured(data, key=OLD), present, newer(data, key=key))]
    assert causes == ["library"]


def test_a_newer_failure_supersedes_nothing(data: DatasetInfo, present: Present) -> None:
    failed = newer(data, status="crashed", recall=None, time=None)
    assert [cause for cause, _ in texts(measured(data, key=OLD), present, failed)] == ["library"]
    assert [cause for cause, _ in texts(measured(data, key=OLD, status="crashed"), present, newer(data))] == [
        "superseded",
        "library",
    ]


def test_two_algorithms_of_one_class_name_do_not_supersede_each_other(data: DatasetInfo, present: Present) -> None:
    def of(file: str, source: str, record: Record) -> Record:
        key = record.key.model_copy(update={"algorithm": "Mine", "source_sha256": source * 64})
        text = f"algorithms:\n- algorithm: {file}:Mine\n  build: {{}}\n"
        return record.model_copy(update={"key": key, "config_yaml": text})

    old = of("a.py", "1", measured(data))
    assert stale_reasons([old, of("b.py", "2", newer(data))], present)[0] == ()
    ((reason),) = stale_reasons([old, of("a.py", "2", newer(data))], present)[0]
    assert reason.text.endswith("with another version of the algorithm's file")


def test_what_was_looked_at_once_is_not_looked_at_again(
    data: DatasetInfo, present: Present, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of records must be listed within seconds, so the disk is asked once a file."""
    looked: list[object] = []
    from annbench.results import present as module

    real = module.recall

    def counting(path: Path, folder: Path) -> DatasetInfo | None:
        looked.append(path)
        return real(path, folder)

    monkeypatch.setattr(module, "recall", counting)
    records = [record.model_copy(update={"dataset": data}) for record in make_records(workers=2)]
    assert len(records) > 100
    assert len(stale_reasons(records, present)) == len(records)
    assert len(looked) == 1
