"""Claims stand beside what was measured for them, in every form of the report."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from rich.console import Console
from synthetic_records import example_dataset, make_record

from annbench.config.model import Claim, Figure
from annbench.report.claims import ClaimMeasured, claims_measured
from annbench.report.content import Content, report_content
from annbench.report.html import html_report
from annbench.report.markdown import markdown_report
from annbench.report.terminal import answer_table
from annbench.results.schema import Record

CLAIM = Claim(
    paper="A <paper> of note",
    says="codes are small | and good",
    source="recalled",
    ours_differs="a scan, not a graph",
    reading="mind the set",
    figures=(
        Figure(what="recall, small", claimed="about 0.9", measure="recall", of="small"),
        Figure(what="recall lost", claimed="none", measure="recall", of="small", against="whole"),
        Figure(what="bytes", claimed="28.6 × smaller", measure="bytes", of="small", against="whole"),
        Figure(what="speed", claimed="60 × faster", measure="qps", of="small", against="whole"),
        Figure(what="encoding", claimed="2 × faster", measure="build_seconds", of="small", against="whole"),
        Figure(what="of nobody", claimed="0.99", measure="recall", of="absent"),
        Figure(what="cost in a cloud", claimed="9 × lower", measure="nothing"),
    ),
)


def records(claim: Claim | None = CLAIM) -> list[Record]:
    ours = {"algorithm": "composed"}
    return [
        make_record(**ours, label="small", recall=0.9, qps=3000, float32_ratio=0.05, build_seconds=1, claim=claim),
        make_record(**ours, label="small", search={"nprobe": 1}, recall=0.2, qps=9000, float32_ratio=0.05),
        make_record(**ours, label="whole", recall=1.0, qps=100, float32_ratio=1.0, build_seconds=4),
    ]


def found(rows: Sequence[Record]) -> list[ClaimMeasured]:
    return report_content(rows, title="x").claims


def test_figures_are_of_the_point_with_the_highest_recall() -> None:
    (one,) = found(records())
    assert [figure.text for figure in one.figures] == [
        "0.9000",
        "0.9000 against 1.0000: -0.1000",
        "20.0 × smaller (76.8 against 1,540 bytes/vector)",
        "30.0 × faster (3,000 against 100 QPS)",
        "4.00 × faster (1.00 against 4.00 s to build)",
        "not measured",
        "cannot be measured again here",
    ]


def test_what_is_worse_says_so() -> None:
    rows = records()
    slow = make_record(algorithm="composed", label="whole", recall=1.0, qps=6000, float32_ratio=0.025)
    figures = found([rows[0], slow])[0].figures
    assert figures[2].text.startswith("2.00 × larger (76.8 against 38.4")
    assert figures[3].text.startswith("2.00 × slower (3,000 against 6,000")


def test_bytes_are_also_told_where_tables_hardly_weigh() -> None:
    rows = [
        make_record(algorithm="composed", label="small", float32_ratio=0.05, table_bytes=116_000 * 38, claim=CLAIM),
        make_record(algorithm="composed", label="whole", float32_ratio=1.0, table_bytes=0),
    ]
    text = found(rows)[0].figures[2].text
    # Half of the 76.8 bytes are tables over 116,000 vectors; over a million they are 4.4.
    assert text.startswith("20.0 × smaller (76.8 against 1,540 bytes/vector); 35.5 × with tables shared by a million")


def test_a_point_that_another_config_measured_first_counts_too() -> None:
    rows = records()
    (one,) = found([rows[0].model_copy(update={"claim": None}), rows[1], rows[2].model_copy(update={"claim": CLAIM})])
    assert one.figures[0].text == "0.9000"


def test_every_data_set_answers_for_itself_and_a_foreign_one_not_at_all() -> None:
    other, foreign = example_dataset("fashion-784", dim=784), example_dataset("glove-100", dim=100)
    rows = [*records(), make_record(algorithm="composed", label="small", recall=0.5, dataset=other)]
    both = found([*rows, make_record(algorithm="composed", label="stranger", dataset=foreign)])
    assert [(one.dim, one.figures[0].text) for one in both] == [(784, "0.5000"), (384, "0.9000")]
    assert both[0].figures[1].text == "not measured"


def test_results_without_a_claim_have_no_section() -> None:
    content = report_content(records(None), title="x")
    assert content.claims == []
    assert "Claimed" not in markdown_report(content, {})
    assert 'id="claims"' not in html_report(content)


@pytest.fixture(scope="module")
def content() -> Content:
    return report_content(records(), title="x")


def test_markdown(content: Content) -> None:
    text = markdown_report(content, {})
    assert "### A \\<paper\\> of note on wordnet-minilm-384-angular" in text
    assert "Claimed (as recalled; not verified against the paper): codes are small \\| and good" in text
    assert "| recall, small | about 0.9 | 0.9000 | composed (small) default |" in text
    assert "Ours differs: a scan, not a graph" in text


def test_html_escapes_it(content: Content) -> None:
    page = html_report(content)
    assert "A &lt;paper&gt; of note" in page
    assert "<paper>" not in page
    assert "<td>28.6 × smaller</td><td>20.0 × smaller (76.8 against 1,540 bytes/vector)</td>" in page


def test_json_says_the_same(content: Content) -> None:
    claim = content.claims[0].as_json()
    assert (claim["source"], claim["figures"][0]["measured"]) == ("recalled", "0.9000")
    assert claim["figures"][5]["measured"] is None
    assert claim["figures"][0]["of_point"]["algorithm"] == "composed (small)"


def test_the_end_of_a_run_shows_it() -> None:
    console = Console(width=100, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(answer_table(records()))
    console.file.close()
    text = console.export_text()
    assert "Claimed and measured: A <paper> of note" in text
    assert "20.0 × smaller" in text
    assert "not verified" in text


def test_a_claim_survives_the_record_and_its_absence_leaves_no_trace() -> None:
    with_claim, without = records()[0], records(None)[0]
    assert Record.model_validate_json(with_claim.model_dump_json()).claim == CLAIM
    assert "claim" not in without.model_dump(mode="json")
    assert claims_measured([without], []) == []
