"""The graph index beside its peers at equal recall, in a batch and one by one: `make bench-graph DATA=folder`.

`python benchmarks/graph.py --data FOLDER --cache FOLDER --json out.json [--sets …] [--only PATTERN …] [--rounds 5]
[--queries 1000] [--rows 0] [--quick]`; `--from out.json` makes the tables again without measuring. `--files PATH …`
measures other sets instead, in the layout of ann-benchmarks or as `annbench data add` writes them.

Every index is built by annbench's adapters with 2 threads in a process of its own and kept in the cache; loaded again
in a process of its own, all of them pinned to one core. First the search parameters are found with which each has
enough points where recall counts. Then, in every round, each point is timed once, in an order that is drawn anew:
processor time after a warm-up. A rate at a recall lies between two points of one index (annbench.compare.frontier) and
is never extrapolated; a ratio is of the rates of one round. What is not installed, or fails, is named and left out.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import pairwise
from math import log, sqrt
from pathlib import Path
from typing import Any

from core_sets import BUNDLED, FILES, CoreSet, add_options, load_set, metric_of
from graph_builds import THREADS, Built, FailedError, LeftOutError, StoredSet, Worker, ensure_built, open_searching
from graph_grids import Entry, Sweep, entries
from graph_tables import HIGH, LOW, tables

from annbench.bundled import bundled
from annbench.compare.frontier import WIDE_BRACKET, hardness
from annbench.runner.environment import capture_environment

ENOUGH = 0.998  # recall, beyond which nobody looks
STEP = 1.3  # between the first values of a search parameter
NO_GAIN = 0.0005  # of recall, over several steps: codes, and not the search, decide then
PATIENCE = 4
SEED = 1


@dataclass
class Point:
    """A search of an index: what it finds, what it costs a query, and seconds a query by mode, a round each."""

    search: dict[str, Any]
    recall: float
    costs: dict[str, float]
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"batch": [], "single": []})


@dataclass
class Measured:
    """An index that takes part, with its process."""

    built: Built
    worker: Worker
    load_seconds: float
    points: list[Point] = field(default_factory=list)

    def record(self, n: int) -> dict[str, Any]:
        """For the JSON file."""
        entry = self.built.entry
        return {
            "family": entry.family, "label": entry.label, "algorithm": entry.algorithm, "build": entry.build,
            "versions": self.built.versions, "build_seconds": self.built.build_seconds, "build_threads": THREADS,
            "bytes_per_vector": self.built.index_bytes / n, "load_seconds": self.load_seconds,
            "saved_bytes": self.built.saved_bytes, "points": [vars(point) for point in self.points],
        }  # fmt: skip


def explore(sweep: Sweep, wanted: int, ask: Callable[[dict[str, Any]], Point | None]) -> list[Point]:
    """Points with `wanted` of them, if there are so many values, between LOW and HIGH of recall, for each of the
    sweep's others: first steps of a third, then the middle of the widest gap.
    """
    found = []
    for others in sweep.others:
        values: dict[int, Point] = {}

        def at(value: int, values: dict[int, Point] = values, others: dict[str, Any] = others) -> bool:
            point = ask(sweep.search(value, others))
            if point is not None:
                values[value] = point
            return point is not None

        value, last = sweep.least, 0
        while last < value:
            at(value)
            gained = list(values.values())
            if gained and gained[-1].recall >= ENOUGH:
                break
            if len(gained) > PATIENCE and gained[-1].recall - gained[-1 - PATIENCE].recall < NO_GAIN:
                break
            value, last = min(sweep.most, max(value + 1, round(value * STEP))), value
        while gap := _widest_gap(values, wanted):
            if not at(gap):
                break
        found += _worth_timing(list(values.values()))
    return found


def _widest_gap(values: dict[int, Point], wanted: int) -> int | None:
    """The value in the middle of it; None where there are points enough, near enough, or no value is left."""
    inside = sum(LOW <= point.recall <= HIGH for point in values.values())
    widest, middle = 0.0, None
    ordered = sorted(values)
    for low, high in pairwise(ordered):
        ends = values[low].recall, values[high].recall
        if high - low < 2 or max(ends) < LOW or min(ends) > HIGH:
            continue
        gap = float(hardness(max(ends)) - hardness(min(ends)))
        if gap > widest:
            widest, middle = gap, min(high - 1, max(low + 1, round(sqrt(low * high))))
    return middle if inside < wanted or widest > log(WIDE_BRACKET) else None


def _worth_timing(points: list[Point]) -> list[Point]:
    """Those from LOW on, and the best below it, which they are interpolated with."""
    below = [point for point in points if point.recall < LOW]
    return [*([max(below, key=lambda point: point.recall)] if below else []),
            *(point for point in points if point.recall >= LOW)]  # fmt: skip


def opened(found: list[Entry], stored: StoredSet, options: argparse.Namespace, stack: ExitStack,
           left_out: list[dict[str, str]]) -> list[Measured]:  # fmt: skip
    """All indexes that can take part, built, loaded and explored; the others with their reasons to `left_out`."""
    taking_part = []
    for number, entry in enumerate(found, 1):
        say(f"{stored.data.name}: {number} of {len(found)}: {entry.name}")
        try:
            built = ensure_built(entry, stored)
            worker, said = open_searching(built, stored)
            stack.enter_context(worker)
            index = Measured(built, worker, said["load_seconds"])

            def ask(search: dict[str, Any], worker: Worker = worker) -> Point | None:
                try:
                    answer = worker.ask("recall", search=search)
                except FailedError as error:
                    say(f"  {search}: {error}")
                    return None
                return None if answer["recall"] is None else Point(search, answer["recall"], answer["costs"])

            index.points = [point for sweep in entry.sweeps for point in explore(sweep, options.points, ask)]
            taking_part.append(index)
        except LeftOutError as error:
            say(f"  left out: {error}")
            left_out.append({"name": entry.name, "why": str(error)})
    return taking_part


def time_in_rounds(indexes: list[Measured], options: argparse.Namespace, left_out: list[dict[str, str]]) -> None:
    """Give every point a time a round and mode; an index whose process fails meanwhile leaves with all its points."""
    shuffler = random.Random(SEED)
    queries = {"batch": options.queries, "single": options.singles}
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        turns = [(index, point, mode) for index in indexes for point in index.points for mode in queries]
        shuffler.shuffle(turns)
        for index, point, mode in turns:
            if index not in indexes:
                continue
            try:
                answer = index.worker.ask("seconds", search=point.search, mode=mode, queries=queries[mode])
                point.seconds[mode].append(answer["seconds"])
            except LeftOutError as error:
                say(f"  left out: {index.built.entry.name}: {error}")
                left_out.append({"name": index.built.entry.name, "why": str(error)})
                indexes.remove(index)


def measure(data: CoreSet, options: argparse.Namespace) -> dict[str, Any]:
    """All of a set, for the JSON file."""
    stored = StoredSet(data, options.cache)
    found = [entry for entry in entries(data, quick=options.quick)
             if not options.only or any(fnmatch(entry.name, pattern) for pattern in options.only)]  # fmt: skip
    left_out: list[dict[str, str]] = []
    with ExitStack() as stack:
        indexes = opened(found, stored, options, stack, left_out)
        time_in_rounds(indexes, options, left_out)
    n = len(data.base)
    return {
        "n": n, "dim": data.dim, "metric": data.metric, "queries": len(data.queries), "rounds": options.rounds,
        "indexes": [index.record(n) for index in indexes], "left_out": left_out,
    }  # fmt: skip


def sets_of(options: argparse.Namespace) -> list[tuple[str, Path, str]]:
    """Name, file and metric of `--files`, or of those of `--sets` that are there; the bundled one if none is."""
    if options.files:
        return [(path.stem, path, metric_of(path)) for path in options.files]
    there = [(name, options.data / FILES[name][0], FILES[name][1]) for name in options.sets if name in FILES]
    there = [one for one in there if one[1].exists()]
    return there or [("bundled", bundled("datasets") / f"{BUNDLED}.hdf5", "cosine")]


def say(text: str) -> None:
    """Where the tables do not go."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, list(FILES))
    parser.add_argument("--files", type=Path, nargs="+", default=[], help="HDF5 files to measure instead of --sets")
    parser.add_argument("--cache", type=Path, default=Path("build/bench-graph"), help="folder of the built indexes")
    parser.add_argument(
        "--only", nargs="+", metavar="PATTERN", help="indexes by name, such as 'annbench*' 'SymQG R32*'"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=1000, help="of a batch")
    parser.add_argument("--singles", type=int, default=300, help="of them, asked one by one")
    parser.add_argument("--rows", type=int, default=0, help="of the base, 0 for all")
    parser.add_argument("--points", type=int, default=8, help=f"of a curve between recall {LOW} and {HIGH}, at least")
    parser.add_argument("--quick", action="store_true", help="5,000 rows, 200 queries, 2 rounds, 2 indexes a family")
    parser.add_argument(
        "--from", dest="again", type=Path, help="make the tables of this JSON file, and measure nothing"
    )
    options = parser.parse_args()
    if options.again:
        print(tables(json.loads(options.again.read_text())))
        return
    if options.quick:
        options.rows, options.queries, options.singles, options.rounds = 5000, 200, 100, 2
    record: dict[str, Any] = {"environment": capture_environment(), "sets": {}}
    for name, path, metric in sets_of(options):
        record["sets"][name] = measure(load_set(path, name, metric, options.rows, options.queries), options)
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(record, indent=1))
        print(tables({**record, "sets": {name: record["sets"][name]}}), flush=True)


if __name__ == "__main__":
    main()
