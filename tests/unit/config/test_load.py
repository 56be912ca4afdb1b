"""Reading a config: strictness, line numbers, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annbench.config.load import find_config, load_config
from annbench.errors import ConfigError, UnknownNameError

SMALL = """\
dataset: tiny
algorithms:
  - algorithm: hnswlib
    build: {M: 16}
    search:
      ef: [10, 20]
"""


@pytest.fixture
def write(tmp_path: Path):
    def _write(text: str) -> Path:
        path = tmp_path / "trial.yaml"
        path.write_text(text)
        return path

    return _write


def test_six_lines_are_a_config(write) -> None:
    loaded = load_config(write(SMALL))
    assert loaded.config.dataset == ("tiny",)
    assert loaded.config.algorithms[0].search == ({"ef": [10, 20]},)
    assert loaded.config.measure.modes == ("single", "batch")
    assert loaded.where("algorithms", 0, "search", "ef") == "trial.yaml:6"


@pytest.mark.fault(11)
@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("algorithms:", "algoritms:"), 2, "did you mean algorithms"),
        (("dataset: tiny", "dataset: tiny\ndataset: other"), 2, "appears twice"),
        (("dataset: tiny", "dataset: !!python/object:os.system x"), 1, "not allowed"),
        (("dataset: tiny", "dataset: tiny\nk: 0"), 2, "greater than or equal to 1"),
        (("dataset: tiny", "dataset: tiny\nk: '10'"), 2, "valid integer"),
        (("dataset: tiny", "dataset: tiny\nmeasure: {pases: 3}"), 2, "did you mean passes"),
        (("dataset: tiny", "dataset: tiny\nmeasure: {modes: [sngle]}"), 2, "unknown mode"),
        (("dataset: tiny", "dataset: tiny\nlimits: {memory: 8 elephants}"), 2, "8GiB"),
        (("dataset: tiny", "dataset: [tiny, tiny]"), 1, "twice"),
        (("dataset: tiny\n", ""), 1, "dataset is missing"),
        (("ef: [10, 20]", "ef: [10, .nan]"), 6, "finite"),
        (("ef: [10, 20]", "ef: [10, 20"), 7, "not YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line(write, change: tuple[str, str], line: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(SMALL.replace(*change)))
    assert said in str(caught.value)
    assert caught.value.where == f"trial.yaml:{line}"
    assert caught.value.remedy


@pytest.mark.fault(11)
def test_an_alias_bomb_is_stopped(write) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match="expand"):
        load_config(write("\n".join(rows)))


@pytest.mark.fault(11)
def test_deep_nesting_is_stopped(write) -> None:
    with pytest.raises(ConfigError):
        load_config(write("a: " + "[" * 3000))


def test_units_and_modes_are_read(write) -> None:
    text = SMALL + "limits: {memory: 2GiB, point: 90s}\nmeasure: {modes: [batch, clients: 4, 'clients: 2']}\n"
    config = load_config(write(text)).config
    assert config.limits.memory == 2 << 30
    assert config.limits.point == 90.0
    assert config.measure.modes == ("batch", "clients:4", "clients:2")


def test_unknown_config_names_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="quickstart"):
        find_config("quikstart")


@given(st.text(max_size=200))
def test_any_text_is_a_config_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass" if not text.isascii() else "strict")
    with pytest.raises(ConfigError):
        load_config(path)
