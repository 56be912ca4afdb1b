"""What this process keeps in memory, and that its neighbours do not change the figure."""

import mmap
import subprocess
import sys

import numpy as np
import pytest

from annbench.runner.memory import _Mapped, _mapped, grown_bytes, resident_bytes, settle

pytestmark = pytest.mark.skipif(resident_bytes() is None, reason="only Linux tells what is resident")
MIB = 1 << 20


def test_what_is_held_is_counted():
    settle()
    before = resident_bytes()
    held = np.ones(32 * MIB, dtype=np.uint8)
    assert 31 * MIB <= grown_bytes(before) <= 33 * MIB
    del held
    settle()
    assert grown_bytes(before) < MIB


def test_what_is_mapped_is_counted_as_far_as_it_was_read(tmp_path):
    file = tmp_path / "rows with spaces"
    file.write_bytes(bytes(16 * MIB))
    before = resident_bytes()
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert grown_bytes(before) < MIB
        np.frombuffer(mapped, dtype=np.uint8)[::4096].sum()
        assert 15 * MIB <= grown_bytes(before) <= 17 * MIB


def test_another_process_with_the_same_libraries_changes_nothing():
    program = "import faiss, sys; print('loaded', flush=True); sys.stdin.read()"
    import faiss  # noqa: F401

    settle()
    before = resident_bytes()
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"loaded\n"
        changed = resident_bytes() - before
        other.stdin.close()
    assert abs(changed) < MIB / 4


def test_mappings_of_one_file_are_added_up():
    lines = """\
7f00-7f01 r--p 00000000 fe:00 26                         /lib/a b.so (deleted)
Rss:                   4 kB
Pss:                   1 kB
Private_Clean:         0 kB
VmFlags: rd mr mw me
7f01-7f02 r-xp 00001000 fe:00 26                         /lib/a b.so (deleted)
Pss:                   2 kB
Private_Dirty:         8 kB
Anonymous:             8 kB
7f02-7f03 rw-p 00000000 00:00 0
Pss:                  12 kB
Private_Dirty:        12 kB
Anonymous:            12 kB
"""
    assert _mapped(lines.splitlines(keepends=True)) == {
        "/lib/a b.so (deleted)": _Mapped(executable=True, anonymous=8, private=8, shared=3),
        "": _Mapped(executable=False, anonymous=12, private=12, shared=12),
    }
