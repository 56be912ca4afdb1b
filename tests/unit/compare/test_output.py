"""What is printed: golden texts, and JSON against its published schema.

Write the texts again after a change that is meant: ANNBENCH_RENEW_GOLDEN=1 pytest tests/unit/compare/test_output.py
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import compare_schema
import jsonschema
import pytest
from compare_sides import CURVE, frontier, pair, taken
from rich.console import Console

from annbench.compare.compare import compare
from annbench.compare.gates import Gates
from annbench.compare.markdown import escape, markdown
from annbench.compare.result import Comparison
from annbench.compare.terminal import comparison_view
from annbench.compare.wording import signed, significant

GOLDEN = Path(__file__).with_name("golden")


def mixed() -> Comparison:
    """One of everything: slower, lost recall, larger, crashed, taken apart, too far apart, more distances."""
    worse = {ef: (recall - (0.004 if ef == 40 else 0), seconds) for ef, (recall, seconds) in CURVE.items()}
    base = [
        *frontier("old", version="1.0"),
        taken("old", algorithm="ivf", ef=1, counters={"distances": 1000}),
        taken("old", algorithm="ivf", ef=2),
    ]
    new = [
        *frontier("new", curve=worse, factor=1.08, seed=1, version="1.1", index_bytes=520_000),
        taken("new", algorithm="ivf", ef=1, counters={"distances": 1003}, block="elsewhere"),
        taken("new", algorithm="ivf", ef=2, status="crashed"),
        taken("new", algorithm="ivf", ef=3),
    ]
    return compare(*pair(base, new))


COMPARISONS = {
    "mixed": mixed,
    "fine": lambda: compare(*pair(frontier("old"), frontier("new", seed=1))),
    "noisy": lambda: compare(*pair(frontier("old", noise=0.1), frontier("new", noise=0.1, seed=1))),
    "apart": lambda: compare(*pair(frontier("old"), frontier("new", block="other")), gates=Gates(qps=0.05)),
    "nothing": lambda: compare(*pair([taken("a"), taken("b")], [taken("c"), taken("d")])),
}


def terminal_text(comparison: Comparison, *, everything: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=100, color_system=None, highlight=False).print(
        comparison_view(comparison, everything=everything)
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("form", ["md", "txt"])
def test_golden(name: str, form: str) -> None:
    comparison = COMPARISONS[name]()
    text = markdown(comparison) if form == "md" else terminal_text(comparison)
    path = GOLDEN / f"{name}.{form}"
    if os.environ.get("ANNBENCH_RENEW_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_everything_is_listed_on_request() -> None:
    comparison = COMPARISONS["fine"]()
    assert "--all lists them" in terminal_text(comparison)
    text = terminal_text(comparison, everything=True)
    assert "--all" not in text
    assert text.count("M=16 · ef=") == sum(cell.scope == "point" for cell in comparison.cells)


def test_the_published_schema_is_that_of_the_model() -> None:
    assert compare_schema.TARGET.read_text(encoding="utf-8") == compare_schema.schema_text(), (
        "run: python benchmarks/compare_schema.py"
    )
    jsonschema.Draft202012Validator.check_schema(json.loads(compare_schema.schema_text()))


@pytest.mark.parametrize("name", COMPARISONS)
def test_json_validates_against_the_published_schema(name: str) -> None:
    comparison = COMPARISONS[name]()
    document = json.loads(comparison.model_dump_json())
    schema = json.loads(compare_schema.TARGET.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(document)
    assert Comparison.model_validate(document) == comparison
    spoiled = {**document, "outcome": "perfect"}
    assert [error.json_path for error in validator.iter_errors(spoiled)] == ["$.outcome"]
    assert "NaN" not in json.dumps(document)


def test_names_cannot_break_the_table() -> None:
    nasty = "x|y`<b>\n[z](u)"
    found = compare(*pair([taken(algorithm=nasty)], [taken(algorithm=nasty, recall=0.5, block="b")]))
    text = markdown(found)
    assert escape(nasty) in text
    assert nasty not in text
    marked = "[/b] [red]x[/red]"
    shown = terminal_text(compare(*pair([taken(algorithm=marked)], [taken(algorithm=marked, block="b")])))
    assert marked in shown


@pytest.mark.parametrize(
    ("value", "text"), [(12345.0, "12,300"), (0.03123, "0.0312"), (4.566, "4.57"), (0, "0"), (999.6, "1,000")]
)
def test_significant(value, text):
    assert significant(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.0031, "+0.0031"), (-0.0031, "−0.0031"), (-0.00001, "0.0000")])
def test_signed(value, text):
    assert signed(value, 4) == text
