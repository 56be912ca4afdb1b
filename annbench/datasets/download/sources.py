"""What is to be fetched for a dataset, and from where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from annbench.datasets.catalog import CatalogEntry, load_catalog
from annbench.datasets.download.receipt import Voucher
from annbench.datasets.library import check_name, unknown_name, unreadable
from annbench.errors import UsageError


@dataclass(frozen=True)
class Wanted:
    """One file: its address, the name it has while it arrives, and the sha256 that `voucher` states (None: nobody)."""

    url: str
    file_name: str
    sha256: str | None = None
    voucher: Voucher = "catalogue"


@dataclass(frozen=True)
class WantedFiles:
    """The files of a dataset by their role, and what the catalogue says of it."""

    files: dict[str, Wanted]
    entry: CatalogEntry | None

    @property
    def url(self) -> str:
        """The address of the main file."""
        return next(iter(self.files.values())).url


def wanted_files(name: str, folder: Path, url: str | None, sha256: str | None) -> WantedFiles:
    """What to fetch for `name`; `url` overrides the catalogue's address, or serves a name it does not have.

    Raises DatasetError for a name that is none and for a set that annbench does not read, UnknownNameError with the
    closest names, UsageError for a checksum that is none.
    """
    entry = load_catalog().get(check_name(name))
    if entry is None and url is None:
        raise unknown_name(name, folder)
    if entry is not None and not entry.readable:
        raise unreadable(entry)
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256.lower()):
        raise UsageError(f"{sha256!r} is not a sha256", remedy="give 64 hexadecimal digits")
    address = url or (entry.url if entry else None)
    assert address is not None  # only the bundled set has none, and it is never fetched
    expected, voucher = _expected(entry, sha256)
    return WantedFiles({"dataset": Wanted(address, "dataset.hdf5", expected, voucher)}, entry)


def _expected(entry: CatalogEntry | None, sha256: str | None) -> tuple[str | None, Voucher]:
    if sha256 is not None:
        return sha256.lower(), "user"
    return (entry.sha256 if entry else None), "catalogue"
