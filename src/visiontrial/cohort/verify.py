"""The judge of a reconstructed cohort: stored rows against everything the specification says.

It reads ADSL and ADTTE as they are stored and knows nothing of the search that made them: no
kernel, no model, no chain. Medians, follow-up and hazard ratios are lifelines', the stratified
log-rank test is statsmodels' (`visiontrial.survival`).

`structure` lists the broken rules of counts, dates and order; `statistics` sets each printed
statistic beside ours; `verify` raises `CohortRejected` with all of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property

import numpy as np
import pandas as pd

from visiontrial import printed, survival
from visiontrial.cohort.specification import (
    DAYS_PER_MONTH,
    Cell,
    Endpoint,
    Target,
    Trial,
    factor_column,
    population_flag,
)

EDGE = 1e-9
"""Closer than this to the end of a rounding interval, double precision does not decide the printed digit."""

OFF_SCHEDULE_DAYS = 35
SHOWN = 5

ADSL_COLUMNS = (
    "USUBJID", "TRT01P", "TRT01PN", "PERIOD", "RANDDT", "EOSSTT", "UNTRTFL", "LSTALVDT", "DTHDT",
)  # fmt: skip
ADTTE_COLUMNS = ("USUBJID", "PARAMCD", "AVAL", "CNSR", "EVNTDESC", "ADT")


class CohortRejected(ValueError):
    """Stored rows break a rule of the specification or disagree with a printed statistic."""


class ContradictoryTarget(ValueError):
    """A target's interval and its printed characters do not mean the same numbers."""


def verify(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> pd.DataFrame:
    """The table of `statistics` of a cohort in which everything agrees.

    Raises `CohortRejected` with every broken rule and every printed statistic, target or
    derived, that the rows do not give. A chain that was not accepted has no rows to judge.
    """
    if adsl is None or adtte is None:
        raise CohortRejected(f"{trial.name}: there are no rows; was the chain accepted?")
    return agreed(Analyses(trial, adsl, adtte))


def agreed(analyses: Analyses) -> pd.DataFrame:
    """`verify` for rows of which more is to be computed: what it fits is kept in `analyses`."""
    trial = analyses.trial
    objections = structure(trial, analyses.adsl, analyses.adtte)
    table = None
    try:
        table = _statistics(analyses)
        objections += [_disagreement(row) for row in table[~table["agrees"]].itertuples()]
    except (KeyError, survival.UnusableOutcomes) as error:
        objections.append(f"the statistics cannot be computed: {error}")
    if objections:
        listed = "\n".join(f"- {objection}" for objection in objections)
        raise CohortRejected(f"{trial.name}: the cohort is rejected for {len(objections)} reasons:\n{listed}")
    return table


def _disagreement(row) -> str:
    ours = f"{row.statistic} is {row.value:.6g}"
    return f"{row.claim_id}: {ours}, which does not print as {row.printed} ({row.role})"


# --- statistics ---------------------------------------------------------------------------------


class Analyses:
    """The rows of one cohort, cut into the outcomes of one end point in one population.

    What is computed is kept: a paper prints several numbers of the same curve and model.
    """

    def __init__(self, trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> None:
        self.trial = trial
        self.adsl = adsl
        self.adtte = adtte
        self.outcomes = cache(self._outcomes)
        self.curve = cache(self._curve)
        self.hazard_ratio = cache(lambda *key: survival.cox(self.outcomes(*key)))

    @cached_property
    def _patients(self) -> pd.DataFrame:
        return self.adsl.set_index("USUBJID")

    @cached_property
    def _times(self) -> dict[str, pd.DataFrame]:
        return dict(tuple(self.adtte.set_index("USUBJID").groupby("PARAMCD")))

    def _outcomes(self, paramcd: str, population: str) -> survival.Outcomes:
        """Outcomes in a population, in strata by the combination of the factors that stratify."""
        if paramcd not in self._times:
            has = sorted(self._times)
            raise survival.UnusableOutcomes(f"ADTTE has no rows of {paramcd}; it has {has}")
        chosen = self._patients.loc[in_population(self.trial, self._patients, population)]
        rows = chosen.join(self._times[paramcd], how="inner")
        factors = [factor_column(factor.name) for factor in self.trial.factors if factor.stratifies]
        return survival.outcomes_of(rows, stratum=factors)

    def _curve(self, paramcd: str, population: str, arm: str, level: float = 0.95, reverse: bool = False):
        """Kaplan-Meier curve of an arm, or of all patients where `arm` names none."""
        data = self.of_arm(paramcd, population, arm)
        return survival.kaplan_meier(data.reversed() if reverse else data, level=level)

    def of_arm(self, paramcd: str, population: str, arm: str) -> survival.Outcomes:
        """The outcomes of an arm, or of all patients where `arm` names none."""
        data = self.outcomes(paramcd, population)
        names = [a.name for a in self.trial.arms]
        return data.of_arm(names.index(arm)) if arm in names else data

    def days_to_cutoff(self, population: str, arm: str) -> np.ndarray:
        """Days from randomization to the data cutoff, both included, of each patient."""
        chosen = in_population(self.trial, self.adsl, population)
        label = {a.name: a.label for a in self.trial.arms}.get(arm)
        if label is not None:
            chosen &= self.adsl["TRT01P"] == label
        randomized = pd.to_datetime(self.adsl.loc[chosen, "RANDDT"])
        return (pd.Timestamp(self.trial.cutoff) - randomized).dt.days.to_numpy() + 1


def in_population(trial: Trial, adsl: pd.DataFrame, population: str) -> pd.Series:
    """Which patients are flagged as members of a population."""
    return adsl[population_flag(trial, population)] == "Y"


def statistics(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> pd.DataFrame:
    """Every printed statistic, recomputed from the stored rows.

    One row per target: `claim_id`, `statistic`, `value` (not rounded; times in months),
    `printed`, `agrees`, `role`. A value agrees when it lies in the target's rounding interval;
    that this is what the printed characters mean is checked on the way (`ContradictoryTarget`).
    """
    return _statistics(Analyses(trial, adsl, adtte))


def _statistics(analyses: Analyses) -> pd.DataFrame:
    rows = []
    for target in analyses.trial.targets:
        value = _STATISTICS[target.statistic](analyses, target)
        agrees = _agrees(target, value)
        rows.append((target.claim_id, target.statistic, value, target.printed, agrees, target.role))
    columns = ["claim_id", "statistic", "value", "printed", "agrees", "role"]
    return pd.DataFrame(rows, columns=columns).astype({"agrees": bool, "value": float})


def _agrees(target: Target, value: float) -> bool:
    inside = target.low <= value < target.high
    decided = math.isfinite(value) and min(abs(value - target.low), abs(value - target.high)) > EDGE
    if decided and printed.prints_as(value, target.printed) != inside:
        raise ContradictoryTarget(
            f"{target.claim_id}: {value!r} is {'in' if inside else 'out'}side [{target.low}, {target.high}), "
            f"yet {target.printed!r} says otherwise: correct the target's interval"
        )
    return inside


def _median(part: str, *, reverse: bool = False) -> Callable[[Analyses, Target], float]:
    def statistic(analyses: Analyses, target: Target) -> float:
        curve = analyses.curve(target.paramcd, target.population, target.arm, target.level, reverse)
        return getattr(curve.median(), part) / DAYS_PER_MONTH

    return statistic


def _limit(which: int) -> Callable[[Analyses, Target], float]:
    return lambda analyses, t: analyses.hazard_ratio(t.paramcd, t.population).limits(t.level)[which]


def _survival(analyses: Analyses, target: Target) -> float:
    return analyses.curve(target.paramcd, target.population, target.arm).at(target.at * DAYS_PER_MONTH)


_STATISTICS: Mapping[str, Callable[[Analyses, Target], float]] = {
    "median": _median("median"),
    "median_low": _median("low"),
    "median_high": _median("high"),
    "followup": _median("median", reverse=True),
    "followup_low": _median("low", reverse=True),
    "followup_high": _median("high", reverse=True),
    "hazard_ratio": lambda analyses, t: analyses.hazard_ratio(t.paramcd, t.population).ratio,
    "ci_low": _limit(0),
    "ci_high": _limit(1),
    "p_value": lambda analyses, t: survival.log_rank(analyses.outcomes(t.paramcd, t.population)).p_value,
    "time_to_cutoff": lambda analyses, t: float(
        np.median(analyses.days_to_cutoff(t.population, t.arm)) / DAYS_PER_MONTH
    ),
    "events": lambda analyses, t: int(analyses.of_arm(t.paramcd, t.population, t.arm).event.sum()),
    "survival": _survival,
}


# --- structure ----------------------------------------------------------------------------------


def structure(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> list[str]:
    """The rules of the specification that the rows break, one sentence each; empty when none is."""
    missing = list(_missing_columns(trial, adsl, adtte))
    if missing:
        return missing  # nothing else can be judged
    objections = [*_identity(trial, adsl), *_counts(trial, adsl), *_patient_dates(trial, adsl)]
    objections += _pairing(trial, adsl, adtte)
    if objections and not _joinable(adsl, adtte):
        return objections
    return [*objections, *_times(trial, adsl, adtte)]


def _missing_columns(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> Iterator[str]:
    flags = [population_flag(trial, population) for population in trial.populations]
    factors = [factor_column(factor.name) for factor in trial.factors]
    for name, frame, columns in (
        ("ADSL", adsl, [*ADSL_COLUMNS, *flags, *factors]),
        ("ADTTE", adtte, ADTTE_COLUMNS),
    ):
        for column in columns:
            if column not in frame:
                yield f"{name} has no column {column}"


def _identity(trial: Trial, adsl: pd.DataFrame) -> Iterator[str]:
    """Who the patients are: names, arms, periods, flags, levels, end states."""
    if len(adsl) != trial.size:
        yield f"ADSL has {len(adsl)} patients, the trial {trial.size}"
    if adsl["USUBJID"].duplicated().any():
        yield _offenders("USUBJID is not unique", adsl, adsl["USUBJID"].duplicated())
    yield from _broken(
        "USUBJID does not say that the patient is synthetic", adsl,
        ~adsl["USUBJID"].astype(str).str.fullmatch(trial.identifier + r"-\d+"),
    )  # fmt: skip
    numbers = {arm.label: number for number, arm in enumerate(trial.arms)}
    yield from _unknown(adsl, "TRT01P", numbers)
    yield from _broken(
        "TRT01PN is not the number of TRT01P", adsl, adsl["TRT01PN"] != adsl["TRT01P"].map(numbers)
    )
    yield from _unknown(adsl, "PERIOD", [period.name for period in trial.periods])
    yield from _unknown(adsl, "EOSSTT", [state.label for state in trial.end_states])
    yield from _unknown(adsl, "UNTRTFL", ("Y", "N"))
    for factor in trial.factors:
        yield from _unknown(adsl, factor_column(factor.name), factor.levels)
    for population, periods in trial.populations.items():
        flag = population_flag(trial, population)
        expected = np.where(adsl["PERIOD"].isin(periods), "Y", "N")
        yield from _broken(f"{flag} does not follow from PERIOD", adsl, adsl[flag] != expected)


def _counts(trial: Trial, adsl: pd.DataFrame) -> Iterator[str]:
    """Everything that is counted per cell."""
    yield from _miscounted(trial, adsl, "patients", np.ones(len(adsl), bool), trial.randomized)
    for state in trial.end_states:
        yield from _miscounted(trial, adsl, state.label, adsl["EOSSTT"] == state.label, state.counts)
    if trial.untreated is not None:
        yield from _miscounted(trial, adsl, "untreated", adsl["UNTRTFL"] == "Y", trial.untreated)
    for factor in trial.factors:
        second = adsl[factor_column(factor.name)] == factor.levels[1]
        if factor.counts is not None:
            yield from _miscounted(trial, adsl, f"{factor.label} {factor.levels[1]}", second, factor.counts)
        else:
            yield from _uneven(factor.label, adsl, second)


def _uneven(what: str, adsl: pd.DataFrame, counted: pd.Series) -> Iterator[str]:
    """A factor of unknown counts has one share in all cells, up to the rounding to whole patients."""
    cells = counted.groupby([adsl["TRT01P"], adsl["PERIOD"]]).agg(["sum", "size"])
    lowest, highest = ((cells["sum"] + half) / cells["size"] for half in (-0.5, 0.5))
    if lowest.max() > highest.min() + EDGE:
        yield f"{what}: the shares of the cells differ by more than rounding ({cells['sum'].tolist()})"


def _miscounted(
    trial: Trial, adsl: pd.DataFrame, what: str, counted, expected: Mapping[Cell, int]
) -> Iterator[str]:
    found = adsl[np.asarray(counted)].groupby(["TRT01P", "PERIOD"]).size()
    labels = {arm.name: arm.label for arm in trial.arms}
    for arm, period in trial.cells:
        has, wanted = int(found.get((labels[arm], period), 0)), expected.get((arm, period), 0)
        if has != wanted:
            yield f"{what}, arm {arm}, period {period}: {has} patients instead of {wanted}"


def _patient_dates(trial: Trial, adsl: pd.DataFrame) -> Iterator[str]:
    """Dates of randomization, last contact and death."""
    randomized, alive, died = (pd.to_datetime(adsl[c]) for c in ("RANDDT", "LSTALVDT", "DTHDT"))
    cutoff = pd.Timestamp(trial.cutoff)
    for period in trial.periods:
        inside = randomized.between(pd.Timestamp(period.first), pd.Timestamp(period.last))
        outside = (adsl["PERIOD"] == period.name) & ~inside
        yield from _broken(f"RANDDT is not within {period.first} to {period.last}", adsl, outside)
    ends = min(period.first for period in trial.periods), max(period.last for period in trial.periods)
    for which, day, found in zip(("first", "last"), ends, (randomized.min(), randomized.max()), strict=True):
        if found != pd.Timestamp(day):
            has = f"the {which} RANDDT is {found:%Y-%m-%d}"
            yield f"nobody is randomized on the trial's {which} day, {day}: {has}"
    yield from _broken("LSTALVDT is missing", adsl, alive.isna())
    yield from _broken("LSTALVDT is before RANDDT", adsl, alive < randomized)
    yield from _broken("LSTALVDT is after the cutoff", adsl, alive > cutoff)
    yield from _broken("LSTALVDT is after DTHDT", adsl, alive > died)
    yield from _broken("DTHDT is before RANDDT", adsl, died < randomized)
    yield from _broken("DTHDT is after the cutoff", adsl, died > cutoff)
    for state in trial.end_states:
        mine = adsl["EOSSTT"] == state.label
        if state.kind == "died":
            yield from _broken(f"no DTHDT, though EOSSTT is {state.label!r}", adsl, mine & died.isna())
        elif not state.recoverable:
            yield from _broken(f"a DTHDT, though EOSSTT is {state.label!r}", adsl, mine & died.notna())


def _pairing(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> Iterator[str]:
    """One row per patient and end point, complete and readable."""
    endpoints = [endpoint.paramcd for endpoint in trial.endpoints]
    yield from _unknown(adtte, "PARAMCD", endpoints)
    twice = adtte.duplicated(["USUBJID", "PARAMCD"])
    yield from _broken("there is more than one row of this end point", adtte, twice)
    for paramcd in endpoints:
        rows = adtte[adtte["PARAMCD"] == paramcd]
        absent = ~adsl["USUBJID"].isin(rows["USUBJID"])
        yield from _broken(f"there is no row of {paramcd}", adsl, absent)
        yield from _broken("the patient is not in ADSL", rows, ~rows["USUBJID"].isin(adsl["USUBJID"]))
    yield from _broken("CNSR is neither 0 nor 1", adtte, ~adtte["CNSR"].isin((0, 1)))
    aval = pd.to_numeric(adtte["AVAL"], errors="coerce")
    yield from _broken("AVAL is not a whole number from 1", adtte, ~((aval >= 1) & (aval % 1 == 0)))
    empty = adtte["EVNTDESC"].isna() | (adtte["EVNTDESC"].astype(str).str.strip() == "")
    yield from _broken("EVNTDESC gives no reason", adtte, empty)


def _joinable(adsl: pd.DataFrame, adtte: pd.DataFrame) -> bool:
    return not (adsl["USUBJID"].duplicated().any() or adtte.duplicated(["USUBJID", "PARAMCD"]).any())


def _times(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> Iterator[str]:
    """Dates and order of what happened to each patient, end point by end point."""
    rows = adtte.merge(adsl.drop(columns=["AVAL", "CNSR"], errors="ignore"), on="USUBJID", how="inner")
    for column in ("ADT", "RANDDT", "DTHDT", "LSTALVDT"):
        rows[column] = pd.to_datetime(rows[column])
    counted = rows["RANDDT"] + pd.to_timedelta(rows["AVAL"] - 1, unit="D")
    yield from _broken("ADT is not RANDDT + AVAL - 1", rows, rows["ADT"] != counted)
    yield from _broken("ADT is after the cutoff", rows, rows["ADT"] > pd.Timestamp(trial.cutoff))
    death, *others = trial.endpoints
    overall = rows[rows["PARAMCD"] == death.paramcd]
    yield from _overall_survival(overall, death)
    until = overall.set_index("USUBJID")["ADT"]
    for endpoint in others:
        yield from _other_endpoint(rows[rows["PARAMCD"] == endpoint.paramcd], endpoint, death, until)


def _overall_survival(rows: pd.DataFrame, death: Endpoint) -> Iterator[str]:
    event = rows["CNSR"] == 0
    name = death.paramcd
    yield from _broken(f"{name} is an event, but there is no DTHDT", rows, event & rows["DTHDT"].isna())
    yield from _broken(f"{name} is censored, but there is a DTHDT", rows, ~event & rows["DTHDT"].notna())
    late = event & rows["DTHDT"].notna() & (rows["ADT"] != rows["DTHDT"])
    yield from _broken(f"{name} is an event on another day than DTHDT", rows, late)
    yield from _broken(
        f"{name} is an event, but not by {death.event!r}", rows, event & (rows["EVNTDESC"] != death.event)
    )
    elsewhere = ~event & (rows["ADT"] != rows["LSTALVDT"])
    yield from _broken(f"{name} is censored on another day than LSTALVDT", rows, elsewhere)


def _other_endpoint(
    rows: pd.DataFrame, endpoint: Endpoint, death: Endpoint, until: pd.Series
) -> Iterator[str]:
    name = endpoint.paramcd
    event = rows["CNSR"] == 0
    by_death = event & (rows["EVNTDESC"] == death.event)
    yield from _broken(
        f"{name} by death on another day than DTHDT", rows, by_death & (rows["ADT"] != rows["DTHDT"])
    )
    unknown = event & ~rows["EVNTDESC"].isin((endpoint.event, death.event))
    yield from _broken(f"{name} is an event by neither {endpoint.event!r} nor {death.event!r}", rows, unknown)
    named = ~event & rows["EVNTDESC"].isin((endpoint.event, death.event))
    yield from _broken(f"{name} is censored for a reason that is an event", rows, named)
    after = rows["ADT"] > rows["USUBJID"].map(until)
    yield from _broken(f"{name} lies after the day of {death.paramcd}", rows, after)


def off_schedule(
    trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame, within: int = OFF_SCHEDULE_DAYS
) -> pd.DataFrame:
    """Events found more than `within` days from the nearest scheduled visit: for a report, not an objection.

    One row each: `USUBJID`, `PARAMCD`, `AVAL`, `visit` (the nearest scheduled day), `distance`.
    Real visits are late; a cohort without any such row would be as odd as one with many.
    """
    found = []
    for endpoint in trial.endpoints:
        if not endpoint.visits:
            continue
        mine = (adtte["PARAMCD"] == endpoint.paramcd) & (adtte["CNSR"] == 0)
        rows = adtte.loc[mine & (adtte["EVNTDESC"] == endpoint.event), ["USUBJID", "PARAMCD", "AVAL"]]
        visits = np.asarray(endpoint.visits, float)
        apart = np.abs(rows["AVAL"].to_numpy()[:, None] - visits[None, :])
        found.append(rows.assign(visit=visits[apart.argmin(axis=1)], distance=apart.min(axis=1)))
    columns = ["USUBJID", "PARAMCD", "AVAL", "visit", "distance"]
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)
    return table[(table["distance"] > within) & table["USUBJID"].isin(adsl["USUBJID"])].reset_index(drop=True)


def _unknown(frame: pd.DataFrame, column: str, known: Iterable) -> Iterator[str]:
    known = list(known)
    wrong = ~frame[column].isin(known)
    if wrong.any():
        yield _offenders(f"{column} {frame.loc[wrong, column].iloc[0]!r} is none of {known}", frame, wrong)


def _broken(rule: str, frame: pd.DataFrame, wrong: pd.Series) -> Iterator[str]:
    if wrong.any():
        yield _offenders(rule, frame, wrong)


def _offenders(rule: str, frame: pd.DataFrame, wrong: pd.Series) -> str:
    names = frame.loc[wrong, "USUBJID"].astype(str).tolist()
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{rule}: {', '.join(names[:SHOWN])}{more}"
