"""`annbench train`: learned transforms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annbench.cli.completion import dataset_names
from annbench.cli.options import AsJson, DataDir

if TYPE_CHECKING:
    from annbench.train.bebr import Trained

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_PHASES = {"read": "reading the vectors", "pairs": "looking for neighbours", "start": "choosing a start",
           "train": "training"}  # fmt: skip


@app.callback()
def _train() -> None:
    pass


@app.command()
def bebr(
    dataset: Annotated[
        str, typer.Option("--dataset", help="What to learn from, by name or path.", autocompletion=dataset_names)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The model, .safetensors.")],
    query_set: Annotated[str, typer.Option("--query-set", help="Whose training queries to learn from.")] = "test",
    positives: Annotated[
        str | None,
        typer.Option(
            "--positives",
            help="Pairs instead of neighbours: row i of this and of --dataset are one thing.",
            autocompletion=dataset_names,
        ),
    ] = None,
    compatible_with: Annotated[
        Path | None,
        typer.Option("--compatible-with", help="An older model's binarizer, whose codes new queries are to find."),
    ] = None,
    old_dataset: Annotated[
        str | None,
        typer.Option(
            "--old-dataset",
            help="That model's vectors of the same things.",
            autocompletion=dataset_names,
        ),
    ] = None,
    bits: Annotated[int, typer.Option("--bits", min=8, help="Of a code.")] = 256,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=0,
            max=3,
            help="u: every dimension has u + 1 of the bits; default: what finds most before training.",
        ),
    ] = None,
    objective: Annotated[
        str, typer.Option("--objective", help="What is learned by: ranking, or info_nce, which is the published one.")
    ] = "ranking",
    hidden: Annotated[int, typer.Option("--hidden", min=0, help="Width of the perceptrons; 0 leaves them out.")] = 256,
    minutes: Annotated[float, typer.Option("--minutes", min=0.01, help="It ends then, if not before.")] = 10.0,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="It ends after so many, if not before.")] = 30,
    patience: Annotated[
        int,
        typer.Option("--patience", min=1, help="It ends where recall has not risen for so many evaluations."),
    ] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")] = 0,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Default: every core.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N: what torch computes on.")] = "cpu",
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Where a run is kept meanwhile; default: beside --out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Learn BEBR's recurrent binary codes. Interrupted, the same command goes on."""
    from dataclasses import asdict

    from pydantic import ValidationError

    from annbench.cli.output import print_json, stdout
    from annbench.cli.phases import phase_bar
    from annbench.cli.usage import refused
    from annbench.datasets.library import find_dataset
    from annbench.runner.pinning import available_cores
    from annbench.train.bebr import TrainRequest, train_bebr
    from annbench.train.plan import TrainingPlan

    try:
        plan = TrainingPlan.model_validate(
            {"bits": bits, "steps": steps or 0, "hidden": hidden, "minutes": minutes, "epochs": epochs,
             "patience": patience, "seed": seed,
             "device": device, "objective": objective, "threads": threads or len(available_cores())}
        )  # fmt: skip
    except ValidationError as error:
        raise refused(error) from None
    request = TrainRequest(
        dataset=find_dataset(dataset, data_dir), query_set=query_set, plan=plan, choose_steps=steps is None,
        out=out.absolute(), force=force,
        checkpoint=(checkpoint or out.with_name(f"{out.stem}.checkpoint")).absolute(),
        positives=None if positives is None else find_dataset(positives, data_dir),
        compatible_with=compatible_with and compatible_with.absolute(),
        old_dataset=None if old_dataset is None else find_dataset(old_dataset, data_dir),
    )  # fmt: skip
    with phase_bar(_PHASES) as show:
        trained = train_bebr(request, show)
    if as_json:
        print_json(asdict(trained))
        return
    for line in _summary(trained):
        stdout().print(line, soft_wrap=True, markup=False, highlight=False)


def _summary(trained: Trained) -> list[str]:
    both = (
        []
        if trained.recall_in_old is None
        else [
            f"which is the mean of {trained.recall_alone:.3f} among its own codes "
            f"and {trained.recall_in_old:.3f} among the old ones"
        ]
    )
    return [
        f"learned from {trained.pairs:,} {trained.learned_from}: {trained.batches:,} batches "
        f"in {trained.seconds:,.0f} s",
        f"codes of {trained.dim:,} dimensions with {trained.steps + 1} bits in each (u = {trained.steps})",
        f"recall@10 of held-out queries by codes alone: {trained.recall:.3f}, "
        f"from {trained.recalls[0][2]:.3f} at first",
        *both,
        f"wrote {trained.out}",
    ]
