"""A diagnosis for the terminal: findings, the worst first, then the figures and what they mean for an index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from annbench.doctor.model import SEVERITIES, Diagnosis, Finding, NeighborhoodFigures, Severity, Spread

_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan", "ok": "green"}
_MARGIN = 9  # the widest severity and two spaces
_MISSING = "–"
# What `annbench doctor` says of three public sets (base, unbiased harmonic mean at k = 100; contrast at k = 10).
LID_SCALE = "fashion-mnist 13, wordnet-minilm 21, glove-100 26"
CONTRAST_SCALE = "fashion-mnist 2.6, glove-100 1.5, wordnet-minilm 1.3"


def diagnosis_text(diagnosis: Diagnosis) -> Group:
    """Everything, made for 100 columns."""
    return Group(
        _head(diagnosis),
        *_findings(diagnosis),
        *_arrays(diagnosis),
        *_neighborhoods(diagnosis),
        *_variance(diagnosis),
        *_shifts(diagnosis),
        *_ties(diagnosis),
        *_left_out(diagnosis),
    )


def _head(diagnosis: Diagnosis) -> Text:
    counts = []
    for severity in SEVERITIES[:-1]:
        if count := diagnosis.count(severity):
            counts.append(f"{count} {severity if count == 1 else severity + 's'}")
    return Text.assemble(
        (diagnosis.name, "bold"),
        f": {diagnosis.n:,} × {diagnosis.dim} {diagnosis.dtype}, {diagnosis.metric}\n",
        (", ".join(counts) or "nothing found", _STYLES[diagnosis.worst]),
        f"; {diagnosis.count('ok')} checks passed",
    )


def _findings(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    for finding in diagnosis.findings:
        if finding.severity != "ok":
            yield Text("")
            yield _finding(finding)
    passed: dict[str, list[str]] = defaultdict(list)
    for finding in diagnosis.findings:
        if finding.severity == "ok":
            passed[PASSED.get(finding.code, finding.message)].append(finding.subject.removesuffix(" truth"))
    if passed:
        yield Text("")
        lines = [
            Text.assemble(what, (f" ({', '.join(dict.fromkeys(subjects))})", "dim"))
            for what, subjects in passed.items()
        ]
        yield _beside(Text("ok", style=_STYLES["ok"]), Text("\n").join(lines))


# The findings that are ok in one line for all arrays that they hold for.
PASSED = {
    "unusable_rows": "no NaN, no infinities, nothing without a distance",
    "zero_rows": "no zero rows",
    "truth_lists": "lists of neighbours well-formed",
    "distances_disagree": "stored distances agree with the metric",
    "truth_wrong": "stored neighbours are the true ones",
    "near_ties": "no near-ties at k",
    "train_test_leaks": "no rows of the base among them",
    "learn_test_overlap": "no queries among learn",
    "duplicate_rows": "no duplicate rows",
    "query_shift": "drawn like the base",
    "constant_columns": "no constant columns",
}


def _finding(finding: Finding) -> RenderableType:
    text = Text.assemble((f"{finding.subject}: ", "bold"), finding.message)
    if len(finding.rows) > 1 or (finding.rows and (finding.count or 0) > 1):
        more = ", …" if (finding.count or 0) > len(finding.rows) else ""
        noun = "columns" if finding.code == "constant_columns" else "rows"
        text.append(f"\n{noun} {', '.join(map(str, finding.rows))}{more}", "dim")
    elif finding.rows and "row " not in finding.message:
        text.append(f"\nrow {finding.rows[0]}", "dim")
    if finding.remedy:
        text.append(f"\n→ {finding.remedy}")
    return _beside(Text(finding.severity, style=_STYLES[finding.severity]), text)


def _beside(label: Text, text: Text) -> RenderableType:
    grid = Table.grid(padding=0)
    grid.add_column(width=_MARGIN, no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(label, text)
    return grid


def _section(title: str, table: Table | None, *meanings: str) -> Iterable[RenderableType]:
    yield Text(f"\n{title}", style="bold")
    if table is not None:
        yield table
    for meaning in meanings:
        yield Padding(Text(meaning, style="dim"), (0, 0, 0, 2), expand=False)


def _table(first: str, *headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    table.add_column(Text(first, style="dim"), no_wrap=True)
    for heading in headings:
        table.add_column(Text(heading, style="dim"), justify="right", no_wrap=True)
    return table


def _arrays(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    table = _table("", "rows", "mean length", "std", "min", "max", "zero", "copies")
    for array in diagnosis.arrays:
        lengths = array.lengths
        copies = _MISSING if array.duplicates is None else f"{array.duplicates.copies:,}"
        spread = (lengths.mean, lengths.std, lengths.minimum, lengths.maximum) if lengths else (None,) * 4
        table.add_row(array.name, f"{array.rows:,}", *map(_number, spread), f"{array.zero_rows:,}", copies)
    unit = {"bits": "set bits", "sets": "elements"}.get(diagnosis.dtype, "L2 norm")
    yield from _section(f"Vectors (length: {unit})", table)


def _neighborhoods(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    if not diagnosis.neighborhoods:
        return
    sizes = [lid.k for lid in diagnosis.neighborhoods[0].lid]
    lids = [f"LID {size}" for size in sizes]
    table = _table("", "points", *lids, "nearest", _ordinal(diagnosis.k), "contrast", f"at {diagnosis.k}")
    for seen in diagnosis.neighborhoods:
        table.add_row(seen.name, f"{seen.points:,}", *_neighborhood_cells(seen, len(sizes)))
    meanings = []
    if sizes:
        meanings.append(
            f"LID: local intrinsic dimensionality from {_listed(sizes)} neighbours (unbiased, harmonic mean). The "
            f"higher, the harder: graphs need a larger ef, IVF more probes. For scale: {LID_SCALE}."
        )
    meanings.append(
        "contrast: mean distance ÷ distance to the nearest, or at k. The closer to 1, the finer the distances that "
        f"codes must keep apart: more bits, or a longer list to rerank. For scale at k = 10: {CONTRAST_SCALE}."
    )
    yield from _section(f"Neighbourhoods ({diagnosis.measured_in})", table, *meanings)


def _neighborhood_cells(seen: NeighborhoodFigures, sizes: int) -> list[str]:
    lids = [_number(lid.unbiased_harmonic) for lid in seen.lid] + [_MISSING] * (sizes - len(seen.lid))
    near, kth = _middle(seen.nearest), _middle(seen.kth)
    return [*lids[:sizes], near, kth, _fixed(seen.contrast_nearest), _fixed(seen.contrast_kth)]


def _variance(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    found = diagnosis.variance
    if found is None:
        return
    table = _table("share of the variance", "90%", "95%", "99%")
    table.add_row("dimensions needed", str(found.dims_90), str(found.dims_95), str(found.dims_99))
    yield from _section(
        f"Variance ({found.rows:,} rows)",
        table,
        f"of {diagnosis.dim} dimensions. Far fewer: a projection (pca, leanvec) before coding costs little recall. "
        "About as many: use all, with fewer bits each.",
        f"the mean vector is {found.mean_share:.2f} of the typical length: near 0, codes need no centring; near 1, "
        "they do.",
    )


def _shifts(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    if not diagnosis.shifts:
        return
    table = _table("", "farther out", "nearest", f"{_ordinal(diagnosis.k)}", "separable", "verdict")
    for shift in diagnosis.shifts:
        values = (shift.mahalanobis_exceedance, shift.nearest_exceedance, shift.kth_exceedance, shift.separability)
        table.add_row(shift.query_set, *map(_percent, values), shift.verdict)
    yield from _section(
        "Queries against held-out rows of the base",
        table,
        "how often a query has the greater Mahalanobis distance, distance to its nearest or k-th neighbour, or place "
        "on the line that tells the two apart: 50% if they are alike; from 60% shifted, from 75% out of distribution.",
    )


def _ties(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    if not diagnosis.ties:
        return
    table = _table("", "equal", "within 1e-6", "within 1e-3")
    for name, ties in diagnosis.ties.items():
        table.add_row(name, *(f"{share:.1%}" for share in (ties.exact, ties.within_1e_6, ties.within_1e_3)))
    yield from _section(
        f"Ties: queries whose next neighbour is as near as number {diagnosis.k}",
        table,
        "within 1e-6 the order is rounding, and recall by ids differs between programs; within 1e-3 coarse codes "
        "decide it by chance.",
    )


def _left_out(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    if diagnosis.not_defined:
        yield Text(f"\nnot defined for {diagnosis.metric}: {', '.join(diagnosis.not_defined)}", style="dim")


def _number(value: float | None) -> str:
    """Three significant digits, without exponents where they can be spared."""
    if value is None:
        return _MISSING
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def _fixed(value: float | None) -> str:
    return _MISSING if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return _MISSING if value is None else f"{value:.0%}"


def _middle(spread: Spread | None) -> str:
    return _MISSING if spread is None else _number(spread.median)


def _listed(numbers: list[int]) -> str:
    words = [str(number) for number in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _ordinal(k: int) -> str:
    suffix = "th" if k % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(k % 10, "th")
    return f"{k}{suffix}"
