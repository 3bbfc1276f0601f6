"""The efficacy analyses on reconstructed patients: one end point in one population, by named rules.

`load` gives a `Reconstruction`: the specification of the trial, the displayed cohort, and what was
computed of every cohort of the ensemble. `Reconstruction.analysis` makes an `Analysis`, the
trial's analysis of one end point on the displayed cohort; its estimates are those of
`visiontrial.survival`. The functions below set beside one cohort what the others say.

Two uncertainties are kept apart. *Reconstruction*: infinitely many cohorts agree with the printed
numbers; the reconstruction range is the central 95% of the ensemble. *Sampling*: another trial
would have drawn other patients; confidence intervals of the one displayed cohort show it. Neither
holds the other.

All patients are reconstructed. That a printed number comes out is no finding: the cohorts were
made to agree with it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import get_args

import numpy as np
import pandas as pd
from statsmodels.stats.rates import confint_poisson_2indep

from visiontrial import fitted, paths, published, survival
from visiontrial.cohort import derived, displayed, reader, store
from visiontrial.cohort.quantities import ReconstructionRange, horizon, reconstruction_range
from visiontrial.cohort.specification import DAYS_PER_MONTH, Trial, population_flag
from visiontrial.cohort.verify import Analyses, in_population
from visiontrial.printed import as_printed, parse, prints_as

SHARES = (0.25, 0.5, 0.75)
"""Shares of an arm that have had the event: where curves are compared sideways."""


class EfficacyError(ValueError):
    """An analysis that cannot be made from the reconstruction; the message says why and what there is."""


@dataclass(frozen=True)
class Rules:
    """The rules of an analysis that a paper leaves to its reader, or its statistical package.

    `level`: of all limits. `interval`: transform of the Kaplan-Meier limits. `ties`: of the Cox
    model. `months`: follow-up is cut off there; `None` uses all of it.
    """

    level: float = 0.95
    interval: survival.Interval = "log-log"
    ties: survival.Ties = "efron"
    months: float | None = None


DEFAULT = Rules()


@dataclass(frozen=True, eq=False)
class Analysis:
    """The analysis of one end point in one population of one cohort.

    `arms` names arm 0 and arm 1 of `data`. Estimates are made when they are asked for, and kept.
    """

    paramcd: str
    population: str
    arms: tuple[str, str]
    data: survival.Outcomes
    rules: Rules = DEFAULT

    @cached_property
    def curves(self) -> dict[str, survival.Curve]:
        """Kaplan-Meier curve of each arm."""
        return {
            arm: survival.kaplan_meier(self.of_arm(arm), level=self.rules.level, interval=self.rules.interval)
            for arm in self.arms
        }

    @cached_property
    def medians(self) -> dict[str, survival.Median]:
        """Median of each arm, in days."""
        return {arm: curve.median() for arm, curve in self.curves.items()}

    @cached_property
    def followup(self) -> dict[str, survival.Median]:
        """Median follow-up of each arm by the reverse Kaplan-Meier estimate, in days."""
        rules = self.rules
        return {
            arm: survival.followup(self.of_arm(arm), level=rules.level, interval=rules.interval)
            for arm in self.arms
        }

    @cached_property
    def hazard_ratio(self) -> survival.HazardRatio:
        """Stratified Cox model, arm 1 against arm 0."""
        return survival.cox(self.data, level=self.rules.level, ties=self.rules.ties)

    @cached_property
    def log_rank(self) -> survival.LogRank:
        """Stratified log-rank test, two-sided."""
        return survival.log_rank(self.data)

    def of_arm(self, arm: str) -> survival.Outcomes:
        """The outcomes of one arm."""
        return self.data.of_arm(self.arms.index(arm))

    def by(self, rules: Rules) -> Analysis:
        """The same outcomes by other rules; `rules.months` cuts off what is left of follow-up."""
        return Analysis(self.paramcd, self.population, self.arms, _cut(self.data, rules), rules)


def _cut(data: survival.Outcomes, rules: Rules) -> survival.Outcomes:
    return data if rules.months is None else data.until(rules.months * DAYS_PER_MONTH)


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A trial's specification, the displayed cohort, and what was computed of its ensemble's cohorts."""

    trial: Trial
    shown: displayed.Displayed
    derived: derived.Derived

    @property
    def cohorts(self) -> int:
        """How many cohorts the ensemble has."""
        return len(self.derived.quantities)

    @property
    def arms(self) -> tuple[str, str]:
        """Names of the arms; the first is the reference."""
        return tuple(arm.name for arm in self.trial.arms)

    @cached_property
    def _analyses(self) -> Analyses:
        return Analyses(self.trial, self.shown.adsl, self.shown.adtte)

    def analysis(self, paramcd: str, population: str, rules: Rules = DEFAULT) -> Analysis:
        """The analysis of one end point in one population of the displayed cohort."""
        known = [endpoint.paramcd for endpoint in self.trial.endpoints]
        if paramcd not in known or population not in self.trial.populations:
            raise EfficacyError(
                f"there is no analysis of {paramcd} in {population}: end points are {', '.join(known)}, "
                f"populations {', '.join(self.trial.populations)}"
            )
        data = _cut(self._analyses.outcomes(paramcd, population), rules)
        return Analysis(paramcd, population, self.arms, data, rules)

    def rows(self, paramcd: str, population: str) -> pd.DataFrame:
        """The displayed cohort's rows of ADTTE of one end point in one population."""
        members = self.shown.adsl.loc[in_population(self.trial, self.shown.adsl, population), "USUBJID"]
        times = self.shown.adtte
        return times[(times["PARAMCD"] == paramcd) & times["USUBJID"].isin(members)]

    def months_earlier(self, analysis: Analysis, months: float) -> Analysis:
        """The same analysis as if the data had been cut off so many months earlier."""
        days = self.days_to_cutoff(analysis.population) - round(months * DAYS_PER_MONTH)
        if (days < 1).any():
            raise EfficacyError(f"{months:g} months before the cutoff not everybody had been randomized")
        earlier = analysis.data.until(days)
        return Analysis(analysis.paramcd, analysis.population, analysis.arms, earlier, analysis.rules)

    def days_to_cutoff(self, population: str) -> np.ndarray:
        """Days from randomization to the data cutoff of each patient of the displayed cohort."""
        return self._analyses.days_to_cutoff(population, "all")

    def prints(self, statistic: str, paramcd: str, population: str, arm: str = "all") -> bool:
        """Whether the paper prints this statistic, so that the cohorts were made to agree with it."""
        wanted = (statistic, paramcd, population, arm)
        return any((t.statistic, t.paramcd, t.population, t.arm) == wanted for t in self.trial.targets)

    def range_of(self, quantity: str) -> ReconstructionRange:
        """Reconstruction range of a quantity of `cohort.quantities`."""
        if quantity not in self.derived.quantities:
            raise EfficacyError(f"no quantity is called {quantity}: see visiontrial.cohort.quantities")
        return reconstruction_range(self.derived.quantities[quantity])

    def values(self, paramcd: str, population: str, column: str = "survival") -> dict[str, pd.DataFrame]:
        """A column of the stored curves by arm: one row per month of the grid, one column per member.

        `survival`, or one of the counts `at_risk`, `events`, `censored`.
        """
        curves = self.derived.curves
        chosen = curves[(curves["paramcd"] == paramcd) & (curves["population"] == population)]
        if chosen.empty:
            has = curves[["paramcd", "population"]].drop_duplicates().to_numpy().tolist()
            raise EfficacyError(f"no curves of {paramcd} in {population} are stored; there are {has}")
        return {
            arm: rows.pivot(index="month", columns="member", values=column)
            for arm, rows in chosen.groupby("arm")
        }

    def population_in_words(self, population: str) -> str:
        """For example `all 831 randomized`."""
        periods = [p for p in self.trial.periods if p.name in self.trial.populations[population]]
        names = {p.name for p in periods}
        size = sum(n for (_, period), n in self.trial.randomized.items() if period in names)
        if size == self.trial.size:
            return f"all {size} randomized"
        first = min(p.first for p in periods)
        return f"the {size} randomized from {first:%B} {first.day}, {first.year} on"


@cache
def load() -> Reconstruction:
    """VISION's displayed cohort with the ensemble of which it is a member."""
    shown = displayed.read()
    trial = reader.read(paths.RECONSTRUCTION / "vision")
    return Reconstruction(trial, shown, derived.read(shown.manifest["ensemble"]))


# --- published beside ours -----------------------------------------------------------------------


def agreement(claim_ids: Sequence[str]) -> pd.DataFrame:
    """In how many cohorts each printed statistic comes out, as text for a table.

    One row per claim (the index): `printed`, `lowest` and `highest` value over the cohorts with two
    decimals more than printed, `agreeing` cohorts of all. That all agree is what the search was
    asked for, save for the statistics that it did not see (role `derived` in `targets.csv`).
    """
    known = fitted.evidence()
    if absent := [c for c in claim_ids if c not in known]:
        raise EfficacyError(f"{', '.join(absent)}: reconstructed patients do not speak of it (targets.csv)")
    rows = {claim_id: _agreeing(known[claim_id]) for claim_id in claim_ids}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["printed", "lowest", "highest", "agreeing"])


def _agreeing(found: fitted.Fitted) -> tuple[str, str, str, str]:
    characters = published.printed(found.claim_id)
    agreeing = sum(prints_as(float(value), characters) for value in found.members)
    ends = (_finer(float(value), characters) for value in (found.members.min(), found.members.max()))
    return characters, *ends, f"{agreeing} of {len(found.members)}"


def _finer(value: float, characters: str) -> str:
    target = parse(characters)
    return f"{value:.1e}" if target.sign else as_printed(value, target.decimals + 2)


def limits_by_transform(
    reconstruction: Reconstruction, paramcd: str, population: str, level: float = DEFAULT.level
) -> pd.DataFrame:
    """Limits of the displayed cohort's medians by each transform of the Kaplan-Meier interval, in months.

    One row per transform (the index, `transform`), two levels of columns: `arm`, then `low` and `high`.
    """
    columns = {}
    for interval in get_args(survival.Interval):
        found = reconstruction.analysis(paramcd, population, Rules(level, interval)).medians
        columns[interval] = {
            (arm, end): getattr(median, end) / DAYS_PER_MONTH
            for arm, median in reversed(found.items())
            for end in ("low", "high")
        }
    frame = pd.DataFrame.from_dict(columns, orient="index").rename_axis("transform")
    return frame.set_axis(pd.MultiIndex.from_tuples(frame.columns, names=["arm", "end"]), axis=1)


# --- what the printed numbers leave open -----------------------------------------------------------


def range_by_month(values: pd.DataFrame) -> pd.DataFrame:
    """Reconstruction range of each row of `values` (months by members): `month`, `low`, `high`.

    Months in which fewer than all members define the value are left out.
    """
    complete = values.dropna()
    ranges = [reconstruction_range(row) for row in complete.to_numpy()]
    return pd.DataFrame(
        {"month": complete.index, "low": [r.low for r in ranges], "high": [r.high for r in ranges]}
    )


def differences(reconstruction: Reconstruction, analysis: Analysis, until: float) -> pd.DataFrame:
    """Difference of the arms' survival at each whole month, with both uncertainties apart.

    One row per month from 1 to `until`, as far as both curves reach in the displayed cohort and in the
    ensemble: `month`, `difference` (arm 1 minus arm 0, displayed cohort), `sampling_low`, `sampling_high`
    (Wald limits at the analysis's level, Greenwood's variance), `low`, `high` (reconstruction range).
    """
    estimates = reconstruction.values(analysis.paramcd, analysis.population)
    reference, other = analysis.arms
    ranges = range_by_month(estimates[other] - estimates[reference]).set_index("month")
    rows = []
    for month in range(1, math.floor(until) + 1):
        if month not in ranges.index:
            break
        found = survival.survival_difference(
            analysis.data, month * DAYS_PER_MONTH, level=analysis.rules.level
        )
        if math.isnan(found.difference):
            break
        rows.append((month, found.difference, found.low, found.high, *ranges.loc[month]))
    columns = ["month", "difference", "sampling_low", "sampling_high", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def gains(
    reconstruction: Reconstruction, paramcd: str, population: str, shares: Sequence[float] = SHARES
) -> pd.DataFrame:
    """How much later each share of arm 1 has had the event than the same share of arm 0, in months.

    The horizontal distance of the curves. Where the share is a half and the paper prints both
    medians, it is the difference of each cohort's medians. Elsewhere it is read on the stored grid
    of half months (first point at or below 1 - share), so in steps of half a month. One row per
    share: `share`, then for the
    displayed cohort `arm0`, `arm1` and `gain`, and over the cohorts `low`, `high`. What is not
    reached within follow-up is infinite: a gain where arm 0 reaches the share and arm 1 does not.
    `undefined`: in how many cohorts arm 0 does not reach it, so that there is no gain to speak of.
    """
    estimates = reconstruction.values(paramcd, population)
    exact = _printed_medians(reconstruction, paramcd, population)
    shown = reconstruction.shown.member
    rows = []
    for share in shares:
        if share == 0.5 and exact:
            reached = exact
        else:
            reached = [_first_month_at(estimates[arm], 1 - share) for arm in reconstruction.arms]
        gain = (reached[1] - reached[0]).where(reached[0] < math.inf)
        estimate = (share, reached[0][shown], reached[1][shown], gain[shown])
        rows.append((*estimate, *_range_where_defined(gain)))
    return pd.DataFrame(rows, columns=["share", "arm0", "arm1", "gain", "low", "high", "undefined"])


def _printed_medians(reconstruction: Reconstruction, paramcd: str, population: str) -> list[pd.Series]:
    """The medians of arm 0 and arm 1 in every cohort, in months; empty unless the paper prints both."""
    claims = {
        t.arm: t.claim_id
        for t in reconstruction.trial.targets
        if (t.statistic, t.paramcd, t.population) == ("median", paramcd, population)
    }
    if not set(reconstruction.arms) <= claims.keys():
        return []
    return [reconstruction.derived.statistics[claims[arm]] for arm in reconstruction.arms]


def _first_month_at(estimates: pd.DataFrame, level: float) -> pd.Series:
    """First month of the grid with an estimate of at most `level`, by member; infinite where none has."""
    reached = estimates <= level + survival.HALF - 0.5
    return reached.idxmax().astype(float).where(reached.any(), math.inf)


def median_range(
    reconstruction: Reconstruction, paramcd: str, population: str, arm: str
) -> ReconstructionRange:
    """Reconstruction range of a median, in months, from the rows of every cohort and not from the grid."""
    return reconstruction_range(medians(reconstruction, paramcd, population)[arm])


@cache
def medians(reconstruction: Reconstruction, paramcd: str, population: str) -> pd.DataFrame:
    """Kaplan-Meier medians of every cohort, in months: one row per member, one column per arm.

    Infinite where the median is not reached. It takes some seconds: lifelines fits each curve.
    """
    rows = _ensemble_rows(reconstruction, paramcd, population)
    found = {
        key: survival.kaplan_meier(survival.outcomes_of(arm)).median().median
        for key, arm in rows.groupby(["member", "TRT01PN"])
    }
    return (pd.Series(found).unstack() / DAYS_PER_MONTH).rename(columns=dict(enumerate(reconstruction.arms)))


def _ensemble_rows(reconstruction: Reconstruction, paramcd: str, population: str) -> pd.DataFrame:
    """The rows of one end point in one population of every cohort; only what is needed, for all take long."""
    ensemble = reconstruction.shown.manifest["ensemble"]
    contents = store.read_checked(store.folder_of(ensemble), store.remedy(ensemble))
    times = pd.read_parquet(
        io.BytesIO(contents["adtte.parquet"]),
        columns=["member", "USUBJID", "AVAL", "CNSR"],
        filters=[("PARAMCD", "==", paramcd)],
    )
    patients = pd.read_parquet(
        io.BytesIO(contents["adsl.parquet"]),
        columns=["member", "USUBJID", "TRT01PN"],
        filters=[(population_flag(reconstruction.trial, population), "==", "Y")],
    )
    return times.merge(patients, on=["member", "USUBJID"])


def period_ratios(
    reconstruction: Reconstruction, paramcd: str, population: str, cuts: Sequence[float], level: float = 0.95
) -> pd.DataFrame:
    """Hazard ratio within periods of follow-up, unstratified: events per patient-month, arm 1 over arm 0.

    `cuts`: ends of the periods in months, multiples of half a month, from 0. Patient-months are
    those of the numbers at risk every half month, by the trapezoid rule. One row per period:
    `start`, `end`, for the displayed cohort `events0`, `events1`, `ratio`, `sampling_low`,
    `sampling_high` (score interval of two Poisson rates, statsmodels' `confint_poisson_2indep`; NaN
    where an arm has no event), and over the cohorts `low`, `high`, `undefined`.
    """
    reference, other = reconstruction.arms
    shown = reconstruction.shown.member
    counts = {c: reconstruction.values(paramcd, population, c) for c in ("events", "at_risk")}
    rows = []
    for start, end in pairwise(cuts):
        events = [_gained(counts["events"][arm], start, end) for arm in (reference, other)]
        time = [_area(counts["at_risk"][arm], start, end) for arm in (reference, other)]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (events[1] / time[1]) / (events[0] / time[0])
        over = _range_where_defined(ratio.replace(math.inf, math.nan))
        mine = (events[1][shown], time[1][shown], events[0][shown], time[0][shown])
        limits = (math.nan, math.nan)
        if min(mine) > 0:
            limits = confint_poisson_2indep(*mine, method="score", compare="ratio", alpha=1 - level)
        estimate = (start, end, events[0][shown], events[1][shown], ratio[shown], *limits)
        rows.append((*estimate, *over))
    columns = [
        "start", "end", "events0", "events1", "ratio", "sampling_low", "sampling_high", "low", "high",
        "undefined",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _range_where_defined(values: pd.Series) -> tuple[float, float, int]:
    """Ends of the reconstruction range and the number of cohorts without the value; NaN where none has it."""
    if values.isna().all():
        return math.nan, math.nan, len(values)
    found = reconstruction_range(values)
    return found.low, found.high, found.undefined


def _gained(cumulative: pd.DataFrame, start: float, end: float) -> pd.Series:
    return cumulative.loc[end] - cumulative.loc[start]


def _area(at_risk: pd.DataFrame, start: float, end: float) -> pd.Series:
    inside = at_risk.loc[start:end]
    return pd.Series(np.trapezoid(inside, inside.index, axis=0), index=at_risk.columns)


@dataclass(frozen=True)
class MeanGain:
    """A difference of restricted means, arm 1 minus arm 0 in months, by its two uncertainties.

    `low`, `high`: reconstruction range over the `members` cohorts whose curves both reach `months`.
    `half`: half of a confidence interval of the displayed cohort at `level`, which is sampling. The
    displayed cohort's own value is left out: nothing prints it.
    """

    low: float
    high: float
    members: int
    half: float
    months: float
    level: float
    rule: str


def mean_gain(
    reconstruction: Reconstruction, paramcd: str, population: str, level: float = DEFAULT.level
) -> MeanGain:
    """Difference of the arms' restricted means at the horizon that all patients could reach.

    See `cohort.quantities.horizon` for the horizon and `survival.restricted_means` for the interval.
    """
    until = horizon(reconstruction.trial, population)
    data = reconstruction.analysis(paramcd, population).data
    sampled = survival.restricted_means(data, until * DAYS_PER_MONTH, level=level)
    half = (sampled.high - sampled.low) / 2 / DAYS_PER_MONTH
    over = reconstruction.range_of(f"{paramcd}.{population}.rmst_difference")
    return MeanGain(over.low, over.high, over.members, half, until, level, sampled.rule)


def total_events(reconstruction: Reconstruction, paramcd: str, population: str) -> pd.Series:
    """Events of both arms together in each cohort."""
    names = [f"{paramcd}.{population}.events.{arm}" for arm in reconstruction.arms]
    return reconstruction.derived.quantities[names].sum(axis=1).astype(int)


def never_assessed(reconstruction: Reconstruction, paramcd: str, population: str) -> pd.DataFrame:
    """Patients censored on day 1, who have no assessment at all: one row per member, one column per arm.

    Raises `StoreError` when a stored file is missing or altered.
    """
    rows = _ensemble_rows(reconstruction, paramcd, population)
    at_once = (rows["CNSR"] == 1) & (rows["AVAL"] == 1)
    counts = at_once.groupby([rows["member"], rows["TRT01PN"]]).sum().unstack()
    return counts.rename(columns=dict(enumerate(reconstruction.arms)))


def events_of_last_month(reconstruction: Reconstruction, paramcd: str) -> pd.Series:
    """Events of all patients in the last month before the data cutoff, in each cohort.

    Raises `StoreError` when a stored file is missing or altered.
    """
    rows = store.read(reconstruction.shown.manifest["ensemble"]).adtte
    day = pd.Timestamp(reconstruction.trial.cutoff) - pd.Timedelta(days=round(DAYS_PER_MONTH))
    late = (rows["PARAMCD"] == paramcd) & (rows["CNSR"] == 0) & (rows["ADT"] > day)
    return late.groupby(rows["member"]).sum()


# --- significance ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Significance(survival.Statistic):
    """A two-sided P value against its part of alpha: in the displayed cohort and over the ensemble."""

    p_value: float
    smallest: float
    largest: float
    alpha: float
    cohorts: int
    rule: str

    @property
    def significant_in(self) -> str:
        """In which cohorts the P value is below alpha, in words."""
        return "every cohort" if self.largest < self.alpha else "not every cohort"

    @property
    def finding(self) -> str:
        return (
            f"P from {self.smallest:.2g} to {self.largest:.2g} over {self.cohorts} cohorts "
            f"({self.p_value:.2g} in the displayed one); below the level {self.alpha:g} in "
            f"{self.significant_in}"
        )


def significance(
    reconstruction: Reconstruction, analysis: Analysis, p_value: str, alpha: str
) -> Significance:
    """The log-rank test of an analysis against the claim `alpha`; `p_value` is the claim of its P value."""
    values = reconstruction.derived.statistics[p_value]
    level = float(published.value(alpha))
    test = analysis.log_rank
    return Significance(test.p_value, values.min(), values.max(), level, len(values), test.rule)
