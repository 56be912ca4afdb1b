"""BEBR's learned binary codes beside other codes of as many bits: recall of the codes alone and after re-ranking 100.

`python benchmarks/binary_codes.py --data FOLDER --models FOLDER [--sets …] [--bits 128 256 512] [--minutes 3]
[--json out.json]`. Binarizers are trained where `--models` has none yet, each for `--minutes` on one thread; recall
depends on neither the machine nor how busy it is, but for how far training comes in that time. Bytes are those of a
vector's code and factors.

`--time` compares scans on one pinned core, in turns: SDC (queries are mapped within that time), Hamming scans of more
bits that find as much (queries are bits already), and a plain read of SDC's bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from core_sets import CoreSet, K, add_options, load_sets
from interleaved import in_turns, one_by_one, pin_to_one_core, table

from annbench import Index, _native
from annbench.indexes.spec import ID_BYTES
from annbench.indexes.transforms.binarizer import Binarizer, BinarizerMetric
from annbench.indexes.transforms.model_file import read_binarizer, write_binarizer

SHORTLIST = 100
STEPS = (0, 1, 2, 3)
FAISS_TRAINING_ROWS = 20_000  # OPQ would take minutes with more


@dataclass(frozen=True)
class Figure:
    """What codes of some bytes a vector found: of the ten nearest, by themselves and among their best 100."""

    set: str
    bits: int
    method: str
    bytes_per_vector: float
    recall: float
    among_100: float


@dataclass(frozen=True)
class Models:
    """Trained binarizers and where their training began, of one set."""

    data: CoreSet
    folder: Path
    minutes: float
    hidden: int

    def of(self, bits: int, steps: int) -> tuple[Path, Path]:
        """The files of the trained one, and of its start."""
        name = f"{self.data.name}-{bits}-{steps}-{self.hidden}-{self.minutes:g}min"
        trained, start = self.folder / f"{name}.safetensors", self.folder / f"{name}-start.safetensors"
        if not trained.exists():
            self._train(bits, steps, trained, start)
        return trained, start

    def _train(self, bits: int, steps: int, trained: Path, start: Path) -> None:
        from annbench.train.bebr_file import Seen, prepared
        from annbench.train.plan import TrainingPlan
        from annbench.train.start import linear_start
        from annbench.train.trainer import Trainer

        plan = TrainingPlan(bits=bits, steps=steps, hidden=self.hidden, minutes=self.minutes)
        metric: BinarizerMetric = "euclidean" if self.data.metric == "euclidean" else "cosine"
        seen = Seen.of(self.data.base, metric)
        vectors, queries = seen(self.data.base), None if self.data.learn is None else seen(self.data.learn)
        key = self.data.name
        if key not in _PREPARED:
            _PREPARED.clear()
            _PREPARED[key] = prepared(vectors, queries, metric, plan)
        begun = linear_start(vectors, plan.dim, plan.steps, seed=plan.seed)
        trainer = Trainer(plan, *_PREPARED[key], begun)
        made = trainer.run(None, lambda _: None)
        told = [f"{recall:.3f}" for _, _, recall in trainer.state.recalls]
        print(f"{trained.name}: held-out recall {' '.join(told)}, {trainer.state.batches} batches", flush=True)
        write_binarizer(start, seen.by(begun), {})
        write_binarizer(trained, seen.by(made), {"recalls": trainer.state.recalls})


_PREPARED: dict[str, Any] = {}


def found(data: CoreSet, bits: int, method: str, size: float, ids: np.ndarray) -> Figure:
    """Of the 100 nearest by codes, ids (q, 100)."""
    among = np.mean([np.isin(near, some).mean() for some, near in zip(ids, data.truth, strict=True)])
    return Figure(data.name, bits, method, size, data.recall(ids[:, :K]), float(among))


def ours(data: CoreSet, bits: int, method: str, transform: Any, codec: Any) -> Figure:
    """An index of ours without a finer copy."""
    index = Index.build(data.base, data.metric, transform=transform, codec=codec, seed=1)
    size = index.spec.bytes_per_vector(data.dim) - ID_BYTES
    return found(data, bits, method, size, index.search(data.queries, SHORTLIST)[0])


def faiss_codes(data: CoreSet, bits: int, method: str, factory: str) -> Figure | None:
    """An index of faiss; None for what cannot be over this set."""
    try:
        index = faiss.index_factory(data.dim, factory)
    except RuntimeError:
        return None
    index.train(data.base[:: max(1, len(data.base) // FAISS_TRAINING_ROWS)])
    index.add(data.base)
    return found(data, bits, method, bits / 8, index.search(data.queries, SHORTLIST)[1])


def baselines(data: CoreSet, bits: int) -> Iterator[Figure | None]:
    """Others of as many bits, factors aside."""
    dim = data.dim
    yield hyperplanes(data, bits)
    if bits <= dim:
        yield faiss_codes(data, bits, "ITQ (faiss)", f"ITQ{bits},LSH")
    for width in (4, 8):
        groups = bits // width
        fast = "x4" if width == 4 else ""
        if dim % groups == 0:
            yield faiss_codes(data, bits, f"PQ, {width} bits a group (faiss)", f"PQ{groups}{fast}")
    coded = dim // (bits // 8) * (bits // 8)
    if coded:
        yield faiss_codes(data, bits, "OPQ, 8 bits a group (faiss)", f"OPQ{bits // 8}_{coded},PQ{bits // 8}")
    for fit, name in (("rabitq", "RaBitQ"), ("osq", "OSQ, rescaled")):
        for each in (1, 2, 4):
            coded = bits // each
            if coded > dim:
                continue
            codec = {"kind": "uniform", "bits": each, "fit": fit}
            yield ours(
                data, bits, f"{name}, {each} bits of {coded}", {"kind": "pca", "dim": coded, "rotate": True}, codec
            )


def hyperplanes(data: CoreSet, bits: int) -> Figure:
    """Signs of a random rotation, or of projections where bits are more than dimensions."""
    index = faiss.IndexLSH(data.dim, bits, True, False)
    index.train(data.base)
    index.add(data.base)
    ids = index.search(data.queries, SHORTLIST)[1]
    return found(data, bits, "signs of a random rotation (faiss LSH)", bits / 8, ids)


def learned(models: Models, bits: int) -> Iterator[Figure]:
    """BEBR of every number of steps that the bits can be shared by, before and after training; u = 0 is hash-MLP."""
    for steps in STEPS:
        if bits % (steps + 1):
            continue
        trained, start = models.of(bits, steps)
        name = f"BEBR, u = {steps}" if steps else "hash-MLP (u = 0)"
        for path, told in ((start, f"{name}, before training"), (trained, name)):
            yield ours(models.data, bits, told, {"kind": "bebr", "model": str(path)}, "levels")
        transform = {"kind": "bebr", "model": str(trained), "asymmetric": True}
        yield ours(models.data, bits, f"{name}, asymmetric", transform, "levels")


def prefixes(models: Models, dim: int) -> list[Figure]:
    """One model of 4 bits in each of `dim` dimensions, and its codes of fewer steps."""
    trained, _ = models.of(4 * dim, 3)
    return [
        ours(models.data, dim * (steps + 1), f"first {steps + 1} bits of {dim} × 4",
             {"kind": "bebr", "model": str(trained), "steps": steps}, "levels")
        for steps in STEPS
    ]  # fmt: skip


def packed(binarizer: Binarizer, rows: np.ndarray) -> np.ndarray:
    """Signs as bits."""
    return np.packbits(binarizer.levels(rows) > 0, axis=1)


def timed(models: Models, figures: list[Figure], bits: int, rounds: int) -> list[list[str]]:
    """SDC of `bits` beside the smallest Hamming scan that finds as much, of those measured, and one of equal bytes."""
    data = models.data
    index = Index.build(data.base, data.metric, transform={"kind": "bebr", "model": str(models.of(bits, 1)[0])},
                        codec="levels")  # fmt: skip
    sdc = next(f for f in figures if f.bits == bits and f.method == "BEBR, u = 1")
    enough = [f for f in figures if f.method == "hash-MLP (u = 0)" and f.recall >= sdc.recall]
    binary = min(enough, key=lambda f: f.bits, default=None)
    if binary is None:
        return []
    hashed = read_binarizer(models.of(binary.bits, 0)[0]).binarizer
    codes, asked = packed(hashed, data.base), packed(hashed, data.queries)
    flat, peer = _native.HammingFlat(codes), faiss.IndexBinaryFlat(binary.bits)
    peer.add(codes)
    some = slice(0, 64)
    words = np.ones(len(data.base) * (bits // 8 + 2) // 8, np.uint64)
    times = in_turns(
        {
            "sdc": one_by_one(lambda q: index.search(q, K), data.queries[some]),
            "sdc, batch": lambda: index.search(data.queries[some], K),
            "ours": one_by_one(lambda q: flat.search_one(q, K), asked[some]),
            "ours, batch": lambda: flat.search(asked[some], K),
            "faiss": one_by_one(lambda q: peer.search(q[None], K), asked[some]),
            "faiss, batch": lambda: peer.search(asked[some], K),
            "read": lambda: [words.sum() for _ in range(64)],
        },
        rounds,
    )
    rows: list[list[str]] = []
    against = f"{binary.bits} bits, recall {binary.recall:.3f}"
    for end in ("", ", batch"):
        for rival in ("ours", "faiss"):
            rates = [f"{times.rate(case, 64).median:,.0f}" for case in ("sdc" + end, rival + end)]
            ratios = [str(times.ratio("sdc" + end, other)) for other in (rival + end, "read")]
            rows.append([data.name, f"{bits} bits, recall {sdc.recall:.3f}", against, rival + end, *rates, *ratios])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, ["fashion", "glove", "minilm", "minilm-ood"])
    parser.add_argument("--models", type=Path, required=True, help="folder where binarizers are kept")
    parser.add_argument("--rows", type=int, default=0, help="of the base, 0 for all")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--bits", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--hidden", type=int, default=0)
    parser.add_argument("--prefix-dim", type=int, default=128)
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    options.models.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    times: list[list[str]] = []
    for data in load_sets(options, options.rows, options.queries):
        models = Models(data, options.models, options.minutes, options.hidden)
        mine: list[Figure] = []
        for bits in options.bits:
            mine += [f for f in (*baselines(data, bits), *learned(models, bits)) if f is not None]
            print(f"{data.name}, {bits} bits: done", flush=True)
        mine += prefixes(models, options.prefix_dim)
        figures += mine
        if options.time:
            pin_to_one_core()
            times += [row for bits in options.bits for row in timed(models, mine, bits, options.rounds)]
    rows = [
        [f.set, str(f.bits), f.method, f"{f.bytes_per_vector:g}", f"{f.recall:.3f}", f"{f.among_100:.3f}"]
        for f in figures
    ]
    print("\n" + table(["set", "bits", "code", "bytes a vector", "recall@10", "among its 100"], rows))
    if times:
        head = ["set", "SDC", "Hamming", "rival", "queries/s, SDC", "rival", "SDC ÷ rival", "SDC ÷ a read of its bytes"]
        print("\n" + table(head, times))
    if options.json:
        options.json.write_text(json.dumps({"codes": [vars(f) for f in figures], "times": times}, indent=1))


if __name__ == "__main__":
    main()
