"""Recall per byte without re-ranking, all vectors scanned: our codes beside faiss' at 1, 2, 4 and 8 bits a dimension.

`python benchmarks/codes.py --data FOLDER [--sets fashion glove …] [--rows 50000] [--json out.json]`. Bytes are those of
a vector's code and factors, tables and ids left out on both sides. For every rival the best of ours in no more bytes
stands beside it. Recall depends on neither the machine nor how busy it is.

The second table says what a transform is worth: the same code behind each, fitted without the queries that count.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

import faiss
from core_sets import CoreSet, K, add_options, load_sets
from interleaved import table

from annbench import Index
from annbench.errors import AnnbenchError
from annbench.indexes.spec import ID_BYTES, make_spec

BITS = (1, 2, 4, 8)
ROTATION = {"kind": "fast-rotation"}


@dataclass(frozen=True)
class Figure:
    """What a code of some bytes a vector found."""

    set: str
    bits: int
    method: str
    ours: bool
    bytes_per_vector: float
    recall: float


def ours(data: CoreSet, bits: int, name: str, transform: Any, codec: dict[str, Any]) -> Figure | None:
    """None for what cannot be over this set."""
    queries = data.learn if transform["kind"] == "leanvec-ood" else None
    try:
        # Ids are kept by no rival.
        size = make_spec(transform, codec).bytes_per_vector(data.dim) - ID_BYTES
        index = Index.build(data.base, data.metric, transform=transform, codec=codec, queries=queries)
    except AnnbenchError as error:
        print(f"{data.name}, {name}: left out: {error}")
        return None
    return Figure(data.name, bits, name, True, size, data.recall(index.search(data.queries, K)[0]))


def peer(data: CoreSet, bits: int, factory: str, size: float) -> Figure:
    """A description of faiss' index factory."""
    metric = faiss.METRIC_L2 if data.metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    index = faiss.index_factory(data.dim, factory, metric)
    index.train(data.base)
    index.add(data.base)
    return Figure(data.name, bits, f"faiss {factory}", False, size, data.recall(index.search(data.queries, K)[1]))


def rivals(data: CoreSet, bits: int) -> list[Figure | None]:
    """faiss' RaBitQ behind a rotation, its fast scan with as many bits, and our own OSQ without the factor."""
    made: list[Figure | None] = []
    name = "RR,RaBitQ" + (str(bits) if bits > 1 else "")
    whole = faiss.index_factory(data.dim, name)  # owns what is looked at
    made.append(peer(data, bits, name, faiss.downcast_index(whole.index).code_size))
    if bits <= 4:
        groups = data.dim * bits // 4
        if data.dim % groups == 0:
            made.append(peer(data, bits, f"PQ{groups}x4fs", groups / 2))
    raw = ours(data, bits, "our OSQ, not rescaled", ROTATION, uniform(bits, "osq") | {"rescale": False})
    if raw:
        made.append(Figure(raw.set, bits, raw.method, False, raw.bytes_per_vector, raw.recall))
    return made


def uniform(bits: int, fit: str) -> dict[str, Any]:
    return {"kind": "uniform", "bits": bits, "fit": fit}


def candidates(data: CoreSet, bits: int) -> list[Figure | None]:
    """Ours in about as many bytes: each fit, fewer dimensions with more bits, bits by variance, product codes."""
    d = data.dim
    made = [ours(data, bits, f"{fit}, {bits} bits", ROTATION, uniform(bits, fit))
            for fit in ("rabitq", "rabitq-fast", "osq", *(("min-max",) if bits > 1 else ()))]  # fmt: skip
    if bits > 1:
        for fit in ("rabitq", "rabitq-fast"):
            staged = uniform(bits, fit) | {"scan_bits": 1}
            made.append(ours(data, bits, f"{fit}, 1 + {bits - 1} bits", ROTATION, staged))
    for share in (1, 0.95, 0.75, 0.5, 0.25):
        dim, more = round(d * share), min(8, int(bits / share))
        transform = {"kind": "pca", "dim": dim, "rotate": True}
        codec = uniform(more, "rabitq-fast") | ({"scan_bits": 1} if more > 1 else {})
        made.append(ours(data, bits, f"rabitq-fast, pca {dim}, {more} bits", transform, codec))
    varied = uniform(bits, "osq") | {"bits_per_dim": True}
    made.append(ours(data, bits, "bits by variance", {"kind": "pca", "dim": d}, varied))
    if bits <= 4:
        product = {"kind": "product", "groups": d * bits // 4}
        made.append(ours(data, bits, f"product, {d * bits // 4} groups", {"kind": "identity"}, product))
        # Groups are filled up to multiples of 4: as many as take no more bytes than a rival's.
        alone = {"kind": "product", "groups": max(4, d * bits // 4 // 4 * 4), "factors": False}
        for transform in ({"kind": "identity"}, {"kind": "pca", "dim": max(d // 2, alone["groups"]), "rotate": True}):
            name = f"product without factors, {alone['groups']} groups, {transform['kind']} {transform.get('dim', d)}"
            made.append(ours(data, bits, name, transform, alone))
    return made


def transforms(data: CoreSet) -> list[list[str]]:
    """Recall behind each transform, at half the dimensions and at all of them, 4 bits and 1."""
    rows = []
    for bits, share in ((1, 1.0), (1, 0.5), (4, 1.0), (4, 0.5)):
        dim = round(data.dim * share)
        kinds: dict[str, dict[str, Any]] = {
            "pca": {"kind": "pca", "dim": dim},
            "pca, rotated": {"kind": "pca", "dim": dim, "rotate": True},
        }
        if share == 1.0:
            kinds |= {"identity": {"kind": "identity"}, "random rotation": ROTATION}
        if data.learn is not None:
            for solver in ("sphering", "frank-wolfe", "eigensearch"):
                kinds[f"leanvec-ood, {solver}"] = {"kind": "leanvec-ood", "dim": dim, "solver": solver}
        for name, transform in kinds.items():
            figure = ours(data, bits, name, transform, uniform(bits, "rabitq-fast"))
            if figure:
                rows.append([data.name, str(bits), str(dim), name, f"{figure.recall:.4f}"])
    return rows


def beside(figures: list[Figure]) -> list[list[str]]:
    """Each rival, and the best of ours in no more bytes."""
    rows = []
    for rival in (figure for figure in figures if not figure.ours):
        fitting = [f for f in figures if f.ours and f.set == rival.set and f.bytes_per_vector <= rival.bytes_per_vector]
        best = max(fitting, key=lambda f: f.recall, default=None)
        rows.append([rival.set, str(rival.bits), rival.method, f"{rival.bytes_per_vector:g}", f"{rival.recall:.4f}"])
        rows[-1] += [best.method, f"{best.bytes_per_vector:g}", f"{best.recall:.4f}"] if best else ["none", "", ""]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, ["fashion", "glove", "minilm", "minilm-ood"])
    parser.add_argument("--rows", type=int, default=50_000, help="of the base, 0 for all")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--bits", type=int, nargs="+", default=BITS)
    options = parser.parse_args()
    figures: list[Figure] = []
    studied: list[list[str]] = []
    for data in load_sets(options, options.rows, options.queries):
        for bits in options.bits:
            figures += [f for f in (*candidates(data, bits), *rivals(data, bits)) if f is not None]
        studied += transforms(data)
    every = [[f.set, str(f.bits), f.method, f"{f.bytes_per_vector:g}", f"{f.recall:.4f}"] for f in figures]
    print(table(["set", "bits", "code", "bytes a vector", "recall@10"], every))
    print("\n" + table(["set", "bits", "rival", "bytes", "recall@10", "ours, no larger", "bytes", "recall@10"],
                       beside(figures)))  # fmt: skip
    print("\n" + table(["set", "bits", "dimensions", "transform", "recall@10"], studied))
    if options.json:
        options.json.write_text(json.dumps({"codes": [vars(f) for f in figures], "transforms": studied}, indent=1))


if __name__ == "__main__":
    main()
