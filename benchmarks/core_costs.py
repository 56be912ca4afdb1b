"""What the compressed core costs beside searching: encoding, loading, and a call from Python.

`python benchmarks/core_costs.py [--rounds 9] [--json out.json]`, on one pinned core. Encoding is measured by
native_bench (cmake -DANNBENCH_BENCH=ON; `--native-bench PATH`), because Python's own work is no part of it; without it
that row is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import in_turns, pin_to_one_core, table

from annbench import Index

DIM = 384
LOADED_ROWS = 200_000
CALLS = 2_000
CODEC = {"kind": "uniform", "bits": 4, "fit": "rabitq-fast"}
ENCODINGS = ("encoding 384, 4 bits, fast", "encoding 384, 4 bits, swept", "encoding 384, 4 bits, osq")


def vectors(n: int, dim: int = DIM) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((n, dim), dtype=np.float32)


def loading(rounds: int) -> dict[str, Any]:
    """Bytes of an index file per second from a warm page cache, checksums and checks included; and a copy of them."""
    index = Index.build(vectors(LOADED_ROWS), codec="float16", threads=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "core.index"
        index.save(path)
        size = path.stat().st_size
        times = in_turns({"load": lambda: Index.load(path), "read": path.read_bytes}, rounds)
    return {
        "load_gb_per_s": str(times.rate("load", size / 1e9)),
        "of a plain read of the file": str(times.ratio("load", "read")),
    }


def calling(rounds: int) -> dict[str, Any]:
    """Microseconds of a search over one vector of one dimension, from Python and in a batch, where the call is shared:
    what is left is what a call costs.
    """
    tiny = Index.build(np.ones((1, 1), np.float32), codec="float32")
    query, many = np.ones(1, np.float32), np.ones((CALLS, 1), np.float32)

    def times_over(call: Callable[[], object]) -> Callable[[], None]:
        def calls() -> None:
            for _ in range(CALLS):
                call()

        return calls

    times = in_turns(
        {
            "search": times_over(lambda: tiny.search(query, 1)),
            "batch": lambda: tiny.search(many, 1),
            "array": times_over(lambda: np.empty(1, np.int64)),
            "loop": times_over(lambda: None),
        },
        rounds,
    )
    # What making an array costs, of which every call must make two: a measure of the machine's state.
    array = (times.seconds("array") - times.seconds("loop")) / CALLS * 1e6
    each, shared = ((times.seconds(name)) / CALLS * 1e6 for name in ("search", "batch"))
    loop = times.seconds("loop") / CALLS * 1e6
    return {
        "search of one vector, µs": f"{each - loop:.2f}",
        "of these, what a batch needs too, µs": f"{shared:.2f}",
        "call, µs": f"{each - loop - shared:.2f}",
        "np.empty, µs": f"{array:.2f}",
    }


def encoding(native_bench: Path, rounds: int) -> dict[str, Any]:
    """Thousands of vectors a second, from native_bench's nanoseconds."""
    found = {}
    for name in ENCODINGS:
        command = [str(native_bench), "--only", name, "--rounds", str(rounds)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        nanoseconds = float(lines[-1].split(" ns")[0].split()[-1])
        found[name] = f"{1e6 / nanoseconds:.0f} k/s"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--native-bench", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pin_to_one_core()
    figures = loading(options.rounds) | calling(options.rounds)
    if options.native_bench:
        figures |= encoding(options.native_bench, options.rounds)
    print(table(["what", "measured"], [[name, value] for name, value in figures.items()]))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
