"""The command line: names the commands, and turns every expected error into one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from annbench import __version__, errors
from annbench.cli import (
    budget,
    compare,
    data,
    doctor,
    env,
    groundtruth,
    help,
    report,
    results,
    run,
    shared,
    terminal,
    train,
    upgrade,
    usage,
)

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
app.command("budget")(budget.budget)
app.command("compare")(compare.compare)
app.command("baseline")(compare.baseline)
app.add_typer(data.app, name="data", help="Datasets: list, describe, add your own vectors.")
app.add_typer(results.app, name="results", help="Stored results: list, show, export, clean up.")
app.add_typer(train.app, name="train", help="Learned transforms.")
app.command("upgrade")(upgrade.upgrade)
app.command("groundtruth")(groundtruth.groundtruth)
app.command("doctor")(doctor.doctor)
app.command("env")(env.env)

COMPLETION_VARIABLE = "_ANNBENCH_COMPLETE"
_KEEPING = (("run",), ("train",), ("groundtruth",), ("data", "get"), ("data", "add"), ("data", "convert"))
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


def command_line() -> Any:
    """All commands as the parser knows them, with the options that every command has."""
    root = typer.main.get_command(app)
    shared.add_to(root)
    for path, command in shared.walk(root):
        words = " ".join(("annbench", *path))
        command.get_help = lambda _, command=command, words=words: help.help_of(command, words)
    return root


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `annbench` script; always ends by SystemExit."""
    terminal.prepare_streams()
    if COMPLETION_VARIABLE in os.environ:  # the shell asks what could come next
        command_line().main(prog_name="annbench")
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    terminal.forget_wishes()
    root = command_line()
    try:
        # Not root.main(): it turns a closed pipe into exit code 1, which here means a regression.
        with root.make_context("annbench", arguments) as context:
            code = root.invoke(context)
        with terminal.writing():
            sys.stdout.flush()
        return code if isinstance(code, int) else errors.EXIT_OK
    except typer.Exit as leaving:
        return leaving.exit_code
    except errors.AnnbenchError as error:
        _complain(str(error), _causes(error))
        return error.exit_code
    except (KeyboardInterrupt, EOFError, typer.Abort):
        kept = "; what was finished is stored, the same command goes on from there" if _goes_on(arguments) else ""
        _complain(f"interrupted{kept}", label="")
        return errors.EXIT_INTERRUPTED
    except BrokenPipeError:
        return errors.EXIT_OK  # the reader of our output has left, as `| head` does
    except Exception as error:
        if usage.is_usage_error(error):
            message = usage.explained(error, root)
            if message:
                _complain(message)
            return errors.EXIT_USAGE
        if isinstance(error, OSError) and error.errno in _FULL:
            _complain(f"{error.strerror}; make room, or write elsewhere", _causes(error))
            return errors.EXIT_USAGE
        import traceback

        traceback.print_exc()
        _complain(
            "this is a bug in annbench; please report it with the lines above and the output of `annbench env`",
            label="",
        )
        return errors.EXIT_INTERNAL
    finally:
        terminal.finish_streams()


def _goes_on(arguments: list[str]) -> bool:
    """Whether the command that these begin with keeps what it has when it is interrupted."""
    words = [word for word in arguments if not word.startswith("-")]
    return any(tuple(words[: len(command)]) == command for command in _KEEPING)


def _complain(text: str, more: str = "", label: str = "error: ") -> None:
    if label and terminal.colored(sys.stderr):
        label = f"\x1b[1;31m{label}\x1b[0m"
    with suppress(OSError):  # nobody can be told
        print(f"{label}{text}{more}", file=sys.stderr, flush=True)


def _causes(error: BaseException) -> str:
    """With --verbose, what led to an error, each on a line of its own."""
    lines = ""
    cause = error.__cause__ or error.__context__
    while cause is not None and terminal.WISHES.verbose:
        lines += f"\n  caused by {type(cause).__name__}: {cause}"
        cause = cause.__cause__ or cause.__context__
    return lines


if __name__ == "__main__":
    main()
