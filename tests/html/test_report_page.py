"""The report page in a real browser: it loads nothing, complains of nothing, and its filters filter."""

import dataclasses

import numpy as np
import pytest

from annbench.report.answer import answers
from annbench.report.pareto import AXES, algorithm_fronts, front_table

pytestmark = pytest.mark.html

ANSWER_ROWS = "[...document.querySelectorAll('#answer .setting:not([hidden]) tr[data-answer]')]"
CELLS = "row => [...row.cells].map(cell => cell.textContent.replace(/\\s+/g, ' ').trim())"
TRACES = """name => document.getElementById('plot-' + name).data?.map(t => ({
    name: t.name, x: t.x, y: t.y, meta: t.meta, hover: t.customdata,
    symbol: t.marker.symbol, colour: t.marker.color,
})) ?? null"""


@pytest.fixture(scope="module")
def opened(browser, report_path):
    """The page, with everything it asked for and complained of; opening it takes most of a test's time."""
    address = report_path.as_uri()
    requests, complaints = [], []
    page = browser.new_page(offline=True)
    page.set_default_timeout(10_000)
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.route("**/*", lambda route: route.continue_() if route.request.url == address else route.abort())
    page.goto(address)
    page.wait_for_selector("#plot-qps .main-svg")
    yield page, requests, complaints
    page.close()


@pytest.fixture
def page(opened, report_path, content):
    """The page as a reader finds it; whatever a test does on it, it must stay silent and load nothing."""
    page, requests, complaints = opened
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.click("button[type=reset]")
    page.uncheck("#plot-all")
    until(page, f"{ANSWER_ROWS}.length", 12 * len(content.settings))
    page.evaluate("scrollTo(0, 0)")
    yield page
    assert requests == [report_path.as_uri()]
    assert complaints == []


def rows(page, selector):
    return page.eval_on_selector_all(f"{selector}:not([hidden])", "rows => rows.map(r => r.textContent)")


def traces(page, axis="qps"):
    return page.evaluate(TRACES, axis)


def until(page, expression, wanted):
    """Wait for `expression`; playwright's own wait needs eval, which the page's policy forbids."""
    for _ in range(100):
        if page.evaluate(expression) == wanted:
            return
        page.wait_for_timeout(20)
    assert page.evaluate(expression) == wanted


def only(page, *names):
    """Leave only the boxes of these algorithms ticked."""
    for box in page.query_selector_all("#filter-algorithms input"):
        box.set_checked(box.get_attribute("value") in names)


def test_opens_complete_and_silent(page, content):
    assert page.title() == "browser test"
    assert len(page.evaluate(f"{ANSWER_ROWS}.map({CELLS})")) == 12 * len(content.settings)
    first = page.locator("#answer table").first
    assert first.bounding_box()["y"] < 400  # the answer is on the first screen
    for axis in AXES:
        assert len(traces(page, axis.name)) == len(content.settings[0].algorithms)


def test_the_script_answers_as_the_report_does(page, browser, report_path):
    written = browser.new_page(java_script_enabled=False)
    written.goto(report_path.as_uri())
    texts = written.evaluate(f"{ANSWER_ROWS}.map({CELLS})")
    written.close()
    assert page.evaluate(f"{ANSWER_ROWS}.map({CELLS})") == texts


def test_the_script_draws_the_fronts_of_the_report(page, content):
    setting = content.settings[0]
    for axis in AXES:
        fronts = algorithm_fronts(setting.points, axis)
        drawn = {t["name"]: t for t in traces(page, axis.name)}
        assert drawn.keys() == {name.replace("<", "&lt;").replace(">", "&gt;") for name in fronts}
        for name in fronts.keys() & drawn.keys():
            np.testing.assert_allclose(drawn[name]["y"], fronts[name][axis.column], rtol=1e-6)
            suspect = [symbol.endswith("-open") for symbol in drawn[name]["symbol"]]
            assert suspect == (fronts[name]["verdict"] != "ok").tolist()


def test_dataset_filter(page, content):
    before, equal = traces(page), rows(page, "#equal-recall .setting")
    verdicts = rows(page, "#verdicts tbody tr")
    other = "wordnet-384"
    assert other != content.settings[0].dataset
    page.select_option("#filter-dataset", other)
    assert traces(page) != before
    shown = [s for s in content.settings if s.dataset == other]
    assert len(page.evaluate(ANSWER_ROWS + ".map(r => 0)")) == 12 * len(shown)
    assert len(rows(page, "#equal-recall .setting")) == len(shown) < len(equal)
    left = rows(page, "#verdicts tbody tr")
    assert 0 < len(left) < len(verdicts)
    assert all(other in row for row in left)
    page.click("button[type=reset]")
    until(page, f"{ANSWER_ROWS}.length", 12 * len(content.settings))
    assert traces(page) == before


def test_mode_filter(page, content):
    page.select_option("#filter-mode", "batch")
    assert page.locator("#plot-p99").is_hidden()  # a batch has no latency of single queries
    assert page.locator("#plot-qps").is_visible()
    shown = [s for s in content.settings if s.mode == "batch"]
    assert len(rows(page, "#answer .setting")) == len(shown)


def test_algorithm_filter(page, content):
    kept = ["faiss-ivf-pq", "hnswlib"]
    only(page, *kept)
    assert [t["name"] for t in traces(page)] == kept
    setting = content.settings[0]
    points = setting.points[setting.points["algorithm"].isin(kept)].reset_index(drop=True)
    expected = [a.point.algorithm if a.point else None for a in answers(dataclasses.replace(setting, points=points))]
    found = page.evaluate(f"{ANSWER_ROWS}.map(r => r.querySelector('.use strong')?.textContent ?? null)")
    assert found[:12] == expected
    in_table = page.eval_on_selector_all(
        "#equal-recall tr[data-algorithm]:not([hidden])", "rows => rows.map(r => r.dataset.algorithm)"
    )
    assert set(in_table) == set(kept)
    only(page)
    assert traces(page) == []
    assert "none measured" in rows(page, "#answer tr[data-answer]")[0]


def test_size_filter(page, content):
    before = traces(page)
    page.select_option("#filter-budget", "0.25")
    setting = content.settings[0]
    small = setting.points[setting.points["float32_ratio"] <= 0.25]
    fronts = algorithm_fronts(small, AXES[0])
    assert traces(page) != before
    assert [t["name"] for t in traces(page)] == list(fronts)
    for trace in traces(page):
        np.testing.assert_allclose(trace["y"], fronts[trace["name"]]["qps_best"], rtol=1e-6)
    budgets = page.eval_on_selector_all(
        "#equal-recall tr[data-algorithm]:not([hidden])", "rows => rows.map(r => r.dataset.budget)"
    )
    assert set(budgets) == {"0.25"}
    first = page.evaluate(f"{ANSWER_ROWS}.map({CELLS})")[0]
    best = answers(dataclasses.replace(setting, points=small.reset_index(drop=True)))[0].point
    assert best.cells()["qps"] in first


def test_hover_tells_the_whole_configuration(page, content):
    setting = content.settings[0]
    labels = set(setting.points["label"])
    for trace in (t for t in traces(page) if "&lt;" not in t["name"]):
        for hover in trace["hover"]:
            name, *rest = hover.replace("<b>", "").replace("</b>", "").split("<br>")
            text = " ".join(rest)
            assert any(label.removeprefix(name).strip(" ·") in text for label in labels if label.startswith(name))
            assert "recall@k 0." in text or "recall@k 1." in text
            assert "1.0.0" in text  # the library's version
    page.locator("#plot-qps").scroll_into_view_if_needed()
    spot = page.evaluate(
        """() => {
            const plot = document.getElementById('plot-qps'), { x, y } = plot.data[0];
            const box = plot.getBoundingClientRect(), { xaxis, yaxis } = plot._fullLayout;
            return [box.x + xaxis._offset + xaxis.d2p(x[0]), box.y + yaxis._offset + yaxis.d2p(y[0])];
        }"""
    )
    page.mouse.move(*spot)
    page.wait_for_selector("#plot-qps .hovertext")
    assert "QPS" in page.text_content("#plot-qps .hovertext")


def test_all_points_and_the_table_of_points(page, content):
    setting = content.settings[0]
    assert len(rows(page, "#points-body tr")) == len(front_table(setting.points))
    page.check("#plot-all")
    drawn = sum(len(t["x"]) for t in traces(page) if t["meta"] == "all")
    assert drawn == len(setting.points) == len(rows(page, "#points-body tr"))


def test_hostile_names_are_shown_and_not_obeyed(page, content):
    hostile = next(name for name in content.styles if name.startswith("</script>"))
    setting = next(s for s in content.settings if hostile in s.algorithms)
    page.select_option("#plot-setting", str(content.settings.index(setting)))
    only(page, hostile)
    assert page.evaluate(f"{ANSWER_ROWS}.map(r => r.querySelector('.use strong')?.textContent)").count(hostile) > 0
    assert traces(page)[0]["name"].startswith("&lt;/script&gt;")
    assert page.locator("#charts b, #answer b").count() == 0
    assert page.title() == "browser test"


def test_no_button_sends_anything_away(page):
    buttons = page.eval_on_selector_all("#plot-qps .modebar-btn", "all => all.map(b => b.dataset.title)")
    assert buttons == ["Download plot as a PNG", "Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes"]


def test_every_control_has_a_name_and_can_be_reached(page):
    unnamed = page.eval_on_selector_all(
        "select, input, button",
        "all => all.filter(c => !(c.labels?.length || c.ariaLabel || c.textContent.trim())).map(c => c.id)",
    )
    assert unnamed == []
    page.focus("#filter-dataset")
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "reset"
    while page.evaluate("document.activeElement.value") != "bruteforce":
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.checked") is True
    drawn = len(traces(page))
    page.keyboard.press("Space")
    until(page, "document.getElementById('plot-qps').data.length", drawn - 1)


def test_config_unfolds_for_copying(page, content):
    page.locator("#answer summary").first.click()
    point = next(a.point for a in content.answers[0] if a.point)
    assert page.locator("#answer pre").first.text_content() == point.config_yaml.rstrip()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_in_either_scheme(page, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    until(page, "document.documentElement.scrollWidth <= innerWidth", True)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 24, 27)")
    assert ("#000000" in {t["colour"] for t in traces(page)}) == (scheme == "light")
