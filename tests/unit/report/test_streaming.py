"""Runbooks in a report: what the tables say, which picture is drawn, and that nothing else changes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from synthetic_records import make_record

from annbench.errors import NothingComparableError
from annbench.metrics.stream import CallTimes, StreamStep, StreamSummary
from annbench.report.content import report_content
from annbench.report.markdown import stream_sections
from annbench.report.streaming import steps_frame, stream_settings
from annbench.report.streaming_plot import stream_figure
from annbench.report.terminal import answer_table, points_table, streams_as_tables
from annbench.results.schema import Record

GOLDEN = Path(__file__).with_name("golden") / "streaming.md"
KEY = {"runbook_sha256": "ab" * 32, "update_batch": 100, "index_bytes": True}


def streamed(
    algorithm: str, *, recall: float = 0.9, qps: float = 1000.0, worker: int = 0, replaces: bool = False
) -> Record:
    """A record of a runbook: insert, search, insert, delete, search."""
    found = make_record(algorithm=algorithm, worker=worker).recall
    assert found is not None
    times = CallTimes(calls=10, p50_us=100, p95_us=200, p99_us=1234, max_us=5000)
    steps = []
    for operation, present in (("insert", 100), ("search", 100), ("insert", 150), ("delete", 90), ("search", 90)):
        searches = operation == "search"
        steps.append(
            StreamStep(
                operation=operation, count=1000 if searches else 50, present=present, seconds=0.5,
                per_second=qps if searches else 100.0, times=times,
                recall=found.model_copy(update={"recall_at_k": recall}) if searches else None,
                index_bytes=present * 400 if searches else None,
            )
        )  # fmt: skip
    summary = StreamSummary(
        runbook="sliding-window: 3 parts", start_seconds=0.25, recall_mean=recall, recall_min=recall - 0.01,
        recall_min_step=5, qps=qps, search=times, updates_per_second=100, inserts_per_second=120,
        deletes_per_second=None if replaces else 80, replaces_per_second=60 if replaces else None, insert=times,
        delete=None if replaces else times, replace=times if replaces else None, index_bytes_max=40_000,
        bytes_per_vector_max=400, resident_bytes_max=None, steps=tuple(steps),
    )  # fmt: skip
    return _as_stream(make_record(algorithm=algorithm, worker=worker), stream=summary)


def failed(algorithm: str) -> Record:
    record = make_record(algorithm=algorithm, status="unsupported", verdict="invalid", detail="it | cannot")
    return _as_stream(record, stream=None)


def _as_stream(record: Record, **update: object) -> Record:
    key = record.key.model_copy(update={"task": "streaming", "stream": KEY})
    return record.model_copy(update={"key": key, "recall": None, "time": None, "build": None, "load": None, **update})


RECORDS = (
    streamed("hnswlib", recall=0.9, qps=900),
    streamed("hnswlib", recall=0.9, qps=1000, worker=1),
    streamed("hnswlib", recall=0.9, qps=2000, worker=2),
    streamed("composed", recall=0.95),
    failed("faiss-hnsw"),
)


def test_the_markdown_is_as_agreed() -> None:
    streams = stream_settings(RECORDS)
    text = "\n\n".join(stream_sections(streams, {streams[0].slug: "plots/it.png"})) + "\n"
    assert text == GOLDEN.read_text(), "if that is meant: write the new text into the golden file"


def test_of_several_workers_the_middle_one_is_shown() -> None:
    (stream,) = stream_settings(RECORDS)
    row = next(row for row in stream.rows if row.algorithm == "hnswlib")
    assert row.workers == 3
    assert row.summary is not None
    assert row.summary.qps == 1000


def test_runbooks_and_data_are_kept_apart() -> None:
    other = RECORDS[3].model_copy(
        update={"key": RECORDS[3].key.model_copy(update={"stream": {**KEY, "runbook_sha256": "cd" * 32}})}
    )
    streams = stream_settings([*RECORDS, other])
    assert len(streams) == len({stream.slug for stream in streams}) == 2


def test_columns_are_of_what_happened() -> None:
    (stream,) = stream_settings([streamed("hnswlib", replaces=True)])
    (text,) = [part for part in stream_sections([stream], {}) if part.startswith("|")]
    assert "replaces/s" in text
    assert "deletes/s" not in text


def test_a_panel_for_whatever_was_done() -> None:
    (stream,) = stream_settings(RECORDS)
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in stream_figure(stream).axes]
    assert [title.split(" ")[0] for title in titles] == ["recall@k", "QPS", "inserts", "deletes", "index"]
    insertions = stream_figure(stream).axes[2].lines[0]
    assert insertions.get_xdata().tolist() == [3]  # the first step makes the index


def test_steps_are_a_table() -> None:
    frame = steps_frame(stream_settings(RECORDS))
    assert len(frame) == 10
    assert {"step", "operation", "count", "present", "per_second", "p99_us", "recall_at_k", "index_bytes"} <= set(frame)


def test_tables_about_indexes_do_not_see_them() -> None:
    searched = make_record(algorithm="hnswlib")
    content = report_content([searched, *RECORDS], title="t")
    assert len(content.records) == len(content.settings) == len(content.streams) == 1
    assert "1 runbook: 3 points, 2 ran to the end" in content.summary
    assert report_content(RECORDS, title="t").settings == []
    with pytest.raises(NothingComparableError, match="unsupported"):
        report_content([failed("faiss-hnsw")], title="t")


def test_the_terminal_shows_them() -> None:
    console = Console(width=160, file=io.StringIO())
    console.print(streams_as_tables(stream_settings(RECORDS)))
    console.print(answer_table(RECORDS))
    console.print(points_table(RECORDS))
    text = console.file.getvalue()
    assert "Streaming: wordnet-minilm-384-angular · sliding-window: 3 parts" in text
    assert "unsupported" in text
    assert "Which index" not in text
