"""`--help`, laid out for the width of the terminal, whatever version of the parser is installed."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annbench.cli.shared import SHARED

MAX_WIDTH = 100
_TWO_COLUMNS = 64  # narrower than this, an explanation stands below what it explains
_INDENT = 2
_WORDS: dict[Any, str] = {str: "NAME", Path: "PATH", int: "N", float: "X"}

Row = tuple[str, str]


def help_of(command: Any, path: str) -> str:
    """The help of one command, called by the words `path`."""
    width = min(shutil.get_terminal_size().columns, MAX_WIDTH)
    hints = _hints(command)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    commands = [(name, child) for name, child in getattr(command, "commands", {}).items() if not child.hidden]
    usage = [path, "[OPTIONS]", *map(_argument_name, arguments), *(["COMMAND ..."] if commands else [])]
    own = [_option_row(option, hints) for option in options if option.name not in SHARED]
    shared = [_option_row(option, hints) for option in options if option.name in SHARED]
    blocks = [
        textwrap.fill(" ".join(usage), width, initial_indent="usage: ", subsequent_indent=" " * 8),
        *(_paragraph(part, width) for part in (command.help or "").split("\n\n")),
        *_section("commands", [(name, _first_sentence(child.help or "")) for name, child in commands], width),
        *_section("arguments", [(_argument_name(p), _explained(p)) for p in arguments], width),
        *_section("options", [*own, ("--help", "Show this and exit.")], width),
        *_section("options of every command", shared, width),
    ]
    return "\n\n".join(block for block in blocks if block.strip())


def _section(title: str, rows: list[Row], width: int) -> Iterator[str]:
    if not rows:
        return
    lines = [f"{title}:"]
    head = min(max(len(left) for left, _ in rows), width // 3)
    for left, right in rows:
        if width < _TWO_COLUMNS:
            lines += [" " * _INDENT + left, *_wrapped(right, width, 2 * _INDENT + 2)]
            continue
        right_lines = _wrapped(right, width, _INDENT + head + 2)
        if len(left) <= head:
            first = right_lines[0].lstrip() if right_lines else ""
            lines += [f"{'':{_INDENT}}{left:{head}}  {first}".rstrip(), *right_lines[1:]]
        else:
            lines += [" " * _INDENT + left, *right_lines]
    yield "\n".join(lines)


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=" " * indent, subsequent_indent=" " * indent)


def _paragraph(text: str, width: int) -> str:
    if text.startswith("\b\n"):  # the parser's own sign for lines that stay as they are: examples
        return "\n".join(line.rstrip() for line in text.split("\n")[1:])
    return textwrap.fill(" ".join(text.split()), width)


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def _argument_name(param: Any) -> str:
    name = param.metavar or param.name.upper()
    return name if param.required else f"[{name}]"


def _option_row(param: Any, hints: dict[str, Any]) -> Row:
    names = sorted(param.opts, key=lambda name: name.startswith("--"))
    spelt = ", ".join(names) + "".join(f" / {name}" for name in param.secondary_opts)
    value = "" if param.is_flag else f" {param.metavar or _value(hints.get(param.name))}"
    return spelt + value, _explained(param)


def _explained(param: Any) -> str:
    facts = []
    if param.param_type_name == "option" and param.required:
        facts.append("required")
    if param.show_default and isinstance(param.show_default, str):
        facts.append(f"default: {param.show_default}")
    elif param.show_default and not getattr(param, "is_flag", False) and param.default not in (None, ()):
        facts.append(f"default: {getattr(param.default, 'value', param.default)}")
    if param.envvar:
        facts.append(f"or set {param.envvar}")
    return f"{param.help or ''} [{'; '.join(facts)}]" if facts else param.help or ""


def _hints(command: Any) -> dict[str, Any]:
    function = getattr(command, "callback", None)
    hints = get_type_hints(getattr(function, "__wrapped__", function)) if function else {}
    return {**SHARED, **hints}


def _value(hint: Any) -> str:
    """How the value of an option is called, from the type of the function's parameter."""
    origin, parts = get_origin(hint), [part for part in get_args(hint) if part is not type(None)]
    if origin in (Union, UnionType, list, tuple, Annotated):
        return _value(parts[0])
    if origin is Literal:
        return "|".join(map(str, parts))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "|".join(str(member.value) for member in hint)
    return _WORDS.get(hint, "VALUE")
