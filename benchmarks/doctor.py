"""How long `annbench doctor` takes, how much memory, and what it says of sets whose queries are known to be like their
base, or not.

    python benchmarks/doctor.py glove6b-100-angular.hdf5 fashion-mnist-784-euclidean.hdf5 wordnet-minilm-384-angular

A time is of the whole command, `rounds` times with other seeds; memory is the largest resident set of any of its
processes. With `--limit SECONDS` the exit code is 1 if the first set took longer in its slowest round; `--json`
keeps everything.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Round:
    """One run of the command."""

    dataset: str
    seed: int
    seconds: float
    peak_bytes: int
    diagnosis: dict[str, Any]


def measure(dataset: str, seed: int, threads: int) -> Round:
    """Run the command on a dataset (name or path). Raises SystemExit if it fails."""
    command = [sys.executable, "-m", "annbench.cli.main", "doctor", dataset, "--json"]
    command += ["--seed", str(seed), "--threads", str(threads)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        # The usage of the command and of the children that it waited for.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode != 0:
        sys.exit(f"{dataset}: exit code {process.returncode}")
    return Round(dataset, seed, seconds, usage.ru_maxrss * 1024, json.loads(text))


def report(rounds: list[Round]) -> None:
    """One set: cost, and the figures that the verdicts rest on, least … greatest over the seeds."""
    first = rounds[0].diagnosis
    seconds = [one.seconds for one in rounds]
    print(
        f"{first['name']}: {first['n']:,} × {first['dim']}, {len(rounds)} rounds: "
        f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} … {max(seconds):.1f}), "
        f"{max(one.peak_bytes for one in rounds) / 2**20:,.0f} MiB"
    )
    for seen in first["neighborhoods"]:
        of_name = [one for r in rounds for one in r.diagnosis["neighborhoods"] if one["name"] == seen["name"]]
        lids = {lid["k"]: [one["lid"][i]["unbiased_harmonic"] for one in of_name] for i, lid in enumerate(seen["lid"])}
        texts = [f"LID {k}: {extent(values, 1)}" for k, values in lids.items()]
        texts.append(f"contrast at k: {extent([one['contrast_kth'] for one in of_name], 2)}")
        print(f"  {seen['name']:6} {', '.join(texts)}")
    for shift in first["shifts"]:
        of_set = [one for r in rounds for one in r.diagnosis["shifts"] if one["query_set"] == shift["query_set"]]
        keys = ("mahalanobis_exceedance", "nearest_exceedance", "kth_exceedance", "separability")
        texts = [f"{key.removesuffix('_exceedance')} {extent([one[key] for one in of_set], 3)}" for key in keys]
        verdicts = sorted({one["verdict"] for one in of_set})
        print(f"  {shift['query_set']:6} {', '.join(texts)}: {' or '.join(verdicts)}")


def extent(values: list[float], digits: int) -> str:
    """Least … greatest."""
    return f"{min(values):.{digits}f} … {max(values):.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", default=["wordnet-minilm-384-angular"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=float, default=None)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    taken: list[list[Round]] = []
    for dataset in options.datasets:
        taken.append([measure(dataset, seed, options.threads) for seed in range(options.rounds)])
        report(taken[-1])
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(one) for rounds in taken for one in rounds], indent=1))
    slowest = max(one.seconds for one in taken[0])
    if options.limit is not None and slowest > options.limit:
        sys.exit(f"{options.datasets[0]}: {slowest:.1f} s is more than {options.limit:g} s")


if __name__ == "__main__":
    main()
