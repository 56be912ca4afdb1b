"""A system that is not Linux: annbench still measures, and every record says what it cannot vouch for.

The system's own functions and files are taken away from annbench's processes as they start; nothing of annbench is
replaced.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Libraries keep their /proc: psutil's own code would use something else elsewhere.
WITHOUT_LINUX = """\
import os, sys
for name in ("sched_getaffinity", "sched_setaffinity"):
    delattr(os, name)
LAYERS = ("pathlib.py", "<frozen", "codecs.py", "sitecustomize.py")
def refuse(event, arguments):
    if event in ("open", "os.listdir") and str(arguments[0]).startswith("/proc/"):
        frame = sys._getframe(1)
        while frame is not None and any(layer in frame.f_code.co_filename for layer in LAYERS):
            frame = frame.f_back
        if frame is not None and "annbench" in frame.f_code.co_filename.rpartition("site-packages")[2]:
            raise FileNotFoundError(2, "No such file or directory", str(arguments[0]))
sys.addaudithook(refuse)
"""


@pytest.fixture
def elsewhere(tmp_path: Path):
    """Runs the command line on a system without Linux' facilities."""
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / "sitecustomize.py").write_text(WITHOUT_LINUX)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "annbench.cli.main", *arguments], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "system"), "COLUMNS": "120"}, timeout=120,
        )  # fmt: skip

    return run


def test_time_and_memory_are_marked_unpinned(elsewhere, tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        f"dataset: {tiny}\nk: 5\nmeasure: {{modes: batch, passes: 2}}\nalgorithms:\n"
        "  - algorithm: hnswlib\n    build: {M: 8, ef_construction: 40}\n    search: {ef: 20}\n"
    )
    done = elsewhere("run", "mine.yaml", "--report", "page")
    assert done.returncode == 0, done.stderr
    (record,) = records_of(tmp_path)
    assert record["status"] == "ok"
    assert record["verdict"] == "suspect"
    reasons = [reason for reason in record["verdict_reasons"] if reason.startswith("unpinned: ")]
    assert [next(word for word in ("bind", "memory", "swapping") if word in reason) for reason in reasons] == [
        "bind", "memory", "swapping"
    ]  # fmt: skip
    assert record["recall"]["recall_at_k"] > 0.5
    assert record["build"]["build_peak_bytes"] is None
    assert record["load"]["resident_bytes"] is None
    assert record["load"]["resident_after_search_bytes"] is None
    assert len(record["environment"]["unpinned"]) == 3
    assert "unpinned" in (tmp_path / "page" / "report.md").read_text()


def records_of(folder: Path) -> list[dict[str, object]]:
    code = (
        "import json, sys; from annbench.results.store import ResultStore; from pathlib import Path\n"
        "print(json.dumps([r.model_dump(mode='json') for r in ResultStore(Path(sys.argv[1])).records()]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder / "results")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_env_and_plan_work_and_say_it(elsewhere) -> None:
    facts = json.loads(elsewhere("env", "--json").stdout)
    assert facts["available_cores"] == list(range(os.cpu_count() or 1))
    assert len(facts["unpinned"]) == 3
    done = elsewhere("plan", "quickstart", "--json")
    assert done.returncode == 0, done.stderr


def test_on_linux_nothing_is_unpinned() -> None:
    from annbench.runner.pinning import unpinned

    assert unpinned(tuple(sorted(os.sched_getaffinity(0)))) == ()


def test_a_core_that_is_not_there_is_told(tmp_path: Path) -> None:
    code = "from annbench.runner.pinning import pin, unpinned; pin((4000,)); print(*unpinned((4000,)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "other cores than 4000" in done.stdout
