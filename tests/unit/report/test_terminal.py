import io

import pytest
from rich.console import Console
from synthetic_records import make_record

from annbench.report.terminal import answer_table, points_table


def printed(table, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100])
def test_figures_fit(run_records, width):
    text = printed(answer_table(run_records), width)
    assert max(map(len, text.splitlines())) <= width
    head = text.splitlines()[1].split()
    assert head == [
        "recall",
        "want",
        "configuration",
        "recall",
        "QPS",
        "p99",
        "µs",
        "B/vec",
        "×f32",
        "build",
        "s",
    ]
    answers = [line for line in text.splitlines() if line.startswith("≥")]
    assert len(answers) == 3 * 4
    assert all(line.rstrip().endswith(("ok", "susp.")) for line in answers)


def test_a_repeated_answer_is_said_once():
    text = printed(answer_table([make_record(recall=0.93, float32_ratio=0.2, search={"ef": 40})]), 100)
    assert text.count("ef=40") == 1
    assert text.count("(the fastest)") == 3
    assert text.count("none measured") == 8


def test_names_are_not_markup():
    text = printed(answer_table([make_record(algorithm="[bold]x[/nope]")]), 100)
    assert "[bold]x[/nope]" in text


def test_points_are_listed_fastest_first_up_to_the_limit():
    records = [make_record(qps=q, search={"ef": q}) for q in (10, 30, 20)]
    text = printed(points_table(records, limit=2), 100)
    assert text.index("ef=30") < text.index("ef=20")
    assert "ef=10" not in text
