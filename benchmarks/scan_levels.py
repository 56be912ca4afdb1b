"""Scans of recurrent binary codes (SDC) beside Hamming scans of more bits that find about as much.

`python benchmarks/scan_levels.py --data FOLDER --models FOLDER [--sets minilm] [--bits 256] [--hamming 384 512]
[--json out.json]`, on one pinned core, in turns. Queries of SDC are floats, mapped within its time; those of Hamming
scans are bits already, but for our own index of hash codes, which maps them too. A plain read is a sum over as many
bytes as SDC's codes have. Binarizers are those of binary_codes.py: one step for SDC, none for Hamming codes, before
training or after it (`--trained`).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import faiss
import numpy as np
from binary_codes import Models
from core_sets import K, add_options, load_sets
from interleaved import Spread, in_turns, one_by_one, pin_to_one_core, table

from annbench import Index, _native
from annbench.indexes.transforms.binarizer import Binarizer
from annbench.indexes.transforms.model_file import read_binarizer
from annbench.train.plan import TrainingPlan

QUERIES = 64


@dataclass(frozen=True)
class Comparison:
    """SDC of `bits` beside the Hamming scan `rival` of `rival_bits`; rates are queries a second."""

    set: str
    bits: int
    recall: float
    rival: str
    rival_bits: int
    rival_recall: float
    rate: Spread
    rival_rate: Spread
    ratio: Spread
    of_a_read: Spread


def packed(binarizer: Binarizer, rows: np.ndarray) -> np.ndarray:
    """Signs as bits."""
    return np.packbits(binarizer.levels(rows) > 0, axis=1)


def compared(models: Models, trained: bool, bits: int, rival_bits: int, rounds: int) -> list[Comparison]:
    """One query a call and all in one, beside our own Hamming scan and faiss'."""
    data = models.data
    file_of = models.trained if trained else models.begun
    model, hash_model = file_of(bits, 1), file_of(rival_bits, 0)
    index = Index.build(data.base, data.metric, transform={"kind": "bebr", "model": str(model)}, codec="levels")
    hashed = read_binarizer(hash_model).binarizer
    codes, asked = packed(hashed, data.base), packed(hashed, data.queries)
    flat, peer = _native.HammingFlat(codes), faiss.IndexBinaryFlat(rival_bits)
    peer.add(codes)
    mapped = Index.build(data.base, data.metric, transform={"kind": "bebr", "model": str(hash_model)}, codec="levels")
    recalls = data.recall(index.search(data.queries, K)[0]), data.recall(flat.search(asked, K)[0])
    some = slice(0, QUERIES)
    words = np.ones(len(data.base) * (bits // 8 + 2) // 8, np.uint64)
    times = in_turns(
        {
            "SDC": one_by_one(lambda q: index.search(q, K), data.queries[some]),
            "SDC, batch": lambda: index.search(data.queries[some], K),
            "annbench": one_by_one(lambda q: flat.search_one(q, K), asked[some]),
            "annbench, batch": lambda: flat.search(asked[some], K),
            "annbench, mapped too": one_by_one(lambda q: mapped.search(q, K), data.queries[some]),
            "annbench, mapped too, batch": lambda: mapped.search(data.queries[some], K),
            "faiss": one_by_one(lambda q: peer.search(q[None], K), asked[some]),
            "faiss, batch": lambda: peer.search(asked[some], K),
            "read": lambda: [words.sum() for _ in range(QUERIES)],
        },
        rounds,
    )
    return [
        Comparison(
            data.name, bits, recalls[0], rival, rival_bits, recalls[1],
            times.rate(mine, QUERIES), times.rate(rival, QUERIES), times.ratio(mine, rival), times.ratio(mine, "read"),
        )
        for mine in ("SDC", "SDC, batch")
        for rival in (f"{name}{mine.removeprefix('SDC')}" for name in ("annbench", "annbench, mapped too", "faiss"))
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, ["minilm"])
    parser.add_argument("--models", type=Path, required=True, help="folder where binarizers are kept")
    parser.add_argument("--trained", action="store_true", help="binarizers after training")
    parser.add_argument("--rows", type=int, default=0, help="of the base, 0 for all")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--bits", type=int, nargs="+", default=[256])
    parser.add_argument("--hamming", type=int, nargs="+", default=[384, 512])
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--hidden", type=int, default=TrainingPlan.model_fields["hidden"].default)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    options.models.mkdir(parents=True, exist_ok=True)
    found: list[Comparison] = []
    for data in load_sets(options, options.rows, options.queries):
        models = Models(data, options.models, options.minutes, options.hidden)
        pin_to_one_core()
        faiss.omp_set_num_threads(1)
        for bits in options.bits:
            for rival_bits in options.hamming:
                found += compared(models, options.trained, bits, rival_bits, options.rounds)
    head = ["set", "SDC", "rival", "its codes", "queries/s, SDC", "rival", "SDC ÷ rival", "SDC ÷ a read of its bytes"]
    rows = [
        [c.set, f"{c.bits} bits, recall {c.recall:.3f}", c.rival, f"{c.rival_bits} bits, recall {c.rival_recall:.3f}",
         f"{c.rate.median:,.0f}", f"{c.rival_rate.median:,.0f}", str(c.ratio), str(c.of_a_read)]
        for c in found
    ]  # fmt: skip
    print(table(head, rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(c) for c in found], indent=1))


if __name__ == "__main__":
    main()
