"""Writes a report: Markdown, tables, pictures and one offline page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from annbench.errors import UsageError
from annbench.report.content import Content, report_content
from annbench.report.pareto import front_table
from annbench.report.streaming import steps_frame
from annbench.results.schema import Record

FORMATS = ("md", "csv", "png", "svg", "html")


@dataclass(frozen=True)
class ReportPaths:
    """The files of a report; None or empty for a format that was not asked for."""

    folder: Path
    markdown: Path | None = None
    html: Path | None = None
    results_csv: Path | None = None
    front_csv: Path | None = None
    steps_csv: Path | None = None
    plots: tuple[Path, ...] = field(default=())

    def all(self) -> list[Path]:
        """Every file, the one to open first in front."""
        single = (self.html, self.markdown, self.results_csv, self.front_csv, self.steps_csv)
        return [path for path in single if path is not None] + list(self.plots)


def write_report(
    records: Iterable[Record], out_dir: Path, *, title: str, formats: Sequence[str] = FORMATS
) -> ReportPaths:
    """Write the report on `records` into `out_dir` (made if missing; files of an earlier report are
    replaced).

    Raises NothingComparableError if there is nothing to compare, UsageError for an unknown format.
    """
    return write_content(report_content(records, title=title), out_dir, formats=formats)


def write_content(content: Content, out_dir: Path, *, formats: Sequence[str] = FORMATS) -> ReportPaths:
    """Write a report that is already computed; see `write_report`."""
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise UsageError(f"unknown format {unknown[0]!r}", where="--format", remedy=f"choose from {', '.join(FORMATS)}")
    report_folder(out_dir).mkdir(parents=True, exist_ok=True)
    results_csv, front_csv, steps_csv = _write_tables(content, out_dir) if "csv" in formats else (None, None, None)
    plots = _write_plots(content, out_dir, [name for name in formats if name in ("png", "svg")])
    return ReportPaths(
        folder=out_dir,
        markdown=_write_markdown(content, out_dir, plots) if "md" in formats else None,
        html=_write_html(content, out_dir) if "html" in formats else None,
        results_csv=results_csv,
        front_csv=front_csv,
        steps_csv=steps_csv,
        plots=tuple(plots),
    )


def report_folder(path: Path) -> Path:
    """`path`, where a report can be written. Raises UsageError where something that is no folder is in its place."""
    there = next(some for some in (path, *path.absolute().parents) if some.exists())
    if not there.is_dir():
        raise UsageError("is no folder", where=str(there), remedy="give another --out")
    return path


def _write_tables(content: Content, out_dir: Path) -> tuple[Path | None, Path | None, Path | None]:
    results = fronts = steps = None
    if content.settings:
        # The YAML would be most of the file and is the same thing as the parameter columns; fronts keep it.
        results = _write_csv(content.records.drop(columns="config_yaml"), out_dir / "results.csv")
        tables = [front_table(setting.points) for setting in content.settings if not setting.points.empty]
        fronts = _write_csv(pd.concat(tables, ignore_index=True), out_dir / "front.csv")
    if any(stream.measured for stream in content.streams):
        steps = _write_csv(steps_frame(content.streams), out_dir / "steps.csv")
    return results, fronts, steps


def _write_csv(table: pd.DataFrame, path: Path) -> Path:
    return write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.10g"))


def _write_plots(content: Content, out_dir: Path, formats: Sequence[str]) -> list[Path]:
    if not formats:
        return []
    from annbench.report.plots import write_plots

    folder = out_dir / "plots"
    folder.mkdir(exist_ok=True)
    paths = [path for setting in content.settings for path in write_plots(setting, content.styles, folder, formats)]
    if content.streams:
        from annbench.report.streaming_plot import write_stream_plots

        paths += [path for stream in content.streams for path in write_stream_plots(stream, folder, formats)]
    return paths


def _write_markdown(content: Content, out_dir: Path, plots: Sequence[Path]) -> Path:
    from annbench.report.markdown import markdown_report

    pictures: dict[str, Any] = {}
    for path in sorted(plots):  # .png comes before .svg, which shows in fewer places
        pictures.setdefault(path.stem, f"plots/{path.name}")
    return write_text(out_dir / "report.md", markdown_report(content, pictures))


def _write_html(content: Content, out_dir: Path) -> Path:
    from annbench.report.html import html_report

    return write_text(out_dir / "report.html", html_report(content))


def write_text(path: Path, text: str) -> Path:
    """Replace `path` in one step, so that a reader never sees half a report."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return path
