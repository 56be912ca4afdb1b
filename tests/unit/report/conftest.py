"""Synthetic records for every test of the report."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from synthetic_records import make_records

from annbench.report.content import Content, report_content
from annbench.results.schema import Record


@pytest.fixture(scope="session")
def run_records() -> list[Record]:
    """Two datasets, two modes, two workers a point, with failed, invalid and suspect points."""
    return list(
        make_records(datasets=("wordnet-384", "fashion-784"), modes=(("single", 1), ("batch", 2)), workers=2, seed=7)
    )


@pytest.fixture(scope="session")
def content(run_records: list[Record]) -> Content:
    """The report on `run_records`."""
    return report_content(run_records, title="a run")
