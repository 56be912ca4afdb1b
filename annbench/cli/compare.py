"""`annbench compare` and `annbench baseline`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annbench.cli.completion import dataset_names
from annbench.cli.options import RESULTS, AsJson, ResultsDir

SideArgument = "FOLDER[:SELECTOR]"


def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="What it was: FOLDER, FOLDER:SELECTOR or a baseline.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="What it is now, likewise.")],
    at_recall: Annotated[
        str | None,
        typer.Option("--at-recall", metavar="R,R,…", help="Recalls to compare time at; default: 0.90,0.95,0.99."),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="GATE=X,…",
            help="What is a regression, and only that: recall (absolute), bytes, counters, qps, p99 (percent; qps and "
            "p99 by time a query). Default: recall=0.002,bytes=1%,qps=1.5% and counters as the rule says.",
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Only this dataset; repeatable.", autocompletion=dataset_names)
    ] = None,
    results: ResultsDir = RESULTS,
    markdown: Annotated[
        str | None,
        typer.Option("--markdown", metavar="FILE|-", help="Markdown for a pull request, into a file or on stdout."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also list the cells that passed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare NEW with BASE; exit 0 if nothing got worse, 1 for a regression, 3 if nothing could be compared.

    BASE and NEW are folders of results, parts of one (FOLDER:SELECTOR, where SELECTOR is a label of the config
    or an algorithm; without FOLDER it is that of --results), or a baseline file of `annbench baseline`.

    \b
    Two commits, on any machines: recall, bytes and counters gate, time does not.
      annbench run bench.yaml --results new
      annbench compare baseline.json new --fail-on recall=0.002,bytes=1%

    \b
    Two versions of a library: give both in one config, and they are measured in turns.
      measure: {interleave: true, workers: 28, modes: batch}
      algorithms:
        - {algorithm: hnswlib, label: old, python: old/bin/python, …}
        - {algorithm: hnswlib, label: new, python: new/bin/python, …}
      annbench run versions.yaml && annbench compare :old :new --fail-on qps=5%

    \b
    Two algorithms at equal recall (both in one config, as above, if time is to be judged):
      annbench compare :hnswlib :faiss-hnsw --at-recall 0.95

    Time is tested only between workers that ran back to back in one interleaved run. Of their pairs, in the order
    taken, the first 10 tell how noisy the machine is and how many more are needed to find a slowdown of 5 % (18 to
    60); exactly these are tested, so that measuring on until the answer pleases is no use. Results taken apart,
    and two machines, are never compared in time.
    """
    from annbench.cli.output import print_json, stderr, stdout
    from annbench.compare.compare import compare as compare_sides
    from annbench.compare.gates import parse_gates, parse_targets
    from annbench.compare.markdown import markdown as as_markdown
    from annbench.compare.side import load_side
    from annbench.compare.terminal import comparison_view
    from annbench.errors import UsageError

    targets, gates = parse_targets(at_recall), parse_gates(fail_on)
    if as_json and markdown == "-":
        raise UsageError("--json and --markdown - both want stdout", remedy="name a file for one of them")
    sides = [load_side(text, results, datasets=dataset or ()) for text in (base, new)]
    found = compare_sides(*sides, targets=targets, gates=gates)
    if markdown not in (None, "-"):
        try:
            Path(str(markdown)).write_text(as_markdown(found), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write: {error.strerror}", where=str(markdown), remedy="choose another") from error
    if as_json:
        print_json(found.model_dump(mode="json"))
    elif markdown == "-":
        typer.echo(as_markdown(found), nl=False)
    else:
        stdout().print(comparison_view(found, everything=everything))
    if found.exit_code == 3:
        stderr().print(f"nothing comparable: {_why_nothing(len(found.cells))}")
    raise typer.Exit(found.exit_code)


def baseline(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The JSON file to write.")],
    results: Annotated[
        str, typer.Option("--results", metavar=SideArgument, help="What to keep.", envvar="ANNBENCH_RESULTS")
    ] = str(RESULTS),
) -> None:
    """Write recall, bytes and counters of results as one small file, to commit and to compare with anywhere."""
    from annbench.cli.progress import say
    from annbench.compare.baseline import write_baseline
    from annbench.compare.side import load_side

    side = load_side(results, RESULTS)
    for note in side.notes:
        say(note)
    say(f"{write_baseline(side.taken, target)} points written to {target}")


def _why_nothing(cells: int) -> str:
    if not cells:
        return "the two sides have no point in common; are these the same dataset, k, mode and parameters?"
    return "no cell that gates has an answer; the table says why"
