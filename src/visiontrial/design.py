"""The statistical design: power by formula and by simulation, the graph of alpha, Hochberg.

What is printed comes from `published`; what is known from elsewhere comes from
`data/external/facts.csv` by way of `outside_fact` and is always named with its source.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np
import pandas as pd
from scipy import stats

from visiontrial import paths, published, schoenfeld
from visiontrial.printed import Interval, Printable, parse, parse_date, printable

END_POINTS = {"pfs": "Imaging-based progression-free survival", "os": "Overall survival"}
DAYS_PER_MONTH = 30.4375


# --- the printed designs ------------------------------------------------------------------


@dataclass(frozen=True)
class Design:
    """One primary end point as it was planned: events, patients, hazard ratio, level, power.

    `alpha` is one-sided; `ratio` patients are allocated to 177Lu-PSMA-617 for one to the
    control arm; `power` is the printed percent.
    """

    end_point: str
    events: int
    patients: int
    hazard_ratio: float
    alpha: float
    power: int
    ratio: float

    @property
    def name(self) -> str:
        return END_POINTS[self.end_point]

    @property
    def percent(self) -> float:
        """The power in percent by Schoenfeld's formula, at the hazard ratio as it stands."""
        return 100 * schoenfeld.power(self.events, self.hazard_ratio, self.alpha, self.ratio)

    @property
    def percent_range(self) -> Interval:
        """The powers in percent that the rounding of the printed hazard ratio allows."""
        hidden = parse(published.printed(f"methods.{self.end_point}.planned-hr")).interval(exact=False)
        least, most = (replace(self, hazard_ratio=float(end)).percent for end in (hidden.high, hidden.low))
        return Interval(Fraction(least), Fraction(most), low_open=True)

    @property
    def printable_powers(self) -> Printable:
        """The whole percents that could be printed for `percent_range`."""
        return printable(self.percent_range, parse(str(self.power)), exact=False)

    @property
    def allows_printed_power(self) -> bool:
        """Whether the printed percent is one of `printable_powers`."""
        return int(self.printable_powers.lowest) <= self.power <= int(self.printable_powers.highest)


def planned(end_point: str, alpha_claim: str = "alpha") -> Design:
    """The design of `pfs` or `os` from its printed numbers.

    `alpha_claim` chooses between two printed levels of overall survival: `alpha` and
    `alpha-if-pfs-negative`.
    """
    stem = f"methods.{end_point}"
    return Design(
        end_point=end_point,
        events=published.value(f"{stem}.events-planned"),
        patients=published.value(f"{stem}.n-planned"),
        hazard_ratio=published.value(f"{stem}.planned-hr"),
        alpha=published.value(f"{stem}.{alpha_claim}"),
        power=published.value(f"{stem}.power"),
        ratio=float(parse(published.printed("methods.randomization.ratio")).value),
    )


def designs() -> dict[str, Design]:
    """The three combinations of end point and level that the paper's power statement names."""
    return {
        "pfs": planned("pfs"),
        "os": planned("os"),
        "os-if-pfs-negative": planned("os", "alpha-if-pfs-negative"),
    }


def needed(design: Design) -> pd.DataFrame:
    """What each input would have to be for the printed power, the other inputs as printed.

    One row per input: `input`, `printed` and the values `least` and `most` between which it
    gives a power that rounds to the printed percent.
    """
    shares = [(design.power - 0.5) / 100, (design.power + 0.5) / 100]
    given = {
        "hazard_ratio": design.hazard_ratio,
        "alpha": design.alpha,
        "events": design.events,
        "ratio": design.ratio,
    }
    rows = []
    for name, solve in _SOLVERS.items():
        others = {key: value for key, value in given.items() if key != name}
        ends = sorted(solve(share, **others) for share in shares)
        rows.append({"input": name, "printed": given[name], "least": ends[0], "most": ends[1]})
    return pd.DataFrame(rows).set_index("input")


_SOLVERS = {
    "hazard_ratio": schoenfeld.hazard_ratio_for,
    "alpha": schoenfeld.alpha_for,
    "events": schoenfeld.events_for,
    "ratio": schoenfeld.ratio_for,
}


# --- facts from outside the paper ---------------------------------------------------------


@cache
def _facts() -> pd.DataFrame:
    return pd.read_csv(paths.EXTERNAL / "facts.csv", dtype=str, keep_default_na=False).set_index("fact_id")


def outside_fact(fact_id: str) -> tuple[float, str]:
    """A number that is not the paper's, and where it comes from. Raises `KeyError` when it is unknown."""
    row = _facts().loc[fact_id]
    return float(row["value"]), row["source"]


def outside_facts(prefix: str) -> pd.DataFrame:
    """The rows of `facts.csv` whose id begins so, by id, all columns as text."""
    return _facts().loc[lambda rows: rows.index.str.startswith(prefix)]


def outside_hazard_ratios(end_point: str) -> dict[str, float]:
    """Unrounded hazard ratios known from outside: as stated, and as the ratio of the assumed medians."""
    stated, _ = outside_fact(f"design.{end_point}.hr")
    control, _ = outside_fact(f"design.{end_point}.median.control")
    lu, _ = outside_fact(f"design.{end_point}.median.lu")
    return {"as stated": stated, "ratio of the assumed medians": control / lu}


# --- simulation ---------------------------------------------------------------------------

_ROWS = 500  # trials simulated at a time: enough for speed, few enough for the memory of a small machine


@dataclass(frozen=True)
class Simulation:
    """Simulated trials, as their log-rank statistics: negative where 177Lu-PSMA-617 does better."""

    z: np.ndarray

    def power(self, alpha: float) -> float:
        """The share of trials that are significant at the one-sided level `alpha`."""
        return float(np.mean(self.z < stats.norm.ppf(alpha)))

    def standard_error(self, alpha: float) -> float:
        """The Monte Carlo standard error of `power`."""
        share = self.power(alpha)
        return math.sqrt(share * (1 - share) / len(self.z))


def simulate(
    design: Design, n: int, seed: int, *, accrual: float = 0.0, control_median: float = 1.0
) -> Simulation:
    """Simulate `n` trials with exponential times, each analysed when its planned number of events is reached.

    Patients enter at random within `accrual`; 0 lets all start together, and then
    `control_median` does not matter. Both are in the same unit of time. Nobody drops out.
    """
    random = np.random.default_rng(seed)
    sizes = [min(_ROWS, n - start) for start in range(0, n, _ROWS)]
    return Simulation(
        np.concatenate([log_rank(*_trials(design, k, random, accrual, control_median)) for k in sizes])
    )


def one_trial(design: Design, seed: int) -> pd.DataFrame:
    """One simulated trial as a table: `duration` in medians of the control arm, `observed`, `treated`."""
    duration, observed, treated = _trials(design, 1, np.random.default_rng(seed), 0.0, 1.0)
    return pd.DataFrame({"duration": duration[0], "observed": observed[0], "treated": treated[0]})


def _trials(design: Design, k: int, random: np.random.Generator, accrual: float, control_median: float):
    """`k` trials as rows: follow-up, whether it ended in an event, whether treated."""
    n_treated = round(design.patients * design.ratio / (1 + design.ratio))
    treated = np.broadcast_to(np.arange(design.patients) < n_treated, (k, design.patients))
    mean = control_median / math.log(2) / np.where(treated, design.hazard_ratio, 1.0)
    survival = random.exponential(mean)
    entry = random.uniform(0, accrual, survival.shape) if accrual else np.zeros_like(survival)
    event_day = entry + survival
    cutoff = np.partition(event_day, design.events - 1)[:, design.events - 1, None]
    # Who would enter after the cutoff has a follow-up of 0 and no event: never at risk.
    follow_up = np.minimum(survival, np.maximum(cutoff - entry, 0))
    return follow_up, event_day <= cutoff, treated


def log_rank(duration: np.ndarray, observed: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """The log-rank statistic of each row: (observed - expected) / √variance among the treated.

    All three arrays have one row per trial and one column per patient. Times of events must
    differ from each other (simulated ones do): there is no rule for ties of events here.
    """
    # At the cutoff the last event meets censored times. The smallest step puts the event first.
    order = np.argsort(np.where(observed, duration, np.nextafter(duration, np.inf)), axis=1)
    observed, treated = (np.take_along_axis(a, order, axis=1) for a in (observed, treated))
    at_risk = duration.shape[1] - np.arange(duration.shape[1])
    treated_at_risk = treated[:, ::-1].cumsum(axis=1)[:, ::-1]
    expected = treated_at_risk / at_risk
    excess = np.sum((treated - expected) * observed, axis=1)
    return excess / np.sqrt(np.sum(expected * (1 - expected) * observed, axis=1))


def enrolment_months(first: str, last: str) -> float:
    """The months between two printed dates, given by claim id."""
    start, end = (parse_date(published.printed(claim_id)) for claim_id in (first, last))
    return (end - start).days / DAYS_PER_MONTH


# --- the graph of alpha -------------------------------------------------------------------


@dataclass(frozen=True)
class AlphaGraph:
    """A graph of hypotheses: the level each holds, and where its level goes once it is rejected.

    `weights[(a, b)]` is the share of a's level that passes to b. The levels may not exceed
    `total`, nor may the shares that leave one hypothesis exceed 1; `ValueError` otherwise.

    Bretz F, Maurer W, Brannath W, Posch M. A graphical approach to sequentially rejective
    multiple test procedures. Stat Med 2009;28:586-604. doi 10.1002/sim.3495
    """

    levels: Mapping[str, Fraction]
    weights: Mapping[tuple[str, str], Fraction]
    total: Fraction

    def __post_init__(self) -> None:
        if sum(self.levels.values()) > self.total:
            raise ValueError(f"the levels add up to more than {float(self.total):g}: lower one of them")
        for node in self.levels:
            if sum(w for (start, _), w in self.weights.items() if start == node) > 1:
                raise ValueError(f"{node!r} passes on more than it has: its shares exceed 1")

    def reject(self, node: str) -> AlphaGraph:
        """The graph that is left once `node` has been rejected and has passed on its level."""
        rest = [other for other in self.levels if other != node]
        levels = {o: self.levels[o] + self.levels[node] * self._weight(node, o) for o in rest}
        weights = {(a, b): self._rerouted(a, b, node) for a in rest for b in rest if a != b}
        return AlphaGraph(levels, {edge: w for edge, w in weights.items() if w}, self.total)

    def run(self, p_values: Mapping[str, float]) -> list[str]:
        """The hypotheses rejected at these one-sided P values, in the order of rejection."""
        rejected: list[str] = []
        graph = self
        while passing := [n for n in graph.levels if p_values[n] <= graph.levels[n]]:
            rejected.append(passing[0])
            graph = graph.reject(passing[0])
        return rejected

    def _weight(self, start: str, end: str) -> Fraction:
        return self.weights.get((start, end), Fraction(0))

    def _rerouted(self, a: str, b: str, through: str) -> Fraction:
        """What passes from a to b when the way through a rejected node is closed."""
        returns = self._weight(a, through) * self._weight(through, a)
        if returns == 1:
            return Fraction(0)
        return (self._weight(a, b) + self._weight(a, through) * self._weight(through, b)) / (1 - returns)


def trial_graph() -> AlphaGraph:
    """The graph of this trial, one-sided: two primary end points and the family of key secondary ones.

    The level of progression-free survival passes to overall survival, and the level of
    overall survival to the family; nothing in the paper's text passes anything back.
    """
    levels = {
        "pfs": _level("methods.pfs.alpha"),
        "os": _level("methods.os.alpha-if-pfs-negative"),
        "key-secondary": Fraction(0),
    }
    weights = {("pfs", "os"): Fraction(1), ("os", "key-secondary"): Fraction(1)}
    return AlphaGraph(levels, weights, _level("methods.overall.alpha"))


def outcomes(graph: AlphaGraph) -> pd.DataFrame:
    """What each result of the two primary end points leaves to test at, one-sided.

    Columns: whether `pfs` and `os` are significant, the level at which each was finally
    tested, and the level that reaches the key secondary end points.
    """
    return pd.DataFrame([_outcome(graph, pfs, os) for pfs in (True, False) for os in (True, False)])


def _outcome(graph: AlphaGraph, pfs: bool, os: bool) -> dict[str, bool | float]:
    tested_pfs = graph.levels["pfs"]
    if pfs:
        graph = graph.reject("pfs")
    tested_os = graph.levels["os"]
    if os:
        graph = graph.reject("os")
    return {
        "pfs": pfs,
        "os": os,
        "pfs_level": float(tested_pfs),
        "os_level": float(tested_os),
        "key_secondary_level": float(graph.levels["key-secondary"]),
    }


def error_under_null(levels: tuple[float, float], correlation: float) -> float:
    """The chance that at least one of two true null hypotheses is rejected, each at its one-sided level.

    `correlation` is that of the two statistics, taken as bivariate normal; below 1.
    """
    limits = stats.norm.isf(levels)
    both_kept = stats.multivariate_normal.cdf(limits, mean=[0, 0], cov=[[1, correlation], [correlation, 1]])
    return 1 - float(both_kept)


def _level(claim_id: str) -> Fraction:
    return parse(published.printed(claim_id)).value


# --- several end points at one level --------------------------------------------------------

ADJUSTMENTS = {"Bonferroni": "bonferroni", "Holm": "holm", "Hochberg": "simes-hochberg"}


def adjusted(p_values: Mapping[str, float]) -> pd.DataFrame:
    """P values and their adjusted values by three methods, one row per end point.

    An end point is significant where its adjusted value is at most the level of the family.
    The adjustments are `statsmodels.stats.multitest.multipletests`.
    """
    from statsmodels.stats.multitest import multipletests  # slow to import, and wanted by this function alone

    table = pd.DataFrame({"P": pd.Series(p_values, dtype=float)})
    for name, method in ADJUSTMENTS.items():
        table[name] = multipletests(table["P"], method=method)[1]
    return table


def whatever(p_values: Mapping[str, float | None], level: float) -> pd.DataFrame:
    """The decisions at `level` for every possible value of the one P value given as `None`.

    The three methods compare P values with `level` divided by whole numbers and with nothing
    else, so the decisions are the same between two such limits: it is enough to try each limit
    and one value on either side. One row per method and end point: whether it is significant
    whatever the value (`always`), and the largest value at which it is (`up_to`, `nan` for none).
    """
    limits = np.array([0, *(level / k for k in range(len(p_values), 0, -1)), 1])
    tried = np.sort([*limits, *(limits[1:] + limits[:-1]) / 2])
    filled = [{name: x if p is None else p for name, p in p_values.items()} for x in tried]
    significant = [adjusted(each).drop(columns="P") <= level * (1 + 1e-12) for each in filled]
    rows = []
    for method in ADJUSTMENTS:
        for end_point in p_values:
            passing = np.array([table.at[end_point, method] for table in significant])
            rows.append(
                (method, end_point, passing.all(), tried[passing].max() if passing.any() else math.nan)
            )
    frame = pd.DataFrame(rows, columns=["method", "end_point", "always", "up_to"])
    return frame.set_index(["method", "end_point"])


# --- planned against reached ----------------------------------------------------------------


def deaths_in_figure_one(analysis_set: str) -> tuple[int, int]:
    """Deaths by which patients left the trial, per arm (177Lu-PSMA-617, control); `all` or `pfs`."""
    lu, control = (
        published.value(f"fig1.{arm}.discontinued-trial.died.{analysis_set}") for arm in ("lu", "control")
    )
    return lu, control


def enrolment_plan() -> dict[str, int]:
    """Planned and reached numbers of patients, and the differences between them that explain the plan.

    `early_reached` are those randomized before March 5, 2019; `late_original` is what the
    original total would have left for the analysis set of progression-free survival.
    """
    total, late = published.value("os.n"), published.value("pfs.n")
    original, amended = (published.value(f"methods.sample-size.{when}") for when in ("original", "amended"))
    late_planned = published.value("methods.pfs.n-planned")
    return {
        "added": amended - original,
        "early_planned": amended - late_planned,
        "early_reached": total - late,
        "late_planned": late_planned,
        "late_reached": late,
        "late_original": original - (total - late),
    }


def standard_errors(stem: str, deaths: tuple[int, int]) -> dict[str, float]:
    """Least standard error of a log hazard ratio with these events, and the most its printed interval allows.

    √(1/d₁ + 1/d₀) is a lower bound of the Wald standard error of a two-arm Cox model; the
    widest interval that prints as the paper's gives the upper one.
    """
    low, high = (
        parse(published.printed(f"{stem}.{end}")).interval(exact=False) for end in ("ci-low", "ci-high")
    )
    quantile = stats.norm.ppf(0.5 + published.value(f"{stem}.ci-level") / 200)
    return {
        "least": math.sqrt(sum(1 / d for d in deaths)),
        "most": float(math.log(high.high / low.low) / (2 * quantile)),
    }
