"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annbench.cli.completion import algorithm_names, dataset_names

ResultsDir = Annotated[
    Path, typer.Option("--results", help="Folder of the results.", envvar="ANNBENCH_RESULTS", show_default=True)
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the datasets; default: the user's cache.", envvar="ANNBENCH_DATA_DIR"),
]
OfDataset = Annotated[str | None, typer.Option("--dataset", help="Only this dataset.", autocompletion=dataset_names)]
OfAlgorithm = Annotated[
    str | None, typer.Option("--algorithm", help="Only this algorithm.", autocompletion=algorithm_names)
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]

RESULTS = Path("results")
