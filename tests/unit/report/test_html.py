import json
import re
from html.parser import HTMLParser

import pytest
from synthetic_records import make_record

from annbench.report.content import report_content
from annbench.report.html import html_report, script_json
from annbench.report.page_data import page_data

HOSTILE = '</script><script>alert(1)</script><!--<img src=x onerror="alert(2)">&amp;\u2028'


class Elements(HTMLParser):
    """Counts the elements, and keeps the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.scripts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def hostile_page():
    records = [
        make_record(algorithm=HOSTILE, search={HOSTILE: HOSTILE}, recall=0.95),
        make_record(algorithm=HOSTILE + "2", verdict="suspect", reasons=(HOSTILE,), recall=0.97),
        make_record(algorithm="x", status="crashed", verdict="invalid", detail=HOSTILE, environment={HOSTILE: HOSTILE}),
    ]
    return html_report(report_content(records, title=HOSTILE))


def test_hostile_names_stay_text(hostile_page):
    page = Elements(hostile_page)
    assert len(page.scripts) == 3
    assert "img" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    data = json.loads(page.scripts[0])
    assert HOSTILE in data["texts"]


def test_the_page_loads_nothing(hostile_page):
    page = Elements(hostile_page)
    addresses = [value for name, value in page.attributes if name in ("src", "href", "action", "srcset")]
    assert addresses == ["data:,"]
    style = re.search(r"<style>(.*?)</style>", hostile_page, flags=re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style
    policies = [value for name, value in page.attributes if name == "content"]
    assert policies[0].startswith("default-src 'none'; ")


def test_json_for_scripts_has_no_way_out():
    text = script_json({"a": HOSTILE})
    assert json.loads(text) == {"a": HOSTILE}
    assert not re.search("[<>&\u2028\u2029]", text)
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json(float("nan"))


def test_data_round_trip(content):
    data = json.loads(script_json(page_data(content)))
    points = data["points"]
    assert {len(column) for column in points.values()} == {int(sum(len(s.points) for s in content.settings))}
    first = content.settings[0].points.iloc[0]
    assert data["texts"][points["algorithm"][0]] == first["algorithm"]
    assert points["recall"][0] == first["recall_at_k"]
    assert "\n".join(data["texts"][line] for line in points["yaml"][0]) == first["config_yaml"].rstrip()
