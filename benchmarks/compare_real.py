"""The real command over real workers: how often `annbench compare` flags what is equal, and finds what is slower.

    python benchmarks/compare_real.py --comparisons 20 --slower 20

Each comparison is one interleaved run of two sides over the bundled vectors, in a folder of its own, and one `annbench
compare` of them. In the first kind both sides are the same; in the second, NEW searches for the first 5 % of the
queries twice: more distance work, not a sleep. Rates are given with Clopper and Pearson's exact 95 % limits. Give the
machine nothing else to do: one comparison takes minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annbench.compare.statistics import MIN_PAIRS, PILOT_PAIRS, exact_binomial_limit

ADAPTERS = '''
from annbench.algorithms.{module} import {cls}


class Plain({cls}):
    """The library as it is."""

    extra = 0.0

    def search_batch(self, queries, k):
        again = queries[: round(self.extra * len(queries))]
        if len(again):
            super().search_batch(again, k)
        return super().search_batch(queries, k)


class Slower(Plain):
    """The same answers for more work."""

    extra = {slowdown}
'''

CONFIG = """
dataset: wordnet-minilm-384-angular
k: 10
measure: {{modes: batch, threads: 1, build_threads: 1, workers: {workers}, interleave: true, seed: {seed}}}
algorithms:
  - {{algorithm: "sides.py:{old}", label: old, build: {build}, search: {search}}}
  - {{algorithm: "sides.py:{new}", label: new, build: {build}, search: {search}}}
"""


@dataclass(frozen=True)
class Subject:
    """What is compared with itself: an adapter and one point of it."""

    module: str
    cls: str
    build: str
    search: str


SUBJECTS = {
    "hnswlib": Subject("hnswlib", "Hnswlib", "{M: 16, ef_construction: 100}", "{ef: 40}"),
    "bruteforce": Subject("bruteforce", "BruteForce", "{}", "{}"),
}


def main() -> None:
    """Run the comparisons and print one line each, then the rates."""
    options = _options()
    for kind, count, new in (("equal", options.comparisons, "Plain"), ("slower", options.slower, "Slower")):
        cells = []
        for i in range(count):
            cells.append(compared(SUBJECTS[options.algorithm], new, options, seed=i))
            print(f"{kind} {i + 1}/{count}: {_line(cells[-1])}", flush=True)
        if cells:
            print(_summary(kind, cells))


def compared(subject: Subject, new: str, options: argparse.Namespace, *, seed: int) -> dict[str, Any]:
    """One interleaved run and its comparison: the cell of the one point, as JSON."""
    with tempfile.TemporaryDirectory(prefix="annbench-real-") as name:
        folder = Path(name)
        (folder / "sides.py").write_text(
            ADAPTERS.format(module=subject.module, cls=subject.cls, slowdown=options.slowdown)
        )
        (folder / "run.yaml").write_text(
            CONFIG.format(
                workers=options.workers, seed=seed, old="Plain", new=new, build=subject.build, search=subject.search
            )
        )
        _annbench(folder, "run", "run.yaml", "--quiet")
        text = _annbench(folder, "compare", ":old", ":new", "--at-recall", "0.5", "--fail-on", "qps=1.5%", "--json")
    found = json.loads(text)
    (cell,) = [c for c in found["cells"] if c["metric"] == "qps" and c["scope"] == "point"]
    return dict(cell)


def _annbench(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "annbench.cli.main", *arguments], cwd=folder, capture_output=True, text=True
    )
    if done.returncode not in (0, 1, 3) or (arguments[0] == "run" and done.returncode):
        raise SystemExit(f"annbench {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _line(cell: dict[str, Any]) -> str:
    proof = cell["evidence"]
    if proof is None:
        return f"{cell['verdict']}: {cell['reason']}"
    return (
        f"{cell['verdict']}, {proof['slowdown']:+.1%} [{proof['low']:+.1%}, {proof['high']:+.1%}], "
        f"p = {proof['p_slower']:.2g}, {proof['pairs']} pairs, {proof['outliers']} outliers"
    )


def _summary(kind: str, cells: list[dict[str, Any]]) -> str:
    flagged = sum(cell["verdict"] == "regression" for cell in cells)
    silent = sum(cell["verdict"] == "inconclusive" for cell in cells)
    low, high = exact_binomial_limit(flagged, len(cells))
    return (
        f"{kind}: {flagged} of {len(cells)} flagged as slower (95 % limits {low:.1%} … {high:.1%}), "
        f"{silent} inconclusive"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", choices=SUBJECTS, default="hnswlib")
    parser.add_argument("--comparisons", type=int, default=3, help="of equal sides")
    parser.add_argument("--slower", type=int, default=1, help="with a slower NEW")
    parser.add_argument("--slowdown", type=float, default=0.05, help="share of the queries that NEW searches twice")
    parser.add_argument("--workers", type=int, default=PILOT_PAIRS + 2 * MIN_PAIRS, help="pairs a comparison")
    return parser.parse_args()


if __name__ == "__main__":
    main()
