"""Trials drawn from what the engine itself assumes: its prior, and its model given the prior.

The families of `cohort.simulate` ask how the engine fares where its assumptions do not hold. This
one asks whether it does what it says where they do: parameters and the rule for late deaths are
drawn from the prior, patients from the model given these, by the engine's own functions. In an
exact sampler the truth and the members would then be draws from one distribution, given what is
printed, and every rank of the truth among them equally likely: simulation-based calibration
(Cook, Gelman and Rubin 2006, doi 10.1198/106186006X136976; Talts et al. 2018, arXiv 1804.06788).

What is drawn, in this order: the design (arm sizes, the share at high risk, the day of the cutoff)
as in the other families; the two patients who open and close the recruitment; all parameters and
the rule; then, for each patient, the day of randomization, frailty, progression, the end of
imaging, death, and the day he would leave. What happens first decides his end state: **the counts
of end states are an outcome here**, as the model has it, and not handed down.

Two kinds of trials are drawn again from the beginning, parameters and all:

- those in which a patient leaves on the last day before the cutoff, which the model holds impossible;
- those of which some number cannot be printed (a median that is not reached, a ratio that does not
  exist or prints as zero). This depends on nothing but the report, so the ranks stay uniform given it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from visiontrial import survival
from visiontrial.cohort import chain, model, problem, rows, simulate
from visiontrial.cohort.specification import DAYS_PER_MONTH, Period, Trial

FAMILY = "prior"
NUMBERS_PRINTED = 12
"""Medians of two end points in two arms, two hazard ratios with their limits, follow-up in two arms."""

MOST_DRAWS = 1000


def draw(rng: np.random.Generator) -> simulate.Truth:
    """A complete trial of the family, with everything that its report has to print."""
    for _ in range(MOST_DRAWS):
        truth = draw_any(design(rng), rng)
        if truth is not None and is_printable(truth):
            return truth
    raise RuntimeError(f"none of {MOST_DRAWS} trials drawn from the prior has every number to print")


def design(rng: np.random.Generator) -> Trial:
    """What is fixed before the first patient: nobody has left or died, and nothing is printed."""
    conduct = simulate.conduct(rng, FAMILY)
    last = simulate.ENTRY_DAYS
    cells = [(arm.name, simulate.POPULATION) for arm in simulate.ARMS]
    sizes = dict(zip(cells, conduct.sizes, strict=True))
    nobody = dict.fromkeys(cells, 0)
    return simulate.specification(
        f"simulated {FAMILY}",
        Period(simulate.POPULATION, simulate.day(0), simulate.day(last)),
        simulate.day(last + conduct.last_entry_to_cutoff),
        sizes=sizes,
        at_risk={cell: round(conduct.share * size) for cell, size in sizes.items()},
        ended={simulate.DIED: nobody, simulate.LEFT: nobody, simulate.ALIVE: sizes},
        targets=(),
    )


def draw_any(trial: Trial, rng: np.random.Generator) -> simulate.Truth | None:
    """Parameters from the prior and patients from the model; `None` where the model has no such patient."""
    fixed, _ = problem.compile_trial(trial, rng)
    where = model.layout(trial, fixed.edges.size)
    prior = model.prior(trial, where, single_shape=False)
    # The engine's source is part of what the stored ensembles were made from: it is used as it is.
    state = chain._parameters(trial, fixed, where, prior, rng)
    return _patients(trial, fixed, where, state, rng)


def _patients(trial, fixed, where, state, rng) -> simulate.Truth | None:
    typical = np.array([e.typical_median * DAYS_PER_MONTH for e in trial.endpoints])
    if not _draw_patients(*_by_reference(fixed, state), where, typical, rng):
        return None
    # End states stand in the trial in the order of their kinds.
    adsl, adtte = rows.tables(trial, fixed, state, fixed.end_kind, rng)
    return simulate.Truth(FAMILY, trial.cutoff, adsl, adtte, trial.late_deaths[state.rule[0]])


@njit(cache=True)
def _by_reference(fixed, state):
    return chain._Problem(*fixed), chain._State(*state)


@njit(cache=True, nogil=True)
def _draw_patients(p, s, where, typical, rng):
    """Fill the rows of all patients; whether the model holds each of them possible."""
    for k in range(s.times.shape[0]):
        model.tabulate_hazard(k, s.theta, where, p.edges, typical, s.rate, s.cumulative)
    for i in range(p.arm.size):
        s.entry[i] = _day_of_entry(p, s, where, i, rng)
        s.deviate[i] = rng.standard_normal()
        model.set_risk(p, s, where, i)
        for k in range(1, s.times.shape[0]):
            model.draw_assessment(p, s, where, k, i, rng)
        if not _draw_end(p, s, where, i, rng):
            return False
        model.observe(p, s, where, i, 0, s.times.shape[0])
    return True


@njit(cache=True, nogil=True)
def _day_of_entry(p, s, where, i, rng):
    """By rejection from the uniform distribution: the density rises or falls linearly over the window."""
    width = p.last_day[i] - p.first_day[i]
    ramp = math.tanh(s.theta[where.ramp + p.period[i]])
    while True:
        day = math.floor(rng.random() * (width + 1.0))
        if width == 0.0 or 2.0 * rng.random() < 1.0 + ramp * (2.0 * day / width - 1.0):
            return p.first_day[i] + day


@njit(cache=True, nogil=True)
def _draw_end(p, s, where, i, rng):
    """Death, leaving and cutoff: the first of them is the end state. False where that is impossible."""
    cutoff = model.follow_up(p, s, i)
    early, late = model.leaving_rates(p, s, where, i)
    s.times[0, i] = model.death_inverse(p, s, where, i, rng.standard_exponential())
    s.left[i] = model.two_piece_inverse(rng.standard_exponential(), early, late, p.edges[1])
    p.recoverable[i] = False
    if s.times[0, i] <= min(s.left[i], cutoff):
        p.end_kind[i] = problem.DIED
    elif s.left[i] <= cutoff - 1.0:
        p.end_kind[i] = problem.LEFT
        p.recoverable[i] = True
        s.recovered[i] = rng.random() < 1.0 / (1.0 + math.exp(-s.theta[where.recovery]))
    elif s.left[i] <= cutoff:
        return False
    else:
        p.end_kind[i] = problem.ALIVE
        model.draw_end(p, s, where, i, rng)  # the last contact
    return True


def is_printable(truth: simulate.Truth) -> bool:
    """Whether a report of the trial has all its numbers, none of its ratios being zero in print."""
    try:
        printed = simulate.print_as_a_paper(truth).targets
    except survival.UnusableOutcomes:
        return False
    return len(printed) == NUMBERS_PRINTED and all(float(target.printed) > 0 for target in printed)
