"""Does annbench change what it measures? Compares it with short scripts that do not know it.

    python benchmarks/truth.py fashion-mnist-784-euclidean.hdf5 glove6b-100-angular.hdf5

For hnswlib and for faiss IVF, with the same seed, parameters and one build thread, the plain script's recall
must equal annbench's to 1e-4, and the batch throughput of the two must agree within 3 %. Both run by turns,
in random order, on one core, each with its index loaded once; a worker's pair of median passes is one observation. Exit
code 0 if all agree, else 1.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import yaml

from annbench.results.schema import Record
from annbench.results.store import ResultStore

HERE = Path(__file__).resolve().parent
RECALL_TOLERANCE = 1e-4
QPS_TOLERANCE = 0.03


@dataclass(frozen=True)
class Library:
    """One plain script and the same thing as an annbench configuration."""

    script: str
    algorithm: str
    build: dict[str, object]
    parameter: str
    values: tuple[int, ...]


LIBRARIES = {
    "hnswlib": Library(
        "plain_hnswlib.py",
        "hnswlib",
        {"M": 16, "ef_construction": 200, "random_seed": 100},
        "ef",
        (20, 100),
    ),
    "faiss": Library("plain_faiss.py", "faiss-ivf", {"nlist": 256, "storage": "Flat"}, "nprobe", (1, 4)),
}


@dataclass(frozen=True)
class Agreement:
    """Plain script against annbench at one search parameter."""

    value: int
    plain_recall: float
    recall: float
    same_ids: bool
    qps_ratios: tuple[float, ...]  # annbench ÷ plain, one a worker

    @property
    def qps_ratio(self) -> float:
        """The median over workers."""
        return statistics.median(self.qps_ratios)

    @property
    def holds(self) -> bool:
        """Both promises."""
        return abs(self.recall - self.plain_recall) <= RECALL_TOLERANCE and abs(self.qps_ratio - 1) <= QPS_TOLERANCE


def config(library: Library, dataset: Path, workers: int) -> str:
    """Both sides in one interleaved run."""
    plain = {"script": str(HERE / library.script), "dataset": str(dataset)}
    values = list(library.values)
    ours = {"algorithm": library.algorithm, "build": library.build, "search": {library.parameter: values}}
    theirs = {"algorithm": f"{HERE / 'plain_turn.py'}:PlainTurn", "build": plain, "search": {"value": values}}
    return yaml.safe_dump(
        {
            "title": f"{library.algorithm} and {library.script} on {dataset.stem}",
            "dataset": str(dataset),
            "k": 10,
            "measure": {
                "modes": ["batch"], "threads": 1, "build_threads": 1, "queries": 2000, "passes": 5, "warmup": 1,
                "workers": workers, "interleave": True,
            },
            "algorithms": [ours, theirs],
        },
        sort_keys=False,
    )  # fmt: skip


def agreements(library: Library, records: list[Record]) -> list[Agreement]:
    """Pair the records of each worker at each value. Raises SystemExit if a point is missing or failed."""
    ours: dict[tuple[int, int], Record] = {}
    plain: dict[tuple[int, int], Record] = {}
    for record in records:
        if record.status != "ok":
            sys.exit(f"{record.label}: {record.status} {record.status_detail}")
        if record.key.algorithm == library.algorithm:
            ours[record.key.search[library.parameter], record.key.worker_index] = record
        else:
            plain[record.key.search["value"], record.key.worker_index] = record
    if not ours or ours.keys() != plain.keys():
        sys.exit(f"points do not pair up: {sorted(ours)} and {sorted(plain)}")
    pairs: dict[int, list[tuple[Record, Record]]] = defaultdict(list)
    for value, worker in sorted(ours):
        pairs[value].append((ours[value, worker], plain[value, worker]))
    return [_agreement(value, found) for value, found in pairs.items()]


def _agreement(value: int, pairs: list[tuple[Record, Record]]) -> Agreement:
    ratios = []
    for ours, plain in pairs:
        assert ours.time is not None
        queries = plain.counters["answers"] // ours.key.k
        ratios.append(ours.time.qps_median / (queries * 1e9 / plain.counters["median_ns"]))
    ours, plain = pairs[0]
    assert ours.recall is not None
    assert plain.recall is not None
    return Agreement(
        value=value,
        plain_recall=plain.counters["hits"] / plain.counters["answers"],
        recall=ours.recall.recall_ids_at_k,
        same_ids=all(a.recall and b.recall and a.recall.ids_crc32c == b.recall.ids_crc32c for a, b in pairs),
        qps_ratios=tuple(ratios),
    )


def compare(name: str, dataset: Path, folder: Path, workers: int) -> bool:
    """Run one library on one dataset and print the table; True if everything agrees."""
    library = LIBRARIES[name]
    results = folder / f"{name}-{dataset.stem}"
    results.mkdir(parents=True, exist_ok=True)
    path = results / "config.yaml"
    path.write_text(config(library, dataset, workers))
    command = [
        sys.executable,
        "-m",
        "annbench.cli.main",
        "run",
        str(path),
        "--results",
        str(results / "points"),
    ]
    subprocess.run([*command, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    rows = agreements(library, list(ResultStore(results / "points").records()))
    print(f"\n{library.algorithm} on {dataset.stem}, {workers} workers")
    print(f"{library.parameter:>8} {'plain':>9} {'annbench':>9} {'ids':>10} {'qps ratio':>10}  range")
    for row in rows:
        low, high = min(row.qps_ratios), max(row.qps_ratios)
        print(
            f"{row.value:>8} {row.plain_recall:>9.5f} {row.recall:>9.5f}"
            f" {'same' if row.same_ids else 'different':>10} {row.qps_ratio:>10.4f}  {low:.3f}-{high:.3f}"
            f"{'' if row.holds else '  DISAGREES'}"
        )
    return all(row.holds for row in rows)


def main() -> int:
    """Parse, compare each pair, and say whether all agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path, help="HDF5 files, ann-benchmarks layout")
    parser.add_argument("--libraries", nargs="+", choices=sorted(LIBRARIES), default=sorted(LIBRARIES))
    parser.add_argument("--results", type=Path, default=Path("results/truth"))
    parser.add_argument("--workers", type=int, default=12)
    options = parser.parse_args()
    agreed = [
        compare(name, dataset.resolve(), options.results, options.workers)
        for dataset in options.datasets
        for name in options.libraries
    ]
    return 0 if all(agreed) else 1


if __name__ == "__main__":
    sys.exit(main())
