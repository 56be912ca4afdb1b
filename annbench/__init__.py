"""annbench: honest benchmarks of approximate nearest neighbour search, and compressed indexes of its own.

import annbench
index = annbench.Index.build(vectors, "cosine")    # help(annbench.Index) explains the rest
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from annbench.indexes.filters import Filter
    from annbench.indexes.index import Index

__version__ = "0.1.0"
__all__ = ["Filter", "Index", "__version__"]


def __getattr__(name: str) -> object:
    # Found when it is first asked for: the command line starts without numpy and the native core.
    if name == "Index":
        from annbench.indexes.index import Index

        globals()[name] = Index
        return Index
    if name == "Filter":
        from annbench.indexes.filters import Filter

        globals()[name] = Filter
        return Filter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
