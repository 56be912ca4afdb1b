"""The examples for CI services: they parse, and what they call exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from annbench.compare.gates import parse_gates
from annbench.config.load import load_config

DOCS = Path(__file__).parents[3] / "docs" / "ci"
FILES = sorted(DOCS.iterdir())
CALL = re.compile(r"(?:^|[/\s])annbench (run|compare|baseline) ([^&#\n]*)")


def calls(path: Path) -> list[tuple[str, list[str]]]:
    return [(m.group(1), m.group(2).split()) for m in CALL.finditer(path.read_text())]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_call_exists(path: Path) -> None:
    from typer.main import get_command

    from annbench.cli.main import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    found = calls(path)
    assert {name for name, _ in found} >= {"run", "compare"}
    for name, arguments in found:
        known = {option for param in commands[name].params for option in param.opts}
        assert {a for a in arguments if a.startswith("--")} <= known | {"--quiet"}, name
        if "--fail-on" in arguments:
            parse_gates(arguments[arguments.index("--fail-on") + 1])


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".yml"], ids=lambda p: p.name)
def test_workflows_are_yaml_with_both_jobs(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert {"quality", "speed"} <= content.get("jobs", content).keys()


def test_the_configs_of_the_page_are_configs(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        path = tmp_path / "config.yaml"
        path.write_text(block)
        load_config(path)
