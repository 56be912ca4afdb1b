"""`add`, end to end: the real child process, the real ground truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from truth_tasks import wait_until_held

from annbench.datasets.add import Added, AddRequest, add_dataset
from annbench.datasets.assembling import count_copies, hold_out
from annbench.datasets.child import run_child
from annbench.datasets.dataset import Dataset
from annbench.datasets.formats.rows import ArrayRows
from annbench.datasets.library import cache_dir, find_listed
from annbench.datasets.making import PARTIAL
from annbench.distances.registry import true_distances
from annbench.errors import DatasetError, UsageError

SEED = 7


def vectors(shape: tuple[int, int], dtype: str = "float32") -> Any:
    values = np.random.default_rng(SEED).standard_normal(shape)
    return (values * 30).astype(dtype) if dtype == "int8" else values.astype(dtype)


@pytest.fixture
def add(tmp_path: Path) -> Callable[..., Added]:
    """Saves `base` (and `queries`) as npy and adds them as `mine`."""

    def run(base: Any, queries: Any = None, on_progress: Any = None, **fields: Any) -> Added:
        np.save(tmp_path / "base.npy", base)
        if queries is not None:
            np.save(tmp_path / "queries.npy", queries)
            fields["queries"] = tmp_path / "queries.npy"
        request = {"name": "mine", "metric": "cosine", "k": 10, **fields}
        return add_dataset(AddRequest(base=tmp_path / "base.npy", folder=tmp_path / "data", **request), on_progress)

    return run


def assert_truth_is_exact(path: Path) -> None:
    with Dataset(path) as dataset:
        base, queries = dataset.base().astype(np.float64), dataset.queries().astype(np.float64)
        ids, stored = dataset.neighbors(), dataset.distances()
        for i, query in enumerate(queries):
            every = true_distances(dataset.info.metric, query[None], base[None])[0]
            best = np.sort(every)[: dataset.info.query_sets["test"].truth_k]
            np.testing.assert_allclose(every[ids[i]], best, atol=1e-12)
            np.testing.assert_allclose(stored[i], best, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "ip"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_with_queries(add: Callable[..., Added], metric: str, dtype: str) -> None:
    base, queries = vectors((300, 12), dtype), vectors((20, 12), dtype)[::-1]
    added = add(base, queries, metric=metric)
    assert (added.info.n, added.info.dim, added.info.dtype, added.info.metric) == (300, 12, dtype, metric)
    assert added.info.query_sets["test"].count == 20
    with Dataset(Path(added.info.path)) as dataset:
        np.testing.assert_array_equal(dataset.base_raw[:], base)
        np.testing.assert_array_equal(dataset.queries(), queries.astype(np.float32))
    assert_truth_is_exact(Path(added.info.path))


def test_without_queries_some_rows_are_held_out(add: Callable[..., Added]) -> None:
    base = vectors((300, 12))
    base[10] = base[20] = base[30]
    added = add(base, seed=5, held_out=290)
    assert any("290 rows were held out as queries (seed 5)" in note for note in added.notes)
    with h5py.File(added.info.path) as file:
        rows, train, test = file["held_out_rows"][:], file["train"][:], file["test"][:]
    assert len(set(rows)) == 290
    np.testing.assert_array_equal(test, base[rows])
    np.testing.assert_array_equal(train, np.delete(base, rows, axis=0))
    assert added.info.provenance["held_out_seed"] == 5
    assert_truth_is_exact(Path(added.info.path))
    assert add(base, seed=5, held_out=290, force=True).info.sha256 == added.info.sha256
    assert add(base, seed=6, held_out=290, force=True).info.sha256 != added.info.sha256


def test_how_many_rows_are_held_out_by_default() -> None:
    assert len(hold_out(ArrayRows(vectors((300, 2)), "x"), None, 1).queries) == 30
    assert len(hold_out(ArrayRows(vectors((20_000, 2)), "x"), None, 1).queries) == 1000
    for n, count in ((9, None), (5, 5)):
        with pytest.raises(DatasetError, match="cannot be held out"):
            hold_out(ArrayRows(vectors((n, 2)), "x"), count, 1)


def test_copies_of_queries_are_reported(add: Callable[..., Added]) -> None:
    base = vectors((100, 4))
    added = add(base, base[:3])
    assert any("3 base vectors are exact copies of a query" in note for note in added.notes)
    assert count_copies(ArrayRows(np.vstack([base, base]), "x"), base[:3]) == 6


def test_what_the_owner_is_told(add: Callable[..., Added]) -> None:
    base = vectors((50, 4), "float64")
    base[[3, 8]] = 0
    notes = "\n".join(add(base, vectors((5, 4)), k=80).notes)
    assert "base.npy: float64 was converted to float32" in notes
    assert "k is 50, not 80" in notes
    assert "2 zero vectors in the base, at cosine distance 1 from everything; rows: 3, 8" in notes


def test_ties_at_the_cut_are_told(add: Callable[..., Added]) -> None:
    added = add(np.ones((50, 4), np.float32), np.ones((2, 4), np.float32), metric="euclidean")
    assert any("2 queries have further neighbours as near as the last" in note for note in added.notes)


def test_the_description_is_remembered(add: Callable[..., Added], tmp_path: Path) -> None:
    added = add(vectors((100, 4)))
    listed = find_listed("mine", tmp_path / "data")
    assert listed is not None
    assert (listed.n, listed.queries) == (added.info.n, 10)
    assert list(cache_dir(tmp_path / "data").glob("*.tmp")) == []


def test_an_existing_name_is_kept_unless_forced(add: Callable[..., Added]) -> None:
    first = add(vectors((100, 4)))
    before = Path(first.info.path).read_bytes()
    with pytest.raises(DatasetError, match="exists already"):
        add(vectors((50, 4)))
    assert Path(first.info.path).read_bytes() == before
    assert add(vectors((50, 4)), force=True).info.n == 45


@contextmanager
def held_after(tasks: int, folder: Path) -> Iterator[None]:
    """The child that adds stands still after so many tasks of the truth, until it is interrupted."""
    sign = folder / "held"
    (folder / "held_making.py").write_text(
        "from truth_tasks import Tasks\nfrom annbench.datasets.making import _work\n"
        f"from annbench.datasets.serving import serve\nTasks({tasks}, {str(sign)!r}).installed()\nserve(_work)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr(
            "annbench.datasets.add.run_child", lambda _, *rest, **more: run_child("held_making", *rest, **more)
        )
        patch.setattr("annbench.datasets.child._GRACE_SECONDS", 60.0)  # killed, it would not keep all it has
        yield


def test_interrupted_it_goes_on_from_there(add: Callable[..., Added], tmp_path: Path) -> None:
    base = vectors((60_000, 16))
    # Memory for two fifths of the base at a time; a task is one of the 200 queries. So the 250th is in the second part.
    fields = {"held_out": 200, "threads": 1, "memory_bytes": 18 << 20}
    reached: list[float] = []

    def stop(phase: str, fraction: float) -> None:
        if phase == "truth" and fraction > 0.4:
            reached.append(fraction)
            wait_until_held(tmp_path / "held")
            raise KeyboardInterrupt

    with held_after(250, tmp_path), pytest.raises(KeyboardInterrupt):
        add(base, on_progress=stop, **fields)
    assert reached[0] < 0.5
    data = tmp_path / "data"
    assert list(data.glob("*.hdf5")) == list(data.glob(".*.hdf5")) == []
    (checkpoint,) = (data / PARTIAL).glob("mine+*.truth")
    assert checkpoint.stat().st_size > 0

    seen: list[float] = []
    resumed = add(base, on_progress=lambda phase, done: seen.append(done) if phase == "truth" else None, **fields)
    assert seen[0] > reached[0]
    assert_truth_is_exact(Path(resumed.info.path))
    assert list((data / PARTIAL).glob("mine+*")) == []
    assert add(base, force=True, **fields).info.sha256 == resumed.info.sha256


def test_other_vectors_do_not_resume(add: Callable[..., Added], tmp_path: Path) -> None:
    def stop(phase: str, _: float) -> None:
        if phase == "truth":
            wait_until_held(tmp_path / "held")
            raise KeyboardInterrupt

    with held_after(1, tmp_path), pytest.raises(KeyboardInterrupt):
        add(vectors((60_000, 16)), on_progress=stop, held_out=200, threads=1, memory_bytes=18 << 20)
    assert len(list((tmp_path / "data" / PARTIAL).glob("mine+*"))) == 1
    added = add(vectors((100, 4)))
    assert added.info.n == 90
    assert list((tmp_path / "data" / PARTIAL).glob("mine+*")) == []


def test_files_of_a_dead_process_are_cleaned_up(add: Callable[..., Added], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    stale = tmp_path / "data" / ".mine.999.tmp.hdf5"
    stale.write_bytes(b"half")
    other = tmp_path / "data" / ".other.999.tmp.hdf5"
    other.write_bytes(b"half")
    add(vectors((100, 4)))
    assert not stale.exists()
    assert other.exists()


def test_a_whole_dataset_is_imported_as_it_is(ann_benchmarks_file: Callable[..., Path], tmp_path: Path) -> None:
    source = ann_benchmarks_file("ip")
    added = add_dataset(AddRequest(name="copy", base=source, folder=tmp_path / "data"))
    assert Path(added.info.path).read_bytes() == source.read_bytes()
    assert added.info.metric == "ip"
    with pytest.raises(DatasetError, match="is a ip dataset"):
        add_dataset(AddRequest(name="other", base=source, metric="cosine", folder=tmp_path / "data"))
    assert not (tmp_path / "data" / "other.hdf5").exists()
    with pytest.raises(UsageError, match="own queries"):
        add_dataset(AddRequest(name="o", base=source, held_out=3, folder=tmp_path / "data"))


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no metric": ({"metric": None}, UsageError, "--metric"),
    "unsafe name": ({"name": "../x"}, DatasetError, "not a dataset name"),
    "bundled name": ({"name": "wordnet-minilm-384-angular"}, DatasetError, "public dataset"),
    "public name": ({"name": "sift-128-euclidean"}, DatasetError, "public dataset"),
    "nan": ({"base": np.array([[1, 2], [np.nan, 1]] * 20, np.float32)}, DatasetError, "row 1: holds nan"),
    "other dim": ({"queries": vectors((5, 3))}, DatasetError, "has 3 dimensions, and the base has 4"),
    "both": ({"queries": vectors((5, 4)), "held_out": 3}, UsageError, "exclude"),
    "too few": ({"base": vectors((5, 4))}, DatasetError, "cannot be held out"),
    "integers": ({"base": np.ones((50, 4), np.int64)}, DatasetError, "int64"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_leave_nothing_behind(add: Callable[..., Added], tmp_path: Path, case: str) -> None:
    fields, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        add(**{"base": vectors((100, 4)), **fields})
    assert list(tmp_path.rglob("*.hdf5")) == []
