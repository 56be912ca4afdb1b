"""What the shell offers after <Tab>: names that exist, found without loading anything heavy. Never an error."""

from __future__ import annotations

import ast
from contextlib import suppress
from pathlib import Path
from typing import Any

Offers = list[tuple[str, str]]  # what can be typed, and what the shell shows beside it


def dataset_names(ctx: Any, incomplete: str) -> Offers:
    """Datasets of the catalogue and of the data folder (as --data-dir and ANNBENCH_DATA_DIR say)."""
    with suppress(Exception):
        from annbench.datasets.library import data_dir, list_datasets

        override = ctx.params.get("data_dir")
        found = list_datasets(data_dir(Path(override) if override else None))
        return [(one.name, f"{one.status}, {one.metric or '?'}") for one in found if one.name.startswith(incomplete)]
    return []


def config_names(incomplete: str) -> Offers:
    """Bundled configurations by name, and YAML files and folders below what is typed."""
    offers: Offers = []
    with suppress(Exception):
        from annbench.bundled import bundled

        offers = [(path.stem, "bundled") for path in sorted(bundled("configs").rglob("*.yaml"))]
    with suppress(OSError):
        folder, slash, _ = incomplete.rpartition("/")
        for path in sorted(Path(folder + slash or ".").iterdir()):
            shown = f"{folder}{slash}{path.name}"
            if path.suffix in (".yaml", ".yml"):
                offers.append((shown, "file"))
            elif path.is_dir() and not path.name.startswith("."):
                offers.append((f"{shown}/", "folder"))
    return [offer for offer in offers if offer[0].startswith(incomplete)]


def algorithm_names(incomplete: str) -> Offers:
    """Algorithms that are registered here. The table is read, not imported: that would load numpy."""
    with suppress(Exception):
        from importlib import metadata, util

        names = {point.name for point in metadata.entry_points(group="annbench.algorithms")}
        spec = util.find_spec("annbench.algorithms.registry")
        for node in ast.parse(Path(spec.origin or "").read_text()).body if spec else ():
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "ALGORITHMS" and node.value is not None:
                names |= set(ast.literal_eval(node.value))
        return [(name, "algorithm") for name in sorted(names) if name.startswith(incomplete)]
    return []
