import pandas as pd
import pytest
from synthetic_records import make_record

from annbench.errors import NothingComparableError, UnknownNameError, UsageError
from annbench.report import write_content, write_report
from annbench.report.content import report_content
from annbench.report.plots import pareto_figure
from annbench.report.select import select_records


def test_writes_every_format(content, run_records, tmp_path):
    paths = write_content(content, tmp_path)
    assert all(path.stat().st_size > 500 for path in paths.all())
    assert {p.name for p in tmp_path.iterdir()} == {
        "report.md",
        "report.html",
        "results.csv",
        "front.csv",
        "plots",
    }
    assert len(paths.plots) == 2 * len(content.settings)
    assert all(f"plots/{s.slug}.png" in paths.markdown.read_text() for s in content.settings)
    results = pd.read_csv(paths.results_csv, low_memory=False)
    assert len(results) == len(run_records)
    assert results["record_id"].tolist() == [r.key.digest for r in run_records]
    assert pd.read_csv(paths.front_csv, low_memory=False)["config_yaml"].notna().all()


def test_pictures_are_the_same_for_the_same_results(tmp_path):
    for name in ("a", "b"):
        write_report([make_record()], tmp_path / name, title="x", formats=["svg"])
    first, second = (sorted((tmp_path / name / "plots").iterdir()) for name in ("a", "b"))
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_only_what_was_asked_for(content, tmp_path):
    paths = write_content(content, tmp_path, formats=["md"])
    assert paths.all() == [tmp_path / "report.md"]
    assert list(tmp_path.iterdir()) == [tmp_path / "report.md"]


def test_an_unknown_format_is_refused_before_anything_is_written(content, tmp_path):
    with pytest.raises(UsageError, match="pdf"):
        write_content(content, tmp_path / "new", formats=["md", "pdf"])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([], "there are no results"),
        ([make_record(algorithm="null")], "null adapter"),
        (
            [make_record(status="oom", verdict="invalid"), make_record(verdict="invalid", worker=1)],
            "1 oom, 1 invalid",
        ),
    ],
)
def test_nothing_comparable_says_why_and_what_to_do(records, why, tmp_path):
    with pytest.raises(NothingComparableError, match=why) as caught:
        write_report(records, tmp_path / "new", title="x")
    assert caught.value.remedy
    assert caught.value.exit_code == 3
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("count", [1, 12])
def test_one_and_twelve_algorithms_plot_with_the_legend_beside_the_data(count):
    records = [
        make_record(
            algorithm=f"$algorithm_{i}^{{" + "x" * 70 * (i == 3),
            recall=r,
            qps=100 / (1 - r + 0.01) * (i + 1),
            search={"ef": e},
        )
        for i in range(count)
        for e, r in enumerate((0.5, 0.9, 1.0))
    ]
    content = report_content(records, title="x")
    figure = pareto_figure(content.settings[0], content.styles)
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert len(figure.legends[0].get_texts()) == count
    assert figure.bbox.x1 >= legend.x1
    for axes in figure.axes:
        assert not axes.get_tightbbox().overlaps(legend)


def test_a_single_exact_point_can_be_plotted(tmp_path):
    write_report([make_record(recall=1.0, build_seconds=0.0)], tmp_path, title="x", formats=["png", "html"])


def test_selection_keeps_the_overhead_and_names_what_is_unknown():
    records = [make_record(), make_record(algorithm="other"), make_record(algorithm="null")]
    kept = select_records(records, algorithms=["other"])
    assert [r.key.algorithm for r in kept] == ["other", "null"]
    assert select_records(records, datasets=[records[0].dataset.name]) == records
    with pytest.raises(UnknownNameError, match="did you mean hnswlib"):
        select_records(records, algorithms=["hnswlb"])
