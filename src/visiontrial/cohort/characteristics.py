"""Baseline characteristics for reconstructed patients, and a reason for each who was never treated.

`characterize` adds columns that agree exactly with the printed baseline table, by arm and
population; `tabulate` counts the rows again and holds them against what is printed.

The rows of a baseline table are margins: they say nothing of how characteristics go together, or
with outcome. So they are drawn independently of each other given arm and period, but for the
stratification factors, which the patients already have, and for plain logic that
`characteristics.toml` states (one taxane regimen is not two taxanes; metastatic disease is
somewhere; nobody was diagnosed as a child). Nothing about subgroups, correlations or prognosis
can be read off these columns, and a subgroup analysis on them would show chance alone.

Missing values: a table can force them. A median that ends in a half is none of an odd number of
whole values, so at least one value is missing there. `missing = true` in the file says that the paper
speaks of missing values: then at least one is missing in the trial, and as few as all printed
medians allow; who it is, is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from visiontrial.cohort.characteristics_file import (
    UNTREATED,
    Category,
    Characteristics,
    Claim,
    Condition,
    Level,
    Measure,
    Reason,
)
from visiontrial.cohort.order_statistics import Group, NoSuchValues, Summary, draw, middle
from visiontrial.cohort.specification import Cell, Trial, population_flag
from visiontrial.printed import as_printed, parse, prints_as

MOST_MISSING = 4
"""No more values of one measure are left out in order to make its medians possible."""


class CharacteristicsError(ValueError):
    """These patients cannot be given the printed characteristics; the message says which, where and why."""


def characterize(
    adsl: pd.DataFrame, trial: Trial, characteristics: Characteristics, generator: np.random.Generator
) -> pd.DataFrame:
    """The same patients with a column for every characteristic, in the order of `characteristics.labels`.

    adsl    one row per patient, with TRT01PN, PERIOD, the factors' columns, UNTRTFL, EOSSTT,
            RANDDT, DTHDT and LSTALVDT; not changed

    Categories and reasons are text, the reason empty where the patient was treated. Measures have
    the declared decimals: whole numbers are `int64` (`Int64` where some may be missing), others
    `float64`. The same generator state gives the same rows.

    Raises `CharacteristicsError` where the patients' factors, end states or numbers cannot go
    together with what is printed.
    """
    frame = adsl.reset_index(drop=True)
    cells = _cells(frame, trial)
    for category in characteristics.categories:
        frame[category.column] = _category(category, frame, trial, cells, generator)
    for measure in characteristics.measures:
        frame[measure.column] = _measure(measure, frame, trial, cells, generator)
    if characteristics.reasons_column:
        frame[characteristics.reasons_column] = _reasons(
            characteristics.reasons, frame, trial, cells, generator
        )
    return frame.set_index(adsl.index)


def tabulate(adsl: pd.DataFrame, trial: Trial, characteristics: Characteristics) -> pd.DataFrame:
    """Everything the file names, counted again from the rows: `claim_id`, `printed`, `ours`, `agrees`.

    Counts from the flags of the populations and the labels of the arms, and knows nothing of how
    the rows were made. `ours` is printed with the paper's decimals; it is empty where no row
    has a value.
    """
    labels = {arm.name: arm.label for arm in trial.arms}
    in_set = {(p, None): adsl[adsl[population_flag(trial, p)] == "Y"] for p in trial.populations}
    for population in trial.populations:
        rows = in_set[population, None]
        in_set |= {(population, name): rows[rows["TRT01P"] == label] for name, label in labels.items()}
    lines = []
    for claim in characteristics.claims:
        value = _recomputed(claim, in_set[claim.population, claim.arm])
        known = not pd.isna(value)
        lines.append(
            {
                "claim_id": claim.claim_id,
                "printed": claim.printed,
                "ours": as_printed(value, parse(claim.printed).decimals) if known else "",
                "agrees": known and prints_as(value, claim.printed),
            }
        )
    return pd.DataFrame(lines, columns=["claim_id", "printed", "ours", "agrees"])


def _recomputed(claim: Claim, rows: pd.DataFrame) -> float | int:
    if claim.statistic in ("count", "percent"):
        count = int((rows[claim.column] == claim.value).sum()) if claim.column else len(rows)
        if claim.statistic == "count":
            return count
        return 100 * count / len(rows) if len(rows) else np.nan
    values = rows[claim.column].dropna().astype(float)
    return {"median": values.median, "range_low": values.min, "range_high": values.max}[claim.statistic]()


# --- patients by cell -------------------------------------------------------------------------


def _cells(frame: pd.DataFrame, trial: Trial) -> dict[Cell, np.ndarray]:
    """The positions of each cell's patients; there must be as many as were randomized."""
    cells = {}
    for number, arm in enumerate(trial.arms):
        for period in trial.periods:
            cell = (arm.name, period.name)
            found = np.flatnonzero((frame["TRT01PN"] == number) & (frame["PERIOD"] == period.name))
            if len(found) != trial.randomized[cell]:
                raise CharacteristicsError(
                    f"{len(found)} rows in {_said(cell)}, of {trial.randomized[cell]} randomized: "
                    "give the ADSL of a whole cohort of this trial"
                )
            cells[cell] = found
    return cells


def _said(cell: Cell) -> str:
    return f"arm {cell[0]}, period {cell[1]}"


def _second_level(factor: str, frame: pd.DataFrame, trial: Trial) -> np.ndarray:
    """Whether each patient has the second level of a stratification factor."""
    levels = next(f.levels for f in trial.factors if f.name == factor)
    column = f"STR{factor.upper()}"
    if column not in frame or not frame[column].isin(levels).all():
        raise CharacteristicsError(
            f"column {column} must hold the levels {list(levels)} of factor {factor}, in every row"
        )
    return (frame[column] == levels[1]).to_numpy()


# --- categories -------------------------------------------------------------------------------


def _category(
    category: Category,
    frame: pd.DataFrame,
    trial: Trial,
    cells: Mapping[Cell, np.ndarray],
    generator: np.random.Generator,
) -> np.ndarray:
    values = np.full(len(frame), "", dtype=object)
    if category.factor:
        values[:] = np.where(
            _second_level(category.factor, frame, trial),
            *(level.value for level in reversed(category.levels)),
        )
        _check_factor(category, values, cells)
    elif category.per_cell:
        for cell, positions in cells.items():
            wanted = {
                level.value: level.counts[cell] for level in category.levels if level.counts is not None
            }
            _fill(values, positions, category, wanted, frame, generator)
    else:
        wanted = {level.value: level.total for level in category.levels if level.total is not None}
        _fill(values, np.arange(len(frame)), category, wanted, frame, generator)
    return values


def _check_factor(category: Category, values: np.ndarray, cells: Mapping[Cell, np.ndarray]) -> None:
    for level in category.levels:
        for cell, positions in cells.items() if level.counts is not None else ():
            found = int((values[positions] == level.value).sum())
            if found != level.counts[cell]:
                raise CharacteristicsError(
                    f"{category.column}: {found} patients with {level.value!r} by factor {category.factor} "
                    f"in {_said(cell)}, but {level.counts[cell]} are printed: correct the factor's counts"
                )


def _fill(
    values: np.ndarray,
    positions: np.ndarray,
    category: Category,
    wanted: Mapping[str, int],
    frame: pd.DataFrame,
    generator: np.random.Generator,
) -> None:
    """Give each level its number of the patients who are still without one; the others get what is left."""
    free = positions
    for level in category.levels:
        if level.value not in wanted:
            values[free] = level.value  # for the time being: the levels after this one take theirs
            continue
        chosen = _chosen(level, wanted[level.value], free, category.column, frame, generator)
        values[chosen] = level.value
        free = np.setdiff1d(free, chosen)


def _chosen(
    level: Level,
    number: int,
    free: np.ndarray,
    column: str,
    frame: pd.DataFrame,
    generator: np.random.Generator,
) -> np.ndarray:
    candidates = generator.permutation(free)
    if level.never:
        candidates = candidates[~_satisfied(level.never, frame, candidates, column)]
    if level.first:
        candidates = candidates[
            np.argsort(~_satisfied(level.first, frame, candidates, column), kind="stable")
        ]
    if len(candidates) < number:
        raise CharacteristicsError(
            f"{column}: {number} patients need {level.value!r}, and only {len(candidates)} can have it "
            f"(never = {dict(level.never)}): relax the condition"
        )
    return candidates[:number]


def _satisfied(condition: Condition, frame: pd.DataFrame, positions: np.ndarray, column: str) -> np.ndarray:
    met = np.ones(len(positions), dtype=bool)
    for other, values in condition.items():
        if other not in frame:
            raise CharacteristicsError(
                f"{column}: a condition speaks of {other}, which no patient has yet: "
                f"describe it before {column}"
            )
        met &= frame[other].isin(values).to_numpy()[positions]
    return met


# --- measures ---------------------------------------------------------------------------------


def _measure(
    measure: Measure,
    frame: pd.DataFrame,
    trial: Trial,
    cells: Mapping[Cell, np.ndarray],
    generator: np.random.Generator,
) -> pd.Series:
    missing = _missing(measure, trial, generator)
    present = {
        cell: generator.permutation(positions)[missing.get(cell, 0) :] for cell, positions in cells.items()
    }
    values = np.full(len(frame), np.nan)
    above = _second_level(measure.factor, frame, trial) if measure.factor else None
    for arm in trial.arms:
        groups = list(_groups(measure, arm.name, trial, present, above))
        try:
            drawn = draw(
                [group for _, _, group in groups],
                list(_summaries(measure, arm.name, trial, [period for period, _, _ in groups])),
                measure.decimals,
                measure.scale,
                generator,
            )
        except NoSuchValues as error:
            raise CharacteristicsError(f"{measure.column}, arm {arm.name}: {error}") from error
        for (_, positions, _), found in zip(groups, drawn, strict=True):
            values[positions] = (
                _below(measure, found, frame, positions, generator) if measure.below else found
            )
    series = pd.Series(values)
    if measure.decimals:
        return series
    return series.astype("Int64" if measure.missing else "int64")


def _missing(measure: Measure, trial: Trial, generator: np.random.Generator) -> dict[Cell, int]:
    """Values missing per cell: the fewest that make every median possible, drawn among equals."""
    if not measure.missing:
        return {}
    for number in range(1, MOST_MISSING + 1):
        possible = [
            absent
            for chosen in combinations_with_replacement(trial.cells, number)
            if _medians_exist(measure, trial, absent := {cell: chosen.count(cell) for cell in chosen})
        ]
        if possible:
            return possible[generator.integers(len(possible))]
    raise CharacteristicsError(
        f"{measure.column}: with up to {MOST_MISSING} values missing the printed medians are not possible "
        f"with {measure.decimals} decimals: correct the medians or the decimals"
    )


def _medians_exist(measure: Measure, trial: Trial, absent: Mapping[Cell, int]) -> bool:
    for (arm, population), (median, _, _) in measure.spreads.items():
        cells = [(arm, period) for period in trial.populations[population]]
        n = sum(trial.randomized[cell] - absent.get(cell, 0) for cell in cells)
        if middle(median, n, measure.decimals) is None:
            return False
    return all(n <= trial.randomized[cell] for cell, n in absent.items())


def _groups(
    measure: Measure,
    arm: str,
    trial: Trial,
    present: Mapping[Cell, np.ndarray],
    above: np.ndarray | None,
) -> Iterator[tuple[str, np.ndarray, Group]]:
    """The patients of one arm who are drawn together: (period, positions, group)."""
    for period in trial.periods:
        positions = present[arm, period.name]
        if above is None:
            yield period.name, positions, Group(len(positions))
        else:
            low, high = positions[~above[positions]], positions[above[positions]]
            yield period.name, low, Group(len(low), at_most=measure.threshold)
            yield period.name, high, Group(len(high), more_than=measure.threshold)


def _summaries(measure: Measure, arm: str, trial: Trial, periods: list[str]) -> Iterator[Summary]:
    for (of_arm, population), printed in measure.spreads.items():
        if of_arm == arm:
            inside = (i for i, period in enumerate(periods) if period in trial.populations[population])
            yield Summary(tuple(inside), *printed)


def _below(
    measure: Measure,
    values: np.ndarray,
    frame: pd.DataFrame,
    positions: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """The same values handed out anew, so that each stays under its patient's other value by the margin.

    The greatest value goes first, to a random patient among those who can have it. Who can have
    a greater value can have a smaller one, so this finds a way if there is one.
    """
    if measure.below not in frame:
        raise CharacteristicsError(
            f"{measure.column}: it stays below {measure.below}, which no patient has yet: describe it earlier"
        )
    room = frame[measure.below].to_numpy(dtype=float, na_value=np.inf)[positions] - measure.by
    by_room = iter(np.argsort(-room, kind="stable"))
    placed = np.empty(len(values))
    waiting: list[int] = []
    upcoming = next(by_room, None)
    for value, chance in zip(np.sort(values)[::-1], generator.random(len(values)), strict=True):
        while upcoming is not None and room[upcoming] >= value:
            waiting.append(int(upcoming))
            upcoming = next(by_room, None)
        if not waiting:
            raise CharacteristicsError(
                f"{measure.column}: nobody is left whose {measure.below} is {measure.by:g} above {value:g}: "
                "lower the margin"
            )
        pick = int(chance * len(waiting))
        waiting[pick], waiting[-1] = waiting[-1], waiting[pick]
        placed[waiting.pop()] = value
    return placed


# --- reasons for no treatment -----------------------------------------------------------------


def _reasons(
    reasons: tuple[Reason, ...],
    frame: pd.DataFrame,
    trial: Trial,
    cells: Mapping[Cell, np.ndarray],
    generator: np.random.Generator,
) -> np.ndarray:
    """A reason for everybody with UNTRTFL "Y", in the order of the file, and "" for the others."""
    values = np.full(len(frame), "", dtype=object)
    untreated = (frame[UNTREATED] == "Y").to_numpy()
    for cell, positions in cells.items():
        free = positions[untreated[positions]]
        needed = sum(reason.counts[cell] for reason in reasons)
        if len(free) != needed:
            raise CharacteristicsError(
                f"{len(free)} never-treated patients in {_said(cell)}, but reasons are printed for {needed}: "
                f"correct {UNTREATED}"
            )
        for reason in reasons:
            candidates = _by_preference(reason, generator.permutation(free), frame, trial)
            if len(candidates) < reason.counts[cell]:
                raise CharacteristicsError(
                    f"{reason.counts[cell]} never-treated patients in {_said(cell)} have the reason "
                    f"{reason.value!r}, and only {len(candidates)} of them died in the trial: "
                    f"choose {UNTREATED} so that enough did"
                )
            chosen = candidates[: reason.counts[cell]]
            values[chosen] = reason.value
            free = np.setdiff1d(free, chosen)
    return values


def _by_preference(reason: Reason, candidates: np.ndarray, frame: pd.DataFrame, trial: Trial) -> np.ndarray:
    """The candidates whom the reason can fit, best first; equals stay in the given order."""
    if not (reason.died or reason.prefer):
        return candidates
    rows = frame[["EOSSTT", "RANDDT", "DTHDT", "LSTALVDT"]].iloc[candidates]
    words = {state.label: (state.name, state.kind) for state in trial.end_states}
    states = [words.get(label, ("", "")) for label in rows["EOSSTT"]]
    if reason.died:
        dead = np.array([kind == "died" for _, kind in states], dtype=bool) & rows["DTHDT"].notna().to_numpy()
        return candidates[dead][np.argsort(_days(rows[dead], "DTHDT"), kind="stable")]
    nobody = len(reason.prefer)
    tier = np.array(
        [min((reason.prefer.index(w) for w in s if w in reason.prefer), default=nobody) for s in states]
    )
    # The end state that fits says when the patient left; that of the others says nothing here.
    day = np.where(tier < nobody, _days(rows, "LSTALVDT"), 0)
    return candidates[np.lexsort((day, tier))]


def _days(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Days from randomization to a date."""
    return (pd.to_datetime(rows[column]) - pd.to_datetime(rows["RANDDT"])).dt.days.to_numpy()
