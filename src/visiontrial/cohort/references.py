"""What a specification refers to: `"claim:os.ci-level"` stands for the number printed there.

A specification types no result. Where it needs one it names the printed number, or a sum or
difference of several, such as `"claim:assigned.lu - ecog-0-1.lu"`. This room looks them up and
says clearly what is wrong with a reference that leads nowhere.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pandas as pd

from visiontrial import paths, published
from visiontrial.printed import UnreadableNumber, parse, parse_date

CLAIM, FACT = "claim", "fact"

_OPERATOR = re.compile(r"\s+([+-])\s+")
_PREFIX = re.compile(rf"({CLAIM}|{FACT}):\s*")
_NUMERAL = re.compile(r"\d+(\.\d+)?")
_HOW = (
    f'write a number, a reference such as "{CLAIM}:os.hr", or a sum or difference such as "{CLAIM}:a.b - c.d"'
    "; a date stands without quotes"
)


class SpecificationError(ValueError):
    """A trial's folder cannot be read as it stands; the message says where, what and what to do."""


def nearest(word: str, known: Collection[str]) -> str:
    """Advice for a word that is not among the `known` ones: what was perhaps meant, or all there are."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f"perhaps {' or '.join(close)} is meant"
    listed = sorted(known)
    return f"there {'is' if len(listed) == 1 else 'are'} {', '.join(listed[:12]) or 'none'}" + (
        ", ..." if len(listed) > 12 else ""
    )


@dataclass(frozen=True)
class Source:
    """A file of printed numbers: its characters by id."""

    path: Path
    printed: Mapping[str, str]

    @classmethod
    def read(cls, path: Path, id_column: str, value_column: str) -> Source:
        """Read a CSV that has at least these two columns, as text.

        The paper's own numbers are read by `published`, which validates them.
        """
        if path.resolve() == paths.PUBLISHED / "claims.csv":
            table = published.claims()
        else:
            table = read_text_table(path)
        for column in (id_column, value_column):
            if column not in table.columns:
                raise SpecificationError(
                    f"{path}: line 1: there is no column {column!r}, only {', '.join(table.columns)}: "
                    f"the file needs at least {id_column} and {value_column}"
                )
        for line, twice in table.loc[table[id_column].duplicated(), id_column].items():
            raise SpecificationError(
                f"{path}: line {line + 2}: {id_column} {twice!r} stands twice: give it one id of its own"
            )
        return cls(path, dict(zip(table[id_column], table[value_column], strict=True)))


def read_text_table(path: Path) -> pd.DataFrame:
    """A CSV with every column as text. Raises `SpecificationError` when it is missing or unreadable."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise SpecificationError(
            f"{path}: the file is missing: write it, or correct the name that points to it"
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SpecificationError(
            f"{path}: not a readable UTF-8 CSV: {error}. A decimal is written with a point (0.67), and a "
            "text that holds a comma in quotation marks"
        ) from error


@dataclass(frozen=True)
class References:
    """What a specification may refer to: `claim:` is a printed number, `fact:` one from elsewhere."""

    sources: Mapping[str, Source] = field(default_factory=dict)

    def number(self, value: object, where: str) -> Fraction:
        """A literal number, or the value of a reference. `where` (file and key) opens every error."""
        if isinstance(value, str):
            return sum(
                (sign * self._number_of(source, name, where) for sign, source, name in _terms(value, where)),
                Fraction(0),
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SpecificationError(f"{where}: {value!r} is no number: {_HOW}")
        return Fraction(repr(value))

    def day(self, value: object, where: str) -> date:
        """A literal date, or that of a reference; whole numbers added to it are days."""
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if not isinstance(value, str):
            raise SpecificationError(
                f'{where}: {value!r} is no date: write it as 2019-03-05 or as "{CLAIM}:data-cutoff.date"'
            )
        (_, source, name), *rest = _terms(value, where)
        printed = self.printed(source, name, where)
        try:
            start = parse_date(printed)
        except UnreadableNumber as error:
            raise SpecificationError(f"{where}: {source}:{name}: {error}") from None
        days = sum((sign * self._number_of(*term, where) for sign, *term in rest), Fraction(0))
        if days.denominator != 1:
            raise SpecificationError(
                f"{where}: {value!r} adds {float(days)} days to a date: add a whole number"
            )
        return start + timedelta(days=int(days))

    def printed(self, source: str, name: str, where: str) -> str:
        """The characters printed under an id. Raises `SpecificationError` when it is unknown."""
        if source not in self.sources:
            key = {CLAIM: "numbers", FACT: "facts"}[source]
            raise SpecificationError(
                f"{where}: {source}:{name} refers to a file that is not named: "
                f'write its name at the top of trial.toml, as {key} = "..."'
            )
        known = self.sources[source]
        if name not in known.printed:
            raise SpecificationError(
                f"{where}: there is no {source} {name!r} in {known.path.name}: {nearest(name, known.printed)}"
            )
        return known.printed[name]

    def _number_of(self, source: str, name: str, where: str) -> Fraction:
        if not source:
            return Fraction(name)
        characters = self.printed(source, name, where)
        try:
            number = parse(characters)
        except UnreadableNumber as error:
            raise SpecificationError(f"{where}: {source}:{name}: {error}") from None
        if number.sign:
            raise SpecificationError(
                f"{where}: {source}:{name} is printed as {characters!r}, which is a bound and no value: "
                "write the number itself"
            )
        return number.value


def _terms(text: str, where: str) -> list[tuple[int, str, str]]:
    """The terms of a reference as (sign, source, id); the source of a literal number is empty.

    The prefix of the first term holds for all that follow, unless they bring their own.
    """
    first, *rest = _OPERATOR.split(text.strip())
    prefix = _PREFIX.match(first)
    if not prefix:
        raise SpecificationError(f"{where}: {text!r} is no reference: {_HOW}")
    signs = [1, *(1 if operator == "+" else -1 for operator in rest[::2])]
    terms = []
    for sign, term in zip(signs, [first, *rest[1::2]], strict=True):
        own = _PREFIX.match(term)
        name = term[own.end() :] if own else term
        literal = own is None and _NUMERAL.fullmatch(name)
        terms.append((sign, "" if literal else (own or prefix)[1], name))
    return terms
