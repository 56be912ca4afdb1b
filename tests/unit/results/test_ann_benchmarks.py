"""The layout of ann-benchmarks, as its results.py reads it and its plotting/metrics.py judges it.

Its own scripts were run over an export (plot.py and data_export.py at commit f402b2c); what they need is checked here
without them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from synthetic_records import make_record

from annbench.datasets.dataset import Dataset
from annbench.datasets.info import DatasetInfo, QuerySetInfo
from annbench.errors import NothingComparableError, ResultError
from annbench.results.ann_benchmarks import export_ann_benchmarks
from annbench.results.present import DataFiles
from annbench.results.schema import Record
from annbench.results.store import ResultStore
from annbench.tasks.base import Asked
from annbench.tasks.registry import load_task

N, DIM, Q, K = 300, 32, 20, 5
DISTANCES: dict[str, Callable[[Any, Any], Any]] = {  # its distance.py
    "euclidean": lambda a, b: np.sum((a - b) ** 2) ** 0.5,
    "angular": lambda a, b: 1 - np.dot(a, b) / (np.sum(a**2) ** 0.5 * np.sum(b**2) ** 0.5),
    "hamming": lambda a, b: np.mean(a.astype(bool) ^ b.astype(bool)),
}
WORDS = {"euclidean": "euclidean", "cosine": "angular", "hamming": "hamming"}


def dataset(folder: Path, metric: str) -> DatasetInfo:
    """A file of its layout, older than the records."""
    rng = np.random.default_rng(3)
    base, queries = rng.standard_normal((N, DIM)).astype("f4"), rng.standard_normal((Q, DIM)).astype("f4")
    if metric == "hamming":
        base, queries = base > 0, queries > 0
    word = WORDS[metric]
    distances = np.array([[DISTANCES[word](query, vector) for vector in base] for query in queries])
    order = np.argsort(distances, axis=1, kind="stable")[:, : 2 * K]
    path = folder / f"{metric}.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs.update({"distance": word, "dimension": DIM, "type": "dense", "point_type": "float"})
        file["train"], file["test"], file["neighbors"] = base, queries, order
        file["distances"] = np.take_along_axis(distances, order, axis=1).astype("f4")
    before = datetime(2020, 1, 1).timestamp()
    os.utime(path, (before, before))
    return DatasetInfo(
        name=metric, path=str(path), sha256=metric[0] * 64, file_bytes=path.stat().st_size, metric=metric,
        dtype="bits" if metric == "hamming" else "float32", n=N, dim=DIM, zero_rows=0, unit_norm=False,
        query_sets={"test": QuerySetInfo(count=Q, truth_k=2 * K)},
    )  # fmt: skip


def ids_of(info: DatasetInfo, wrong: int) -> np.ndarray:
    """The true neighbours, with `wrong` of each row replaced by the farthest vectors known."""
    with Dataset(Path(info.path)) as data:
        ids = data.neighbors()[:, :K].copy()
        ids[:, K - wrong :] = data.neighbors()[:, -wrong or 2 * K :]
    return ids


def stored(store: ResultStore, info: DatasetInfo, ids: np.ndarray, **fields: Any) -> Record:
    record = make_record(dataset=info, k=K, build={"M": 8, "seed": None}, **fields)
    rng = np.random.default_rng(1)
    latencies = rng.integers(10_000, 90_000, (3, Q))
    arrays = {"ids": ids, "pass_ns": latencies.sum(axis=1)}
    store.write(record, arrays if record.key.mode == "batch" else {**arrays, "latencies_ns": latencies})
    return record


def export(store: ResultStore, folder: Path) -> Any:
    return export_ann_benchmarks(store, list(store.records()), folder, DataFiles(folder / "no-data"))


def only_file(folder: Path) -> Path:
    (path,) = [path for path in folder.rglob("*") if path.is_file()]
    return path


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "hamming"])
def test_the_file_is_what_its_scripts_read(tmp_path: Path, metric: str) -> None:
    info, store = dataset(tmp_path, metric), ResultStore(tmp_path / "results")
    ids = ids_of(info, wrong=2)
    record = stored(store, info, ids, search={"ef": 40}, qps=2000.0)
    done = export(store, tmp_path / "out")
    assert (done.points, dict(done.datasets), dict(done.left_out)) == (1, {metric: Path(info.path)}, {})
    path = only_file(tmp_path / "out")
    digest = record.key.digest[:12]
    assert path.relative_to(tmp_path / "out") == Path(metric, str(K), "hnswlib", f"M_8_ef_40_{digest}.hdf5")
    with h5py.File(path, "r+") as file:  # as it opens them: it keeps its metrics in there
        arrays = {name: (array.dtype.str, array.shape) for name, array in file.items()}
        assert arrays == {"times": ("<f4", (Q,)), "neighbors": ("<i4", (Q, K)), "distances": ("<f4", (Q, K))}
        properties = dict(file.attrs)
        given, found = np.array(file["distances"]), np.array(file["neighbors"])
        times = np.array(file["times"])
    assert {name: properties[name] for name in ("algo", "dataset", "distance", "count", "run_count")} == {
        "algo": "hnswlib", "dataset": metric, "distance": WORDS[metric], "count": K, "run_count": record.key.passes,
    }  # fmt: skip
    assert properties["batch_mode"] == False  # noqa: E712  it compares with !=
    assert properties["expect_extra"] == False  # noqa: E712
    assert properties["name"] == record.label
    assert 1.0 / properties["best_search_time"] == pytest.approx(2000.0)
    assert properties["build_time"] == record.build.build_seconds
    assert properties["index_size"] == record.load.resident_bytes / 1024  # its kB of resident memory
    assert properties["candidates"] == K
    assert "%(dataset)s_%(count)d_%(distance)s" % properties == f"{metric}_{K}_{WORDS[metric]}"  # noqa: UP031
    assert found.tolist() == ids.tolist()
    best = store.arrays(record)
    assert times == pytest.approx(best["latencies_ns"][best["pass_ns"].argmin()] / 1e9)
    with h5py.File(info.path) as file:
        base, queries, truth = np.array(file["train"]), np.array(file["test"]), np.array(file["distances"])
    true = [[DISTANCES[WORDS[metric]](queries[q], base[i]) for i in row] for q, row in enumerate(ids)]
    np.testing.assert_allclose(given, np.array(true, dtype="f4"), rtol=1e-6)
    # knn of its metrics.py
    recall = np.mean([(row <= truth[q][K - 1] + 1e-3).sum() for q, row in enumerate(given)]) / K
    with Dataset(Path(info.path)) as data:
        ours = load_task("knn").scorer(data, Asked("test", None, K)).score(ids)
    assert 0 < recall < 1
    assert recall == pytest.approx(ours.recall_ann_benchmarks)


def test_what_is_no_neighbour_is_infinitely_far_at_the_end_of_its_row(tmp_path: Path) -> None:
    info, store = dataset(tmp_path, "euclidean"), ResultStore(tmp_path / "results")
    ids = ids_of(info, wrong=0)
    good = ids.copy()
    ids[0, 1], ids[1, 0], ids[2, 3], ids[3] = -1, N, ids[2, 0], -1  # missing, not existing, repeated, nothing at all
    stored(store, info, ids)
    export(store, tmp_path / "out")
    with h5py.File(only_file(tmp_path / "out")) as file:
        found, distances = np.array(file["neighbors"]), np.array(file["distances"])
        candidates = file.attrs["candidates"]
    assert found[0].tolist() == [*good[0, [0, 2, 3, 4]], -1]
    assert found[1].tolist() == [*good[1, 1:], -1]
    assert found[2].tolist() == [*good[2, [0, 1, 2, 4]], -1]
    assert found[3].tolist() == [-1] * K
    assert found[4:].tolist() == good[4:].tolist()
    assert (np.isinf(distances) == (found == -1)).all()
    assert candidates == pytest.approx(K - 8 / Q)


def test_batches_have_their_folder_and_share_their_time(tmp_path: Path) -> None:
    info, store = dataset(tmp_path, "euclidean"), ResultStore(tmp_path / "results")
    record = stored(store, info, ids_of(info, 0), mode="batch", threads=2, qps=5000.0)
    export(store, tmp_path / "out")
    path = only_file(tmp_path / "out")
    assert path.parent.name == "hnswlib-batch"
    with h5py.File(path) as file:
        assert file.attrs["batch_mode"] == True  # noqa: E712
        expected = store.arrays(record)["pass_ns"].min() / 1e9 / Q
        assert np.array(file["times"]) == pytest.approx(np.full(Q, expected))


def test_of_several_workers_the_median_stands_for_the_point(tmp_path: Path) -> None:
    info, store = dataset(tmp_path, "euclidean"), ResultStore(tmp_path / "results")
    for worker, qps in enumerate((100.0, 900.0, 300.0, 400.0)):
        stored(store, info, ids_of(info, 0), worker=worker, qps=qps)
    assert export(store, tmp_path / "out").points == 1
    with h5py.File(only_file(tmp_path / "out")) as file:
        assert 1 / file.attrs["best_search_time"] == pytest.approx(300.0)


def test_settings_that_its_layout_does_not_know_are_in_the_name(tmp_path: Path) -> None:
    info, store = dataset(tmp_path, "euclidean"), ResultStore(tmp_path / "results")
    stored(store, info, ids_of(info, 0), algorithm="flat", library="numpy")
    for machine, library in (("a1" * 8, "hnswlib"), ("b2" * 8, "hnswlib"), ("a1" * 8, "hnswlib-fork")):
        stored(store, info, ids_of(info, 0), machine=machine, library=library)
    export(store, tmp_path / "out")
    names = set()
    for path in (tmp_path / "out").rglob("*.hdf5"):
        with h5py.File(path) as file:
            names.add(file.attrs["algo"])
    assert names == {
        "flat",
        "hnswlib (hnswlib 1.0.0, machine a1a1a1a1)",
        "hnswlib (hnswlib 1.0.0, machine b2b2b2b2)",
        "hnswlib (hnswlib-fork 1.0.0, machine a1a1a1a1)",
    }  # fmt: skip


def test_what_it_has_no_place_for_is_left_out_and_counted(tmp_path: Path) -> None:
    info, store = dataset(tmp_path, "euclidean"), ResultStore(tmp_path / "results")
    ids = ids_of(info, 0)
    stored(store, info, ids)
    stored(store, info, ids, search={"ef": 1}, mode="clients:2")
    stored(store, info, ids, search={"ef": 2}, status="crashed")
    stored(store, info, ids, algorithm="null")
    gone = info.model_copy(update={"name": "gone", "path": "/not/here.hdf5", "sha256": "9" * 64})
    stored(store, gone, ids)
    other = stored(store, info.model_copy(update={"sha256": "8" * 64}), ids, search={"ef": 3})
    store.write(other.model_copy(update={"started_at": "2023-01-01T00:00:00Z"}), {"ids": ids})
    record = stored(store, info, ids, search={"ef": 4})
    ood = record.model_copy(update={"key": record.key.model_copy(update={"query_set": "ood"})})
    store.write(ood, {"ids": ids})
    done = export(store, tmp_path / "out")
    assert done.points == 2
    assert len(store.paths()) == 8
    assert sorted(done.left_out.items()) == [
        ("mode clients:2: ann-benchmarks has single and batch", 1),
        ("no usable measurement of an index", 2),
        ("other data of the name euclidean", 1),
        ("query set ood: ann-benchmarks has one a dataset", 1),
        ("the dataset file is gone (/not/here.hdf5)", 1),
    ]


def test_nothing_to_export_says_why(tmp_path: Path) -> None:
    info, store = dataset(tmp_path, "euclidean"), ResultStore(tmp_path / "results")
    stored(store, info, ids_of(info, 0), mode="clients:2")
    with pytest.raises(NothingComparableError, match="1 left out: mode clients:2"):
        export(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_lead_nowhere_else_and_an_export_is_replaced(tmp_path: Path) -> None:
    info, store = dataset(tmp_path, "euclidean"), ResultStore(tmp_path / "results")
    hostile = info.model_copy(update={"name": "../../x"})
    stored(store, hostile, ids_of(info, 0), algorithm="../y", search={"../z": "../" * 90})
    export(store, tmp_path / "out")
    path = only_file(tmp_path / "out")
    assert len(path.relative_to(tmp_path / "out").parts) == 4
    with h5py.File(path, "r+") as file:
        file.create_group("metrics")  # as its scripts do
    export(store, tmp_path / "out")
    with h5py.File(only_file(tmp_path / "out")) as file:
        assert "metrics" not in file


def test_a_damaged_result_and_a_folder_that_cannot_be_written_are_errors(tmp_path: Path) -> None:
    info, store = dataset(tmp_path, "euclidean"), ResultStore(tmp_path / "results")
    record = stored(store, info, ids_of(info, 0))
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(ResultError, match="cannot write"):
        export(store, tmp_path / "out")
    path = store.path_of(record)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ResultError, match="arrays' checksum"):
        export(store, tmp_path / "elsewhere")
