"""The keys of a specification, read one by one with their type, so that nothing is misread or overlooked.

A key that is missing, of the wrong kind or unknown (a typing error, most often) ends the
reading with a message that names the file, the key, the value and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from fractions import Fraction

from visiontrial.cohort.references import References, SpecificationError, nearest

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Keys:
    """One table of a TOML file. Say with `only` which keys it may have, then read them.

    `where` is the file and the path of the table in it, as errors show it.
    """

    def __init__(self, values: object, where: str, references: References):
        if not isinstance(values, Mapping):
            raise SpecificationError(f"{where}: {values!r} is no table: write keys and values in it")
        self._values = dict(values)
        self._where = where
        self._references = references

    def only(self, *known: str) -> None:
        """Raise `SpecificationError` for a key that is none of these."""
        for key in self._values:
            if key not in known:
                raise self.error(key, f"is an unknown key: {nearest(key, known)}")

    def error(self, key: str, problem: str) -> SpecificationError:
        """An error about one key of this table."""
        return SpecificationError(f"{self.at(key)}: {problem}")

    def at(self, key: str) -> str:
        """Where a key stands, as errors show it."""
        return f"{self._where}{'' if self._where.endswith(' ') else '.'}{key}"

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def raw(self, key: str) -> object:
        """The value as TOML has it."""
        if key not in self._values:
            raise self.error(key, "is missing: add it")
        return self._values[key]

    def text(self, key: str) -> str:
        value = self.raw(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, f"{value!r} is no text: write it in quotation marks")
        return value

    def name(self, key: str) -> str:
        """A name by which other keys and files refer to something."""
        return checked_name(self.text(key), self.at(key))

    def one_of(self, key: str, known: Collection[str]) -> str:
        value = self.text(key)
        if value not in known:
            raise self.error(key, f"{value!r} is unknown: {nearest(value, known)}")
        return value

    def flag(self, key: str) -> bool:
        """True or false; false when the key is absent."""
        value = self._values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, f"{value!r} is neither true nor false: write one of them, without quotes")
        return value

    def number(self, key: str) -> float:
        """A literal or a reference."""
        return float(self._references.number(self.raw(key), self.at(key)))

    def positive(self, key: str) -> float:
        value = self.number(key)
        if value <= 0:
            raise self.error(key, f"{value:g} is not above 0: correct it")
        return value

    def count(self, key: str) -> int:
        value: Fraction = self._references.number(self.raw(key), self.at(key))
        if value.denominator != 1 or value < 0:
            raise self.error(key, f"{float(value):g} is no number of patients: it must be whole, from 0 up")
        return int(value)

    def day(self, key: str) -> date:
        return self._references.day(self.raw(key), self.at(key))

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw(key)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            raise self.error(key, f'{value!r} is no list of texts: write it as ["...", "..."]')
        return tuple(value)

    def table(self, key: str) -> Keys:
        return Keys(self.raw(key), self.at(key), self._references)

    def tables(self, key: str) -> list[Keys]:
        """A list of tables (`[[key]]`), empty when the key is absent."""
        values = self._values.get(key, [])
        if not isinstance(values, list):
            raise self.error(key, f"{values!r} is no list of tables: write each under [[{key}]]")
        return [Keys(each, f"{self.at(key)}[{n}]", self._references) for n, each in enumerate(values, 1)]

    def names(self) -> Iterator[str]:
        """The keys that stand here, in their order; for tables whose keys are names."""
        return iter(self._values)


def checked_name(name: str, where: str) -> str:
    """A name made of lower-case letters, digits and underscores, or `SpecificationError`."""
    if not _NAME.fullmatch(name):
        raise SpecificationError(
            f"{where}: {name!r} is no name: use lower-case letters, digits and underscores, a letter first"
        )
    return name
