"""Values whose medians and ranges print as they should, in nested sets of patients at once.

A table prints, for a measured quantity, a median and a range in several sets of patients: all
of them, and a part. Values that agree are drawn in four steps.

1. The line is cut at everything that is printed (medians, smallest and largest values) and at
   the thresholds that groups of patients respect, which gives *bands*. Within a group of
   patients only the number per band matters to what is printed.
2. Each group gets a law: two half normals that meet in the printed median, on the plain or the
   log scale, their spreads such that the printed extremes are about those to be expected of
   so many patients. The expected numbers per band are then raked, until each set has as much
   below its median as above: the smallest change of the laws that can hold them all.
3. Numbers per band are drawn, and moved to the nearest whole numbers that satisfy every printed
   median and extreme exactly (an integer programme).
4. Values are drawn inside the bands from the law, by its inverse distribution function.

Values are whole multiples of the precision of measurement; inside this module they are counted
in such steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import ceil
from typing import Literal

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.special import ndtr, ndtri

from visiontrial.printed import parse

Scale = Literal["normal", "lognormal"]

_RAKES = 60
_TRIES = 60
_TRACE = 1e-9  # a band that the law all but excludes stays possible


class NoSuchValues(ValueError):
    """No values agree with all that is printed; the message says which numbers stand against each other."""


@dataclass(frozen=True)
class Group:
    """Patients who are drawn together: how many, and the threshold that bounds them on one side.

    Values are at most `at_most` and more than `more_than`, where given.
    """

    size: int
    at_most: float | None = None
    more_than: float | None = None

    @property
    def text(self) -> str:
        """In words, for an error: `96 at most 260`."""
        limits = (("at most", self.at_most), ("more than", self.more_than))
        return " ".join(
            [str(self.size), *(f"{word} {value:g}" for word, value in limits if value is not None)]
        )


@dataclass(frozen=True)
class Summary:
    """A median and range, as printed, of the groups at the positions `members`."""

    members: tuple[int, ...]
    median: str
    low: str
    high: str


def middle(median: str, n: int, decimals: int) -> tuple[int, int] | None:
    """The middle value (twice) or the two middle values, in steps, of `n` patients with this printed median.

    Values have so many `decimals`. `None` where no such values exist: a median that ends in a
    half cannot come from an odd number of whole values. Of several possibilities the one nearest to what is
    printed is taken, and for an even number of patients the closest pair.
    """
    number = parse(median)
    spacing = 1 if n % 2 else 2  # the median of an even number can lie half-way between two steps
    first, last = _steps(median, decimals, spacing)
    if n < 1 or first > last:
        return None
    exact = number.value * 10**decimals * spacing
    nearest = min(range(first, last + 1), key=lambda k: (abs(k - exact), k))
    return (nearest, nearest) if n % 2 else (nearest // 2, (nearest + 1) // 2)


def draw(
    groups: Sequence[Group],
    summaries: Sequence[Summary],
    decimals: int,
    scale: Scale,
    generator: np.random.Generator,
) -> list[np.ndarray]:
    """Values for every group, in random order, that agree with every summary at printed precision.

    groups      at least one summary must speak of each of them
    summaries   medians and ranges; the law of a group comes from the smallest set it is in
    decimals    precision of measurement: 0 gives whole values, 1 tenths
    scale       whether the law is normal on the plain or on the log scale

    Returns one float array per group. Raises `NoSuchValues`.
    """
    targets = [_Target.of(s, sum(groups[i].size for i in s.members), decimals) for s in summaries]
    for attempt in _with_middles(targets, groups, decimals):
        found = _attempt(groups, attempt, decimals, scale, generator)
        if found is not None:
            return [steps / 10**decimals for steps in found]
    raise NoSuchValues(
        f"no values agree with all of these at once: {'; '.join(target.text for target in targets)}; "
        f"in groups of {', '.join(group.text for group in groups)}"
    )


def _attempt(
    groups: Sequence[Group],
    targets: Sequence[_Target],
    decimals: int,
    scale: Scale,
    generator: np.random.Generator,
) -> list[np.ndarray] | None:
    """Values in steps, or `None` where these middle values are not possible."""
    bands = _Bands.of(targets, groups, decimals)
    own = [min((t for t in targets if i in t.members), key=lambda t: t.n) for i in range(len(groups))]
    laws = [_Law.of(target, scale) for target in own]
    allowed = np.array([bands.within(*_limits(i, groups, targets, decimals)) for i in range(len(groups))])
    sizes = np.array([group.size for group in groups])
    if ((sizes > 0) & ~allowed.any(axis=1)).any():
        return None
    weights = np.array([law.mass(bands) for law in laws]).clip(_TRACE) * allowed
    expected = _raked(weights, sizes, targets, bands)
    counts = _nearest_counts(
        _sampled(expected, sizes, generator), expected, allowed, targets, bands, generator
    )
    if counts is None:
        return None
    return [law.inside(bands, row, generator) for law, row in zip(laws, counts, strict=True)]


def _with_middles(
    targets: Sequence[_Target], groups: Sequence[Group], decimals: int
) -> Iterator[Sequence[_Target]]:
    """The targets with other pairs of middle values that have the same mean, the closest pairs first.

    Few patients, or a threshold with exactly half of them on each side, can force the two middle
    values of an even number apart. Only where they lie among the other cuts matters, so wider
    pairs are tried that end at a cut or next to one.
    """
    cuts = {end for t in targets for ends in (t.low, t.high, t.middle) for end in ends}
    cuts |= {_threshold(v, decimals) for g in groups for v in (g.at_most, g.more_than) if v is not None}
    near = sorted({cut + shift for cut in cuts for shift in (-1, 0, 1)})

    def pairs(target: _Target) -> list[tuple[int, int]]:
        total = sum(target.middle)
        wider = {tuple(sorted((end, total - end))) for end in near} if target.n % 2 == 0 else set()
        possible = {pair for pair in wider if target.low[0] <= pair[0] and pair[1] <= target.high[1]}
        return sorted(possible | {target.middle}, key=lambda pair: pair[1] - pair[0])

    combinations = product(*map(pairs, targets))
    for middles in sorted(combinations, key=lambda each: sum(b - a for a, b in each))[:_TRIES]:
        yield [replace(target, middle=pair) for target, pair in zip(targets, middles, strict=True)]


# --- what is printed, in steps ----------------------------------------------------------------


@dataclass(frozen=True)
class _Target:
    """A summary in steps: the two middle values, and the values that print as smallest and as largest."""

    members: tuple[int, ...]
    n: int
    middle: tuple[int, int]
    low: tuple[int, int]
    high: tuple[int, int]
    text: str

    @classmethod
    def of(cls, summary: Summary, n: int, decimals: int) -> _Target:
        text = f"median {summary.median}, range {summary.low} to {summary.high}, {n} patients"
        found = middle(summary.median, n, decimals)
        low, high = _steps(summary.low, decimals), _steps(summary.high, decimals)
        if found is None or low[0] > low[1] or high[0] > high[1]:
            raise NoSuchValues(f"{text}: not possible with values of {decimals} decimals")
        if not low[0] <= found[0] <= found[1] <= high[1]:
            raise NoSuchValues(f"{text}: the median lies outside the range")
        return cls(summary.members, n, found, low, high, text)


def _steps(text: str, decimals: int, spacing: int = 1) -> tuple[int, int]:
    """First and last multiple of 10^-decimals / spacing that prints as `text` (first > last: none)."""
    interval = parse(text).interval(exact=False)
    if interval.low is None or interval.high is None:
        raise NoSuchValues(f"{text!r} is open on one side: a median and a range need plain numbers")
    unit = 10**decimals * spacing
    return ceil(interval.low * unit), ceil(interval.high * unit) - 1


def _limits(i: int, groups: Sequence[Group], targets: Sequence[_Target], decimals: int) -> tuple[int, int]:
    mine = [target for target in targets if i in target.members]
    first, last = max(t.low[0] for t in mine), min(t.high[1] for t in mine)
    if groups[i].more_than is not None:
        first = max(first, _threshold(groups[i].more_than, decimals) + 1)
    if groups[i].at_most is not None:
        last = min(last, _threshold(groups[i].at_most, decimals))
    return first, last


def _threshold(value: float, decimals: int) -> int:
    """The last step that is not above a threshold."""
    return int(Fraction(str(value)) * 10**decimals // 1)


@dataclass(frozen=True)
class _Bands:
    """Intervals of steps, both ends included, that together cover every printed range."""

    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, targets: Sequence[_Target], groups: Sequence[Group], decimals: int) -> _Bands:
        edges = set()
        for target in targets:
            a, b = target.middle
            for first, last in (target.low, target.high, (a, a), (b, b)):
                edges |= {first, last + 1}
        bottom, top = min(edges), max(edges)
        for group in groups:
            for value in (group.at_most, group.more_than):
                if value is not None:
                    edges.add(_threshold(value, decimals) + 1)
        inside = np.array(sorted(edge for edge in edges if bottom <= edge <= top))
        return cls(inside[:-1], inside[1:] - 1)

    def within(self, first: int, last: int) -> np.ndarray:
        return (self.first >= first) & (self.last <= last)


# --- the law of a group -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Law:
    """Two half normals that meet in the median; `below` and `above` are their standard deviations."""

    scale: Scale
    centre: float
    below: float
    above: float

    @classmethod
    def of(cls, target: _Target, scale: Scale) -> _Law:
        """Spread as printed: the extremes of n values lie about z(1 − 1/2n) deviations from the median."""
        z = ndtri(1 - 0.5 / max(target.n, 2))
        low = target.low[0] or max(target.low[1], 0.5)  # a range from 0 has no logarithm to start from
        at_low, at_high = _transformed(np.array([low, target.high[0]], dtype=float), scale)
        centre = float(_transformed(np.array([sum(target.middle) / 2]), scale)[0])
        spreads = (centre - at_low) / z, (at_high - centre) / z
        widest = max(*spreads, _TRACE)
        below, above = (float(spread) if spread > 0 else widest for spread in spreads)
        return cls(scale, centre, below, above)

    def probability(self, steps: np.ndarray) -> np.ndarray:
        """The distribution function at so many steps."""
        distance = _transformed(np.asarray(steps, dtype=float), self.scale) - self.centre
        return ndtr(distance / np.where(distance < 0, self.below, self.above))

    def mass(self, bands: _Bands) -> np.ndarray:
        """The probability of each band; a value is rounded to the nearest step."""
        return self.probability(bands.last + 0.5) - self.probability(bands.first - 0.5)

    def inside(self, bands: _Bands, counts: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """So many values in each band, in random order."""
        first, last = np.repeat(bands.first, counts), np.repeat(bands.last, counts)
        low, high = self.probability(first - 0.5), self.probability(last + 0.5)
        z = ndtri(low + (high - low) * generator.random(len(first)))
        raw = self.centre + z * np.where(z < 0, self.below, self.above)
        # Where the law all but excludes a band, its inverse can be infinite: the band's end then stands.
        steps = np.exp(np.minimum(raw, 700.0)) if self.scale == "lognormal" else raw
        return generator.permutation(np.clip(np.rint(steps), first, last))


def _transformed(steps: np.ndarray, scale: Scale) -> np.ndarray:
    if scale == "normal":
        return steps
    return np.log(steps, out=np.full(steps.shape, -np.inf), where=steps > 0)


# --- numbers per band -------------------------------------------------------------------------


def _raked(weights: np.ndarray, sizes: np.ndarray, targets: Sequence[_Target], bands: _Bands) -> np.ndarray:
    """Expected numbers, group by band, with as much below each set's median as above, as far as can be."""
    expected = _to_sizes(weights, sizes)
    for _ in range(_RAKES):
        for target in targets:
            mine = np.zeros_like(expected, dtype=bool)
            mine[list(target.members)] = True
            below, above = mine & (bands.last < target.middle[0]), mine & (bands.first > target.middle[1])
            lower, upper = expected[below].sum(), expected[above].sum()
            if lower > 0 and upper > 0:
                expected[below] *= (lower + upper) / (2 * lower)
                expected[above] *= (lower + upper) / (2 * upper)
        expected = _to_sizes(expected, sizes)
    return expected


def _to_sizes(weights: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    totals = weights.sum(axis=1)
    return weights * np.divide(sizes, totals, out=np.zeros(len(sizes)), where=totals > 0)[:, None]


def _sampled(expected: np.ndarray, sizes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return np.array(
        [
            generator.multinomial(size, row / row.sum()) if size else np.zeros(len(row), dtype=int)
            for size, row in zip(sizes, expected, strict=True)
        ]
    )


def _nearest_counts(
    sampled: np.ndarray,
    expected: np.ndarray,
    allowed: np.ndarray,
    targets: Sequence[_Target],
    bands: _Bands,
    generator: np.random.Generator,
) -> np.ndarray | None:
    """The whole numbers nearest to those sampled that satisfy every median, extreme and group size.

    Distance: the sum of absolute differences, each in units of the square root of the expected
    number, so that a change goes where it is least remarkable; a random hundredth breaks ties.
    `None` where no numbers satisfy them all.
    """
    shape, cells = sampled.shape, sampled.size
    price = (1 + 0.01 * generator.random(shape)) / np.sqrt(expected + 0.25)
    rows, lower, upper = _conditions(sampled, targets, bands)
    # Unknowns: the numbers, and how far each is above and below the sampled one.
    eye = np.eye(cells)
    distance = np.hstack([eye, -eye, eye])
    conditions = np.hstack([rows, np.zeros((len(rows), 2 * cells))])
    greatest = np.where(allowed, sampled.sum(axis=1, keepdims=True), 0).ravel()
    found = milp(
        np.concatenate([np.zeros(cells), price.ravel(), price.ravel()]),
        constraints=[
            LinearConstraint(distance, sampled.ravel(), sampled.ravel()),
            LinearConstraint(conditions, lower, upper),
        ],
        bounds=Bounds(0, np.concatenate([greatest, np.full(2 * cells, np.inf)])),
        integrality=np.concatenate([np.ones(cells), np.zeros(2 * cells)]),
    )
    if found.x is None:
        return None
    return np.rint(found.x[:cells]).astype(int).reshape(shape)


def _conditions(
    sampled: np.ndarray, targets: Sequence[_Target], bands: _Bands
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Linear conditions on the numbers (groups by bands, flattened): coefficients, least, greatest."""
    conditions = []

    def demand(groups: Sequence[int], where: np.ndarray, least: float, greatest: float) -> None:
        chosen = np.zeros(sampled.shape)
        chosen[np.ix_(list(groups), np.flatnonzero(where))] = 1
        conditions.append((chosen.ravel(), least, greatest))

    for group, size in enumerate(sampled.sum(axis=1)):
        demand([group], np.ones(len(bands.first), dtype=bool), size, size)
    for target in targets:
        (a, b), n = target.middle, target.n
        demand(target.members, bands.within(*target.low), 1, np.inf)
        demand(target.members, bands.within(*target.high), 1, np.inf)
        # The value of rank ⌈n/2⌉ is a, the value of rank ⌊n/2⌋ + 1 is b.
        demand(target.members, bands.last < a, 0, ceil(n / 2) - 1)
        demand(target.members, bands.last <= a, ceil(n / 2), np.inf)
        demand(target.members, bands.last < b, 0, n // 2)
        demand(target.members, bands.last <= b, n // 2 + 1, np.inf)
    rows, least, greatest = zip(*conditions, strict=True)
    return np.array(rows), np.array(least), np.array(greatest)
