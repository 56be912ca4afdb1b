"""4-bit codes, scanned exhaustively: our index beside turbovec and faiss' fast scan, at equal recall and bytes.

`python benchmarks/scan_codes.py --data FOLDER [--sets minilm glove] [--rounds 5] [--json out.json]`, on one pinned
core. Bytes are those of codes, factors and tables, over the number of vectors: none of the rivals keeps ids. A ratio
is that of our fastest configuration of at least the rival's recall in no more than its bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ["RAYON_NUM_THREADS"] = "1"  # turbovec counts its threads when it is first used

import faiss
import numpy as np
from core_sets import CoreSet, K, add_options, load_sets
from interleaved import Rounds, in_turns, one_by_one, pin_to_one_core, table

from annbench import Index

SINGLES = 32
Ask = Callable[[np.ndarray], Any]
RECALL_SLACK = 0.0005  # one neighbour in 200 queries
BYTES_SLACK = 1.02


@dataclass(frozen=True)
class Method:
    """A configuration over a set: how a query and a batch are asked, bytes a vector, and the ids it found."""

    name: str
    ours: bool
    one: Ask
    many: Ask
    bytes_per_vector: float
    recall: float


def our_methods(data: CoreSet) -> list[Method]:
    """3 to 5 bits with the signs scanned first, and 4 bits in rows; all dimensions behind a fast rotation, or most of
    the principal ones.
    """
    made = []
    fewer = sorted({round(data.dim * share / 16) * 16 for share in (0.83, 0.75, 0.5)}, reverse=True)
    transforms = [
        *({"kind": "fast-rotation", "center": center} for center in (True, False)),
        *({"kind": "pca", "dim": d, "rotate": True} for d in fewer),
    ]
    for transform in transforms:
        for bits, scan, epsilons in ((4, 0, (1.9,)), (3, 1, (1.5, 1.9)), (4, 1, (1.5, 1.9)), (5, 1, (1.5, 1.9))):
            codec = {"kind": "uniform", "bits": bits, "fit": "rabitq-fast", "scan_bits": scan}
            index = Index.build(data.base, data.metric, transform=transform, codec=codec)
            parts = index.nbytes_by_part
            size = (index.nbytes - parts.get("ids", 0)) / len(index)
            for epsilon in epsilons:
                staged = f", signs first, epsilon {epsilon:g}" if scan else ""
                search = searching(index, epsilon)
                kept = "" if transform.get("center", True) else " with their mean"
                dims = f"{transform.get('dim', data.dim)} dimensions{kept}"
                made.append(method(f"{dims}, {bits} bits{staged}", True, search, search, size, data))
    return made


def searching(index: Index, epsilon: float) -> Ask:
    """Ids of a query or many."""
    return lambda q: index.search(q, K, epsilon=epsilon)[0]


def method(
    name: str,
    ours: bool,
    one: Ask,
    many: Ask,
    size: float,
    data: CoreSet,
) -> Method:
    """With its recall."""
    return Method(name, ours, one, many, size, data.recall(np.asarray(many(data.queries))))


def faiss_methods(data: CoreSet) -> list[Method]:
    """Fast scan of 4-bit product codes, with as many bits a dimension as ours, half and a quarter; rotated or not."""
    metric = faiss.METRIC_L2 if data.metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    made = []
    for groups in (data.dim, data.dim // 2, data.dim // 4):
        for rotation in ("", "RR,"):
            name = f"{rotation}PQ{groups}x4fs"
            index = faiss.index_factory(data.dim, name, metric)
            index.train(data.base)
            index.add(data.base)
            size = len(faiss.serialize_index(index)) / index.ntotal
            made.append(method(f"faiss {name}", False, *single_and_batch(index), size, data))
    return made


def single_and_batch(index: faiss.Index) -> tuple[Ask, Ask]:
    """faiss knows batches only."""
    return lambda q: index.search(q[None], K)[1][0], lambda q: index.search(q, K)[1]


def turbovec_methods(data: CoreSet) -> list[Method]:
    """Calibrated or not, as its documentation says; none where it is not installed, or the metric is not its own."""
    try:
        import turbovec
    except ModuleNotFoundError:
        print("turbovec is not installed: left out (docs/peers.md)\n")
        return []
    if data.metric == "euclidean":
        return []
    made = []
    width = -(-data.dim // 8) * 8
    fill = [(0, 0), (0, width - data.dim)]
    base = np.pad(data.base, fill)
    for rows in (0, 1024):
        index = turbovec.TurboQuantIndex(width, 4)
        if rows:
            index.calibrate(base[np.sort(np.random.default_rng(1).choice(len(base), rows, replace=False))])
        index.add(base)
        index.prepare()
        with tempfile.TemporaryDirectory() as folder:
            index.write(f"{folder}/index.tv")
            size = os.path.getsize(f"{folder}/index.tv") / len(base)

        def ask(queries: np.ndarray, index: Any = index) -> Any:
            return index.search(queries if width == data.dim else np.pad(queries, fill), K)[1]

        name = f"turbovec 4 bits{', calibrated' if rows else ''}"
        made.append(method(name, False, lambda q, ask=ask: ask(q[None])[0], ask, size, data))
    return made


def fastest_match(rival: Method, methods: list[Method], times: Rounds, case: str) -> Method | None:
    """Our fastest of at least the rival's recall in no more than its bytes."""
    fitting = [
        m for m in methods
        if m.ours
        and m.recall >= rival.recall - RECALL_SLACK
        and m.bytes_per_vector <= BYTES_SLACK * rival.bytes_per_vector
    ]  # fmt: skip
    return min(fitting, key=lambda m: times.seconds(m.name + case), default=None)


def measure(data: CoreSet, rounds: int) -> dict[str, Any]:
    """Prints the set's tables; returns their figures."""
    methods = [*our_methods(data), *faiss_methods(data), *turbovec_methods(data)]
    cases: dict[str, Callable[[], object]] = {}
    for m in methods:
        cases[m.name + ", one"] = one_by_one(m.one, data.queries[:SINGLES])
        cases[m.name + ", batch"] = lambda m=m: m.many(data.queries)
    times = in_turns(cases, rounds)
    rows, figures = [], []
    for m in methods:
        one = times.rate(m.name + ", one", SINGLES)
        batch = times.rate(m.name + ", batch", len(data.queries))
        gain = times.ratio(m.name + ", batch", m.name + ", one", len(data.queries) / SINGLES)
        speeds = [f"{one.median:,.0f}", f"{batch.median:,.0f}", str(gain)]
        rows.append([m.name, f"{m.bytes_per_vector:.1f}", f"{m.recall:.4f}", *speeds])
        figures.append({"method": m.name, "bytes": m.bytes_per_vector, "recall": m.recall, "one_qps": vars(one),
                        "batch_qps": vars(batch), "batch_to_one": vars(gain)})  # fmt: skip
    print(f"\n**{data.name}**, {len(data.base):,} × {data.dim}\n")
    print(table(["method", "bytes a vector", "recall@10", "one query, QPS", "batch, QPS", "batch ÷ one"], rows))
    ratios = []
    for rival in (m for m in methods if not m.ours):
        for case in (", one", ", batch"):
            ours = fastest_match(rival, methods, times, case)
            ratio = times.ratio(ours.name + case, rival.name + case) if ours else None
            ratios.append([rival.name + case, ours.name if ours else "none", str(ratio) if ratio else "–"])
    print("\n" + table(["rival", "ours, as good and no larger", "ours ÷ rival"], ratios))
    return {"set": data.name, "methods": figures, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, ["minilm"])
    parser.add_argument("--rows", type=int, default=0, help="of the base, 0 for all")
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reduced", type=int, default=128, help="also over so many principal components; 0: not")
    options = parser.parse_args()
    sets = load_sets(options, options.rows, options.queries)
    if options.reduced:
        sets += [data.reduced(options.reduced) for data in sets if data.dim > options.reduced]
    pin_to_one_core()
    faiss.omp_set_num_threads(1)
    figures = [measure(data, options.rounds) for data in sets]
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
