"""Writes a model upgrade: Markdown, JSON and two pictures."""

from __future__ import annotations

from pathlib import Path

from annbench.report.upgrade import upgrade_markdown
from annbench.report.upgrade_plot import write_upgrade_plots
from annbench.report.write import report_folder, write_text
from annbench.upgrade.model import UpgradeReport

STEM = "upgrade"


def write_upgrade(report: UpgradeReport, folder: Path) -> list[Path]:
    """Write `report` into `folder` (made if missing; files of an earlier run are replaced), what to open first in
    front.
    """
    report_folder(folder).mkdir(parents=True, exist_ok=True)
    pictures = write_upgrade_plots(report, folder)
    text = upgrade_markdown(report, [(title, path.name) for title, path in pictures])
    return [
        write_text(folder / f"{STEM}.md", text),
        write_text(folder / f"{STEM}.json", report.model_dump_json(indent=1) + "\n"),
        *(path for _, path in pictures),
    ]
