"""Read `characteristics.toml`: what a paper's baseline table prints, and why some were never treated.

The file stands beside `trial.toml` and is optional. It types no number of the paper: it names claim
ids, in which `{arm}` and `{population}` stand for the trial's arms and for the names that its table
`[populations]` gives to populations. A paper prints counts per population; patients are drawn per
cell, so the reader solves for the cells, as for `trial.toml`.

key                 meaning
numbers             the file of printed numbers, as in `trial.toml`
[populations]       populations of the trial = their names in claim ids
[sizes]             claim ids of numbers of patients: `by_arm`, `both_arms`, `everyone`
[[category]]        `column`, `label`, `levels`; optional `factor`: its levels, in order, decide
  levels            `value`; `count`, `percent`: printed per arm and population; `total_count`,
                    `total_percent`: printed for everyone together. One level may have no count: it
                    is what the others leave. `first`: who gets it before others; `never`: who
                    cannot have it; both as columns with their values, all of which must hold
[[measure]]         `column`, `label`, `unit`, `decimals` (precision of measurement), `scale`
                    (`normal`, `lognormal`), claim ids `median`, `low`, `high`. Optional: `missing`
                    (at least one value is, and as few as the medians allow); `factor` with
                    `threshold` (the first level means at most so much, the second more);
                    `below` (the value stays at least `by` under that of `column`)
[untreated]         `column`, `label`, claim ids `size` and `treated`
[[untreated.reason]] `value`, `count`; optional `arms` (else all), `died`, `prefer` (end states by
                    name or kind)
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from visiontrial.cohort.keys import Keys
from visiontrial.cohort.order_statistics import Scale
from visiontrial.cohort.references import CLAIM, References, Source, SpecificationError, nearest
from visiontrial.cohort.specification import Cell, Trial
from visiontrial.printed import UnreadableNumber, parse

FILE = "characteristics.toml"
UNTREATED = "UNTRTFL"

Condition = Mapping[str, tuple[str, ...]]
"""Column -> the values that satisfy it; every column must."""


@dataclass(frozen=True)
class Claim:
    """A printed number that rows must show, as a definition that a count of rows can follow.

    `statistic`: `count` or `percent` of the patients of `arm` (`None`: all arms) in `population`
    whose `column` holds `value` (no column: of all of them), or `median`, `range_low`,
    `range_high` of the column.
    """

    claim_id: str
    printed: str
    statistic: str
    population: str
    arm: str | None = None
    column: str = ""
    value: str = ""


@dataclass(frozen=True)
class Level:
    """One value of a category. `counts` per cell; both `None`: what the other levels leave."""

    value: str
    counts: Mapping[Cell, int] | None = None
    total: int | None = None
    first: Condition = field(default_factory=dict)
    never: Condition = field(default_factory=dict)


@dataclass(frozen=True)
class Category:
    """A column with few values."""

    column: str
    label: str
    levels: tuple[Level, ...]
    factor: str = ""

    @property
    def per_cell(self) -> bool:
        """Whether counts are known per cell, not only over all patients."""
        return any(level.counts is not None for level in self.levels)


@dataclass(frozen=True)
class Measure:
    """A column with measured values. `spreads`: printed (median, low, high) by arm and population."""

    column: str
    label: str
    unit: str
    decimals: int
    scale: Scale
    spreads: Mapping[tuple[str, str], tuple[str, str, str]]
    missing: bool = False
    factor: str = ""
    threshold: float = 0.0
    below: str = ""
    by: float = 0.0


@dataclass(frozen=True)
class Reason:
    """A reason for never receiving the assigned treatment, with its patients per cell."""

    value: str
    counts: Mapping[Cell, int]
    died: bool = False
    prefer: tuple[str, ...] = ()


@dataclass(frozen=True)
class Characteristics:
    """Everything in one file, for one trial. `reasons_column` is empty where none are given."""

    where: str
    categories: tuple[Category, ...]
    measures: tuple[Measure, ...]
    reasons_column: str
    reasons_label: str
    reasons: tuple[Reason, ...]
    claims: tuple[Claim, ...]

    @property
    def labels(self) -> dict[str, str]:
        """Column -> what it holds, with its unit, for a dictionary; in the order of the columns."""
        labels = {category.column: category.label for category in self.categories}
        labels |= {measure.column: f"{measure.label} ({measure.unit})" for measure in self.measures}
        return labels | ({self.reasons_column: self.reasons_label} if self.reasons_column else {})


def read(folder: Path, trial: Trial) -> Characteristics | None:
    """Read and validate `characteristics.toml` in `folder`; `None` where a trial has no such file.

    Raises `SpecificationError` that names file, key, value and remedy.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecificationError(f"{path}: not readable as TOML: {error}") from error
    numbers = values.get("numbers")
    if not isinstance(numbers, str):
        raise SpecificationError(
            f'{path}: numbers: {numbers!r} is no file name: write numbers = "numbers.csv"'
        )
    references = References({CLAIM: Source.read(path.parent / numbers, "claim_id", "printed")})
    keys = Keys(values, f"{path}: ", references)
    return _Reader(trial, references, keys).characteristics(str(path))


class _Reader:
    """Reads one file, collecting the claims on the way."""

    def __init__(self, trial: Trial, references: References, keys: Keys):
        self._trial, self._references, self._keys = trial, references, keys
        self._arms = [arm.name for arm in trial.arms]
        self._claims: list[Claim] = []
        self._populations = self._named_populations()

    def characteristics(self, where: str) -> Characteristics:
        keys = self._keys
        keys.only("numbers", "populations", "sizes", "category", "measure", "untreated")
        if "sizes" in keys:
            self._sizes(keys.table("sizes"))
        categories = tuple(self._category(table) for table in keys.tables("category"))
        measures = tuple(self._measure(table) for table in keys.tables("measure"))
        column = label = ""
        reasons: tuple[Reason, ...] = ()
        if "untreated" in keys:
            column, label, reasons = self._untreated(keys.table("untreated"))
        self._refuse_twice([*(c.column for c in categories), *(m.column for m in measures), column])
        return Characteristics(where, categories, measures, column, label, reasons, tuple(self._claims))

    # --- what is read ---

    def _named_populations(self) -> dict[str, str]:
        table = self._keys.table("populations")
        names = {}
        for name in table.names():
            if name not in self._trial.populations:
                raise table.error(name, f"is no population: {nearest(name, self._trial.populations)}")
            names[name] = table.text(name)
        members = [[p.name in self._trial.populations[name] for p in self._trial.periods] for name in names]
        self._equations = np.array(members, dtype=float).reshape(len(names), len(self._trial.periods))
        rank = np.linalg.matrix_rank(self._equations) if names else 0
        if next(iter(self._trial.populations)) not in names or rank < len(self._trial.periods):
            raise self._keys.error(
                "populations",
                f"{list(names)} do not determine every period: name the first population of the trial, "
                "and one more for each further period",
            )
        return names

    def _sizes(self, table: Keys) -> None:
        table.only("by_arm", "both_arms", "everyone")
        if "by_arm" in table:
            for pattern in table.texts("by_arm"):
                self._by_arm(pattern, "count", table.at("by_arm"))
        if "both_arms" in table:
            for pattern in table.texts("both_arms"):
                for population, name in self._populations.items():
                    claim_id = pattern.replace("{population}", name)
                    self._claim(claim_id, "count", population, None, table.at("both_arms"))
        if "everyone" in table:
            for claim_id in table.texts("everyone"):
                self._of_everyone(claim_id, "count", table.at("everyone"))

    def _category(self, table: Keys) -> Category:
        table.only("column", "label", "levels", "factor")
        column, factor = self._column(table), self._factor(table)
        category = Category(
            column=column,
            label=table.text("label"),
            levels=tuple(self._level(each, column) for each in table.tables("levels")),
            factor=factor,
        )
        self._check_levels(category, table)
        return category

    def _level(self, table: Keys, column: str) -> Level:
        table.only("value", "count", "percent", "total_count", "total_percent", "first", "never")
        value = table.text("value")
        about = {"column": column, "value": value}
        counts = total = None
        if "count" in table:
            counts = self._counts(table, "count", about)
        if "percent" in table:
            self._by_arm(table.text("percent"), "percent", table.at("percent"), **about)
        if "total_count" in table:
            claim = self._of_everyone(table.text("total_count"), "count", table.at("total_count"), **about)
            total = self._whole(claim, table.at("total_count"))
        if "total_percent" in table:
            self._of_everyone(table.text("total_percent"), "percent", table.at("total_percent"), **about)
        return Level(value, counts, total, self._condition(table, "first"), self._condition(table, "never"))

    def _condition(self, table: Keys, key: str) -> Condition:
        if key not in table:
            return {}
        conditions = table.table(key)
        return {column: conditions.texts(column) for column in conditions.names()}

    def _check_levels(self, category: Category, table: Keys) -> None:
        """Levels must fill every cell, or everybody, with at most one level that takes what is left."""
        values = [level.value for level in category.levels]
        if len(values) < 2 or len(set(values)) < len(values):
            raise table.error("levels", f"{values} are not at least two different values: correct them")
        if category.factor and len(values) != 2:
            raise table.error("levels", f"{values} are not two, as a factor's levels are: correct them")
        given = [
            level
            for level in category.levels
            if (level.counts if category.per_cell else level.total) is not None
        ]
        sizes = self._trial.randomized if category.per_cell else {"all patients": self._trial.size}
        if len(given) < len(values) - 1:
            raise table.error("levels", "more than one level has no count: only one can be what is left")
        for cell, size in sizes.items():
            counted = sum(level.counts[cell] if category.per_cell else level.total for level in given)
            if counted > size or (len(given) == len(values) and counted != size):
                raise table.error(
                    "levels", f"the counts add up to {counted} in {cell}, of {size} patients: correct one"
                )
        rest = [level for level in category.levels if level not in given and level.total is not None]
        for level in rest:
            left = self._trial.size - sum(sum(other.counts.values()) for other in given)
            if left != level.total:
                raise table.error(
                    "levels",
                    f"{level.value!r}: the other levels leave {left}, not {level.total}: correct one",
                )

    def _measure(self, table: Keys) -> Measure:
        table.only(
            "column", "label", "unit", "decimals", "scale", "median", "low", "high",
            "missing", "factor", "threshold", "below",
        )  # fmt: skip
        column = self._column(table)
        spreads = {}
        printed = {
            statistic: self._by_arm(table.text(key), statistic, table.at(key), column=column)
            for key, statistic in (("median", "median"), ("low", "range_low"), ("high", "range_high"))
        }
        for found in zip(*printed.values(), strict=True):
            spreads[found[0].arm, found[0].population] = tuple(claim.printed for claim in found)
        below, by = "", 0.0
        if "below" in table:
            limit = table.table("below")
            limit.only("column", "by")
            below, by = limit.text("column"), limit.number("by")
        factor = self._factor(table)
        return Measure(
            column=column,
            label=table.text("label"),
            unit=table.text("unit"),
            decimals=table.count("decimals"),
            scale=table.one_of("scale", get_args(Scale)),
            spreads=spreads,
            missing=table.flag("missing"),
            factor=factor,
            threshold=table.number("threshold") if factor else 0.0,
            below=below,
            by=by,
        )

    def _untreated(self, table: Keys) -> tuple[str, str, tuple[Reason, ...]]:
        table.only("column", "label", "size", "treated", "reason")
        column, label = self._column(table), table.text("label")
        sizes = self._counts(table, "size", {"column": UNTREATED, "value": "Y"})
        if "treated" in table:
            self._by_arm(table.text("treated"), "count", table.at("treated"), column=UNTREATED, value="N")
        reasons = tuple(self._reason(each, column) for each in table.tables("reason"))
        for cell, size in sizes.items():
            counted = sum(reason.counts[cell] for reason in reasons)
            if counted != size:
                raise table.error(
                    "reason", f"the reasons add up to {counted} in {cell}, of {size} untreated: correct one"
                )
        return column, label, reasons

    def _reason(self, table: Keys, column: str) -> Reason:
        table.only("value", "count", "arms", "died", "prefer")
        arms = table.texts("arms") if "arms" in table else tuple(self._arms)
        for arm in set(arms) - set(self._arms):
            raise table.error("arms", f"{arm!r} is no arm: {nearest(arm, self._arms)}")
        value = table.text("value")
        counts = dict.fromkeys(self._trial.cells, 0)
        counts |= self._counts(table, "count", {"column": column, "value": value}, arms)
        prefer = table.texts("prefer") if "prefer" in table else ()
        known = {word for state in self._trial.end_states for word in (state.name, state.kind)}
        for state in set(prefer) - known:
            raise table.error("prefer", f"{state!r} is no end state: {nearest(state, known)}")
        return Reason(value, counts, table.flag("died"), prefer)

    # --- claims ---

    def _counts(
        self, table: Keys, key: str, about: Mapping[str, str], arms: Sequence[str] = ()
    ) -> dict[Cell, int]:
        """Counts per cell from the counts per population: the one solution, whole and none negative."""
        claims = self._by_arm(table.text(key), "count", table.at(key), arms=arms, **about)
        cells = {}
        for arm in dict.fromkeys(claim.arm for claim in claims):
            printed = [self._whole(claim, table.at(key)) for claim in claims if claim.arm == arm]
            solved = np.linalg.lstsq(self._equations, np.array(printed, dtype=float), rcond=None)[0]
            whole = np.rint(solved).astype(int)
            if (whole < 0).any() or (self._equations @ whole != printed).any():
                raise table.error(
                    key, f"{printed} patients of arm {arm} in {list(self._populations)}: cannot all be true"
                )
            cells |= {(arm, p.name): int(n) for p, n in zip(self._trial.periods, whole, strict=True)}
        return cells

    def _by_arm(
        self, pattern: str, statistic: str, where: str, arms: Sequence[str] = (), **about: str
    ) -> list[Claim]:
        return [
            self._claim(
                pattern.replace("{arm}", arm).replace("{population}", name),
                statistic,
                population,
                arm,
                where,
                **about,
            )
            for arm in arms or self._arms
            for population, name in self._populations.items()
        ]

    def _of_everyone(self, claim_id: str, statistic: str, where: str, **about: str) -> Claim:
        everyone = next(iter(self._trial.populations))
        return self._claim(claim_id, statistic, everyone, None, where, **about)

    def _claim(
        self, claim_id: str, statistic: str, population: str, arm: str | None, where: str, **about: str
    ) -> Claim:
        printed = self._references.printed(CLAIM, claim_id, where)
        claim = Claim(claim_id, printed, statistic, population, arm, **about)
        self._claims.append(claim)
        return claim

    @staticmethod
    def _whole(claim: Claim, where: str) -> int:
        try:
            number = parse(claim.printed)
        except UnreadableNumber as error:
            raise SpecificationError(f"{where}: {claim.claim_id}: {error}") from None
        if number.value.denominator != 1 or number.sign:
            raise SpecificationError(
                f"{where}: {claim.claim_id}: {claim.printed!r} is no number of patients: name a count"
            )
        return int(number.value)

    # --- small checks ---

    @staticmethod
    def _column(table: Keys) -> str:
        column = table.text("column")
        if not (column.isalnum() and column.isupper() and len(column) <= 8):
            raise table.error(
                "column", f"{column!r} is no ADaM name: use one to eight capital letters or digits"
            )
        return column

    def _factor(self, table: Keys) -> str:
        if "factor" not in table:
            return ""
        return table.one_of("factor", [factor.name for factor in self._trial.factors])

    def _refuse_twice(self, columns: Sequence[str]) -> None:
        for column in columns:
            if columns.count(column) > 1:
                raise self._keys.error(column, "is described twice: remove one")
