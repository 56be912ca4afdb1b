"""Is the file of a dataset still the one that was fetched?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from annbench.datasets.catalog import load_catalog
from annbench.datasets.download.receipt import FetchedFile, read_receipt
from annbench.datasets.library import resolve
from annbench.errors import DatasetError


@dataclass(frozen=True)
class Verified:
    """A file that is what it should be, and who says so."""

    name: str
    path: Path
    sha256: str
    because: str


def verify_dataset(name: str, folder: Path) -> Verified:
    """Hold the file of `name` to the catalogue's checksum, or to that of the first fetch.

    Raises DatasetError if it differs, or if nothing is known to compare it with; and as `library.resolve`.
    """
    import pooch

    path = resolve(name, folder)
    entry = load_catalog().get(name)
    receipt = read_receipt(path)
    if entry is not None and entry.sha256 is not None:
        expected, because = entry.sha256, "as the catalogue says"
    elif receipt is not None:
        expected, because = receipt.sha256, f"as fetched on {receipt.fetched_utc} from {_sources(receipt.files)}"
    else:
        raise DatasetError(
            f"was not fetched by annbench, so that nothing is known to compare it with; its sha256 is "
            f"{pooch.file_hash(str(path), alg='sha256')}",
            where=str(path),
            remedy=f"compare that yourself, or fetch it again with `annbench data get {name} --force`",
        )
    found = pooch.file_hash(str(path), alg="sha256")
    if found != expected:
        raise DatasetError(
            f"has sha256 {found}, and should have {expected} ({because})",
            where=str(path),
            remedy=f"fetch it again with `annbench data get {name} --force`",
        )
    return Verified(name, path, found, because)


def _sources(files: dict[str, FetchedFile]) -> str:
    return ", ".join(one.url for one in files.values())
