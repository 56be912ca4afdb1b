"""Which measurement of one side belongs to which of the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from annbench.compare.side import Side
from annbench.compare.taken import Place, Series, Setting, Taken

SAME_RECALL = 0.0005


@dataclass(frozen=True)
class Point:
    """All measurements of one point on one side: its workers, builds and blocks."""

    taken: tuple[Taken, ...]

    @property
    def first(self) -> Taken:
        """Any of them, for what they have in common."""
        return self.taken[0]

    @property
    def ok(self) -> bool:
        """Whether at least one was measured to its end."""
        return any(one.status == "ok" for one in self.taken)

    @property
    def failure(self) -> str:
        """How the first that failed did: `crashed (SIGSEGV)`."""
        one = next(t for t in self.taken if t.status != "ok")
        return f"{one.status} ({one.detail})" if one.detail else one.status

    @cached_property
    def recall(self) -> float | None:
        """Median over the measurements."""
        return _median(one.recall for one in self.taken)

    @property
    def ids(self) -> frozenset[str]:
        """Checksums of what was returned."""
        return frozenset(one.ids_crc32c for one in self.taken if one.ids_crc32c)

    @cached_property
    def times(self) -> dict[Place, Taken]:
        """By place, the measurements that have times, in the order in which blocks are run.

        Of two in one place, which no run produces, neither is taken.
        """
        timed = [(one.times.place, one) for one in self.taken if one.times]
        count = Counter(place for place, _ in timed)
        return {place: one for place, one in sorted(timed, key=lambda pair: pair[0]) if count[place] == 1}

    def median_of(self, name: str) -> float | None:
        """The median of a time figure over the workers, or None."""
        return _median(getattr(one.times, name) for one in self.taken if one.times)

    @cached_property
    def index_bytes(self) -> float | None:
        """Median serialized size in bytes."""
        return _median(one.index_bytes for one in self.taken)


@dataclass(frozen=True)
class PointPair:
    """The same parameters on both sides. Their threads may differ; their queries do not."""

    base: Point
    new: Point

    @property
    def same_threads(self) -> bool:
        """Whether both searched with as many threads."""
        return self.base.first.setting.threads == self.new.first.setting.threads

    @property
    def same_ids(self) -> bool:
        """Whether both returned the very same ids."""
        return len(self.base.ids | self.new.ids) == 1

    @property
    def recall_unchanged(self) -> bool:
        """Same ids, or recall within 0.0005."""
        if self.same_ids:
            return True
        one, other = self.base.recall, self.new.recall
        return one is not None and other is not None and abs(one - other) <= SAME_RECALL + 1e-12


@dataclass(frozen=True)
class SeriesPair:
    """Two algorithms, or one twice, with what they share and what they do not."""

    base: Series
    new: Series
    points: tuple[PointPair, ...]
    other_queries: tuple[tuple[Point, Point], ...]
    only_base: tuple[Point, ...]
    only_new: tuple[Point, ...]
    frontiers: Mapping[Setting, tuple[tuple[Point, ...], tuple[Point, ...]]]
    other_threads: tuple[tuple[Setting, Setting], ...]  # settings that differ in nothing else

    @property
    def name(self) -> str:
        """`hnswlib`, or `hnswlib (old) → hnswlib (new)`."""
        return self.base.name if self.base == self.new else f"{self.base.name} → {self.new.name}"


@dataclass(frozen=True)
class Matched:
    """What of two sides is compared with what."""

    pairs: tuple[SeriesPair, ...]
    only_base: tuple[Series, ...]
    only_new: tuple[Series, ...]


def match(base: Side, new: Side) -> Matched:
    """Pair the series of two sides.

    One series on either side are compared whatever they are called. Otherwise those of one name and label belong
    together, and then those of one name, where each side has just one of it.
    """
    left, right = _by_series(base.taken), _by_series(new.taken)
    chosen: list[tuple[Series, Series]] = []
    if len(left) == len(right) == 1:
        chosen = [(next(iter(left)), next(iter(right)))]
    else:
        chosen = [(series, series) for series in left if series in right]
        rest_left = [s for s in left if s not in right]
        rest_right = [s for s in right if s not in left]
        for series in rest_left:
            mine = [s for s in rest_left if s.algorithm == series.algorithm]
            theirs = [s for s in rest_right if s.algorithm == series.algorithm]
            if len(mine) == len(theirs) == 1:
                chosen.append((series, theirs[0]))
    paired_left, paired_right = {b for b, _ in chosen}, {n for _, n in chosen}
    return Matched(
        tuple(_series_pair(b, n, left[b], right[n]) for b, n in sorted(chosen, key=lambda pair: pair[0].name)),
        tuple(s for s in left if s not in paired_left),
        tuple(s for s in right if s not in paired_right),
    )


def points_of(taken: Iterable[Taken]) -> list[Point]:
    """The measurements of one series, gathered by point."""
    groups: dict[tuple[Setting, str, str], list[Taken]] = {}
    for one in taken:
        groups.setdefault((one.setting, one.build_text, one.search_text), []).append(one)
    return [Point(tuple(group)) for group in groups.values()]


def shared_machine(base: Sequence[Point], new: Sequence[Point]) -> str | None:
    """The machine that both measured on (of several, where they measured most), or None."""
    left, right = _machines(base), _machines(new)
    return max(sorted(left & right), key=lambda m: left[m], default=None)


def _machines(points: Sequence[Point]) -> Counter[str]:
    return Counter(place.machine_id for point in points for place in point.times)


def _by_series(taken: Iterable[Taken]) -> dict[Series, list[Taken]]:
    groups: dict[Series, list[Taken]] = {}
    for one in taken:
        groups.setdefault(one.series, []).append(one)
    return groups


def _series_pair(base: Series, new: Series, left: list[Taken], right: list[Taken]) -> SeriesPair:
    ours, theirs = points_of(left), points_of(right)
    pairs: list[PointPair] = []
    other_queries: list[tuple[Point, Point]] = []
    for one, other in _matching(ours, theirs):
        if one.first.setting.queries == other.first.setting.queries:
            pairs.append(PointPair(one, other))
        else:
            other_queries.append((one, other))
    used = {id(p) for pair in pairs for p in (pair.base, pair.new)} | {id(p) for two in other_queries for p in two}
    settings = {p.first.setting: None for p in ours if p.first.setting in {q.first.setting for q in theirs}}
    return SeriesPair(
        base,
        new,
        tuple(pairs),
        tuple(other_queries),
        tuple(p for p in ours if id(p) not in used),
        tuple(p for p in theirs if id(p) not in used),
        {s: (_of_setting(ours, s), _of_setting(theirs, s)) for s in settings},
        tuple(_threads_differ(ours, theirs)),
    )


def _matching(ours: list[Point], theirs: list[Point]) -> Iterator[tuple[Point, Point]]:
    """Points of one configuration: those of the same threads and queries first, then what is left if it is one each."""
    left, right = _by_configuration(ours), _by_configuration(theirs)
    for key, mine in left.items():
        other = {point.first.setting: point for point in right.get(key, [])}
        rest = []
        for point in mine:
            same = other.pop(point.first.setting, None)
            if same is None:
                rest.append(point)
            else:
                yield point, same
        if len(rest) == len(other) == 1:
            yield rest[0], next(iter(other.values()))


def _by_configuration(points: list[Point]) -> dict[tuple[object, ...], list[Point]]:
    groups: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        one, s = point.first, point.first.setting
        key = (s.dataset_sha256, s.query_set, s.task, s.k, s.mode, one.build_text, one.search_text)
        groups.setdefault(key, []).append(point)
    return groups


def _threads_differ(ours: list[Point], theirs: list[Point]) -> Iterator[tuple[Setting, Setting]]:
    left = dict.fromkeys(p.first.setting for p in ours)
    right = dict.fromkeys(p.first.setting for p in theirs)
    for one in (s for s in left if s not in right):
        for other in (s for s in right if s not in left):
            if _without_load(one) == _without_load(other):
                yield one, other


def _without_load(setting: Setting) -> tuple[object, ...]:
    return setting.dataset_sha256, setting.query_set, setting.task, setting.k, setting.mode


def _of_setting(points: list[Point], setting: Setting) -> tuple[Point, ...]:
    return tuple(point for point in points if point.first.setting == setting)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None
