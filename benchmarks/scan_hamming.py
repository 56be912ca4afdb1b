"""Packed bits, scanned exhaustively: annbench's HammingFlat beside faiss' IndexBinaryFlat and a plain read.

`python benchmarks/scan_hamming.py [--rounds 9] [--json out.json]`, on one pinned core; random codes, 10 neighbours.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import faiss
import numpy as np
from interleaved import in_turns, one_by_one, pin_to_one_core, table

from annbench import _native

BITS = (128, 256, 512, 1024)
SIZES = {"256 KiB, within L2": 256 << 10, "64 MiB, beyond the caches": 64 << 20}
BATCH, SINGLES, K = 128, 8, 10


def measure(bits: int, size: int, rounds: int) -> dict[str, object]:
    """One query a call and 128 a call, ours and faiss', and a sum over as many bytes."""
    random = np.random.default_rng(1)
    codes = random.integers(0, 256, (size * 8 // bits, bits // 8), np.uint8)
    queries = random.integers(0, 256, (BATCH, bits // 8), np.uint8)
    peer, ours = faiss.IndexBinaryFlat(bits), _native.HammingFlat(codes)
    peer.add(codes)
    words = np.ones(size // 8, np.uint64)
    check_agreement(peer, ours, queries)
    times = in_turns(
        {
            "ours": one_by_one(lambda q: ours.search_one(q, K), queries[:SINGLES]),
            "faiss": one_by_one(lambda q: peer.search(q[None], K), queries[:SINGLES]),
            "read": lambda: [words.sum() for _ in range(SINGLES)],
            "ours, batch": lambda: ours.search(queries, K),
            "faiss, batch": lambda: peer.search(queries, K),
        },
        rounds,
    )
    per_query = BATCH / SINGLES  # a batch has more queries than the singles of one call
    return {
        "ours_gb_per_s": times.rate("ours", SINGLES * size / 1e9),
        "faiss_gb_per_s": times.rate("faiss", SINGLES * size / 1e9),
        "read_gb_per_s": times.rate("read", SINGLES * size / 1e9),
        "ours_to_faiss": times.ratio("ours", "faiss"),
        "ours_to_read": times.ratio("ours", "read"),
        "batch_ours_gb_per_s": times.rate("ours, batch", BATCH * size / 1e9),
        "batch_ours_to_faiss": times.ratio("ours, batch", "faiss, batch"),
        "batch_to_one": times.ratio("ours, batch", "ours", per_query),
    }


def check_agreement(peer: faiss.IndexBinaryFlat, ours: _native.HammingFlat, queries: np.ndarray) -> None:
    """Both find the same distances: nothing is compared that does not do the same work."""
    if not np.array_equal(peer.search(queries, K)[0], ours.search(queries, K)[1]):
        raise SystemExit("faiss and annbench find other distances")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pin_to_one_core()
    faiss.omp_set_num_threads(1)
    found = {(name, bits): measure(bits, size, options.rounds) for name, size in SIZES.items() for bits in BITS}
    header = ["codes", "bits", "ours, GB/s", "a plain read, GB/s", "ours ÷ read", "ours ÷ faiss",
              "batch of 128: ours ÷ faiss", "a batch ÷ one query"]  # fmt: skip
    keys = ("ours_gb_per_s", "read_gb_per_s", "ours_to_read", "ours_to_faiss", "batch_ours_to_faiss", "batch_to_one")
    print(table(header, [[name, str(bits), *(str(row[key]) for key in keys)] for (name, bits), row in found.items()]))
    if options.json:
        figures = [{"codes": name, "bits": bits, **{key: vars(value) for key, value in row.items()}}
                   for (name, bits), row in found.items()]  # fmt: skip
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
