"""What the shell offers after <Tab>, asked the way each shell asks, and in the shells that are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from annbench.algorithms.registry import names

SCRIPTS = {"bash": "complete_bash", "zsh": "complete_zsh", "fish": "complete_fish"}


@pytest.fixture
def offered(tmp_path: Path):
    """What is offered for the last of these words, by the protocol of a shell."""
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "configs").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "products.hdf5").touch()

    def ask(*words: str, shell: str = "bash", **environment: str) -> list[str]:
        line = " ".join(("annbench", *words))
        asked = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        if shell == "bash":
            asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words))}
        done = subprocess.run(
            [sys.executable, "-m", "annbench.cli.main"], cwd=tmp_path, capture_output=True, text=True, timeout=300,
            env=os.environ | asked | {"_ANNBENCH_COMPLETE": SCRIPTS[shell]} | environment,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.split("\n")

    return ask


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ru"], {"run"}),
        (["results", ""], {"ls", "export"}),
        (["run", "--retr"], {"--retry-failed"}),
        (["run", "--col"], {"--color"}),
        (["data", "list", "--color", ""], {"auto", "always", "never"}),
        (["run", ""], {"quickstart", "mine.yaml", "configs/"}),
        (["plan", "m"], {"mine.yaml"}),
        (["run", "x", "--dataset", "wordnet"], {"wordnet-minilm-384-angular"}),
        (["data", "info", "--data-dir", "data", "prod"], {"products"}),
        (["report", "--dataset", "sift-12"], {"sift-128-euclidean"}),
        (["run", "x", "--only", ""], set(names())),
        (["results", "ls", "--algorithm", "hnsw"], {"hnswlib"}),
    ],
)
def test_names_are_offered(offered, words: list[str], expected: set[str]) -> None:
    assert expected <= set(offered(*words))


def test_the_data_folder_of_the_environment_is_looked_into(offered) -> None:
    assert "products" in offered("data", "info", "prod", ANNBENCH_DATA_DIR="data")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_shell_asks_in_its_own_way(offered, shell: str) -> None:
    assert any("--retry-failed" in line for line in offered("run", "--retr", shell=shell))


def test_nothing_heavy_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom annbench.cli import completion\n"
        "class Context: params = {}\n"
        "assert completion.dataset_names(Context, 'word') and completion.algorithm_names('') \n"
        "assert completion.config_names('q')\n"
        "print(sorted({'numpy', 'pandas', 'h5py', 'matplotlib', 'faiss', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# A shell with the script that --show-completion printed: what it would put on the line, or list.
IN_SHELL = {
    "bash": (
        'eval "$(annbench --show-completion)"; COMP_WORDS=(annbench run --retr); COMP_CWORD=2; '
        '_annbench_completion annbench; echo "${COMPREPLY[@]}"'
    ),
    "fish": 'annbench --show-completion | source; complete -C "annbench run --retr"',
    "zsh": (
        'autoload -U compinit; compinit -u -D; eval "$(annbench --show-completion)"; '
        '_arguments() { print -r -- "$@" }; words=(annbench run --retr); CURRENT=3; _annbench_completion'
    ),
}


@pytest.mark.parametrize("shell", IN_SHELL)
def test_the_script_works_in_the_shell_itself(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed; its protocol is tested above")
    (tmp_path / "annbench").write_text(f'#!/bin/sh\nexec {sys.executable} -m annbench.cli.main "$@"\n')
    (tmp_path / "annbench").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        [shell, "-c", IN_SHELL[shell]], capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path
    )
    assert "--retry-failed" in done.stdout, done.stdout + done.stderr
