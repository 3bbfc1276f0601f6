"""Cumulative hazards to impute from, drawn anew for each imputation by the bootstrap.

An imputation is *proper* when it also carries the uncertainty of what it is drawn from. Here each
imputation has its own curve, estimated in its own resample of the patients of each arm.

Curves are step functions on the days with an event in the arm. Sampling needs only cumulative hazards: a
patient censored on day c has the event on the first day t on which

    factor × relative hazard × (H(t) − H(c)) ≥ a standard exponential.

With H = −log S, S the Kaplan-Meier estimate, and factor 1 this draws from the estimate given survival past c.

Beyond the last observed day of a resample nothing is known. There the hazard is kept at its mean up to that
day (the exponential tail of Brown, Hollander and Korwar 1974), so that a slow dropout is neither lost to
the analysis there nor made immune.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visiontrial.survival import Outcomes

NEVER = 10**9
"""A day later than any."""

MAXIMUM_STEPS = 30
TOLERANCE = 1e-9
LONGEST_STEP = 1.0


class NoHazard(ValueError):
    """A hazard cannot be estimated from the rows; the message says why."""


@dataclass(frozen=True, eq=False)
class Hazards:
    """Cumulative hazards of one arm, one curve per imputation.

    `days`: (j,), increasing, the days with an event in the arm. `cumulative`: (m, j + 1), the
    cumulative hazard before the first of them (0) and at the end of each. `last`: (m,), the last
    day observed in each resample. `tail`: (m,), the hazard per day after it.
    """

    days: np.ndarray
    cumulative: np.ndarray
    last: np.ndarray
    tail: np.ndarray

    def first_day_after(self, day: np.ndarray, amount: np.ndarray) -> np.ndarray:
        """First day after `day` until which the cumulative hazard has grown by more than `amount`.

        `day`: (d,) whole days; `amount`: (m, d), infinity included. Returns (m, d); `NEVER` for infinity.
        """
        ends = self.cumulative[:, -1:]
        beyond = np.maximum(day - self.last[:, None], 0) * self.tail[:, None]
        wanted = self.cumulative[:, np.searchsorted(self.days, day, side="right")] + beyond + amount
        # One search for all curves, each lifted above the one before; what a curve does not reach is cut off.
        top = float(ends.max()) + 2.0
        lift = (top * np.arange(len(ends)))[:, None]
        lifted = (self.cumulative + lift).ravel()
        place = np.searchsorted(lifted, np.minimum(wanted, top - 1.0) + lift, side="right")
        place -= np.arange(len(ends))[:, None] * self.cumulative.shape[1]
        on_curve = np.append(self.days, NEVER)[place - 1]
        needed = np.maximum(wanted - ends, 0)
        tail = np.broadcast_to(self.tail[:, None], needed.shape)
        in_tail = self.last[:, None] + np.ceil(
            np.divide(needed, tail, out=np.full(needed.shape, np.inf), where=tail > 0)
        )
        found = np.where(place <= self.days.size, on_curve, np.minimum(in_tail, NEVER))
        return np.maximum(found, day + 1).astype(np.int64)


def resample(generator: np.random.Generator, arm: np.ndarray, imputations: int) -> np.ndarray:
    """How often each patient is drawn in each bootstrap sample, patients drawn within their arm: (m, n)."""
    weights = np.zeros((imputations, len(arm)))
    for value in np.unique(arm):
        mine = np.flatnonzero(arm == value)
        weights[:, mine] = generator.multinomial(
            mine.size, np.full(mine.size, 1 / mine.size), size=imputations
        )
    return weights


def kaplan_meier(data: Outcomes, weights: np.ndarray, arm: int) -> Hazards:
    """−log of the Kaplan-Meier estimate of an arm in each resample; `weights`: (m, n).

    Source: Kaplan and Meier 1958, doi 10.1080/01621459.1958.10501452.
    """
    days, at_risk, events = _counts(data, weights, arm, np.zeros(len(data), np.int64), 1)
    share = _ratio(events, at_risk)[:, :, 0]
    # Where all at risk have the event the step would be infinite: there it is that of Nelson and Aalen.
    steps = np.where(share < 1, -np.log1p(-np.where(share < 1, share, 0)), share)
    return _hazards(days, steps, data, weights, arm)


def breslow(
    data: Outcomes, covariates: np.ndarray, weights: np.ndarray
) -> tuple[tuple[Hazards, Hazards], np.ndarray]:
    """Cox model of each resample, stratified by arm: baseline hazards of both arms, and coefficients (m, f).

    The covariates have one coefficient each for both arms; the baselines are not proportional.
    Ties by Breslow, the baseline by his estimator. Raises `NoHazard` where a resample has no maximum.

    Source: Cox 1972, doi 10.1111/j.2517-6161.1972.tb00899.x, with Breslow's contribution to its discussion.
    """
    patterns, pattern = np.unique(covariates, axis=0, return_inverse=True)
    strata = [_counts(data, weights, arm, pattern.ravel(), len(patterns)) for arm in (0, 1)]
    beta = _newton(strata, patterns, len(weights))
    baselines = []
    for arm, (days, at_risk, events) in enumerate(strata):
        risk = at_risk @ np.exp(beta @ patterns.T)[:, :, None]
        steps = _ratio(events.sum(axis=2), risk[:, :, 0])
        baselines.append(_hazards(days, steps, data, weights, arm))
    return (baselines[0], baselines[1]), beta


def _newton(strata, patterns: np.ndarray, size: int) -> np.ndarray:
    """Maximum of the log partial likelihood in each resample: (m, f)."""
    beta = np.zeros((size, patterns.shape[1]))
    for _ in range(MAXIMUM_STEPS):
        score, information = np.zeros_like(beta), np.zeros((*beta.shape, beta.shape[1]))
        ratio = np.exp(beta @ patterns.T)
        for _, at_risk, events in strata:
            weight = at_risk * ratio[:, None, :]
            share = _ratio(weight, weight.sum(axis=2, keepdims=True))
            mean = share @ patterns
            number = events.sum(axis=2)
            expected = number[:, None, :] @ share  # (m, 1, p)
            score += (events.sum(axis=1) - expected[:, 0]) @ patterns
            information += (patterns.T * expected) @ patterns
            information -= (mean * number[:, :, None]).transpose(0, 2, 1) @ mean
        try:
            step = np.linalg.solve(information, score[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            break
        beta += np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        if np.abs(step).max(initial=0.0) < TOLERANCE:
            return beta
    raise NoHazard(
        "the Cox model of a resample has no maximum: a stratification factor has too few events at one of "
        "its levels. Impute from the Kaplan-Meier estimate instead."
    )


def _counts(data: Outcomes, weights: np.ndarray, arm: int, pattern: np.ndarray, patterns: int):
    """Days with an event in the arm; numbers at risk and of events on them, by pattern: (m, j, p)."""
    mine = data.arm == arm
    day, event, pattern, weights = data.days[mine], data.event[mine], pattern[mine], weights[:, mine]
    days = np.unique(day[event])
    if not days.size:
        raise NoHazard(f"arm {arm} has no event: there is no hazard to impute from")
    at_risk = np.zeros((len(weights), days.size, patterns))
    events = np.zeros_like(at_risk)
    for p in range(patterns):
        such = pattern == p
        at_risk[:, :, p] = weights[:, such] @ (day[such, None] >= days)
        events[:, :, p] = weights[:, such] @ ((day[such, None] == days) & event[such, None])
    return days, at_risk, events


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part over whole; 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _hazards(days: np.ndarray, steps: np.ndarray, data: Outcomes, weights: np.ndarray, arm: int) -> Hazards:
    mine = data.arm == arm
    last = np.where(weights[:, mine] > 0, data.days[mine], 0).max(axis=1)
    cumulative = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    return Hazards(days, cumulative, last, cumulative[:, -1] / last)
