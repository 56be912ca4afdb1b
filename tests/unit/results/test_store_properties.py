"""What holds for any record, any name, any damage and any order of events."""

from __future__ import annotations

import json
import shutil
import string
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from synthetic_records import example_dataset, make_record

from annbench.errors import ResultError
from annbench.results.container import read_arrays, read_record, read_whole, write_container
from annbench.results.garbage import Choice, find_garbage, remove
from annbench.results.schema import BuildSummary, Record, canonical_json, digest_of
from annbench.results.store import ResultStore, safe_name

# Any text that JSON and a file can hold: lone surrogates are no characters.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([-0.0, 0.0, 1, 1.0, True])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
PARAMETERS = st.dictionaries(TEXT, VALUES, max_size=4)
ARRAYS = st.dictionaries(
    st.text(string.ascii_lowercase, min_size=1, max_size=8),
    st.sampled_from(["<i4", "<i8", "<f4", "<f8"]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=6))
    ),
    max_size=3,
)


def spelt(value: Any) -> str:
    """With the type of every value, as Python sees it: 1, 1.0 and True differ, and so do 0.0 and −0.0."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{spelt(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(spelt(item) for item in value) + "]"
    return f"{type(value).__name__} {value!r}"


@settings(max_examples=60, deadline=None)
@given(build=PARAMETERS, search=PARAMETERS, note=TEXT, arrays=ARRAYS)
def test_any_record_and_arrays_come_back_as_they_were(build: Any, search: Any, note: str, arrays: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ResultStore(Path(folder))
        record = make_record(build=build, search=search).model_copy(update={"notes": (note,)})
        path = store.write(record, arrays)
        assert store.read(path) == record
        found = store.find(record.dataset.name, record.key.algorithm, record.key.digest)
        assert found is not None
        assert spelt(found.key.build) == spelt(build)
        back = store.arrays(record)
        assert set(back) == set(arrays)
        for name, array in arrays.items():
            assert back[name].dtype == array.dtype
            np.testing.assert_array_equal(back[name], array)


@settings(max_examples=150, deadline=None)
@given(
    name=st.one_of(TEXT, st.sampled_from(["..", ".", "", "../../x", "/etc/passwd", ".builds", "a/../..", "x" * 300]))
)
def test_no_name_leads_out_of_the_folder_or_hides_in_it(name: str) -> None:
    folder = Path("/some/results")
    store = ResultStore(folder)
    data = example_dataset().model_copy(update={"name": name})
    record = make_record(algorithm=name, dataset=data)
    path = store.path_of(record)
    assert path.resolve().is_relative_to(folder)
    assert len(path.relative_to(folder).parts) == 3
    assert not any(part.startswith(".") for part in path.relative_to(folder).parts)
    assert len(safe_name(name).encode()) <= 255


@settings(max_examples=150, deadline=None)
@given(first=PARAMETERS, second=PARAMETERS)
def test_one_digest_one_value(first: Any, second: Any) -> None:
    assert (digest_of(first) == digest_of(second)) == (spelt(first) == spelt(second))


@settings(max_examples=100, deadline=None)
@given(value=PARAMETERS, data=st.data())
def test_the_order_of_keys_and_a_way_through_a_file_change_no_digest(value: Any, data: st.DataObject) -> None:
    shuffled = dict(data.draw(st.permutations(list(value.items()))))
    assert digest_of(shuffled) == digest_of(value)
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@pytest.mark.fault(31)
def test_parameters_that_differ_by_a_sign_or_a_dot_are_different_files(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    values = [1, -1, 1.0, True, "1", "-1", "+1", "1.", ".1", 0.1, -0.1, 0.0, -0.0, [1], ["1"], {"a": 1}, None, "", " "]
    names = ["a", "a.", "a-", "-a", "a ", "A", "\u00e4", "a\u0308", "a_"]  # ä as one character, and as two
    records = [make_record(build={"p": value}) for value in values] + [make_record(build={name: 1}) for name in names]
    records += [make_record(search={"p": value}) for value in values[:3]]
    paths = [store.write(record, {"ids": np.array([i])}) for i, record in enumerate(records)]
    assert len(set(paths)) == len(records)
    for i, record in enumerate(records):
        assert store.arrays(record)["ids"].tolist() == [i]
        assert store.find(record.dataset.name, record.key.algorithm, record.key.digest) == record


@pytest.mark.fault(31)
def test_algorithms_that_share_a_folder_do_not_share_a_file(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    records = [make_record(algorithm=name) for name in ("a/b", "a_b", "a:b", "a b", ".a_b", "a_b.", "a\x00b")]
    for i, record in enumerate(records):
        store.write(record, {"ids": np.array([i])})
    assert len({path.parent for path in store.paths()}) == 1
    assert len(store.paths()) == len(records)
    for i, record in enumerate(records):
        assert store.arrays(record)["ids"].tolist() == [i]
    assert {record.key.algorithm for record in store.records()} == {record.key.algorithm for record in records}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, int]:
    """A file with a real record, its bytes, and how many of them are in front of the arrays."""
    path = tmp_path_factory.mktemp("damage") / "a.h5"
    record = canonical_json(make_record().model_dump(mode="json")).encode()
    write_container(path, record, {"ids": np.arange(12).reshape(4, 3)})
    content = path.read_bytes()
    return path, content, content.index(b"\x89HDF")


def test_no_length_but_the_whole_is_believed(whole: tuple[Path, bytes, int]) -> None:
    path, content, _ = whole
    for length in (*range(0, 200), *range(200, len(content), 61), len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ResultError):
            read_whole(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ResultError):
        read_whole(path)


@settings(max_examples=250, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), front=st.booleans())
def test_no_flipped_bit_changes_what_is_read(
    whole: tuple[Path, bytes, int], where: float, bit: int, front: bool
) -> None:
    path, content, start = whole
    altered = bytearray(content)
    position = int(where * (start if front else len(content)))
    altered[position] ^= 1 << bit
    path.write_bytes(altered)
    try:
        record, arrays = read_record(path), read_arrays(path)
    except ResultError:
        return
    # Only the zeros between record and arrays may differ: nothing is read there.
    assert content[position] == 0
    assert record in content
    assert arrays["ids"].tolist() == np.arange(12).reshape(4, 3).tolist()


@settings(max_examples=100, deadline=None)
@given(content=st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(lambda b: b"annbench-result 1\n" + b)))
def test_no_file_makes_reading_crash(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data" / "algorithm" / "a.h5"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        store, said = ResultStore(Path(folder)), []
        assert list(store.records(on_damage=said.append)) == []
        assert len(said) == 1
        with pytest.raises(ResultError):
            read_arrays(path)


class StoreMachine(RuleBasedStateMachine):
    """Writes, damages, drops and cleans in any order; a dictionary says what must be found."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = ResultStore(self.folder)
        self.points: dict[Path, tuple[Record, int]] = {}
        self.damaged: set[Path] = set()
        self.builds: dict[str, bool] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(ef=st.integers(0, 5), algorithm=st.sampled_from(["a/b", "a_b"]), content=st.integers(0, 99), ok=st.booleans())
    def write(self, ef: int, algorithm: str, content: int, ok: bool) -> None:
        record = make_record(algorithm=algorithm, search={"ef": ef}, status="ok" if ok else "crashed")
        path = self.store.write(record, {"ids": np.array([content])})
        self.points[path] = record, content
        self.damaged.discard(path)

    @rule(data=st.data(), cut=st.booleans())
    def damage(self, data: st.DataObject, cut: bool) -> None:
        assume(self.points)
        path = data.draw(st.sampled_from(sorted(self.points)))
        content = bytearray(path.read_bytes())
        content[-9] ^= 1
        path.write_bytes(content[: len(content) // 2] if cut else content)
        del self.points[path]
        self.damaged.add(path)

    @rule(number=st.integers(0, 2), complete=st.booleans())
    def build(self, number: int, complete: bool) -> None:
        digest = digest_of(number)
        (self.store.build_folder(digest) / "index" / "graph").write_bytes(b"graph")
        if complete:
            summary = BuildSummary(
                build_seconds=1.0, save_seconds=0.1, build_peak_bytes=1, index_bytes=5, index_crc32c="00000000",
                build_cpu_ratio=1.0, build_thread_count=1,
            )  # fmt: skip
            self.store.keep_build(digest, summary)
        self.builds[digest] = complete

    @rule(number=st.integers(0, 2))
    def drop(self, number: int) -> None:
        self.store.drop_build(digest_of(number))
        self.builds.pop(digest_of(number), None)

    @rule(failed=st.booleans(), damaged=st.booleans(), everywhere=st.booleans())
    def collect(self, failed: bool, damaged: bool, everywhere: bool) -> None:
        choice = Choice(failed=failed, damaged=damaged, algorithm=None if everywhere else "a_b")
        with self.store.holding():
            remove(self.store, find_garbage(self.store, choice))
            assert find_garbage(self.store, choice) == []
        self.damaged.clear()  # both algorithms have the same folder, and a damaged file tells no more
        if everywhere:
            self.builds.clear()
        if failed:
            self.points = {
                path: (record, content)
                for path, (record, content) in self.points.items()
                if record.status == "ok" or (not everywhere and record.key.algorithm != "a_b")
            }

    @rule()
    def measure(self) -> None:
        with self.store.measuring() as scratch:
            (scratch / "spool.npz").write_bytes(b"ids")

    @invariant()
    def finds_what_was_written(self) -> None:
        for record, content in self.points.values():
            assert self.store.find(record.dataset.name, record.key.algorithm, record.key.digest) == record
            assert self.store.arrays(record)["ids"].tolist() == [content]
        assert set(self.store.paths()) == set(self.points) | self.damaged
        for digest in map(digest_of, range(3)):
            assert (self.store.kept_build(digest) is not None) == self.builds.get(digest, False)
        assert not self.store.is_held()
        assert self.store.temporaries() == []
        assert not (self.folder / ".scratch").exists()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
