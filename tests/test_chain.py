"""One chain on a small invented trial: what it promises, checked by the verifier that knows nothing of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from visiontrial.cohort import chain, model, moves, problem, targets, verify
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.printed import parse

SHORT = chain.Settings(soft_sweeps=300, hard_sweeps=10)


@pytest.fixture(scope="module")
def small(vision):
    """The later of VISION's periods alone, with three targets: quick, and with strata, visits and stops."""
    kept = ("os-pfs-set.hr", "pfs.median.lu", "sse.median.control")
    period = vision.periods[1]
    cells = [cell for cell in vision.cells if cell[1] == period.name]

    def only(counts):
        return {cell: counts.get(cell, 0) for cell in cells}

    return replace(
        vision,
        periods=(period,),
        populations={"pfs_set": (period.name,)},
        randomized=only(vision.randomized),
        untreated=only(vision.untreated),
        untreated_deaths=only(vision.untreated_deaths),
        end_states=tuple(replace(s, counts=only(s.counts)) for s in vision.end_states),
        factors=tuple(replace(f, counts=only(f.counts) if f.counts else None) for f in vision.factors),
        targets=tuple(t for t in vision.targets if t.claim_id in kept),
    )


@pytest.fixture(scope="module")
def outcome(small):
    return chain.reconstruct(small, 7, SHORT)


def test_the_verifier_accepts_what_the_chain_accepts(small, outcome):
    assert outcome.accepted, outcome.facts
    verify.verify(small, outcome.adsl, outcome.adtte)


def test_the_same_seed_gives_the_same_rows_and_another_gives_others(small, outcome):
    again, other = chain.reconstruct(small, 7, SHORT), chain.reconstruct(small, 8, SHORT)
    pd.testing.assert_frame_equal(outcome.adtte, again.adtte)
    pd.testing.assert_frame_equal(outcome.adsl, again.adsl)
    assert other.accepted
    assert not other.adtte["AVAL"].equals(outcome.adtte["AVAL"])


def test_a_number_that_cannot_be_reached_is_named(small):
    """Nobody can have a median survival of 90 months in a trial of 23."""
    wrong = replace(small.targets[1], printed="90.0", low=89.95, high=90.05)
    assert parse(wrong.printed).value == 90
    failed = chain.reconstruct(
        replace(small, targets=(small.targets[0], wrong)), 1, replace(SHORT, soft_sweeps=5)
    )
    assert not failed.accepted
    assert failed.adsl is None
    assert wrong.claim_id in failed.facts["missed"]


def test_a_trial_without_targets_is_refused(small):
    with pytest.raises(ValueError, match="no target"):
        chain.reconstruct(replace(small, targets=()), 1)


def test_a_single_shape_keeps_its_hazards_proportional(small):
    """With `single_shape` the ratio of the rates is the same in every piece."""
    fixed, _ = problem.compile_trial(small, np.random.default_rng(1))
    where = model.layout(small, fixed.edges.size)
    prior = model.prior(small, where, single_shape=True)
    rng = np.random.default_rng(2)
    typical = np.array([e.typical_median * DAYS_PER_MONTH for e in small.endpoints])
    state = chain._parameters(small, fixed, where, prior, rng)
    for k in range(len(small.endpoints)):
        model.tabulate_hazard(k, state.theta, where, fixed.edges, typical, state.rate, state.cumulative)
    ratios = state.rate[:, 1] / state.rate[:, 0]
    assert ratios == pytest.approx(np.broadcast_to(ratios[:, :1], ratios.shape))


def test_tables_kept_up_row_by_row_equal_tables_made_anew(small):
    """After thousands of accepted and refused moves nothing has drifted."""
    rng = np.random.Generator(np.random.PCG64(3))
    fixed, _ = problem.compile_trial(small, rng)
    where = model.layout(small, fixed.edges.size)
    prior = model.prior(small, where, single_shape=False)
    typical = np.array([e.typical_median * DAYS_PER_MONTH for e in small.endpoints])
    state = chain._parameters(small, fixed, where, prior, rng)
    tables = targets.allocate(fixed, 16, int(problem.longest_follow_up(small)))
    p, s, t, prior, room = chain._by_reference(fixed, state, tables, prior)
    chain._draw_rows(p, s, where, typical, rng)
    targets.rebuild(p, s, t, 0, 4)
    steps = np.full((2, where.length), 0.05)
    counts = np.zeros((5, 2), dtype=np.int64)
    for _ in range(3):
        chain._sweep(p, s, t, where, prior, typical, rng, room, steps, counts, 0.5, False)
    assert (counts[:4, 1] > 0).all()
    assert (counts[:4, 1] < counts[:4, 0]).all()
    kept = [tables.order.copy(), tables.events.copy(), tables.removed.copy(), tables.distance.copy()]
    observed = state.day.copy(), state.event.copy()
    for i in range(fixed.arm.size):
        model.observe(p, s, where, i, 0, 3)
    assert np.array_equal(observed[0], state.day)
    assert np.array_equal(observed[1], state.event)
    targets.rebuild(p, s, t, 0, 4)
    assert np.array_equal(kept[1], tables.events)
    assert np.array_equal(kept[2], tables.removed)
    assert kept[3] == pytest.approx(tables.distance, abs=1e-6)
    for a in np.flatnonzero(tables.needs_order):
        size = tables.start[a, -1]
        before, after = kept[0][a, :size], tables.order[a, :size]
        k = fixed.endpoint[a]
        assert np.array_equal(state.stratum[before], state.stratum[after])
        assert np.array_equal(state.day[k][before], state.day[k][after])
    assert all(moves.stratum_of(p, s, i) == state.stratum[i] for i in range(fixed.arm.size))
