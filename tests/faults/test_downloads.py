"""Downloads that go wrong in every way a real server can make them: resumed, or refused with nothing installed."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loopback_site import Page, Site, answer, claim, drop, in_chunks, pause, stall, trickle

from annbench.datasets.download.attempt import Limits
from annbench.datasets.download.get import GetRequest, Got, get_dataset
from annbench.datasets.download.receipt import read_receipt
from annbench.datasets.download.transfer import Patience
from annbench.datasets.download.verify import verify_dataset
from annbench.errors import DatasetError

NAME = "mine"
PATH = "/some/set.hdf5"
QUICK = Patience(attempts=3, first_wait_seconds=0.01)

pytestmark = pytest.mark.fault(13)


class Ears:
    """Keeps what a download says."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.seen: list[tuple[str, int, int | None]] = []

    def progress(self, phase: str, done: int, total: int | None) -> None:
        self.seen.append((phase, done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


class Downloads:
    """Gets one dataset from the site into a folder of its own."""

    def __init__(self, site: Site, content: bytes, folder: Path) -> None:
        self.site, self.content, self.folder = site, content, folder
        self.page = site.pages[PATH] = Page(content)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.ears = Ears()

    @property
    def target(self) -> Path:
        return self.folder / f"{NAME}.hdf5"

    @property
    def part(self) -> Path:
        return self.folder / ".partial" / NAME / "dataset.hdf5"

    def request(self, **more: Any) -> GetRequest:
        return GetRequest(
            **{"name": NAME, "folder": self.folder, "url": self.site.root + PATH, "patience": QUICK, **more}
        )

    def get(self, **more: Any) -> Got:
        return get_dataset(self.request(**more), self.ears)

    def refused(self, **more: Any) -> DatasetError:
        """The error; an earlier file must be as it was, or none be there."""
        before = self.target.read_bytes() if self.target.exists() else None
        with pytest.raises(DatasetError) as caught:
            self.get(**more)
        assert (self.target.read_bytes() if self.target.exists() else None) == before
        assert caught.value.where
        assert caught.value.remedy
        return caught.value

    def installed(self, got: Got) -> None:
        assert self.target.read_bytes() == self.content
        assert (got.info.n, got.info.sha256, got.info.path) == (4000, self.sha256, str(self.target))
        assert not self.part.parent.exists()

    @property
    def sent_bytes(self) -> int:
        return sum(asked.sent_bytes for asked in self.site.log)


@pytest.fixture
def web(site: Site, dataset_bytes: bytes, tmp_path: Path) -> Downloads:
    return Downloads(site, dataset_bytes, tmp_path / "data")


def test_a_sound_download_is_installed_with_its_receipt(web: Downloads) -> None:
    got = web.get()
    web.installed(got)
    receipt = read_receipt(web.target)
    assert receipt == got.receipt
    assert receipt is not None
    assert receipt.files["dataset"].model_dump() == {
        "url": web.site.root + PATH,
        "sha256": web.sha256,
        "file_bytes": len(web.content),
        "voucher": "first fetch",
        "etag": '"one"',
        "last_modified": None,
    }
    assert any("nobody publishes a checksum" in note and web.sha256 in note for note in web.ears.notes)
    fetched = [(done, total) for phase, done, total in web.ears.seen if phase.startswith("fetching")]
    assert fetched == sorted(fetched)
    assert fetched[-1] == (len(web.content), len(web.content))
    assert web.get().receipt is None
    assert len(web.site.log) == 1


def test_a_broken_connection_goes_on_where_it_broke(web: Downloads) -> None:
    web.page.misdeeds = [drop(700_000), drop(500_000)]
    web.installed(web.get())
    first, second, third = web.site.log
    assert (first.range, first.if_range) == (None, None)
    assert second.range is not None
    assert int(second.range[6:-1]) > 600_000
    assert second.if_range == third.if_range == '"one"'
    # What was in flight when it broke is asked for again, and nothing else.
    assert len(web.content) <= web.sent_bytes <= len(web.content) + 2 * (1 << 17)


def test_a_later_command_goes_on_as_well(web: Downloads) -> None:
    web.page.misdeeds = [drop(900_000), answer(503), answer(503), answer(503)]
    error = web.refused()
    assert "503" in error.message
    assert "MB that arrived are kept" in error.remedy
    assert web.part.stat().st_size > 800_000
    web.installed(web.get())
    assert web.site.log[-1].range is not None
    assert web.sent_bytes < 1.2 * len(web.content)


def test_a_server_without_ranges_sends_it_all_again(web: Downloads) -> None:
    web.page.ranges = False
    web.page.misdeeds = [drop(900_000)]
    web.installed(web.get())
    assert web.site.log[1].range is not None
    assert any("from its beginning" in note for note in web.ears.notes)


def test_a_part_that_nothing_vouches_for_is_not_added_to(web: Downloads) -> None:
    web.page.etag = None
    web.page.misdeeds = [drop(900_000)]
    web.installed(web.get())
    assert [asked.range for asked in web.site.log] == [None, None]


@pytest.mark.parametrize("obedient", [True, False])
def test_a_changed_file_is_not_glued_to_the_old_part(web: Downloads, dataset_bytes: bytes, obedient: bool) -> None:
    web.page.content = bytes(len(dataset_bytes))
    web.page.misdeeds = [drop(900_000), answer(503), answer(503), answer(503)]
    web.refused()
    web.site.pages[PATH] = changed = Page(dataset_bytes, etag='"two"')
    if not obedient:  # sends the rest of the new file although If-Range names the old one
        size = len(dataset_bytes)

        def rest(handler: Any) -> None:
            start = int(handler.asked.range[6:-1])
            stated = f"bytes {start}-{size - 1}/{size}"
            handler.head(206, Content_Range=stated, Content_Length=size - start, ETag='"two"')
            handler.body(dataset_bytes[start:])

        changed.misdeeds = [rest]
    web.installed(web.get())


def test_a_part_longer_than_the_file_starts_anew(web: Downloads) -> None:
    web.page.content = web.content + bytes(1 << 20)
    web.page.misdeeds = [drop(len(web.content) + (1 << 19)), answer(503), answer(503), answer(503)]
    web.refused()
    web.page.content, web.page.misdeeds = web.content, [answer(416, Content_Range=f"bytes */{len(web.content)}")]
    web.installed(web.get())


def test_a_wrong_checksum_shows_both_and_installs_nothing(web: Downloads) -> None:
    error = web.refused(sha256="0" * 64)
    assert web.sha256 in error.message
    assert "0" * 64 in error.message
    assert not web.part.exists()
    web.installed(web.get(sha256=web.sha256.upper()))


def test_the_checksum_that_a_server_states_counts(web: Downloads) -> None:
    web.page.headers = {"X-Linked-ETag": f'"{"a" * 64}"'}
    assert "the server says " + "a" * 64 in web.refused().message
    web.page.headers = {"X-Linked-ETag": f'"{web.sha256}"'}
    got = web.get()
    assert got.receipt is not None
    assert got.receipt.files["dataset"].voucher == "server"
    assert web.ears.notes[-1].startswith("fetching")


def test_later_fetches_are_held_to_the_first(web: Downloads, tmp_path: Path) -> None:
    web.get()
    other = tmp_path / "other.hdf5"
    other.write_bytes(web.content)
    import h5py

    with h5py.File(other, "a") as file:
        file.attrs["more"] = 1
    changed = other.read_bytes()
    web.target.unlink()
    web.site.pages[PATH] = Page(changed, etag='"two"')
    error = web.refused()
    assert web.sha256 in error.message
    assert hashlib.sha256(changed).hexdigest() in error.message
    assert "--force" in error.remedy
    web.get(force=True)
    assert web.target.read_bytes() == changed


def test_verify(web: Downloads) -> None:
    web.get()
    assert verify_dataset(NAME, web.folder).sha256 == web.sha256
    with web.target.open("r+b") as stream:
        stream.seek(1 << 20)
        stream.write(b"\xff")
    with pytest.raises(DatasetError, match=web.sha256):
        verify_dataset(NAME, web.folder)
    (web.folder / f"{NAME}.source.json").unlink()
    with pytest.raises(DatasetError, match="not fetched by annbench"):
        verify_dataset(NAME, web.folder)
    (web.folder / f"{NAME}.source.json").write_text("[]")
    with pytest.raises(DatasetError, match="not a record"):
        verify_dataset(NAME, web.folder)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_refusal_is_final(web: Downloads, status: int) -> None:
    web.page.misdeeds = [answer(status)]
    assert str(status) in web.refused().message
    assert len(web.site.log) == 1


def test_what_may_pass_is_tried_again(web: Downloads) -> None:
    web.page.misdeeds = [answer(status) for status in (408, 425, 429, 500, 502, 503, 504)]
    web.installed(web.get(patience=Patience(attempts=8, first_wait_seconds=0.001)))
    assert len(web.site.log) == 8
    web.page.misdeeds = [answer(503)] * 3
    assert "503 Service Unavailable (failed 3 times in a row)" in web.refused(force=True).message
    assert len(web.site.log) == 8 + 3


def test_retry_after_is_obeyed_within_reason(web: Downloads) -> None:
    web.page.misdeeds = [answer(429, Retry_After=1)]
    started = time.monotonic()
    web.installed(web.get())
    assert time.monotonic() - started > 1
    web.page.misdeeds = [answer(429, Retry_After=3600)]
    assert "3600 s" in web.refused(force=True).message


def test_a_web_page_is_not_a_file(web: Downloads) -> None:
    web.page.misdeeds = [answer(200, b"<html>log in first</html>", Content_Type="text/html; charset=utf-8")]
    assert "web page" in web.refused().message
    web.page.misdeeds = [answer(200, b"<html>log in first</html>", Content_Type="application/octet-stream")]
    assert "not a dataset" in web.refused().message
    web.installed(web.get())


def test_a_redirect_to_http_is_refused_and_not_followed(web: Downloads, untrusted_site: Site) -> None:
    untrusted_site.pages[PATH] = Page(web.content)
    web.page.misdeeds = [answer(302, Location=untrusted_site.root + PATH)]
    error = web.refused()
    assert "not https" in error.message
    assert untrusted_site.root in error.message
    assert untrusted_site.log == []
    assert "not an https address" in web.refused(url=untrusted_site.root + PATH).message
    assert untrusted_site.log == []


def test_redirects(web: Downloads) -> None:
    web.site.pages["/old"] = Page(b"", misdeeds=[answer(301, Location=PATH)])
    web.installed(web.get(url=web.site.root + "/old"))
    web.site.pages["/loop"] = Page(b"", misdeeds=[answer(307, Location="/loop")] * 50)
    assert "redirects without end" in web.refused(url=web.site.root + "/loop", force=True).message
    assert len(web.site.log) < 20


def test_a_server_that_cannot_prove_who_it_is(web: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert "certificate is not trusted" in web.refused().message
    assert web.site.log == []


@pytest.mark.fault(12)
@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/b", ".."])
def test_a_name_that_is_a_path_is_refused_unasked(web: Downloads, tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="not a dataset name"):
        web.get(name=name)
    assert web.site.log == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(12)
def test_a_link_out_of_the_data_folder_is_not_followed(web: Downloads, tmp_path: Path) -> None:
    outside = tmp_path / "outside.hdf5"
    outside.write_bytes(b"precious")
    web.folder.mkdir()
    web.target.symlink_to(outside)
    with pytest.raises(DatasetError, match="link out of the data folder"):
        web.get(force=True)
    web.target.unlink()
    web.part.parent.mkdir(parents=True)
    web.part.symlink_to(outside)
    with suppress(DatasetError):
        web.get()
    assert outside.read_bytes() == b"precious"


def test_nobody_there(web: Downloads) -> None:
    web.site.shutdown()
    web.site.server_close()
    assert "refused" in web.refused().message


def with_stalls_of(seconds: float) -> Patience:
    """Quick, and no more patient than that with a server that stands still; on a busy machine it always may."""
    return replace(QUICK, limits=Limits(stall_seconds=seconds))


def test_a_stall_ends_and_goes_on(web: Downloads) -> None:
    web.page.misdeeds = [stall(900_000, 60)]
    web.installed(web.get(patience=with_stalls_of(2)))
    assert any("nothing arrived for 2 s" in note for note in web.ears.notes)
    assert web.site.log[1].range is not None
    web.page.misdeeds = [stall(0, 60)] * 3
    assert "nothing arrived for 0.5 s" in web.refused(patience=with_stalls_of(0.5), force=True).message


def test_a_trickle_is_not_a_stall(web: Downloads) -> None:
    web.page.misdeeds = [trickle(8, 0.5)]  # longer in all than a stall may be
    web.installed(web.get(patience=with_stalls_of(3)))
    assert len(web.site.log) == 1


def test_a_content_length_below_what_comes(web: Downloads) -> None:
    web.page.misdeeds = [claim(Content_Length=len(web.content) - 1000)]
    assert "not a dataset" in web.refused().message


def test_a_content_length_above_what_comes(web: Downloads) -> None:
    web.page.misdeeds = [claim(Content_Length=len(web.content) + 1000)] * 50
    assert "ended early" in web.refused().message
    assert len(web.site.log) < 10
    web.page.misdeeds = []
    web.installed(web.get())


def test_a_content_length_beyond_the_disk(web: Downloads) -> None:
    web.page.misdeeds = [claim(Content_Length=10**17)]
    error = web.refused()
    assert "needs 100,000,000,000 MB" in error.message
    assert "--data-dir" in error.remedy
    assert not web.part.exists()


@pytest.mark.parametrize("stated", ["-5", "many", "9" * 5000])
def test_a_content_length_that_is_none(web: Downloads, stated: str) -> None:
    web.page.misdeeds = [claim(Content_Length=stated)]
    assert "states a length of" in web.refused().message


def test_no_content_length_at_all(web: Downloads) -> None:
    web.page.misdeeds = [in_chunks]
    web.installed(web.get())
    assert all(total is None for phase, _, total in web.ears.seen if phase.startswith("fetching"))


def test_compressed_on_the_way_is_refused(web: Downloads) -> None:
    web.page.misdeeds = [claim(Content_Encoding="gzip")]
    assert "compressed" in web.refused().message


def test_an_earlier_file_survives_every_failure(web: Downloads, tmp_path: Path) -> None:
    web.get()
    for misdeed in (answer(404), answer(200, b"junk"), claim(Content_Length=10**17)):
        web.page.misdeeds = [misdeed]
        web.refused(force=True)
    assert verify_dataset(NAME, web.folder).sha256 == web.sha256


def test_a_sound_file_of_another_metric_than_the_catalogue_says_is_told(web: Downloads) -> None:
    web.get(name="sift-128-euclidean")
    assert "the catalogue says n = 1000000, the file has 4000" in web.ears.notes


SCRIPT = """\
import json, pathlib, resource, signal, sys
from annbench.cli.main import main
limit = int(sys.argv[1])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
signal.signal(signal.SIGINT, signal.default_int_handler)
main(sys.argv[2:])
"""


def command(web: Downloads, *more: str, limit: int = 0) -> list[str]:
    get = ["data", "get", NAME, "--url", web.site.root + PATH, "--data-dir", str(web.folder)]
    return [sys.executable, "-c", SCRIPT, str(limit), *get, *more]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.fault(27)
def test_a_disk_that_takes_no_more(web: Downloads) -> None:
    done = subprocess.run(command(web, limit=1_000_000), capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr
    assert "make room" in done.stderr
    assert done.stdout == ""
    assert not web.target.exists()
    assert web.part.stat().st_size == 1_000_000
    web.installed(web.get())
    assert web.site.log[-1].range == "bytes=1000000-"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_killed_get_goes_on(web: Downloads, number: signal.Signals, code: int) -> None:
    web.page.misdeeds = [stall(1_200_000, 120)]
    running = subprocess.Popen(command(web), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: web.part.exists() and web.part.stat().st_size > 1_000_000)
    running.send_signal(number)
    out, err = running.communicate(timeout=300)
    assert running.returncode == code, err
    assert out == ""
    if code == 130:
        assert "the same command goes on" in err
    assert not web.target.exists()
    web.installed(web.get())
    assert web.site.log[-1].range is not None
    assert int(web.site.log[-1].range[6:-1]) > 1_000_000


def test_two_at_once_fetch_once(web: Downloads, tmp_path: Path) -> None:
    met = threading.Event()
    web.page.misdeeds = [pause(1000, met)]
    said = tmp_path / "said"
    with said.open("w") as stderr:
        both = [subprocess.Popen(command(web), stdout=subprocess.PIPE, stderr=stderr, text=True) for _ in range(2)]
    until(lambda: "waiting for it" in said.read_text())
    met.set()
    told = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said.read_text()
    assert sorted("here already" in out for out in told) == [False, True]
    assert len(web.site.log) == 1
    assert web.target.read_bytes() == web.content
