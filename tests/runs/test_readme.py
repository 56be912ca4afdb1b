"""The README's example works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from annbench.algorithms.registry import ALGORITHMS

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_your_own_algorithm_in_30_lines(bench) -> None:
    code = re.search(r"```python\n(.*?)```", README, re.S)
    assert code is not None
    assert len(code.group(1).splitlines()) <= 30
    (bench.folder / "lists.py").write_text(code.group(1))
    entry = "  - algorithm: lists.py:Lists\n    build: {lists: [8, 20]}\n    search: {probes: [1, 4, 8]}\n"
    outcome = bench.run(bench.config(entry, measure="modes: [single, batch]"))
    assert outcome.statuses == {"ok": 12}
    records = bench.records()
    assert records["Lists lists=8 · probes=8"].recall.recall_at_k == 1.0
    assert records["Lists lists=8 · probes=1"].recall.recall_at_k < 0.9


def test_every_algorithm_is_in_the_table() -> None:
    named = set(re.findall(r"^\| `([a-z-]+)` \|", README, re.M))
    assert named == set(ALGORITHMS)
