"""Writes the memory-budget protocol: Markdown, JSON and one picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from annbench.report.budget import BudgetTable
from annbench.report.budget_plot import write_budget_plot
from annbench.report.budget_text import budget_markdown
from annbench.report.write import report_folder, write_text

STEM = "budget"


def write_budget(tables: Sequence[BudgetTable], folder: Path) -> list[Path]:
    """Write `tables` into `folder` (made if missing; files of an earlier run are replaced); the picture comes first."""
    report_folder(folder).mkdir(parents=True, exist_ok=True)
    picture = write_budget_plot(tables, folder / f"{STEM}.png")
    values = json.dumps([table.as_json() for table in tables], indent=1, ensure_ascii=False, allow_nan=False)
    return [
        picture,
        write_text(folder / f"{STEM}.md", budget_markdown(tables, picture.name)),
        write_text(folder / f"{STEM}.json", values + "\n"),
    ]
