"""A trial as arrays: what the compiled parts of the engine read."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from visiontrial.cohort.specification import DAYS_PER_MONTH, Trial

DIED, LEFT, ALIVE = 0, 1, 2
UNKNOWN_CONTACT = -1.0

# Pieces of the hazards, as shares of the longest possible follow-up: finer where more happens.
PIECES = (0.0, 1 / 16, 1 / 8, 3 / 16, 9 / 32, 3 / 8, 9 / 16, 3 / 4)

STATISTICS = (
    "median", "median_low", "median_high", "hazard_ratio", "ci_low", "ci_high",
    "followup", "followup_low", "followup_high", "time_to_cutoff", "events", "survival",
)  # fmt: skip
MEDIAN, MEDIAN_LOW, MEDIAN_HIGH, RATIO, RATIO_LOW, RATIO_HIGH = range(6)
FOLLOWUP, FOLLOWUP_LOW, FOLLOWUP_HIGH, TIME_TO_CUTOFF, EVENTS, SURVIVAL = range(6, 12)

BOTH_ARMS = 2


class Problem(NamedTuple):
    """The fixed part of a search. n patients, K end points, F factors, A analyses, T targets.

    Patients: `arm`, `period`, `cell`, `end_kind` (n), `contact` (n, days; -1 unknown), `recoverable`,
    `untreated` (n); `latest_death` (n, days): of those who died before treatment.
    `first_day`, `last_day` (n): the window of randomization in days from the trial's first day;
    `cutoff` in the same days. Factors: `labels` (n, F), `stratifies` (F).
    End points: `visits` (K, V) padded with infinity, `visited`, `stops` (K), `hastening` (index or -1).
    Analyses: `endpoint` (A; K stands for the time to the cutoff), `member` (A, n).
    Targets: `analysis`, `statistic`, `target_arm`, `z`, `low`, `high`, `at` (T), times in days.
    """

    arm: np.ndarray
    period: np.ndarray
    cell: np.ndarray
    end_kind: np.ndarray
    contact: np.ndarray
    recoverable: np.ndarray
    untreated: np.ndarray
    latest_death: np.ndarray
    first_day: np.ndarray
    last_day: np.ndarray
    cutoff: float
    labels: np.ndarray
    stratifies: np.ndarray
    visits: np.ndarray
    visited: np.ndarray
    stops: np.ndarray
    hastening: int
    edges: np.ndarray
    endpoint: np.ndarray
    member: np.ndarray
    analysis: np.ndarray
    statistic: np.ndarray
    target_arm: np.ndarray
    z: np.ndarray
    low: np.ndarray
    high: np.ndarray
    at: np.ndarray
    late_death_windows: np.ndarray


def compile_trial(trial: Trial, rng: np.random.Generator) -> tuple[Problem, np.ndarray]:
    """The arrays of a trial, and the position of each patient's end state in `trial.end_states`.

    What the trial leaves open about labels is drawn here: who within a cell has which end
    state is immaterial, who was never treated and who carries which factor level is not, and
    the chain goes on to exchange the latter.
    """
    cells = [trial.cells.index(cell) for cell in trial.cells for _ in range(trial.randomized[cell])]
    cell = np.array(cells)
    arms, periods = [a.name for a in trial.arms], [p.name for p in trial.periods]
    arm = np.array([arms.index(trial.cells[c][0]) for c in cell])
    period = np.array([periods.index(trial.cells[c][1]) for c in cell])
    state = _end_states(trial, cell)
    kinds = {"died": DIED, "left": LEFT, "alive": ALIVE}
    states = trial.end_states
    end_kind = np.array([kinds[states[s].kind] for s in state])
    first, last = _windows(trial, period, rng)
    untreated, latest_death = _untreated(trial, cell, state, rng)
    analyses = _analyses(trial)
    used = [t for t in trial.targets if t.role == "target"]
    problem = Problem(
        arm=arm,
        period=period,
        cell=cell,
        end_kind=end_kind,
        contact=np.array(
            [UNKNOWN_CONTACT if states[s].contact is None else states[s].contact for s in state]
        ),
        recoverable=np.array([states[s].recoverable for s in state]),
        untreated=untreated,
        latest_death=latest_death,
        first_day=first,
        last_day=last,
        cutoff=float((trial.cutoff - trial.periods[0].first).days),
        labels=_labels(trial, cell, rng),
        stratifies=np.array([f.stratifies for f in trial.factors], dtype=np.bool_),
        visits=_visits(trial),
        visited=np.array([bool(e.visits) for e in trial.endpoints]),
        stops=np.array([e.stop is not None for e in trial.endpoints]),
        hastening=next((k for k, e in enumerate(trial.endpoints) if e.hastens_death), -1),
        edges=np.array(PIECES) * longest_follow_up(trial),
        endpoint=np.array([_endpoint_index(trial, paramcd) for paramcd, _ in analyses]),
        member=np.array([np.isin(period, _periods_of(trial, name)) for _, name in analyses]),
        analysis=np.array([analyses.index(_analysis_of(t)) for t in used], dtype=np.int64),
        statistic=np.array([STATISTICS.index(t.statistic) for t in used], dtype=np.int64),
        target_arm=np.array(
            [arms.index(t.arm) if t.arm in arms else BOTH_ARMS for t in used], dtype=np.int64
        ),
        z=np.array([NormalDist().inv_cdf(0.5 + t.level / 2) for t in used]),
        low=np.array([_in_days(t.low, t.statistic) for t in used]),
        high=np.array([_in_days(t.high, t.statistic) for t in used]),
        at=np.array([0.0 if t.at is None else t.at * DAYS_PER_MONTH for t in used]),
        late_death_windows=np.array(
            [math.inf if rule == "count" else float(rule) for rule in trial.late_deaths]
        ),
    )
    return problem, state


def longest_follow_up(trial: Trial) -> float:
    """Days from the first possible randomization to the cutoff, both included."""
    return float((trial.cutoff - trial.periods[0].first).days + 1)


def _in_days(value: float, statistic: str) -> float:
    in_months = statistic.startswith(("median", "followup", "time"))
    return value * DAYS_PER_MONTH if in_months else value


def _analysis_of(target) -> tuple[str, str]:
    return ("" if target.statistic == "time_to_cutoff" else target.paramcd, target.population)


def _analyses(trial: Trial) -> list[tuple[str, str]]:
    return list(dict.fromkeys(_analysis_of(t) for t in trial.targets if t.role == "target"))


def _endpoint_index(trial: Trial, paramcd: str) -> int:
    names = [e.paramcd for e in trial.endpoints]
    return names.index(paramcd) if paramcd else len(names)


def _periods_of(trial: Trial, population: str) -> list[int]:
    return [i for i, p in enumerate(trial.periods) if p.name in trial.populations[population]]


def _end_states(trial: Trial, cell: np.ndarray) -> np.ndarray:
    state = np.empty(cell.size, dtype=np.int64)
    for index, name in enumerate(trial.cells):
        counts = [s.counts.get(name, 0) for s in trial.end_states]
        state[cell == index] = np.repeat(np.arange(len(counts)), counts)
    return state


def _windows(trial: Trial, period: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """First and last possible day of randomization; one patient each is held to the trial's ends."""
    origin = trial.periods[0].first
    first = np.array([(trial.periods[p].first - origin).days for p in period], dtype=float)
    last = np.array([(trial.periods[p].last - origin).days for p in period], dtype=float)
    opening, closing = (
        rng.choice(np.flatnonzero(period == 0)),
        rng.choice(np.flatnonzero(period == period.max())),
    )
    while closing == opening:
        closing = rng.choice(np.flatnonzero(period == period.max()))
    last[opening] = first[opening]
    first[closing] = last[closing]
    return first, last


def _untreated(trial, cell, state, rng) -> tuple[np.ndarray, np.ndarray]:
    """Who never received the assigned treatment, and by which day of follow-up such patients who died did so.

    Drawn within the cell; those who left the trial are five times as likely as those who stayed.
    """
    untreated, latest_death = np.zeros(cell.size, dtype=np.bool_), np.full(cell.size, np.inf)
    for index, name in enumerate(trial.cells):
        rows = np.flatnonzero(cell == index)
        states = [trial.end_states[s] for s in state[rows]]
        deaths = _count(trial.untreated_deaths, name)
        died = rows[[s.kind == "died" for s in states]]
        early = rng.choice(died, deaths, replace=False)
        latest_death[early] = trial.untreated_death_within
        weight = np.array([0.0 if s.treated else 5.0 if s.kind == "left" else 1.0 for s in states])
        weight[np.isin(rows, early)] = 0.0
        others = rng.choice(
            rows, _count(trial.untreated, name) - deaths, replace=False, p=weight / weight.sum()
        )
        untreated[early] = untreated[others] = True
    return untreated, latest_death


def _count(counts, cell) -> int:
    return 0 if counts is None else counts.get(cell, 0)


def _share(factor, rng: np.random.Generator) -> float:
    """A share of the second level from its prior, kept under the factor's bound; 0 where counts are known."""
    if factor.share is None:
        return 0.0
    while True:
        share = 1 / (1 + math.exp(-rng.normal(factor.share.mean, factor.share.sd)))
        if share < factor.share_below:
            return share


def _labels(trial: Trial, cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    labels = np.zeros((cell.size, len(trial.factors)), dtype=np.int64)
    for column, factor in enumerate(trial.factors):
        share = _share(factor, rng)
        for index, name in enumerate(trial.cells):
            rows = np.flatnonzero(cell == index)
            number = factor.counts[name] if factor.counts is not None else round(share * rows.size)
            labels[rng.permutation(rows)[:number], column] = 1
    return labels


def _visits(trial: Trial) -> np.ndarray:
    longest = max((len(e.visits) for e in trial.endpoints), default=0)
    table = np.full((len(trial.endpoints), max(longest, 1)), np.inf)
    for row, endpoint in enumerate(trial.endpoints):
        table[row, : len(endpoint.visits)] = endpoint.visits
    return table
