"""The answer and the points as rich tables: made for 100 columns, still readable at 80."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from annbench.report import formatting as fmt
from annbench.report.answer import Answer, answers
from annbench.report.claims import ClaimMeasured, claims_measured
from annbench.report.point import Point
from annbench.report.query_sets import QuerySetShift, query_set_shifts
from annbench.report.setting import Setting, settings_of
from annbench.report.streaming import StreamSetting
from annbench.results.frame import points_frame, records_frame
from annbench.results.schema import Record

_SHORT = {
    "fastest": "fastest",
    "smallest": "smallest",
    "fastest_quarter": "≤ ¼ f32",
    "fastest_half": "≤ ½ f32",
}
_SHORT_HEAD = (
    *("recall", "lowest\n(step)", "QPS", "p99 µs", "ins/s", "ins p99 ms", "del/s", "del p99 ms"),
    *("repl/s", "repl p99 ms", "start s", "B/vec"),
)
_VERDICT_STYLES = {"ok": "green", "suspect": "yellow"}


def answer_table(records: Iterable[Record]) -> Group:
    """The answer, a table for every setting of `records`, for every claim they carry and every further query set."""
    rows = [record for record in records if record.key.stream is None]
    if not rows:
        return Group()
    points = points_frame(records_frame(rows))
    settings = settings_of(points)
    tables = [answers_as_tables([(setting, answers(setting)) for setting in settings])]
    tables += [claims_as_tables(claims)] if (claims := claims_measured(rows, settings)) else []
    tables += [shifts_as_tables(shifts)] if (shifts := query_set_shifts(points)) else []
    return Group(*tables)


def claims_as_tables(found: Iterable[ClaimMeasured]) -> Group:
    """What each claim says, beside what was measured."""
    parts: list[Table | Text] = []
    for one in found:
        parts += [Text(f"Claimed and measured: {one.claim.paper}", style="bold"), Text(one.title)]
        table = _table()
        for name in ("what", "claimed", "measured"):
            table.add_column(name, overflow="fold", ratio=1)
        for figure in one.figures:
            measured = Text(figure.text, style="yellow" if figure.value is None else "")
            table.add_row(Text(figure.figure.what), Text(figure.figure.claimed), measured)
        reading = f"Claimed {one.source}. {one.claim.reading}".rstrip()
        parts += [table, Text(reading, style="dim"), Text()]
    return Group(*parts[:-1])


def answers_as_tables(found: Iterable[tuple[Setting, list[Answer]]]) -> Group:
    """The tables of `answer_table`, from answers that are already there."""
    tables = [_answers_of(setting, rows) for setting, rows in found]
    if tables:
        tables[-1].caption = "≤ ¼ f32: the fastest whose index is at most a quarter of the float32 base"
    return Group(*tables)


def _answers_of(setting: Setting, rows: list[Answer]) -> Table:
    table = _table(f"Which index to use: {setting.title}")
    table.add_column("recall", no_wrap=True)
    table.add_column("want", no_wrap=True)
    singly = any(answer.point is not None and answer.point.latency_p99_us is not None for answer in rows)
    _add_point_columns(table, singly)
    fastest: Answer | None = None
    for answer in rows:
        again = fastest is not None and fastest.target == answer.target
        fastest = fastest if again else answer
        same = again and fastest is not None and fastest.point == answer.point
        cells = _cells(answer.point, answer.miss, singly, same_as_fastest=same)
        table.add_row("" if again else f"≥ {answer.target:.2f}", _SHORT[answer.wish.name], *cells)
    return table


def shifts_as_tables(shifts: Iterable[QuerySetShift]) -> Group:
    """What each further query set changes, a table each."""
    tables = [_shift_table(shift) for shift in shifts]
    if tables:
        tables[-1].caption = (
            "recall: of the configuration named, the fastest that reaches the target on the first set; "
            "QPS: at that recall on each set's own front"
        )
    return Group(*tables)


def _shift_table(shift: QuerySetShift) -> Table:
    table = _table(f"Other queries: {shift.title}")
    table.add_column("recall", no_wrap=True)
    table.add_column("configuration", overflow="fold", ratio=1, min_width=16)
    sets = (shift.reference_set, shift.other_set)
    headings = (*(f"recall\n{name}" for name in sets), "change", *(f"QPS\n{name}" for name in sets), "ratio")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    target: float | None = None
    for row in shift.rows:
        name = Text(row.algorithm, style="bold cyan")
        if row.configuration != "default":
            name.append(f" {row.configuration}", style="not bold default")
        if not row.reached:
            name.append(" (the nearest)", style="not bold dim")
        table.add_row("" if row.target == target else f"≥ {row.target:.2f}", name, *row.cells().values())
        target = row.target
    return table


def points_table(records: Iterable[Record], limit: int | None = None) -> Group:
    """Every usable point, a table a setting, fastest first; at most `limit` in each."""
    tables = []
    rows = [record for record in records if record.key.stream is None]
    for setting in settings_of(points_frame(records_frame(rows))) if rows else []:
        table = _table(f"Measured points: {setting.title}")
        ranked = setting.points.sort_values("qps_best", ascending=False, kind="stable").head(
            limit or len(setting.points)
        )
        points = [Point.of(row) for row in ranked.to_dict("records")]
        singly = any(point.latency_p99_us is not None for point in points)
        _add_point_columns(table, singly)
        for point in points:
            table.add_row(*_cells(point, None, singly))
        tables.append(table)
    return Group(*tables)


def streams_as_tables(streams: Iterable[StreamSetting]) -> Group:
    """What came of every runbook; its steps are in the report."""
    tables = []
    for stream in streams:
        columns = stream.columns()
        table = _table(f"Streaming: {stream.title}")
        table.add_column("configuration", overflow="fold", ratio=1, min_width=16)
        for i in columns:
            table.add_column(_SHORT_HEAD[i], justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        for row in stream.rows:
            name = Text(row.algorithm, style="bold cyan")
            if row.configuration != "default":
                name.append(f" {row.configuration}", style="not bold default")
            verdict = "susp." if row.verdict == "suspect" else row.verdict
            cells = row.cells()
            style = _VERDICT_STYLES.get(row.verdict, "red")
            table.add_row(name, *(cells[i] for i in columns), Text(verdict, style=style))
        tables.append(table)
    return Group(*tables)


def _table(title: str = "") -> Table:
    return Table(
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        caption_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )


def _add_point_columns(table: Table, singly: bool) -> None:
    table.add_column("configuration", overflow="fold", ratio=1, min_width=16)
    for name in ("recall", "QPS", *(("p99 µs",) if singly else ()), "B/vec", "×f32", "build s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)


def _cells(point: Point | None, miss: Point | None, singly: bool, same_as_fastest: bool = False) -> list[Text | str]:
    if point is None:
        return [_none_measured(miss)]
    name = Text(point.algorithm, style="bold cyan")
    if same_as_fastest:
        name.append(" (the fastest)", style="not bold dim")
    elif point.configuration != "default":
        name.append(f" {point.configuration}", style="not bold default")
    ratio = fmt.MISSING if point.float32_ratio is None else fmt.significant(point.float32_ratio, 2)
    return [
        name,
        fmt.recall_text(point.recall),
        fmt.thousands(point.qps),
        *((fmt.thousands(point.latency_p99_us),) if singly else ()),
        fmt.thousands(point.bytes_per_vector),
        ratio,
        fmt.significant(point.build_seconds),
        Text("ok" if point.verdict == "ok" else "susp.", style=_VERDICT_STYLES.get(point.verdict, "red")),
    ]


def _none_measured(miss: Point | None) -> Text:
    text = Text("none measured", style="yellow")
    if miss is not None:
        text.append(f"; closest {miss.algorithm} {fmt.recall_text(miss.recall)}", style="dim")
        if miss.float32_ratio is not None:
            text.append(f" {fmt.ratio_text(miss.float32_ratio)}", style="dim")
    return text
