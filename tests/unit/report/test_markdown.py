import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_records import make_record

from annbench.report.content import report_content
from annbench.report.markdown import code_block, escape, markdown_report

SMALL = [
    make_record(build={"M": 16}, search={"ef": 40}, recall=0.9312, qps=5432.1, float32_ratio=1.2),
    make_record(build={"M": 16}, search={"ef": 90}, recall=0.9623, qps=2345.6, float32_ratio=1.2),
    make_record(algorithm="faiss-ivf-pq", search={"nprobe": 8}, recall=0.9041, qps=999, float32_ratio=0.1),
    make_record(algorithm="slow", status="timeout", verdict="invalid", detail="search took longer than 60 s"),
    make_record(algorithm="null", qps=2e6, recall=0.0, verdict="invalid", reasons=("recall is 0",)),
]


@pytest.fixture(scope="module")
def text():
    return markdown_report(report_content(SMALL, title="small run"), {})


def section(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_answer_comes_first(text):
    headings = re.findall(r"^## (.*)$", text, flags=re.M)
    assert headings == [
        "Answer",
        "Configurations that reproduce the answers",
        "Pareto fronts",
        "At equal recall",
        "Verdicts",
        "The harness's own cost",
        "Environment",
    ]


def test_the_answer_table(text):
    rows = [line for line in section(text, "Answer").split("\n") if line.startswith("|")]
    assert len(rows) == 2 + 12
    assert rows[2] == (
        "| 0.90 | fastest | **hnswlib** M=16 · ef=40 | 0.9312 [0.9262, 0.9362] | 5,430 | 368 | 1,840 (1.2×) "
        "| 10.0 (2 thr) | ok | [1](#config-1) |"
    )
    assert rows[3].startswith("| 0.90 | smallest | **faiss-ivf-pq** nprobe=8 | 0.9041 ")
    assert rows[8].startswith(
        "| 0.95 | fastest within ¼ of float32 "
        "| none measured; closest: faiss-ivf-pq nprobe=8 (recall 0.9041, 0.10× float32) |"
    )
    assert rows[10].startswith("| 0.99 | fastest | none measured; closest: hnswlib M=16 · ef=90 (recall 0.9623")


def test_every_answer_has_its_config_once(text):
    listed = section(text, "Configurations that reproduce the answers")
    assert re.findall(r'<a id="config-(\d+)">', listed) == ["1", "2", "3"]
    assert set(re.findall(r"\(#config-(\d+)\)", text)) == {"1", "2", "3"}
    assert SMALL[0].config_yaml.strip() in listed


def test_equal_recall_verdicts_overhead_and_environment(text):
    assert "| 0.95 | **hnswlib** | 3,4" in section(text, "At equal recall")
    assert "| 0.95 | faiss-ivf-pq | not reached |" in section(text, "At equal recall")
    assert "| slow | timeout | 1 | in search: search took longer than 60 s |" in section(text, "Verdicts")
    assert "| 0.500 |" in section(text, "The harness's own cost")
    assert "| cpu.model | Example CPU @ 2.00 GHz |" in section(text, "Environment")


def test_tables_have_as_many_cells_as_columns(text):
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().split("\n")}
        assert len(widths) == 1


def test_without_null_adapter_and_faults_the_report_says_so():
    text = markdown_report(report_content([make_record()], title="x"), {})
    assert "every point is ok" in section(text, "Verdicts")
    assert "was not run" in section(text, "The harness's own cost")


@given(st.text(max_size=40))
def test_names_cannot_leave_their_cell(name):
    cell = escape(name)
    assert "\n" not in cell
    assert re.search(r"(?<!\\)(\\\\)*[|<`]", cell) is None


def test_yaml_with_a_fence_stays_in_its_block():
    block = code_block("a: |\n  ```\n  # escaped?\n  ````\n", "yaml")
    assert block.startswith("`````yaml\n")
    assert block.endswith("\n`````")
