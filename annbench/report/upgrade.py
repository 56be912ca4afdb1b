"""A model upgrade as tables: in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from annbench.report import formatting as fmt
from annbench.report.markdown import escape, table
from annbench.upgrade.model import Compatibility, Family, FlipFigures, Outcome, Quality, Upgrade, UpgradeReport

NOTES = (
    "Queries of the new model search the gallery of the old one. **old codes** says that the old index is searched as "
    "it is; otherwise its vectors, not its items, were mapped once. hit@k and MRR@10 are of known items: each query "
    "names one row, and is right where that is found; no model has a say in it. recall@10 is against the exact "
    "neighbours by the *newest* model's vectors: it says how near a system comes to re-embedding everything, not how "
    "good that is. Brackets are 95 % bootstrap intervals over queries. Update gain is (C[n,o] − C[o,o]) / (C[n,n] − "
    "C[o,o]) by the main measure, where a full backfill brings anything; flips − are queries that the old system "
    "answered rightly and this one does not, + "
    "the other way round, at the first answer and among ten."
)
CURVE_NOTES = (
    "A share of the gallery, drawn at random, is re-embedded by the new model; the rest stays with the old one and is "
    "searched in the way that a column names. Both answers are merged by score, the old part's on a scale fitted on "
    "pairs."
)
MATRIX_NOTES = (
    "C[i, j]: queries of model i (rows) in the gallery of model j (columns), oldest first. AC is the share of pairs "
    "i > j with C[i, j] > C[j, j], AM the mean of C[i, j] over i ≥ j."
)
_HEAD = ("way", "old codes", "hit@1", "hit@10", "MRR@10", "recall@10", "gain", "flips@1 −/+", "flips@10 −/+")


def upgrade_view(report: UpgradeReport) -> Group:
    """Every way of every upgrade to the newest model, and the matrices where there are more than two models."""
    parts: list[Table | Text] = []
    for upgrade in _to_newest(report):
        for family in upgrade.families:
            parts += [Text(_title(upgrade, family), style="bold"), _terminal_table(report, family), Text()]
    parts += [Text(f"Compatibility by {report.measure}", style="bold"), _terminal_matrices(report), Text()]
    return Group(*parts[:-1])


def upgrade_markdown(report: UpgradeReport, pictures: Sequence[tuple[str, str]]) -> str:
    """The whole report; `pictures` are titles with addresses."""
    parts = ["# A model upgrade", _facts(report), NOTES]
    parts += [f"![{escape(title)}]({address})" for title, address in pictures]
    for upgrade in report.upgrades:
        for family in upgrade.families:
            parts += [f"## {escape(_title(upgrade, family))}", _sizes(family), _outcomes(report, family)]
    parts += ["## Recall against the share that is re-embedded", CURVE_NOTES]
    for upgrade in _to_newest(report):
        for family in upgrade.families:
            parts += [f"### {escape(_title(upgrade, family))}", *_curves(report, family)]
    parts += ["## Compatibility", MATRIX_NOTES]
    parts += [_matrix(report, found) for found in report.compatibility]
    return "\n\n".join(parts) + "\n"


def _to_newest(report: UpgradeReport) -> list[Upgrade]:
    return [upgrade for upgrade in report.upgrades if upgrade.new == report.models[-1].name]


def _title(upgrade: Upgrade, family: Family) -> str:
    return f"{upgrade.old} → {upgrade.new} · {family.codes}"


def _facts(report: UpgradeReport) -> str:
    models = [
        f"- **{escape(model.name)}**: {model.dim} dimensions{f', {escape(model.about)}' if model.about else ''}; "
        f"sha256 {model.sha256[:16]}"
        for model in report.models
    ]
    of = {"learn": "training queries", "base": "base rows", "both": "training queries and base rows"}[report.pairs_of]
    asked = f"{report.items:,} items, {report.queries:,} queries of set {escape(report.query_set)}"
    return "\n".join(
        [
            *models,
            f"- {asked}; bridges are fitted on {report.pairs:,} pairs of {of}, none of which is asked or sought",
            f"- main measure: {report.measure}; seed {report.seed}",
        ]
    )


def _sizes(family: Family) -> str:
    return (
        f"Bytes a vector in memory: {fmt.significant(family.old_bytes_per_vector)} of the old index, "
        f"{fmt.significant(family.new_bytes_per_vector)} of the new one."
    )


def _outcomes(report: UpgradeReport, family: Family) -> str:
    rows = [_row(report, "**old alone**", "", family.old_alone, "0", ())]
    for found in family.outcomes:
        rows.append(_row(report, _named(found), "yes" if found.keeps_codes else "no", found.quality,
                         _gain(found.gain), found.flips, intervals=True))  # fmt: skip
    gain = "1" if family.new_alone.main > family.old_alone.main else fmt.MISSING
    rows.append(_row(report, "**new alone**", "", family.new_alone, gain, family.new_flips))
    return table(_HEAD, rows, frozenset(range(2, len(_HEAD))))


def _named(found: Outcome) -> str:
    return f"{escape(found.way)}{f' ({escape(found.about)})' if found.about else ''}"


def _row(
    report: UpgradeReport,
    name: str,
    kept: str,
    quality: Quality,
    gain: str,
    flips: tuple[FlipFigures, ...],
    *,
    intervals: bool = True,
) -> list[str]:
    known = report.measure == "hit@10"
    hit = fmt.recall_text(quality.hit_at_10)
    recall = fmt.recall_text(quality.recall_at_10)
    if intervals:
        hit = f"{hit} {fmt.interval_text(quality.hit_at_10_low, quality.hit_at_10_high)}".rstrip()
        recall = f"{recall} {fmt.interval_text(quality.recall_at_10_low, quality.recall_at_10_high)}"
    return [
        name,
        kept,
        fmt.recall_text(quality.hit_at_1),
        hit if known else fmt.MISSING,
        fmt.recall_text(quality.mrr_at_10),
        recall,
        gain,
        *(_flip_cells(flips)),
    ]


def _flip_cells(flips: tuple[FlipFigures, ...]) -> list[str]:
    cells = [f"{found.negative:,} / {found.positive:,}" for found in flips]
    return cells or ["", ""]


def _gain(gain: float | None) -> str:
    return fmt.MISSING if gain is None else f"{gain:.2f}".replace("-", "−")


def _terminal_table(report: UpgradeReport, family: Family) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for heading in _HEAD:
        grid.add_column(heading, justify="left" if heading in _HEAD[:2] else "right", no_wrap=True)
    rows = [("old alone", _row(report, "", "", family.old_alone, "0", (), intervals=False), False)]
    best = max((found.quality.main for found in family.outcomes), default=0.0)
    for found in family.outcomes:
        cells = _row(report, "", "yes" if found.keeps_codes else "no", found.quality, _gain(found.gain),
                     found.flips, intervals=False)  # fmt: skip
        rows.append((found.way, cells, found.quality.main == best))
    gain = "1" if family.new_alone.main > family.old_alone.main else fmt.MISSING
    rows.append(("new alone", _row(report, "", "", family.new_alone, gain, family.new_flips, intervals=False), False))
    for name, cells, marked in rows:
        grid.add_row(Text(name, style="bold green" if marked else "cyan"), *cells[1:])
    return grid


def _terminal_matrices(report: UpgradeReport) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    names = [model.name for model in report.models]
    pairs = [(i, j) for i in range(len(names)) for j in range(i)]
    for heading in ("codes", "way", *(f"{names[i]} in {names[j]}" for i, j in pairs), "AC", "AM"):
        grid.add_column(heading, justify="left" if heading in ("codes", "way") else "right", overflow="fold")
    for found in report.compatibility:
        cells = [fmt.recall_text(found.matrix[i][j]) for i, j in pairs]
        ac = fmt.MISSING if found.ac is None else f"{found.ac:.2f}"
        grid.add_row(found.codes, Text(found.way, style="cyan"), *cells, ac, fmt.recall_text(found.am))
    return grid


def _curves(report: UpgradeReport, family: Family) -> list[str]:
    if not family.curves:
        return []
    head = ("re-embedded", *(escape(curve.way) for curve in family.curves))
    tables = []
    for measure in ("hit@10", "recall@10") if report.measure == "hit@10" else ("recall@10",):
        rows = []
        for number, point in enumerate(family.curves[0].points):
            qualities = [curve.points[number].quality for curve in family.curves]
            values = [quality.hit_at_10 if measure == "hit@10" else quality.recall_at_10 for quality in qualities]
            rows.append([f"{point.share:.0%}", *(fmt.recall_text(value) for value in values)])
        tables += [f"{measure}:", table(head, rows, frozenset(range(1, len(head))))]
    return tables


def _matrix(report: UpgradeReport, found: Compatibility) -> str:
    names = [escape(model.name) for model in report.models]
    ac = fmt.MISSING if found.ac is None else f"{found.ac:.2f}"
    rows = [
        [name, *("" if value is None else fmt.recall_text(value) for value in row)]
        for name, row in zip(names, found.matrix, strict=True)
    ]
    head = (f"{escape(found.codes)}, {escape(found.way)}", *names)
    return f"{table(head, rows, frozenset(range(1, len(head))))}\n\nAC {ac}, AM {fmt.recall_text(found.am)}"
