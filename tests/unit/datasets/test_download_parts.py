"""What is remembered of a download between two commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annbench.datasets.download.failures import refusal
from annbench.datasets.download.partial import Origin, PartialFile
from annbench.datasets.download.receipt import FetchedFile, Receipt, read_receipt, receipt_path, write_receipt
from annbench.errors import DatasetError

URL = "https://example.org/a.hdf5"
NOON, LATER = "Sat, 21 Nov 2026 12:00:00 GMT", "Sat, 21 Nov 2026 12:00:01 GMT"


def origin(total: int | None = 100, **headers: str) -> Origin:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Origin.of(URL, named, total_bytes=total, whole_bytes=total, stated_sha256=None)


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"a"'}, '"a"'),
        ({"ETag": 'W/"a"'}, None),  # says that it means the same, not that it is the same
        ({"ETag": 'W/"a"', "Last_Modified": NOON, "Date": LATER}, NOON),
        ({"Last_Modified": NOON, "Date": NOON}, None),  # may have changed within that second
        ({"Last_Modified": NOON}, None),
        ({"Last_Modified": "long ago", "Date": LATER}, None),
        ({}, None),
    ],
)
def test_what_vouches_for_a_part(headers: dict[str, str], validator: str | None) -> None:
    assert origin(**headers).validator == validator


def test_a_part_is_known_by_its_address_and_size(tmp_path: Path) -> None:
    part = PartialFile(tmp_path / "a.hdf5")
    part.start_over(origin(ETag='"a"'))
    assert part.origin(URL) is None  # nothing is here
    with part.append() as stream:
        stream.write(b"x" * 60)
    assert part.origin(URL) == origin(ETag='"a"')
    assert part.origin(URL, first_bytes=100) is not None
    assert part.origin(URL, first_bytes=90) is None
    assert part.origin(URL + "?") is None
    assert not part.is_complete(URL)
    with part.append() as stream:
        stream.write(b"x" * 40)
    assert part.is_complete(URL)
    with part.append() as stream:
        stream.write(b"x")
    assert part.origin(URL) is None  # longer than the file


@pytest.mark.parametrize("state", ["", "{", "[]", "null", json.dumps({"url": URL}), "\x00" * 100])
def test_a_damaged_description_is_none(tmp_path: Path, state: str) -> None:
    (tmp_path / "a.hdf5").write_bytes(b"xxx")
    (tmp_path / "a.hdf5.json").write_text(state)
    assert PartialFile(tmp_path / "a.hdf5").origin(URL) is None


def test_a_receipt_comes_back(tmp_path: Path) -> None:
    dataset = tmp_path / "a.b.hdf5"
    assert read_receipt(dataset) is None
    file = FetchedFile(url=URL, sha256="0" * 64, file_bytes=3, voucher="first fetch", etag='"a"')
    receipt = Receipt(name="a.b", fetched_utc="2026-11-21", sha256="0" * 64, file_bytes=3, files={"dataset": file})
    write_receipt(receipt, dataset)
    assert read_receipt(dataset) == receipt
    assert [path.name for path in tmp_path.iterdir()] == ["a.b.source.json"]
    receipt_path(dataset).write_text(receipt.model_dump_json().replace('"version":1', '"version":2'))
    with pytest.raises(DatasetError, match="not a record"):
        read_receipt(dataset)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("", 0), ("soon", 0), ("-1", 0), (NOON.replace("2026", "2001"), 0), ("٣", 0)],
)
def test_how_long_a_server_asks_to_be_left_alone(text: str, seconds: float) -> None:
    from requests import Response

    response = Response()
    response.status_code, response.reason = 429, "Too Many Requests"
    response.headers["Retry-After"] = text
    assert getattr(refusal(response, URL), "wait_seconds", None) == seconds
