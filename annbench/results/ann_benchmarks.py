"""Stored results in the layout of ann-benchmarks (github.com/erikbern/ann-benchmarks), so that its scripts plot them.

    <dataset>/<k>/<algorithm>[-batch]/<parameters>.hdf5

One file a point: `times` (q,) float32 seconds; `neighbors` (q, k) int32, filled up with −1; `distances` (q, k) float32,
filled up with +inf; and attributes, of which `best_search_time` (seconds a query) gives its QPS and `distances` its
recall. Facts are those of its results.py, runner.py and plotting/metrics.py at commit f402b2c.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annbench.datasets.child import run_child
from annbench.datasets.info import DEFAULT_QUERY_SET
from annbench.errors import DatasetError, NothingComparableError
from annbench.results.frame import OVERHEAD_ALGORITHM, is_usable
from annbench.results.present import DataFiles
from annbench.results.schema import PointKey, Record
from annbench.results.store import ResultStore, safe_name

WRITER = "annbench.results.ann_benchmarks_writer"

# Its words for distances; those it has no word for keep ours.
DISTANCE_WORDS = {"cosine": "angular"}

# Settings that its layout has no place for; where an algorithm was measured in several, its name says in which.
_SETTINGS = ("threads", "queries", "library_versions", "isa", "machine_id", "source_sha256", "python")


@dataclass(frozen=True)
class Exported:
    """What was written: `points` files, for the `datasets` (name → file that its scripts want as `data/<name>.hdf5`).

    `left_out` counts records by the reason why they are not among them.
    """

    points: int
    datasets: Mapping[str, Path]
    left_out: Mapping[str, int]


def export_ann_benchmarks(store: ResultStore, records: Iterable[Record], folder: Path, data: DataFiles) -> Exported:
    """Write `records` below `folder`, which takes the place of that project's `results` folder.

    Where a point was measured by several workers, the one with the median QPS stands for it, since that project would
    take the luckiest. Distances are computed from the vectors, by a child process. Raises NothingComparableError if
    nothing remains to be written, ResultError if the disk refuses.
    """
    left_out: Counter[str] = Counter()
    files: dict[str, tuple[str, Path]] = {}
    chosen: list[Record] = []
    # The newest first: of two files of one name, those of the newer are written.
    for record in sorted(records, key=lambda record: record.started_at, reverse=True):
        reason = _unfit(record) or _without_data(record, files, data)
        if reason is None:
            chosen.append(record)
        else:
            left_out[reason] += 1
    if not chosen:
        why = "".join(f"; {count} left out: {reason}" for reason, count in left_out.items())
        raise NothingComparableError(f"there is nothing to export{why}", remedy="measure some: annbench run quickstart")
    points = _medians(chosen)
    names = _names(points)
    datasets = {name: path for name, (_, path) in files.items()}
    for name, path in datasets.items():
        mine = [point for point in points if point.dataset.name == name]
        request = {
            "dataset": str(path),
            "query_set": DEFAULT_QUERY_SET,
            "points": [_request(store, point, folder, names[point.key.digest]) for point in mine],
        }
        run_child(WRITER, [], where=str(path), request=json.dumps(request))
    return Exported(len(points), datasets, left_out)


def attributes_of(record: Record, name: str) -> dict[str, Any]:
    """The attributes of a point's file, but for `candidates`, which is counted from its ids. `index_size` is in kB: of
    resident memory, as that project measures it.
    """
    assert record.time is not None
    load, build = record.load, record.build
    resident = load.resident_bytes if load is not None else None
    size = resident or (build.index_bytes if build is not None else None)
    found: dict[str, Any] = {
        "algo": name,
        "name": record.label,
        "dataset": record.dataset.name,
        "distance": DISTANCE_WORDS.get(record.dataset.metric, record.dataset.metric),
        "count": record.key.k,
        "batch_mode": record.key.mode == "batch",
        "best_search_time": 1.0 / record.time.qps_best,
        "build_time": build.build_seconds if build is not None else 0.0,
        "index_size": (size or 0) / 1024,
        "run_count": record.key.passes,
        "expect_extra": False,
        "annbench_digest": record.key.digest,
    }
    if "distances" in record.counters:  # ours is of one pass, theirs of all
        found["dist_comps"] = record.counters["distances"] * record.key.passes
    return found


def path_of(record: Record, folder: Path) -> Path:
    """Where the point's file belongs. The digest is in the name because parameters that differ by a sign or a dot alone
    would have the same one.
    """
    algorithm = safe_name(record.key.algorithm) + ("-batch" if record.key.mode == "batch" else "")
    given = [{n: v for n, v in part.items() if v is not None} for part in (record.key.build, record.key.search)]
    text = json.dumps(given, sort_keys=True)
    parameters = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")[:100]
    name = f"{parameters}_{record.key.digest[:12]}".lstrip("_")
    return folder / safe_name(record.dataset.name) / str(record.key.k) / algorithm / f"{name}.hdf5"


def _unfit(record: Record) -> str | None:
    """Why ann-benchmarks has no place for this record."""
    key = record.key
    if not is_usable(record) or key.algorithm == OVERHEAD_ALGORITHM:
        return "no usable measurement of an index"
    if key.task != "knn":
        return f"task {key.task}"
    if key.query_set != DEFAULT_QUERY_SET:
        return f"query set {key.query_set}: ann-benchmarks has one a dataset"
    if key.mode not in ("single", "batch"):
        return f"mode {key.mode}: ann-benchmarks has single and batch"
    return None


def _without_data(record: Record, files: dict[str, tuple[str, Path]], data: DataFiles) -> str | None:
    """Why the distances of this record cannot be computed; `files` gains the file of a dataset that is new to it."""
    name, sha256 = record.dataset.name, record.key.dataset_sha256
    if name not in files:
        try:
            files[name] = sha256, data.same_as(record.dataset, record.started_at)
        except DatasetError as error:
            return f"{error.message} ({error.where})"
    return None if files[name][0] == sha256 else f"other data of the name {name}"


def _medians(records: Sequence[Record]) -> list[Record]:
    """One record a point: of its workers' and builds', the one with the (lower) median QPS."""
    points: dict[str, list[Record]] = {}
    for record in records:
        same = record.key.model_copy(update={"build_index": 0, "worker_index": 0, "interleaved": False})
        points.setdefault(same.digest, []).append(record)
    return [sorted(members, key=_qps)[(len(members) - 1) // 2] for members in points.values()]


def _qps(record: Record) -> float:
    assert record.time is not None
    return record.time.qps_best


def _names(points: Sequence[Record]) -> dict[str, str]:
    """The name in the plot for every point, by digest: two settings of an algorithm must not join in one curve."""
    groups: dict[tuple[Any, ...], list[PointKey]] = {}
    for point in points:
        key = point.key
        groups.setdefault((point.dataset.name, key.k, key.mode, key.algorithm), []).append(key)
    names = {}
    for keys in groups.values():
        varying = [name for name in _SETTINGS if len({str(getattr(key, name)) for key in keys}) > 1]
        for key in keys:
            said = ", ".join(_said(key, varying))
            names[key.digest] = f"{key.algorithm} ({said})" if said else key.algorithm
    return names


def _said(key: PointKey, varying: Sequence[str]) -> Iterator[str]:
    for name in varying:
        value = getattr(key, name)
        if isinstance(value, dict):
            yield " ".join(f"{library} {version}" for library, version in value.items())
        elif isinstance(value, int):
            yield f"{value} {name}"
        else:
            yield f"{name.partition('_')[0]} {str(value)[:8]}"


def _request(store: ResultStore, point: Record, folder: Path, name: str) -> dict[str, Any]:
    return {
        "result": str(store.path_of(point)),
        "target": str(path_of(point, folder)),
        "attributes": attributes_of(point, name),
    }
