"""What the printed numbers say about each other, beyond what must add up.

A rule yields one `Finding` for each comparison: what was compared, the arithmetic, a
verdict, what it means in one sentence, and the innocent reading. Rules read the columns of
`claims.csv`, wherever they fit, or the rows of `pairings.csv`, which are declared one by
one; none names a number of this paper.

Verdicts: `consistent`; `odd` (the numbers can all be true, but something is not what it
seems); `inconsistent` (they cannot all be true, and no innocent reading is known).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from itertools import combinations, product
from pathlib import Path

import pandas as pd
from scipy.special import ndtri

from visiontrial import identities, ledger, paths, published
from visiontrial.identities import Claim, Identity, Linear, Registry, linear
from visiontrial.printed import Interval, as_printed, parse, parse_date
from visiontrial.published import PublishedDataError

ARMS = ("lu", "control")
ARM_NAMES = {"lu": "177Lu-PSMA-617", "control": "control"}
VERDICTS = ("consistent", "odd", "inconsistent")
NO_INNOCENT_READING = "None."
DAYS_PER_MONTH = 30.4375
DAYS_PER_WEEK = 7

CHANCE_LIMIT = 3.0
"""How many standard errors from its expectation a number must be to be called odd."""
DOSE_TOLERANCE = 0.05
"""A cumulative dose further than this share from its planned doses is called odd."""
ROUGH_DATE_DAYS = {"mid-": 5, "": 31}
"""How many days a date given as the middle of a month, or as a month, may be from the exact one."""

PAIRED = {
    "shape": 3, "events": 3, "at_least": 2, "pooled": 3, "span": 3, "date_order": 2, "same_date": 2,
    "dose": 3, "schedule": 3, "two_rules": 2, "nobody": 2, "eligible": 2, "baseline_share": 2, "words": 2,
    "above": 2,
}  # fmt: skip
"""The rules that read `pairings.csv` -> how many of first, second and third are claims or sums of claims."""

TITLES = {
    "events": "interval width against numbers of events",
    "shape": "ratio of medians against hazard ratio",
    "pooled": "the arms' medians against the overall one",
    "arms": "shares at baseline between the randomized arms",
    "periods": "shares at baseline between the two periods",
    "parts": "medians of the later patients against all",
    "two_rules": "patients counted under two rules",
    "nobody": "patients whom another rule leaves out",
    "eligible": "enrolled patients against eligibility",
    "at_least": "what was reached against the plan",
    "span": "lengths of time against the calendar",
    "date_order": "dates in the order of the story",
    "same_date": "a date given twice",
    "dose": "cumulative dose against planned doses",
    "schedule": "exposure against the schedule",
    "words": "words against figures",
    "above": "listed events against the list's threshold",
    "denominator": "percents whose denominator stands elsewhere",
    "decimals": "decimals against the number of patients",
    "sum": "parts against wholes",
    "percent": "counts against percents",
    "product": "one quantity in two units",
    "centre": "hazard ratio against the middle of its interval",
    "wald": "interval against P value",
    "power": "power against events, hazard ratio and level",
    "order": "medians inside ranges, and other orders",
    "part of a whole": "counts against denominators",
    "subset": "subsets against supersets",
    "repeat": "the same number in two places",
}
"""Rule -> what it holds against what."""


@dataclass(frozen=True)
class Finding:
    """One comparison of printed numbers; `consequence` 3 touches a primary result, 1 a wording."""

    rule: str
    claim_ids: tuple[str, ...]
    arithmetic: str
    verdict: str
    meaning: str
    innocent: str
    consequence: int


@dataclass(frozen=True)
class Numbers:
    """The claims as the rules see them."""

    claims: pd.DataFrame
    registry: Registry
    pairings: pd.DataFrame

    @cached_property
    def printed(self) -> dict[str, str]:
        return dict(zip(self.claims["claim_id"], self.claims["printed"], strict=True))

    @property
    def values(self) -> dict[str, Claim]:
        return self.registry.values

    def number(self, claim_id: str) -> float:
        """The printed number, rounding apart."""
        return float(self.values[claim_id].printed.value)

    def bounds(self, claim_id: str) -> Interval:
        return self.values[claim_id].interval

    @cached_property
    def items(self) -> dict[str, str]:
        """What each claim is called in the paper."""
        return dict(zip(self.claims["claim_id"], self.claims["item"], strict=True))

    def total(self, expression: str) -> tuple[int, Linear]:
        """A sum of counts as written in `pairings.csv`, and its terms."""
        terms = linear(expression)
        return int(terms.interval(self.values).low), terms

    def of_rule(self, rule: str) -> Iterator:
        return self.pairings[self.pairings["rule"] == rule].itertuples()


Rule = Callable[[Numbers], Iterator[Finding]]


@cache
def as_published(folder: Path = paths.PUBLISHED) -> Numbers:
    """The published claims and pairings. Raises `PublishedDataError` for a pairing that cannot be read."""
    return _numbers(published.claims(folder), ledger.registry(folder), folder)


def doctored(claim_id: str, printed: str, folder: Path = paths.PUBLISHED) -> Numbers:
    """The same with one number changed: to see which rules notice.

    Raises `KeyError` for an unknown claim and `PublishedDataError` for characters that are
    not of the claim's kind (a date for a date, a number with the same sign for a number).
    """
    was = published.printed(claim_id, folder)
    claims = published.claims(folder).copy()
    claims.loc[claims["claim_id"] == claim_id, "printed"] = printed
    published.validate_claims(claims, f"doctored {claim_id}")
    if claim_id in ledger.registry(folder).values and parse(printed).sign != parse(was).sign:
        raise PublishedDataError(f"doctored {claim_id}: {was!r} became {printed!r}; keep its sign")
    known = identities.registry(claims, published.flow(folder), published.identities_table(folder))
    return _numbers(claims, known, folder)


def _numbers(claims: pd.DataFrame, known: Registry, folder: Path) -> Numbers:
    pairings = published.pairings(folder)
    _refuse_unknown(pairings, set(claims["claim_id"]))
    return Numbers(claims, known, pairings)


def _refuse_unknown(pairings: pd.DataFrame, known: set[str]) -> None:
    """Raise `PublishedDataError` naming each line of `pairings.csv` whose rule or claim does not exist."""
    problems = []
    for line, row in zip(pairings.index + 2, pairings.itertuples(), strict=True):
        if row.rule not in PAIRED:
            problems.append(f"line {line}: rule {row.rule!r} is unknown; use one of {', '.join(PAIRED)}")
            continue
        sums = (row.first, row.second, row.third)[: PAIRED[row.rule]]
        claim_ids = [i for text in sums for arm in ARMS for i in linear(text.format(arm=arm)).claim_ids]
        claim_ids += _limits_and_word(row.third)[1] if row.rule == "words" else ()
        problems += [f"line {line}: no such claim: {i}" for i in dict.fromkeys(claim_ids) if i not in known]
    if problems:
        raise PublishedDataError("\n".join(f"pairings.csv: {problem}; correct it" for problem in problems))


@cache
def findings(folder: Path = paths.PUBLISHED) -> tuple[Finding, ...]:
    """Every finding of every rule on the published numbers, in the order of `RULES`."""
    return apply(as_published(folder))


def apply(numbers: Numbers) -> tuple[Finding, ...]:
    """Every finding of every rule on these numbers."""
    return tuple(finding for rule in RULES for finding in rule(numbers))


def table(found: tuple[Finding, ...]) -> pd.DataFrame:
    """Findings as rows, the most consequential first, those that are consistent last."""
    rows = pd.DataFrame([vars(f) | {"claims": ", ".join(f.claim_ids)} for f in found])
    severity = rows["verdict"].map({verdict: n for n, verdict in enumerate(VERDICTS)})
    order = rows.assign(severity=severity).sort_values(
        ["severity", "consequence"], ascending=False, kind="stable"
    )
    columns = ["rule", "verdict", "arithmetic", "meaning", "innocent", "claims", "consequence"]
    return order[columns].reset_index(drop=True)


def tally(found: tuple[Finding, ...]) -> pd.DataFrame:
    """One row per rule: `rule`, `title`, `comparisons`, and how many had each verdict."""
    counts = Counter((f.rule, f.verdict) for f in found)
    rules = list(dict.fromkeys(f.rule for f in found))
    rows = [{"rule": rule, "title": TITLES[rule]} | {v: counts[rule, v] for v in VERDICTS} for rule in rules]
    rows = pd.DataFrame(rows)
    rows.insert(2, "comparisons", rows[list(VERDICTS)].sum(axis=1))
    return rows


def noticed(before: tuple[Finding, ...], after: tuple[Finding, ...]) -> pd.DataFrame:
    """The comparisons whose verdict changed: `rule`, `arithmetic`, `before`, `after`; the graver first."""
    was = {(f.rule, f.claim_ids): f.verdict for f in before}
    rows = [
        (TITLES[f.rule], f.arithmetic, was.get((f.rule, f.claim_ids), "not compared"), f.verdict)
        for f in sorted(after, key=lambda f: -VERDICTS.index(f.verdict))
        if f.verdict != was.get((f.rule, f.claim_ids))
    ]
    return pd.DataFrame(rows, columns=["rule", "arithmetic", "before", "after"])


def ties(numbers: Numbers) -> pd.DataFrame:
    """How many relations tie each part of the paper to each part.

    Columns: `one`, `other`, `equations`, `orders`, `repeats`. A relation between claims of one
    part ties that part to itself; one between claims of several parts, each pair of them.
    """
    place = dict(zip(numbers.claims["claim_id"], numbers.claims["location"], strict=True))
    known = numbers.registry
    relations = [("equations" if i.is_equation else "orders", i.claim_ids) for i in known.identities]
    relations += [("repeats", (repeat.claim_id, repeat.of)) for repeat in known.repeats]
    counts = Counter()
    for kind, claim_ids in relations:
        parts = sorted({place[i] for i in claim_ids}, key=published.LOCATIONS.index)
        for pair in combinations(parts, 2) if len(parts) > 1 else [(parts[0], parts[0])]:
            counts[*pair, kind] += 1
    pairs = sorted({key[:2] for key in counts}, key=lambda pair: [published.LOCATIONS.index(p) for p in pair])
    kinds = ("equations", "orders", "repeats")
    return pd.DataFrame([{"one": a, "other": b} | {k: counts[a, b, k] for k in kinds} for a, b in pairs])


def unprotected(numbers: Numbers, found: tuple[Finding, ...]) -> pd.DataFrame:
    """The claims that no identity and no repeat touches.

    Columns: `claim_id`, `item`, `printed`, `unit`, `kind`, `compared`. The last names the rules
    of this module that at least speak of the claim; it is empty where only the two readings
    of the paper stand behind it.
    """
    rules: dict[str, list[str]] = {}
    for finding in found:
        for claim_id in finding.claim_ids:
            rules.setdefault(claim_id, []).append(TITLES[finding.rule])
    bare = numbers.claims[~numbers.claims["claim_id"].isin(numbers.registry.spoken_of)]
    compared = ["; ".join(dict.fromkeys(rules.get(i, []))) for i in bare["claim_id"]]
    kinds = [_kind(row) for row in bare.itertuples()]
    return bare[["claim_id", "item", "printed", "unit"]].assign(kind=kinds, compared=compared)


_KINDS = {
    "date": "dates",
    "median": "medians",
    "ci_level": "levels of intervals",
    "power": "the statistical plan",
    "events_planned": "the statistical plan",
    "n_planned": "the statistical plan",
    "duration": "times fixed by the protocol",
}


def _kind(claim) -> str:
    if claim.unit in ("score", "grade"):
        return "scores and grades"
    return _KINDS.get(claim.statistic, "criteria, versions and other inputs")


# --- rules over the identities ----------------------------------------------------------


def identities_hold(numbers: Numbers) -> Iterator[Finding]:
    """Counts and percents, parts and wholes, ratios and their intervals, orders, subsets: all identities."""
    for identity in numbers.registry.identities:
        yield _held(identity, numbers)


def _held(identity: Identity, numbers: Numbers) -> Finding:
    holds = identity.holds(numbers.values)
    shown = identity.text
    for claim_id in sorted(set(identity.claim_ids), key=len, reverse=True):
        shown = shown.replace(claim_id, numbers.printed[claim_id])
    return Finding(
        identity.rule,
        tuple(dict.fromkeys(identity.claim_ids)),
        shown,
        "consistent" if holds else "inconsistent",
        identity.note,
        "" if holds else "A misprint, or a misreading in this book's transcription.",
        3 if identity.rule in ("centre", "wald") else 2,
    )


def repeats_agree(numbers: Numbers) -> Iterator[Finding]:
    """The same number in two places."""
    for repeat in numbers.registry.repeats:
        ours, theirs = numbers.printed[repeat.claim_id], numbers.printed[repeat.of]
        if repeat.claim_id in numbers.values:
            same = numbers.values[repeat.claim_id].printed.value == numbers.values[repeat.of].printed.value
        else:
            same = ours == theirs
        yield Finding(
            "repeat",
            (repeat.claim_id, repeat.of),
            f"{ours} and {theirs}",
            "consistent" if same else "inconsistent",
            repeat.note,
            "" if same else "A misprint, or a misreading in this book's transcription.",
            2,
        )


# --- survival: what an interval, a ratio and two medians allow -----------------------------


def interval_width(numbers: Numbers) -> Iterator[Finding]:
    """A Cox standard error is at least sqrt(1/d1 + 1/d0): the interval bounds the events from below.

    The partial likelihood's information is a sum of p(1 - p) over events, p the arm's
    weighted share of those at risk in the event's stratum; at the maximum the shares sum to
    d1, and because p(1 - p) is concave the sum is at most d1 d0 / (d1 + d0). Ties (Efron or
    Breslow) and further covariates change p, not the argument. Nothing stronger is used.
    """
    for row in numbers.of_rule("events"):
        stem = row.first.removesuffix(".hr")
        if not _is_interval_of_a_ratio(stem, numbers):  # another rule speaks of its order
            continue
        narrowest, widest = standard_error(stem, numbers)
        d1, d0 = int(numbers.number(row.second)), int(numbers.number(row.third))
        least = least_standard_error(d1, d0)
        yield _judged(
            row,
            odd=least > widest,
            arithmetic=(
                f"√(1/{d1} + 1/{d0}) = {least:.4f}; the interval's standard error is "
                f"{narrowest:.4f} to {widest:.4f}"
            ),
            fine="The interval is no narrower than these numbers of patients allow.",
            consequence=3,
            claim_ids=(row.first, f"{stem}.ci-low", f"{stem}.ci-high", row.second, row.third),
        )


def least_standard_error(d1: int, d0: int) -> float:
    """The smallest standard error of a log hazard ratio that a Cox model can give on these events."""
    return math.sqrt(1 / d1 + 1 / d0) if d1 and d0 else math.inf


def _is_interval_of_a_ratio(stem: str, numbers: Numbers) -> bool:
    low, high = numbers.bounds(f"{stem}.ci-low"), numbers.bounds(f"{stem}.ci-high")
    return low.low > 0 and low.high < high.low


def standard_error(stem: str, numbers: Numbers) -> tuple[float, float]:
    """The smallest and largest standard error of a log hazard ratio that print as its interval."""
    low, high = numbers.bounds(f"{stem}.ci-low"), numbers.bounds(f"{stem}.ci-high")
    quantile = float(ndtri(0.5 + numbers.number(f"{stem}.ci-level") / 200))
    narrowest = math.log(float(high.low) / float(low.high)) / (2 * quantile)
    widest = math.log(float(high.high) / float(low.low)) / (2 * quantile)
    return narrowest, widest


def fewest_events(
    stem: str, at_least: tuple[int, int], at_most: tuple[int, int], numbers: Numbers
) -> int | None:
    """The smallest total of events that an interval's width allows; None if none does.

    `at_least` and `at_most` bound the events of each arm (177Lu-PSMA-617, control).
    """
    largest_variance = standard_error(stem, numbers)[1] ** 2
    totals = []
    for d1 in range(max(1, at_least[0]), at_most[0] + 1):
        room = largest_variance - 1 / d1
        if room > 0:
            d0 = max(at_least[1], math.ceil(1 / room))
            if d0 <= at_most[1]:
                totals.append(d1 + d0)
    return min(totals, default=None)


def least_at(total: int, at_least: tuple[int, int]) -> float:
    """The least standard error that `total` events allow, shared between the arms as favourably as can be."""
    d1, d0 = at_least
    control = min(max(d0, total // 2), total - d1)
    return least_standard_error(total - control, control)


@dataclass(frozen=True)
class Shape:
    """Which Weibull shape reconciles two medians with a hazard ratio.

    Under proportional Weibull hazards (median of control / median of lu) ** shape = hazard
    ratio; shape 1 is a constant hazard. `low` to `high` carries the rounding of the three
    numbers. `errors_low` to `errors_high` is how many standard errors the ratio of the medians
    is from the hazard ratio if hazards are constant, over the same rounding and that of the
    interval. `reach` is what two such standard errors, at their largest, do to the shape,
    either way.

    Medians and hazard ratio come from the same patients and vary together. Under constant
    hazards the hazard ratio is the efficient estimate of what the medians estimate too, so
    the variance of the difference is the difference of the variances (Hausman): that of the
    log ratio of medians, (1/n1 + 1/n0) / log(2)^2 with everybody followed to the median, less
    that of the log hazard ratio, from its printed interval.
    """

    claim_ids: tuple[str, ...]
    ratio_of_medians: float
    low: float
    high: float
    errors_low: float
    errors_high: float
    reach: float

    @property
    def errors(self) -> str:
        """`errors_low` to `errors_high` in words; no upper end where rounding leaves chance no room."""
        if math.isinf(self.errors_high):
            return f"{self.errors_low:.1f} or more"
        return f"{self.errors_low:.1f} to {self.errors_high:.1f}"


def shape(ratio: str, n_lu: str, n_control: str, numbers: Numbers) -> Shape | None:
    """The shape that reconciles a hazard ratio with its medians.

    None if the medians do not differ, or are no less certain than the hazard ratio, so that
    chance between the two cannot be told.
    """
    stem = ratio.removesuffix(".hr")
    medians = (f"{stem}.median.control", f"{stem}.median.lu")
    control, lu = (numbers.bounds(claim_id) for claim_id in medians)
    if control.meets(lu) or min(control.low, lu.low) <= 0 or numbers.bounds(ratio).low <= 0:
        return None
    smallest, largest = _spreads(stem, n_lu, n_control, numbers)
    if not largest:
        return None
    low, high = _shapes(numbers.bounds(ratio), control, lu)
    near, far = _distances(numbers.bounds(ratio), control, lu)
    log_medians = math.log(numbers.number(medians[0]) / numbers.number(medians[1]))
    return Shape(
        (ratio, *medians, f"{stem}.ci-low", f"{stem}.ci-high"),
        math.exp(log_medians),
        low,
        high,
        near / largest,
        far / smallest if smallest else math.inf,
        2 * largest / abs(log_medians),
    )


def _spreads(stem: str, n_lu: str, n_control: str, numbers: Numbers) -> tuple[float, float]:
    """The smallest and largest standard error of the log ratio of medians less the log hazard ratio."""
    if not _is_interval_of_a_ratio(stem, numbers):
        return 0.0, 0.0
    of_medians = least_standard_error(numbers.number(n_lu), numbers.number(n_control)) / math.log(2)
    narrowest, widest = standard_error(stem, numbers)
    smallest, largest = (math.sqrt(max(0.0, of_medians**2 - e**2)) for e in (widest, narrowest))
    return smallest, largest


def _corners(ratio: Interval, control: Interval, lu: Interval) -> Iterator[tuple[float, float]]:
    """The log hazard ratio and the log ratio of medians at every end of their rounding."""
    for hr, below, above in product(*[(float(b.low), float(b.high)) for b in (ratio, control, lu)]):
        yield math.log(hr), math.log(below / above)


def _shapes(ratio: Interval, control: Interval, lu: Interval) -> tuple[float, float]:
    shapes = [log_ratio / log_medians for log_ratio, log_medians in _corners(ratio, control, lu)]
    return min(shapes), max(shapes)


def _distances(ratio: Interval, control: Interval, lu: Interval) -> tuple[float, float]:
    gaps = [log_medians - log_ratio for log_ratio, log_medians in _corners(ratio, control, lu)]
    near = 0.0 if min(gaps) <= 0 <= max(gaps) else min(map(abs, gaps))
    return near, max(map(abs, gaps))


def shape_of_hazard(numbers: Numbers) -> Iterator[Finding]:
    """Two medians and their hazard ratio under constant hazards, chance and rounding allowed for."""
    for row in numbers.of_rule("shape"):
        found = shape(row.first, row.second, row.third, numbers)
        if found is None:
            continue
        ratio, control, lu = (numbers.printed[i] for i in found.claim_ids[:3])
        fits = found.low <= 1 <= found.high
        yield _judged(
            row,
            odd=not fits and found.errors_low > CHANCE_LIMIT,
            arithmetic=f"{control}/{lu} = {found.ratio_of_medians:.3f}; with a hazard ratio of {ratio} the "
            f"Weibull shape is {found.low:.2f} to {found.high:.2f}; constant hazards are "
            f"{found.errors} standard errors away",
            fine=_story(found),
            consequence=3,
            claim_ids=found.claim_ids,
        )


def _story(found: Shape) -> str:
    if found.low <= 1 <= found.high:
        return "The medians tell the same story as the hazard ratio."
    if found.errors_high > CHANCE_LIMIT:
        return "Near the limit of chance: rounding leaves open on which side, and the rule cannot decide."
    return "The medians tell another story than the hazard ratio, though chance could explain it."


def pooled_median(numbers: Numbers) -> Iterator[Finding]:
    """A median over both arms lies between the arms' medians, if all three are of one kind.

    Certain for medians of observed times. For Kaplan–Meier medians the arms could in
    principle be censored so differently that it fails.
    """
    for row in numbers.of_rule("pooled"):
        pooled, *arms = (numbers.bounds(i) for i in (row.first, row.second, row.third))
        hull = Interval(min(a.low for a in arms), max(a.high for a in arms), high_open=True)
        one, other = (numbers.printed[i] for i in (row.second, row.third))
        yield _judged(
            row,
            odd=not pooled.meets(hull),
            arithmetic=f"{numbers.printed[row.first]} against {one} and {other}",
            fine="The overall median lies between the arms'.",
            consequence=2,
        )


def median_wait(earlier: int, later: int, change: str, end: str, cutoff: str, numbers: Numbers) -> float:
    """Months from the median patient's randomization to the cutoff, if the later patients came evenly.

    `earlier` and `later` patients were randomized before and from the date of the claim
    `change` on, the last of them on `end`; the median patient must be a later one.
    """
    start, last, stop = (parse_date(numbers.printed[i]) for i in (change, end, cutoff))
    share = ((earlier + later) / 2 - earlier) / later
    if share < 0:
        raise ValueError(
            f"the median patient came before {start}: {earlier} of {earlier + later} patients did"
        )
    return ((stop - start).days - share * (last - start).days) / DAYS_PER_MONTH


def part_medians(numbers: Numbers) -> Iterator[Finding]:
    """A median of all lies between the medians of its parts: what it says of the part that is not printed.

    When the later patients' median is above that of all, the earlier patients' is at most
    that of all; and the other way round. It cannot lie outside the range of all.
    """
    for later in numbers.values:
        every = later.replace(".pfs.", ".all.")
        if later == every or not later.endswith(".median") or every not in numbers.values:
            continue
        low, high = (every.removesuffix("median") + end for end in ("low", "high"))
        bound = earlier_median(numbers.bounds(later), numbers.bounds(every))
        possible = bound.meets(Interval(numbers.bounds(low).low, numbers.bounds(high).high))
        yield Finding(
            "parts",
            (later, every, low, high),
            f"{numbers.printed[later]} in the later patients, {numbers.printed[every]} in all: "
            f"{_bound_in_words(bound, numbers.printed[every])} in the earlier ones",
            "consistent" if possible else "inconsistent",
            "The unprinted median of the earlier patients is bounded."
            if possible
            else "No range leaves the earlier patients a median.",
            "" if possible else "A misprint, or a misreading in this book's transcription.",
            1,
        )


def earlier_median(later: Interval, every: Interval) -> Interval:
    """Where the median of a part must lie, given that of the other part and that of all."""
    if every.meets(later):
        return Interval(None, None)
    return (
        Interval(None, every.high, high_open=every.high_open)
        if every.high <= later.low
        else Interval(every.low, None)
    )


def _bound_in_words(bound: Interval, of_all: str) -> str:
    if bound.low is None and bound.high is None:
        return "nothing follows"
    return f"at most {of_all}" if bound.low is None else f"at least {of_all}"


# --- time, dose, schedule ---------------------------------------------------------------------


def spans(numbers: Numbers) -> Iterator[Finding]:
    """No length of time exceeds the days between its earliest start and its latest end."""
    for row in numbers.of_rule("span"):
        start, end = (parse_date(numbers.printed[i]) for i in (row.second, row.third))
        months = (end - start).days / DAYS_PER_MONTH
        yield _judged(
            row,
            odd=float(numbers.bounds(row.first).low) > months,
            arithmetic=f"{numbers.printed[row.first]} months within {months:.1f} from {start} to {end}",
            fine="The time fits between the dates.",
            consequence=2,
        )


def date_orders(numbers: Numbers) -> Iterator[Finding]:
    """Dates follow each other as the trial's story says."""
    for row in numbers.of_rule("date_order"):
        first, second = (parse_date(numbers.printed[i]) for i in (row.first, row.second))
        yield _judged(
            row, odd=first > second, arithmetic=f"{first} before {second}", fine="In order.", consequence=1
        )


def same_dates(numbers: Numbers) -> Iterator[Finding]:
    """A date given twice: to the day in one place, to the month or its middle in the other."""
    for row in numbers.of_rule("same_date"):
        rough, exact = numbers.printed[row.first], numbers.printed[row.second]
        days = abs((parse_date(exact) - parse_date(rough)).days)
        tolerance = next(limit for start, limit in ROUGH_DATE_DAYS.items() if rough.startswith(start))
        yield _judged(
            row,
            odd=days > tolerance,
            arithmetic=f"{rough} and {exact}",
            fine="The one is the other, rounded.",
            consequence=1,
        )


def doses(numbers: Numbers) -> Iterator[Finding]:
    """A cumulative dose is a number of cycles at the planned dose."""
    for row in numbers.of_rule("dose"):
        cycles, each = numbers.number(row.second), numbers.number(row.third)
        planned = cycles * each
        given, bounds = numbers.number(row.first), numbers.bounds(row.first)
        odd = bounds.low > planned * (1 + DOSE_TOLERANCE) or bounds.high < planned * (1 - DOSE_TOLERANCE)
        yield _judged(
            row,
            odd=odd,
            arithmetic=f"{numbers.printed[row.first]} against {cycles:g} × {each:g} = {planned:.1f} GBq"
            + (f" ({100 * (given / planned - 1):+.1f}%)" if planned else ""),
            fine="Whole planned doses, within a small tolerance.",
            consequence=1,
        )


def schedules(numbers: Numbers) -> Iterator[Finding]:
    """An exposure is at most its cycles at the planned interval."""
    for row in numbers.of_rule("schedule"):
        cycles, weeks = numbers.number(row.second), numbers.number(row.third)
        planned = cycles * weeks * DAYS_PER_WEEK / DAYS_PER_MONTH
        yield _judged(
            row,
            odd=float(numbers.bounds(row.first).low) > planned,
            arithmetic=f"{numbers.printed[row.first]} months against {cycles:g} cycles of {weeks:g} weeks "
            f"= {planned:.1f} months",
            fine="No longer than the cycles take on schedule.",
            consequence=1,
        )


# --- who was counted where --------------------------------------------------------------------


def counted_by_two_rules(numbers: Numbers) -> Iterator[Finding]:
    """Patients who look like the same ones, counted in two places."""
    for row in numbers.of_rule("two_rules"):
        first, terms = numbers.total(row.first)
        second, others = numbers.total(row.second)
        yield _judged(
            row,
            odd=first != second,
            arithmetic=f"{first} and {second}",
            fine="The same number in both places.",
            consequence=1,
            claim_ids=(*terms.claim_ids, *others.claim_ids),
        )


def nobody(numbers: Numbers) -> Iterator[Finding]:
    """Patients whom the description of their group leaves out: none are expected."""
    for row in numbers.of_rule("nobody"):
        first, terms = numbers.total(row.first)
        whole, others = numbers.total(row.second)
        yield _judged(
            row,
            odd=first != 0,
            arithmetic=f"{first} of {whole}",
            fine="There are none.",
            consequence=1,
            claim_ids=(*terms.claim_ids, *others.claim_ids),
        )


def eligible(numbers: Numbers) -> Iterator[Finding]:
    """Nobody was enrolled outside an eligibility criterion: the count outside is zero."""
    for row in numbers.of_rule("eligible"):
        outside, terms = numbers.total(row.first)
        yield _judged(
            row,
            odd=outside != 0,
            arithmetic=f"{outside} outside the limit of {numbers.printed[row.second]}",
            fine="Everybody enrolled met the criterion.",
            consequence=2,
            claim_ids=(*terms.claim_ids, row.second),
        )


def at_least(numbers: Numbers) -> Iterator[Finding]:
    """What was reached against what was planned."""
    for row in numbers.of_rule("at_least"):
        reached, terms = numbers.total(row.first)
        planned = numbers.number(row.second)
        yield _judged(
            row,
            odd=reached < planned,
            arithmetic=f"{reached} against {planned:g} planned",
            fine="The plan was reached.",
            consequence=2,
            claim_ids=(*terms.claim_ids, row.second),
        )


def words(numbers: Numbers) -> Iterator[Finding]:
    """A share named in words lies between the limits that this book reads into the word.

    The third column holds the two limits and, where the word is itself a claim, its id.
    """
    for row in numbers.of_rule("words"):
        part, part_terms = numbers.total(row.first)
        whole, whole_terms = numbers.total(row.second)
        (low, high), word = _limits_and_word(row.third)
        share = 100 * part / whole if whole else math.nan
        yield _judged(
            row,
            odd=not low <= share <= high,
            arithmetic=f"{part} of {whole} = {share:.1f}%, read as {low:g} to {high:g}%",
            fine="The word fits the number.",
            consequence=1,
            claim_ids=(*part_terms.claim_ids, *whole_terms.claim_ids, *word),
        )


def _limits_and_word(text: str) -> tuple[tuple[float, float], list[str]]:
    low, high, *word = text.split()
    return (float(low), float(high)), word


def above_threshold(numbers: Numbers) -> Iterator[Finding]:
    """Every event of a list is as frequent as the list's heading says."""
    for row in numbers.of_rule("above"):
        share, threshold = numbers.bounds(row.first), numbers.bounds(row.second)
        yield _judged(
            row,
            odd=not share.meets(threshold),
            arithmetic=f"{numbers.printed[row.first]}% against {numbers.printed[row.second]}%",
            fine="As frequent as the heading says.",
            consequence=1,
        )


# --- balance: shares that randomization, or time, should leave alike ----------------------------


@dataclass(frozen=True)
class Share:
    """`part` of `whole` patients, called `name`; the claims behind it."""

    name: str
    part: float
    whole: float
    claim_ids: tuple[str, ...]

    @property
    def value(self) -> float:
        return self.part / self.whole

    @property
    def is_one(self) -> bool:
        """Whether the part is no larger than the whole."""
        return 0 <= self.part <= self.whole and self.whole > 0


@dataclass(frozen=True)
class Comparison:
    """Two shares that randomization, or time, should leave alike."""

    rule: str
    label: str
    group: str
    one: Share
    other: Share
    meaning: str
    innocent: str

    @property
    def difference(self) -> float:
        """The standardized difference: in standard deviations of a single patient."""
        spread = (self.one.value * (1 - self.one.value) + self.other.value * (1 - self.other.value)) / 2
        return (self.one.value - self.other.value) / math.sqrt(spread) if spread else 0.0

    @property
    def errors(self) -> float:
        """The same in its standard errors, sqrt(1/n1 + 1/n0)."""
        return self.difference / math.sqrt(1 / self.one.whole + 1 / self.other.whole)


def arms_alike(numbers: Numbers) -> Iterator[Finding]:
    """Every share known at baseline, between the randomized arms, against chance."""
    return (_compared(comparison) for comparison in arm_comparisons(numbers))


def periods_alike(numbers: Numbers) -> Iterator[Finding]:
    """Every share of the baseline table, between the earlier and the later patients of each arm."""
    return (_compared(comparison) for comparison in period_comparisons(numbers))


def expected_by_chance(comparisons: int) -> float:
    """How many of so many comparisons would lie beyond `CHANCE_LIMIT` by chance alone."""
    return comparisons * math.erfc(CHANCE_LIMIT / math.sqrt(2))


def arm_comparisons(numbers: Numbers) -> Iterator[Comparison]:
    """The comparisons of `arms_alike`: the baseline table in both sets, then the declared ones."""
    for stem in dict.fromkeys(stem for stem, _ in _table_rows(numbers)):
        for analysis_set, group in (("pfs", "the later patients"), ("all", "all patients")):
            lu, control = (_table_share(stem, analysis_set, arm, numbers) for arm in ARMS)
            yield Comparison(
                "arms",
                numbers.items[lu.claim_ids[0]],
                group,
                lu,
                control,
                "A share that was settled before randomization differs between the randomized arms by more "
                "than chance.",
                "Chance, in one of many comparisons.",
            )
    for row in numbers.of_rule("baseline_share"):
        lu, control = (
            _share(ARM_NAMES[arm], row.first.format(arm=arm), row.second.format(arm=arm), numbers)
            for arm in ARMS
        )
        yield Comparison("arms", row.third, "the later patients", lu, control, row.meaning, row.innocent)


def period_comparisons(numbers: Numbers) -> Iterator[Comparison]:
    """The comparisons of `periods_alike`: the earlier patients are all of them less the later ones."""
    for stem, arm in _table_rows(numbers):
        after, both = (_table_share(stem, analysis_set, arm, numbers) for analysis_set in ("pfs", "all"))
        before = Share("earlier", both.part - after.part, both.whole - after.whole, both.claim_ids)
        yield Comparison(
            "periods",
            numbers.items[both.claim_ids[0]],
            ARM_NAMES[arm],
            before,
            Share("later", after.part, after.whole, after.claim_ids),
            "Patients randomized before the education measures differ from those after by more than chance.",
            "Recruitment moved on to other patients or sites; randomization makes arms alike, not periods.",
        )


def _table_rows(numbers: Numbers) -> Iterator[tuple[str, str]]:
    """Rows of the baseline table that count patients, by arm: claims with a set, an arm and a count."""
    for claim_id in numbers.values:
        if claim_id.startswith("table1.") and claim_id.endswith(".count") and ".all." in claim_id:
            stem, _, arm, _ = claim_id.rsplit(".", 3)
            yield stem, arm


def _table_share(stem: str, analysis_set: str, arm: str, numbers: Numbers) -> Share:
    return _share(
        ARM_NAMES[arm], f"{stem}.{analysis_set}.{arm}.count", f"table1.n.{analysis_set}.{arm}", numbers
    )


def _share(name: str, part: str, whole: str, numbers: Numbers) -> Share:
    return Share(name, numbers.number(part), numbers.number(whole), (part, whole))


def _compared(comparison: Comparison) -> Finding:
    one, other = comparison.one, comparison.other
    label = f"{comparison.label}, {comparison.group}"
    claim_ids = tuple(dict.fromkeys(one.claim_ids + other.claim_ids))
    if not (one.is_one and other.is_one):
        shown = f"{label}: {one.part:g}/{one.whole:g} against {other.part:g}/{other.whole:g}"
        meaning = "A part is larger than its whole, or smaller than nothing."
        return Finding(comparison.rule, claim_ids, shown, "inconsistent", meaning, "A misprint.", 2)
    odd = abs(comparison.errors) > CHANCE_LIMIT
    return Finding(
        comparison.rule,
        claim_ids,
        f"{label}: {_in_words(one)} against {_in_words(other)}; standardized difference "
        f"{comparison.difference:+.2f}, {comparison.errors:+.1f} standard errors",
        "odd" if odd else "consistent",
        comparison.meaning if odd else "No further apart than chance allows.",
        comparison.innocent if odd else "",
        2,
    )


def _in_words(share: Share) -> str:
    return f"{share.name} {share.part:g}/{share.whole:g} = {as_printed(100 * share.value, 1)}%"


# --- how numbers are printed ---------------------------------------------------------------------


def denominators(numbers: Numbers) -> Iterator[Finding]:
    """A percent whose denominator is printed elsewhere: which group sizes of the paper could it be of?"""
    rows = numbers.claims.set_index("claim_id")
    sizes = {int(numbers.number(i)) for i in numbers.values if i.startswith(("table1.n.", "table2.n."))}
    for claim_id, row in rows[rows["statistic"] == "percent"].iterrows():
        if (
            rows.at[row["denominator"], "location"] == row["location"]
            or numbers.values[claim_id].printed.sign
        ):
            continue
        possible = [n for n in sizes if _a_count_of(n, numbers.values[claim_id])]
        stated = int(numbers.number(row["denominator"]))
        yield Finding(
            "denominator",
            (claim_id, row["denominator"]),
            f"{row['printed']}% can be of {', '.join(map(str, sorted(possible)))}; read as of {stated}",
            "consistent" if stated in possible else "inconsistent",
            "Printed without its denominator; the table's own group size is one that fits.",
            "",
            1,
        )


def _a_count_of(n: int, percent: Claim) -> bool:
    """Whether some whole number of `n` patients prints as this percent."""
    bounds = percent.interval.scaled(Fraction(n, 100))
    return math.ceil(bounds.low) < bounds.high


def decimals(numbers: Numbers) -> Iterator[Finding]:
    """One decimal for percents of a hundred patients or more, none for fewer: the journal's style."""
    rows = numbers.claims[(numbers.claims["statistic"] == "percent") & (numbers.claims["denominator"] != "")]
    for row in rows.itertuples():
        number = numbers.values[row.claim_id].printed
        if number.sign or row.location == "discussion":
            continue
        whole = numbers.number(row.denominator)
        fits = number.decimals == (1 if whole >= 100 else 0)
        yield Finding(
            "decimals",
            (row.claim_id, row.denominator),
            f"{row.printed}% of {whole:g}",
            "consistent" if fits else "odd",
            "As many decimals as the number of patients deserves." if fits else "Decimals out of style.",
            "" if fits else "An editor's oversight.",
            1,
        )


def _judged(row, *, odd: bool, arithmetic: str, fine: str, consequence: int, claim_ids=None) -> Finding:
    """A finding of a declared pairing: its own words when it is odd, `fine` when it is not."""
    verdict = "consistent"
    if odd:
        verdict = "inconsistent" if row.innocent == NO_INNOCENT_READING else "odd"
    ids = claim_ids or tuple(i for i in (row.first, row.second, row.third) if i)
    return Finding(
        row.rule,
        ids,
        arithmetic,
        verdict,
        row.meaning if odd else fine,
        row.innocent if odd else "",
        consequence,
    )


RULES: tuple[Rule, ...] = (
    interval_width,
    shape_of_hazard,
    pooled_median,
    arms_alike,
    periods_alike,
    part_medians,
    eligible,
    counted_by_two_rules,
    nobody,
    at_least,
    spans,
    date_orders,
    same_dates,
    doses,
    schedules,
    words,
    above_threshold,
    denominators,
    decimals,
    identities_hold,
    repeats_agree,
)
