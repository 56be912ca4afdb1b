"""Every fault of the table has a test, and the page that says so is current."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fault_table", Path(__file__).with_name("table.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_fault_has_a_test(table: ModuleType) -> None:
    assert [number for number in table.REQUIRED if number not in table.marked_tests()] == []


def test_no_test_claims_a_fault_that_is_not_in_the_table(table: ModuleType) -> None:
    assert set(table.marked_tests()) <= set(table.FAULTS)


def test_the_page_is_current(table: ModuleType) -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "renew it: python tests/faults/table.py"


def test_marks_are_read_wherever_they_stand(table: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import pytest\npytestmark = [pytest.mark.slow, pytest.mark.fault(7)]\n"
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.fault(9))])\n"
        "@pytest.mark.fault(11, 12)\ndef test_b(x): pass\n\ndef helper(): pass\n"
    )
    (tmp_path / "test_c.py").write_text(
        "import pytest\nFAULTS: dict = {'cold': (8,)}\n"
        "@pytest.mark.parametrize('x', [pytest.param(c, marks=[pytest.mark.fault(*FAULTS[c])]) for c in FAULTS])\n"
        "def test_d(x): pass\n"
    )
    assert table.marked_tests(tmp_path) == {
        8: ["test_c.py::test_d[cold]"],
        **{number: ["test_a.py::test_b"] for number in (7, 9, 11, 12)},
    }
