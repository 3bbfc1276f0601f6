"""Read a trial's folder (`trial.toml`, `targets.csv`) into a `Trial`.

A paper prints counts per population; the engine wants them per cell, an arm in one period of
randomization. The reader solves for the cells, exactly, and refuses counts that do not
determine them. Everything is checked here, so that the engine can trust what it is given: each
error names the file, the key or the line, the value, and what to do.

The keys and columns are documented in the book, on the page "A trial as a file".
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np

from visiontrial.cohort.keys import Keys, checked_name
from visiontrial.cohort.references import (
    CLAIM,
    FACT,
    References,
    Source,
    SpecificationError,
    nearest,
    read_text_table,
)
from visiontrial.cohort.specification import (
    DAYS_PER_MONTH,
    Arm,
    Cell,
    Endpoint,
    EndState,
    Factor,
    Normal,
    Period,
    Statistic,
    Stop,
    Target,
    Trial,
)
from visiontrial.printed import UnreadableNumber, as_printed, parse

TRIAL_FILE, TARGETS_FILE = "trial.toml", "targets.csv"
TARGET_COLUMNS = (
    "claim_id", "paramcd", "population", "arm", "statistic", "level", "at", "role", "definition",
)  # fmt: skip

TRIAL_KEYS = (
    "name", "identifier", "numbers", "facts", "cutoff", "late_deaths", "arms", "periods", "populations",
    "randomized", "untreated", "untreated_deaths", "untreated_death_within",
    "end_states", "factors", "endpoints",
)  # fmt: skip

ALL_ARMS = "all"
STATISTICS = get_args(Statistic)
COMPARISONS = frozenset({"hazard_ratio", "ci_low", "ci_high", "p_value"})
OF_ANY_ARM = frozenset({"events", "time_to_cutoff"})
WITH_LEVEL = frozenset({"ci_low", "ci_high", "median_low", "median_high", "followup_low", "followup_high"})
IN_ORDER = (
    ("ci_low", "hazard_ratio", "ci_high"),
    ("median_low", "median", "median_high"),
    ("followup_low", "followup", "followup_high"),
)
"""An estimate between its limits."""
MEDIANS = frozenset({"median", "median_low", "followup", "followup_low", "time_to_cutoff"})
KINDS = ("died", "left", "alive")
ROLES = ("target", "derived")

_PARAMCD = re.compile(r"[A-Z][A-Z0-9]{0,7}")
_IDENTIFIER = re.compile(r"SYNTHETIC[A-Z0-9-]*")
_DEATH = "Death"


def read(folder: Path) -> Trial:
    """Read and validate the trial specified in `folder`.

    Raises `SpecificationError`, a `ValueError`, that names file, key or line, value and remedy.
    """
    path = Path(folder) / TRIAL_FILE
    values = _toml(path)
    references = References(dict(_sources(values, path)))
    keys = Keys(values, f"{path}: ", references)
    keys.only(*TRIAL_KEYS)
    cutoff = keys.day("cutoff")
    arms = _arms(keys)
    periods = _periods(keys, cutoff)
    populations = _populations(keys, periods)
    counting = _Counting(arms, periods, populations)
    randomized = counting.per_cell(keys.table("randomized"))
    for period in periods:
        if not any(randomized[arm.name, period.name] for arm in arms):
            raise keys.error("randomized", f"nobody in period {period.name}: remove the period")
    untreated = counting.part_of(randomized, keys.table("untreated")) if "untreated" in keys else None
    longest_followup = (cutoff - periods[0].first).days + 1
    endpoints = _endpoints(keys, longest_followup)
    return Trial(
        name=keys.text("name"),
        identifier=_identifier(keys),
        arms=arms,
        periods=periods,
        populations=populations,
        cutoff=cutoff,
        randomized=randomized,
        untreated=untreated,
        untreated_deaths=_untreated_deaths(keys, counting, untreated),
        untreated_death_within=keys.positive("untreated_death_within")
        if "untreated_death_within" in keys
        else Trial.untreated_death_within,
        end_states=_end_states(keys, counting, randomized),
        factors=_factors(keys, counting, randomized),
        endpoints=endpoints,
        late_deaths=_late_deaths(keys),
        targets=_targets(
            Path(folder) / TARGETS_FILE, references, arms, populations, endpoints, longest_followup
        ),
    )


def _untreated_deaths(keys: Keys, counting: _Counting, untreated: Mapping[Cell, int] | None):
    if "untreated_deaths" not in keys:
        return None
    if untreated is None:
        raise keys.error("untreated_deaths", "needs the table untreated, of which they are a part: add it")
    return counting.part_of(untreated, keys.table("untreated_deaths"))


def _toml(path: Path) -> dict:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecificationError(f"{path}: the file is missing: a trial's folder needs it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecificationError(f"{path}: not readable as TOML: {error}") from error


def _sources(values: Mapping, path: Path) -> Iterable[tuple[str, Source]]:
    for key, prefix, columns in (
        ("numbers", CLAIM, ("claim_id", "printed")),
        ("facts", FACT, ("fact_id", "value")),
    ):
        if key in values:
            if not isinstance(values[key], str):
                raise SpecificationError(
                    f'{path}: {key}: {values[key]!r} is no file name: write it as {key} = "numbers.csv"'
                )
            yield prefix, Source.read(path.parent / values[key], *columns)


def _identifier(keys: Keys) -> str:
    if "identifier" not in keys:
        return Trial.identifier
    value = keys.text("identifier")
    if not _IDENTIFIER.fullmatch(value):
        raise keys.error(
            "identifier", f"{value!r} could be taken for a patient's number: begin it with SYNTHETIC"
        )
    return value


# --- arms, periods, populations --------------------------------------------------------------


def _arms(keys: Keys) -> tuple[Arm, Arm]:
    tables = keys.tables("arms")
    if len(tables) != 2:
        raise keys.error(
            "arms", f"there are {len(tables)} arms: give two under [[arms]], the reference first"
        )
    arms = tuple(_arm(table) for table in tables)
    _refuse_twice((arm.name for arm in arms), keys.at("arms"))
    _refuse_twice((arm.label for arm in arms), keys.at("arms"))
    if ALL_ARMS in {arm.name for arm in arms}:
        raise keys.error("arms", f"{ALL_ARMS!r} stands for both arms together: use another name")
    return arms


def _arm(table: Keys) -> Arm:
    table.only("name", "label")
    return Arm(table.name("name"), table.text("label"))


def _period(table: Keys) -> Period:
    table.only("name", "first", "last")
    return Period(table.name("name"), table.day("first"), table.day("last"))


def _periods(keys: Keys, cutoff: date) -> tuple[Period, ...]:
    tables = keys.tables("periods")
    if not tables:
        raise keys.error("periods", "are missing: give at least one under [[periods]]")
    periods = tuple(_period(table) for table in tables)
    _refuse_twice((period.name for period in periods), keys.at("periods"))
    for period in periods:
        if period.first > period.last:
            raise keys.error(
                "periods", f"{period.name} ends on {period.last}, before it begins on {period.first}"
            )
        if period.last > cutoff:
            raise keys.error(
                "periods", f"{period.name} ends on {period.last}, after the cutoff on {cutoff}: correct one"
            )
    for earlier, later in pairwise(periods):
        if later.first <= earlier.last:
            raise keys.error(
                "periods",
                f"{later.name} begins on {later.first}, when {earlier.name} has not ended ({earlier.last}): "
                'periods stand in their order and do not overlap; a day earlier is written "claim:... - 1"',
            )
    return periods


def _populations(keys: Keys, periods: tuple[Period, ...]) -> dict[str, tuple[str, ...]]:
    table = keys.table("populations")
    known = [period.name for period in periods]
    populations = {}
    for name in table.names():
        members = table.texts(checked_name(name, table.at(name)))
        for member in members:
            if member not in known:
                raise table.error(name, f"{member!r} is no period: {nearest(member, known)}")
        _refuse_twice(members, table.at(name))
        if name in known and members != (name,):
            raise table.error(
                name, "has the name of a period but other members: give the population another name"
            )
        populations[name] = members
    if not populations or set(next(iter(populations.values()))) != set(known):
        raise keys.error(
            "populations", f"the first must hold every period ({', '.join(known)}): put such a one first"
        )
    _refuse_twice((name.replace("_", "") for name in populations), keys.at("populations"))
    return populations


# --- counts ----------------------------------------------------------------------------------


class _Counting:
    """Turns counts per population, as a paper prints them, into counts per cell."""

    def __init__(
        self, arms: Iterable[Arm], periods: Iterable[Period], populations: Mapping[str, tuple[str, ...]]
    ):
        self._arms = [arm.name for arm in arms]
        self._periods = [period.name for period in periods]
        self._groups = {name: (name,) for name in self._periods} | dict(populations)

    def per_cell(self, table: Keys) -> dict[Cell, int]:
        """The one solution in whole numbers from 0 up, or an error.

        A table has a key per population (or period), and in each one a count per arm. A population
        is a union of periods, so the counts of an arm are a system of linear equations.
        """
        printed = self._printed(table)
        cells = {}
        for arm in self._arms:
            cells |= self._solve(arm, printed[arm], table)
        return cells

    def part_of(self, whole: Mapping[Cell, int], table: Keys) -> dict[Cell, int]:
        """Counts per cell of a part of `whole`; an error where the part is the larger."""
        part = self.per_cell(table)
        for cell, n in part.items():
            if n > whole[cell]:
                raise table.error(
                    cell[0], f"{n} patients in period {cell[1]}, of {whole[cell]} randomized: correct one"
                )
        return part

    def _printed(self, table: Keys) -> dict[str, dict[str, int]]:
        printed = {arm: {} for arm in self._arms}
        for group in table.names():
            if group not in self._groups:
                raise table.error(group, f"is no population and no period: {nearest(group, self._groups)}")
            counts = table.table(group)
            for arm in counts.names():
                if arm not in printed:
                    raise counts.error(arm, f"is no arm: {nearest(arm, self._arms)}")
                printed[arm][group] = counts.count(arm)
        return printed

    def _solve(self, arm: str, counts: Mapping[str, int], table: Keys) -> dict[Cell, int]:
        members = [[period in self._groups[group] for period in self._periods] for group in counts]
        equations = np.array(members, dtype=float).reshape(len(counts), len(self._periods))
        printed = np.array(list(counts.values()), dtype=float)
        shown = ", ".join(f"{group} {n}" for group, n in counts.items()) or "none"
        open_periods = _undetermined(equations, self._periods)
        if open_periods:
            raise table.error(
                arm,
                f"the counts ({shown}) do not determine period {', '.join(open_periods)}: "
                "add the count of a population that separates it",
            )
        exact = np.linalg.lstsq(equations, printed, rcond=None)[0]
        whole = np.rint(exact)
        if not np.allclose(equations @ exact, printed, rtol=0, atol=1e-6):
            raise table.error(arm, f"the counts ({shown}) contradict each other: correct one")
        if not np.allclose(exact, whole, rtol=0, atol=1e-6) or (whole < 0).any():
            solved = ", ".join(
                f"{period} {value:g}" for period, value in zip(self._periods, exact, strict=True)
            )
            raise table.error(
                arm, f"the counts ({shown}) give {solved}, which are no numbers of patients: correct one"
            )
        return {(arm, period): int(n) for period, n in zip(self._periods, whole, strict=True)}


def _undetermined(equations: np.ndarray, periods: list[str]) -> list[str]:
    """The periods whose count does not follow: their unit vector is no combination of the equations."""
    rank = np.linalg.matrix_rank(equations) if len(equations) else 0
    units = np.eye(len(periods))
    return [
        period
        for period, unit in zip(periods, units, strict=True)
        if np.linalg.matrix_rank(np.vstack([equations, unit])) > rank
    ]


# --- end states and factors ------------------------------------------------------------------


def _end_states(keys: Keys, counting: _Counting, randomized: Mapping[Cell, int]) -> tuple[EndState, ...]:
    states = tuple(_end_state(table, counting) for table in keys.tables("end_states"))
    _refuse_twice((state.name for state in states), keys.at("end_states"))
    _refuse_twice((state.label for state in states), keys.at("end_states"))
    for (arm, period), n in randomized.items():
        counts = {state.name: state.counts[arm, period] for state in states}
        if sum(counts.values()) != n:
            shown = " + ".join(f"{name} {count}" for name, count in counts.items()) or "none"
            raise keys.error(
                "end_states",
                f"in arm {arm}, period {period}, the end states ({shown}) add up to {sum(counts.values())}, "
                f"but {n} were randomized: every patient needs one end state, and one only",
            )
    return states


def _end_state(table: Keys, counting: _Counting) -> EndState:
    table.only("name", "label", "kind", "counts", "contact", "recoverable", "treated")
    kind = table.one_of("kind", KINDS)
    for key, of in (("contact", "alive"), ("recoverable", "left")):
        if key in table and kind != of:
            raise table.error(key, f"has a meaning for kind {of!r} only, and this is {kind!r}: remove it")
    return EndState(
        name=table.name("name"),
        label=table.text("label"),
        kind=kind,
        counts=counting.per_cell(table.table("counts")),
        contact=table.positive("contact") if "contact" in table else None,
        recoverable=table.flag("recoverable"),
        treated=table.flag("treated"),
    )


def _factors(keys: Keys, counting: _Counting, randomized: Mapping[Cell, int]) -> tuple[Factor, ...]:
    factors = tuple(_factor(table, counting, randomized) for table in keys.tables("factors"))
    _refuse_twice((factor.name for factor in factors), keys.at("factors"))
    return factors


def _factor(table: Keys, counting: _Counting, randomized: Mapping[Cell, int]) -> Factor:
    table.only("name", "label", "levels", "counts", "share", "effect", "stratifies")
    levels = table.texts("levels")
    if len(set(levels)) != 2 or len(levels) != 2:
        raise table.error("levels", f"{list(levels)} are not two different levels: give two")
    if ("counts" in table) == ("share" in table):
        raise table.error(
            "counts", "give either counts (of the second level) or share (a prior of it), not both or none"
        )
    return Factor(
        name=table.name("name"),
        label=table.text("label"),
        levels=levels,
        effect=_normal(table.table("effect")),
        counts=counting.part_of(randomized, table.table("counts")) if "counts" in table else None,
        share=_share(table.table("share")) if "share" in table else None,
        share_below=_share_below(table.table("share")) if "share" in table else 1.0,
        stratifies=table.flag("stratifies") if "stratifies" in table else True,
    )


def _normal(table: Keys) -> Normal:
    table.only("mean", "sd")
    return Normal(table.number("mean"), table.positive("sd"))


def _share(table: Keys) -> Normal:
    table.only("centre", "logit_sd", "below")
    centre = table.number("centre")
    if not 0 < centre < 1:
        raise table.error("centre", f"{centre:g} is no share: write one between 0 and 1")
    return Normal(math.log(centre / (1 - centre)), table.positive("logit_sd"))


def _share_below(table: Keys) -> float:
    if "below" not in table:
        return 1.0
    below = table.number("below")
    if not table.number("centre") < below <= 1:
        raise table.error("below", f"{below:g} must lie above centre and be at most 1: correct it")
    return below


# --- end points ------------------------------------------------------------------------------


def _endpoints(keys: Keys, longest_followup: int) -> tuple[Endpoint, ...]:
    endpoints = tuple(_endpoint(table, longest_followup) for table in keys.tables("endpoints"))
    if not endpoints or endpoints[0].event != _DEATH:
        raise keys.error("endpoints", f"the first must be death: put the one with event = {_DEATH!r} first")
    if endpoints[0].visits or endpoints[0].stop or endpoints[0].hastens_death:
        raise keys.error(
            "endpoints", "the first is death, which has no schedule, stop or hastens_death: remove them"
        )
    if sum(endpoint.hastens_death for endpoint in endpoints) > 1:
        raise keys.error("endpoints", "hastens_death is true for several: it can be for one only")
    _refuse_twice((endpoint.paramcd for endpoint in endpoints), keys.at("endpoints"))
    _refuse_twice((endpoint.event for endpoint in endpoints), keys.at("endpoints"))
    return endpoints


def _endpoint(table: Keys, longest_followup: int) -> Endpoint:
    table.only("paramcd", "label", "event", "typical_median", "schedule", "stop", "hastens_death")
    paramcd = table.text("paramcd")
    if not _PARAMCD.fullmatch(paramcd):
        raise table.error(
            "paramcd", f"{paramcd!r} is no ADaM code: use one to eight capital letters or digits"
        )
    return Endpoint(
        paramcd=paramcd,
        label=table.text("label"),
        event=table.text("event"),
        typical_median=table.positive("typical_median"),
        visits=_visits(table, longest_followup),
        stop=Stop(_shares(table.table("stop"))) if "stop" in table else None,
        hastens_death=table.flag("hastens_death"),
    )


def _visits(table: Keys, longest_followup: int) -> tuple[float, ...]:
    """The scheduled days of assessment, up to the first one that nobody's follow-up exceeds.

    Each block goes on from where the one before it ended.
    """
    blocks = table.tables("schedule")
    visits: list[float] = []
    week = 0.0
    for number, block in enumerate(blocks, 1):
        block.only("every_weeks", "until_week")
        every = block.positive("every_weeks")
        if "until_week" in block:
            steps = (block.positive("until_week") - week) / every
            if steps < 1 or not math.isclose(steps, round(steps), abs_tol=1e-9):
                raise block.error(
                    "until_week",
                    f"from week {week:g} on, every {every:g} weeks, there is no assessment in this week: "
                    "name the week of the last one",
                )
        elif number == len(blocks):
            steps = max(1, math.ceil((longest_followup / 7 - week) / every))
        else:
            raise block.error("until_week", "is missing: only the last block may go on without end")
        visits += [7 * (week + step * every) for step in range(1, round(steps) + 1)]
        week += round(steps) * every
    return tuple(visits)


def _shares(table: Keys) -> dict[str, float]:
    shares = {reason: table.positive(reason) for reason in table.names()}
    if not math.isclose(sum(shares.values()), 1, abs_tol=1e-9):
        raise table.error(
            "*", f"the shares {list(shares.values())} add up to {sum(shares.values()):g}: they must give 1"
        )
    return shares


def _late_deaths(keys: Keys) -> tuple:
    if "late_deaths" not in keys:
        return Trial.late_deaths
    rules = keys.raw("late_deaths")
    if not isinstance(rules, list) or not rules:
        raise keys.error("late_deaths", f'{rules!r} is no list of rules: write it as ["count", 168]')
    for rule in rules:
        number = isinstance(rule, int | float) and not isinstance(rule, bool)
        if rule != "count" and not (number and rule > 0):
            raise keys.error("late_deaths", f'{rule!r} is no rule: use "count" or a number of days above 0')
    _refuse_twice(rules, keys.at("late_deaths"))
    return tuple(rules)


# --- targets ---------------------------------------------------------------------------------


def _targets(
    path: Path,
    references: References,
    arms: tuple[Arm, Arm],
    populations: Mapping[str, tuple[str, ...]],
    endpoints: tuple[Endpoint, ...],
    longest_followup: int,
) -> tuple[Target, ...]:
    table = read_text_table(path)
    if tuple(table.columns) != TARGET_COLUMNS:
        raise SpecificationError(
            f"{path}: line 1: the columns are {', '.join(table.columns)}; "
            f"they must be {', '.join(TARGET_COLUMNS)}"
        )
    if table.empty:
        raise SpecificationError(f"{path}: line 2: there is no target: write one row per printed statistic")
    known = {
        "paramcd": [endpoint.paramcd for endpoint in endpoints],
        "population": list(populations),
        "arm": [*(arm.name for arm in arms), ALL_ARMS],
        "statistic": STATISTICS,
        "role": ROLES,
    }
    targets = []
    for line, row in enumerate(table.to_dict("records"), 2):
        targets.append(_target(row, f"{path}: line {line}", known, references))
    _refuse_twice((target.claim_id for target in targets), f"{path}: claim_id")
    _refuse_disorder(targets, str(path))
    _refuse_beyond_followup(targets, longest_followup, str(path))
    return tuple(targets)


def _refuse_disorder(targets: Iterable[Target], where: str) -> None:
    """An estimate lies between its limits; a search for anything else would not end."""
    analyses: dict[tuple[str, str, str], dict[str, Target]] = {}
    for target in targets:
        key = (target.paramcd, target.population, target.arm)
        analyses.setdefault(key, {})[target.statistic] = target
    for found in analyses.values():
        for statistics in IN_ORDER:
            present = [found[statistic] for statistic in statistics if statistic in found]
            for lower, upper in pairwise(present):
                if lower.low >= upper.high:
                    raise SpecificationError(
                        f"{where}: {lower.claim_id} ({lower.printed}) lies above {upper.claim_id} "
                        f"({upper.printed}): a {lower.statistic} cannot be above its {upper.statistic}"
                    )


def _refuse_beyond_followup(targets: Iterable[Target], longest_followup: int, where: str) -> None:
    """A median is one of the times observed, and these are whole days up to the cutoff."""
    for target in targets:
        if target.statistic in MEDIANS and target.low * DAYS_PER_MONTH > longest_followup:
            longest = f"{longest_followup / DAYS_PER_MONTH:.1f}"
            raise SpecificationError(
                f"{where}: {target.claim_id} is printed as {target.printed} months, but nobody is followed "
                f"for more than {longest}: correct it, or the dates of the trial"
            )


def _target(
    row: Mapping[str, str], where: str, known: Mapping[str, Iterable[str]], references: References
) -> Target:
    if row["claim_id"].lstrip().startswith("#"):
        raise SpecificationError(f"{where}: a table has no comments: delete the line, or use `definition`")
    for column, words in known.items():
        if row[column] not in words:
            raise SpecificationError(
                f"{where}: {column} {row[column]!r} is unknown: {nearest(row[column], words)}"
            )
    if not row["definition"].strip():
        raise SpecificationError(f"{where}: definition is empty: say in words what the number is")
    _check_arm(row, where)
    _check_role(row, where)
    statistic = row["statistic"]
    level = _cell(row, "level", statistic in WITH_LEVEL, where, references)
    if level is not None and not 50 <= level < 100:
        raise SpecificationError(
            f"{where}: level {row['level']!r} is no confidence level in percent: write it as 95"
        )
    at = _cell(row, "at", statistic == "survival", where, references)
    printed = _characters(row["claim_id"], statistic, where, references)
    low, high = _values_printed_as(printed)
    return Target(
        claim_id=row["claim_id"],
        paramcd=row["paramcd"],
        population=row["population"],
        arm=row["arm"],
        statistic=statistic,
        printed=printed,
        low=low,
        high=high,
        level=Target.level if level is None else float(level / 100),
        at=None if at is None else float(at),
        role=row["role"],
    )


def _check_role(row: Mapping[str, str], where: str) -> None:
    if row["statistic"] == "p_value" and row["role"] != "derived":
        raise SpecificationError(
            f"{where}: role {row['role']!r}: a p_value is confirmed and not searched for: write derived"
        )


def _check_arm(row: Mapping[str, str], where: str) -> None:
    statistic, arm = row["statistic"], row["arm"]
    if statistic in COMPARISONS and arm != ALL_ARMS:
        raise SpecificationError(f"{where}: arm {arm!r}: a {statistic} compares both arms: write {ALL_ARMS}")
    if statistic not in COMPARISONS | OF_ANY_ARM and arm == ALL_ARMS:
        raise SpecificationError(f"{where}: arm {arm!r}: a {statistic} is of one arm: write the arm's name")


def _cell(
    row: Mapping[str, str], column: str, needed: bool, where: str, references: References
) -> Fraction | None:
    """The number in a cell that some statistics need and the others must leave empty."""
    text = row[column].strip()
    if bool(text) != needed:
        problem, remedy = (
            ("is missing", "write it") if needed else (f"{text!r} has no meaning", "leave it empty")
        )
        raise SpecificationError(f"{where}: {column} {problem} for {row['statistic']}: {remedy}")
    if not needed:
        return None
    try:
        literal: object = float(text)
    except ValueError:
        literal = text
    return references.number(literal, f"{where}: {column}")


def _characters(claim_id: str, statistic: str, where: str, references: References) -> str:
    """The printed characters; a survival in per cent becomes the share with two more decimals."""
    printed = references.printed(CLAIM, claim_id, f"{where}: claim_id")
    try:
        if statistic == "survival" and printed.endswith("%"):
            percent = parse(printed.removesuffix("%"))
            return percent.sign + as_printed(percent.value / 100, percent.decimals + 2)
        number = parse(printed)
    except UnreadableNumber as error:
        raise SpecificationError(f"{where}: claim_id: printed {error}") from None
    if statistic == "survival" and number.value > 1:
        raise SpecificationError(
            f"{where}: printed {printed!r} is no survival: "
            "write a share (0.42) or add the per cent sign (42%) in the file of numbers"
        )
    return printed


def _values_printed_as(characters: str) -> tuple[float, float]:
    """The interval of values that print as these characters, its lower end included, its upper not.

    Everything is rounded half up; that of a count then holds the one whole number. The end that
    a sign leaves open (`>`) or closes (`≤`) moves by the least step of a float.
    """
    interval = parse(characters).interval(exact=False)
    low = 0.0 if interval.low is None else float(interval.low)
    high = math.inf if interval.high is None else float(interval.high)
    if interval.low_open:
        low = math.nextafter(low, math.inf)
    if interval.high is not None and not interval.high_open:
        high = math.nextafter(high, math.inf)
    return low, high


# --- a small tool -----------------------------------------------------------------------------


def _refuse_twice(names: Iterable, where: str) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise SpecificationError(f"{where}: {name!r} stands twice: each needs a name of its own")
        seen.add(name)
