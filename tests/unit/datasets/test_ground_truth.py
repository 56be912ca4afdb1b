"""exact_neighbors against every distance in float64, sorted by (distance, id)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from truth_tasks import Tasks

from annbench import _native
from annbench.datasets.ground_truth import GroundTruth, dense, exact_neighbors, plan_memory
from annbench.datasets.ground_truth.bounds import score_error
from annbench.datasets.info import Metric
from annbench.errors import DatasetError, UsageError

METRICS: tuple[Metric, ...] = ("euclidean", "cosine", "ip")
SEED = 20240614
Rows = NDArray[Any]


def every_distance(base: Rows, query: Rows, metric: Metric) -> NDArray[np.float64]:
    """Float64 distances from `query` to all rows, with the reference kernel."""
    x, q = np.ascontiguousarray(base, np.float32), np.ascontiguousarray(query, np.float32)
    rows = np.arange(len(x), dtype=np.uint32)
    if metric == "euclidean":
        return np.sqrt(_native.exact_distance(q, x, rows, "squared_l2", isa="scalar"))
    dots = _native.exact_distance(q, x, rows, "dot", isa="scalar")
    if metric == "ip":
        return 0.0 - dots
    norms = np.empty(len(x))
    _native.squared_norms(x, norms, isa="scalar")
    own = _native.exact_distance(q, q[None], np.zeros(1, np.uint32), "dot", isa="scalar")
    scale = np.sqrt(own * norms)
    cosines = np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0)
    return np.maximum(1.0 - cosines, 0.0)


def check(truth: GroundTruth, base: Rows, queries: Rows, k: int, metric: Metric) -> None:
    n = len(base)
    assert truth.neighbors.shape == truth.distances.shape == (len(queries), k)
    for i, query in enumerate(queries):
        distances = every_distance(base, query, metric)
        order = np.lexsort((np.arange(n), distances))
        nearest = order[:k]
        padding = k - len(nearest)
        np.testing.assert_array_equal(truth.neighbors[i], np.append(nearest, np.full(padding, -1)))
        np.testing.assert_array_equal(truth.distances[i], np.append(distances[nearest], np.full(padding, np.inf)))
        beyond = int((distances[order[k:]] == distances[order[k - 1]]).sum()) if n > k else 0
        assert truth.ties_beyond_k[i] == beyond


def random_rows(count: int, dim: int, dtype: str = "float32", seed: int = SEED) -> Rows:
    values = np.random.default_rng(seed).standard_normal((count, dim))
    if dtype in ("int8", "uint8"):
        values = np.clip(
            values * 40 + (128 if dtype == "uint8" else 0), *((0, 255) if dtype == "uint8" else (-128, 127))
        )
    return values.astype(dtype)


def same(a: GroundTruth, b: GroundTruth) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("neighbors", "distances", "ties_beyond_k")
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8"])
def test_every_metric_and_dtype(metric: Metric, dtype: str) -> None:
    base, queries = random_rows(3000, 24, dtype), random_rows(17, 24, dtype, SEED + 1)
    check(exact_neighbors(base, queries, 10, metric), base, queries, 10, metric)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("n", "q", "dim", "k"), [(0, 3, 4, 2), (1, 2, 1, 3), (5, 0, 3, 2), (7, 3, 1, 7), (2500, 4, 1, 5)]
)
def test_small_sizes(metric: Metric, n: int, q: int, dim: int, k: int) -> None:
    base, queries = random_rows(n, dim), random_rows(q, dim, seed=SEED + 1)
    truth = exact_neighbors(base, queries, k, metric)
    assert truth.neighbors.dtype == np.int32
    check(truth, base, queries, k, metric)


def test_against_numpy_alone() -> None:
    """No code in common with the implementation: distances in numpy, order by argsort."""
    base, queries = random_rows(2000, 33), random_rows(5, 33, seed=SEED + 1)
    wide, query_wide = base.astype(np.float64), queries.astype(np.float64)
    expected = {
        "euclidean": np.linalg.norm(query_wide[:, None] - wide[None], axis=2),
        "ip": -query_wide @ wide.T,
        "cosine": 1
        - (query_wide @ wide.T) / np.linalg.norm(query_wide, axis=1)[:, None] / np.linalg.norm(wide, axis=1)[None],
    }
    for metric in METRICS:
        truth = exact_neighbors(base, queries, 20, metric)
        np.testing.assert_array_equal(truth.neighbors, np.argsort(expected[metric], axis=1)[:, :20])
        np.testing.assert_allclose(truth.distances, np.sort(expected[metric], axis=1)[:, :20], atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_ten_thousand_duplicates_across_the_cut(metric: Metric) -> None:
    random = np.random.default_rng(SEED)
    base = random_rows(12_000, 16)
    queries = random_rows(3, 16, seed=SEED + 1)
    copies = random.permutation(12_000)[:10_000]
    base[copies] = queries[0] * 0.9
    k = 100
    truth = exact_neighbors(base, queries, k, metric)
    check(truth, base, queries, k, metric)
    if metric != "ip":
        assert truth.ties_beyond_k[0] == 10_000 - k
        np.testing.assert_array_equal(truth.neighbors[0], np.sort(copies)[:k])


@pytest.mark.parametrize("metric", METRICS)
def test_a_base_of_one_repeated_vector(metric: Metric) -> None:
    base = np.tile(random_rows(1, 12), (5000, 1))
    queries = random_rows(2, 12, seed=SEED + 1)
    truth = exact_neighbors(base, queries, 30, metric)
    np.testing.assert_array_equal(truth.neighbors, np.tile(np.arange(30), (2, 1)))
    np.testing.assert_array_equal(truth.ties_beyond_k, [4970, 4970])


def float32_ranking(base: Rows, queries: Rows) -> NDArray[np.int64]:
    scores = queries @ base.T - np.float32(0.5) * (base * base).sum(axis=1, dtype=np.float32)
    return np.argsort(-scores, axis=1, kind="stable")


def test_near_ties_that_float32_ranks_wrongly() -> None:
    """Rows far from the origin and within float32's error of each other: only float64 tells them apart."""
    random = np.random.default_rng(SEED)
    base = (1000.0 + random.standard_normal((4000, 64)) * 1e-3).astype(np.float32)
    queries = (1000.0 + random.standard_normal((4, 64)) * 1e-3).astype(np.float32)
    truth = exact_neighbors(base, queries, 10, "euclidean")
    check(truth, base, queries, 10, "euclidean")
    overlap = [
        len(set(a) & set(b)) for a, b in zip(float32_ranking(base, queries)[:, :10], truth.neighbors, strict=True)
    ]
    assert max(overlap) < 10, "the rows are no test: float32 ranks them rightly"


def test_one_huge_row_does_not_spoil_the_rest() -> None:
    base, queries = random_rows(5000, 8), random_rows(4, 8, seed=SEED + 1)
    base[4321] = 1e15
    for metric in METRICS:
        check(exact_neighbors(base, queries, 7, metric), base, queries, 7, metric)


@pytest.mark.parametrize("scale", [1e-44, 1e-35, 1e-25, 1e-15, 1e15])
def test_tiny_and_huge_vectors(scale: float) -> None:
    base, queries = (
        random_rows(3000, 8) * np.float32(scale),
        random_rows(3, 8, seed=SEED + 1) * np.float32(scale),
    )
    for metric in METRICS:
        check(exact_neighbors(base, queries, 9, metric), base, queries, 9, metric)


def test_zero_vectors_under_cosine_are_at_distance_one() -> None:
    base, queries = random_rows(2000, 6), random_rows(3, 6, seed=SEED + 1)
    base[[3, 1999]] = 0
    queries[1] = 0
    truth = exact_neighbors(base, queries, 5, "cosine")
    check(truth, base, queries, 5, "cosine")
    np.testing.assert_array_equal(truth.distances[1], np.ones(5))
    np.testing.assert_array_equal(truth.neighbors[1], np.arange(5))
    assert truth.ties_beyond_k[1] == 1995


def test_a_vector_is_at_distance_zero_from_itself() -> None:
    base = random_rows(500, 48)
    for metric in ("euclidean", "cosine"):
        truth = exact_neighbors(base, base[:50], 1, metric)
        np.testing.assert_array_equal(truth.neighbors[:, 0], np.arange(50))
        np.testing.assert_array_equal(truth.distances, np.zeros((50, 1)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 60),
    dim=st.integers(1, 9),
    k=st.integers(1, 20),
    levels=st.integers(1, 4),
    metric=st.sampled_from(METRICS),
    seed=st.integers(0, 2**32 - 1),
)
def test_grids_full_of_ties(n: int, dim: int, k: int, levels: int, metric: Metric, seed: int) -> None:
    random = np.random.default_rng(seed)
    base = random.integers(0, levels, (n, dim)).astype(np.float32)
    queries = random.integers(0, levels, (3, dim)).astype(np.float32)
    check(exact_neighbors(base, queries, k, metric, threads=1), base, queries, k, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_float32_scores_stay_within_the_bound(metric: Metric) -> None:
    for dim in (1, 16, 300, 3000):
        base, queries = (
            random_rows(200, dim) + np.float32(3),
            random_rows(20, dim, seed=SEED + 1) + np.float32(3),
        )
        wide, query_wide = base.astype(np.float64), queries.astype(np.float64)
        norms, query_norms = np.linalg.norm(wide, axis=1), np.linalg.norm(query_wide, axis=1)
        bound = score_error(
            metric,
            dim,
            max_query_norm=query_norms.max(),
            max_base_norm=norms.max(),
            max_scale=(1 / norms).max(),
        )
        if metric == "euclidean":
            scores = queries @ base.T + (-0.5 * norms**2).astype(np.float32)
            real = query_wide @ wide.T - 0.5 * norms**2
        elif metric == "cosine":
            scores = (query_wide / query_norms[:, None]).astype(np.float32) @ base.T * (1 / norms).astype(np.float32)
            real = query_wide @ wide.T / norms / query_norms[:, None]
        else:
            scores, real = queries @ base.T, query_wide @ wide.T
        allowed = bound.slope * query_norms + bound.constant
        assert np.all(np.abs(scores - real) <= allowed[:, None])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["array", "memmap", "h5py", "strided"])
def test_slabs_threads_and_sources_change_nothing(metric: Metric, kind: str, tmp_path: Path) -> None:
    base, queries = random_rows(30_000, 20), random_rows(150, 20, seed=SEED + 1)
    base[20_000:25_000] = base[:5000]
    expected = exact_neighbors(base, queries, 10, metric, threads=1)
    check(
        GroundTruth(expected.neighbors[:3], expected.distances[:3], expected.ties_beyond_k[:3]),
        base,
        queries[:3],
        10,
        metric,
    )
    np.save(tmp_path / "base.npy", base)
    with h5py.File(tmp_path / "base.hdf5", "w") as file:
        file["base"] = base
        sources: dict[str, Callable[[], Any]] = {
            "array": lambda: base,
            "memmap": lambda: np.load(tmp_path / "base.npy", mmap_mode="r"),
            "h5py": lambda: file["base"],
            "strided": lambda: np.repeat(base, 2, axis=1)[:, ::2],
        }
        for threads in (1, 2):
            truth = exact_neighbors(
                sources[kind](),
                queries,
                10,
                metric,
                threads=threads,
                memory_limit_bytes=smallest_limit(threads),
            )
            assert same(truth, expected)


def smallest_limit(threads: int) -> int:
    """A limit that splits 30,000 rows of dim 20 into several slabs."""
    with pytest.raises(UsageError) as caught:
        plan_memory(30_000, 20, 150, 10, threads=threads, memory_limit_bytes=1)
    limit = int(caught.value.remedy.split()[-1]) + 500_000
    plan = plan_memory(30_000, 20, 150, 10, threads=threads, memory_limit_bytes=limit)
    assert plan.slab_rows < 15_000
    assert plan.peak_bytes <= limit
    return limit


class StoppedError(Exception):
    """Stands for whatever ends a run early."""


@pytest.mark.parametrize("error", [KeyboardInterrupt, StoppedError])
def test_an_interrupted_run_continues_where_it_stopped(
    tmp_path: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, queries = random_rows(30_000, 20), random_rows(150, 20, seed=SEED + 1)
    base[20_000:25_000] = base[:5000]
    source = np.repeat(base, 2, axis=1)[:, ::2]
    path = tmp_path / "truth.npz"
    arguments: dict[str, Any] = {"threads": 2, "checkpoint": path, "fingerprint": "abc"}
    fractions: list[float] = []

    def stop_half_way(fraction: float) -> None:
        fractions.append(fraction)
        if fraction > 0.5:
            raise error

    with pytest.raises(error):
        exact_neighbors(
            source,
            queries,
            10,
            "cosine",
            progress=stop_half_way,
            memory_limit_bytes=smallest_limit(2),
            **arguments,
        )
    assert sorted(fractions) == fractions
    assert not path.with_name(path.name + ".tmp").exists()

    done: list[float] = []
    truth = exact_neighbors(source, queries, 10, "cosine", progress=done.append, **arguments)
    assert done[0] > 0.5, "the rerun began anew"
    assert done[-1] == 1.0
    assert same(truth, exact_neighbors(base, queries, 10, "cosine"))

    def never(*_: object) -> None:
        raise AssertionError("a finished checkpoint is computed again")

    monkeypatch.setattr(dense.DenseSearch, "extend", never)
    assert same(exact_neighbors(source, queries, 10, "cosine", **arguments), truth)


def test_a_killed_run_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL in the middle: what is on disk is whole, and a rerun gives the uninterrupted result."""
    path = tmp_path / "truth.npz"
    code = f"""
import os, signal, sys
import numpy as np
from pathlib import Path
from annbench.datasets.ground_truth import engine, exact_neighbors
sys.path.insert(0, {str(Path(__file__).parent)!r})
from truth_tasks import Tasks
engine.CHECKPOINT_SHARE = 1e9
Tasks(limit=2).installed()
random = np.random.default_rng(1)
base = random.standard_normal((5000, 8)).astype(np.float32)
queries = random.standard_normal((2000, 8)).astype(np.float32)
def kill(fraction):
    if fraction == 0.5:
        os.kill(os.getpid(), signal.SIGKILL)
exact_neighbors(base, queries, 5, "ip", threads=1, checkpoint=Path({str(path)!r}), progress=kill)
"""
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert killed.returncode == -9, killed.stderr
    random = np.random.default_rng(1)
    base = random.standard_normal((5000, 8)).astype(np.float32)
    queries = random.standard_normal((2000, 8)).astype(np.float32)
    with np.load(path) as stored:
        kept = int((stored["rows_done"] == 5000).sum())
    assert kept in (500, 1000)  # the second task may have ended between the writing and the killing
    tasks = Tasks().installed(monkeypatch.setattr)
    truth = exact_neighbors(base, queries, 5, "ip", threads=1, checkpoint=path)
    assert tasks.done == [(start, start + 500) for start in range(kept, 2000, 500)]
    assert same(truth, exact_neighbors(base, queries, 5, "ip"))


@pytest.mark.parametrize("change", ["k", "metric", "fingerprint", "data", "n"])
def test_a_checkpoint_of_other_inputs_is_refused(tmp_path: Path, change: str) -> None:
    base, queries = random_rows(400, 5), random_rows(6, 5, seed=SEED + 1)
    path = tmp_path / "truth.npz"
    exact_neighbors(base, queries, 3, "ip", checkpoint=path, fingerprint="abc")
    before = path.read_bytes()
    with pytest.raises(DatasetError, match="checkpoint of other inputs") as caught:
        exact_neighbors(
            {"n": base[:-1], "data": base + 1}.get(change, base),
            queries,
            4 if change == "k" else 3,
            "euclidean" if change == "metric" else "ip",
            checkpoint=path,
            fingerprint="abd" if change == "fingerprint" else "abc",
        )
    assert str(path) in caught.value.where
    assert {"data": "sample_sha256"}.get(change, change) in caught.value.message
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "empty"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    base, queries = random_rows(400, 5), random_rows(6, 5, seed=SEED + 1)
    path = tmp_path / "truth.npz"
    exact_neighbors(base, queries, 3, "ip", checkpoint=path)
    content = bytearray(path.read_bytes())
    content[content.index(b"neighbors.npy") + 200] ^= 1
    damaged = {"truncated": content[: len(content) // 2], "flipped": content, "text": b"hello", "empty": b""}
    path.write_bytes(bytes(damaged[damage]))
    with pytest.raises(DatasetError, match="checkpoint") as caught:
        exact_neighbors(base, queries, 3, "ip", checkpoint=path)
    assert "delete it" in caught.value.remedy


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e20])
def test_values_without_a_distance_are_refused_by_row(metric: Metric, value: float) -> None:
    base, queries = random_rows(3000, 5), random_rows(600, 5, seed=SEED + 1)
    bad_base, bad_queries = base.copy(), queries.copy()
    bad_base[[1234, 2000], 3] = value
    bad_queries[[567, 580], 2] = value
    with pytest.raises(DatasetError) as caught:
        exact_neighbors(bad_base, queries, 3, metric)
    assert caught.value.where == "base row 1234"
    assert caught.value.remedy
    with pytest.raises(DatasetError) as caught:
        exact_neighbors(base, bad_queries, 3, metric)
    assert caught.value.where == "queries row 567"


def test_arguments_are_checked() -> None:
    base, queries = random_rows(10, 4), random_rows(2, 4)
    with pytest.raises(DatasetError, match="have dim 3 where the base has 4"):
        exact_neighbors(base, queries[:, :3], 1, "ip")
    with pytest.raises(DatasetError, match=r"float64.*convert it"):
        exact_neighbors(base.astype(np.float64), queries, 1, "ip")
    with pytest.raises(DatasetError, match="one vector a row"):
        exact_neighbors(base[0], queries, 1, "ip")
    with pytest.raises(UsageError, match="k: got 0"):
        exact_neighbors(base, queries, 0, "ip")
    with pytest.raises(UsageError, match="threads: got 0"):
        exact_neighbors(base, queries, 1, "ip", threads=0)
    with pytest.raises(UsageError, match="euclidean, cosine, ip, hamming"):
        exact_neighbors(base, queries, 1, "dot")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="give at least"):
        exact_neighbors(base, queries, 1, "ip", memory_limit_bytes=1000)


MEASURE_PEAK = """
import resource, sys
import numpy as np
from annbench.datasets.ground_truth import exact_neighbors, plan_memory

class Generated:
    \"\"\"A base that exists only as the rows asked for.\"\"\"
    def __init__(self, n, dim, dtype):
        self.shape, self.dtype = (n, dim), np.dtype(dtype)
    def __getitem__(self, rows):
        start, stop, _ = rows.indices(self.shape[0])
        count = (stop - start) * self.shape[1]
        return (np.arange(start, start + count, dtype=np.uint32) * np.uint32(2654435761) >> 24).astype(
            self.dtype).reshape(stop - start, -1)

n, dim, q, k, limit, metric = 400_000, 64, 600, 100, 64 << 20, sys.argv[1]
queries = np.random.default_rng(0).standard_normal((q, dim)).astype(np.float32)
exact_neighbors(Generated(100, dim, "uint8"), queries[:4], 3, metric, threads=2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
exact_neighbors(Generated(n, dim, "uint8"), queries, k, metric, threads=2, memory_limit_bytes=limit)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
planned = plan_memory(n, dim, q, k, threads=2, memory_limit_bytes=limit).peak_bytes
assert planned <= limit
print(after - before, planned)
"""


@pytest.mark.parametrize("metric", METRICS)
def test_the_planned_memory_is_held(metric: Metric) -> None:
    """A base of 102 MB as float32 within 64 MiB; beyond the plan, only what the generator needs."""
    result = subprocess.run(
        [sys.executable, "-c", MEASURE_PEAK, metric], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    grown, planned = map(int, result.stdout.split())
    generator_bytes = 16 << 20
    assert grown <= planned + generator_bytes
