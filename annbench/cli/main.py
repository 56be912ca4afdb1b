"""The command line: names the commands, and turns every expected error into one line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from annbench import __version__, errors
from annbench.cli import data, env, report, results, run

app = typer.Typer(
    name="annbench",
    help="Which vector index, at what recall, in how much memory, on this machine: measured, not believed.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("plan")(run.plan)
app.command("report")(report.report)
app.add_typer(data.app, name="data", help="Datasets: list, describe, add your own vectors.")
app.add_typer(results.app, name="results", help="Stored results: list, export.")
app.command("env")(env.env)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"annbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `annbench` script; always ends by SystemExit."""
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    try:
        code = typer.main.get_command(app).main(args=arguments, prog_name="annbench", standalone_mode=False)
        if code == errors.EXIT_INTERRUPTED:  # what the parser makes of Ctrl-C
            raise KeyboardInterrupt
        return code if isinstance(code, int) else errors.EXIT_OK
    except errors.AnnbenchError as error:
        _complain(f"error: {error}")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted; what was finished is stored, the same command goes on from there")
        return errors.EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left, as `| head` does
        return errors.EXIT_OK
    except Exception as error:
        show = getattr(error, "show", None)
        if show is not None:  # a usage error of the command-line parser
            show()
            return errors.EXIT_USAGE
        import traceback

        traceback.print_exc()
        _complain("this is a bug in annbench; please report it with the lines above and the output of `annbench env`")
        return errors.EXIT_INTERNAL


def _complain(text: str) -> None:
    typer.echo(text, err=True)


if __name__ == "__main__":
    main()
