"""Objective response: proportions, odds ratios, exact tests, and what the patients not measured could change.

Everything here is arithmetic on printed counts; no patient is reconstructed. The trial's own test
of response is not repeated: it was stratified, and the responses by stratum are not printed.

References
----------
.. [1] Clopper CJ, Pearson ES. The use of confidence or fiducial limits illustrated in the case of
       the binomial. Biometrika 1934;26:404-13. doi 10.1093/biomet/26.4.404
.. [2] Wilson EB. Probable inference, the law of succession, and statistical inference. J Am Stat
       Assoc 1927;22:209-12. doi 10.1080/01621459.1927.10502953
.. [3] Agresti A. Categorical data analysis. 3rd ed. Wiley; 2013. Sections 3.5 (exact tests and
       limits for a 2 by 2 table) and 3.1 (the empty cell).
.. [4] Boschloo RD. Raised conditional level of significance for the 2 x 2 table when testing the
       equality of two probabilities. Stat Neerl 1970;24:1-9. doi 10.1111/j.1467-9574.1970.tb00104.x
.. [5] Lee DS. Training, wages, and sample selection: estimating sharp bounds on treatment effects.
       Rev Econ Stud 2009;76:1071-102. doi 10.1111/j.1467-937X.2009.00536.x
.. [6] Manski CF. Nonparametric bounds on treatment effects. Am Econ Rev 1990;80(2):319-23.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.stats import contingency
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.proportion import proportion_confint

from visiontrial import design, published
from visiontrial.forensics import Comparison, Share
from visiontrial.printed import parse

ARMS = ("lu", "control")
KINDS = {
    "objective": "Complete or partial response",
    "complete": "Complete response",
    "partial": "Partial response",
}
INTERVALS = {"exact": "beta", "wilson": "wilson"}
"""Our names -> those of `statsmodels.stats.proportion.proportion_confint`."""
ESTIMATORS = {
    "conditional": "conditional maximum likelihood, exact limits",
    "sample": "cross product, Wald limits",
    "half-added": "cross product with one half added to each cell, Wald limits",
}


class ResponseError(ValueError):
    """Counts or settings for which the question has no answer; the message says which and why."""


@dataclass(frozen=True)
class Cells:
    """A two-by-two table: `events` of `n` patients in either arm, 177Lu-PSMA-617 first."""

    events_lu: int
    n_lu: int
    events_control: int
    n_control: int

    def __post_init__(self) -> None:
        for arm in ARMS:
            events, n = getattr(self, f"events_{arm}"), getattr(self, f"n_{arm}")
            if not 0 <= events <= n or not n:
                raise ResponseError(f"{arm}: {events} of {n} patients is no proportion")

    @property
    def array(self) -> np.ndarray:
        """Rows: arms; columns: with and without the event."""
        return np.array(
            [
                [self.events_lu, self.n_lu - self.events_lu],
                [self.events_control, self.n_control - self.events_control],
            ]
        )


# --- counts and proportions -------------------------------------------------------------------


def cells(kind: str) -> Cells:
    """The printed counts of `objective`, `complete` or `partial` response in the patients measured."""
    if kind not in KINDS:
        raise ResponseError(f"kind {kind!r} is unknown here; use one of {', '.join(KINDS)}")
    parts = ("complete", "partial") if kind == "objective" else (kind,)
    events = {arm: sum(_count(part, arm) for part in parts) for arm in ARMS}
    return Cells(
        events["lu"],
        published.value("response.lu.n"),
        events["control"],
        published.value("response.control.n"),
    )


def _count(kind: str, arm: str) -> int:
    short = {"complete": "cr", "partial": "pr"}[kind]
    return int(parse(published.printed(f"response.{short}.{arm}.count")).value)


def proportions(confidence_level: float) -> pd.DataFrame:
    """The printed responses with intervals: one line per kind and arm.

    Columns: `kind`, `label`, `arm`, `count`, `n`, `percent`, and per interval of `INTERVALS` its
    limits in percent: `exact_low`, `exact_high` (Clopper and Pearson [1]_), `wilson_low`,
    `wilson_high` ([2]_).
    """
    lines = []
    for kind, label in KINDS.items():
        table = cells(kind)
        for arm in ARMS:
            count, n = getattr(table, f"events_{arm}"), getattr(table, f"n_{arm}")
            line = {"kind": kind, "label": label, "arm": arm, "count": count, "n": n}
            lines.append(line | _percents(count, n, confidence_level))
    return pd.DataFrame(lines)


def _percents(count: int, n: int, level: float) -> dict[str, float]:
    percents = {"percent": 100 * count / n}
    for name in INTERVALS:
        low, high = interval(count, n, level, name)
        percents |= {f"{name}_low": 100 * low, f"{name}_high": 100 * high}
    return percents


def interval(count: int, n: int, confidence_level: float, name: str) -> tuple[float, float]:
    """Limits of a proportion, `exact` (Clopper and Pearson [1]_) or `wilson` ([2]_)."""
    if name not in INTERVALS:
        raise ResponseError(f"interval {name!r} is unknown here; use one of {', '.join(INTERVALS)}")
    low, high = proportion_confint(count, n, alpha=1 - confidence_level, method=INTERVALS[name])
    return float(low), float(high)


# --- comparing the arms -------------------------------------------------------------------------


@dataclass(frozen=True)
class OddsRatio:
    """An odds ratio of 177Lu-PSMA-617 against control with its limits, and the estimator behind them."""

    ratio: float
    low: float
    high: float
    rule: str


def odds_ratio(table: Cells, confidence_level: float, estimator: str) -> OddsRatio:
    """The odds ratio of a two-by-two table by one of `ESTIMATORS`.

    `conditional`: given all margins, `scipy.stats.contingency.odds_ratio(kind="conditional")`; it
    belongs to Fisher's test and takes an empty cell, where the estimate is 0 or infinite and one
    limit is finite. `sample`: the cross product with Wald limits on the log scale; with an empty
    cell these do not exist (NaN). `half-added`: one half added to each of the four cells first
    (Haldane and Anscombe), which always gives a number and pulls it towards 1. Source: [3]_.
    """
    if estimator not in ESTIMATORS:
        raise ResponseError(f"estimator {estimator!r} is unknown here; use one of {', '.join(ESTIMATORS)}")
    limits = _conditional if estimator == "conditional" else _wald
    shift = 0.5 if estimator == "half-added" else 0
    return OddsRatio(*limits(table.array + shift, confidence_level), ESTIMATORS[estimator])


def _conditional(array: np.ndarray, level: float) -> tuple[float, float, float]:
    result = contingency.odds_ratio(array, kind="conditional")
    limits = result.confidence_interval(level)
    return float(result.statistic), float(limits.low), float(limits.high)


def _wald(array: np.ndarray, level: float) -> tuple[float, float, float]:
    with np.errstate(divide="ignore", invalid="ignore"):  # an empty cell
        # Not shift_zeros: it adds the half to the empty cells alone (statsmodels 0.15).
        table = Table2x2(array, shift_zeros=False)
        ratio, (low, high) = float(table.oddsratio), table.oddsratio_confint(1 - level)
    return (ratio, math.nan, math.nan) if not array.all() else (ratio, float(low), float(high))


def fisher(table: Cells) -> float:
    """The two-sided P value of Fisher's exact test: all tables with these margins that are no likelier."""
    return float(stats.fisher_exact(table.array).pvalue)


def tests(table: Cells) -> pd.Series:
    """Two-sided P values of three tests without strata, by name.

    `Fisher`: exact, given all margins. `Boschloo`: exact without that condition, with Fisher's P
    value as its statistic ([4]_). `Wald`: the chi-square of the log odds ratio over its standard
    error, on one degree of freedom; NaN with an empty cell.
    """
    array = table.array
    wald = Table2x2(array, shift_zeros=False).log_oddsratio_pvalue() if array.all() else math.nan
    return pd.Series(
        {"Fisher": fisher(table), "Boschloo": float(stats.boschloo_exact(array).pvalue), "Wald": float(wald)}
    )


def comparisons(confidence_level: float) -> pd.DataFrame:
    """Odds ratios and tests of each kind of response: one line per kind and estimator.

    Columns: `kind`, `label`, `estimator`, `rule`, `ratio`, `low`, `high`, and the P values of `tests`.
    """
    lines = []
    for kind, label in KINDS.items():
        table = cells(kind)
        p_values = tests(table).to_dict()
        for estimator in ESTIMATORS:
            found = odds_ratio(table, confidence_level, estimator)
            line = {"kind": kind, "label": label, "estimator": estimator, "rule": found.rule}
            lines.append(line | {"ratio": found.ratio, "low": found.low, "high": found.high} | p_values)
    return pd.DataFrame(lines)


# --- the patients measured, and the others --------------------------------------------------------

SETS = {
    "measured": "Measurable at baseline",
    "evaluable": "Evaluable, by the registry",
    "randomized": "All in the analysis set",
}


def set_sizes() -> pd.DataFrame:
    """The patients of each of `SETS`, by arm (columns `lu`, `control`).

    `measured`: printed. `evaluable`: a fact from outside the paper (`data/external/facts.csv`).
    `randomized`: the analysis set of imaging-based progression-free survival, as printed.
    """
    sizes = {
        arm: {
            "measured": published.value(f"response.{arm}.n"),
            "evaluable": int(design.outside_fact(f"registry.response-set.{arm}")[0]),
            "randomized": published.value(f"table1.n.pfs.{arm}"),
        }
        for arm in ARMS
    }
    return pd.DataFrame(sizes).loc[list(SETS)]


def by_set(confidence_level: float) -> pd.DataFrame:
    """The printed responders over the patients of each set: one line per set and arm.

    Columns: `set`, `label`, `arm`, `complete`, `partial`, `count`, `n`, percents as in
    `proportions`. Who was not measured counts as no responder in the wider sets.
    """
    lines = []
    for name, sizes in set_sizes().iterrows():
        for arm in ARMS:
            parts = {kind: _count(kind, arm) for kind in ("complete", "partial")}
            count, n = sum(parts.values()), int(sizes[arm])
            line = {"set": name, "label": SETS[name], "arm": arm} | parts | {"count": count, "n": n}
            lines.append(line | _percents(count, n, confidence_level))
    return pd.DataFrame(lines)


def counts_of_percent(percent: str, n: int) -> tuple[int, int]:
    """The fewest and the most of `n` patients whose share prints as `percent`.

    Raises `ResponseError` where no whole number does.
    """
    hidden = parse(percent).interval(exact=False)
    fewest = math.ceil(hidden.low * n / 100)
    most = min(n, math.ceil(hidden.high * n / 100) - 1)  # the upper end itself would round up
    if fewest > most:
        raise ResponseError(f"no whole number of {n} patients prints as {percent}%")
    return fewest, most


def others(table: Cells, whole: Mapping[str, int]) -> dict[str, int]:
    """The randomized patients of each arm (`whole`) who are not in `table`.

    Raises `ResponseError` where there are fewer randomized than measured.
    """
    rest = {arm: whole[arm] - getattr(table, f"n_{arm}") for arm in ARMS}
    for arm, number in rest.items():
        if number < 0:
            raise ResponseError(
                f"{arm}: {getattr(table, f'n_{arm}')} patients measured of {whole[arm]} cannot be"
            )
    return rest


def bounds(table: Cells, whole: Mapping[str, int]) -> pd.DataFrame:
    """What both arms' shares could be, given what is supposed of the patients who were not measured.

    table  responders among the patients measured
    whole  the randomized patients of each arm (`lu`, `control`)

    One row per supposition (the index), columns `lu_low`, `lu_high`, `control_low`,
    `control_high`, `difference_low`, `difference_high`, in percent and percentage points:

    as measured    the patients measured stand for all
    none           nobody of the others responded
    always         the patients who would be measured in either arm, if whoever was measured in
                   the arm with the smaller share would have been in the other one too: the surplus
                   of the other arm is trimmed from its responders, or from the rest ([5]_)
    anything       the others responded or not, in the worst and the best case ([6]_)

    These are bounds of identification: they hold no sampling error.
    """
    rest = others(table, whole)
    events = {"lu": table.events_lu, "control": table.events_control}
    measured = {"lu": table.n_lu, "control": table.n_control}
    least = min(measured[arm] / whole[arm] for arm in ARMS)
    shares = {
        arm: {
            "as measured": (events[arm] / measured[arm],) * 2,
            "none": (events[arm] / whole[arm],) * 2,
            "always": _trimmed(events[arm], measured[arm], least * whole[arm]),
            "anything": (events[arm] / whole[arm], (events[arm] + rest[arm]) / whole[arm]),
        }
        for arm in ARMS
    }
    rows = {name: _bounded(shares["lu"][name], shares["control"][name]) for name in shares["lu"]}
    return pd.DataFrame(rows).T


def _trimmed(events: int, measured: int, kept: float) -> tuple[float, float]:
    """The least and greatest share of events among `kept` of the `measured`, whoever is left out."""
    return max(0.0, events - (measured - kept)) / kept, min(events, kept) / kept


def _bounded(lu: tuple[float, float], control: tuple[float, float]) -> dict[str, float]:
    shares = {"lu_low": lu[0], "lu_high": lu[1], "control_low": control[0], "control_high": control[1]}
    shares |= {"difference_low": lu[0] - control[1], "difference_high": lu[1] - control[0]}
    return {name: 100 * share for name, share in shares.items()}


def tipping(table: Cells, whole: Mapping[str, int], alpha: float) -> pd.DataFrame:
    """How many of the patients not measured would have had to respond to undo the difference.

    One line per number `lu` of responders among the unmeasured of the 177Lu-PSMA-617 arm: `equal`,
    the number in the control arm (not whole) at which both arms respond alike, and `lost`, the
    least number at which Fisher's two-sided P value exceeds `alpha`. The lines end where the
    control arm has not so many unmeasured patients.
    """
    lines = []
    lost: int | None = 0
    for lu in range(others(table, whole)["lu"] + 1):
        # More responders in the one arm never call for fewer in the other: go on from there.
        lost = _lost(table, whole, lu, lost, alpha)
        if lost is None:
            break
        equal = (table.events_lu + lu) / whole["lu"] * whole["control"] - table.events_control
        lines.append({"lu": lu, "equal": equal, "lost": lost})
    return pd.DataFrame(lines, columns=["lu", "equal", "lost"])


def _lost(table: Cells, whole: Mapping[str, int], lu: int, start: int, alpha: float) -> int | None:
    for control in range(start, others(table, whole)["control"] + 1):
        if fisher(supposed(table, whole, lu, control)) > alpha:
            return control
    return None


def supposed(table: Cells, whole: Mapping[str, int], lu: int, control: int) -> Cells:
    """All randomized patients, if so many of the unmeasured had responded in either arm."""
    return Cells(table.events_lu + lu, whole["lu"], table.events_control + control, whole["control"])


def stages() -> pd.DataFrame:
    """Where the arms part on the way from randomized to measured: one line per stage.

    Columns: `part` and `whole` (names in `SETS`), per arm `<arm>_part`, `<arm>_whole` and
    `<arm>_percent`, and `errors`, the standard errors between the arms (`forensics.Comparison`).
    """
    sizes = set_sizes()
    ways = [("evaluable", "randomized"), ("measured", "evaluable"), ("measured", "randomized")]
    return pd.DataFrame([_stage(sizes, part, whole) for part, whole in ways])


def _stage(sizes: pd.DataFrame, part: str, whole: str) -> dict[str, str | float]:
    shares = [Share(arm, sizes.at[part, arm], sizes.at[whole, arm], ()) for arm in ARMS]
    line = {"part": part, "whole": whole}
    for share in shares:
        line |= {
            f"{share.name}_part": int(share.part),
            f"{share.name}_whole": int(share.whole),
            f"{share.name}_percent": 100 * share.value,
        }
    return line | {"errors": Comparison("arms", SETS[part], SETS[whole], *shares, "", "").errors}
