"""Reads a configuration file: safe, strict, and able to name the line of every mistake.

YAML is composed to nodes and converted here, so that only the JSON types exist, duplicate keys and foreign tags are
refused, and an alias bomb is stopped before it expands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, cast

import yaml
from pydantic import ValidationError

from annbench.bundled import bundled
from annbench.config.expand import count
from annbench.config.model import AlgorithmEntry, Claim, Config, Figure, Limits, Measure, Model
from annbench.config.streaming import Generate, Streaming
from annbench.errors import ConfigError, UnknownNameError

MAX_FILE_BYTES = 1 << 20
MAX_NODES = 50_000
MAX_DEPTH = 50
MAX_DIGITS = 300
MAX_POINTS = 1_000_000

Location = tuple[Hashable, ...]


@dataclass(frozen=True)
class LoadedConfig:
    """A valid configuration with what is needed to speak about its source."""

    config: Config
    path: Path
    lines: dict[Location, int]

    @property
    def name(self) -> str:
        """The file's stem, as shown in reports."""
        return self.path.stem

    def with_datasets(self, names: tuple[str, ...]) -> LoadedConfig:
        """The same config over other datasets."""
        return replace(self, config=self.config.model_copy(update={"dataset": names}))

    def with_query_sets(self, names: tuple[str, ...]) -> LoadedConfig:
        """The same config with other query sets."""
        return replace(self, config=self.config.model_copy(update={"query_set": names}))

    def where(self, *location: Hashable) -> str:
        """`file:line` of the value at `location`, or of its nearest known parent."""
        return _where(self.path, self.lines, location)


def find_config(name_or_path: str) -> Path:
    """The file meant by a path, or by the name of a bundled configuration (`quickstart`)."""
    path = Path(name_or_path)
    with suppress(OSError):  # a name that is too long for a file is none
        if path.is_file():
            return path
    folder = bundled("configs")
    known = {p.stem: p for p in sorted(folder.rglob("*.yaml"))}
    if name_or_path in known:
        return known[name_or_path]
    raise UnknownNameError("config", name_or_path, known, remedy="(or give the path of a YAML file)")


def load_config(path: Path) -> LoadedConfig:
    """Read and validate `path`. Raises ConfigError naming file and line."""
    data, lines = parse_yaml(path)
    if not isinstance(data, dict):
        raise ConfigError(
            f"expected a mapping, found {type(data).__name__}", where=f"{path.name}:1", remedy="see configs/"
        )
    try:
        # Through JSON, so that strict validation still turns YAML lists into tuples.
        config = Config.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise _as_config_error(error, path, lines, data) from error
    loaded = LoadedConfig(config, path, lines)
    _check_size(loaded)
    return loaded


def _check_size(loaded: LoadedConfig) -> None:
    """Refuse a grid that nobody means before it is written out."""
    measure = loaded.config.measure
    repeated = len(measure.modes) * measure.workers * measure.builds * len(loaded.config.dataset)
    for index, entry in enumerate(loaded.config.algorithms):
        points = repeated * sum(map(count, entry.build)) * sum(map(count, entry.search))
        if points > MAX_POINTS:
            raise ConfigError(
                f"its grid has {points:,} points",
                where=loaded.where("algorithms", index),
                remedy=f"ask for {MAX_POINTS:,} or fewer: shorten the lists, or split the config",
            )


def parse_yaml(path: Path) -> tuple[Any, dict[Location, int]]:
    """The file's value in JSON types, and the line of every part of it."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"cannot read: {error.strerror}", where=str(path), remedy="check the path and its permissions"
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(
            f"more than {MAX_FILE_BYTES:,} bytes", where=f"{path.name}:1", remedy="a config is a few lines of YAML"
        )
    reader = _Reader(path)
    try:
        node = _composed(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"not UTF-8 at byte {error.start}", where=f"{path.name}:{line}", remedy="save it as UTF-8"
        ) from error
    except yaml.reader.ReaderError as error:
        line = raw.decode("utf-8").count("\n", 0, error.position) + 1
        character = f"character U+{error.character:04X}" if isinstance(error.character, int) else "a character"
        raise ConfigError(
            f"not YAML: {character} is not allowed", where=f"{path.name}:{line}", remedy="remove it"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        where = f"{path.name}:{mark.line + 1 if mark else 1}"
        raise ConfigError(f"not YAML: {problem}", where=where, remedy="fix the syntax") from error
    value = None if node is None else reader.value(node, ())
    return value, reader.lines


def _composed(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Stops at the first part that is too deep or one too many, instead of reading all of them."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        self._nodes += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"it nests deeper than {MAX_DEPTH}")
        if self._nodes > MAX_NODES:
            self._refuse(f"it has more than {MAX_NODES:,} values")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refuse(self, problem: str) -> NoReturn:
        event: Any = cast(Any, self).peek_event()
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


class _Reader:
    """Turns composed nodes into JSON types while noting lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Location, int] = {}
        self.count = 0
        self.scalars = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node, location: Location) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(location, line)
        self.count += 1
        if self.count > MAX_NODES or len(location) > MAX_DEPTH:
            first = self.lines.get(location[:1], line)
            raise self._error(first, "aliases expand to too much, or it nests too deep", "write it out more simply")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(child, (*location, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, line)
        raise self._error(line, f"tag {node.tag} is not allowed", "use plain values only")

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        if node.tag != "tag:yaml.org,2002:map":
            raise self._error(node.start_mark.line + 1, f"tag {node.tag} is not allowed", "use plain values only")
        result: dict[str, Any] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            key = self._scalar(key_node, line) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise self._error(line, "a key must be a plain word", "quote it, or spell it out")
            if key in result:
                raise self._error(line, f"key {key!r} appears twice", "keep one of them")
            self.lines[(*location, key)] = line
            result[key] = self.value(child, (*location, key))
        return result

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        match kind:
            case "str" | "timestamp":
                return node.value
            case "null":
                return None
            case "bool" if node.value.lower() in self.scalars.bool_values:
                return self.scalars.construct_yaml_bool(node)
            case "int" | "float":
                return self._number(node, kind, line)
        raise self._error(line, f"tag {node.tag} is not allowed", "use plain values only")

    def _number(self, node: yaml.ScalarNode, kind: str, line: int) -> int | float:
        shown = node.value if len(node.value) <= 40 else f"{node.value[:37]}..."
        if len(node.value) > MAX_DIGITS:
            raise self._error(line, f"{shown} is too long for a number", "use a smaller one, or quote it")
        try:
            if kind == "int":
                return int(self.scalars.construct_yaml_int(node))
            number = float(self.scalars.construct_yaml_float(node))
        except (ValueError, IndexError, OverflowError):
            raise self._error(line, f"{shown} is not a number", "quote it, if it is a word") from None
        if not math.isfinite(number):
            raise self._error(line, f"{shown} is not a finite number", "use a finite number")
        return number

    def _error(self, line: int, message: str, remedy: str) -> ConfigError:
        return ConfigError(message, where=f"{self.path.name}:{line}", remedy=remedy)


def _where(path: Path, lines: dict[Location, int], location: Location) -> str:
    while location and location not in lines:
        location = location[:-1]
    return f"{path.name}:{lines.get(location, 1)}"


def _as_config_error(
    error: ValidationError, path: Path, lines: dict[Location, int], data: dict[str, Any]
) -> ConfigError:
    """The first mistake, in the words of the house."""
    # A misspelt key is also a missing one: name the misspelling.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    location = _real_location(first["loc"], data)
    where = _where(path, lines, location)
    field = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        known = _known_fields(location[:-1])
        return UnknownNameError("key", str(location[-1]), known, where=where)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return ConfigError(f"{field} is missing", where=where, remedy=f"add `{field}:`")
    shown = json.dumps(first["input"])[:80] if not isinstance(first["input"], dict) else "a mapping"
    return ConfigError(f"{field} = {shown}: {message}", where=where, remedy=f"correct {field or 'it'}")


def _real_location(location: Location, data: Any) -> Location:
    """Drop the steps that validation added (a scalar made a list of one) but the file does not have."""
    real: list[Hashable] = []
    for step in location:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            continue
        real.append(step)
    return tuple(real)


def _known_fields(location: Location) -> list[str]:
    models: dict[Hashable, type[Model]] = {
        "measure": Measure,
        "limits": Limits,
        "algorithms": AlgorithmEntry,
        "claim": Figure if "figures" in location else Claim,
        "streaming": Generate if "generate" in location else Streaming,
    }
    return list((models[location[0]] if location else Config).model_fields)
