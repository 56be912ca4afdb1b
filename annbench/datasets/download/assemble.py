"""Makes one dataset file of what has arrived: as it is, out of an archive, or of its parts."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from annbench.datasets.add import AddRequest, add_dataset
from annbench.datasets.archive import is_archive, unpack
from annbench.datasets.download.sources import Wanted, WantedFiles
from annbench.datasets.info import DatasetInfo, Metric
from annbench.datasets.library import ENDINGS
from annbench.errors import DatasetError

# How the members of corpus-texmex.irisa.fr's archives are called; their truth is of the euclidean distance.
_TEXMEX = {"base": "_base", "queries": "_query", "truth": "_groundtruth", "learn": "_learn"}
_TEXMEX_ENDINGS = (".fvecs", ".bvecs", ".ivecs")
_PHASES = {"read": "reading", "truth": "checking the truth", "write": "writing", "check": "checking"}
_KEPT = "what came is kept: mend the cause and give the same command again, or fetch it anew with --force"


@dataclass(frozen=True)
class Assembled:
    """A dataset file; its description, if the making of it has checked it already."""

    path: Path
    info: DatasetInfo | None


def assemble(
    arrived: dict[str, Path],
    wanted: WantedFiles,
    workplace: Path,
    on_phase: Callable[[str], None],
    on_note: Callable[[str], None],
) -> Assembled:
    """The dataset of the files that arrived, by role. Raises DatasetError; the files stay as they are."""
    try:
        if "dataset" not in arrived:
            assert wanted.entry is not None
            crop(arrived["base"], wanted.files["base"])
            return _made(arrived, wanted.entry.metric, workplace, on_phase, on_note)
        path = arrived["dataset"]
        if not is_archive(path.name):
            return Assembled(path, None)
        on_phase("unpacking")
        unpacked = workplace / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        return _from_members(unpack(path, unpacked), wanted.url, workplace, on_phase, on_note)
    except DatasetError as error:
        raise DatasetError(error.message, where=f"{wanted.url} ({error.where})", remedy=_KEPT) from error


def crop(path: Path, wanted: Wanted) -> None:
    """Have the head of an xbin file, of which only the first rows came, say so. May be done again."""
    if wanted.first_rows is not None:
        _set_rows(path, wanted, wanted.first_rows)


def uncrop(path: Path, wanted: Wanted) -> None:
    """Undo `crop`: the bytes as they were sent."""
    if wanted.of_rows is not None:
        _set_rows(path, wanted, wanted.of_rows)


def _set_rows(path: Path, wanted: Wanted, rows: int) -> None:
    with path.open("r+b") as stream:
        (found,) = struct.unpack("<I", stream.read(4))
        if found not in (wanted.first_rows, wanted.of_rows):
            raise DatasetError(
                f"says that it has {found:,} rows, and the catalogue {wanted.of_rows:,}",
                where=wanted.url,
                remedy="the publisher has replaced the file; fetch it yourself and use `annbench data add`",
            )
        stream.seek(0)
        stream.write(struct.pack("<I", rows))


def _from_members(
    members: list[Path], url: str, workplace: Path, on_phase: Callable[[str], None], on_note: Callable[[str], None]
) -> Assembled:
    whole = [path for path in members if path.name.lower().endswith(ENDINGS)]
    if len(whole) == 1:
        return Assembled(whole[0], None)
    roles = _texmex_roles(members)
    if not whole and {"base", "queries"} <= roles.keys():
        on_note("an archive in texmex layout: the distance is euclidean")
        return _made(roles, "euclidean", workplace, on_phase, on_note)
    names = ", ".join(path.name for path in members[:12]) or "nothing"
    raise DatasetError(
        f"holds no dataset that could be told (found: {names})",
        where=url,
        remedy="unpack it yourself and use `annbench data add`",
    )


def _texmex_roles(members: list[Path]) -> dict[str, Path]:
    return {
        role: path
        for role, mark in _TEXMEX.items()
        for path in members
        if path.suffix in _TEXMEX_ENDINGS and path.stem.endswith(mark)
    }


def _made(
    parts: dict[str, Path],
    metric: Metric,
    workplace: Path,
    on_phase: Callable[[str], None],
    on_note: Callable[[str], None],
) -> Assembled:
    folder = workplace / "made"
    folder.mkdir(exist_ok=True)
    request = AddRequest(
        name="dataset",
        folder=folder,
        metric=metric,
        force=True,
        base=parts["base"],
        queries=parts["queries"],
        truth=parts.get("truth"),
        learn=parts.get("learn"),
    )
    added = add_dataset(request, lambda phase, _: on_phase(f"making the dataset: {_PHASES.get(phase, phase)}"))
    for note in added.notes:
        on_note(note)
    return Assembled(Path(added.info.path), added.info)
