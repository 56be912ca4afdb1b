"""Reads a configuration file: safe, strict, and able to name the line of every mistake.

YAML is composed to nodes and converted here, so that only the JSON types exist, duplicate keys and foreign tags are
refused, and an alias bomb is stopped before it expands.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from annbench.bundled import bundled
from annbench.config.model import AlgorithmEntry, Config, Limits, Measure, Model
from annbench.errors import ConfigError, UnknownNameError

MAX_FILE_BYTES = 1 << 20
MAX_NODES = 50_000
MAX_DEPTH = 50

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

    def where(self, *location: Hashable) -> str:
        """`file:line` of the value at `location`, or of its nearest known parent."""
        return _where(self.path, self.lines, location)


def find_config(name_or_path: str) -> Path:
    """The file meant by a path, or by the name of a bundled configuration (`quickstart`)."""
    path = Path(name_or_path)
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
    return LoadedConfig(config, path, lines)


def parse_yaml(path: Path) -> tuple[Any, dict[Location, int]]:
    """The file's value in JSON types, and the line of every part of it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read: {error.strerror}", where=str(path), remedy="check the path and its permissions"
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"{len(raw)} bytes", where=str(path), remedy=f"keep a config under {MAX_FILE_BYTES}")
    try:
        node = yaml.compose(raw.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 at byte {error.start}", where=path.name, remedy="save it as UTF-8") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "too deeply nested"
        raise ConfigError(f"not YAML: {problem}", where=f"{path.name}:{line}", remedy="fix the syntax") from error
    reader = _Reader(path)
    value = None if node is None else reader.value(node, ())
    return value, reader.lines


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
            raise self._error(line, "aliases expand to too much, or it nests too deep", "write it out more simply")
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
            case "bool":
                return self.scalars.construct_yaml_bool(node)
            case "int":
                return self.scalars.construct_yaml_int(node)
            case "float":
                number = self.scalars.construct_yaml_float(node)
                if number - number != 0:
                    raise self._error(line, f"{node.value} is not a finite number", "use a finite number")
                return number
        raise self._error(line, f"tag {node.tag} is not allowed", "use plain values only")

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
    models: dict[Hashable, type[Model]] = {"measure": Measure, "limits": Limits, "algorithms": AlgorithmEntry}
    return list((models[location[0]] if location else Config).model_fields)
