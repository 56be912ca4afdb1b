"""What is here now, for commands on stored results: the machine, and whether a run is going on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from annbench.results.present import Present


def present(data_dir: Path | None) -> Present:
    """The machine, its libraries and its datasets."""
    from annbench.datasets.library import data_dir as find_folder
    from annbench.isa import isa
    from annbench.results.present import Present
    from annbench.runner.environment import machine_id

    return Present(machine_id=machine_id(), isa=isa(), data_folder=find_folder(data_dir))


def refuse_to_wait(results: Path) -> Callable[[], None]:
    """For `ResultStore.holding`: what deletes does not queue behind a run that may last for hours."""

    def refuse() -> None:
        from annbench.errors import UsageError

        raise UsageError(
            "a run is writing into this folder", where=str(results), remedy="wait until it has finished, or stop it"
        )

    return refuse
