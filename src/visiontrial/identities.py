"""What the printed numbers say about each other: one registry of declared rules.

An identity relates claims to each other. It can answer one question: *given the printed
values of the others, between which bounds must this claim lie?* `make check` asks that of
one side of every identity; the ledger asks it of every claim in turn.

Identities come from three places, in this order:

1. columns of `claims.csv` (a percent and its count and denominator; a hazard ratio and
   its interval; a P value; a median inside its range; a set inside a larger set),
2. the tree of Figure 1 in `flow.csv` (parts that add up to a whole, in each set),
3. `identities.csv`, relation by relation, with the reason in its note.

No rule names a claim of this paper; the ones that do are data.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import pandas as pd
from scipy.special import ndtri

from visiontrial import schoenfeld
from visiontrial.printed import EVERYTHING, Interval, Printable, Printed, parse, printable
from visiontrial.published import EXACT_STATISTICS, PublishedDataError

EQUATIONS = frozenset({"sum", "percent", "product", "centre"})


@dataclass(frozen=True)
class Claim:
    """One printed number as the identities see it."""

    claim_id: str
    printed: Printed
    exact: bool

    @property
    def interval(self) -> Interval:
        return self.printed.interval(exact=self.exact)

    def allowed(self, values: Interval) -> Printable:
        """The characters that could stand here if the true value, not negative, lay in `values`."""
        if values.low is not None and values.low < 0:
            values = values.intersect(Interval(Fraction(0), None))
        return printable(values, self.printed, exact=self.exact)


Values = Mapping[str, Claim]


@dataclass(frozen=True)
class Identity:
    """A relation between claims. Subclasses give `bounds`, the only thing they know how to do."""

    rule: str
    note: str

    @property
    def claim_ids(self) -> tuple[str, ...]:
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The relation as one reads it, in claim ids."""
        raise NotImplementedError

    @property
    def is_equation(self) -> bool:
        """Whether it ties its members to each other (and not merely orders them)."""
        return self.rule in EQUATIONS

    def bounds(self, target: str, values: Values) -> Interval:
        """Where `target` must lie, given the rounding intervals of the other members."""
        raise NotImplementedError

    def holds(self, values: Values) -> bool:
        """Whether printed values of all members can be true together."""
        target = values[self.claim_ids[0]]
        return self.bounds(target.claim_id, values).meets(target.interval)

    def gradient(self, values: Values) -> dict[str, float]:
        """The equation's first derivatives at the printed values: a row of the Jacobian."""
        raise NotImplementedError


@dataclass(frozen=True)
class Linear:
    """A sum of claims with whole coefficients, and a constant: `551 = a + b - 2 c + 1`."""

    terms: tuple[tuple[str, int], ...]
    constant: Fraction = Fraction(0)

    def __str__(self) -> str:
        pieces = [(c, i if abs(c) == 1 else f"{abs(c)} * {i}") for i, c in self.terms]
        if self.constant or not pieces:
            size = abs(self.constant)
            number = str(size.numerator) if size.denominator == 1 else str(float(size))
            pieces.append((-1 if self.constant < 0 else 1, number))
        first, *others = pieces
        return (
            ("- " if first[0] < 0 else "")
            + first[1]
            + "".join(f" {'-' if sign < 0 else '+'} {text}" for sign, text in others)
        )

    @property
    def claim_ids(self) -> tuple[str, ...]:
        return tuple(claim_id for claim_id, _ in self.terms)

    def interval(self, values: Values, *, without: str | None = None) -> Interval:
        total = Interval.point(self.constant)
        for claim_id, coefficient in self.terms:
            if claim_id != without:
                total += values[claim_id].interval.scaled(coefficient)
        return total

    def solve(self, target: str, total: Interval, values: Values) -> Interval:
        """Where `target` must lie for this sum to lie in `total`."""
        coefficient = dict(self.terms)[target]
        return (total - self.interval(values, without=target)).scaled(Fraction(1, coefficient))

    def __sub__(self, other: Linear) -> Linear:
        coefficients: dict[str, int] = defaultdict(int)
        for claim_id, coefficient in self.terms:
            coefficients[claim_id] += coefficient
        for claim_id, coefficient in other.terms:
            coefficients[claim_id] -= coefficient
        return Linear(tuple(coefficients.items()), self.constant - other.constant)


@dataclass(frozen=True)
class _TwoSides(Identity):
    """Two sums of claims, held against each other."""

    left: Linear
    right: Linear

    sign: ClassVar[str]
    allowed_difference: ClassVar[Interval]

    @property
    def claim_ids(self) -> tuple[str, ...]:
        return self.left.claim_ids + self.right.claim_ids

    @property
    def text(self) -> str:
        return f"{self.left} {self.sign} {self.right}"

    def bounds(self, target: str, values: Values) -> Interval:
        return (self.left - self.right).solve(target, self.allowed_difference, values)


class Sum(_TwoSides):
    """left = right, both linear."""

    sign = "="
    allowed_difference = Interval.point(0)

    def gradient(self, values: Values) -> dict[str, float]:
        return {claim_id: float(c) for claim_id, c in (self.left - self.right).terms}


class AtMost(_TwoSides):
    """left <= right: an order, no equation."""

    sign = "<="
    allowed_difference = Interval(None, Fraction(0))


@dataclass(frozen=True)
class Percent(Identity):
    """percent = 100 * part / whole, part and whole linear in counts."""

    percent: str
    part: Linear
    whole: Linear

    @property
    def claim_ids(self) -> tuple[str, ...]:
        return (self.percent, *self.part.claim_ids, *self.whole.claim_ids)

    @property
    def text(self) -> str:
        return f"{self.percent} = 100 * ({self.part}) / ({self.whole})"

    def bounds(self, target: str, values: Values) -> Interval:
        if target == self.percent:
            return self.part.interval(values).scaled(100).over(self.whole.interval(values))
        share = values[self.percent].interval.scaled(Fraction(1, 100))
        if target in self.part.claim_ids:
            bounds = self.part.solve(target, share.times(self.whole.interval(values)), values)
            return bounds if target not in self.whole.claim_ids else EVERYTHING
        if share.low is None or share.high is None or share.low <= 0:
            return EVERYTHING
        return self.whole.solve(target, self.part.interval(values).over(share), values)

    def gradient(self, values: Values) -> dict[str, float]:
        percent = float(values[self.percent].printed.value)
        whole = float(self.whole.interval(values).low)
        row: dict[str, float] = defaultdict(float, {self.percent: whole})
        for claim_id, coefficient in self.whole.terms:
            row[claim_id] += percent * coefficient
        for claim_id, coefficient in self.part.terms:
            row[claim_id] -= 100 * coefficient
        return {claim_id: value / whole for claim_id, value in row.items()}


@dataclass(frozen=True)
class Product(Identity):
    """left = factor * right: one quantity in two units."""

    left: str
    factor: Fraction
    right: str

    @property
    def claim_ids(self) -> tuple[str, ...]:
        return (self.left, self.right)

    @property
    def text(self) -> str:
        return f"{self.left} = {float(self.factor)} * {self.right}"

    def bounds(self, target: str, values: Values) -> Interval:
        if target == self.left:
            return values[self.right].interval.scaled(self.factor)
        return values[self.left].interval.scaled(1 / self.factor)

    def gradient(self, values: Values) -> dict[str, float]:
        return {self.left: 1.0, self.right: -float(self.factor)}


@dataclass(frozen=True)
class Centre(Identity):
    """A ratio is the geometric middle of its Wald interval: ratio² = low * high."""

    ratio: str
    low: str
    high: str

    @property
    def claim_ids(self) -> tuple[str, ...]:
        return (self.ratio, self.low, self.high)

    @property
    def text(self) -> str:
        return f"{self.ratio}² = {self.low} * {self.high}"

    def bounds(self, target: str, values: Values) -> Interval:
        if target == self.ratio:
            return values[self.low].interval.times(values[self.high].interval).root()
        other = self.high if target == self.low else self.low
        return values[self.ratio].interval.squared().over(values[other].interval)

    def gradient(self, values: Values) -> dict[str, float]:
        ratio, low, high = (float(values[i].printed.value) for i in self.claim_ids)
        return {self.ratio: 2 * ratio, self.low: -high, self.high: -low}


@dataclass(frozen=True)
class WaldP(Identity):
    """A two-sided Wald P value from a ratio's interval; the trial's own test is another (log-rank)."""

    p_value: str
    low: str
    high: str
    level: str

    @property
    def claim_ids(self) -> tuple[str, ...]:
        return (self.p_value, self.low, self.high, self.level)

    @property
    def text(self) -> str:
        return f"{self.p_value} = Wald test of {self.low} to {self.high} at {self.level}"

    def bounds(self, target: str, values: Values) -> Interval:
        """Of the P value only; a P value printed as `<0.001` says nothing exact of an interval's limits."""
        if target != self.p_value:
            return EVERYTHING
        low, high = values[self.low].interval, values[self.high].interval
        if low.low <= 0 or low.high >= high.low:  # no interval of a ratio: another rule speaks of its order
            return EVERYTHING
        quantile = ndtri(0.5 + float(values[self.level].printed.value) / 200)
        extremes = [
            self._p(float(a), float(b), quantile) for a in (low.low, low.high) for b in (high.low, high.high)
        ]
        return Interval(Fraction(min(extremes)), Fraction(max(extremes)))

    @staticmethod
    def _p(low: float, high: float, quantile: float) -> float:
        error = math.log(high / low) / (2 * quantile)
        return math.erfc(abs(math.log(low * high)) / 2 / error / math.sqrt(2))


@dataclass(frozen=True)
class Power(Identity):
    """The power of a log-rank test in percent, by Schoenfeld's formula (see `schoenfeld`).

    `levels` are the one-sided levels to which the paper ties the power. Where it names more
    than one without saying which, the power may be that of any, and the bounds span them all.
    Other formulas give other powers, so this one bounds a claim but pins none.
    """

    power: str
    hazard_ratio: str
    events: str
    ratio: str
    levels: tuple[str, ...]

    @property
    def claim_ids(self) -> tuple[str, ...]:
        return (self.power, self.hazard_ratio, self.events, self.ratio, *self.levels)

    @property
    def text(self) -> str:
        return (
            f"{self.power} = Schoenfeld's power of {self.events} at {self.hazard_ratio}, "
            f"{self.ratio} and {' or '.join(self.levels)}"
        )

    def bounds(self, target: str, values: Values) -> Interval:
        """Of the power, the events and a hazard ratio below 1; of allocation and levels it says nothing."""
        solve = {self.power: self._power, self.hazard_ratio: self._hazard_ratio, self.events: self._events}
        power, ratio = values[self.power].interval, values[self.hazard_ratio].interval
        reached = 0 < power.low < power.high < 100 and 0 < ratio.low < ratio.high < 1
        if target not in solve or not reached:
            return EVERYTHING
        low, high = solve[target](values)
        return Interval(Fraction(low), Fraction(high))

    def _power(self, values: Values) -> tuple[float, float]:
        events, ratio = values[self.events].interval, values[self.hazard_ratio].interval
        small, large, allocation = self._given(values)
        return (
            100 * schoenfeld.power(float(events.low), float(ratio.high), small, allocation),
            100 * schoenfeld.power(float(events.high), float(ratio.low), large, allocation),
        )

    def _hazard_ratio(self, values: Values) -> tuple[float, float]:
        events, power = values[self.events].interval, values[self.power].interval.scaled(Fraction(1, 100))
        small, large, allocation = self._given(values)
        return (
            schoenfeld.hazard_ratio_for(float(power.high), float(events.low), small, allocation),
            schoenfeld.hazard_ratio_for(float(power.low), float(events.high), large, allocation),
        )

    def _events(self, values: Values) -> tuple[float, float]:
        ratio = values[self.hazard_ratio].interval
        power = values[self.power].interval.scaled(Fraction(1, 100))
        small, large, allocation = self._given(values)
        return (
            schoenfeld.events_for(float(power.low), float(ratio.low), large, allocation),
            schoenfeld.events_for(float(power.high), float(ratio.high), small, allocation),
        )

    def _given(self, values: Values) -> tuple[float, float, float]:
        """The smallest and the largest level, and the allocation."""
        levels = [float(values[i].printed.value) for i in self.levels]
        return min(levels), max(levels), float(values[self.ratio].printed.value)


@dataclass(frozen=True)
class Repeat:
    """The same quantity printed again elsewhere: certifies nothing, but must be the same characters."""

    claim_id: str
    of: str
    note: str = ""


@dataclass(frozen=True)
class Registry:
    """All identities over one set of claims, and who repeats whom."""

    values: dict[str, Claim]
    identities: tuple[Identity, ...]
    repeats: tuple[Repeat, ...]

    def twins(self, claim_id: str) -> frozenset[str]:
        """The claim and all its repeats elsewhere."""
        return self._classes[claim_id]

    def touching(self, claim_id: str) -> Iterator[tuple[Identity, str]]:
        """Identities that speak of the claim or of one of its repeats, with the member they name.

        One that needs another member of the same class as evidence is left out: a number
        never certifies its own repeat.
        """
        twins = self.twins(claim_id)
        for member in sorted(twins):
            for identity in self._by_claim.get(member, ()):
                if len(twins.intersection(identity.claim_ids)) == 1:
                    yield identity, member

    def evidence(self, claim_id: str) -> list[Identity]:
        """The identities that leave the claim less than everything."""
        touching = self.touching(claim_id)
        return [rule for rule, member in touching if rule.bounds(member, self.values) != EVERYTHING]

    def bounds(self, claim_id: str) -> Interval:
        """Where the claim must lie, given everything printed but itself and its repeats."""
        bounds = EVERYTHING
        for identity, member in self.touching(claim_id):
            bounds = bounds.intersect(identity.bounds(member, self.values))
        return bounds

    @property
    def spoken_of(self) -> frozenset[str]:
        """The claims that at least one identity or repeat speaks of."""
        in_identities = {i for identity in self.identities for i in identity.claim_ids}
        return frozenset(in_identities | {i for repeat in self.repeats for i in (repeat.claim_id, repeat.of)})

    def __post_init__(self) -> None:
        by_claim: dict[str, list[Identity]] = defaultdict(list)
        for identity in self.identities:
            for claim_id in dict.fromkeys(identity.claim_ids):
                by_claim[claim_id].append(identity)
        object.__setattr__(self, "_by_claim", dict(by_claim))
        object.__setattr__(self, "_classes", _classes(self.values, self.repeats))


def registry(claims: pd.DataFrame, flow: pd.DataFrame, declared: pd.DataFrame) -> Registry:
    """Build the registry from the three tables of `data/published/`.

    Raises `PublishedDataError` when a declared relation names an unknown claim or rule.
    """
    values = {
        row.claim_id: Claim(row.claim_id, parse(row.printed), row.statistic in EXACT_STATISTICS)
        for row in claims.itertuples()
        if row.statistic != "date"
    }
    dates = set(claims.loc[claims["statistic"] == "date", "claim_id"])
    known = values.keys() | dates
    relations, repeats = _declared(declared, known)
    derived = [*_percents(claims), *_flow_sums(flow, values), *_orders(claims, values), *_ratios(values)]
    return Registry(values, (*derived, *relations), tuple(repeats))


# --- rules that read the columns of claims.csv -----------------------------------------


def _percents(claims: pd.DataFrame) -> Iterator[Identity]:
    known = set(claims["claim_id"])
    for row in claims[claims["denominator"] != ""].itertuples():
        whole = Linear(((row.denominator, 1),))
        if row.statistic == "count":
            yield AtMost("part of a whole", "a count is at most its denominator", _one(row.claim_id), whole)
        sibling = row.claim_id.removesuffix(".percent") + ".count"
        if row.statistic == "percent" and row.claim_id.endswith(".percent") and sibling in known:
            yield Percent(
                "percent", "a percent is its count over its denominator", row.claim_id, _one(sibling), whole
            )


def _ratios(values: Values) -> Iterator[Identity]:
    for claim_id in values:
        stem = claim_id.removesuffix(".hr")
        low, high, level, p_value = (f"{stem}.{part}" for part in ("ci-low", "ci-high", "ci-level", "p"))
        if stem == claim_id or low not in values or high not in values:
            continue
        yield Centre(
            "centre", "a hazard ratio is the middle of its interval on the log scale", claim_id, low, high
        )
        if level in values and p_value in values:
            yield WaldP(
                "wald",
                "a Wald test from the interval; the trial's own test was a stratified log-rank",
                p_value,
                low,
                high,
                level,
            )


_NESTED = (
    ("low", "median", "a median is not below its range"),
    ("median", "high", "a median is not above its range"),
    ("ci-low", "median", "an estimate is not below its interval"),
    ("median", "ci-high", "an estimate is not above its interval"),
    ("ci-low", "ci-high", "an interval's lower limit is not above its upper one"),
    ("grade-3.count", "all-grades.count", "events of grade 3 or higher are among events of all grades"),
)


def _orders(claims: pd.DataFrame, values: Values) -> Iterator[Identity]:
    for claim_id in values:
        for inner, outer, why in _NESTED:
            other = claim_id.removesuffix(inner) + outer
            if claim_id.endswith(f".{inner}") and other in values:
                yield AtMost("order", why, _one(claim_id), _one(other))
    for small, large in _sets(values):
        yield from _subset_orders(small, large)


def _sets(values: Values) -> Iterator[tuple[str, str]]:
    """Pairs of claims that differ only in their analysis set: the 581 within the 831."""
    for claim_id in values:
        parts = claim_id.split(".")
        for position, part in enumerate(parts):
            larger = ".".join([*parts[:position], "all", *parts[position + 1 :]])
            if part == "pfs" and larger in values and claim_id != larger:
                yield claim_id, larger


def _subset_orders(small: str, large: str) -> Iterator[Identity]:
    statistic = small.rsplit(".", 1)[-1]
    if statistic in ("percent", "median"):
        return
    if statistic == "low":
        yield AtMost("subset", "a larger set reaches at least as low", _one(large), _one(small))
    else:
        yield AtMost(
            "subset",
            "a set is not larger, and reaches no higher, than the one around it",
            _one(small),
            _one(large),
        )


# --- the tree of Figure 1 ---------------------------------------------------------------


def _flow_sums(flow: pd.DataFrame, values: Values) -> Iterator[Identity]:
    for line, box in zip(flow.index + 2, flow["box"], strict=True):
        if _in_set(box, "all", values) is None:
            raise PublishedDataError(
                f"flow.csv: line {line}: box {box!r} has no claim of its name in claims.csv"
            )
    parts = flow[flow["parent"] != ""]
    for analysis_set in ("all", "pfs"):
        for (parent, group), rows in parts[parts["kind"] != "subset"].groupby(
            ["parent", "group"], sort=False
        ):
            members = [_in_set(box, analysis_set, values) for box in rows["box"]]
            whole = _in_set(parent, analysis_set, values)
            if whole and all(members):
                right = Linear(tuple((m, 1) for m in members))
                yield Sum("sum", f"the boxes of '{group}' add up", _one(whole), right)
        for row in parts[parts["kind"] == "subset"].itertuples():
            inner, outer = (_in_set(box, analysis_set, values) for box in (row.box, row.parent))
            if inner and outer:
                yield AtMost("subset", f"'{row.label}' is part of its parent", _one(inner), _one(outer))


def _in_set(box: str, analysis_set: str, values: Values) -> str | None:
    """The claim of a box in one analysis set; boxes before randomization have the whole set only."""
    if f"{box}.{analysis_set}" in values:
        return f"{box}.{analysis_set}"
    return box if analysis_set == "all" and box in values else None


# --- relations declared one by one ------------------------------------------------------

_TERM = re.compile(r"(?P<sign>[+-]?)\s*(?:(?P<number>\d+(?:\.\d+)?)\s*\*?\s*)?(?P<claim>[a-z][a-z0-9.-]*)?")


def linear(text: str) -> Linear:
    """Read a sum of claims: `a.b + 2 * c.d - 100`. Terms are separated by spaces around their sign."""
    terms: list[tuple[str, int]] = []
    constant = Fraction(0)
    for piece in re.split(r"\s+(?=[+-]\s)", text.strip()):
        term = _TERM.fullmatch(piece.strip())
        if not piece.strip() or term is None or not (term["number"] or term["claim"]):
            raise ValueError(f"cannot read the term {piece!r} of {text!r}")
        size = Fraction(term["number"] or 1) * (-1 if term["sign"] == "-" else 1)
        if term["claim"]:
            terms.append((term["claim"], size))
        else:
            constant += size
    return Linear(tuple(terms), constant)


def _declared(table: pd.DataFrame, known: set[str]) -> tuple[list[Identity], list[Repeat]]:
    relations: list[Identity] = []
    repeats: list[Repeat] = []
    for line, row in zip(table.index + 2, table.itertuples(), strict=True):
        try:
            relation = _relation(row)
            ids = (relation.claim_id, relation.of) if isinstance(relation, Repeat) else relation.claim_ids
            if unknown := [i for i in ids if i not in known]:
                raise ValueError(f"no such claim: {', '.join(unknown)}")
        except ValueError as error:
            raise PublishedDataError(f"identities.csv: line {line}: {error}; correct the relation") from error
        (repeats if isinstance(relation, Repeat) else relations).append(relation)
    return relations, repeats


def _relation(row) -> Identity | Repeat:
    if row.kind == "repeat":
        return Repeat(row.left, row.right, row.note)
    if row.kind == "sum":
        return Sum("sum", row.note, linear(row.left), linear(row.right))
    if row.kind == "at_most":
        return AtMost("order", row.note, linear(row.left), linear(row.right))
    if row.kind == "percent":
        return Percent("percent", row.note, row.left, linear(row.right), linear(row.over))
    if row.kind == "product":
        return Product("product", row.note, row.left, Fraction(row.over), row.right)
    if row.kind == "power":
        hazard_ratio, events, allocation = row.right.split()
        return Power("power", row.note, row.left, hazard_ratio, events, allocation, tuple(row.over.split()))
    raise ValueError(f"kind {row.kind!r} is unknown; use repeat, sum, at_most, percent, product or power")


def _one(claim_id: str) -> Linear:
    return Linear(((claim_id, 1),))


def _classes(values: Mapping[str, Claim], repeats: Sequence[Repeat]) -> dict[str, frozenset[str]]:
    groups = {claim_id: frozenset({claim_id}) for claim_id in values}
    for repeat in repeats:
        first = groups.get(repeat.claim_id, frozenset({repeat.claim_id}))
        merged = first | groups.get(repeat.of, frozenset({repeat.of}))
        groups.update(dict.fromkeys(merged, merged))
    return groups
