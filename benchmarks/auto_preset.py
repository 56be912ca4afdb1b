"""What preset auto chooses for real sets, and its rate at recall 0.95 beside the presets that it competes with.

`python benchmarks/auto_preset.py --data FOLDER --cache FOLDER [--sets …] [--rows 0] [--queries 1000] [--rounds 7]
[--build-only]`. Indexes are built with 2 threads and kept in the cache; with all of them there, the rest takes less
than a minute a set. Timed in one process pinned to one core, searches in a batch, in turns.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from core_sets import FILES, CoreSet, add_options, load_sets
from graph_builds import digest
from index_rates import Asked, Rate, beside, rates
from interleaved import Spread, pin_to_one_core, table

from annbench import Index

TARGET = 0.95
RIVALS: dict[str, Any] = {"leanvec": "leanvec", "graph-lvq": "graph-lvq", "default lists": None}


def main() -> None:
    """Build what is missing, measure, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, list(FILES))
    parser.add_argument("--cache", type=Path, default=Path("build/bench-auto"))
    parser.add_argument("--rows", type=int, default=0, help="of the base; 0 for all")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--build-only", action="store_true")
    options = parser.parse_args()
    sets = load_sets(options, options.rows, options.queries)
    built = {data.name: indexes(data, options.cache) for data in sets}
    if options.build_only:
        return
    pin_to_one_core()
    measured = {data.name: measure(data, built[data.name], options.rounds) for data in sets}
    print(markdown(sets, built, measured))
    if options.json:
        options.json.write_text(json.dumps({name: {index: vars(rate) for index, rate in each.items()}
                                            for name, each in measured.items()}, indent=1))  # fmt: skip


def indexes(data: CoreSet, cache: Path) -> dict[str, Index]:
    """Auto's and its rivals', built or read."""
    folder = cache / digest(data.base, data.metric, *([] if data.learn is None else [data.learn]))
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, preset in {"auto": "auto", **RIVALS}.items():
        path = folder / f"{name.replace(' ', '-')}.index"
        if not path.exists():
            print(f"{data.name}: building {name}", file=sys.stderr)
            learn = data.learn if name == "auto" else None
            Index.build(data.base, data.metric, preset=preset, queries=learn, threads=2).save(path)
        found[name] = Index.load(path)
    return found


def measure(data: CoreSet, built: dict[str, Index], rounds: int) -> dict[str, Rate]:
    """Rates at TARGET by index."""
    asked = Asked(data.queries, data.truth)
    return rates(
        {name: beside(index, asked, TARGET) for name, index in built.items()}, len(data.queries), TARGET, rounds
    )


def markdown(sets: list[CoreSet], built: dict[str, dict[str, Index]], measured: dict[str, dict[str, Rate]]) -> str:
    """Two tables and the reasons."""
    rows, chosen = [], []
    for data in sets:
        each, auto = measured[data.name], built[data.name]["auto"]
        best = max(RIVALS, key=lambda name: Spread.of(list(each[name].rounds) or [0.0]).median)
        ratios = [a / b for a, b in zip(each["auto"].rounds, each[best].rounds, strict=True)]
        rows.append([data.name, f"{len(data.base):,} × {data.dim}", *(each[name].text for name in ("auto", *RIVALS)),
                     f"{best}: {Spread.of(ratios)}" if ratios else "—"])  # fmt: skip
        recall = Asked(data.queries, data.truth).recall(auto.search(data.queries)[0])
        sizes = [f"{index.nbytes / len(index):,.0f}" for index in built[data.name].values()]
        slots = " → ".join(str(getattr(auto.spec, slot)) for slot in ("transform", "codec", "structure", "rerank"))
        chosen.append([data.name, slots, f"{recall:.3f}", *sizes])
    reasons = "\n\n".join(f"{data.name}:\n\n" + "\n".join(f"- {why}" for why in built[data.name]["auto"].why)
                          for data in sets)  # fmt: skip
    header = ["set", "vectors", "auto", *RIVALS, "auto ÷ best"]
    sizes_of = ["set", "auto has chosen", "recall by default", *(f"bytes: {name}" for name in ("auto", *RIVALS))]
    return "\n\n".join([table(header, rows), table(sizes_of, chosen), reasons])


if __name__ == "__main__":
    main()
