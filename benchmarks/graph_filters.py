"""Searches along a graph that may find some ids only, beside scans of those ids.

`python benchmarks/graph_filters.py FILE.hdf5 [--sets SAME.hdf5 OTHER.hdf5 --attributes ATTRS.hdf5] [--hnsw]`. FILE
has `train` and `test` as ann-benchmarks writes them, compared by cosine. Filters drawn at random pass a half, a tenth,
a hundredth and a thousandth of all; those of the sets pass one value of the attribute that the set names, to which a
query is near or far.

At each filter the least effort is taken that finds 95 % of the ten nearest. Beside it stand what a search with default
parameters does, our scan of what passes, which the index chooses by itself where little does, and faiss' exact one;
with --hnsw also faiss' graph with a filter.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import h5py
import numpy as np
from core_sets import K, recall, unit
from interleaved import in_turns, pin_to_one_core, table
from numpy.typing import NDArray

from annbench import Filter, Index

QUERIES = 1000
SHARES = (0.5, 0.1, 0.01, 0.001)
EFFORTS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
ALL = 1 << 30  # as effort: a scan takes less time than that
WANTED = 0.95
ROUNDS = 5

Answer = Callable[[], NDArray[np.int64]]


@dataclass(frozen=True)
class Part:
    """Queries that share a filter, and the nearest ten that it passes."""

    queries: NDArray[np.float32]
    passing: NDArray[np.int64]
    nearest: NDArray[np.int64]


def drawn(x: NDArray[np.float32], queries: NDArray[np.float32]) -> Iterator[tuple[str, list[Part]]]:
    """Filters at random."""
    random = np.random.default_rng(0)
    for share in SHARES:
        passing = np.flatnonzero(random.random(len(x)) < share)
        scores = queries @ x[passing].T
        yield f"random, {share:.1%}", [Part(queries, passing, passing[np.argpartition(-scores, K)[:, :K]])]


def of_set(path: str, attributes: str) -> tuple[str, list[Part]]:
    """The filters that a set names: one for each value, with the queries that ask for it."""
    with h5py.File(path) as file, h5py.File(attributes) as others:
        name = str(file.attrs["predicate"]).split("==")[0].strip()
        values, wanted = others[name][:], file["filter_section"][:QUERIES]
        queries, nearest = unit(file["test"][:QUERIES]), file["neighbors"][:QUERIES, :K].astype(np.int64)
    parts = []
    for value in np.unique(wanted):
        passing = np.flatnonzero(values == value)
        if len(passing) >= K:
            parts.append(Part(queries[wanted == value], passing, nearest[wanted == value]))
    passed = sum(len(part.passing) * len(part.queries) for part in parts)
    share = passed / len(values) / sum(len(part.queries) for part in parts)
    return f"{path.rpartition('filter-')[2].removesuffix('.hdf5')}, {share:.1%}", parts


def found_of(answer: Answer, parts: list[Part]) -> float:
    """Recall of all queries, part by part."""
    return recall(answer(), np.concatenate([part.nearest for part in parts]))


def ours(index: Index, parts: list[Part], effort: int | None) -> Answer:
    """Searches with filters made before; by the index' defaults where no effort is given."""
    filters = [Filter(part.passing) for part in parts]
    pairs = list(zip(parts, filters, strict=True))
    return lambda: np.concatenate([index.search(p.queries, K, ef_search=effort, allowed=f)[0] for p, f in pairs])


def theirs(index: Any, parts: list[Part], n: int, parameters: Callable[[Any], Any]) -> Answer:
    """faiss with selectors made before."""
    masks = []
    for part in parts:
        mask = np.zeros(n, dtype=bool)
        mask[part.passing] = True
        masks.append(np.packbits(mask, bitorder="little"))
    chosen = [parameters(faiss.IDSelectorBitmap(mask)) for mask in masks]
    pairs = list(zip(parts, chosen, strict=True))
    return lambda: np.concatenate([index.search(p.queries, K, params=params)[1] for p, params in pairs])


def least_effort(make: Callable[[int], Answer], parts: list[Part]) -> tuple[int, Answer]:
    """The first effort that finds enough, or the largest."""
    for effort in EFFORTS:
        answer = make(effort)
        if found_of(answer, parts) >= WANTED:
            break
    return effort, answer


def main() -> None:
    """Build once, compare at every filter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--attributes")
    parser.add_argument("--preset", default="leanvec")
    parser.add_argument("--hnsw", action="store_true")
    given = parser.parse_args()
    if given.sets and not given.attributes:
        parser.error("--sets needs --attributes, where their values are")
    with h5py.File(given.file) as file:
        x, queries = unit(file["train"][:]), unit(file["test"][:QUERIES])
    index = Index.build(x, "cosine", preset=given.preset, seed=0)
    flat = faiss.IndexFlatIP(x.shape[1])
    flat.add(x)
    hnsw = faiss.IndexHNSWFlat(x.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    if given.hnsw:
        hnsw.hnsw.efConstruction = 200
        hnsw.add(x)
    pin_to_one_core()
    print(index, flush=True)
    rows = []
    for name, parts in [*drawn(x, queries), *(of_set(path, given.attributes) for path in given.sets)]:
        effort, answer = least_effort(lambda effort, parts=parts: ours(index, parts, effort), parts)
        cases: dict[str, Answer] = {"ours": answer, "default": ours(index, parts, None),
                                   "scan": ours(index, parts, ALL)}  # fmt: skip
        cases["faiss scan"] = theirs(flat, parts, len(x), lambda sel: faiss.SearchParameters(sel=sel))
        if given.hnsw:
            _, cases["faiss graph"] = least_effort(
                lambda ef, parts=parts: theirs(
                    hnsw, parts, len(x), lambda sel: faiss.SearchParametersHNSW(sel=sel, efSearch=ef)
                ),
                parts,
            )
        found = {case: found_of(call, parts) for case, call in cases.items()}
        times = in_turns(cases, ROUNDS)
        count = sum(len(part.queries) for part in parts)
        row = [name, str(effort), f"{found['ours']:.3f}", f"{times.rate('ours', count).median:,.0f}"]
        for other in ("scan", "faiss scan", "faiss graph"):
            row.append(f"{times.ratio('ours', other)} at {found[other]:.3f}" if other in cases else "")
        row += [f"{found['default']:.3f}", str(times.ratio("default", "scan"))]
        rows.append(row)
        print(row, flush=True)
    print(table(["filter", "ef_search", "recall@10", "queries/s", "× our scan", "× faiss scan", "× faiss graph",
                 "recall by default", "default × our scan"], rows))  # fmt: skip


if __name__ == "__main__":
    main()
