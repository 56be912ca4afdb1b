"""What a graph and lists cost as the number of vectors grows: `make bench-scaling DATA=folder`.

`python benchmarks/graph_scaling.py --data FOLDER --cache FOLDER --json out.json [--sizes 10000 …] [--sets …]
[--queries 1000] [--rounds 5] [--again]`; `--table` prints what the file holds and measures nothing.

For every set and size the graph (preset leanvec) and lists (what is default above 10,000 vectors) are built with 2
threads; then both are timed in turns at recall 0.95, in a batch, on one core. Every step is written down when it is
done, so that a run that was stopped goes on; indexes are kept in the cache until they were timed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from index_rates import Asked, beside, rates
from interleaved import Spread, pin_to_one_core, table, write_json
from scaling_sets import DECAY, DIM, JITTER, SETS, ScalingSet, scaling_set

from annbench import Index
from annbench.indexes.presets import FLAT_ROWS, default_spec, ivf
from annbench.runner.environment import capture_environment

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
TARGET = 0.95
THREADS = 2

Record = dict[str, Any]


def choices(name: str, n: int, data: ScalingSet) -> dict[str, Any]:
    """Arguments of Index.build for one of the two."""
    if name == "graph":
        return {"preset": "leanvec"}
    usual = default_spec(max(n, FLAT_ROWS + 1), data.base.shape[1], data.metric).fields()
    return {**usual, "structure": ivf(n)}


def main() -> None:
    """Build and time what the file does not have yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the HDF5 files")
    parser.add_argument("--cache", type=Path, default=Path("build/bench-scaling"))
    parser.add_argument("--json", type=Path, default=Path("build/bench-scaling.json"))
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--again", action="store_true", help="forget what the file has of these sets and sizes")
    parser.add_argument("--table", action="store_true", help="only print what the file has")
    options = parser.parse_args()
    record = read(options.json)
    if not options.table:
        options.cache.mkdir(parents=True, exist_ok=True)
        for name in options.sets:
            for n in sorted(options.sizes):
                run(record, name, n, options)
    print(markdown(record))


def read(path: Path) -> Record:
    """What earlier runs have written; an empty record where there is nothing."""
    if path.exists():
        found: Record = json.loads(path.read_text())
        return found
    return {"environment": capture_environment(), "sets": {}}


def run(record: Record, name: str, n: int, options: argparse.Namespace) -> None:
    """One set at one size: what is missing of it."""
    sizes = record["sets"].setdefault(name, {})
    if options.again:
        sizes.pop(str(n), None)
    known: Record = sizes.setdefault(str(n), {"indexes": {}})
    if all("qps" in known["indexes"].get(kind, {}) for kind in ("graph", "lists")):
        return
    print(f"{name}, {n:,} vectors", file=sys.stderr)
    data = scaling_set(name, n, options.queries, options.data)
    known |= {"dim": int(data.base.shape[1]), "metric": data.metric, "lid": data.lid, "queries": len(data.queries)}
    paths = {kind: options.cache / f"{name}-{n}-{kind}.index" for kind in ("graph", "lists")}
    for kind, path in paths.items():
        if kind not in known["indexes"] or not path.exists():
            known["indexes"][kind] = build(kind, data, path)
            write_json(options.json, record)
    cores = os.sched_getaffinity(0)
    pin_to_one_core()
    try:
        asked = Asked(data.queries, data.truth)
        loaded = {kind: Index.load(path) for kind, path in paths.items()}
        found = rates({kind: beside(index, asked, TARGET) for kind, index in loaded.items()}, len(data.queries), TARGET,
                      options.rounds)  # fmt: skip
    finally:
        os.sched_setaffinity(0, cores)
    for kind, rate in found.items():
        known["indexes"][kind] |= {"qps": list(rate.rounds), "mark": rate.mark, "efforts": list(rate.efforts),
                                   "recalls": list(rate.recalls)}  # fmt: skip
    write_json(options.json, record)
    for path in paths.values():
        path.unlink()


def build(kind: str, data: ScalingSet, path: Path) -> Record:
    """Build, save, and what that took."""
    start, processor = time.perf_counter(), time.process_time()
    index = Index.build(data.base, data.metric, threads=THREADS, **choices(kind, len(data.base), data))
    taken = {"build_seconds": time.perf_counter() - start, "build_processor_seconds": time.process_time() - processor}
    index.save(path)
    return {**taken, "bytes_per_vector": index.nbytes / len(index), "spec": index.spec.fields()}


def markdown(record: Record) -> str:
    """A line for every set, size and index."""
    rows = []
    for name, sizes in record["sets"].items():
        for n in sorted(sizes, key=int):
            for kind, one in sizes[n]["indexes"].items():
                qps = rate(one["mark"], Spread.of(one["qps"])) if one.get("qps") else "—"
                efforts = " … ".join(str(effort) for effort in one.get("efforts", ()))
                taken = [f"{one[part]:.1f}" for part in ("build_seconds", "build_processor_seconds")]
                size = f"{one['bytes_per_vector']:,.0f}"
                rows.append([name, f"{int(n):,}", f"{sizes[n]['lid']:.1f}", kind, *taken, size, qps, efforts])
    header = ["set", "vectors", "LID", "index", "build s", "processor s", "bytes a vector", f"QPS at recall {TARGET}",
              "ef_search or nprobe"]  # fmt: skip
    powers = [f"- {name}, {kind}: QPS falls as n^{power:.2f}, processor seconds of the build grow as n^{grown:.2f}"
              for name, kind, power, grown in growth(record)]  # fmt: skip
    told = (f"Set spectrum: normal, {DIM} dimensions, variance of direction i ∝ i^−{DECAY:g}. Set glove above its "
            f"size: copies at {JITTER:g} × the median distance to the nearest other vector.")  # fmt: skip
    return "\n\n".join([table(header, rows), "\n".join(powers), told])


def rate(mark: str, spread: Spread) -> str:
    """Whole queries a second, with the least and the greatest round."""
    return f"{mark}{spread.median:,.0f} ({spread.least:,.0f} … {spread.greatest:,.0f})"


def growth(record: Record) -> list[tuple[str, str, float, float]]:
    """Set, index, and the powers of n by which QPS falls and processor seconds grow: least squares over logarithms."""
    found = []
    for name, sizes in record["sets"].items():
        for kind in ("graph", "lists"):
            points = [(int(n), Spread.of(one["qps"]).median, one["build_processor_seconds"])
                      for n, each in sizes.items() if (one := each["indexes"].get(kind, {})).get("qps")]  # fmt: skip
            if len(points) >= 2:
                n, qps, seconds = np.log(np.array(points)).T
                found.append((name, kind, -float(np.polyfit(n, qps, 1)[0]), float(np.polyfit(n, seconds, 1)[0])))
    return found


if __name__ == "__main__":
    main()
