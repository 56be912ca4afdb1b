"""The memory-budget protocol over records of known sizes."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console
from synthetic_records import example_dataset, make_record

from annbench.errors import NothingComparableError
from annbench.report.budget import BUDGETS, BudgetTable, budget_tables, method_names
from annbench.report.budget_plot import budget_figure, spread
from annbench.report.budget_text import budget_view
from annbench.report.budget_write import write_budget
from annbench.results.schema import Record

N, DIM = 10_000, 384
DATA = example_dataset(n=N, dim=DIM)
HALF, QUARTER, EIGHTH, LAST = BUDGETS[0], BUDGETS[1], BUDGETS[2], BUDGETS[-1]


def point(codes: str, size: float, recall: float, *, cold: float | None = None, **more: Any) -> Record:
    """One of method `pq` unless said otherwise: `size` bytes a vector, or `size + cold` with the best 100 reranked."""
    given: dict[str, Any] = {"algorithm": "faiss-factory", "label": "pq", **more}
    depth = given.pop("depth", 10)
    return make_record(
        dataset=DATA,
        build={"factory": codes if cold is None else f"{codes},RFlat"},
        search={"parameters": "" if cold is None else f"k_factor_rf={depth}"},
        recall=recall,
        float32_ratio=(size + (cold or 0)) / (4 * DIM),
        mode="batch",
        **given,
    )


def only_table(*records: Record) -> BudgetTable:
    (table,) = budget_tables(records)
    return table


def picked(table: BudgetTable, budget: Fraction, method: str = "pq", sharing: Any = "measured") -> float | None:
    pick = table.picks[sharing, budget][method]
    return None if pick is None else pick.point.recall


def test_the_best_legal_configuration_is_picked_in_every_budget() -> None:
    table = only_table(point("A", 700, 0.97), point("B", 380, 0.98), point("C", 190, 0.9), point("D", 100, 0.5))
    assert [picked(table, budget) for budget in BUDGETS] == [0.98, 0.98, 0.9, None, None, None]
    assert table.limit_bytes(EIGHTH) == 192


def test_one_per_cent_over_is_legal_and_more_is_not() -> None:
    table = only_table(point("A", 193.9, 0.9), point("B", 194.1, 0.95))
    assert picked(table, EIGHTH) == 0.9
    assert picked(table, QUARTER) == 0.95


def test_of_equal_recall_the_smaller_is_picked() -> None:
    table = only_table(point("A", 700, 0.9, qps=900.0), point("B", 300, 0.9, qps=10.0))
    pick = table.picks["measured", HALF]["pq"]
    assert pick is not None
    assert pick.bytes_measured == pytest.approx(300)


def test_tables_are_shared_by_the_measured_vectors_and_by_a_million() -> None:
    tables = 1_500_000  # 150 bytes a vector here, 1.5 over a million
    table = only_table(point("A", 190 + 150, 0.9, table_bytes=tables), point("B", 100, 0.4, table_bytes=0))
    assert (picked(table, EIGHTH), picked(table, EIGHTH, sharing="million")) == (0.4, 0.9)
    pick = table.picks["million", EIGHTH]["pq"]
    assert pick is not None
    assert pick.bytes_million == pytest.approx(191.5)
    assert table.sharings == ("measured", "million")


def test_an_adapter_that_does_not_tell_its_tables_is_judged_as_measured_only() -> None:
    table = only_table(point("A", 190, 0.9), point("B", 190, 0.8, label="told", table_bytes=10))
    assert (picked(table, EIGHTH, sharing="million"), picked(table, EIGHTH, "told", sharing="million")) == (None, 0.8)
    assert only_table(point("A", 190, 0.9)).sharings == ("measured",)


def test_rerank_never_decides_and_its_copy_is_cold() -> None:
    table = only_table(
        point("A", 100, 0.6), point("A", 100, 0.99, cold=1536), point("B", 90, 0.5), point("B", 90, 1.0, cold=1536)
    )
    pick = table.picks["measured", EIGHTH]["pq"]
    assert pick is not None
    assert pick.point.recall == 0.6
    assert pick.reranked is not None
    assert (pick.reranked.point.recall, pick.reranked.copy) == (0.99, "float32")
    assert pick.reranked.cold_bytes == pytest.approx(1536)


def test_only_a_rerank_of_100_stands_beside_it() -> None:
    table = only_table(point("A", 100, 0.6), point("A", 100, 0.99, cold=1536, depth=20))
    pick = table.picks["measured", EIGHTH]["pq"]
    assert pick is not None
    assert pick.reranked is None


def test_a_reranked_configuration_is_no_candidate_though_it_would_fit() -> None:
    table = only_table(point("A", 100, 0.6), point("A", 100, 0.99, cold=80))
    assert picked(table, HALF) == 0.6


def test_what_is_invalid_or_failed_is_not_picked() -> None:
    bad = point("A", 100, 0.99, verdict="invalid", reasons=("duplicates",))
    gone = point("B", 100, 0.99, status="crashed", verdict="invalid")
    assert picked(only_table(bad, gone, point("C", 100, 0.5)), EIGHTH) == 0.5


def test_a_method_without_a_legal_configuration_stays_in_the_table() -> None:
    table = only_table(point("A", 700, 0.9), point("B", 30, 0.3, label="tiny"))
    assert table.methods == ("pq", "tiny")
    assert (table.picks["measured", QUARTER]["pq"], table.best("measured", QUARTER)) == (None, "tiny")
    assert table.best("measured", LAST) is None


def test_entries_of_one_label_are_one_method_unless_their_algorithms_differ() -> None:
    assert method_names(["faiss-factory (pq)", "hnswlib"]) == {"faiss-factory (pq)": "pq", "hnswlib": "hnswlib"}
    both = ["composed (pq)", "faiss-factory (pq)"]
    assert method_names(both) == {name: name for name in both}
    assert method_names(["composed (hnswlib)", "hnswlib"])["composed (hnswlib)"] == "composed (hnswlib)"


def test_bits_have_no_float32_to_compare_with() -> None:
    bits = DATA.model_copy(update={"metric": "hamming", "dtype": "bits"})
    with pytest.raises(NothingComparableError, match="annbench run memory_budget"):
        budget_tables([make_record(dataset=bits)])


def test_every_data_set_has_a_table() -> None:
    other = example_dataset("fashion-784", n=60_000, dim=784)
    records = [point("A", 100, 0.6), make_record(dataset=other, float32_ratio=0.2, recall=0.7)]
    assert [table.setting.dataset for table in budget_tables(records)] == ["fashion-784", DATA.name]


@pytest.fixture
def tables() -> list[BudgetTable]:
    return [
        only_table(
            point("A", 700, 0.97, table_bytes=1000),
            point("A", 700, 0.9991, cold=1536, table_bytes=1000),
            point("B|*", 190, 0.9),
            point("C", 20, 0.3, label="tiny", table_bytes=0),
        )
    ]


def test_the_terminal_says_recall_rerank_and_what_is_not_legal(tables: list[BudgetTable]) -> None:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(budget_view(tables))
    console.file.close()
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["pq", "0.9700", "0.9000", "0.9000", "–", "–", "–"] in lines
    assert ["0.9991"] in lines
    assert ["tiny", "0.3000", "0.3000", "0.3000", "0.3000", "0.3000", "0.3000"] in lines


def test_the_files_say_the_same(tables: list[BudgetTable], tmp_path: Path) -> None:
    picture, markdown, values = write_budget(tables, tmp_path)
    rows = [line for line in markdown.read_text().splitlines() if line.startswith("| 1/")]
    assert len(rows) == 2 * 2 * len(BUDGETS)  # methods, sharings
    assert rows[0].startswith("| 1/2 (768 B) | **pq** | factory=A | 700.0 | 0.9700 [")
    assert "| 0.9991 | 1,540 (float32) | 10.0 (2 thr) |" in rows[0]
    assert "| 1/64 (24 B) | pq | no legal configuration |" in markdown.read_text()
    assert "B\\|\\*" in rows[2]
    (table,) = json.loads(values.read_text())
    first = table["budgets"][0]
    assert (first["budget"], first["bytes_per_vector"], first["tables_shared_by"]) == ("1/2", 768, N)
    assert first["methods"]["pq"]["reranked"]["cold_bytes"] == pytest.approx(1536)
    assert table["budgets"][5]["methods"]["pq"] is None
    with Image.open(picture) as image:
        assert image.width > 1000


def test_the_picture_names_every_line_inside_itself(tables: list[BudgetTable]) -> None:
    figure = budget_figure(tables)
    figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    assert len(figure.axes) == 3  # both sharings, and reranked
    for axes in figure.axes[:2]:
        assert {text.get_text() for text in axes.texts} == {"pq", "tiny"}
    for text in (text for axes in figure.axes for text in axes.texts):
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= width
        assert box.y0 >= 0
        assert box.y1 <= height


def test_names_are_spread_as_little_as_it_takes() -> None:
    assert spread([0.1, 0.5], 0.1, (0, 1)) == [0.1, 0.5]
    assert spread([0.5, 0.5, 0.5], 0.1, (0, 1)) == pytest.approx([0.4, 0.5, 0.6])
    assert spread([0.0, 0.0], 0.1, (0, 1)) == pytest.approx([0.0, 0.1])
    crowded = spread([0.2, 0.21, 0.5, 0.52, 0.53, 0.99, 1.0], 0.05, (0, 1))
    assert all(b - a >= 0.05 - 1e-9 for a, b in pairwise(crowded))
    assert min(crowded) >= 0
    assert max(crowded) <= 1
