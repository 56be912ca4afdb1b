"""What an index knows about itself beside its codes: kept as JSON in its file, told by its repr."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.errors import AnnbenchError, IndexFileError
from annbench.indexes.clusters import Assigner
from annbench.indexes.presets import AUTO, PRESETS
from annbench.indexes.spec import SLOTS, IndexMetric, IndexSpec, checked_metric, make_spec
from annbench.indexes.structures import NO_SLACK, walk_end
from annbench.indexes.transforms.base import Maps

MAX_ZERO_IDS = 10_000  # named in a file; no more are worth it
MAX_REASONS = 100  # read from a file, of so many letters each
MAX_SENTENCE = 500


@dataclass(frozen=True)
class About:
    """`preset` and `chosen`, the slots that the caller chose, say where the spec comes from; `zero_ids` are the vectors
    of length zero under cosine; `why` are the reasons of preset auto.
    """

    metric: IndexMetric
    spec: IndexSpec
    dim: int
    preset: str | None = None
    seed: int = 0
    chosen: tuple[str, ...] = ()
    zero_ids: tuple[int, ...] = ()
    why: tuple[str, ...] = ()

    @property
    def unit(self) -> bool:
        """Whether vectors count scaled to length 1."""
        return self.metric == "cosine"

    def with_zero_ids(self, ids: NDArray[np.int64]) -> About:
        """With further vectors of length zero."""
        return replace(self, zero_ids=(*self.zero_ids, *ids.tolist())) if len(ids) else self

    def without_zero_ids(self, ids: NDArray[np.int64]) -> About:
        """Without those that were removed."""
        gone = set(ids.tolist()) if self.zero_ids else set()
        return replace(self, zero_ids=tuple(i for i in self.zero_ids if i not in gone)) if gone else self

    def json(self) -> str:
        """For the index file, which is the same on every machine: a file that the transform names was read before."""
        fields = {
            "metric": self.metric,
            "spec": self.spec.placeless().fields(),
            "dim": self.dim,
            "preset": self.preset,
            "seed": self.seed,
            "chosen": list(self.chosen),
            "zero_ids": list(self.zero_ids[:MAX_ZERO_IDS]),
            **({"why": list(self.why)} if self.why else {}),
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, where: str) -> About:
        """What `json` wrote. Raises IndexFileError for anything else."""
        try:
            fields = json.loads(text)
            return cls(
                metric=checked_metric(str(fields["metric"])),
                spec=make_spec(**{slot: fields["spec"][slot] for slot in SLOTS}),
                dim=_whole(fields["dim"]),
                preset=fields["preset"] if fields["preset"] in (*PRESETS, AUTO) else None,
                seed=_whole(fields["seed"]),
                chosen=tuple(slot for slot in SLOTS if slot in fields["chosen"]),
                zero_ids=tuple(_whole(i) for i in fields["zero_ids"]),
                why=tuple(_sentence(text) for text in fields.get("why", ())[:MAX_REASONS]),
            )
        except (AnnbenchError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise IndexFileError(
                f"its description is not one of annbench: {error}"[:300],
                where=where,
                remedy="build the index again with this version",
            ) from error

    def maps_of(self, arrays: Mapping[str, Any]) -> Maps:
        """The fitted maps, out of the native index's arrays."""
        if arrays["binarizer"] is not None:
            shape = arrays["binarizer_shape"]
            return Maps(
                self.dim, int(shape[1]), arrays["mean"], query_map=arrays["query_map"],
                binarizer=(shape, arrays["binarizer"]), normalise=True,
            )  # fmt: skip
        base = arrays["query_map"] if arrays["base_map"] is None else arrays["base_map"]
        dim_out = self.dim if base is None else len(base)
        return Maps(
            self.dim, dim_out, arrays["mean"], base, arrays["query_map"], arrays["rotation"],
            normalise=self.spec.normalises,
        )  # fmt: skip

    def assigner_of(self, arrays: Mapping[str, Any]) -> Assigner | None:
        """What finds the lists of further vectors; None for flat."""
        centroids = arrays["centroids"]
        return None if centroids is None else Assigner(centroids, self.spec.assignments)

    def describe(self, n: int, parts: Mapping[str, int], on_disk: Mapping[str, int]) -> str:
        """Several lines for people; `parts` are bytes in memory."""
        total = sum(parts.values())
        head = f"annbench.Index: {n:,} × {self.dim:,}, {self.metric}"
        rows = [head, f"  {self._chain()}"]
        if n:
            each = total / n
            ratio = 4 * self.dim / each
            versus = f"{ratio:.1f} × smaller than float32" if ratio >= 1 else f"{1 / ratio:.1f} × larger than float32"
            rows.append(f"  {_size(total)}: {each:,.0f} bytes a vector, {versus}")
            kept = sorted(((part, size) for part, size in parts.items() if size), key=lambda item: -item[1])
            rows.append("    " + ", ".join(f"{part} {_size(size)}" for part, size in kept))
        if on_disk:
            left = ", ".join(f"{part} {_size(size)}" for part, size in on_disk.items())
            rows.append(f"  on disk, for searches only: {left}")
        rows += self._notes()
        return "\n".join(rows)

    def _chain(self) -> str:
        transform, codec, structure, rerank = (getattr(self.spec, slot) for slot in SLOTS)
        steps = [] if transform.kind == "identity" and not transform.center else [str(transform)]
        steps.append(str(codec))
        steps.append(str(structure))
        if rerank.kind != "none":
            steps.append(f"{rerank} rerank")
        return " → ".join(steps)

    def _notes(self) -> list[str]:
        notes = []
        if self.preset == AUTO:
            notes += ["  preset auto:", *(f"    {reason}" for reason in self.why)]
        elif self.preset is not None:
            preset = PRESETS[self.preset]
            notes.append(f"  preset {self.preset}: {preset.paper}")
        elif not self.chosen:
            notes.append("  all slots by default; choose a preset, or transform, codec, structure, rerank")
        search = [f"nprobe {self.spec.default_nprobe:,} of {self.spec.nlist:,}"] if self.spec.nlist > 1 else []
        if self.spec.has_graph:
            ef, slack = walk_end(self.metric, None, None)
            search.append(f"ef_search {ef:,}" if slack == NO_SLACK else f"slack {slack:g}, ef_search {ef:,} at most")
        if self.spec.rerank.kind != "none":
            search.append(f"rerank_k {self.spec.default_rerank_factor} × k")
        if search:
            notes.append(f"  searches by default with {', '.join(search)}")
        if self.zero_ids:
            few = ", ".join(str(i) for i in self.zero_ids[:5]) + (", …" if len(self.zero_ids) > 5 else "")
            notes.append(f"  {len(self.zero_ids):,} vectors of length zero, at distance 1 from everything: ids {few}")
        return notes


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError(f"{value!r} is no whole number")
    return value


def _sentence(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no sentence")
    return "".join(letter for letter in value[:MAX_SENTENCE] if letter.isprintable())


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"
