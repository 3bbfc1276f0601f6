"""How far the rows of a cohort are from what the paper prints, kept up to date row by row.

Each analysis (an end point in a population) keeps its rows sorted by stratum and day, and
counts of events and removals by day and arm. A change of one row moves one entry; the
statistics are then computed by `kernel` from scratch, so that no error can build up.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from visiontrial.cohort.kernel import fit_cox, median_with_limits, sort_rows, survival_at, tabulate_events
from visiontrial.cohort.problem import (
    BOTH_ARMS,
    EVENTS,
    FOLLOWUP,
    FOLLOWUP_HIGH,
    FOLLOWUP_LOW,
    MEDIAN_HIGH,
    MEDIAN_LOW,
    RATIO,
    RATIO_HIGH,
    RATIO_LOW,
    SURVIVAL,
    TIME_TO_CUTOFF,
    Problem,
)  # fmt: skip

SEARCHING, FINAL = 1e-5, 1e-11
"""Last step of Newton's method: its square bounds what remains, so the search may stop early."""

FARTHEST = 60.0
"""Distances are capped, so that a statistic that does not exist yet pulls but does not blind."""


class Tables(NamedTuple):
    """Working memory of the analyses (A of them, n patients, D days).

    `order` (A, n), `start` (A, strata + 1), `events`, `removed` (A, 2, D), `estimate` (A): the
    last log hazard ratio, from which the next fit starts; `tolerance` (1); `value` (T): the statistics,
    in days where they are times; `distance` (A): how far its targets are from their intervals, in
    widths of these; `records`: scratch.
    """

    order: np.ndarray
    start: np.ndarray
    events: np.ndarray
    removed: np.ndarray
    estimate: np.ndarray
    tolerance: np.ndarray
    value: np.ndarray
    distance: np.ndarray
    records: np.ndarray
    needs_order: np.ndarray


def allocate(problem: Problem, strata: int, days: int) -> Tables:
    """Empty tables for a problem."""
    analyses, n = problem.member.shape
    ratio = np.isin(problem.statistic, (RATIO, RATIO_LOW, RATIO_HIGH))
    return Tables(
        order=np.zeros((analyses, n), dtype=np.int64),
        start=np.zeros((analyses, strata + 1), dtype=np.int64),
        events=np.zeros((analyses, 2, days + 2), dtype=np.int64),
        removed=np.zeros((analyses, 2, days + 2), dtype=np.int64),
        estimate=np.zeros(analyses),
        tolerance=np.array([SEARCHING]),
        value=np.zeros(problem.statistic.size),
        distance=np.zeros(analyses),
        records=np.zeros((n, 4)),
        needs_order=np.array([bool(ratio[problem.analysis == a].any()) for a in range(analyses)]),
    )


@njit(cache=True, nogil=True)
def rebuild(p, s, t, first, last):
    """Fill and measure the analyses of the end points from `first` to before `last`."""
    strata = t.start.shape[1] - 1
    last_day = t.events.shape[2] - 1
    for a in range(p.endpoint.size):
        k = p.endpoint[a]
        if k < first or k >= last:
            continue
        t.events[a] = 0
        t.removed[a] = 0
        for i in range(p.arm.size):
            if p.member[a, i]:
                t.removed[a, p.arm[i], s.day[k, i]] += 1
                t.events[a, p.arm[i], s.day[k, i]] += s.event[k, i]
        if t.needs_order[a]:
            rows = np.flatnonzero(p.member[a])
            order = rows[sort_rows(s.day[k][rows], s.stratum[rows], last_day, strata)]
            t.order[a, : order.size] = order
            t.start[a] = 0
            for i in order:
                t.start[a, s.stratum[i] + 1] += 1
            t.start[a] = np.cumsum(t.start[a])
        measure(p, s, t, a)


@njit(cache=True, nogil=True)
def move_row(p, s, t, a, i, old_day, old_event, old_stratum, day, event, stratum):
    """Bring analysis a up to date with a change of patient i; `measure` is called afterwards."""
    arm = p.arm[i]
    t.removed[a, arm, old_day] -= 1
    t.removed[a, arm, day] += 1
    t.events[a, arm, old_day] -= old_event
    t.events[a, arm, day] += event
    if t.needs_order[a] and (old_day != day or old_stratum != stratum):
        _reorder(p, s, t, a, i, old_stratum, day, stratum)


@njit(cache=True, nogil=True)
def _reorder(p, s, t, a, i, old_stratum, day, stratum):
    days = s.day[p.endpoint[a]]
    order = t.order[a]
    start = t.start[a]
    position = start[old_stratum]
    while order[position] != i:
        position += 1
    last = start[start.size - 1] - 1
    for q in range(position, last):
        order[q] = order[q + 1]
    for u in range(old_stratum + 1, start.size):
        start[u] -= 1
    place = start[stratum]
    while place < start[stratum + 1] and days[order[place]] > day:
        place += 1
    for q in range(last, place, -1):
        order[q] = order[q - 1]
    order[place] = i
    for u in range(stratum + 1, start.size):
        start[u] += 1


@njit(cache=True, nogil=True)
def measure(p, s, t, a):
    """Compute the statistics of analysis a and their distance from the printed intervals."""
    fitted = False
    estimate, error = math.nan, math.nan
    held = -1
    median, low, high = math.inf, math.inf, math.inf
    total = 0.0
    for target in range(p.analysis.size):
        if p.analysis[target] != a:
            continue
        statistic = p.statistic[target]
        arm = p.target_arm[target]
        if statistic in (RATIO, RATIO_LOW, RATIO_HIGH):
            if not fitted:
                estimate, error = _fit(p, s, t, a)
                fitted = True
            shift = 0.0
            if statistic != RATIO:
                shift = p.z[target] * error * (-1.0 if statistic == RATIO_LOW else 1.0)
            value = math.exp(estimate + shift)
        elif statistic == TIME_TO_CUTOFF:
            value = _middle(_of_arms(t.removed, a, arm))
        elif statistic == EVENTS:
            value = float(_of_arms(t.events, a, arm).sum())
        elif statistic == SURVIVAL:
            value = survival_at(_of_arms(t.events, a, arm), _of_arms(t.removed, a, arm), int(p.at[target]))
        else:
            reverse = statistic in (FOLLOWUP, FOLLOWUP_LOW, FOLLOWUP_HIGH)
            key = 2 * arm + (1 if reverse else 0)
            if key != held:
                events, removed = _of_arms(t.events, a, arm), _of_arms(t.removed, a, arm)
                median, low, high = median_with_limits(
                    removed - events if reverse else events, removed, p.z[target]
                )
                held = key
            value = median
            if statistic in (MEDIAN_LOW, FOLLOWUP_LOW):
                value = low
            elif statistic in (MEDIAN_HIGH, FOLLOWUP_HIGH):
                value = high
        t.value[target] = value
        total += _distance(value, p.low[target], p.high[target])
    t.distance[a] = total


@njit(cache=True, nogil=True)
def _fit(p, s, t, a):
    k = p.endpoint[a]
    size = t.start[a, t.start.shape[1] - 1]
    filled = tabulate_events(t.order[a, :size], s.day[k], s.event[k], p.arm, s.stratum, t.records)
    beginning = t.estimate[a] if math.isfinite(t.estimate[a]) else 0.0
    estimate, error = fit_cox(t.records[:filled], beginning, True, t.tolerance[0])
    t.estimate[a] = estimate
    return estimate, error


@njit(cache=True, nogil=True)
def _of_arms(counts, a, arm):
    return counts[a, 0] + counts[a, 1] if arm == BOTH_ARMS else counts[a, arm]


@njit(cache=True, nogil=True)
def _middle(counts):
    """The sample median of days given by their counts."""
    number = counts.sum()
    seen = 0
    lower = -1
    for day in range(counts.size):
        seen += counts[day]
        if lower < 0 and 2 * seen >= number:
            lower = day
        if 2 * seen > number:
            return 0.5 * (lower + day)
    return math.inf


@njit(cache=True, nogil=True)
def _distance(value, low, high):
    """How far a value is from [low, high), in widths of the interval; 0 inside."""
    if value >= low and value < high:
        return 0.0
    if not math.isfinite(value):
        return FARTHEST
    scale = high - low if math.isfinite(high - low) else 1.0
    away = (low - value) if value < low else (value - high)
    return min(max(away / scale, 1e-6), FARTHEST)
