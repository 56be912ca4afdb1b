"""A headless Chromium, and a report to open in it."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from synthetic_records import METHODS, make_record, make_records

from annbench.report.content import Content, report_content
from annbench.report.html import html_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
NOT_RUN = "html: not run (no Chromium; apt-get install chromium)"
HOSTILE = '</script><script>document.title="broken"</script><!--<b onclick="x">'


@pytest.fixture(scope="session")
def chromium():
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        if os.environ.get("ANNBENCH_REQUIRE_BROWSER") == "1":
            pytest.fail(NOT_RUN)
        pytest.skip(NOT_RUN)
    return path


@pytest.fixture(scope="session")
def browser(chromium, tmp_path_factory):
    from playwright.sync_api import sync_playwright

    # Below HOME and TMPDIR the browser keeps profile, caches and crash reports: not in the user's.
    home = str(tmp_path_factory.mktemp("browser"))
    environment = {
        **os.environ,
        "HOME": home,
        "TMPDIR": home,
        "XDG_CONFIG_HOME": home,
        "XDG_CACHE_HOME": home,
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS, env=environment)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def content() -> Content:
    records = make_records(
        datasets=("wordnet-384", "fashion-784"),
        modes=(("single", 1), ("batch", 2)),
        workers=2,
        seed=7,
        methods=METHODS,
    )
    hostile = [
        make_record(algorithm=HOSTILE, search={"ef<i>": e}, recall=r, qps=q, float32_ratio=0.3)
        for e, r, q in ((1, 0.8, 9e5), (2, 0.93, 8e5), (3, 0.97, 7e5))
    ]
    return report_content([*records, *hostile], title="browser test")


@pytest.fixture(scope="session")
def report_path(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html_report(content), encoding="utf-8")
    return path
