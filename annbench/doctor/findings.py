"""From figures to findings: what is wrong, how bad that is, and what to do.

A rule is a function from the diagnosis to findings; RULES lists them. Each rule says so when it finds nothing (`ok`),
so that the answer tells what was looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from annbench.doctor.model import ArrayFigures, Diagnosis, Duplicates, Finding, Severity, TruthFigures
from annbench.doctor.variance import MAX_DIM
from annbench.errors import DatasetError

# More copies than this spoil recall figures; fewer are what real data have.
MANY_COPIES = 0.01
# Below the first, no two programs will differ by more than their rounding does anyway.
SOME_TIES, MANY_TIES = 0.01, 0.10
# A wrong neighbour that is this little farther is float32 rounding in the program that made the truth.
ROUNDING_EXCESS = 1e-4
MANY_NEAR_COPIES = 0.01
HUB_SHARE = 0.25
# With mean vector μ, two random rows have cosine ‖μ‖² on average: at 0.7 half of every similarity is common to all.
COMMON_DIRECTION = 0.7
LENGTHS_VARY = 0.5  # standard deviation ÷ mean
LENGTHS_EQUAL = 1e-3

_REMAKE = "make the truth again with `annbench groundtruth`"


def findings_of(diagnosis: Diagnosis) -> list[Finding]:
    """All findings, in the order of the rules."""
    return [finding for rule in RULES for finding in rule(diagnosis)]


def unreadable(subject: str, error: DatasetError) -> Finding:
    """A part of the file could not be read."""
    where = f"{error.where}: " if error.where else ""
    return Finding(
        code="unreadable", severity="error", subject=subject, message=f"{where}{error.message}", remedy=error.remedy
    )


def left_out(count: int, limit: int) -> Finding:
    """There are more query sets than are examined at once."""
    return Finding(
        code="query_sets_left_out",
        severity="note",
        subject="query sets",
        message=f"{count} query sets, of which the first {limit} were examined",
        remedy="name others with --query-set",
        count=count - limit,
    )


def _unusable_rows(diagnosis: Diagnosis) -> Iterator[Finding]:
    undefined = {
        "snr": "are constant: without variance there is no signal-to-noise ratio",
        "poincare": "have norm 1 or more, outside the Poincaré ball",
        "hamming": f"have bits set beyond dimension {diagnosis.dim}",
    }.get(diagnosis.metric, "have no distance to anything")
    kinds = (
        ("nan", "hold NaN", "remove or repair the rows: they have no distance to anything"),
        ("inf", "hold infinities", "remove or repair the rows: they have no distance to anything"),
        ("overflow", "are so long that a distance to them overflows float32", "scale all vectors down by one factor"),
        ("undefined", undefined, "remove or repair the rows, or choose another metric"),
    )
    for array in diagnosis.arrays:
        faults = [(kind, what, remedy, getattr(array, f"{kind}_rows")) for kind, what, remedy in kinds]
        for kind, what, remedy, count in faults:
            if count:
                yield _rows_finding(f"{kind}_rows", "error", array, kind, count, what, remedy)
        if not any(count for *_, count in faults):
            yield _ok("unusable_rows", array.name, "every row has a distance to the others")


def _zero_rows(diagnosis: Diagnosis) -> Iterator[Finding]:
    meaning: dict[str, tuple[Severity, str]] = {
        "cosine": ("warning", "have no direction, and cosine distance 1 to everything"),
        "ip": ("note", "have the inner product 0 with everything"),
        "jaccard": ("note", "are at distance 1 from all others"),
    }
    severity, what = meaning.get(diagnosis.metric, ("note", "may be missing values in disguise"))
    remedy = "remove them, or find out why they are empty"
    for array in diagnosis.arrays:
        if array.zero_rows:
            noun = "are empty sets, which" if diagnosis.metric == "jaccard" else "are zero: they"
            yield _rows_finding("zero_rows", severity, array, "zero", array.zero_rows, f"{noun} {what}", remedy)
        else:
            yield _ok("zero_rows", array.name, "no zero rows")


def _duplicate_rows(diagnosis: Diagnosis) -> Iterator[Finding]:
    for array in diagnosis.arrays:
        found = array.duplicates
        if found is None:
            continue
        if not found.copies:
            yield _ok("duplicate_rows", array.name, "no two rows are alike")
            continue
        many = array.name == "base" and found.copies > MANY_COPIES * array.rows
        yield Finding(
            code="duplicate_rows",
            severity="warning" if many else "note",
            subject=array.name,
            message=f"{_share(found.copies, array.rows)} rows are copies of an earlier one: {_groups(found)}",
            remedy="keep one of each, and map its id to the others: copies take places in every answer"
            if array.name == "base"
            else "keep one of each, so that no query counts twice",
            count=found.copies,
            rows=found.example,
        )


def _groups(found: Duplicates) -> str:
    if found.groups == 1:
        return f"one vector occurs {'twice' if found.largest_group == 2 else f'{found.largest_group:,} times'}"
    if found.largest_group == 2:
        return f"{found.groups:,} vectors occur twice"
    return f"{found.groups:,} vectors occur more than once, one of them {found.largest_group:,} times"


def _leaks(diagnosis: Diagnosis) -> Iterator[Finding]:
    counts = {array.name: array.rows for array in diagnosis.arrays}
    for name, overlap in diagnosis.leaks.items():
        learn = name.endswith(" learn")
        if not overlap.rows:
            yield _ok("train_test_leaks", name, "none of its rows is a row of the base")
            continue
        assert overlap.example is not None
        yield Finding(
            code="train_test_leaks",
            severity="note" if learn else "warning",
            subject=name,
            message=f"{_share(overlap.rows, counts[name])} rows are exactly a row of the base "
            f"(row {overlap.example[0]} is row {overlap.example[1]} of the base)",
            remedy="nothing, if learning from the base is meant"
            if learn
            else "take them out of the queries or of the base: finding oneself is easy, and recall looks better than "
            "it is",
            count=overlap.rows,
            rows=overlap.example[:1],
        )
    for name, overlap in diagnosis.learn_overlaps.items():
        if not overlap.rows:
            yield _ok("learn_test_overlap", name, "no query is among those an index may be fitted on")
            continue
        assert overlap.example is not None
        yield Finding(
            code="learn_test_overlap",
            severity="warning",
            subject=name,
            message=f"{_share(overlap.rows, counts[name])} queries are among those an index may be fitted on "
            f"(query {overlap.example[0]} is row {overlap.example[1]} of learn)",
            remedy="take them out of learn: a fitted index would be tested on what it was fitted to",
            count=overlap.rows,
            rows=overlap.example[:1],
        )


def _truth_lists(diagnosis: Diagnosis) -> Iterator[Finding]:
    for name, found in diagnosis.truth.items():
        faults = (
            ("unknown_ids", found.lists_with_unknown_ids, f"name rows that do not exist (0 to {diagnosis.n - 1} do)",
             f"the truth belongs to another base; {_REMAKE}"),
            ("repeats", found.lists_with_repeats, "name the same neighbour twice", _REMAKE),
            ("not_finite", found.lists_not_finite, "hold distances that are not finite", _REMAKE),
            ("unsorted", found.lists_unsorted, "are not sorted, nearest first",
             "sort the neighbours by distance; similarities must be stored as distances"),
        )  # fmt: skip
        for kind, count, what, remedy in faults:
            if count:
                rows = found.examples.get(kind, ())
                yield Finding(
                    code=f"truth_{kind}",
                    severity="error",
                    subject=f"{name} truth",
                    message=f"{_share(count, found.lists)} lists of neighbours {what}",
                    remedy=remedy,
                    count=count,
                    rows=rows,
                )
        if not any(count for _, count, *_ in faults):
            yield _ok("truth_lists", f"{name} truth", "every list has distinct rows of the base, nearest first")
        if found.stored_k < min(diagnosis.k, diagnosis.n):
            yield Finding(
                code="truth_too_short",
                severity="note",
                subject=f"{name} truth",
                message=f"holds {found.stored_k} neighbours a query, and k = {diagnosis.k} needs more",
                remedy=f"lower k, or {_REMAKE}",
            )


def _truth_values(diagnosis: Diagnosis) -> Iterator[Finding]:
    for name, found in diagnosis.truth.items():
        if not found.sampled_queries:
            continue
        subject = f"{name} truth"
        wrong = found.distances_compared - found.distances_agreeing
        if wrong and found.disagreement is not None:
            one = found.disagreement
            yield Finding(
                code="distances_disagree",
                severity="error",
                subject=subject,
                message=f"{_share(wrong, found.distances_compared)} stored distances are not {diagnosis.metric}: "
                f"query {one.query} to row {one.row} is stored as {one.stored:.6g}, and is {one.true:.6g}",
                remedy=one.explanation,
                count=wrong,
            )
        else:
            yield _ok(
                "distances_disagree", subject, f"{found.distances_compared:,} stored distances agree with the metric"
            )
        yield _neighbors_true(subject, found)


def _neighbors_true(subject: str, found: TruthFigures) -> Finding:
    wrong = found.neighbors_compared - found.neighbors_true
    if not wrong:
        message = f"the neighbours of {found.sampled_queries:,} sampled queries are the true ones"
        return _ok("truth_wrong", subject, message)
    excess = found.largest_excess
    rounding = excess is not None and excess <= ROUNDING_EXCESS
    farther = "" if excess is None else f", by up to {excess:.2g} of the distance"
    return Finding(
        code="truth_wrong",
        severity="note" if rounding else "error",
        subject=subject,
        message=f"{_share(wrong, found.neighbors_compared)} stored neighbours, in "
        f"{_share(found.queries_with_wrong_neighbors, found.sampled_queries)} sampled queries, are farther than the "
        f"true ones{farther}",
        remedy="nothing: that is the rounding of float32 where the truth was made"
        if rounding
        else f"{_REMAKE}: recall against it would be wrong by as much",
        count=wrong,
    )


def _near_ties(diagnosis: Diagnosis) -> Iterator[Finding]:
    counted = diagnosis.metric in ("hamming", "jaccard")
    for name, found in diagnosis.ties.items():
        share, subject = found.within_1e_6, f"{name} truth"
        if share < SOME_TIES:
            yield _ok(
                "near_ties", subject, f"place {found.k} and the next are told apart in {1 - share:.1%} of the queries"
            )
            continue
        yield Finding(
            code="near_ties",
            severity="warning" if share >= MANY_TIES and not counted else "note",
            subject=subject,
            message=f"in {share:.1%} of the queries the next neighbour is as near as number {found.k} to within 1e-6"
            + (", as counts often are" if counted else ""),
            remedy="read `recall_at_k`, which counts ties as right: two right answers may differ by "
            f"{share / found.k:.3f} or more in recall by ids",
        )


def _shift(diagnosis: Diagnosis) -> Iterator[Finding]:
    for found in diagnosis.shifts:
        subject, numbers = (
            found.query_set,
            exceedances_text(found.mahalanobis_exceedance, found.kth_exceedance, found.separability),
        )
        if found.verdict == "in distribution":
            yield _ok("query_shift", subject, f"in distribution: like held-out rows of the base ({numbers})")
        elif found.verdict == "too few to tell":
            message = (
                f"{found.queries} queries against {found.base_rows} rows are too few to tell their distributions apart"
            )
            yield Finding(code="query_shift", severity="note", subject=subject, message=message)
        else:
            outside = found.verdict == "out of distribution"
            yield Finding(
                code="query_shift",
                severity="warning" if outside else "note",
                subject=subject,
                message=f"{found.verdict}: unlike held-out rows of the base ({numbers})",
                remedy="measure with these queries, not with rows of the base; codes and graphs fitted to the base "
                "alone lose most here, and an index fitted on such queries (learn) loses less",
            )


def exceedances_text(outward: float | None, kth: float | None, separable: float | None) -> str:
    """The three comparisons, for people."""
    parts = (("farther out", outward), ("farther from neighbours", kth), ("separable", separable))
    return ", ".join(f"{what} {value:.0%}" for what, value in parts if value is not None) + "; alike is 50%"


def _lengths(diagnosis: Diagnosis) -> Iterator[Finding]:
    base = next((array for array in diagnosis.arrays if array.name == "base"), None)
    if base is None or base.lengths is None or diagnosis.metric not in ("cosine", "ip"):
        return
    lengths = base.lengths
    varies = lengths.std / lengths.mean if lengths.mean > 0 else 0.0
    common = diagnosis.variance.mean_share if diagnosis.variance is not None else 0.0
    if diagnosis.metric == "ip":
        if varies <= LENGTHS_EQUAL:
            message = "all vectors are equally long, so that inner product ranks as cosine does"
            yield Finding(code="equal_lengths", severity="note", subject="base", message=message,
                          remedy="use metric cosine, which every index serves")  # fmt: skip
        elif varies >= LENGTHS_VARY:
            message = f"lengths vary by {varies:.0%} of their mean: by inner product the longest are in most answers"
            yield Finding(code="lengths_vary", severity="note", subject="base", message=message,
                          remedy="check that length means relevance here; else use cosine")  # fmt: skip
        return
    if varies < LENGTHS_VARY and common < COMMON_DIRECTION:
        yield _ok("cosine_caveat", "base", "lengths and mean vector are such that cosine tells rows apart")
    if varies >= LENGTHS_VARY:
        yield Finding(
            code="cosine_caveat",
            severity="warning",
            subject="base",
            message=f"cosine ignores length, which varies by {varies:.0%} of its mean here",
            remedy="check how the vectors were trained: after matrix factorisation cosine can be arbitrary, and inner "
            "product is what was fitted",
        )
    if common >= COMMON_DIRECTION:
        yield Finding(
            code="common_direction",
            severity="warning",
            subject="base",
            message=f"the mean vector is {common:.2f} long beside unit vectors: two random rows have cosine "
            f"{common**2:.2f}",
            remedy="subtract the mean vector from base and queries and compare recall on your task: what all rows "
            "share tells none apart",
        )


def _columns(diagnosis: Diagnosis) -> Iterator[Finding]:
    found = diagnosis.variance
    if diagnosis.dim > MAX_DIM and diagnosis.dtype not in ("bits", "sets"):
        message = f"variance and separability are not measured beyond {MAX_DIM:,} dimensions"
        yield Finding(code="variance_left_out", severity="note", subject="base", message=message)
    if found is None:
        return
    if not found.constant_columns:
        yield _ok("constant_columns", "base", "every column varies")
        return
    yield Finding(
        code="constant_columns",
        severity="note",
        subject="base",
        message=f"{found.constant_columns:,} of {diagnosis.dim:,} columns are constant, {found.zero_columns:,} of them "
        "zero",
        remedy="drop them from base and queries: under L2 and inner product they change no ranking among rows"
        if diagnosis.metric in ("euclidean", "ip")
        else "drop those that are zero from base and queries: they change no distance",
        count=found.constant_columns,
        rows=found.constant_example,
    )


def _crowding(diagnosis: Diagnosis) -> Iterator[Finding]:
    for seen in diagnosis.neighborhoods:
        if seen.near_copies >= MANY_NEAR_COPIES * seen.points:
            yield Finding(
                code="near_copies",
                severity="note",
                subject=seen.name,
                message=f"{_share(seen.near_copies, seen.points)} sampled points have a neighbour closer than a "
                "thousandth of the mean distance, without being a copy of it",
                remedy="look at some of them: nearly equal rows fill each other's answers",
                count=seen.near_copies,
            )
        if seen.name != "base" and seen.hub_share is not None and seen.hub_share >= HUB_SHARE and seen.points >= 20:
            yield Finding(
                code="hubs",
                severity="note",
                subject=seen.name,
                message=f"one row of the base is among the nearest of {seen.hub_share:.0%} of the queries",
                remedy="look at that row; by inner product, at the longest ones",
            )


RULES: tuple[Callable[[Diagnosis], Iterator[Finding]], ...] = (
    _unusable_rows,
    _zero_rows,
    _truth_lists,
    _truth_values,
    _near_ties,
    _leaks,
    _duplicate_rows,
    _shift,
    _lengths,
    _columns,
    _crowding,
)


def _rows_finding(
    code: str, severity: Severity, array: ArrayFigures, kind: str, count: int, what: str, remedy: str
) -> Finding:
    return Finding(
        code=code,
        severity=severity,
        subject=array.name,
        message=f"{_share(count, array.rows)} rows {what}",
        remedy=remedy,
        count=count,
        rows=array.examples.get(kind, ()),
    )


def _share(count: int, total: int) -> str:
    """`12 of 500 (2.4%)`."""
    return (
        f"{count:,} of {total:,} ({count / total:.2g})"
        if total and count / total < 1e-4
        else f"{count:,} of {total:,} ({count / max(total, 1):.2%})"
    )


def _ok(code: str, subject: str, message: str) -> Finding:
    return Finding(code=code, severity="ok", subject=subject, message=message)
