"""BEBR's learned binary codes beside other codes of as many bits: recall of the codes alone and after re-ranking 100.

`python benchmarks/binary_codes.py --data FOLDER --models FOLDER [--sets …] [--bits 128 256 512] [--minutes 3]
[--json out.json]`. Binarizers are trained where `--models` has none yet, each for `--minutes` on one thread; recall
depends on neither the machine nor how busy it is, but for how far training comes in that time. Bytes are those of a
vector's code and factors. How fast such codes are scanned: scan_levels.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import faiss
import numpy as np
from core_sets import CoreSet, K, add_options, load_sets
from interleaved import table

from annbench import Index
from annbench.indexes.spec import ID_BYTES
from annbench.indexes.transforms.binarizer import BinarizerMetric
from annbench.indexes.transforms.model_file import read_binarizer, write_binarizer
from annbench.train.held_out import HeldOut
from annbench.train.pairs import Pairs
from annbench.train.plan import Objective, TrainingPlan
from annbench.train.seen import Seen
from annbench.train.start import best_start

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
    objective: Objective = "ranking"

    def begun(self, bits: int, steps: int) -> Path:
        """The file of where training begins."""
        path = self.folder / f"{self.data.name}-{len(self.data.base)}-{bits}-{steps}-start.safetensors"
        if not path.exists():
            plan, seen = TrainingPlan(bits=bits, steps=steps), Seen.of(self.data.base, self.metric)
            recall = self._prepared(plan)[1].recall
            start = best_start(seen(self.data.base), bits, [steps], recall, seed=plan.seed)
            write_binarizer(path, seen.by(start), {})
        return path

    def trained(self, bits: int, steps: int) -> Path:
        """The file of the trained one."""
        by = "" if self.objective == "ranking" else f"-{self.objective}"
        name = f"{self.data.name}-{len(self.data.base)}-{bits}-{steps}-{self.hidden}-{self.minutes:g}min{by}"
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            self._train(bits, steps, path)
        return path

    @property
    def metric(self) -> BinarizerMetric:
        """What binarizers are told of the set's."""
        return "euclidean" if self.data.metric == "euclidean" else "cosine"

    def _prepared(self, plan: TrainingPlan) -> tuple[Pairs, HeldOut]:
        """The same for every plan of one objective."""
        # Here, because only training needs torch.
        from annbench.train.bebr_file import prepared

        key = self.data.name, plan.objective
        if key not in _PREPARED:
            _PREPARED.clear()
            seen = Seen.of(self.data.base, self.metric)
            queries = None if self.data.learn is None else seen(self.data.learn)
            _PREPARED[key] = prepared(seen(self.data.base), queries, self.metric, plan)
        return _PREPARED[key]

    def _train(self, bits: int, steps: int, path: Path) -> None:
        from annbench.train.trainer import Trainer

        # The minutes alone say when it ends.
        until = {"minutes": self.minutes, "epochs": 100_000, "patience": 100_000}
        plan = TrainingPlan.model_validate(
            {"bits": bits, "steps": steps, "hidden": self.hidden, "objective": self.objective, **until}
        )
        start = read_binarizer(self.begun(bits, steps)).binarizer
        trainer = Trainer(plan, *self._prepared(plan), start)
        made = trainer.run(None, lambda _: None)
        told = [f"{recall:.3f}" for _, _, recall in trainer.state.recalls]
        print(f"{path.name}: held-out recall {' '.join(told)}, {trainer.state.batches} batches", flush=True)
        write_binarizer(path, Seen.of(self.data.base, self.metric).by(made), {"recalls": trainer.state.recalls})


_PREPARED: dict[tuple[str, Objective], tuple[Pairs, HeldOut]] = {}


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


def learned(models: Models, bits: int, steps_of: list[int]) -> Iterator[Figure]:
    """BEBR of these numbers of steps that the bits can be shared by, before and after training; u = 0 is hash-MLP."""
    for steps in steps_of:
        if bits % (steps + 1):
            continue
        start, trained = models.begun(bits, steps), models.trained(bits, steps)
        name = f"BEBR, u = {steps}" if steps else "hash-MLP (u = 0)"
        for path, told in ((start, f"{name}, before training"), (trained, name)):
            yield ours(models.data, bits, told, {"kind": "bebr", "model": str(path)}, "levels")
        if models.metric == "cosine":
            transform = {"kind": "bebr", "model": str(trained), "asymmetric": True}
            yield ours(models.data, bits, f"{name}, asymmetric", transform, "levels")


def prefixes(models: Models, dim: int) -> list[Figure]:
    """One model of 4 bits in each of `dim` dimensions, and its codes of fewer steps."""
    trained = models.trained(4 * dim, 3)
    return [
        ours(models.data, dim * (steps + 1), f"first {steps + 1} bits of {dim} × 4",
             {"kind": "bebr", "model": str(trained), "steps": steps}, "levels")
        for steps in STEPS
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, ["fashion", "glove", "minilm", "minilm-ood"])
    parser.add_argument("--models", type=Path, required=True, help="folder where binarizers are kept")
    parser.add_argument("--rows", type=int, default=0, help="of the base, 0 for all")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--bits", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--steps", type=int, nargs="+", default=list(STEPS))
    parser.add_argument("--hidden", type=int, default=TrainingPlan.model_fields["hidden"].default)
    parser.add_argument("--objective", choices=get_args(Objective), default="ranking")
    parser.add_argument("--prefix-dim", type=int, default=128, help="0 for no prefixes")
    parser.add_argument("--learned-only", action="store_true", help="without the baselines")
    options = parser.parse_args()
    options.models.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    for data in load_sets(options, options.rows, options.queries):
        models = Models(data, options.models, options.minutes, options.hidden, options.objective)
        mine: list[Figure] = []
        for bits in options.bits:
            others = () if options.learned_only else baselines(data, bits)
            mine += [f for f in (*others, *learned(models, bits, options.steps)) if f is not None]
            print(f"{data.name}, {bits} bits: done", flush=True)
        if options.prefix_dim:
            mine += prefixes(models, options.prefix_dim)
        figures += mine
    rows = [
        [f.set, str(f.bits), f.method, f"{f.bytes_per_vector:g}", f"{f.recall:.3f}", f"{f.among_100:.3f}"]
        for f in figures
    ]
    print("\n" + table(["set", "bits", "code", "bytes a vector", "recall@10", "among its 100"], rows))
    if options.json:
        options.json.write_text(json.dumps([vars(f) for f in figures], indent=1))


if __name__ == "__main__":
    main()
