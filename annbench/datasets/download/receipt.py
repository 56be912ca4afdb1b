"""What was fetched for a dataset, kept beside it as NAME.source.json: trust on first use.

Hardly any project of this field publishes checksums. So the first fetch is believed (over https, and only if the file
is a sound dataset), its sha256 is written down, and every later fetch and `verify` is held to it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from annbench.errors import DatasetError

_MAX_BYTES = 1 << 20

# Who vouches for a checksum: the catalogue, the user, the server that sent the file, or nobody but the first fetch.
Voucher = Literal["catalogue", "user", "server", "first fetch"]


class FetchedFile(BaseModel):
    """One file as it came from the web."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    sha256: str
    file_bytes: int
    voucher: Voucher
    etag: str | None = None
    last_modified: str | None = None


class Receipt(BaseModel):
    """The files that were fetched, by role (`dataset` for a set that is one file), and the dataset's own sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    name: str
    fetched_utc: str
    sha256: str
    file_bytes: int
    files: dict[str, FetchedFile]


def receipt_path(dataset: Path) -> Path:
    """Where the receipt of a dataset file lies."""
    return dataset.with_name(dataset.stem + ".source.json")


def read_receipt(dataset: Path) -> Receipt | None:
    """The receipt of a dataset file, which need not exist itself; None if there is none. Raises DatasetError."""
    path = receipt_path(dataset)
    try:
        with path.open("rb") as stream:
            return Receipt.model_validate_json(stream.read(_MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise DatasetError(
            "is not a record of what was fetched", where=str(path), remedy="delete it, and trust the next fetch"
        ) from error


def write_receipt(receipt: Receipt, dataset: Path) -> None:
    """Keep the receipt beside the dataset, whole or not at all."""
    path = receipt_path(dataset)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(receipt.model_dump_json(indent=2) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
