"""What is said of a command line that cannot be: what was wrong, and the closest thing that is right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from annbench.cli.shared import walk
from annbench.errors import UsageError

if TYPE_CHECKING:
    from pydantic import ValidationError


def is_usage_error(error: Exception) -> bool:
    """Whether the parser of the command line raised it; its classes live elsewhere from version to version."""
    return any(kind.__name__ == "ClickException" for kind in type(error).__mro__)


def explained(error: Any, root: Any) -> str:
    """One line in the words of the house. Nothing where a group was called alone: then its help is shown."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return ""
    message = error.format_message().strip()
    if context is None:
        return str(message)
    close = _close(error, context, root)
    # The parser's own suggestions are cut off: one form for all.
    message = message.partition(" (Possible options:")[0].partition(". Did you mean")[0].partition(" Did you mean")[0]
    message = message.replace("Value error, ", "")
    message = message[:1].lower() + message[1:].rstrip(".")
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{context.command_path}: {message}; {hint}`{context.command_path} --help` shows what there is"


def refused(error: ValidationError) -> UsageError:
    """The first of what a model of ours finds wrong with the options that it was made of."""
    first = error.errors()[0]
    return UsageError(first["msg"].removeprefix("Value error, "), where=".".join(map(str, first["loc"])))


def _close(error: Any, context: Any, root: Any) -> list[str]:
    name = getattr(error, "option_name", None)
    if name:
        known = sorted({option for param in context.command.params for option in (*param.opts, *param.secondary_opts)})
        return _closest(name, known, cutoff=0.6)
    if "No such command" not in error.format_message():
        return []
    typed = error.format_message().partition("'")[2].partition("'")[0]
    elsewhere = {path[-1]: " ".join(("annbench", *path)) for path, _ in walk(root) if path}
    if typed in elsewhere:
        return [elsewhere[typed]]
    found = _closest(typed, context.command.commands, cutoff=0.5)
    if found:
        return [f"{context.command_path} {one}" for one in found]
    return [elsewhere[one] for one in _closest(typed, elsewhere, cutoff=0.7)]


def _closest(name: str, known: Iterable[str], cutoff: float) -> list[str]:
    """The best match, and others only if they are about as good."""
    found = difflib.get_close_matches(name, known, n=3, cutoff=cutoff)
    ratios = [difflib.SequenceMatcher(None, one, name).ratio() for one in found]
    return [one for one, ratio in zip(found, ratios, strict=True) if ratio > ratios[0] - 0.1]
