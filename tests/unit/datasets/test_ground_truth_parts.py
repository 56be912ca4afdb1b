"""Truth over part of a base: rows from … to, masks, labels; alone and together, for every metric."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from truth_by_definition import check, data, everything, sets

from annbench.datasets.formats.rows import Hdf5Rows
from annbench.datasets.ground_truth import Labels, engine, exact_neighbors
from annbench.distances import METRICS, Metric
from annbench.distances.sets import Sets
from annbench.errors import DatasetError, UsageError

SEED = 20250118
N, QUERIES, K = 1500, 11, 10


def definition(metric: Metric, base: Any, queries: Any) -> Any:
    """As the dense searches compute it, whose last bit is not that of `annbench.distances`."""
    if metric not in ("euclidean", "cosine", "ip"):
        return everything(metric, base, queries)
    truth = exact_neighbors(base, queries, len(base), metric)
    distances = np.empty((len(queries), len(base)))
    np.put_along_axis(distances, truth.neighbors, truth.distances, axis=1)
    np.testing.assert_allclose(distances, everything(metric, base, queries), rtol=1e-9, atol=1e-9)
    return distances


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rows", [(0, 1), (300, 1200), (1499, 1500), (700, 700)])
def test_part_of_the_base(metric: Metric, rows: tuple[int, int]) -> None:
    base, queries = data(metric, N, QUERIES)
    admitted = np.zeros((QUERIES, N), bool)
    admitted[:, slice(*rows)] = True
    truth = exact_neighbors(base, queries, K, metric, rows=rows)
    check(truth, definition(metric, base, queries), K, admitted)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 1.0])
def test_a_mask_for_all_queries(metric: Metric, share: float) -> None:
    base, queries = data(metric, N, QUERIES)
    mask = np.random.default_rng(SEED).random(N) < share
    expected = definition(metric, base, queries)
    for given in (mask, np.packbits(mask)):
        check(exact_neighbors(base, queries, K, metric, rows_filter=given), expected, K, np.tile(mask, (QUERIES, 1)))
    within = mask & (np.arange(N) >= 123) & (np.arange(N) < 1001)
    for given in (mask, np.packbits(mask)):
        truth = exact_neighbors(base, queries, K, metric, rows=(123, 1001), rows_filter=given)
        check(truth, expected, K, np.tile(within, (QUERIES, 1)))


def labelled(n: int, queries: int, *, vocabulary: int = 12, of_a_row: int = 4, of_a_query: int = 2) -> Labels:
    """Random labels; one query asks for none, and one for a label that no row has."""
    base = sets(n, vocabulary - 1, of_a_row, SEED)
    asked = [row.tolist() for row in sets(queries, vocabulary - 1, of_a_query, SEED + 1)]
    asked[0], asked[1] = [], [vocabulary - 1]
    return Labels(Sets(base.indptr, base.elements, vocabulary), Sets.from_rows(asked, vocabulary))


def admitted_by(labels: Labels) -> Any:
    rows = [set(row.tolist()) for row in labels.base]
    return np.array([[set(query.tolist()) <= row for row in rows] for query in labels.queries])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("threads", [1, 2])
def test_labels_give_each_query_rows_of_its_own(metric: Metric, threads: int) -> None:
    base, queries = data(metric, N, QUERIES)
    labels = labelled(N, QUERIES)
    expected, admitted = definition(metric, base, queries), admitted_by(labels)
    assert admitted[0].all()
    assert not admitted[1].any()
    check(exact_neighbors(base, queries, K, metric, rows_filter=labels, threads=threads), expected, K, admitted)
    admitted[:, :400] = admitted[:, 900:] = False
    truth = exact_neighbors(base, queries, K, metric, rows=(400, 900), rows_filter=labels, threads=threads)
    check(truth, expected, K, admitted)


@pytest.mark.parametrize("metric", ["euclidean", "hamming", "snr"])
def test_sources_change_nothing(metric: Metric, tmp_path: Path) -> None:
    base, queries = data(metric, N, QUERIES)
    mask = np.random.default_rng(SEED).random(N) < 0.3
    labels = labelled(N, QUERIES)
    np.save(tmp_path / "base.npy", base)
    with h5py.File(tmp_path / "base.hdf5", "w") as file:
        file["plain"] = base
        file.create_dataset("packed", data=base, chunks=(100, base.shape[1]), compression="gzip")
        sources = {
            "memmap": np.load(tmp_path / "base.npy", mmap_mode="r"),
            "h5py": file["plain"],
            "rows": Hdf5Rows(file["plain"], tmp_path / "base.hdf5", "plain"),
            "chunked": Hdf5Rows(file["packed"], tmp_path / "base.hdf5", "packed"),
        }
        for more in ({"rows": (100, 1300)}, {"rows_filter": mask}, {"rows_filter": labels}):
            expected = exact_neighbors(base, queries, K, metric, **more)  # type: ignore[arg-type]
            for name, source in sources.items():
                found = exact_neighbors(source, queries, K, metric, **more)  # type: ignore[arg-type]
                for field, array in vars(expected).items():
                    np.testing.assert_array_equal(getattr(found, field), array, err_msg=f"{name} {field}")


class StoppedError(Exception):
    """Stands for whatever ends a run early."""


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("how", ["mask", "labels"])
def test_an_interrupted_run_continues_to_the_same_truth(
    metric: Metric, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_SHARE", 1e9)
    base, queries = data(metric, N, 300)
    mask = np.random.default_rng(SEED).random(N) < 0.5
    chosen: Any = mask if how == "mask" else labelled(N, 300)
    whole = exact_neighbors(base, queries, K, metric, rows_filter=chosen)
    path = tmp_path / "truth.npz"

    def stop(fraction: float) -> None:
        if fraction > 0.1:
            raise StoppedError

    with pytest.raises(StoppedError):
        exact_neighbors(
            base, queries, K, metric, rows_filter=chosen, threads=2, checkpoint=path, fingerprint="a", progress=stop
        )
    assert path.exists()
    truth = exact_neighbors(base, queries, K, metric, rows_filter=chosen, threads=1, checkpoint=path, fingerprint="a")
    for name, array in vars(whole).items():
        np.testing.assert_array_equal(getattr(truth, name), array)
    other: Any = ~mask if how == "mask" else labelled(N, 300, of_a_query=1)
    with pytest.raises(DatasetError, match="part"):
        exact_neighbors(base, queries, K, metric, rows_filter=other, checkpoint=path, fingerprint="a")


def test_a_bad_row_is_named_by_its_place_in_the_base() -> None:
    base, queries = data("euclidean", 100, 5)
    base[40, 2] = np.nan
    mask = np.zeros(100, bool)
    mask[[3, 40, 50]] = True
    for more in ({"rows": (30, 60)}, {"rows_filter": mask}, {"rows_filter": labelled(100, 5)}):
        with pytest.raises(DatasetError) as caught:
            exact_neighbors(base, queries, 2, "euclidean", **more)  # type: ignore[arg-type]
        assert caught.value.where == "base row 40"
    exact_neighbors(base, queries, 2, "euclidean", rows=(41, 100))  # it does not count: it does not matter


def test_parts_are_checked() -> None:
    base, queries = data("euclidean", 20, 3)
    for rows in ((-1, 3), (3, 21), (5, 4)):
        with pytest.raises(UsageError, match="rows"):
            exact_neighbors(base, queries, 2, "euclidean", rows=rows)
    for mask in (np.ones(19, bool), np.ones(20, np.uint8), np.ones((20, 2), bool), np.ones(20)):
        with pytest.raises(UsageError, match="give a boolean for each"):
            exact_neighbors(base, queries, 2, "euclidean", rows_filter=mask)
    with pytest.raises(UsageError, match="bits set beyond row 19"):
        exact_neighbors(base, queries, 2, "euclidean", rows_filter=np.full(3, 255, np.uint8))
    with pytest.raises(UsageError, match="19 rows and 3 queries"):
        exact_neighbors(base, queries, 2, "euclidean", rows_filter=labelled(19, 3))


MEASURE_PEAK = """
import resource, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from truth_by_definition import data
from annbench.datasets.ground_truth import exact_neighbors

class Generated:
    \"\"\"A base that exists only as the rows asked for.\"\"\"
    def __init__(self, n, metric):
        self.shape, self.metric = (n, 64), metric
        self.dtype = np.dtype(np.uint8 if metric == "hamming" else np.float32)
    def __getitem__(self, rows):
        start, stop, _ = rows.indices(self.shape[0])
        made = np.empty((max(0, stop - start), 64), self.dtype)
        for first in range(start, stop, 4096):
            last = min(first + 4096, stop)
            mixed = np.arange(64 * first, 64 * last, dtype=np.uint32) * np.uint32(2654435761)
            mixed = ((mixed ^ (mixed >> 15)) * np.uint32(2246822519)).reshape(-1, 64) >> 8
            scaled = mixed >> 16 if self.metric == "hamming" else mixed * np.float32(0.1 / 2**24)
            made[first - start : last - start] = scaled
        return made

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

metric, limit = sys.argv[1], 48 << 20
base, queries = data(metric, 300, 4)
exact_neighbors(base, queries, 3, metric, threads=2)
if metric == "jaccard":
    base, queries = data(metric, 30_000, 200)
else:
    base = Generated(900_000 if metric == "hamming" else 220_000, metric)
    queries = base[:200]
before = peak()
exact_neighbors(base, queries, 100, metric, threads=2, memory_limit_bytes=limit)
print(peak() - before, limit)
"""


@pytest.mark.parametrize("metric", ["hamming", "jaccard", "snr", "poincare"])
def test_the_memory_limit_is_held(metric: Metric) -> None:
    """Bases (and, of sets, pairs) larger than the limit; beyond it, only what the generator needs."""
    result = subprocess.run(
        [sys.executable, "-c", MEASURE_PEAK, metric, str(Path(__file__).parent)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    grown, limit = map(int, result.stdout.split())
    generator_bytes = 16 << 20
    assert grown <= limit + generator_bytes
