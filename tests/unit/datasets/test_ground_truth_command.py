"""`annbench groundtruth`: what it writes, what it refuses, what it says of a stored truth."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from truth_by_definition import bits, check, everything, sets, vectors
from truth_tasks import Tasks

from annbench.cli.main import main
from annbench.datasets import truth_file
from annbench.datasets.formats.hdf5_write import DatasetArrays, QuerySetArrays, write_hdf5
from annbench.datasets.formats.sparse import SPARSE
from annbench.datasets.formats.truth import read_truth
from annbench.datasets.ground_truth import GroundTruth, Labels, exact_neighbors
from annbench.datasets.truth import TruthRequest
from annbench.distances.sets import Sets
from annbench.errors import DatasetError

N, DIM, QUERIES, K = 500, 8, 12, 7
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in a folder of its own; gives exit code, stdout and stderr."""
    monkeypatch.setenv("ANNBENCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["groundtruth", *arguments])
        said = capsys.readouterr()
        return int(caught.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    base, queries, far = vectors("snr", N, DIM, 1), vectors("snr", QUERIES, DIM, 2), vectors("snr", 5, DIM, 3) + 2
    arrays = {}
    for name, asked in (("test", queries), ("ood", far)):
        found = exact_neighbors(base, asked, K, "euclidean")
        arrays[name] = QuerySetArrays(asked, found.neighbors, found.distances)
    path = tmp_path / "some.hdf5"
    write_hdf5(path, DatasetArrays(base, "euclidean", arrays["test"], {"ood": arrays["ood"]}))
    return path


def stored_sets(path: Path, found: Sets) -> Path:
    SPARSE.write(path, found.shape, np.dtype(np.float32), [(0, found)])
    return path


def test_every_format_holds_the_truth(run: Run, dataset: Path, tmp_path: Path) -> None:
    base, queries = vectors("snr", N, DIM, 1), vectors("snr", QUERIES, DIM, 2)
    expected = exact_neighbors(base, queries, K, "euclidean")
    for name in ("t.hdf5", "t.ibin", "t.npy", "t.ivecs"):
        code, out, _ = run(str(dataset), "--out", name)
        assert code == 0
        assert out.startswith(f"euclidean: {QUERIES} queries, {K} nearest of {N} rows\n")
        assert f"wrote {name}" in out
    with h5py.File(tmp_path / "t.hdf5") as file:
        np.testing.assert_array_equal(file["neighbors"][:], expected.neighbors)
        np.testing.assert_array_equal(file["distances"][:], expected.distances)
        np.testing.assert_array_equal(file["ties_beyond_k"][:], expected.ties_beyond_k)
        assert dict(file.attrs)["distance"] == "euclidean"
        assert dict(file.attrs)["stop_row"] == N
    for name in ("t.ibin", "t.npy", "t.ivecs"):
        np.testing.assert_array_equal(read_truth(tmp_path / name).neighbors.stored(), expected.neighbors)
    both = read_truth(tmp_path / "t.ibin").distances
    assert both is not None
    np.testing.assert_array_equal(both.stored(), expected.distances.astype(np.float32))
    np.testing.assert_array_equal(np.load(tmp_path / "t.distances.npy"), expected.distances)
    assert (tmp_path / "t.distances.fvecs").stat().st_size == QUERIES * 4 * (K + 1)
    assert not list((tmp_path / "data" / ".partial").iterdir())


def test_parts_filters_metrics_and_query_sets(run: Run, dataset: Path, tmp_path: Path) -> None:
    base, far = vectors("snr", N, DIM, 1), vectors("snr", 5, DIM, 3) + 2
    mask = np.arange(N) % 3 == 0
    np.save(tmp_path / "mask.npy", np.packbits(mask))
    options = ("--query-set", "ood", "--rows", "100:400", "--k", "9", "--filter", "mask.npy", "--metric", "snr")
    code, out, _ = run(str(dataset), *options, "--out", "t.hdf5", "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["rows"], facts["k"], facts["queries"], facts["written"]) == (300, 9, 5, ["t.hdf5"])
    with h5py.File(tmp_path / "t.hdf5") as file:
        found = GroundTruth(file["neighbors"][:], file["distances"][:], file["ties_beyond_k"][:])
        assert file.attrs["filter_file"] == "mask.npy"
    admitted = mask & (np.arange(N) >= 100) & (np.arange(N) < 400)
    check(found, everything("snr", base, far), 9, np.tile(admitted, (5, 1)))


def test_files_of_bits_with_labels(run: Run, tmp_path: Path) -> None:
    base, queries = bits(N, 20, 1), bits(QUERIES, 20, 2)
    np.save(tmp_path / "base.npy", base)
    np.save(tmp_path / "queries.npy", queries)
    labels = Labels(sets(N, 6, 4, 3), sets(QUERIES, 6, 2, 4))
    stored_sets(tmp_path / "base.spmat", labels.base)
    stored_sets(tmp_path / "queries.spmat", labels.queries)
    options = ("--queries", "queries.npy", "--metric", "hamming", "--dimension", "20", "--k", "300")
    code, out, _ = run(
        "base.npy", *options, "--filter", "base.spmat", "--query-labels", "queries.spmat", "--out", "t.npy"
    )
    assert code == 0
    expected = exact_neighbors(base, queries, 300, "hamming", rows_filter=labels)
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy"), expected.neighbors)
    short = int((expected.neighbors[:, -1] < 0).sum())
    assert short
    assert f"{short} queries have fewer than 300 rows that count" in out


def test_files_of_sets(run: Run, tmp_path: Path) -> None:
    base, queries = sets(N, 40, 9, 1), sets(QUERIES, 40, 9, 2)
    stored_sets(tmp_path / "base.csr", base)
    stored_sets(tmp_path / "queries.csr", queries)
    code, _, _ = run("base.csr", "--queries", "queries.csr", "--metric", "jaccard", "--k", "5", "--out", "t.ibin")
    assert code == 0
    stored = read_truth(tmp_path / "t.ibin").neighbors.stored()
    np.testing.assert_array_equal(stored, exact_neighbors(base, queries, 5, "jaccard").neighbors)


def test_a_right_truth_is_confirmed_and_ties_are_no_fault(run: Run, tmp_path: Path) -> None:
    base = np.repeat(vectors("snr", 40, DIM, 1), 5, axis=0)
    queries = vectors("snr", QUERIES, DIM, 2)
    found = exact_neighbors(base, queries, K, "euclidean")
    other = found.neighbors.copy()
    # The last of each list may be any of the copies that tie with it.
    other[:, -1] = found.neighbors[:, -1] // 5 * 5 + 4
    assert (other != found.neighbors).any()
    write_hdf5(
        tmp_path / "tied.hdf5", DatasetArrays(base, "euclidean", QuerySetArrays(queries, other, found.distances))
    )
    code, out, _ = run("tied.hdf5", "--check")
    assert code == 0, out
    assert "the stored truth is exact" in out
    assert f"{QUERIES} queries have further rows exactly as near" in out


@pytest.mark.parametrize("query_set", ["test", "ood"])
def test_a_wrong_truth_is_found(run: Run, dataset: Path, query_set: str) -> None:
    """One neighbour of one query, with the right distance of that wrong row: only computing the truth can tell."""
    assert run(str(dataset), "--check", "--query-set", query_set)[0] == 0
    base, queries = vectors("snr", N, DIM, 1), vectors("snr", QUERIES, DIM, 2)
    queries = queries if query_set == "test" else vectors("snr", 5, DIM, 3) + 2
    with h5py.File(dataset, "a") as file:
        group = file if query_set == "test" else file["query_sets/ood"]
        neighbors, distances = group["neighbors"], group["distances"]
        far = np.linalg.norm(base.astype(np.float64) - queries[3], axis=1)
        wrong = int(np.argsort(far)[K + 3])
        neighbors[3, K - 1], distances[3, K - 1] = wrong, far[wrong]
    code, out, _ = run(str(dataset), "--check", "--query-set", query_set)
    assert code == 1
    assert "the stored truth is wrong" in out
    assert "1 are not among the nearest, 0 distances are not those of their ids" in out
    assert f"query 3: neighbour {K - 1} is id {wrong} at" in out
    code, out, _ = run(str(dataset), "--check", "--query-set", query_set, "--json")
    assert code == 1
    assert json.loads(out)["comparison"]["wrong_neighbors"] == 1


def test_what_cannot_be_asked_for(run: Run, dataset: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", vectors("snr", 9, DIM, 1))
    np.save(tmp_path / "short.npy", np.ones(N - 1, bool))
    (tmp_path / "exists.npy").write_bytes(b"mine")
    some = str(dataset)
    refusals = {
        (some,): "give --out FILE, or --check",
        (some, "--check", "--k", "3"): "over its whole base",
        (some, "--out", "t.txt"): ".txt is no format of truth",
        (some, "--out", "exists.npy"): "exists already",
        (some, "--out", "none/t.npy"): "no such folder",
        (some, "--out", "t.npy", "--rows", "3"): "write it like 0:1000000",
        (some, "--out", "t.npy", "--rows", f"0:{N + 1}"): f"the base has {N} rows",
        (some, "--out", "t.npy", "--query-set", "odd"): "did you mean ood?",
        (some, "--out", "t.npy", "--metric", "hamming"): "hamming compares bits",
        (some, "--out", "t.npy", "--filter", "short.npy"): f"a boolean for each of the {N} rows",
        (some, "--out", "t.npy", "--filter", "labels.csr"): "give --query-labels",
        (some, "--out", "t.npy", "--filter", "labels.txt"): "is no filter",
        (some, "--out", "t.npy", "--query-labels", "labels.csr"): "give --filter FILE.csr",
        ("v.npy", "--out", "t.npy"): "vectors need a metric",
        ("v.npy", "--out", "t.npy", "--metric", "ip"): "give --queries FILE",
        ("gone.npy", "--out", "t.npy"): "no such file",
    }
    for arguments, said in refusals.items():
        code, _, error = run(*arguments)
        assert code == 2, arguments
        assert said in error, arguments
    assert (tmp_path / "exists.npy").read_bytes() == b"mine"
    assert not (tmp_path / "t.npy").exists()
    assert run(some, "--out", "exists.npy", "--force")[0] == 0


def test_interrupted_it_goes_on_and_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, queries = bits(4000, 64, 1), bits(2000, 64, 2)
    np.save(tmp_path / "base.npy", base)
    np.save(tmp_path / "queries.npy", queries)

    def request(out: str, partial: str) -> TruthRequest:
        return TruthRequest(
            base=tmp_path / "base.npy", queries=tmp_path / "queries.npy", metric="hamming", k=K, threads=1,
            out=tmp_path / out, partial=tmp_path / partial,
        )  # fmt: skip

    def stop(phase: str, done: float) -> None:
        if phase == "truth" and done == 0.5:
            raise KeyboardInterrupt

    tasks = Tasks(limit=2).installed(monkeypatch.setattr)
    with pytest.raises(KeyboardInterrupt):
        truth_file.find(request("cut.hdf5", "a"), stop)
    assert tasks.done == [(0, 500), (500, 1000)]
    assert not (tmp_path / "cut.hdf5").exists()
    assert list((tmp_path / "a").glob("truth+*"))
    tasks.limit = math.inf
    truth_file.find(request("cut.hdf5", "a"), lambda *_: None)
    assert tasks.done[2:] == [(1000, 1500), (1500, 2000)], "it began anew"
    assert not list((tmp_path / "a").iterdir())
    truth_file.find(request("whole.hdf5", "b"), lambda *_: None)
    assert tasks.done[4:] == tasks.done[:4]
    assert (tmp_path / "cut.hdf5").read_bytes() == (tmp_path / "whole.hdf5").read_bytes()


def test_a_truth_is_computed_once_at_a_time(tmp_path: Path) -> None:
    asked = TruthRequest(base=tmp_path / "v.npy", metric="ip", out=tmp_path / "t.npy", partial=tmp_path / "p")
    with (
        truth_file._checkpoint(asked, "a" * 64),
        pytest.raises(DatasetError, match="another process"),
        truth_file._checkpoint(asked, "a" * 64),
    ):
        raise AssertionError
    assert not list((tmp_path / "p").iterdir())
