"""Garbage: found without touching anything, deleted only when asked, and never what is of use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic_records import example_dataset, make_record

from annbench.errors import ResultError, UnknownNameError, UsageError
from annbench.results.container import MAGIC
from annbench.results.garbage import Choice, find_garbage, remove, size_of
from annbench.results.stale import Reason
from annbench.results.store import ResultStore

IDS = {"ids": np.arange(12).reshape(4, 3)}


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """A good point, a failed one, and three damaged ones; a temporary file; a whole and a half-built index."""
    store = ResultStore(tmp_path / "results")
    store.write(make_record(search={"ef": 1}), IDS)
    store.write(make_record(search={"ef": 2}, status="crashed", detail="SIGSEGV"), {})
    cut = store.write(make_record(search={"ef": 3}), IDS)
    cut.write_bytes(cut.read_bytes()[:700])
    flipped = store.write(make_record(search={"ef": 4}), IDS)
    content = bytearray(flipped.read_bytes())
    content[-3] ^= 8
    flipped.write_bytes(content)
    moved = store.write(make_record(search={"ef": 5}), IDS)
    moved.rename(moved.with_name("0" * 32 + ".h5"))
    (cut.parent / f".{'a' * 32}.h5.123-ab.tmp").write_bytes(b"half")
    (store.build_folder("d" * 64) / "index" / "graph").write_bytes(b"12345")
    whole = store.build_folder("e" * 64)
    (whole / "index" / "graph").write_bytes(b"12345")
    (whole / "build.json").write_text("{}")
    return store


def tree(store: ResultStore) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}


def kinds(store: ResultStore, choice: Choice, **options: bool) -> list[str]:
    return [waste.kind for waste in find_garbage(store, choice, **options)]


def test_looking_touches_nothing(store: ResultStore) -> None:
    before = tree(store)
    found = find_garbage(store, Choice(failed=True, damaged=True))
    assert sorted(waste.kind for waste in found) == [
        "build", "build", "damaged", "damaged", "damaged", "failed", "temporary"
    ]  # fmt: skip
    assert tree(store) == before
    why = {waste.why for waste in found}
    assert {"crashed: SIGSEGV", "half-built index", "half-written by a dead process"} <= why
    assert {"the arrays' checksum does not match", "lies where another point belongs"} <= why
    assert sum(waste.file_bytes for waste in found) == sum(size_of(waste.path) for waste in found) > 0


def test_leftovers_go_damaged_files_are_set_aside_and_results_stay(store: ResultStore) -> None:
    good = {path: content for path, content in tree(store).items() if path in list(store.paths())[:]}
    found = find_garbage(store, Choice())
    freed = remove(store, found)
    assert freed == sum(waste.file_bytes for waste in found if not waste.set_aside)
    assert [record.key.search["ef"] for record in store.records(on_damage=pytest.fail)] != []
    assert sorted(record.key.search["ef"] for record in store.records()) == [1, 2]
    assert store.builds() == store.temporaries() == []
    aside = sorted((store.folder / ".damaged").iterdir())
    assert len(aside) == 3
    assert {path.read_bytes() for path in aside} <= set(good.values())
    assert kinds(store, Choice()) == []
    assert kinds(store, Choice(damaged=True)) == ["set aside"] * 3
    remove(store, find_garbage(store, Choice(damaged=True, failed=True)))
    assert not (store.folder / ".damaged").exists()
    assert [record.key.search["ef"] for record in store.records()] == [1]


def test_what_a_live_run_uses_is_not_looked_at(store: ResultStore) -> None:
    assert set(kinds(store, Choice(), held_by_another=True)) == {"damaged"}


def test_a_restriction_keeps_everything_else(store: ResultStore) -> None:
    other = make_record(algorithm="other", status="oom", dataset=example_dataset("another"))
    path = store.write(other, {})
    for choice in (Choice(failed=True, dataset="another"), Choice(failed=True, algorithm="other")):
        (waste,) = find_garbage(store, choice)
        assert (waste.kind, waste.path) == ("failed", path)
    assert kinds(store, Choice(failed=True, dataset="another", algorithm="hnswlib")) == []
    remove(store, find_garbage(store, Choice(failed=True, dataset="another")))
    assert not path.parent.exists()
    assert store.folder.exists()


def test_stale_points_go_for_their_reasons(store: ResultStore) -> None:
    record = make_record(search={"ef": 1})
    for cause, kind in (("superseded", "superseded"), ("library", "stale")):
        reasons = (Reason(cause, "said so"), Reason("dataset", "and so"))
        stale = {record.key.digest: reasons}
        (waste,) = [w for w in find_garbage(store, Choice(stale=stale, algorithm="hnswlib")) if w.kind != "damaged"]
        assert (waste.kind, waste.why, waste.path) == (kind, "said so; and so", store.path_of(record))


def test_a_file_of_another_version_of_annbench_stays(store: ResultStore) -> None:
    newer = store.path_of(make_record(search={"ef": 9}))
    newer.write_bytes(MAGIC.replace(b"1", b"2") + b"who knows")
    foreign = store.write(make_record(search={"ef": 8}), IDS)
    from annbench.results.container import write_container

    write_container(foreign, b'{"a schema": "of tomorrow"}', IDS)
    remove(store, find_garbage(store, Choice(damaged=True, failed=True)))
    assert newer.exists()
    assert foreign.exists()


def test_a_link_is_deleted_and_not_followed(store: ResultStore, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"keep")
    (store.folder / ".builds" / ("f" * 32)).symlink_to(precious)
    remove(store, find_garbage(store, Choice()))
    assert store.builds() == []
    assert (precious / "file").read_bytes() == b"keep"


def test_points_are_found_by_the_first_digits_of_their_digest(store: ResultStore) -> None:
    record = make_record(search={"ef": 1})
    digest = record.key.digest
    for given in (digest, digest[:12], digest[:12].upper()):
        assert store.path_starting(given) == store.path_of(record)
    with pytest.raises(UsageError, match="no point has"):
        store.path_starting("xyz")
    with pytest.raises(UsageError, match="no point has"):
        store.path_starting("")
    shared = next(d for d in "0123456789abcdef" if sum(p.stem.startswith(d) for p in store.paths()) != 1)
    with pytest.raises(UsageError):
        store.path_starting(shared)


def test_an_ambiguous_digest_lists_the_candidates(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    for ef in range(17):  # of 17 digests, two begin alike
        store.write(make_record(search={"ef": ef}), {})
    first = [path.stem[0] for path in store.paths()]
    digit = next(d for d in first if first.count(d) > 1)
    with pytest.raises(UsageError, match=f"{first.count(digit)} points have") as caught:
        store.path_starting(digit)
    assert "give more digits" in caught.value.remedy


def test_a_name_that_no_result_has_is_refused(store: ResultStore) -> None:
    store.check_names("wordnet-minilm-384-angular", "hnswlib")
    with pytest.raises(UnknownNameError, match="did you mean hnswlib"):
        store.check_names(None, "hnswlb")


@pytest.fixture
def command(store: ResultStore):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "annbench.cli.main", "results", *arguments, "--results", str(store.folder)],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    return run


def test_nothing_is_deleted_while_a_run_holds_the_folder(store: ResultStore, command) -> None:
    before = tree(store)
    digest = make_record(search={"ef": 1}).key.digest
    with store.holding():
        for arguments in (("gc", "--delete"), ("rm", digest)):
            done = command(*arguments)
            assert done.returncode == 2
            assert "a run is writing into this folder; wait until it has finished" in done.stderr.replace("\n", " ")
        dry = command("gc", "--json")
        assert {item["kind"] for item in json.loads(dry.stdout)["items"]} == {"damaged"}
        assert "a run is writing into this folder" in dry.stderr
    assert {path: content for path, content in tree(store).items() if path.name != ".lock"} == before
    assert command("rm", digest).returncode == 0
    assert not store.path_of(make_record(search={"ef": 1})).exists()


def test_a_refusal_to_delete_says_where(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_garbage(store, Choice())

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)  # root is refused nothing
    with pytest.raises(ResultError, match="cannot delete: Permission denied"):
        remove(store, found)
