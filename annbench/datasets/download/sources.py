"""What is to be fetched for a dataset, and from where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from annbench.datasets.archive import ENDINGS as ARCHIVE_ENDINGS
from annbench.datasets.catalog import WHOLE_LAYOUTS, XBIN_ENDINGS, CatalogEntry, load_catalog
from annbench.datasets.download.receipt import Voucher
from annbench.datasets.library import check_name, unknown_name, unreadable
from annbench.errors import UsageError


@dataclass(frozen=True)
class Wanted:
    """One file: its address, the name it has while it arrives, and the sha256 that `voucher` states (None: nobody).

    With `first_rows` of `of_rows`, it is an xbin file of which only the first rows are wanted: `first_bytes`.
    """

    url: str
    file_name: str
    sha256: str | None = None
    voucher: Voucher = "catalogue"
    first_rows: int | None = None
    of_rows: int | None = None
    first_bytes: int | None = None


@dataclass(frozen=True)
class WantedFiles:
    """The files of a dataset by their role, and what the catalogue says of it.

    The roles: `dataset`, a whole HDF5 file or an archive; or `base`, `queries` and `truth`.
    """

    files: dict[str, Wanted]
    entry: CatalogEntry | None

    @property
    def url(self) -> str:
        """The address of the main file."""
        return next(iter(self.files.values())).url


def wanted_files(
    name: str, folder: Path, url: str | None, sha256: str | None, catalog: Path | None = None
) -> WantedFiles:
    """What to fetch for `name`; `url` overrides the catalogue's address, or serves a name it does not have.

    Raises DatasetError for a name that is none and for a set that annbench does not read, UnknownNameError with the
    closest names, UsageError for a checksum that is none and for one address of a set that is several files.
    """
    entry = load_catalog(catalog).get(check_name(name))
    if entry is None and url is None:
        raise unknown_name(name, folder)
    if entry is not None and not entry.readable:
        raise unreadable(entry)
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256.lower()):
        raise UsageError(f"{sha256!r} is not a sha256", remedy="give 64 hexadecimal digits")
    if entry is not None and entry.layout not in WHOLE_LAYOUTS:
        if url is not None or sha256 is not None:
            raise UsageError(
                f"{name} is several files", remedy="fetch them yourself, then `annbench data add` under another name"
            )
        return WantedFiles(_parts(entry), entry)
    address = url or (entry.url if entry else None)
    assert address is not None  # only the bundled set has none, and it is never fetched
    expected, voucher = _expected(entry, sha256)
    return WantedFiles({"dataset": Wanted(address, f"dataset{_ending(address)}", expected, voucher)}, entry)


def _parts(entry: CatalogEntry) -> dict[str, Wanted]:
    assert entry.url is not None
    assert entry.dtype is not None
    ending = XBIN_ENDINGS[entry.dtype]
    base = Wanted(
        entry.url,
        f"base{ending}",
        first_rows=entry.n if entry.of_rows else None,
        of_rows=entry.of_rows,
        first_bytes=entry.base_bytes if entry.of_rows else None,
    )
    # The small files first: what is wrong with them is known before the large one has arrived.
    return {
        "queries": Wanted(entry.files["queries"], f"queries{ending}"),
        "truth": Wanted(entry.files["truth"], "truth.gt"),
        "base": base,
    }


def _ending(url: str) -> str:
    """By which the file is told apart: that of an archive, else a dataset's."""
    path = urlsplit(url).path.lower()
    return max((ending for ending in ARCHIVE_ENDINGS if path.endswith(ending)), key=len, default=".hdf5")


def _expected(entry: CatalogEntry | None, sha256: str | None) -> tuple[str | None, Voucher]:
    if sha256 is not None:
        return sha256.lower(), "user"
    return (entry.sha256 if entry else None), "catalogue"
