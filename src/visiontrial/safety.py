"""Table 2: adverse events by arm and grade, how the arms differ, and what time under treatment leaves open.

Everything here is arithmetic on printed numbers; no patient is reconstructed. Intervals are
those of two independent proportions. They describe sampling error alone: not the open
label, and not the longer time for which one arm was watched.

References
----------
.. [1] Newcombe RG. Interval estimation for the difference between independent proportions:
       comparison of eleven methods. Stat Med 1998;17:873-90.
.. [2] Koopman PAR. Confidence intervals for the ratio of two binomial proportions.
       Biometrics 1984;40:513-7. doi 10.2307/2531405
.. [3] Zou GY, Donner A. Construction of confidence limits about effect measures: a general
       approach. Stat Med 2008;27:1693-702. doi 10.1002/sim.3095
.. [4] Unkel S, Amiri M, Benda N, et al. On estimands and the analysis of adverse events in
       the presence of varying follow-up times. Pharm Stat 2019;18:166-83. doi 10.1002/pst.1915
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from visiontrial import published
from visiontrial.baseline import count_behind
from visiontrial.printed import Interval, parse

ARMS = ("lu", "control")
GRADES = {"all-grades": "All grades", "grade-1-2": "Grade 1 or 2", "grade-3": "Grade ≥3"}
"""The name of a column in a claim id; `grade-1-2` is ours, by subtraction."""
DIFFERENCE_METHODS = ("newcomb", "agresti-caffo")
"""Without `score`: its search for the limits (statsmodels 0.15) breaks down near empty cells."""
RATIO_METHODS = ("score", "log-adjusted")
MONTHS_PER_YEAR = 12
DAYS_PER_MONTH = 30.4375

_CELL = re.compile(r"table2\.(?P<event>[a-z-]+)\.(?P<arm>lu|control)\.(?P<grade>all-grades|grade-3)\.count")


class SafetyError(ValueError):
    """Counts or settings for which the question has no answer; the message says which and why."""


# --- counts ------------------------------------------------------------------------------


def counts() -> pd.DataFrame:
    """Table 2, one line per printed cell, in the paper's order, and grade 1 or 2 by subtraction.

    Columns: `event`, `label`, `kind` (`any`; `listed`: a kind of event; `led-to`: what events
    led to), `arm`, `grade`, `count`, `n`, `percent` (of `n`, unrounded). A cell that the paper
    gives as not applicable has no line.
    """
    both = pd.DataFrame(_printed_lines())
    table = pd.concat([both, subtract(both)], ignore_index=True)
    return table.assign(percent=100 * table["count"] / table["n"])


def subtract(both: pd.DataFrame) -> pd.DataFrame:
    """The patients whose worst grade was 1 or 2: those with any grade less those with grade 3 or more.

    A patient counts once in each column, at his worst grade of that event; so the two columns
    are nested and their difference counts patients, not events. `both` has the columns
    `event`, `arm`, `grade`, `count` (others are carried along). Raises `SafetyError` where
    more patients have grade 3 or more than have any.
    """
    keys = ["event", "arm"]
    whole = both[both["grade"] == "all-grades"].set_index(keys)
    severe = both[both["grade"] == "grade-3"].set_index(keys).loc[whole.index]
    count = whole["count"] - severe["count"]
    if (count < 0).any():
        event, arm = count.idxmin()
        raise SafetyError(
            f"{event}, {arm}: {severe.at[(event, arm), 'count']} patients with grade 3 or more cannot be "
            f"among {whole.at[(event, arm), 'count']} with any grade"
        )
    return whole.assign(grade="grade-1-2", count=count).reset_index()[list(both.columns)]


def _printed_lines() -> Iterator[dict]:
    for row in published.claims().itertuples():
        if cell := _CELL.fullmatch(row.claim_id):
            yield {
                "event": cell["event"],
                "label": row.item,
                "kind": _kind(cell["event"], row.item),
                "arm": cell["arm"],
                "grade": cell["grade"],
                "count": published.value(row.claim_id),
                "n": published.value(f"table2.n.{cell['arm']}"),
            }


def _kind(event: str, label: str) -> str:
    if event == "any":
        return "any"
    return "led-to" if label.startswith("Led to") else "listed"


def size(table: pd.DataFrame, arm: str) -> int:
    """How many patients of one arm are in the safety set."""
    return int(table.loc[table["arm"] == arm, "n"].iloc[0])


def printed_percents(table: pd.DataFrame) -> dict[str, float]:
    """Claim id -> the percent recomputed from its count, for every percent in the body of Table 2."""
    return {f"{stem}.percent": 100 * line.count / line.n for stem, line in _cells_with_percent(table)}


def printed_counts(table: pd.DataFrame) -> dict[str, int]:
    """Claim id -> the only count that prints as its percent, for every percent in the body of Table 2."""
    return {
        f"{stem}.count": count_behind(published.printed(f"{stem}.percent"), line.n)
        for stem, line in _cells_with_percent(table)
    }


def _cells_with_percent(table: pd.DataFrame) -> Iterator[tuple[str, tuple]]:
    known = set(published.claims()["claim_id"])
    for line in table.itertuples():
        stem = f"table2.{line.event}.{line.arm}.{line.grade}"
        if f"{stem}.percent" in known:
            yield stem, line


# --- who is counted ------------------------------------------------------------------------


def denominators() -> pd.DataFrame:
    """From randomized patients to the safety set, by arm: one column per arm and `both`.

    Rows: `randomized`, `untreated` (received nothing), `moved` (assigned to one arm, counted
    in the other), `analysed`. Counts come from Figure 1; `analysed` is their sum.
    """
    lu, control = (published.value(f"fig1.{arm}.assigned.all") for arm in ARMS)
    nothing = {arm: published.value(f"fig1.{arm}.no-standard-care.all") for arm in ARMS}
    moved = published.value("fig1.lu.no-lu.all") - nothing["lu"]
    table = pd.DataFrame(
        {
            "lu": {"randomized": lu, "untreated": -nothing["lu"], "moved": -moved},
            "control": {"randomized": control, "untreated": -nothing["control"], "moved": moved},
        }
    )
    table.loc["analysed"] = table.sum()
    return table.assign(both=table.sum(axis=1))


def without_moved(table: pd.DataFrame, moved: int) -> pd.DataFrame:
    """The control arm's percents if the `moved` patients were taken out, whatever events they had.

    Adds `n_least`, `percent_low` and `percent_high` to the control arm's lines of `table`:
    all of the moved patients with the event, or none.
    """
    control = table[table["arm"] == "control"]
    n = control["n"] - moved
    fewest, most = (control["count"] - moved).clip(lower=0), control["count"].clip(upper=n)
    return control.assign(n_least=n, percent_low=100 * fewest / n, percent_high=100 * most / n)


def beyond_the_list(table: pd.DataFrame) -> pd.DataFrame:
    """How many patients had events of kinds that Table 2 does not list, at least: one line per arm and grade.

    Nobody is counted twice in a row, so the listed rows of a column together count each
    patient at least once: whoever is left over when their sum is taken from the row of any
    event had unlisted kinds only. `kinds_per_patient` is the mean number of listed kinds.
    """
    lines = []
    printed = table[table["grade"] != "grade-1-2"]
    for (arm, grade), column in printed.groupby(["arm", "grade"], sort=False):
        any_event = int(column.loc[column["kind"] == "any", "count"].iloc[0])
        listed, n = int(column.loc[column["kind"] == "listed", "count"].sum()), int(column["n"].iloc[0])
        lines.append(
            {
                "arm": arm,
                "grade": grade,
                "any": any_event,
                "listed_sum": listed,
                "only_unlisted": max(0, any_event - listed),
                "kinds_per_patient": listed / n,
            }
        )
    return pd.DataFrame(lines).set_index(["arm", "grade"])


def most_unlisted(threshold: float, n: int) -> int:
    """The greatest number of `n` patients who can have an event that does not exceed `threshold` percent."""
    return math.floor(Fraction(str(threshold)) * n / 100)


# --- comparing the arms ----------------------------------------------------------------------


def comparisons(
    table: pd.DataFrame, confidence_level: float, difference_method: str, ratio_method: str
) -> pd.DataFrame:
    """Risk difference (percentage points) and risk ratio with intervals, for every cell that both arms have.

    Columns: `event`, `label`, `kind`, `grade`, `count_*`, `n_*`, `percent_*` by arm;
    `difference`, `ratio` (177Lu-PSMA-617 against control) and each with `_low` and `_high`.
    Methods as in `risk_difference` and `risk_ratio`.
    """
    keys = ["event", "label", "kind", "grade"]
    wide = table.pivot(index=keys, columns="arm", values=["count", "n", "percent"]).dropna()
    wide.columns = [f"{value}_{arm}" for value, arm in wide.columns]
    order = [key for key in table.set_index(keys).index.unique() if key in wide.index]
    wide = wide.loc[order].astype({c: int for c in wide if not c.startswith("percent")}).reset_index()
    lines = [_compared(row, confidence_level, difference_method, ratio_method) for row in wide.itertuples()]
    return pd.concat([wide, pd.DataFrame(lines)], axis=1)


def _compared(row, level: float, difference_method: str, ratio_method: str) -> dict[str, float]:
    cells = (row.count_lu, row.n_lu, row.count_control, row.n_control)
    difference = risk_difference(*cells, level, difference_method)
    ratio = risk_ratio(*cells, level, ratio_method)
    names = ("", "_low", "_high")
    return {f"difference{n}": 100 * v for n, v in zip(names, difference, strict=True)} | {
        f"ratio{n}": v for n, v in zip(names, ratio, strict=True)
    }


Estimate = tuple[float, float, float]
"""An estimate with the lower and upper limit of its interval."""


def risk_difference(
    count1: int, n1: int, count0: int, n0: int, confidence_level: float, method: str
) -> Estimate:
    """The difference of two proportions, first minus second, with its interval.

    `statsmodels.stats.proportion.confint_proportions_2indep(compare="diff")` by `method`:
    `newcomb` (hybrid of two Wilson intervals, number 10 of Newcombe 1998 [1]_) or
    `agresti-caffo` (one event and one non-event added to each group). Both keep a width where
    nobody has the event.
    """
    _known(method, DIFFERENCE_METHODS)
    low, high = confint_proportions_2indep(
        count1, n1, count0, n0, method=method, compare="diff", alpha=1 - confidence_level
    )
    return count1 / n1 - count0 / n0, float(low), float(high)


def risk_ratio(count1: int, n1: int, count0: int, n0: int, confidence_level: float, method: str) -> Estimate:
    """The ratio of two proportions, first over second, with its interval.

    `statsmodels.stats.proportion.confint_proportions_2indep(compare="ratio")` by `method`:
    `score` (Koopman 1984 [2]_, with the correction N/(N - 1)) or `log-adjusted` (half an event
    added to each arm, for the limits only). 0 over 0 is no number and is bounded by nothing.
    Raises `SafetyError` for `score` where everybody in the second group has the event: the
    call has no real answer there.
    """
    _known(method, RATIO_METHODS)
    if count1 == count0 == 0:
        return math.nan, 0.0, math.inf
    if method == "score" and count0 == n0:
        raise SafetyError(f"all {n0} of the second group have the event: use method 'log-adjusted'")
    with np.errstate(divide="ignore"):  # an empty second group: the upper limit is infinite
        low, high = confint_proportions_2indep(
            count1, n1, count0, n0, method=method, compare="ratio", alpha=1 - confidence_level
        )
    estimate = (count1 / n1) / (count0 / n0) if count0 else math.inf
    return estimate, float(low), float(high)


def _known(method: str, methods: tuple[str, ...]) -> None:
    if method not in methods:
        raise SafetyError(f"method {method!r} is unknown here; use one of {', '.join(methods)}")


# --- time under treatment ----------------------------------------------------------------------


def person_time(n: int, median: str, low: str, high: str) -> Interval:
    """The least and greatest sum of `n` times that have this median and range, as printed.

    Half of the times lie between the shortest and the median, half between the median and the
    longest: the sum is least when all others huddle at the lower end of their half, greatest
    when they huddle at the upper one. Rounding of the printed numbers is carried through.
    Raises `SafetyError` for fewer than three times, or a median outside the range.
    """
    shortest, middle, longest = (parse(text).interval(exact=False) for text in (low, median, high))
    if n < 3:
        raise SafetyError(f"{n} times: a median and a range bound a sum from three times on")
    if middle.high < shortest.low or middle.low > longest.high:
        raise SafetyError(f"a median of {median} lies outside the range of {low} to {high}")
    centre, outer = n // 2, (n - 1) // 2  # the extremes themselves are among neither
    return Interval(
        outer * shortest.low + centre * middle.low + longest.low,
        shortest.high + centre * middle.high + outer * longest.high,
    )


def exposure(stem: str, n: int) -> Interval:
    """Bounds of the total exposure in person-years; `stem` names the claims, as `exposure.lu.duration`."""
    parts = (published.printed(f"{stem}.{part}") for part in ("median", "low", "high"))
    return person_time(n, *parts).scaled(Fraction(1, MONTHS_PER_YEAR))


def treatment_time(table: pd.DataFrame) -> dict[str, Interval]:
    """Bounds of the person-years on standard care, the exposure that the paper gives for both arms."""
    return {arm: exposure(f"exposure.standard-care.{arm}.duration", size(table, arm)) for arm in ARMS}


def rates(table: pd.DataFrame, time: dict[str, Interval]) -> pd.DataFrame:
    """Bounds of patients with an event per 100 person-years of treatment, and of the ratio of these rates.

    A crude rate: every patient counts once, all his time under treatment counts, also the
    time after his first event. It is not the incidence of first events, whose denominator
    ends at the event (Unkel 2019 [4]_), and it leaves out the days after the last dose.

    Columns: `event`, `label`, `grade`, `count_*`, `rate_*_low`, `rate_*_high` by arm,
    `ratio_low`, `ratio_high` (177Lu-PSMA-617 over control), and `identified`: whether all
    ratios within the bounds lie on one side of 1.
    """
    keys = ["event", "label", "grade"]
    wide = table.pivot(index=keys, columns="arm", values="count").dropna()
    order = [key for key in table.set_index(keys).index.unique() if key in wide.index]
    lines = [_rate_line(key, wide.loc[key], time) for key in order if wide.loc[key].all()]
    return pd.DataFrame(lines)


def _rate_line(key: tuple, count: pd.Series, time: dict[str, Interval]) -> dict:
    line = dict(zip(("event", "label", "grade"), key, strict=True))
    bounds = {}
    for arm in ARMS:
        bounds[arm] = Interval.point(100 * int(count[arm])).over(time[arm])
        line |= {
            f"count_{arm}": int(count[arm]),
            f"rate_{arm}_low": float(bounds[arm].low),
            f"rate_{arm}_high": float(bounds[arm].high),
        }
    ratio = bounds["lu"].over(bounds["control"])
    low, high = float(ratio.low), float(ratio.high)
    return line | {"ratio_low": low, "ratio_high": high, "identified": low > 1 or high < 1}


def cumulative_hazard_ratio(count1: int, n1: int, count0: int, n0: int, confidence_level: float) -> Estimate:
    """log(1 - p1) / log(1 - p0): how many times longer the first group was watched, if the hazard was one.

    If every patient runs the same constant hazard, and all patients of a group are watched
    equally long, p = 1 - exp(-hazard × time), and this is the ratio of the two times that by
    itself makes p1 out of p0. Limits: square-and-add (Zou and Donner 2008 [3]_) on the log
    scale, from the Wilson interval of each proportion; not a number where a proportion is 0 or 1.
    """
    if 0 in (count1, count0) or count1 == n1 or count0 == n0:
        return math.nan, math.nan, math.nan
    first, first_low, first_high = _log_hazard(count1, n1, confidence_level)
    second, second_low, second_high = _log_hazard(count0, n0, confidence_level)
    middle = first - second
    low = middle - math.hypot(first - first_low, second_high - second)
    high = middle + math.hypot(first_high - first, second - second_low)
    return math.exp(middle), math.exp(low), math.exp(high)


def _log_hazard(count: int, n: int, level: float) -> Estimate:
    limits = proportion_confint(count, n, alpha=1 - level, method="wilson")
    return tuple(math.log(-math.log1p(-p)) for p in (count / n, *limits))


def odds_ratio(count1: int, n1: int, count0: int, n0: int) -> float:
    """p1(1 - p0) / (p0(1 - p1)): the same ratio of (mean) times, if they are spread exponentially.

    A constant hazard met by an exponentially distributed time gives p = m / (1 + m), where m is
    hazard × mean time; so the odds are m. Not a number where a proportion is 0 or 1.
    """
    if 0 in (count1, count0) or count1 == n1 or count0 == n0:
        return math.nan
    return (count1 / (n1 - count1)) / (count0 / (n0 - count0))


def tipping(compared: pd.DataFrame, confidence_level: float) -> pd.DataFrame:
    """The ratio of times under observation at which time alone explains each difference between the arms.

    `compared` is `comparisons(...)`. Columns: `event`, `label`, `kind`, `grade`, `percent_lu`,
    `percent_control`, `equal` with `equal_low` and `equal_high` (`cumulative_hazard_ratio`), and
    `spread` (`odds_ratio`). Rows without an answer (nobody, or everybody, in an arm) are left out.
    """
    lines = []
    for row in compared.itertuples():
        cells = (row.count_lu, row.n_lu, row.count_control, row.n_control)
        equal, low, high = cumulative_hazard_ratio(*cells, confidence_level)
        lines.append({"equal": equal, "equal_low": low, "equal_high": high, "spread": odds_ratio(*cells)})
    kept = ["event", "label", "kind", "grade", "percent_lu", "percent_control"]
    return pd.concat([compared[kept], pd.DataFrame(lines)], axis=1).dropna().reset_index(drop=True)


def ratio_of_medians(window_days: float = 0) -> Interval:
    """The ratio of the arms' median times on standard care, rounding carried through.

    With `window_days`, those days are added to both medians: events count for some time after
    the last dose. (Exact when everybody is watched for the whole window: a sum of a time and a
    constant has the sum as its median.)
    """
    window = Interval.point(Fraction(window_days) / Fraction(str(DAYS_PER_MONTH)))
    medians = (published.printed(f"exposure.standard-care.{arm}.duration.median") for arm in ARMS)
    lu, control = (parse(median).interval(exact=False) + window for median in medians)
    return lu.over(control)


def activity_left(days: float, half_life: float) -> float:
    """The share of a radionuclide that has not yet decayed after `days` (physical decay alone)."""
    return 2 ** (-days / half_life)
