"""A trial as data: everything the engine is told, and nothing else.

A specification says who was randomized when, into which arms; how each patient's follow-up
ended; by which factors randomization was stratified; which end points exist and how they are
assessed; and which printed statistics a reconstructed cohort must reproduce. The engine reads
a `Trial` and knows no trial by name.

Counts are per *cell*: one arm in one period of randomization. A paper prints them per
population (all randomized; those randomized after some day), and `read` takes the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

DAYS_PER_MONTH = 30.4375

Cell = tuple[str, str]
"""An arm's name and a period's name."""


def factor_column(name: str) -> str:
    """The ADSL column of a stratification factor: `ldh` is `STRLDH`."""
    return "STR" + name.upper()


Statistic = Literal[
    "median", "median_low", "median_high",
    "hazard_ratio", "ci_low", "ci_high", "p_value",
    "followup", "followup_low", "followup_high",
    "time_to_cutoff", "events", "survival",
]  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """A randomized arm. `name` as in the counts, `label` for people (ADaM `TRT01P`)."""

    name: str
    label: str


@dataclass(frozen=True)
class Period:
    """A window of randomization, both days included. Periods do not overlap."""

    name: str
    first: date
    last: date


@dataclass(frozen=True)
class EndState:
    """How a patient's follow-up stood at the data cutoff, with the number of patients per cell.

    `kind`: `died` (before the cutoff, and the trial knows it), `left` (alive when he left the
    trial before the cutoff) or `alive` (in follow-up at the cutoff).
    `contact`, for `alive` only: the longest time in days between the last contact and the
    cutoff (uniform), or `None` where it is unknown and the engine estimates its mean per arm.
    `recoverable`, for `left` only: whether vital status may have been learned afterwards, from
    public records for example; then a death up to the cutoff counts in overall survival.
    `treated`: only patients who received the assigned treatment can be in this state.
    """

    name: str
    label: str
    kind: Literal["died", "left", "alive"]
    counts: Mapping[Cell, int]
    contact: float | None = None
    recoverable: bool = False
    treated: bool = False


@dataclass(frozen=True)
class Normal:
    """A normal prior: mean and standard deviation."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Factor:
    """A stratification factor with two levels; the second is the one that counts and effects speak of.

    Either `counts` gives the number of patients at the second level per cell, or `share` is a
    prior on the logit of their share, then alike in all cells up to rounding, and under `share_below`.
    `effect`: prior of the log hazard ratio of the second level against the first, for every end
    point. `stratifies`: whether the stratified analyses use it.
    """

    name: str
    label: str
    levels: tuple[str, str]
    effect: Normal
    counts: Mapping[Cell, int] | None = None
    share: Normal | None = None
    share_below: float = 1.0
    stratifies: bool = True


@dataclass(frozen=True)
class Stop:
    """Why assessment of an end point can end early, and the share of each reason (adds up to 1)."""

    reasons: Mapping[str, float]


@dataclass(frozen=True)
class Endpoint:
    """A time-to-event end point, in days from randomization.

    The first end point of a trial is death (`event="Death"`). Each other one is "its event or
    death": `visits` are the scheduled days at which the event can be found (empty: it is known
    on the day it happens); `stop` says why assessment may end early (`None`: it lasts as long as
    follow-up); `hastens_death` lets the hazard of death change after the event.
    `typical_median`: centre of the prior, in months, for the reference arm.
    """

    paramcd: str
    label: str
    event: str
    typical_median: float
    visits: tuple[float, ...] = ()
    stop: Stop | None = None
    hastens_death: bool = False


@dataclass(frozen=True)
class Target:
    """One printed statistic, by its definition, with the interval of values that print like it.

    `low` is included, `high` is not. Times are in months. `role` is `target` (the search is
    held to it) or `derived` (it is confirmed afterwards, the search does not see it).

    statistic           definition
    median              first time with a Kaplan-Meier estimate of at most 0.5
    median_low, _high   its limits at `level`, from the log-log interval of the curve
    hazard_ratio        second arm against first, stratified Cox model, Efron ties
    ci_low, ci_high     its Wald limits at `level`, on the log scale
    p_value             two-sided stratified log-rank test
    followup, _low, _high  median and limits of the reverse Kaplan-Meier estimate
    time_to_cutoff      median time from randomization to the data cutoff
    events              number of events of the end point
    survival            Kaplan-Meier estimate at `at` months
    """

    claim_id: str
    paramcd: str
    population: str
    arm: str
    statistic: Statistic
    printed: str
    low: float
    high: float
    level: float = 0.95
    at: float | None = None
    role: Literal["target", "derived"] = "target"


@dataclass(frozen=True)
class Trial:
    """All that is known of a trial. `arms[0]` is the reference; hazard ratios are `arms[1]` against it.

    `populations` maps a name to the periods it is made of; it always holds `all`-encompassing one
    first. `randomized` is the number of patients per cell, `untreated` of those who never
    received the assigned treatment and `untreated_deaths` of those among them who died instead,
    within `untreated_death_within` days.
    `late_deaths`: the rules to consider for deaths long after the last assessment of an end
    point other than death: "count" (every known death counts) and/or a number of days after
    the last assessment from which they no longer count. With several the engine treats the
    rule as unknown.
    """

    name: str
    arms: tuple[Arm, Arm]
    periods: tuple[Period, ...]
    populations: Mapping[str, tuple[str, ...]]
    cutoff: date
    randomized: Mapping[Cell, int]
    end_states: tuple[EndState, ...]
    endpoints: tuple[Endpoint, ...]
    targets: tuple[Target, ...]
    factors: tuple[Factor, ...] = ()
    untreated: Mapping[Cell, int] | None = None
    untreated_deaths: Mapping[Cell, int] | None = None
    untreated_death_within: float = 42.0
    late_deaths: tuple[float | Literal["count"], ...] = ("count",)
    identifier: str = "SYNTHETIC"

    @property
    def size(self) -> int:
        """Patients in all cells."""
        return sum(self.randomized.values())

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every arm in every period, the periods running fastest."""
        return tuple((arm.name, period.name) for arm in self.arms for period in self.periods)

    def stratified_by(self, *names: str) -> Trial:
        """The same trial with its analyses stratified by these factors only."""
        unknown = set(names) - {f.name for f in self.factors}
        if unknown:
            raise ValueError(
                f"{self.name}: {sorted(unknown)} is no factor; there are {[f.name for f in self.factors]}"
            )
        return replace(self, factors=tuple(replace(f, stratifies=f.name in names) for f in self.factors))

    def without(self, *claim_ids: str) -> Trial:
        """The same trial with these targets left out."""
        return replace(self, targets=tuple(t for t in self.targets if t.claim_id not in claim_ids))


def population_flag(trial: Trial, population: str) -> str:
    """The ADSL column that flags a population: ITTFL for the first, else its name (pfs_set: PFSSETFL)."""
    if population not in trial.populations:
        raise ValueError(f"{population} is no population of {trial.name}; it has {list(trial.populations)}")
    first = next(iter(trial.populations))
    return "ITTFL" if population == first else population.replace("_", "").upper() + "FL"
