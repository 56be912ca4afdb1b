import pytest
from synthetic_records import example_dataset, make_record

from annbench.report.setting import settings_of, slugify
from annbench.results.frame import points_frame, records_frame


def settings(*records):
    return settings_of(points_frame(records_frame(records)))


def test_settings_are_what_must_not_be_compared():
    base = make_record()
    moved = base.model_copy(update={"key": base.key.model_copy(update={"machine_id": "machine-b"})})
    fewer = base.model_copy(update={"key": base.key.model_copy(update={"queries": 10})})
    found = settings(base, make_record(mode="batch"), make_record(threads=2), make_record(k=100), moved, fewer)
    assert len(found) == 6
    assert len({s.title for s in found}) == 6
    assert len({s.slug for s in found}) == 6


def test_title_names_what_differs_and_no_more():
    (only,) = settings(make_record())
    assert only.title == "wordnet-minilm-384-angular · k = 10 · single · 1 thread"
    assert only.slug == "wordnet-minilm-384-angular-k-10-single-1-thread"


def test_single_comes_before_batch_before_clients():
    found = settings(make_record(mode="clients:2"), make_record(mode="batch"), make_record(mode="single"))
    assert [s.mode for s in found] == ["single", "batch", "clients:2"]


def test_two_files_of_one_name_are_two_settings():
    one = make_record()
    changed = example_dataset().model_copy(update={"sha256": "f" * 64})
    assert len({s.title for s in settings(one, make_record(dataset=changed))}) == 2


def test_overhead_is_no_contender_and_failures_have_no_points():
    (only,) = settings(make_record(algorithm="null"), make_record(status="oom", verdict="invalid"))
    assert (len(only.points), only.algorithms) == (0, [])


@pytest.mark.parametrize("hostile", ["../../etc/passwd", "/abs", ".hidden", "a\nb", "x" * 500, "", "…", "con: <b>"])
def test_slugs_are_file_names(hostile):
    slug = slugify(hostile)
    assert slug
    assert len(slug) <= 100
    assert "/" not in slug
    assert not slug.startswith(".")
    assert slug.isascii()
    assert slug.isprintable()
