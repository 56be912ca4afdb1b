"""hnswlib as a bad change would leave it: it looks at half of what it is asked for, and saves twice as much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from annbench.algorithms.hnswlib import Hnswlib


class Worse(Hnswlib):
    """The same parameters, less recall, more bytes."""

    def configure(self, params: Any, threads: int) -> None:
        super().configure(params.model_copy(update={"ef": params.ef // 2}), threads)

    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "junk").write_bytes(bytes(1 << 20))
