"""Plausible records of runs that never took place, for tests of the report and for timing it at scale.

Frontiers follow the field's usual shape: log QPS falls roughly in a line as −log(1 − recall) grows,
compression trades bytes for a ceiling on recall, and a brute-force scan sits alone at recall 1. Everything
comes from the seed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from annbench.config.model import Claim
from annbench.datasets.info import DatasetInfo, QuerySetInfo
from annbench.metrics.recall import RecallSummary
from annbench.results.schema import (
    BuildSummary,
    LoadSummary,
    PointKey,
    Record,
    Status,
    TimeSummary,
    Verdict,
    digest_of,
)


@dataclass(frozen=True)
class Method:
    """One library's index: its grids, its speed at recall 0.5, its size and the recall it cannot pass."""

    algorithm: str
    library: str
    builds: tuple[dict[str, Any], ...]
    searches: tuple[dict[str, Any], ...]
    speed: float  # relative to the graph index
    float32_ratio: float
    ceiling: float
    build_seconds: float


def _grid(name: str, values: tuple[Any, ...], **fixed: Any) -> tuple[dict[str, Any], ...]:
    return tuple({**fixed, name: v} for v in values)


EF = (10, 16, 24, 40, 64, 100, 160, 256, 400, 800)
NPROBE = (1, 2, 4, 8, 16, 32, 64, 128)

METHODS = (
    Method("bruteforce", "numpy", ({},), ({},), 0.0, 1.0, 1.0, 0.05),
    Method("hnswlib", "hnswlib", _grid("M", (16, 32), ef_construction=200), _grid("ef", EF), 1.0, 1.18, 1.0, 40),
    Method(
        "faiss-hnsw-sq8",
        "faiss-cpu",
        _grid("M", (16, 32), efConstruction=200),
        _grid("efSearch", EF),
        0.8,
        0.43,
        0.992,
        55,
    ),
    Method("faiss-ivf-flat", "faiss-cpu", _grid("nlist", (512, 1024)), _grid("nprobe", NPROBE), 0.3, 1.02, 1.0, 6),
    Method(
        "faiss-ivf-sq",
        "faiss-cpu",
        _grid("nlist", (512, 1024), bits=8),
        _grid("nprobe", NPROBE),
        0.45,
        0.27,
        0.991,
        7,
    ),
    Method(
        "faiss-ivf-pq",
        "faiss-cpu",
        _grid("m", (48, 96), nlist=1024),
        _grid("nprobe", NPROBE, k_factor=4),
        0.9,
        0.1,
        0.96,
        21,
    ),
    Method(
        "faiss-rabitq",
        "faiss-cpu",
        _grid("nlist", (512, 1024)),
        _grid("nprobe", NPROBE, qb=8),
        1.1,
        0.045,
        0.82,
        9,
    ),
    Method(
        "composed",
        "annbench",
        _grid(
            "codec",
            ({"kind": "uniform", "bits": 4}, {"kind": "uniform", "bits": 8}),
            structure={"kind": "graph", "max_degree": 48},
        ),
        _grid("ef_search", EF, rerank_k=20),
        1.6,
        0.2,
        0.998,
        30,
    ),
)

ENVIRONMENT: dict[str, Any] = {
    "annbench": "0.1.0",
    "git": {"commit": "0" * 40, "dirty": False},
    "isa": "avx2",
    "machine_id": "machine-a",
    "cpu": {
        "model": "Example CPU @ 2.00 GHz",
        "physical_cores": 2,
        "logical_cores": 2,
        "flags": ["avx2", "fma"],
        "caches": {"L1d": "32K", "L2": "1024K", "L3": "32M"},
    },
    "available_cores": [0, 1],
    "memory_bytes": 16 << 30,
    "swap_bytes": 0,
    "system": {"kernel": "Linux 6.1.0", "governor": None, "turbo": "off", "smt": "1"},
    "load_average": [0.1, 0.2, 0.3],
    "python": "CPython 3.11.7",
    "libraries": {"numpy": "2.1.0", "hnswlib": "0.8.0", "faiss-cpu": "1.12.0"},
    "blas": [{"internal_api": "openblas", "version": "0.3.27", "num_threads": 1}],
}


def example_dataset(name: str = "wordnet-minilm-384-angular", n: int = 116_000, dim: int = 384) -> DatasetInfo:
    """Facts of a dataset that looks like a set of sentence embeddings."""
    return DatasetInfo(
        name=name,
        path=f"{name}.hdf5",
        sha256=digest_of(name),
        file_bytes=n * dim * 4,
        metric="cosine",
        dtype="float32",
        n=n,
        dim=dim,
        zero_rows=0,
        unit_norm=True,
        query_sets={"test": QuerySetInfo(count=1000, truth_k=100)},
    )


def make_record(
    *,
    algorithm: str = "hnswlib",
    library: str = "hnswlib",
    build: dict[str, Any] | None = None,
    search: dict[str, Any] | None = None,
    recall: float = 0.95,
    qps: float = 1000.0,
    float32_ratio: float | None = 0.5,
    build_seconds: float = 10.0,
    dataset: DatasetInfo | None = None,
    mode: str = "single",
    threads: int = 1,
    k: int = 10,
    worker: int = 0,
    machine: str = "machine-a",
    status: Status = "ok",
    verdict: Verdict = "ok",
    reasons: tuple[str, ...] = (),
    detail: str = "",
    overhead: float | None = 0.01,
    tail: float = 2.0,
    environment: dict[str, Any] | None = None,
    label: str | None = None,
    table_bytes: int | None = None,
    claim: Claim | None = None,
) -> Record:
    """One record; `tail` is p99 ÷ mean latency. A status other than ok leaves recall and times out."""
    data = dataset or example_dataset()
    key = PointKey(
        dataset_sha256=data.sha256,
        query_set="test",
        task="knn",
        k=k,
        mode=mode,
        threads=threads,
        build_threads=2,
        queries=1000,
        passes=5,
        warmup=1,
        algorithm=algorithm,
        source_sha256=None,
        python=None,
        build=build or {},
        search=search or {},
        seed=42,
        build_index=0,
        worker_index=worker,
        interleaved=False,
        library_versions={library: "1.0.0"},
        isa="avx2",
        machine_id=machine,
        label=label,
    )
    index = None if float32_ratio is None else int(float32_ratio * data.raw_bytes)
    return Record(
        key=key,
        status=status,
        status_detail=detail,
        failed_phase=None if status == "ok" else "search",
        verdict=verdict,
        verdict_reasons=reasons,
        dataset=data,
        config_name="synthetic",
        config_yaml=_config_yaml(key, data),
        claim=claim,
        started_at=f"2024-05-01T12:{worker % 60:02d}:00Z",
        block_id=f"block-{worker}",
        order=0,
        build=_build(build_seconds, index, table_bytes),
        load=LoadSummary(load_seconds=0.2, resident_bytes=index, resident_after_search_bytes=index),
        recall=_recall(recall, k) if status == "ok" else None,
        time=_time(qps, mode, threads, overhead, tail) if status == "ok" else None,
        counters={"distances": int(1e6 / qps)} if status == "ok" else {},
        environment=ENVIRONMENT if environment is None else environment,
    )


def make_records(
    *,
    datasets: tuple[str, ...] = ("wordnet-minilm-384-angular",),
    modes: tuple[tuple[str, int], ...] = (("single", 1),),
    workers: int = 1,
    methods: tuple[Method, ...] = METHODS,
    faults: bool = True,
    seed: int = 1,
) -> Iterator[Record]:
    """A run of `methods` and the null adapter over `datasets` and `modes` (name, threads), `workers` a point.

    With `faults`, about one point in 40 failed, one in 40 is invalid and one in 20 suspect.
    """
    rng = np.random.default_rng(seed)
    for name in datasets:
        data = example_dataset(name, n=20_000 + int(rng.integers(0, 100_000)))
        for mode, threads in modes:
            for worker in range(workers):
                yield make_record(
                    algorithm="null",
                    library="annbench",
                    recall=0.0,
                    qps=2.5e6 * float(rng.uniform(0.9, 1)),
                    float32_ratio=0.0,
                    build_seconds=0.0,
                    dataset=data,
                    mode=mode,
                    threads=threads,
                    worker=worker,
                    verdict="invalid",
                    reasons=("recall is 0",),
                    overhead=None,
                )
            for method in methods:
                yield from _runs(method, data, mode, threads, workers, faults, rng)


def many_records(count: int, seed: int = 1) -> Iterator[Record]:
    """Exactly `count` records over 3 datasets and 3 modes, with finer grids and three workers a point."""
    made, round_number = 0, 0
    while True:
        methods = tuple(_shifted(m, round_number) for m in METHODS[1:])
        for record in make_records(
            datasets=("fashion-784", "glove-100", "wordnet-384"),
            workers=3,
            methods=methods,
            modes=(("single", 1), ("batch", 2), ("clients:2", 2)),
            seed=seed + round_number,
        ):
            yield record
            made += 1
            if made == count:
                return
        round_number += 1


def _shifted(method: Method, by: int) -> Method:
    """The same method with other build parameters, so that its points are new ones."""
    builds = tuple({**b, "repetition": by} for b in method.builds)
    return Method(
        method.algorithm,
        method.library,
        builds,
        method.searches,
        method.speed * (1 - 0.03 * by),
        method.float32_ratio,
        method.ceiling,
        method.build_seconds * (1 + 0.1 * by),
    )


def _runs(
    method: Method,
    data: DatasetInfo,
    mode: str,
    threads: int,
    workers: int,
    faults: bool,
    rng: np.random.Generator,
) -> Iterator[Record]:
    for b, build in enumerate(method.builds):
        for s, search in enumerate(method.searches):
            recall, qps = _shape(method, b, s / max(1, len(method.searches) - 1), data, threads, rng)
            fate = _fate(rng) if faults else ("ok", "ok", (), "")
            for worker in range(workers):
                yield make_record(
                    algorithm=method.algorithm,
                    library=method.library,
                    build=build,
                    search=search,
                    recall=recall,
                    qps=qps * float(rng.lognormal(0, 0.02)),
                    float32_ratio=method.float32_ratio * (1 + 0.15 * b),
                    build_seconds=method.build_seconds * (1 + 0.6 * b),
                    dataset=data,
                    mode=mode,
                    threads=threads,
                    worker=worker,
                    status=fate[0],
                    verdict=fate[1],
                    reasons=fate[2],
                    detail=fate[3],
                    overhead=qps / 2.5e6,
                    tail=float(rng.uniform(1.6, 3.0)),
                )


def _shape(
    method: Method, build: int, effort: float, data: DatasetInfo, threads: int, rng: np.random.Generator
) -> tuple[float, float]:
    scan = 2e10 / (data.n * data.dim) * threads
    if method.speed == 0:
        return 1.0, scan
    nines = 0.5 + 3.6 * effort + 0.25 * build + float(rng.normal(0, 0.05))
    recall = round(method.ceiling * (1 - 10 ** (-nines * 0.8)), 4)
    qps = method.speed * 60 * scan * math.exp(-4.2 * effort) * (1 - 0.12 * build)
    return recall, qps * float(rng.uniform(0.93, 1.0))


def _fate(rng: np.random.Generator) -> tuple[Status, Verdict, tuple[str, ...], str]:
    dice = rng.uniform()
    if dice < 0.013:
        return "crashed", "invalid", ("status is crashed",), "SIGSEGV"
    if dice < 0.025:
        return "timeout", "invalid", ("status is timeout",), "search took longer than 60 s"
    if dice < 0.05:
        return "ok", "invalid", (f"{int(rng.integers(1, 99))} duplicate ids returned",), ""
    if dice < 0.1:
        return "ok", "suspect", (f"thread audit: 1 thread, CPU ÷ wall = {rng.uniform(1.2, 2):.2f}",), ""
    return "ok", "ok", (), ""


def _build(seconds: float, index_bytes: int | None, table_bytes: int | None) -> BuildSummary:
    return BuildSummary(
        build_seconds=seconds,
        save_seconds=0.1,
        build_peak_bytes=index_bytes,
        index_bytes=index_bytes,
        index_crc32c="0badcafe",
        build_cpu_ratio=1.9,
        build_thread_count=2,
        table_bytes=table_bytes,
    )


def _recall(recall: float, k: int) -> RecallSummary:
    half = 1.96 * math.sqrt(max(recall * (1 - recall), 0) / (1000 * k))
    return RecallSummary(
        recall_at_k=recall,
        recall_ids_at_k=recall,
        recall_ann_benchmarks=recall,
        recall_low=max(0.0, recall - half),
        recall_high=min(1.0, recall + half),
        recall_worst_decile=max(0.0, recall - 0.1),
        relative_distance_error=(1 - recall) / 50,
        duplicate_ids=0,
        out_of_range_ids=0,
        missing_ids=0,
        ids_crc32c="deadbeef",
    )


def _time(qps: float, mode: str, threads: int, overhead: float | None, tail: float) -> TimeSummary:
    mean = None if mode == "batch" else 1e6 / qps * threads
    parts = {
        f"latency_{name}_us": None if mean is None else mean * factor
        for name, factor in (("mean", 1.0), ("p50", 0.95), ("p95", 1.3), ("p99", tail), ("p999", tail * 1.7))
    }
    return TimeSummary(
        qps_best=qps,
        qps_median=qps * 0.97,
        qps_min=qps * 0.92,
        qps_spread=0.08,
        cpu_ratio=float(threads),
        thread_count=threads,
        overhead_ratio=overhead,
        **parts,
    )


def _config_yaml(key: PointKey, data: DatasetInfo) -> str:
    """Written by hand, in YAML's JSON subset for the parameters: ten thousand of these must take no time."""
    return (
        f"dataset: {json.dumps(data.name)}\nk: {key.k}\n"
        f"measure:\n  modes: [{json.dumps(key.mode)}]\n  threads: {key.threads}\n  passes: {key.passes}\n"
        f"  seed: {key.seed}\n"
        f"algorithms:\n- algorithm: {json.dumps(key.algorithm)}\n"
        f"  build: {json.dumps(key.build)}\n  search: {json.dumps(key.search)}\n"
    )
