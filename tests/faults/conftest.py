"""Lets the tests of this folder share `loopback_site`, and gives them one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from loopback_site import CERTIFICATE, Site


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server that this process and its children trust."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with Site(tls=True) as one:
        yield one


@pytest.fixture
def untrusted_site() -> Iterator[Site]:
    """A server without encryption."""
    with Site(tls=False) as one:
        yield one


@pytest.fixture(scope="session")
def dataset_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound dataset of about 2 MB."""
    rng = np.random.default_rng(5)
    base, queries = rng.standard_normal((4000, 128), np.float32), rng.standard_normal((20, 128), np.float32)
    every = np.linalg.norm(base[None].astype(np.float64) - queries[:, None], axis=2)
    order = np.argsort(every, axis=1)[:, :10]
    path = tmp_path_factory.mktemp("web") / "sound.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["test"], file["neighbors"] = base, queries, order
        file["distances"] = np.take_along_axis(every, order, axis=1)
    return path.read_bytes()
