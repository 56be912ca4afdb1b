import pytest

from annbench.compare.frontier import RECALL_TARGETS
from annbench.compare.gates import Gates, parse_gates, parse_targets
from annbench.errors import AnnbenchError


def test_without_the_option_everything_gates_that_can():
    assert parse_gates(None) == Gates(recall=0.002, bytes=0.01, counters=None, gates_counters=True, qps=0.015)
    assert parse_gates(None).text == "recall=0.002,bytes=1%,qps=1.5%"


def test_what_is_named_gates_and_nothing_else():
    gates = parse_gates("recall=0.002, bytes=1%,qps=5 %")
    assert gates == Gates(recall=0.002, bytes=0.01, gates_counters=False, qps=0.05)
    assert parse_gates("p99=10%,counters=.5%") == Gates(None, None, 0.005, True, None, 0.1)
    assert parse_gates("recall=0").recall == 0
    assert parse_gates(gates.text) == gates


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("qsp=5%", "did you mean qps"),
        ("recal=0.1", "did you mean recall"),
        ("build=5%", "known: bytes, counters, p99, qps, recall"),
        ("recall", "recall has no value; recall is absolute"),
        ("recall=", "'' is no number"),
        ("recall=0.2%", "recall is absolute"),
        ("recall=2", "recall is absolute"),
        ("recall=-0.1", "'-0.1' is no number"),
        ("recall=nan", "'nan' is no number"),
        ("bytes=0.01", "write it like bytes=5%"),
        ("bytes=1%%", "is no number"),
        ("qps=1%", "write at least qps=1.5%"),
        ("p99=0%", "write at least p99=1.5%"),
        ("bytes=1%,bytes=2%", "bytes is given twice"),
        ("recall=0.1,,qps=5%", "an empty part"),
        ("", "an empty part"),
    ],
)
def test_whatever_is_not_understood_is_refused_with_the_remedy(text, said):
    with pytest.raises(AnnbenchError, match="--fail-on") as caught:
        parse_gates(text)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_targets():
    assert parse_targets(None) == RECALL_TARGETS
    assert parse_targets("0.95, .9,0.95") == (0.9, 0.95)
    for bad in ("0.9;0.95", "1", "0", "95", "nan", ""):
        with pytest.raises(AnnbenchError, match="--at-recall"):
            parse_targets(bad)
