"""One dataset from front to back: reading, copies, neighbourhoods, truth, variance, shift.

A part of the file that cannot be read becomes a finding, and the stages that do not need it go on. Memory: about 100
bytes a row of the base, a few copies of the sampled vectors, dim² float64 for the covariance, and at most 700 MiB of
blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.dataset import Dataset
from annbench.datasets.formats.rows import Rows
from annbench.datasets.formats.source import QuerySource
from annbench.distances.registry import distance_of
from annbench.doctor import neighbors, truth, variance
from annbench.doctor.copies import RowIndex
from annbench.doctor.examine import ExamineRequest
from annbench.doctor.findings import findings_of, left_out, unreadable
from annbench.doctor.geometry import GEOMETRIES
from annbench.doctor.model import (
    SEVERITIES,
    ArrayFigures,
    Curve,
    Diagnosis,
    Duplicates,
    Finding,
    NeighborhoodFigures,
    Overlap,
    ShiftFigures,
    TieFigures,
    TruthFigures,
    VarianceFigures,
)
from annbench.doctor.neighbors import Search, look_around
from annbench.doctor.scan import Scan, scan_rows
from annbench.doctor.shift import Side, compare
from annbench.doctor.source import UsableRows
from annbench.doctor.summary import curve, spread
from annbench.errors import DatasetError, UnknownNameError
from annbench.metrics.difficulty import Cloud, lid_mle

MAX_QUERY_SETS = 16
# LID and the first true neighbours are taken from that many.
_NEIGHBORS = 100
_EXAMPLES = 10

Progress = Callable[[str, float], None]
T = TypeVar("T")


@dataclass
class _Found:
    """What the stages found so far, by array or query set."""

    findings: list[Finding] = field(default_factory=list)
    scans: dict[str, Scan] = field(default_factory=dict)
    duplicates: dict[str, Duplicates] = field(default_factory=dict)
    leaks: dict[str, Overlap] = field(default_factory=dict)
    learn_overlaps: dict[str, Overlap] = field(default_factory=dict)
    flaws: dict[str, truth.ListFlaws] = field(default_factory=dict)
    truth: dict[str, TruthFigures] = field(default_factory=dict)
    ties: dict[str, TieFigures] = field(default_factory=dict)
    sides: dict[str, Side] = field(default_factory=dict)
    neighborhoods: list[NeighborhoodFigures] = field(default_factory=list)
    cloud: Cloud | None = None
    variance: VarianceFigures | None = None
    shifts: list[ShiftFigures] = field(default_factory=list)


class Examination:
    """An open dataset and what is asked about it. For the child process only. Raises UnknownNameError for a query set
    that the file does not have.
    """

    def __init__(self, dataset: Dataset, request: ExamineRequest, progress: Progress) -> None:
        self.dataset, self.request, self.progress = dataset, request, progress
        self.info = dataset.info
        self.dense = self.info.dtype not in ("bits", "sets")
        self.distance = distance_of(self.info.metric)
        self.geometry = GEOMETRIES[self.info.metric]
        self.rng = np.random.default_rng(request.seed)
        self.found = _Found()
        self.sets = self._chosen_sets()
        self.arrays = self._arrays()

    def run(self) -> Diagnosis:
        """Examine, and put the answer together."""
        self._read()
        self._compare_rows()
        base = self.found.scans.get("base")
        if base is not None and len(base.usable_ids) >= 2:
            self._attempt("base", lambda: self._measure_base(base))
            for name in self.sets:
                self._attempt(name, partial(self._measure_queries, name, base))
        return self._diagnosis()

    def _attempt(self, subject: str, stage: Callable[[], T]) -> T | None:
        """The stage's result; None, and a finding, if a part of the file cannot be read."""
        try:
            return stage()
        except DatasetError as error:
            self.found.findings.append(unreadable(subject, error))
            return None

    def _chosen_sets(self) -> dict[str, QuerySource]:
        known, asked = dict(self.dataset.query_rows()), self.request.query_sets
        for name in asked:
            if name not in known:
                raise UnknownNameError("query set", name, known, where=str(self.request.path))
        chosen = {name: source for name, source in known.items() if not asked or name in asked}
        if len(chosen) > MAX_QUERY_SETS:
            self.found.findings.append(left_out(len(chosen), MAX_QUERY_SETS))
        return dict(list(chosen.items())[:MAX_QUERY_SETS])

    def _arrays(self) -> dict[str, Rows]:
        found = {"base": self.dataset.base_raw}
        for name, source in self.sets.items():
            found[name] = source.test
            if source.learn is not None:
                found[f"{name} learn"] = source.learn
        return found

    def _read(self) -> None:
        """Every row of every array, and all of the truth."""
        total, before = sum(map(len, self.arrays.values())), 0
        for name, rows in self.arrays.items():

            def read(name: str = name, rows: Rows = rows, before: int = before) -> None:
                self.found.scans[name] = scan_rows(
                    rows,
                    self.distance,
                    self.info.dim,
                    queries=name != "base",
                    progress=lambda done: self.progress("read", (before + done * len(rows)) / total),
                )

            self._attempt(name, read)
            before += len(rows)
        for name, source in self.sets.items():
            flaws = self._attempt(f"{name} truth", partial(truth.list_flaws, source, self.info.n))
            if flaws is not None:
                self.found.flaws[name] = flaws
                self.found.truth[name] = truth.list_figures(flaws, source)

    def _compare_rows(self) -> None:
        """Copies within arrays, and of one array in another."""
        found = self.found
        index = {name: RowIndex(self.arrays[name], scan) for name, scan in found.scans.items()}
        for i, (name, scan) in enumerate(found.scans.items()):
            self.progress("copies", i / len(found.scans))
            self._keep(found.duplicates, name, index[name].duplicates)
            if name != "base" and "base" in index:
                self._keep(found.leaks, name, partial(index["base"].overlap, self.arrays[name], scan))
            if f"{name} learn" in index:
                learn = index[f"{name} learn"]
                self._keep(found.learn_overlaps, name, partial(learn.overlap, self.arrays[name], scan))

    def _keep(self, where: dict[str, T], name: str, stage: Callable[[], T]) -> None:
        result = self._attempt(name, stage)
        if result is not None:
            where[name] = result

    def _search(self, base: Scan) -> Search:
        rows = UsableRows(self.arrays["base"], base, dense=self.dense, place=self.geometry.placed)
        return Search(rows, self.geometry, self.request.threads)

    def _measure_base(self, base: Scan) -> None:
        """Neighbourhoods of held-out rows, and the cloud of the others."""
        search, n = self._search(base), len(base.usable_ids)
        held_out = np.sort(self.rng.choice(n, size=max(1, min(self.request.sample, n // 2)), replace=False))
        points = search.base.gather(held_out)
        exact = search.exact(points, min(n, self._neighbors), self._showing("neighbors of the base"))
        seen = look_around(search, "base", points, exact, self.rng, own_ids=held_out)
        self.found.neighborhoods.append(neighbors.figures(seen, self.request.k, self.geometry))
        rows = UsableRows(self.arrays["base"], base, dense=self.dense)
        self.found.sides["base"] = Side(rows.gather(held_out), seen)
        if self.geometry.linear and self.info.dim <= variance.MAX_DIM:
            self.progress("variance", 0.0)
            others = np.setdiff1d(np.arange(n), held_out, assume_unique=True)
            size = variance.sample_size(len(others), self.info.dim)
            measured = variance.measure(rows, np.sort(self.rng.choice(others, size=size, replace=False)), self.geometry)
            self.found.cloud, self.found.variance = measured.cloud, variance.figures(measured, base)

    def _measure_queries(self, name: str, base: Scan) -> None:
        """Neighbourhoods of sampled queries, the truth they should have, and whether they are like the base."""
        usable = self.found.scans[name].usable_ids if name in self.found.scans else np.empty(0, np.int64)
        if not usable.size:
            return
        rows = np.sort(self.rng.choice(usable, size=min(self.request.sample, len(usable)), replace=False))
        queries = self.sets[name].test.gather(rows)
        queries = queries.astype(np.float32, copy=False) if self.dense else queries
        plain = UsableRows(self.arrays["base"], base, dense=self.dense)
        k = min(len(plain), self._neighbors)
        exact = neighbors.exact(
            plain, queries, k, self.info.metric, self.request.threads, self._showing(f"neighbors of {name}")
        )
        sample = truth.Sample(rows, queries, exact)
        tied = truth.ties(sample, self.request.k)
        if tied is not None:
            self.found.ties[name] = tied
        self._attempt(f"{name} truth", lambda: self._judge(name, sample, plain, base))
        self._measure_surroundings(name, sample, base)

    def _judge(self, name: str, sample: truth.Sample, plain: UsableRows, base: Scan) -> None:
        if name in self.found.flaws:
            longest = float(base.lengths[base.usable_ids].max())
            self.found.truth[name] = truth.judge(
                self.sets[name], self.found.flaws[name], sample, plain, self.distance, longest
            )

    def _measure_surroundings(self, name: str, sample: truth.Sample, base: Scan) -> None:
        search, points = self._search(base), self.geometry.placed(sample.queries)
        exact = sample.exact
        if not self.geometry.same_ranking:
            exact = search.exact(points, exact.neighbors.shape[1], self._showing(f"surroundings of {name}"))
        seen = look_around(search, name, points, exact, self.rng)
        self.found.neighborhoods.append(neighbors.figures(seen, self.request.k, self.geometry))
        self.found.sides[name] = Side(sample.queries, seen)
        if "base" in self.found.sides:
            shift = compare(
                name,
                self.found.sides[name],
                self.found.sides["base"],
                self.found.cloud,
                self.geometry,
                self.request.k,
                self.rng,
            )
            self.found.shifts.append(shift)

    @property
    def _neighbors(self) -> int:
        return max(_NEIGHBORS, self.request.k) + 1

    def _showing(self, phase: str) -> Callable[[float], None]:
        return lambda done: self.progress(phase, done)

    def _diagnosis(self) -> Diagnosis:
        found, request = self.found, self.request
        diagnosis = Diagnosis(
            name=request.name,
            path=str(request.path),
            metric=self.info.metric,
            dtype=self.info.dtype,
            n=self.info.n,
            dim=self.info.dim,
            k=request.k,
            sample=request.sample,
            seed=request.seed,
            measured_in=self.geometry.text,
            not_defined=self.geometry.not_defined,
            findings=tuple(found.findings),
            arrays=tuple(_array_figures(name, scan, found.duplicates.get(name)) for name, scan in found.scans.items()),
            leaks=found.leaks,
            learn_overlaps=found.learn_overlaps,
            truth=found.truth,
            ties=found.ties,
            neighborhoods=tuple(found.neighborhoods),
            variance=found.variance,
            shifts=tuple(found.shifts),
            curves=self._curves(),
        )
        findings = (*diagnosis.findings, *findings_of(diagnosis))
        ordered = sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
        return diagnosis.model_copy(update={"findings": tuple(ordered)})

    def _curves(self) -> dict[str, Curve]:
        seen = {name: side.seen for name, side in self.found.sides.items()}
        lengths = {
            name: scan.lengths[scan.usable_ids]
            for name, scan in self.found.scans.items()
            if name == "base" or name in self.sets
        }
        samples = {
            "lid": {name: lid_mle(one.positive, _NEIGHBORS).unbiased for name, one in seen.items()},
            "nearest": {name: one.nearest for name, one in seen.items()},
            "lengths": lengths,
        }
        if not self.geometry.lengths:
            del samples["lid"]
        curves = {name: curve(values) for name, values in samples.items()}
        return {name: found for name, found in curves.items() if found is not None}


def _array_figures(name: str, scan: Scan, duplicates: Duplicates | None) -> ArrayFigures:
    rows: dict[str, NDArray[np.int64]] = {"zero": scan.zero, **{str(kind): ids for kind, ids in scan.flaws.items()}}
    return ArrayFigures(
        name=name,
        rows=len(scan.lengths),
        nan_rows=len(scan.flaws["nan"]),
        inf_rows=len(scan.flaws["inf"]),
        overflow_rows=len(scan.flaws["overflow"]),
        undefined_rows=len(scan.flaws["undefined"]),
        zero_rows=len(scan.zero),
        duplicates=duplicates,
        lengths=spread(scan.lengths[scan.usable_ids]),
        examples={kind: tuple(ids[:_EXAMPLES].tolist()) for kind, ids in rows.items() if len(ids)},
    )
