"""What all parts of a configuration have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Base of all parts of a configuration: frozen, strict, and nothing unknown accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
