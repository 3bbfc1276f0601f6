"""Trials whose truth is known, and the little that a paper would print of them.

The engine is judged where the answer can be looked up: a complete two-arm trial is drawn,
its summaries are printed with a paper's few digits, and only these are handed on. Six
families of survival laws stand for what may be true of a trial. One, `piecewise`, has hazards shaped
as the engine's prior has them, with constants of its own; five do not. None is a draw from that
prior: those are in `cohort.from_prior`.

family      law of progression and death                                    dependence
piecewise   random walks of the log hazard and of the log hazard ratio      shared log-normal frailty
weibull     Weibull, proportional hazards                                   Gaussian copula
crossing    Weibull of two shapes: the second arm is worse early, better late  Gaussian copula
delayed     no effect for four to six months, then a hazard ratio near one half  Gaussian copula
cure        20-30% of the second arm neither progress nor die               Gaussian copula
dropout     `weibull`, and 30-50% of the reference arm leave or stop imaging
            within three months                                             Gaussian copula

A copula leaves the laws of progression and death exactly as written, so they can be tested
against their closed forms; it is also another dependence than the engine's.

Everything is a pure function of a numpy `Generator`. Days count from randomization, which is
day 1; what happens at the time `t` in days falls on day `floor(t) + 1`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from scipy import stats

from visiontrial import survival
from visiontrial.cohort import printing
from visiontrial.cohort.specification import (
    DAYS_PER_MONTH,
    Arm,
    Cell,
    Endpoint,
    EndState,
    Factor,
    Normal,
    Period,
    Stop,
    Target,
    Trial,
)

REFERENCE, TREATED = 0, 1
ARMS = (Arm("reference", "Reference"), Arm("treated", "Treated"))
POPULATION = "all"
IDENTIFIER = "SIMULATED"
FIRST_DAY = date(2018, 1, 1)
ENTRY_DAYS = round(16 * DAYS_PER_MONTH)
HORIZON = 2500
"""Days for which laws are tabulated; beyond the longest follow-up that can be drawn."""

EIGHT_WEEKS, TWELVE_WEEKS, WEEK_24 = 56, 84, 168
VISITS = tuple(
    map(float, [*range(EIGHT_WEEKS, WEEK_24, EIGHT_WEEKS), *range(WEEK_24, HORIZON, TWELVE_WEEKS)])
)
VISIT_JITTER = 7
"""A visit is held up to so many days before or after the day it is scheduled for."""

DIED, LEFT, ALIVE = "died", "left", "alive"
STOPPED = "Imaging stopped"
LABELS = {DIED: "Died", LEFT: "Withdrew from the trial", ALIVE: "In follow-up at the cutoff"}

FACTOR_LEVELS = ("Low risk", "High risk")

LATE_DEATHS: tuple[float | Literal["count"], ...] = ("count", 183.0)
"""Rules a trial may have for deaths long after the last assessment; the paper does not say which."""


# --- laws: when would progression and death come, if nothing else happened -------------------------


class Law(Protocol):
    """A joint law of the latent times from randomization to progression and to death."""

    def draw(
        self, rng: np.random.Generator, arm: int, progression: np.ndarray, death: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Times in days, `inf` for never, of patients with these hazards relative to the law's."""


def when(cumulative: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """The times at which a cumulative hazard, tabulated at days 0, 1, 2, ..., reaches these values.

    Linear between days, `inf` where it never does.
    """
    times = np.interp(reached, cumulative, np.arange(cumulative.size))
    return np.where(reached <= cumulative[-1], times, np.inf)


@dataclass(frozen=True)
class SharedFrailty:
    """Hazards multiplied by one log-normal frailty; death hastened after progression.

    `progression` and `death` are cumulative hazards of shape (2 arms, days); `deviation` is the
    standard deviation of the log frailty, `hastening` the log hazard ratio of death after progression.
    """

    progression: np.ndarray
    death: np.ndarray
    deviation: float
    hastening: float

    def draw(self, rng, arm, progression, death):
        size = len(progression)
        frailty = np.exp(self.deviation * rng.standard_normal(size))
        progressed = when(self.progression[arm], rng.exponential(size=size) / (frailty * progression))
        reached = rng.exponential(size=size) / (frailty * death)
        days = np.arange(self.death.shape[1])
        at_progression = np.interp(progressed, days, self.death[arm], right=np.inf)
        hastened = np.maximum(reached - at_progression, 0) / np.exp(self.hastening)
        return progressed, when(self.death[arm], np.minimum(reached, at_progression) + hastened)


@dataclass(frozen=True)
class Copula:
    """Laws of progression and death joined by a Gaussian copula, so that each stays as written.

    `cured` is the share per arm of those who never progress nor die; the cumulative hazards of
    shape (2 arms, days) are those of the others.
    """

    progression: np.ndarray
    death: np.ndarray
    correlation: float
    cured: tuple[float, float] = (0.0, 0.0)

    def draw(self, rng, arm, progression, death):
        size = len(progression)
        covariance = [[1.0, self.correlation], [self.correlation, 1.0]]
        # -log of a uniform variable is exponential; the normal's own tail function keeps the digits.
        reached = -stats.norm.logsf(rng.multivariate_normal([0.0, 0.0], covariance, size))
        immune = rng.random(size) < self.cured[arm]
        progressed = when(self.progression[arm], reached[:, 0] / progression)
        died = when(self.death[arm], reached[:, 1] / death)
        return np.where(immune, np.inf, progressed), np.where(immune, np.inf, died)


def weibull(median: float, shape: float) -> np.ndarray:
    """The cumulative hazard at days 0, 1, ..., `HORIZON` of a Weibull law with this median in months."""
    return np.log(2) * (np.arange(HORIZON + 1) / (median * DAYS_PER_MONTH)) ** shape


def with_delay(cumulative: np.ndarray, months: float, ratio: float) -> np.ndarray:
    """The cumulative hazard of an arm whose hazard ratio is 1 for so many months and `ratio` after."""
    days = np.arange(cumulative.size)
    start = np.interp(months * DAYS_PER_MONTH, days, cumulative)
    return np.minimum(cumulative, start) + ratio * np.maximum(cumulative - start, 0)


def random_walk(rng: np.random.Generator, pieces: int, step: float) -> np.ndarray:
    """A Gaussian random walk of so many pieces that starts at zero."""
    return np.concatenate([[0.0], np.cumsum(rng.normal(0.0, step, pieces - 1))])


PIECES = np.array([0, 60, 120, 180, 270, 360, 540, 720])
"""Days at which the pieces of a piecewise-constant hazard begin, finer where more happens."""


def _piecewise_hazards(rng: np.random.Generator, median: float, effect: float) -> np.ndarray:
    """Cumulative hazards (2, days) of two arms whose log hazards and log hazard ratio are random walks.

    `median`, in months, is that of the constant hazard around which the reference arm's begins;
    `effect` is the log hazard ratio in the first piece. Trend and steps have the sizes that the
    engine holds possible.
    """
    typical = median * DAYS_PER_MONTH
    trend = rng.normal(0.0, 0.4) * np.log((PIECES + 30.0) / typical)
    reference = np.log(np.log(2) / typical) + trend + random_walk(rng, PIECES.size, abs(rng.normal(0.0, 0.3)))
    ratio = effect + random_walk(rng, PIECES.size, abs(rng.normal(0.0, 0.35)))
    lengths = np.diff(PIECES, append=HORIZON)
    daily = np.exp(np.stack([reference, reference + ratio])).repeat(lengths, axis=1)
    return np.concatenate([np.zeros((2, 1)), daily.cumsum(axis=1)], axis=1)


def _medians(rng: np.random.Generator) -> tuple[float, float]:
    """Medians, in months, of progression and of death in the reference arm."""
    return rng.uniform(3, 8), rng.uniform(8, 18)


def _piecewise(rng: np.random.Generator) -> Law:
    progression, death = _medians(rng)
    return SharedFrailty(
        progression=_piecewise_hazards(rng, progression, rng.normal(-0.4, 0.4)),
        # Death is hastened after progression, so its hazard before must be lower for the same median.
        death=_piecewise_hazards(rng, 1.5 * death, rng.normal(-0.3, 0.3)),
        deviation=abs(rng.normal(0.0, 0.6)),
        hastening=rng.normal(0.5, 0.4),
    )


def _two_weibulls(rng: np.random.Generator, second_arm: Callable[[np.ndarray], np.ndarray], **more) -> Copula:
    """Weibull laws in the reference arm, and in the other what `second_arm` makes of them."""
    curves = [weibull(median, rng.uniform(0.9, 1.5)) for median in _medians(rng)]
    progression, death = (np.stack([curve, second_arm(curve)]) for curve in curves)
    return Copula(progression, death, correlation=rng.uniform(0.3, 0.7), **more)


def _weibull(rng: np.random.Generator) -> Law:
    ratio = rng.uniform(0.5, 0.85)
    return _two_weibulls(rng, lambda curve: ratio * curve)


def _crossing(rng: np.random.Generator) -> Law:
    longer = rng.uniform(1.0, 1.4)
    curves = [
        np.stack([weibull(median, rng.uniform(1.3, 1.7)), weibull(median * longer, rng.uniform(0.75, 0.95))])
        for median in _medians(rng)
    ]
    return Copula(*curves, correlation=rng.uniform(0.3, 0.7))


def _delayed(rng: np.random.Generator) -> Law:
    months, ratio = rng.uniform(4, 6), rng.uniform(0.4, 0.6)
    return _two_weibulls(rng, lambda curve: with_delay(curve, months, ratio))


def _cure(rng: np.random.Generator) -> Law:
    ratio = rng.uniform(0.8, 1.0)
    return _two_weibulls(rng, lambda curve: ratio * curve, cured=(0.0, rng.uniform(0.2, 0.3)))


FAMILIES: dict[str, Callable[[np.random.Generator], Law]] = {
    "piecewise": _piecewise,
    "weibull": _weibull,
    "crossing": _crossing,
    "delayed": _delayed,
    "cure": _cure,
    "dropout": _weibull,
}
"""The law of each family, its parameters drawn anew for each trial."""


# --- conduct: who is enrolled when, who leaves, who is seen -----------------------------------------


@dataclass(frozen=True)
class Conduct:
    """How a trial is run; pairs are (reference, treated).

    `sizes`: patients per arm. `share`: of them at the second level of the stratification factor,
    whose log hazard ratios are `effects` (progression, death). `leaving` and `stopping`:
    hazards per month of withdrawal and of the end of imaging. `early`: share that is lost within
    three months, half by leaving and half by stopping. `recovered`: probability that the vital
    status of one who left is learned after all. `lag`: mean days, exponential, from the last contact to the
    cutoff. `last_entry_to_cutoff`: days. `late_deaths`: the rule for late deaths.
    """

    sizes: tuple[int, int]
    share: float
    effects: tuple[float, float]
    leaving: tuple[float, float]
    stopping: tuple[float, float]
    early: tuple[float, float]
    recovered: float
    lag: float
    last_entry_to_cutoff: int
    late_deaths: float | Literal["count"]


def day(number: int) -> date:
    """A day by its distance from the first randomization."""
    return FIRST_DAY + timedelta(days=number)


def conduct(rng: np.random.Generator, family: str) -> Conduct:
    """How a trial of a family is run, drawn anew for each."""
    size = int(rng.integers(240, 361))
    reference = round(size * (1 / 3 if rng.random() < 0.5 else 1 / 2))
    return Conduct(
        sizes=(reference, size - reference),
        share=rng.uniform(0.25, 0.6),
        effects=(rng.uniform(0.1, 0.5), rng.uniform(0.2, 0.7)),
        leaving=tuple(rng.uniform(0.003, 0.012, 2)),
        stopping=tuple(rng.uniform(0.01, 0.03, 2)),
        early=(rng.uniform(0.3, 0.5) if family == "dropout" else 0.0, 0.0),
        recovered=rng.uniform(0.3, 0.9),
        lag=rng.uniform(10, 45),
        last_entry_to_cutoff=int(rng.integers(365, 550)),
        late_deaths=LATE_DEATHS[rng.integers(len(LATE_DEATHS))],
    )


@dataclass(frozen=True)
class Truth:
    """A complete trial: its rows, and the rule that made them but that no paper prints.

    `adsl` and `adtte` have the columns of a reconstructed cohort (see `cohort.rows`).
    """

    family: str
    cutoff: date
    adsl: pd.DataFrame
    adtte: pd.DataFrame
    late_deaths: float | Literal["count"]

    @property
    def first_entry(self) -> date:
        """Day of the first randomization."""
        return self.adsl["RANDDT"].min().date()

    @property
    def last_entry(self) -> date:
        """Day of the last randomization."""
        return self.adsl["RANDDT"].max().date()


def draw(family: str, rng: np.random.Generator) -> Truth:
    """A complete trial of one family.

    Raises `ValueError` for a family that is not in `FAMILIES`.
    """
    if family not in FAMILIES:
        raise ValueError(f"{family!r} is no family of simulated trials; there are {', '.join(FAMILIES)}")
    return enrol(family, FAMILIES[family](rng), conduct(rng, family), rng)


def enrol(family: str, law: Law, conduct: Conduct, rng: np.random.Generator) -> Truth:
    """The rows of a trial run in this way on patients who obey this law."""
    arm = np.repeat([REFERENCE, TREATED], conduct.sizes)
    # Randomization in strata: the factor is balanced between the arms.
    second_level = [np.arange(size) < round(conduct.share * size) for size in conduct.sizes]
    factor = np.concatenate(second_level).astype(int)
    entry = np.rint(rng.uniform(0, ENTRY_DAYS, arm.size)).astype(int)
    until_cutoff = ENTRY_DAYS + conduct.last_entry_to_cutoff - entry + 1

    progressed, died = np.empty(arm.size), np.empty(arm.size)
    for number in (REFERENCE, TREATED):
        ours = arm == number
        relative = [np.exp(effect * factor[ours]) for effect in conduct.effects]
        progressed[ours], died[ours] = law.draw(rng, number, *relative)

    left, stopped = _lost(conduct, arm, rng)
    patients = pd.DataFrame(
        {
            "arm": arm,
            "factor": factor,
            "entry": entry,
            "cutoff": until_cutoff,
            "progressed": _day(progressed),
            "died": _day(died),
            "left": _day(left),
            "stopped": _day(stopped),
            "recovered": rng.random(arm.size) < conduct.recovered,
            "lag": np.floor(rng.exponential(conduct.lag, arm.size)),
        }
    )
    followed = _follow_up(patients)
    progression_free = _progression_free_survival(followed, _visits(arm.size, rng), conduct.late_deaths)
    return Truth(
        family=family,
        cutoff=day(ENTRY_DAYS + conduct.last_entry_to_cutoff),
        adsl=_adsl(followed),
        adtte=pd.concat([_overall_survival(followed), progression_free], ignore_index=True),
        late_deaths=conduct.late_deaths,
    )


def _day(times: np.ndarray) -> np.ndarray:
    """The day, counted from randomization as day 1, on which something at these times happens."""
    return np.floor(times) + 1


def _lost(conduct: Conduct, arm: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Times at which patients would leave the trial and stop imaging."""
    monthly = np.array([conduct.leaving, conduct.stopping])[:, arm]
    left, stopped = rng.exponential(DAYS_PER_MONTH / monthly)
    early = rng.random(arm.size) < np.array(conduct.early)[arm]
    leaves = rng.random(arm.size) < 0.5
    soon = rng.uniform(0, 3 * DAYS_PER_MONTH, arm.size)
    return np.where(early & leaves, soon, left), np.where(early & ~leaves, soon, stopped)


def _visits(size: int, rng: np.random.Generator) -> np.ndarray:
    """The days (patients, visits) on which patients would be imaged, in order."""
    return np.array(VISITS) + rng.integers(-VISIT_JITTER, VISIT_JITTER + 1, (size, len(VISITS)))


def _follow_up(patients: pd.DataFrame) -> pd.DataFrame:
    """Add end state, day and fact of death as the trial knows it, and the last day in follow-up.

    A patient who left is dead in overall survival if his vital status was recovered and he died by the
    cutoff; recovered alive he is censored at the cutoff; else on the day he left.
    """
    p = patients
    gone = (p["left"] < p["died"]) & (p["left"] < p["cutoff"])
    dead = (p["died"] <= p["cutoff"]) & (~gone | p["recovered"])
    state = np.select([gone, dead], [LEFT, DIED], ALIVE)
    contact = np.maximum(p["cutoff"] - p["lag"], 1)
    known_alive = np.select([gone & ~p["recovered"], gone], [p["left"], p["cutoff"]], contact)
    return p.assign(
        state=state,
        dead=dead,
        last_alive=np.where(dead, p["died"], known_alive).astype(int),
        followed_to=np.select([gone, dead], [p["left"], p["died"]], contact),
    )


def _identifiers(size: int) -> list[str]:
    return [f"{IDENTIFIER}-{number:04d}" for number in range(1, size + 1)]


def _dates(patients: pd.DataFrame, days: pd.Series) -> pd.Series:
    """Calendar dates of days counted from each patient's randomization."""
    since_first = patients["entry"] + days - 1
    return (pd.Timestamp(FIRST_DAY) + pd.to_timedelta(since_first, unit="D")).astype("datetime64[s]")


def _adsl(patients: pd.DataFrame) -> pd.DataFrame:
    p = patients
    return pd.DataFrame(
        {
            "USUBJID": _identifiers(len(p)),
            "TRT01P": p["arm"].map(lambda number: ARMS[number].label),
            "TRT01PN": p["arm"],
            "PERIOD": POPULATION,
            "ITTFL": "Y",
            "RANDDT": _dates(p, pd.Series(1, p.index)),
            "STRRISK": p["factor"].map(dict(enumerate(FACTOR_LEVELS))),
            "EOSSTT": p["state"].map(LABELS),
            "UNTRTFL": "N",
            "LSTALVDT": _dates(p, p["last_alive"]),
            "DTHDT": _dates(p, p["last_alive"]).where(p["dead"]),
        }
    )


def _endpoint_rows(patients: pd.DataFrame, paramcd: str, day, event, reason) -> pd.DataFrame:
    day = pd.Series(np.asarray(day, dtype=int), patients.index)
    return pd.DataFrame(
        {
            "USUBJID": _identifiers(len(patients)),
            "PARAMCD": paramcd,
            "AVAL": day,
            "CNSR": 1 - np.asarray(event, dtype=int),
            "EVNTDESC": reason,
            "ADT": _dates(patients, day),
        }
    )


def _overall_survival(patients: pd.DataFrame) -> pd.DataFrame:
    p = patients
    recovered_alive = (p["state"] == LEFT) & p["recovered"]
    reason = np.select(
        [p["dead"], recovered_alive, p["state"] == LEFT],
        ["Death", "Alive at the cutoff, from records", LABELS[LEFT]],
        "Alive at last contact",
    )
    return _endpoint_rows(p, "OS", p["last_alive"], p["dead"], reason)


def _progression_free_survival(
    patients: pd.DataFrame, visits: np.ndarray, late_deaths: float | Literal["count"]
) -> pd.DataFrame:
    """Progression at the first attended visit on or after its day, or death; else censored at the last visit.

    Visits are attended while the patient is alive, followed and has not stopped imaging. One
    who was never imaged is censored on day 1.
    """
    p = patients
    # On the day he dies nobody is imaged.
    imaged_to = p[["followed_to", "stopped"]].min(axis=1).clip(upper=p["died"] - 1)
    attended = visits <= imaged_to.to_numpy()[:, None]
    finds = attended & (visits >= p["progressed"].to_numpy()[:, None])
    found = finds.any(axis=1)
    found_on = np.take_along_axis(visits, finds.argmax(axis=1)[:, None], axis=1)[:, 0]
    last_visit = np.where(attended, visits, 1).max(axis=1)

    counts = p["dead"] & ((late_deaths == "count") or (p["died"] - last_visit <= float(late_deaths)))
    unseen = [p["stopped"] <= p["followed_to"], p["state"] == LEFT]
    why_ended = np.select(unseen, [STOPPED, LABELS[LEFT]], "No event yet")
    return _endpoint_rows(
        p,
        "PFS",
        day=np.select([found, counts], [found_on, p["died"]], last_visit),
        event=found | counts,
        reason=np.select([found, counts], ["Progression", "Death"], why_ended),
    )


# --- print: what a paper would say of these rows ----------------------------------------------------

ENDPOINTS = (
    Endpoint("OS", "Overall survival", "Death", typical_median=12.0),
    Endpoint(
        "PFS",
        "Progression-free survival",
        "Progression",
        typical_median=5.0,
        visits=VISITS,
        stop=Stop({STOPPED: 1.0}),
        hastens_death=True,
    ),
)
"""The same for all families: what a protocol says, with a guess of the reference arm's medians."""
FACTOR_EFFECT = Normal(0.4, 0.4)


def print_as_a_paper(truth: Truth) -> Trial:
    """All that the engine is told of a simulated trial: design, sizes, counts and rounded statistics.

    Medians of both end points and median follow-up per arm to 0.1 month, hazard ratios with
    95% limits to 0.01. A median that is not reached is not printed and is no target. The rule for
    late deaths, the contact lags and whose vital status was recovered stay unsaid.
    """
    return specification(
        f"simulated {truth.family}",
        Period(POPULATION, truth.first_entry, truth.last_entry),
        truth.cutoff,
        sizes=_counts(truth, pd.Series(True, truth.adsl.index)),
        at_risk=_counts(truth, truth.adsl["STRRISK"] == FACTOR_LEVELS[1]),
        ended={kind: _counts(truth, truth.adsl["EOSSTT"] == label) for kind, label in LABELS.items()},
        targets=tuple(_targets(truth)),
    )


def specification(
    name: str,
    period: Period,
    cutoff: date,
    *,
    sizes: Mapping[Cell, int],
    at_risk: Mapping[Cell, int],
    ended: Mapping[str, Mapping[Cell, int]],
    targets: tuple[Target, ...],
) -> Trial:
    """What the engine is told of a simulated trial: the design of them all, and the numbers of this one.

    Patients per cell: `sizes`, `at_risk` at the second level of the factor, `ended` by end state.
    """
    return Trial(
        name=name,
        arms=ARMS,
        periods=(period,),
        populations={POPULATION: (POPULATION,)},
        cutoff=cutoff,
        randomized=sizes,
        end_states=tuple(
            EndState(kind, LABELS[kind], kind, counts, recoverable=kind == LEFT)
            for kind, counts in ended.items()
        ),
        endpoints=ENDPOINTS,
        targets=targets,
        factors=(Factor("risk", "Risk group", FACTOR_LEVELS, effect=FACTOR_EFFECT, counts=at_risk),),
        late_deaths=LATE_DEATHS,
        identifier=IDENTIFIER,
    )


def _counts(truth: Truth, which: pd.Series) -> dict[tuple[str, str], int]:
    arm = truth.adsl["TRT01PN"]
    return {(ARMS[a].name, POPULATION): int((which & (arm == a)).sum()) for a in (REFERENCE, TREATED)}


def outcomes(adsl: pd.DataFrame, adtte: pd.DataFrame, paramcd: str) -> survival.Outcomes:
    """The outcomes of one end point, stratified by the trial's factor."""
    rows = adtte[adtte["PARAMCD"] == paramcd].merge(adsl[["USUBJID", "TRT01PN", "STRRISK"]], on="USUBJID")
    return survival.outcomes_of(rows, stratum=["STRRISK"])


def _targets(truth: Truth) -> Iterator[Target]:
    for endpoint in ENDPOINTS:
        data = outcomes(truth.adsl, truth.adtte, endpoint.paramcd)
        yield from printing.efficacy(endpoint.paramcd, POPULATION, ARMS, data)
    overall = ENDPOINTS[0].paramcd
    yield from printing.follow_up(overall, POPULATION, ARMS, outcomes(truth.adsl, truth.adtte, overall))
