"""Inverse probability of censoring weights, on simulated patients whose censoring depends on what was seen.

A patient's disease gets worse at some time, and this is recorded. From then on he is both more likely to
have the event and more likely to leave. The Kaplan-Meier estimate, which takes those who left to be like
those who stayed, is then too high. Weighting each patient who is still there by the inverse of his
probability of still being there, given what was recorded of him, puts that right.

Source: Robins and Finkelstein 2000, doi 10.1111/j.0006-341x.2000.00779.x.

The rows of the reconstructed cohorts record nothing of the kind: whether a patient leaves depends, in the
model that made them, on arm, period and time alone. So weights have nothing to find in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from visiontrial.cohort.specification import DAYS_PER_MONTH

DAYS = 730
"""Days over which the simulated patients are followed."""


@dataclass(frozen=True)
class Law:
    """Constant hazards per month, before and after the disease got worse."""

    worsening: float = 0.12
    event: tuple[float, float] = (0.02, 0.20)
    leaving: tuple[float, float] = (0.01, 0.25)


@dataclass(frozen=True, eq=False)
class Patients:
    """n simulated patients: days until they got worse, had the event, left; in whole days, from 1."""

    worse: np.ndarray
    event: np.ndarray
    left: np.ndarray

    @property
    def days(self) -> np.ndarray:
        """Observed time: the event, the leaving or the end of follow-up."""
        return np.minimum(np.minimum(self.event, self.left), DAYS)

    @property
    def observed(self) -> np.ndarray:
        """Whether the event was seen. On one day events come before leaving."""
        return (self.event <= self.left) & (self.event <= DAYS)


def draw(law: Law, patients: int, generator: np.random.Generator) -> Patients:
    """Patients under a law; what happens after they got worse is drawn anew, which exponentials allow."""
    worse = _exponential(law.worsening, patients, generator)
    times = []
    for before, after in (law.event, law.leaving):
        first = _exponential(before, patients, generator)
        times.append(np.where(first <= worse, first, worse + _exponential(after, patients, generator)))
    return Patients(*(np.ceil(time).astype(np.int64) for time in (worse, *times)))


def _exponential(rate: float, size: int, generator: np.random.Generator) -> np.ndarray:
    return generator.standard_exponential(size) * DAYS_PER_MONTH / rate


def true_survival(law: Law, day: np.ndarray) -> np.ndarray:
    """Probability of no event up to the end of a day, had nobody left: the closed form of this model.

    With w the hazard of getting worse, a and b those of the event before and after it:
    exp(−(w + a)t) + w / (w + a − b) · (exp(−bt) − exp(−(w + a)t)).
    """
    w, (a, b) = law.worsening, law.event
    t = np.asarray(day) / DAYS_PER_MONTH
    well = np.exp(-(w + a) * t)
    return well + w / (w + a - b) * (np.exp(-b * t) - well)


def staying(patients: Patients, *, by_state: bool) -> np.ndarray:
    """Estimated probability of not having left before each day, given the recorded history: (n, DAYS).

    Kaplan-Meier estimates with leaving as the event; `by_state` in two strata, patients moving from
    one to the other on the day after they got worse. Without it, one stratum.
    """
    day = np.arange(1, DAYS + 1)
    here = patients.days[:, None] >= day
    leaves = here & ~patients.observed[:, None] & (patients.left[:, None] == day)
    state = (patients.worse[:, None] < day) if by_state else np.zeros_like(here)
    stay = np.ones(here.shape)
    for value in np.unique(state):
        mine = state == value
        # Who has the event on a day is not at risk of leaving on it.
        at_risk = (here & mine & (patients.event[:, None] != day)).sum(axis=0)
        share = np.divide((leaves & mine).sum(axis=0), at_risk, out=np.zeros(DAYS), where=at_risk > 0)
        stay = np.where(mine, 1 - share, stay)
    before = np.cumprod(stay, axis=1)
    return np.concatenate([np.ones((len(before), 1)), before[:, :-1]], axis=1)


def weighted_survival(patients: Patients, weights: np.ndarray) -> np.ndarray:
    """Kaplan-Meier estimate at the end of each day, (DAYS,), each patient counting with his weight."""
    day = np.arange(1, DAYS + 1)
    at_risk = ((patients.days[:, None] >= day) * weights).sum(axis=0)
    events = ((patients.observed[:, None] & (patients.days[:, None] == day)) * weights).sum(axis=0)
    return np.cumprod(1 - np.divide(events, at_risk, out=np.zeros(DAYS), where=at_risk > 0))


ESTIMATES = {
    "unweighted": "Kaplan–Meier, unweighted",
    "uninformed": "weights that know nothing of the worsening",
    "informed": "weights that know of it",
}


def estimates(patients: Patients) -> pd.DataFrame:
    """Three estimates of survival at the end of each day: columns of `ESTIMATES`, index `day`."""
    made = {
        "unweighted": weighted_survival(patients, np.ones((len(patients.days), DAYS))),
        "uninformed": weighted_survival(patients, 1 / staying(patients, by_state=False)),
        "informed": weighted_survival(patients, 1 / staying(patients, by_state=True)),
    }
    return pd.DataFrame(made, index=pd.RangeIndex(1, DAYS + 1, name="day"))
