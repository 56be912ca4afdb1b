"""One choice of a slot: a kind with its parameters, as configurations and callers write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from annbench.errors import UnknownNameError, UsageError


class Choice(BaseModel):
    """Base of what can stand in a slot; `kind` is its name in the slot's registry."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str
    # Parameters that are told even if they are the default: what a kind is first asked about.
    told: ClassVar[tuple[str, ...]] = ()

    def fields(self) -> dict[str, Any]:
        """`{kind: …, …}` with what differs from the defaults: what `choose` makes the same choice of."""
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return {"kind": self.kind, **{name: getattr(self, name) for name in self.told}, **changed}

    def __str__(self) -> str:
        rest = (f"{name} {value}" for name, value in self.fields().items() if name != "kind")
        return ", ".join((self.kind, *rest))


C = TypeVar("C", bound=Choice)


def choose(slot: str, kinds: Mapping[str, type[C]], value: Any) -> C:
    """The choice that `value` means: `{kind: …, …}`, the kind alone where it needs no parameters, or a choice.

    Raises UnknownNameError for the kind and for parameters that it does not have, UsageError for their values.
    """
    if isinstance(value, Choice):
        if isinstance(value, tuple(kinds.values())):
            return value  # type: ignore[return-value]  # mypy does not see through the tuple
        raise UsageError(f"got {type(value).__name__}", where=slot, remedy=f"give one of: {', '.join(sorted(kinds))}")
    fields = {"kind": value} if isinstance(value, str) else value
    if not isinstance(fields, Mapping) or "kind" not in fields:
        raise UsageError(
            f"got {value!r}", where=slot, remedy=f"write {{'kind': …}}, with one of: {', '.join(sorted(kinds))}"
        )
    kind = fields["kind"]
    if not isinstance(kind, str) or kind not in kinds:
        raise UnknownNameError(slot, str(kind), kinds)
    try:
        return kinds[kind].model_validate(dict(fields))
    except ValidationError as error:
        raise _explained(error, kind, kinds[kind]) from None


def _explained(error: ValidationError, kind: str, model: type[Choice]) -> UnknownNameError | UsageError:
    first = error.errors()[0]
    name = ".".join(str(step) for step in first["loc"])
    if first["type"] == "extra_forbidden":
        return UnknownNameError(f"parameter of {kind}", name, set(model.model_fields) - {"kind"})
    if first["type"] == "missing":
        return UsageError(f"needs {name}", where=kind, remedy=f"add {name}")
    message = first["msg"].removeprefix("Value error, ")
    if not name:
        # A sentence of ours about several parameters, which says what to do.
        return UsageError(message, where=kind)
    found = json.dumps(first["input"], default=str)
    return UsageError(f"{name} = {found}: {message}", where=kind, remedy=f"see the parameters of {kind}")
