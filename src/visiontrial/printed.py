"""Printed characters and the numbers they can stand for.

A paper prints `0.62`; the value behind it lies somewhere in [0.615, 0.625). Every
comparison in this book is made at that precision: a value of ours agrees with a
printed one when, rounded as the paper rounds (half up), it prints as the same
characters. The rounding interval is the tolerance, and there is no other.

Values are kept as `fractions.Fraction`, so that no comparison depends on binary
floating point.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

COUNTING = (
    "none", "one", "two", "three", "four", "five", "six",
    "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
NUMBER_WORDS = {word: Fraction(value) for value, word in enumerate(COUNTING)} | {"one fifth": Fraction(1, 5)}

_NUMERAL = re.compile(r"(?P<sign>[<>≤≥]?)(?P<digits>\d+(?:\.(?P<decimals>\d+))?)")
_RATIO = re.compile(r"(\d+):(\d+)")
_DATE_FORMATS = ("%B %d, %Y", "%B %Y")


class UnreadableNumber(ValueError):
    """The printed characters are not a number, a number word, a ratio or a date."""


@dataclass(frozen=True)
class Interval:
    """The values between `low` and `high`; an end of `None` is unbounded.

    `low_open` and `high_open` say whether an end itself is left out. A rounding
    interval (half up) keeps its lower end and leaves out its upper one.
    """

    low: Fraction | None
    high: Fraction | None
    low_open: bool = False
    high_open: bool = False

    @classmethod
    def point(cls, value: Fraction | int) -> Interval:
        return cls(Fraction(value), Fraction(value))

    @property
    def is_empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    def __neg__(self) -> Interval:
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return Interval(low, high, self.high_open, self.low_open)

    def __add__(self, other: Interval) -> Interval:
        low = None if self.low is None or other.low is None else self.low + other.low
        high = None if self.high is None or other.high is None else self.high + other.high
        return Interval(low, high, self.low_open or other.low_open, self.high_open or other.high_open)

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def scaled(self, factor: Fraction | int) -> Interval:
        """The interval times a constant of either sign."""
        if factor < 0:
            return -self.scaled(-factor)
        low = None if self.low is None else self.low * factor
        high = None if self.high is None else self.high * factor
        return Interval(low, high, self.low_open, self.high_open)

    def times(self, other: Interval) -> Interval:
        """The product of two intervals of non-negative values, bounded below."""
        bounded = self.high is not None and other.high is not None
        return Interval(
            self.low * other.low,
            self.high * other.high if bounded else None,
            self.low_open or other.low_open,
            self.high_open or other.high_open,
        )

    def over(self, other: Interval) -> Interval:
        """The quotient of two bounded non-negative intervals; unbounded above where `other` reaches 0."""
        if other.high == 0:
            return EVERYTHING
        return Interval(
            self.low / other.high,
            self.high / other.low if other.low > 0 else None,
            self.low_open or other.high_open,
            self.high_open or other.low_open,
        )

    def root(self) -> Interval:
        """The square root of a bounded non-negative interval (in double precision)."""
        return Interval(
            Fraction(math.sqrt(self.low)), Fraction(math.sqrt(self.high)), self.low_open, self.high_open
        )

    def squared(self) -> Interval:
        return self.times(self)

    def meets(self, other: Interval) -> bool:
        """Whether the two have a value in common."""
        return not self.intersect(other).is_empty

    def intersect(self, other: Interval) -> Interval:
        low, low_open = self._tighter(self.low, self.low_open, other.low, other.low_open, max)
        high, high_open = self._tighter(self.high, self.high_open, other.high, other.high_open, min)
        return Interval(low, high, low_open, high_open)

    @staticmethod
    def _tighter(mine, mine_open, theirs, theirs_open, choose):
        if mine is None or theirs is None:
            return (theirs, theirs_open) if mine is None else (mine, mine_open)
        if mine == theirs:
            return mine, mine_open or theirs_open
        tighter = choose(mine, theirs)
        return tighter, (mine_open if tighter == mine else theirs_open)


EVERYTHING = Interval(None, None)


@dataclass(frozen=True)
class Printed:
    """One printed number: its characters, its value, its decimals and its sign (`<`, `>`, `≤`, `≥`)."""

    text: str
    value: Fraction
    decimals: int = 0
    sign: str = ""

    @property
    def step(self) -> Fraction:
        """The distance between two neighbours that could be printed at this precision."""
        return Fraction(1, 10**self.decimals)

    def interval(self, *, exact: bool) -> Interval:
        """The values that print as these characters.

        `exact` numbers (counts, dates, levels fixed by design) stand for themselves; the
        others for their rounding interval, half up, none of them negative. A sign opens the
        interval on its side.
        """
        if self.sign in ("<", "≤"):
            return Interval(None, self.value, high_open=self.sign == "<")
        if self.sign in (">", "≥"):
            return Interval(self.value, None, low_open=self.sign == ">")
        if exact:
            return Interval.point(self.value)
        half = self.step / 2
        return Interval(max(self.value - half, Fraction(0)), self.value + half, high_open=True)


def parse(text: str) -> Printed:
    """Read printed characters: `0.40`, `<0.001`, `≥97`, `1179`, `four`, `one fifth`, `2:1`.

    Raises `UnreadableNumber` for anything else; dates are read by `parse_date`.
    """
    word = text.strip().lower()
    if word in NUMBER_WORDS:
        return Printed(text, NUMBER_WORDS[word])
    if ratio := _RATIO.fullmatch(text):
        return Printed(text, Fraction(int(ratio[1]), int(ratio[2])))
    if numeral := _NUMERAL.fullmatch(text):
        return Printed(text, Fraction(numeral["digits"]), len(numeral["decimals"] or ""), numeral["sign"])
    raise UnreadableNumber(
        f"{text!r} is not a number: write digits (0.40), a sign and digits (<0.001), "
        "a number word (four) or a ratio (2:1)"
    )


def parse_date(text: str) -> date:
    """Read a printed date, to the day (`March 5, 2019`) or to the month (`June 2018`: its first day).

    `mid-October 2019` is the fifteenth. Raises `UnreadableNumber` for anything else.
    """
    if text.startswith("mid-"):
        return parse_date(text.removeprefix("mid-")).replace(day=15)
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    raise UnreadableNumber(f"{text!r} is not a date: write it as 'March 5, 2019' or 'June 2018'")


def as_printed(value: Fraction | float | int, decimals: int) -> str:
    """Print a value with so many decimals, rounding half up as the paper does.

    Floats are taken at their shortest decimal representation, so that 0.125 at two
    decimals is 0.13 and not a matter of binary noise.
    """
    exact = Fraction(repr(float(value))) if isinstance(value, float) else Fraction(value)
    steps = math.floor(abs(exact) * 10**decimals + Fraction(1, 2))
    digits = f"{steps:0{decimals + 1}d}"
    sign = "-" if exact < 0 and steps else ""
    return sign + (f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits)


def prints_as(value: Fraction | float | int, printed: str) -> bool:
    """Whether a value of ours prints as these characters: the book's one meaning of "equal"."""
    target = parse(printed)
    if target.sign:
        return Interval.point(_fraction(value)).meets(target.interval(exact=True))
    if not printed[0].isdigit():  # a number word or a ratio has no decimals to round to
        return _fraction(value) == target.value
    return as_printed(value, target.decimals) == printed


def as_printed_like(value: float | int, printed: str) -> str:
    """A value of ours as the paper would print it in the place of these characters.

    With their decimals; as the characters themselves where they carry a sign and the value lies on
    that side. `not reached` for infinity, `not defined` for NaN.
    """
    if not math.isfinite(value):
        return "not defined" if math.isnan(value) else "not reached"
    target = parse(printed)
    if target.sign and prints_as(value, printed):
        return printed
    return as_printed(value, target.decimals)


@dataclass(frozen=True)
class Printable:
    """The characters that could stand in one place: `lowest` to `highest`, `count` (`None`: no end)."""

    lowest: str
    highest: str
    count: int | None

    @property
    def text(self) -> str:
        """In words for a table: `0.62`, `0.62 to 0.63`, `nothing`."""
        if self.count == 0:
            return "nothing"
        if self.lowest == self.highest and self.lowest:
            return self.lowest
        return f"{self.lowest} to {self.highest}" if self.lowest and self.highest else self._one_sided()

    def _one_sided(self) -> str:
        if not self.lowest and not self.highest:
            return "anything"
        return f"at least {self.lowest}" if self.lowest else f"at most {self.highest}"


def printable(values: Interval, like: Printed, *, exact: bool) -> Printable:
    """Which characters could stand in the place of `like` if the true value lies in `values`.

    Exact numbers are multiples of the printed step, so only those inside the interval count;
    of the others, every number whose rounding interval meets `values` could be printed.
    A signed number (`<0.001`) can stand wherever all of `values` satisfies it, and so could
    endlessly many looser ones.
    """
    if values.is_empty:
        return Printable("", "", 0)
    if like.sign:
        region = like.interval(exact=True)
        if not values.meets(region):
            return Printable("", "", 0)
        text = like.text if values.intersect(region) == values else ""
        return Printable(text, text, None)
    first = None if values.low is None else _first_step(values, like.step, exact)
    last = None if values.high is None else _last_step(values, like.step, exact)
    lowest = "" if first is None else as_printed(first * like.step, like.decimals)
    highest = "" if last is None else as_printed(last * like.step, like.decimals)
    count = None if first is None or last is None else max(0, last - first + 1)
    return Printable(lowest, highest, count)


def _first_step(values: Interval, step: Fraction, exact: bool) -> int:
    position = values.low / step
    if not exact:
        return math.floor(position + Fraction(1, 2))
    return math.floor(position) + 1 if values.low_open else math.ceil(position)


def _last_step(values: Interval, step: Fraction, exact: bool) -> int:
    position = values.high / step
    if not exact:
        position += Fraction(1, 2)
    return math.ceil(position) - 1 if values.high_open else math.floor(position)


def _fraction(value: Fraction | float | int) -> Fraction:
    return Fraction(repr(float(value))) if isinstance(value, float) else Fraction(value)
