"""`annbench results` over a real run: list, show, reproduce, export, clean up."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from annbench.cli.main import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def annbench(bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command in this process, since each is run many times."""
    monkeypatch.setenv("ANNBENCH_RESULTS", str(bench.store.folder))
    monkeypatch.setenv("ANNBENCH_DATA_DIR", str(bench.folder / "data"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["results", *arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A folder with a run of hnswlib and of an algorithm in a file, in which the config names everything relatively."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(tiny, folder / "tiny.hdf5")
    shutil.copy(Path(__file__).with_name("misbehaving.py"), folder / "mine.py")
    (folder / "trial.yaml").write_text(
        "dataset: tiny.hdf5\nk: 5\nmeasure: {modes: single, passes: 2, build_threads: 1}\nalgorithms:\n"
        "  - algorithm: hnswlib\n    build: {M: 8, ef_construction: 40}\n    search: {ef: 5}\n"
        "  - algorithm: mine.py:Exact\n"
    )
    with contextlib.chdir(folder), pytest.raises(SystemExit) as ended:
        main(["run", "trial.yaml", "--data-dir", "data", "-q"])
    assert not ended.value.code
    return folder


@pytest.fixture
def measured(bench, home: Path) -> dict[str, str]:
    """The results of that run, to be changed at will: the digests by algorithm."""
    shutil.copytree(home / "results", bench.store.folder)
    shutil.copytree(home / "data", bench.folder / "data")
    return {record.key.algorithm: record.key.digest for record in bench.store.records()}


def test_a_point_is_shown_and_its_config_measures_it_again(bench, annbench: Command, measured) -> None:
    for digest in measured.values():
        code, text, _ = annbench("show", digest[:10], "--config")
        assert code == 0
        again = bench.folder / "again.yaml"
        again.write_text(text)
        assert [point.key.digest for point in bench.plan(again).points] == [digest]
    code, text, _ = annbench("show", measured["hnswlib"][:10])
    assert code == 0
    for said in ("hnswlib M=8 ef_construction=40 · ef=5", "recall.recall_at_k", "passes.latency_p99_us", "algorithms:"):
        assert said in text
    facts = json.loads(annbench("show", measured["hnswlib"], "--json")[1])
    record = next(record for record in bench.store.records() if record.key.digest == measured["hnswlib"])
    latencies = bench.store.arrays(record)["latencies_ns"]
    assert facts["passes"]["latency_max_us"] == pytest.approx(latencies.max() / 1e3)
    assert max(facts["passes"]["qps"]) == pytest.approx(record.time.qps_best, rel=1e-3)
    assert facts["recall"]["recall_at_k"] == record.recall.recall_at_k
    assert Path(facts["path"]).is_file()
    assert "stale" not in facts


def test_what_changed_is_stale_and_can_be_deleted(
    bench, annbench: Command, measured, home: Path, request: pytest.FixtureRequest
) -> None:
    assert annbench("ls", "--stale")[1] == "no stale points\n"
    mine, text = home / "mine.py", (home / "mine.py").read_text()
    request.addfinalizer(lambda: mine.write_text(text))
    mine.write_text(text + "\n# another version\n")
    (row,) = json.loads(annbench("ls", "--stale", "--json")[1])
    assert row["configuration"] == "Exact · step=0"
    assert row["stale"] == [{"cause": "source", "text": f"the algorithm's file changed: {mine}"}]
    text = annbench("ls", "--stale")[1]
    assert text.startswith("1 stale point ")
    assert "the algorithm's file changed" in text
    assert "file changed" in annbench("show", measured["Exact"])[1]
    assert annbench("gc", "--superseded")[1] == "nothing to delete\n"
    assert "would be deleted" in annbench("gc", "--stale")[1]
    assert len(bench.store.paths()) == 2
    code, text, _ = annbench("gc", "--stale", "--delete", "--json")
    assert (code, json.loads(text)["deleted"], len(json.loads(text)["items"])) == (0, True, 1)
    assert [record.key.algorithm for record in bench.store.records()] == ["hnswlib"]


def test_ann_benchmarks_gets_the_recall_and_qps_that_were_measured(bench, annbench: Command, measured) -> None:
    out = bench.folder / "out"
    code, _, said = annbench("export", "--format", "ann-benchmarks", str(out))
    assert code == 0
    assert "2 points written below" in said
    assert "ln -s" in said
    records = {record.key.digest: record for record in bench.store.records()}
    with h5py.File(bench.dataset) as file:
        truth = file["distances"][:]
    seen = set()
    for path in out.rglob("*.hdf5"):
        with h5py.File(path) as file:
            record = records[file.attrs["annbench_digest"]]
            assert 1 / file.attrs["best_search_time"] == pytest.approx(record.time.qps_best)
            counted = file["distances"][:] <= truth[:, [4]] + 1e-3
            assert counted.mean() == pytest.approx(record.recall.recall_ann_benchmarks)
            assert path.parent.relative_to(out) == Path("tiny", "5", record.key.algorithm)
            seen.add(record.key.algorithm)
    assert seen == {"hnswlib", "Exact"}


def test_points_are_removed_by_digest(bench, annbench: Command, measured) -> None:
    code, _, said = annbench("rm", measured["hnswlib"][:12], "ffffffffffff")
    assert (code, len(bench.store.paths())) == (2, 2)  # one is wrong, none is deleted
    assert "ffffffffffff" in said
    code, _, said = annbench("rm", measured["hnswlib"][:12])
    assert (code, len(bench.store.paths())) == (0, 1)
    assert "deleted" in said
    code, _, said = annbench("ls", "--algorithm", "hnswlib")
    assert code == 2
    assert "known: Exact" in said
