"""The report as Markdown, for a repository or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from annbench.report import formatting as fmt
from annbench.report.answer import Answer
from annbench.report.claims import ClaimMeasured, Measured
from annbench.report.content import Content
from annbench.report.equal_recall import equal_recall
from annbench.report.point import Point
from annbench.report.query_sets import QuerySetShift
from annbench.report.setting import Setting
from annbench.report.streaming import HEAD, STREAM_NOTES, StreamSetting

NOTES = (
    "QPS is of the best pass, the median over workers; recall is tie-aware recall@k with its 95 % "
    "interval over queries; bytes are the serialized index ÷ n, with their ratio to the raw float32 "
    "base (of bits and sets: to the packed bits, or to 4 bytes an element); build seconds name the "
    "threads that took them."
)
EQUAL_RECALL_NOTES = (
    "Interpolated on each algorithm's own QPS–recall front (log QPS against −ln(1 − recall)), never "
    "extrapolated; p99, bytes and build seconds are of the same place on that front. ≈ the two points "
    "around the target differ by more than 2× in 1 − recall. ≥ even the fastest point exceeds the "
    "target, and its own figures are shown. A row marked suspect has a suspect point beside the target."
)
QUERY_SET_NOTES = (
    "The same indexes asked two sets of queries. Recall is of one configuration on both: the fastest that reaches "
    "the target on the first set, or the nearest to it where none does. QPS is at that recall on each set's own "
    "front, interpolated as above; a dash where a front does not tell. Their ratio is what the other queries cost."
)
CLAIM_NOTES = (
    "Measured by the configs that carry the claims, on the data and machine of this report, which are rarely the "
    "paper's: what can be compared is said with each."
)
OVERHEAD_NOTES = (
    "The null adapter answers nothing: its time per query is what annbench itself costs. Nothing is "
    "subtracted; a point is suspect if this is more than 20 % of it."
)


def markdown_report(content: Content, plots: Mapping[str, str]) -> str:
    """The whole report; `plots` maps a setting's slug to the address of its picture."""
    parts = [f"# {escape(content.title)}", content.summary]
    if content.settings:
        parts += _settings(content, plots)
    parts += stream_sections(content.streams, plots)
    parts += _evidence(content)
    return "\n\n".join(parts) + "\n"


def _settings(content: Content, plots: Mapping[str, str]) -> list[str]:
    """All about built indexes: answers, fronts, what is equal at equal recall."""
    numbers: dict[str, tuple[int, Point]] = {}
    parts = ["## Answer", NOTES]
    for setting, found in zip(content.settings, content.answers, strict=True):
        parts += [f"### {escape(setting.title)}", _answer_table(found, numbers)]
    parts += _claims(content.claims)
    parts += ["## Configurations that reproduce the answers"]
    parts += [_reproduction(number, point) for number, point in numbers.values()]
    parts += ["## Pareto fronts"]
    parts += [f"![Pareto fronts: {escape(s.title)}]({plots[s.slug]})" for s in content.settings if s.slug in plots]
    parts += ["## At equal recall", EQUAL_RECALL_NOTES]
    for setting in content.settings:
        parts += _equal_recall_section(setting)
    return parts + _query_sets(content.shifts)


def stream_sections(streams: Sequence[StreamSetting], plots: Mapping[str, str]) -> list[str]:
    """What came of every runbook: a table and a picture each."""
    parts = ["## Streaming", STREAM_NOTES] if streams else []
    for stream in streams:
        columns = stream.columns()
        head = ("algorithm", *(HEAD[i] for i in columns), "verdict")
        rows = []
        for row in stream.rows:
            cells = row.cells()
            name = f"**{escape(row.algorithm)}** {escape(row.configuration)}"
            verdict = row.verdict if row.verdict == "ok" else f"{row.verdict}: {escape(row.reasons)}"
            rows.append([name, *(cells[i] for i in columns), verdict])
        parts += [f"### {escape(stream.title)}", table(head, rows, frozenset(range(1, len(columns) + 1)))]
        if stream.slug in plots:
            parts.append(f"![Over the steps: {escape(stream.title)}]({plots[stream.slug]})")
    return parts


def escape(text: str) -> str:
    """`text` so that Markdown shows it as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>|#~$])", r"\\\1", " ".join(text.split()))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: frozenset[int] = frozenset()) -> str:
    """A pipe table; cells are taken as Markdown. Columns in `numeric` are right-aligned."""
    rule = ["---:" if i in numeric else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def code_block(text: str, language: str) -> str:
    """`text` in a fence longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _answer_table(found: Sequence[Answer], numbers: dict[str, tuple[int, Point]]) -> str:
    head = (
        "recall ≥",
        "want",
        "use",
        "recall",
        "QPS",
        "p99 µs",
        "bytes/vector",
        "build s",
        "verdict",
        "config",
    )
    rows = []
    for answer in found:
        start = [f"{answer.target:.2f}", answer.wish.text]
        if answer.point is None:
            rows.append([*start, f"none measured{_miss(answer.miss)}", *[""] * 7])
            continue
        point, cells = answer.point, answer.point.cells()
        number = numbers.setdefault(point.point_id, (len(numbers) + 1, point))[0]
        rows.append(
            [
                *start,
                f"**{escape(point.algorithm)}** {escape(point.configuration)}",
                f"{cells['recall']} {cells['interval']}",
                *(cells[name] for name in ("qps", "p99", "bytes", "build")),
                _verdict(point),
                f"[{number}](#config-{number})",
            ]
        )
    return table(head, rows, frozenset(range(4, 8)))


def _claims(found: Sequence[ClaimMeasured]) -> list[str]:
    if not found:
        return []
    parts = ["## Claimed and measured", CLAIM_NOTES]
    for one in found:
        claim = one.claim
        rows = [
            [escape(f.figure.what), escape(f.figure.claimed), escape(f.text), escape(_figure_points(f))]
            for f in one.figures
        ]
        parts += [
            f"### {escape(claim.paper)} on {escape(one.title)}",
            f"Claimed ({escape(one.source)}): {escape(claim.says)}",
            table(("what", "claimed", "measured", "with"), rows),
        ]
        parts += [f"Ours differs: {escape(claim.ours_differs)}"] if claim.ours_differs else []
        parts += [f"To read it: {escape(claim.reading)}"] if claim.reading else []
    return parts


def _figure_points(figure: Measured) -> str:
    return "; against ".join(
        f"{point.algorithm} {point.configuration}" for point in (figure.of, figure.against) if point is not None
    )


def _miss(point: Point | None) -> str:
    return "" if point is None else f"; closest: {escape(miss_text(point))}"


def miss_text(point: Point) -> str:
    """The closest miss in words: what it is, its recall and its size."""
    size = "" if point.float32_ratio is None else f", {fmt.ratio_text(point.float32_ratio)} float32"
    return f"{point.algorithm} {point.configuration} (recall {fmt.recall_text(point.recall)}{size})"


def _verdict(point: Point) -> str:
    return point.verdict if point.verdict == "ok" else f"{point.verdict}: {escape(point.verdict_reasons)}"


def _reproduction(number: int, point: Point) -> str:
    workers = f"{point.workers} worker{'s' * (point.workers != 1)}"
    facts = f"{escape(point.libraries)} · ISA {escape(point.isa)} · {workers}"
    name = f"{escape(point.algorithm)} {escape(point.configuration)}"
    head = f'<a id="config-{number}"></a>**{number}. {name}** · {facts}'
    return f"{head}\n\n{code_block(point.config_yaml, 'yaml')}"


def _equal_recall_section(setting: Setting) -> list[str]:
    if setting.points.empty:
        return []
    head = ("recall", "algorithm", "QPS", "over workers", "p99 µs", "bytes/vector", "build s", "between")
    rows = []
    for target, ranked in equal_recall(setting.points).items():
        for row in ranked:
            cells = row.cells()
            name = f"**{escape(row.algorithm)}**" if row.fastest else escape(row.algorithm)
            note = escape(" … ".join(row.between)) + (" `suspect`" if row.suspect else "")
            figures = (cells[c] for c in ("qps", "interval", "p99", "bytes", "build"))
            rows.append([f"{target:.2f}", name, *figures, note])
    return [f"### {escape(setting.title)} at equal recall", table(head, rows, frozenset(range(2, 7)))]


def _query_sets(shifts: Sequence[QuerySetShift]) -> list[str]:
    if not shifts:
        return []
    parts = ["## Other queries", QUERY_SET_NOTES]
    for shift in shifts:
        mine, theirs = escape(shift.reference_set), escape(shift.other_set)
        head = (
            "recall ≥",
            "algorithm",
            "configuration",
            f"recall {mine}",
            f"recall {theirs}",
            "change",
            f"QPS {mine}",
            f"QPS {theirs}",
            "ratio",
        )
        rows = [
            [
                f"{row.target:.2f}",
                f"**{escape(row.algorithm)}**",
                escape(row.configuration) + ("" if row.reached else " (the nearest)"),
                *row.cells().values(),
            ]
            for row in shift.rows
        ]
        parts += [f"### {escape(shift.title)}", table(head, rows, frozenset(range(3, 9)))]
    return parts


def _evidence(content: Content) -> list[str]:
    parts = [] if not content.settings else _verdicts(content)
    parts += ["## Environment"]
    for machine in content.machines:
        parts.append(f"### Machine {escape(machine.machine_id)} ({machine.records:,} records)")
        parts.append(table(("fact", "value"), [(escape(n), escape(v)) for n, v in machine.facts]))
    return parts


def _verdicts(content: Content) -> list[str]:
    parts = [
        "## Verdicts",
        "Every point that is suspect, invalid or failed. Only suspect ones enter the fronts.",
    ]
    if content.verdicts:
        head = ("setting", "algorithm", "outcome", "points", "reason (figures of the first)", "for example")
        parts.append(
            table(
                head,
                [
                    (
                        escape(g.setting),
                        escape(g.algorithm),
                        g.outcome,
                        str(g.count),
                        escape(g.reason),
                        escape(g.examples[0]),
                    )
                    for g in content.verdicts
                ],
                frozenset({3}),
            )
        )
    else:
        parts.append("None: every point is ok.")
    parts += ["## The harness's own cost"]
    if content.overheads:
        parts.append(OVERHEAD_NOTES)
        parts.append(
            table(
                ("setting", "µs a query", "p99 µs", "largest share of a point's time"),
                [
                    (
                        escape(o.setting),
                        fmt.significant(o.us_per_query),
                        fmt.significant(o.latency_p99_us),
                        share_text(o.largest_share),
                    )
                    for o in content.overheads
                ],
                frozenset({1, 2, 3}),
            )
        )
    else:
        parts.append('The null adapter was not run; add `- algorithm: "null"` to the config to see it.')
    return parts


def share_text(share: float | None) -> str:
    """A share as a percentage with two digits."""
    return fmt.MISSING if share is None else f"{fmt.significant(100 * share, 2)} %"
