"""Trials drawn from the engine's prior obey its model: closed forms, the verifier, Geweke's joint test."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from visiontrial import reconstruction
from visiontrial.cohort import chain, from_prior, model, problem, simulate, targets, verify
from visiontrial.cohort.specification import DAYS_PER_MONTH, Trial

SIGMAS = 4.5
"""Monte Carlo estimates are held to so many standard errors. Seeds are fixed, so no test passes by luck."""

TYPICAL = np.array([e.typical_median * DAYS_PER_MONTH for e in simulate.ENDPOINTS])


def small_design(rng: np.random.Generator, patients: int) -> Trial:
    """A design with so many patients in each arm, a third of them at high risk."""
    trial = from_prior.design(rng)
    sizes = dict.fromkeys(trial.randomized, patients)
    nobody = dict.fromkeys(sizes, 0)
    return replace(
        trial,
        randomized=sizes,
        end_states=tuple(replace(s, counts=sizes if s.kind == "alive" else nobody) for s in trial.end_states),
        factors=(replace(trial.factors[0], counts=dict.fromkeys(sizes, patients // 3)),),
    )


def test_constant_rates_give_the_closed_form():
    """With constant hazards d of death and l of leaving, h = d + l, a patient with C days to the cutoff has
    died with probability d / h (1 - exp(-h C)), has left before the last day with l / h (1 - exp(-h (C - 1)))
    and is alive with exp(-h C); on the last day nobody leaves, so these are to be divided by their sum. The
    day of randomization is even over the window."""
    death, leaving = math.log(2) / (12 * DAYS_PER_MONTH), 1 / (30 * DAYS_PER_MONTH)
    rng = np.random.Generator(np.random.PCG64(1))
    trial = small_design(rng, 150)
    where = model.layout(trial, len(problem.PIECES))
    prior = model.prior(trial, where, single_shape=False)
    theta = np.where(prior.mean != 0, prior.mean, 0.0)
    theta[where.hastening] = theta[where.frailty] = 0.0
    theta[where.effects : where.stops] = 0.0
    ended, days = [], []
    while len(ended) < 80:
        fixed, _ = problem.compile_trial(trial, rng)
        state = chain._parameters(trial, fixed, where, prior, rng)
        state.theta[:] = theta
        if from_prior._draw_patients(*from_prior._by_reference(fixed, state), where, TYPICAL, rng):
            ended.append(fixed.end_kind.copy())
            days.append(state.entry.copy())
    window = np.arange(simulate.ENTRY_DAYS + 1)
    until = float(fixed.cutoff) - window + 1.0
    both = death + leaving
    chances = np.array(
        [
            death / both * -np.expm1(-both * until),
            leaving / both * -np.expm1(-both * (until - 1)),
            np.exp(-both * until),
        ]
    )
    expected = (chances / chances.sum(axis=0)).mean(axis=1)
    states, size = np.concatenate(ended), 80 * 300
    for kind in (problem.DIED, problem.LEFT, problem.ALIVE):
        error = math.sqrt(expected[kind] * (1 - expected[kind]) / size)
        # The first and the last to be randomized are two of three hundred.
        assert abs((states == kind).mean() - expected[kind]) < SIGMAS * error + 0.001
    entry = np.concatenate(days)
    assert abs(entry.mean() - window.mean()) < SIGMAS * window.std() / math.sqrt(size)


def test_recruitment_rises_as_its_parameter_says():
    """Density 1 + r (2 x - 1) on 0..1: the mean is 1/2 + r / 6."""
    rng = np.random.Generator(np.random.PCG64(2))
    trial = small_design(rng, 3000)
    fixed, _ = problem.compile_trial(trial, rng)
    where = model.layout(trial, fixed.edges.size)
    prior = model.prior(trial, where, single_shape=False)
    state = chain._parameters(trial, fixed, where, prior, rng)
    state.theta[:] = prior.mean
    state.theta[where.leaving :] = -30.0  # nobody leaves
    state.theta[where.ramp] = math.atanh(0.6)
    assert from_prior._draw_patients(*from_prior._by_reference(fixed, state), where, TYPICAL, rng)
    assert state.entry.mean() / simulate.ENTRY_DAYS == pytest.approx(0.5 + 0.6 / 6, abs=0.018)


@pytest.mark.parametrize("seed", range(3))
def test_the_truth_agrees_with_its_own_print(seed):
    truth = from_prior.draw(np.random.default_rng(seed))
    trial = simulate.print_as_a_paper(truth)
    assert len(trial.targets) == from_prior.NUMBERS_PRINTED
    assert verify.verify(trial, truth.adsl, truth.adtte)["agrees"].all()
    assert truth.first_entry == simulate.FIRST_DAY
    assert (truth.last_entry - truth.first_entry).days == simulate.ENTRY_DAYS


def test_a_trial_is_a_function_of_its_generator_and_its_end_states_are_an_outcome():
    one, two, other = (from_prior.draw(np.random.default_rng(seed)) for seed in (8, 8, 9))
    pd.testing.assert_frame_equal(one.adsl, two.adsl)
    pd.testing.assert_frame_equal(one.adtte, two.adtte)
    shares = [truth.adsl["EOSSTT"].value_counts(normalize=True) for truth in (one, other)]
    assert abs(shares[0] - shares[1]).max() > 0.05


def test_a_trial_without_all_its_numbers_is_drawn_again():
    rng = np.random.default_rng(0)
    drawn = [from_prior.draw_any(from_prior.design(rng), rng) for _ in range(12)]
    printable = [from_prior.is_printable(truth) for truth in drawn if truth is not None]
    assert True in printable
    assert False in printable


def test_sweeps_without_targets_leave_prior_and_model_as_they_are():
    """Geweke 2004, doi 10.1198/016214504000001132: parameters from the prior and rows from the model, then
    the engine's own sweeps. Had one another model than the other, parameters would drift from the prior."""
    before, after = [], []
    for seed in range(150):
        rng = np.random.Generator(np.random.PCG64(seed))
        trial = reconstruction.unconditioned(small_design(rng, 30))
        fixed, _ = problem.compile_trial(trial, rng)
        where = model.layout(trial, fixed.edges.size)
        prior = model.prior(trial, where, single_shape=False)
        state = chain._parameters(trial, fixed, where, prior, rng)
        if not from_prior._draw_patients(*from_prior._by_reference(fixed, state), where, TYPICAL, rng):
            continue
        state.stratum[:] = state.labels[:, 0]
        before.append(observed(state, prior))
        sweep(trial, fixed, state, where, prior, rng, times=15)
        after.append(observed(state, prior))
    moved = np.array(after) - np.array(before)
    assert (moved.std(axis=0) > 0.05).all()  # a chain that stands still would pass
    drift = moved.mean(axis=0) / (moved.std(axis=0, ddof=1) / math.sqrt(len(moved)))
    assert np.abs(drift).max() < SIGMAS


def observed(state: model.State, prior: model.Prior) -> np.ndarray:
    """All parameters in standard units, their squares, and what the rows look like."""
    standard = ((state.theta - prior.mean) / prior.sd)[prior.active]
    rows = [state.event[:2].mean(axis=1), state.day[:2].mean(axis=1) / 100, [(state.deviate**2).mean()]]
    return np.concatenate([standard, standard**2, *rows])


def sweep(trial, fixed, state, where, prior, rng, times: int) -> None:
    """So many sweeps of the hard phase with steps that move."""
    tables = targets.allocate(fixed, 2, int(problem.longest_follow_up(trial)))
    p, s, t, by_reference, room = chain._by_reference(fixed, state, tables, prior)
    targets.rebuild(p, s, t, 0, 3)
    steps = np.stack([0.5 * prior.sd, 0.15 * prior.sd])
    counts = np.zeros((5, 2), dtype=np.int64)
    for _ in range(times):
        chain._sweep(p, s, t, where, by_reference, TYPICAL, rng, room, steps, counts, math.inf, False)
