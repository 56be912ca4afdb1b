"""From a grid to points: the product of all lists, less what the constraints leave out."""

from __future__ import annotations

import ast
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from annbench.errors import ConfigError

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.USub: operator.neg, ast.Not: operator.not_,
}  # fmt: skip

MAX_CHARACTERS = 500


def expand(grid: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of `grid`, in the order written; nested mappings are grids too.

    >>> list(expand({"M": [8, 16], "codec": {"bits": [4, 8]}, "sizes": [[1, 2]]}))[0]
    {'M': 8, 'codec': {'bits': 4}, 'sizes': [1, 2]}
    """
    choices = [_choices(value) for value in grid.values()]
    for values in itertools.product(*choices):
        yield dict(zip(grid, values, strict=True))


def count(grid: Mapping[str, Any]) -> int:
    """How many combinations `expand` gives, without making them."""
    return math.prod(_count(value) for value in grid.values())


def _count(value: Any) -> int:
    if isinstance(value, list):
        return sum(count(item) if isinstance(item, dict) else 1 for item in value)
    return count(value) if isinstance(value, dict) else 1


def _choices(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [choice for item in value for choice in (list(expand(item)) if isinstance(item, dict) else [item])]
    return list(expand(value)) if isinstance(value, dict) else [value]


class Constraint:
    """A comparison between parameters, such as `ef >= k` or `nprobe * 4 <= nlist`.

    Names, numbers, strings, arithmetic, comparisons, `and`, `or`, `not` and dotted names (`codec.bits`) exist, nothing
    else; it is parsed here and never handed to Python to evaluate. Raises ConfigError for anything else.
    """

    def __init__(self, text: str, *, where: str = "") -> None:
        self.text, self.where = text[:80], where
        if len(text) > MAX_CHARACTERS:
            raise self._error("is too long")
        try:
            self.tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._error("is not an expression") from error

    def holds(self, names: Mapping[str, Any]) -> bool:
        """Whether the point with these parameter values is kept."""
        try:
            return bool(self._value(self.tree, names))
        except (TypeError, ArithmeticError, RecursionError) as error:
            raise self._error(f"cannot be computed: {error}") from error

    def _value(self, node: ast.expr, names: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value) if isinstance(value, (int, float, str)):
                return value
            case ast.Name(id=name):
                return self._name(name, names)
            case ast.Attribute(value=owner, attr=attribute):
                mapping = self._value(owner, names)
                if not isinstance(mapping, Mapping) or attribute not in mapping:
                    raise self._error(f"names {attribute!r}, which is not a parameter here")
                return mapping[attribute]
            case ast.BoolOp(op=op, values=parts):
                kept = (self._value(part, names) for part in parts)
                return all(kept) if isinstance(op, ast.And) else any(kept)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](self._value(operand, names))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](self._number(left, names), self._number(right, names))
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _OPERATORS for op in ops):
                values = [self._value(part, names) for part in (left, *others)]
                return all(_OPERATORS[type(op)](a, b) for op, a, b in zip(ops, values[:-1], values[1:], strict=True))
        raise self._error("uses something other than names, numbers, arithmetic, comparisons, and, or, not")

    def _number(self, node: ast.expr, names: Mapping[str, Any]) -> float:
        value = self._value(node, names)
        if not isinstance(value, (int, float)):
            raise self._error(f"computes with {value!r}, which is not a number")
        return value

    def _name(self, name: str, names: Mapping[str, Any]) -> Any:
        if name not in names:
            raise self._error(f"names {name!r}; known here: {', '.join(sorted(names))}")
        return names[name]

    def _error(self, message: str) -> ConfigError:
        return ConfigError(f"constraint {self.text!r} {message}", where=self.where, remedy="write it like `ef >= k`")
