"""Two-arm survival statistics on whole days, compiled: for the search, which needs millions of fits.

No number that the book reports comes from here. The search uses this module because
lifelines takes hundreds of milliseconds for what it needs ten thousand times a second; the
tests prove it equal to lifelines, statsmodels and R.

A stratified two-arm analysis is a short table of *event records*: one per stratum and day
with at least one event, while both arms are at risk. Everything else (Cox, log-rank) is a
sum over these records, in which the stratum no longer matters.

Conventions: `day` holds positive whole days, `event` is true for an event, `arm` is 0 or 1,
`stratum` runs from 0 (gaps are allowed). On one day events come before censorings. Ties in the
Cox model by Efron or Breslow. The median is the first day with a Kaplan-Meier estimate of at
most one half; its limits are the first days at which the limits of the curve are, by the
log-log transform of Greenwood's variance.

Two known differences from other programs, both in the median:

- The curve lies exactly on one half. R takes the middle of that flat piece. lifelines takes its
  beginning, as here, but compares exp of a sum of logarithms with one half: for 6, 8, 14 or 18
  uncensored patients it finds a little more and takes its end. Here one half has room for rounding.
- The curve ends at zero. Greenwood's variance does not exist there. R gives no limits at that
  day. lifelines sets both limits of the curve to zero, so that the upper limit of the median
  becomes the last day. Here the lower limit, which lies below the curve, has come down by that
  day; the upper limit is not known to, and is infinite.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

HALF = 0.5 + 1e-9
"""One half, with room for the rounding of a product of fractions."""

MAXIMUM_STEPS = 50
DIVERGED = 20.0
LARGEST_NUMBER = 10_000_000
"""The counting sorts keep one place for each day and stratum; a timestamp would exhaust the memory."""


class CoxFit(NamedTuple):
    """Log hazard ratio of arm 1 against arm 0 and its standard error; NaN where there is no maximum."""

    log_hazard_ratio: float
    standard_error: float


class LogRank(NamedTuple):
    """Observed minus expected events in arm 1, its hypergeometric variance, chi-square (one degree)."""

    observed_minus_expected: float
    variance: float
    chi_square: float


class Median(NamedTuple):
    """The median survival time and its limits in days; infinite where a curve stays above one half."""

    median: float
    low: float
    high: float


def cox(day, event, arm, stratum, *, ties: str = "efron") -> CoxFit:
    """Stratified two-arm Cox model.

    Arrays of length n as in the module's conventions. Returns NaN for both values when the
    likelihood has no maximum (no events, one arm only, all events in one arm, in each case
    among the days on which both arms are at risk). Raises `ValueError` for unknown `ties` and,
    as all functions here, for columns of unequal length or with values outside the conventions.
    """
    if ties not in ("efron", "breslow"):
        raise ValueError(f"ties must be 'efron' or 'breslow', not {ties!r}")
    return CoxFit(*fit_cox(_records(day, event, arm, stratum), 0.0, ties == "efron"))


def log_rank(day, event, arm, stratum) -> LogRank:
    """Stratified two-arm log-rank test; chi-square is NaN where the variance is zero."""
    observed, variance = _log_rank(_records(day, event, arm, stratum))
    return LogRank(observed, variance, observed**2 / variance if variance > 0 else math.nan)


def median(day, event, *, z: float = 1.959963984540054) -> Median:
    """Kaplan-Meier median with log-log limits; `z` is the normal quantile of the level."""
    day, last_day = _whole_numbers("day", day, 1, LARGEST_NUMBER)
    event = _whole_numbers("event", event, 0, 1)[0].astype(np.bool_)
    _require_equal_lengths(day=day, event=event)
    return Median(*median_with_limits(*count_by_day(day, event, last_day), z))


def _records(day, event, arm, stratum) -> np.ndarray:
    day, last_day = _whole_numbers("day", day, 1, LARGEST_NUMBER)
    event = _whole_numbers("event", event, 0, 1)[0].astype(np.bool_)
    arm, _ = _whole_numbers("arm", arm, 0, 1)
    stratum, last_stratum = _whole_numbers("stratum", stratum, 0, LARGEST_NUMBER)
    _require_equal_lengths(day=day, event=event, arm=arm, stratum=stratum)
    order = sort_rows(day, stratum, last_day, last_stratum + 1)
    records = np.empty((np.count_nonzero(event), 4))
    return records[: tabulate_events(order, day, event, arm, stratum, records)]


def _whole_numbers(name, values, low, high) -> tuple[np.ndarray, int]:
    """A column of whole numbers from `low` to `high`, and the largest of them (0 for an empty column)."""
    given = np.asarray(values)
    if given.ndim != 1:
        raise ValueError(f"{name} must be one column, not an array of shape {given.shape}")
    if given.dtype.kind not in "biu" and given.size:
        raise ValueError(
            f"{name} must hold whole numbers (or true and false), not values of type {given.dtype}; "
            "fill in missing values and convert it, for instance with .astype(int)"
        )
    numbers = given.astype(np.int64, copy=False)
    smallest, largest = _extremes(numbers)
    if numbers.size and not low <= smallest <= largest <= high:
        wrong = smallest if smallest < low else largest
        row = int(np.flatnonzero(numbers == wrong)[0])
        raise ValueError(f"{name} must lie between {low} and {high}, but is {wrong} in row {row} (from 0)")
    return numbers, largest


def _require_equal_lengths(**columns: np.ndarray) -> None:
    sizes = {name: column.size for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"the columns must be equally long, but their lengths are {sizes}")


@njit(cache=True, nogil=True)
def _extremes(numbers):
    """The smallest and the largest number; 0 and 0 of none."""
    if numbers.size == 0:
        return 0, 0
    smallest = largest = numbers[0]
    for number in numbers:
        smallest = min(smallest, number)
        largest = max(largest, number)
    return smallest, largest


@njit(cache=True, nogil=True)
def sort_rows(day, stratum, last_day, strata):
    """Rows by stratum, within it by day from last to first: two counting sorts, linear in the rows."""
    by_day = _counting_sort(np.arange(day.size), last_day - day, last_day + 1)
    return _counting_sort(by_day, stratum[by_day], strata)


@njit(cache=True, nogil=True)
def _counting_sort(rows, key, keys):
    """`rows` in the order of their `key`, which runs from 0 to `keys` - 1; equal keys keep their order."""
    place = np.zeros(keys + 1, np.int64)
    for k in key:
        place[k + 1] += 1
    place = np.cumsum(place)
    out = np.empty(rows.size, np.int64)
    for position in range(rows.size):
        k = key[position]
        out[place[k]] = rows[position]
        place[k] += 1
    return out


@njit(cache=True, nogil=True)
def tabulate_events(order, day, event, arm, stratum, records):
    """Fill `records` (at risk in arm 0, in arm 1, events, events in arm 1); return how many there are.

    `order` as from `sort_rows`. Days on which one arm only is at risk say nothing of the ratio
    and are left out.
    """
    n = order.size
    filled = 0
    position = 0
    last_stratum = -1
    at_risk_0 = 0.0
    at_risk_1 = 0.0
    while position < n:
        row = order[position]
        this_day = day[row]
        this_stratum = stratum[row]
        if this_stratum != last_stratum:
            at_risk_0 = 0.0
            at_risk_1 = 0.0
            last_stratum = this_stratum
        events = 0.0
        events_1 = 0.0
        while position < n:
            row = order[position]
            if day[row] != this_day or stratum[row] != this_stratum:
                break
            in_arm_1 = arm[row]
            at_risk_1 += in_arm_1
            at_risk_0 += 1 - in_arm_1
            if event[row]:
                events += 1.0
                events_1 += in_arm_1
            position += 1
        if events > 0 and at_risk_0 > 0 and at_risk_1 > 0:
            records[filled, 0] = at_risk_0
            records[filled, 1] = at_risk_1
            records[filled, 2] = events
            records[filled, 3] = events_1
            filled += 1
    return filled


@njit(cache=True, nogil=True)
def score_and_information(records, log_hazard_ratio, efron):
    """First derivative and minus the second derivative of the log partial likelihood."""
    ratio = math.exp(log_hazard_ratio)
    score = 0.0
    information = 0.0
    for line in range(records.shape[0]):
        weight_0 = records[line, 0]
        weight_1 = records[line, 1] * ratio
        events = records[line, 2]
        score += records[line, 3]
        if events == 1.0:
            share = weight_1 / (weight_0 + weight_1)
            score -= share
            information += share * (1.0 - share)
        elif not efron:
            share = weight_1 / (weight_0 + weight_1)
            score -= events * share
            information += events * share * (1.0 - share)
        else:
            tied_0 = events - records[line, 3]
            tied_1 = records[line, 3] * ratio
            for tie in range(int(events)):
                gone = tie / events
                left_1 = weight_1 - gone * tied_1
                share = left_1 / (weight_0 - gone * tied_0 + left_1)
                score -= share
                information += share * (1.0 - share)
    return score, information


@njit(cache=True, nogil=True)
def fit_cox(records, start, efron, tolerance=1e-11):
    """Newton's method from `start`; (NaN, NaN) where the likelihood has no maximum."""
    value = start
    for _ in range(MAXIMUM_STEPS):
        score, information = score_and_information(records, value, efron)
        if information <= 0.0:
            break
        step = score / information
        # The likelihood is concave; a shortened step keeps Newton from leaping over its top.
        value += min(max(step, -1.0), 1.0)
        if abs(value) > DIVERGED:
            break
        if abs(step) < tolerance:
            return value, 1.0 / math.sqrt(information)
    return math.nan, math.nan


@njit(cache=True, nogil=True)
def _log_rank(records):
    difference = 0.0
    variance = 0.0
    for line in range(records.shape[0]):
        at_risk_0, at_risk_1, events, events_1 = records[line]
        at_risk = at_risk_0 + at_risk_1  # at least 2: both arms are at risk in every record
        share = at_risk_1 / at_risk
        difference += events_1 - events * share
        variance += events * share * (1.0 - share) * (at_risk - events) / (at_risk - 1.0)
    return difference, variance


@njit(cache=True, nogil=True)
def count_by_day(day, event, last_day):
    """Events and all removals (events and censorings) on each day from 0 to `last_day`."""
    events = np.zeros(last_day + 1, np.int64)
    removed = np.zeros(last_day + 1, np.int64)
    for row in range(day.size):
        removed[day[row]] += 1
        if event[row]:
            events[day[row]] += 1
    return events, removed


@njit(cache=True, nogil=True)
def median_with_limits(events, removed, z):
    """Median and limits in days from counts by day; infinite where a curve stays above one half."""
    at_risk = removed.sum()
    survival = 1.0
    greenwood = 0.0
    median, low, high = math.inf, math.inf, math.inf
    for day in range(events.size):
        if events[day]:
            survival *= 1.0 - events[day] / at_risk
            if survival <= HALF and median == math.inf:
                median = day
            if survival <= 0.0:
                # Greenwood's variance does not exist where nobody is left; the curve itself decides.
                low = min(low, day)
                break
            greenwood += events[day] / (at_risk * (at_risk - events[day]))
            cumulative = -math.log(survival)
            factor = math.exp(z * math.sqrt(greenwood) / cumulative)
            if low == math.inf and math.exp(-cumulative * factor) <= HALF:
                low = day
            if high == math.inf and math.exp(-cumulative / factor) <= HALF:
                high = day
                break
        at_risk -= removed[day]
    return median, low, high


@njit(cache=True, nogil=True)
def survival_at(events, removed, at):
    """The Kaplan-Meier estimate at the end of day `at`."""
    at_risk = removed.sum()
    survival = 1.0
    for day in range(min(at + 1, events.size)):
        if events[day]:
            survival *= 1.0 - events[day] / at_risk
        at_risk -= removed[day]
    return survival
