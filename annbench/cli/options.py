"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ResultsDir = Annotated[
    Path, typer.Option("--results", help="Folder of the results.", envvar="ANNBENCH_RESULTS", show_default=True)
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the datasets; default: the user's cache.", envvar="ANNBENCH_DATA_DIR"),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]

RESULTS = Path("results")
