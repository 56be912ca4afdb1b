"""Gets one dataset by name: fetched, held to its checksum, checked as a dataset, then installed in one step.

What is on the way lies in `<data folder>/.partial/NAME/`, so that whatever happens, the data folder holds the earlier
file or the new one, whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import filelock

from annbench.bundled import bundled
from annbench.datasets.catalog import CatalogEntry
from annbench.datasets.download.assemble import assemble, uncrop
from annbench.datasets.download.partial import PartialFile
from annbench.datasets.download.receipt import FetchedFile, Receipt, Voucher, read_receipt, write_receipt
from annbench.datasets.download.sources import Wanted, WantedFiles, wanted_files
from annbench.datasets.download.transfer import Patience, transfer
from annbench.datasets.info import DatasetInfo
from annbench.datasets.inspect import describe, examine, remember
from annbench.datasets.library import cache_dir, stored_path
from annbench.errors import DatasetError

PARTIAL = ".partial"
CHECK = "checking"
_LOCK_POLL_SECONDS = 0.5


class Listener(Protocol):
    """What is told how it goes."""

    def progress(self, phase: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes (None: unknown) of a phase: `fetching …` or `checking`."""

    def note(self, text: str) -> None:
        """Something that the user should know."""


class Silence:
    """Listens to nothing."""

    def progress(self, phase: str, done: int, total: int | None) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""


@dataclass(frozen=True)
class GetRequest:
    """What to get: a name of the catalogue; or `url` under a name of the user's, held to `sha256` if given.

    A url for a name of the catalogue is a mirror of it. `force` fetches it again though it is here, and believes what
    comes although an earlier fetch brought something else. `catalog` is one to use instead of the bundled one.
    """

    name: str
    folder: Path
    url: str | None = None
    sha256: str | None = None
    force: bool = False
    catalog: Path | None = None
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Got:
    """A dataset that is here now; the receipt is None if it was here before, or comes with annbench."""

    info: DatasetInfo
    receipt: Receipt | None


def get_dataset(request: GetRequest, listener: Listener | None = None) -> Got:
    """Have the dataset in the data folder.

    Raises UnknownNameError with the closest names; DatasetError when it cannot be had: nothing is installed then, an
    earlier file is as it was, and what has arrived is kept for the next try unless it proved to be wrong.
    """
    told = listener or Silence()
    shipped = bundled("datasets") / f"{request.name}.hdf5"
    if request.url is None and shipped.is_file():
        return Got(describe(shipped, request.name, cache_dir(request.folder)), None)
    target = stored_path(request.name, request.folder)
    wanted = wanted_files(request.name, request.folder, request.url, request.sha256, request.catalog)
    with _alone(request, told) as workplace:
        if target.is_file() and not request.force:
            return Got(describe(target, request.name, cache_dir(request.folder)), None)
        earlier = read_receipt(target) if not request.force else None
        if wanted.entry is not None and wanted.entry.unlisted and request.url is None:
            told.note(f"{request.name} is named only in its project's code: the address may not answer")
        files = {role: _fetch(one, role, workplace, earlier, request, told) for role, one in wanted.files.items()}
        made = assemble(
            {role: one.part.path for role, one in files.items()},
            wanted,
            workplace,
            on_phase=lambda phase: told.progress(phase, 0, None),
            on_note=told.note,
        )
        info = (made.info or _examine(made.path, files, wanted, told)).model_copy(update={"name": request.name})
        receipt = Receipt(
            name=request.name,
            fetched_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            sha256=info.sha256,
            file_bytes=info.file_bytes,
            files={role: one.facts for role, one in files.items()},
        )
        _tell(receipt, wanted.entry, info, told)
        return Got(_install(made.path, target, info, receipt, workplace, request.folder), receipt)


@dataclass(frozen=True)
class _Arrived:
    part: PartialFile
    facts: FetchedFile


def _fetch(
    wanted: Wanted, role: str, workplace: Path, earlier: Receipt | None, request: GetRequest, told: Listener
) -> _Arrived:
    """One file, whole and held to every checksum that is known of it."""
    import pooch

    part = PartialFile(workplace / wanted.file_name)
    if request.force and part.is_complete(wanted.url):
        part.discard()  # it came before, and was of no use
    told.note(f"fetching {wanted.url}")
    origin = transfer(
        wanted.url,
        part,
        request.patience,
        on_bytes=lambda done, total: told.progress(f"fetching {role}", done, total),
        on_note=told.note,
        first_bytes=wanted.first_bytes,
    )
    told.progress(CHECK, 0, None)
    uncrop(part.path, wanted)  # an earlier try may have come further
    sha256 = pooch.file_hash(str(part.path), alg="sha256")
    before = earlier.files.get(role) if earlier else None
    stated: list[tuple[Voucher, str | None]] = [
        (wanted.voucher, wanted.sha256),
        ("server", origin.stated_sha256),
        ("first fetch", before.sha256 if before else None),
    ]
    vouchers = [voucher for voucher, expected in stated if expected is not None]
    for voucher, expected in stated:
        if expected is not None and expected != sha256:
            part.discard()
            raise _wrong_checksum(wanted.url, sha256, expected, voucher)
    facts = FetchedFile(
        url=wanted.url,
        sha256=sha256,
        file_bytes=part.bytes,
        voucher=vouchers[0] if vouchers else "first fetch",
        etag=origin.etag,
        last_modified=origin.last_modified,
    )
    return _Arrived(part, facts)


def _wrong_checksum(url: str, found: str, expected: str, voucher: Voucher) -> DatasetError:
    source = {
        "catalogue": "the catalogue says",
        "user": "--sha256 says",
        "server": "the server says",
        "first fetch": "the first fetch brought",
    }[voucher]
    replaced = (
        "if the publisher has replaced the file, --force accepts the new one; " if voucher == "first fetch" else ""
    )
    return DatasetError(
        f"what came has sha256 {found}, and {source} {expected}",
        where=url,
        remedy=f"{replaced}nothing was installed and what came is dropped: try again, or another address with --url",
    )


def _examine(path: Path, files: dict[str, _Arrived], wanted: WantedFiles, told: Listener) -> DatasetInfo:
    told.progress(CHECK, 0, None)
    try:
        return examine(path, "dataset")
    except DatasetError as error:
        for one in files.values():
            one.part.discard()
        raise DatasetError(
            f"what came is not a dataset that annbench can use: {error.message}",
            where=wanted.url,
            remedy="nothing was installed and what came is dropped",
        ) from error


def _install(
    path: Path, target: Path, info: DatasetInfo, receipt: Receipt, workplace: Path, folder: Path
) -> DatasetInfo:
    """Have the file under its name, whole and on the disk, with its receipt."""
    _settle(path)
    os.replace(path, target)
    _settle(folder)
    write_receipt(receipt, target)
    installed = info.model_copy(update={"path": str(target.absolute())})
    remember(installed, cache_dir(folder), target.stat())
    shutil.rmtree(workplace, ignore_errors=True)
    return installed


def _settle(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tell(receipt: Receipt, entry: CatalogEntry | None, info: DatasetInfo, told: Listener) -> None:
    unvouched = [one for one in receipt.files.values() if one.voucher == "first fetch"]
    if unvouched:
        kept = f"its sha256 ({unvouched[0].sha256}) is" if len(receipt.files) == 1 else "the sha256 of its files are"
        told.note(
            f"nobody publishes a checksum of {receipt.name}: what came now is believed, {kept} kept, and later "
            "fetches and `get --verify` are held to it"
        )
    if entry is not None:
        for field_name in ("metric", "n", "dim"):
            stated, found = getattr(entry, field_name), getattr(info, field_name)
            if stated is not None and stated != found:
                told.note(f"the catalogue says {field_name} = {stated}, the file has {found}")


@contextmanager
def _alone(request: GetRequest, told: Listener) -> Iterator[Path]:
    """The folder for what is on the way, to this process only."""
    workplace = request.folder / PARTIAL / request.name
    try:
        workplace.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(
            f"cannot be made: {error.strerror}", where=str(workplace), remedy="choose a folder with --data-dir"
        ) from error
    lock = filelock.FileLock(request.folder / PARTIAL / f"{request.name}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        told.note(f"another `get` of {request.name} is running; waiting for it")
        lock.acquire(poll_interval=_LOCK_POLL_SECONDS)
    try:
        workplace.mkdir(exist_ok=True)  # the other one may have tidied it away
        yield workplace
    finally:
        lock.release()
