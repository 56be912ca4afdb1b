"""Links made for training queries (query_links), beside none, for queries like those and for queries like the vectors.

`python benchmarks/graph_queries.py --data FOLDER [--links 0 16] [--rows 0] [--queries 10000] [--rounds 5]`. FOLDER has
minilm-ood, whose `learn` an index learns from and whose `test` it is asked, and minilm: the same vectors, and queries
like them. Nodes expanded and codes scored a query at a recall lie between those of the two searches beside it
(annbench.compare.frontier). With --rounds, batches are timed on one core in turns, and a ratio is of the rates of one
round, against the first of --links.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from core_sets import FILES, CoreSet, load_set
from index_rates import Asked, Beside, beside, rates
from interleaved import Spread, pin_to_one_core, table

from annbench import Index
from annbench.compare.frontier import at_recall
from annbench.indexes.structures import GraphStructure

TARGETS = (0.90, 0.95, 0.99)
RERANK_K = 100
THREADS = 2  # of a build
SETS = ("minilm-ood", "minilm")


def built(data: CoreSet, links: int) -> tuple[Index, float]:
    """Preset leanvec-ood with so many links for queries, and seconds."""
    structure = GraphStructure(query_links=links)
    start = time.perf_counter()
    index = Index.build(
        data.base, data.metric, preset="leanvec-ood", structure=structure, queries=data.learn, threads=THREADS
    )
    return index, time.perf_counter() - start


def cost(index: Index, asked: Asked, searches: Beside, target: float) -> tuple[float, float] | None:
    """Nodes and codes a query, at a recall; None where it is not reached."""
    found: dict[str, list[float]] = {"hops": [], "distances": []}
    for call in searches.calls:
        index.native.reset_counts()
        call()
        for name, values in found.items():
            values.append(index.native.counts[name] / len(asked.queries))
    place = at_recall(searches.recalls, 1 / np.array(found["distances"]), target, found)
    return None if place.kind == "not_reached" else (place.values["hops"], place.values["distances"])


def rows_of(name: str, asked: Asked, indexes: dict[int, Index], rounds: int) -> list[list[str]]:
    """A line for every recall and index."""
    lines = []
    first = next(iter(indexes))
    for target in TARGETS:
        searches = {str(links): beside(index, asked, target, rerank_k=RERANK_K) for links, index in indexes.items()}
        rate = rates(searches, len(asked.queries), target, rounds) if rounds else {}
        for links, index in indexes.items():
            at = cost(index, asked, searches[str(links)], target)
            line = [name, f"{target:.2f}", str(links), "–", "–"]
            if at is not None:
                line[3:] = [f"{at[0]:,.0f}", f"{at[1]:,.0f}"]
            if rounds:
                mine, others = rate[str(links)].rounds, rate[str(first)].rounds
                ratio = [a / b for a, b in zip(mine, others, strict=True)] if mine and others else []
                line += [rate[str(links)].text, str(Spread.of(ratio)) if ratio else "–"]
            lines.append(line)
    return lines


def main() -> None:
    """Build each index, ask each of them both kinds of queries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--links", type=int, nargs="+", default=[0, 16])
    parser.add_argument("--rows", type=int, default=0, help="of the base; 0 for all")
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=0, help="of timing; 0 for costs alone")
    given = parser.parse_args()
    sets = [load_set(given.data / FILES[name][0], *(name, FILES[name][1]), given.rows, given.queries) for name in SETS]
    indexes = {}
    for links in given.links:
        indexes[links], seconds = built(sets[0], links)
        print(f"{links} links for queries, {seconds:.0f} s with {THREADS} threads: {indexes[links]}", flush=True)
    pin_to_one_core()
    rows = [row for data in sets for row in rows_of(data.name, Asked(data.queries, data.truth), indexes, given.rounds)]
    timed = ["queries/s", f"× {given.links[0]} links"] if given.rounds else []
    print(table(["queries", "recall", "links", "nodes", "codes", *timed], rows))


if __name__ == "__main__":
    main()
