"""Finds datasets by name: the bundled set, what is in the data folder, what the catalogue knows."""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from annbench.bundled import bundled
from annbench.datasets.catalog import CatalogEntry, load_catalog
from annbench.datasets.info import DatasetInfo
from annbench.datasets.inspect import describe, recall, safe_name
from annbench.errors import DatasetError, UnknownNameError

Status = Literal["bundled", "present", "not downloaded"]

ENDINGS = (".hdf5", ".h5")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Listed:
    """A dataset that a name stands for. What is not known without opening or fetching it is None.

    `get_with` is the command that downloads it, where there is one; `obstacle` says why there is none.
    """

    name: str
    status: Status
    source: str
    metric: str | None
    n: int | None
    dim: int | None
    queries: int | None
    dtype: str | None
    file_bytes: int | None
    licence: str | None
    readable: bool
    url: str | None = None
    page: str | None = None
    path: str | None = None
    get_with: str | None = None
    obstacle: str = ""
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fields, for `--json`."""
        return asdict(self)


def data_dir(override: Path | None = None) -> Path:
    """Where datasets are kept: `override`, or the user's cache folder."""
    if override is not None:
        return override
    import platformdirs

    return Path(platformdirs.user_cache_dir("annbench")) / "datasets"


def cache_dir(folder: Path) -> Path:
    """Where descriptions of files are cached, for a data folder."""
    return folder / ".info"


def check_name(name: str) -> str:
    """The name, if it is one (`a-z`, `0-9`, `.`, `_`, `-`). Raises DatasetError."""
    if not _NAME.fullmatch(name):
        raise DatasetError(
            f"{name!r} is not a dataset name",
            remedy="a name is of a-z, 0-9, `.`, `_`, `-` and starts with one of the first two; "
            "or give the path of a .hdf5 file",
        )
    return name


def stored_path(name: str, folder: Path) -> Path:
    """Where the dataset `name` lies in the data folder, existing or not.

    Raises DatasetError for a link out of it.
    """
    path = folder / f"{check_name(name)}.hdf5"
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DatasetError(
            f"is a link out of the data folder, to {path.resolve()}",
            where=str(path),
            remedy="give that path itself, or move the file here",
        )
    return path


def resolve(name_or_path: str, folder: Path) -> Path:
    """The file meant by a name, or by the path of a .hdf5 file.

    Raises DatasetError for a path that is no file and for a set of the catalogue that is not downloaded
    (saying how to get it), and UnknownNameError with the closest names for anything else.
    """
    if name_or_path.lower().endswith(ENDINGS):
        return _given_path(Path(name_or_path))
    name = check_name(name_or_path)
    shipped = bundled("datasets") / f"{name}.hdf5"
    if shipped.is_file():
        return shipped
    stored = stored_path(name, folder)
    if stored.is_file():
        return stored
    catalog = load_catalog()
    if name not in catalog:
        raise unknown_name(name, folder)
    raise _not_downloaded(catalog[name], folder)


def find_dataset(name_or_path: str, override: Path | None = None) -> DatasetInfo:
    """The checked description of a dataset by name or path; `override` is the data folder. Raises as
    `resolve`, and DatasetError if the file fails its checks."""
    folder = data_dir(override)
    path = resolve(name_or_path, folder)
    name = safe_name(path) if name_or_path.lower().endswith(ENDINGS) else name_or_path
    return describe(path, name, cache_dir(folder))


def describe_any(name_or_path: str, override: Path | None = None) -> dict[str, Any]:
    """All that is known of a dataset: its listing, and for a file on this machine its checked description
    (`info`).

    Raises as `find_dataset`, except for a set of the catalogue that is not downloaded, which its listing
    describes.
    """
    listed = find_listed(name_or_path, data_dir(override))
    facts = {} if listed is None else listed.as_json()
    if listed is None or listed.path is not None:
        facts["info"] = find_dataset(name_or_path, override).model_dump(mode="json")
    return facts


def list_datasets(folder: Path) -> list[Listed]:
    """Everything a name can mean: the catalogue in its order, then what else is in the data folder."""
    catalog = load_catalog()
    files = {path.stem: path for path in sorted(folder.glob("*.hdf5")) if _NAME.fullmatch(path.stem)}
    rows = [_from_catalog(entry, files.get(entry.name)) for entry in catalog.values()]
    own = [_from_file(path, folder) for name, path in files.items() if name not in catalog]
    return rows + own


def find_listed(name: str, folder: Path) -> Listed | None:
    """What the listing says of one name; None if it does not have it."""
    return next((listed for listed in list_datasets(folder) if listed.name == name), None)


def unknown_name(name: str, folder: Path) -> UnknownNameError:
    """The error about a name that stands for nothing, with the names near it."""
    return UnknownNameError(
        "dataset", name, _suggestions(name, list_datasets(folder)), remedy="(`annbench data list` shows all)"
    )


def unreadable(entry: CatalogEntry) -> DatasetError:
    """The error about a public set that annbench does not read."""
    return DatasetError(
        f"{entry.name} is known, but annbench cannot make a dataset of it: {entry.obstacle}",
        remedy=f"choose another (`annbench data list`); its page: {entry.page}",
    )


def _suggestions(name: str, listed: list[Listed]) -> list[str]:
    """Names that contain this one; else all, if one is close to it; else what is on this machine."""
    names = [one.name for one in listed]
    holding = [other for other in names if name in other]
    close = difflib.get_close_matches(name, names, n=1)
    return holding or (names if close else [one.name for one in listed if one.path is not None])


def _given_path(path: Path) -> Path:
    if not path.is_file():
        raise DatasetError(
            "no such file", where=str(path), remedy="check the path, or give a name (`annbench data list`)"
        )
    return path.absolute()


def _not_downloaded(entry: CatalogEntry, folder: Path) -> DatasetError:
    if not entry.readable:
        return unreadable(entry)
    size = f"about {entry.download_bytes / 1e6:,.0f} MB" if entry.download_bytes else "size not stated"
    where = "" if folder == data_dir() else f" --data-dir {shlex.quote(str(folder))}"
    return DatasetError(
        f"{entry.name} is not downloaded ({size}, from {entry.url})",
        remedy=f"get it with: annbench data get {entry.name}{where}",
    )


def _from_catalog(entry: CatalogEntry, file: Path | None) -> Listed:
    shipped = bundled("datasets") / f"{entry.name}.hdf5"
    path = shipped if shipped.is_file() else file
    status: Status = "not downloaded" if path is None else "bundled" if path == shipped else "present"
    return Listed(
        name=entry.name,
        status=status,
        source=entry.source,
        metric=entry.metric,
        n=entry.n,
        dim=entry.dim,
        queries=entry.queries,
        dtype=entry.dtype,
        file_bytes=entry.download_bytes if path is None else path.stat().st_size,
        licence=entry.licence,
        readable=entry.readable,
        url=entry.url,
        page=entry.page,
        path=None if path is None else str(path),
        get_with=f"annbench data get {entry.name}" if path is None and entry.readable else None,
        obstacle=entry.obstacle,
        note=entry.note,
    )


def _from_file(path: Path, folder: Path) -> Listed:
    """A file of the user's own; its contents as far as they were looked at before."""
    info = recall(path, cache_dir(folder))
    return Listed(
        name=path.stem,
        status="present",
        source="own",
        metric=info.metric if info else None,
        n=info.n if info else None,
        dim=info.dim if info else None,
        queries=info.query_sets["test"].count if info else None,
        dtype=info.dtype if info else None,
        file_bytes=path.stat().st_size,
        licence=str(info.provenance["licence"]) if info and "licence" in info.provenance else None,
        readable=True,
        path=str(path),
    )
