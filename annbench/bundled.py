"""Where the files that ship with annbench are: configurations and data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from annbench.errors import AnnbenchError

_PACKAGE = Path(__file__).resolve().parent


def bundled(kind: Literal["configs", "datasets"]) -> Path:
    """The folder of bundled files of one kind.

    In an installed wheel it is `annbench/bundled/<kind>`; in a checkout (editable install) it is `<kind>` at
    the top. Raises AnnbenchError when the installation lacks it.
    """
    installed = _PACKAGE / "bundled" / kind
    if installed.is_dir():
        return installed
    # The check on pyproject.toml keeps `site-packages/datasets`, which is another project's, from being
    # taken for ours.
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / kind).is_dir():
        return checkout / kind
    raise AnnbenchError(
        f"the bundled {kind} are missing from this installation",
        where=str(_PACKAGE),
        remedy="install annbench again from its wheel or a complete checkout",
    )
