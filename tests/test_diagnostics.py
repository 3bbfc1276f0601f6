"""Diagnostics of an ensemble, against their definitions."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from visiontrial.cohort import diagnostics
from visiontrial.cohort.quantities import reconstruction_range


def test_r_hat_by_hand():
    """Two chains of four rows; halves (1,3) (2,4) (5,7) (6,8): W = 2, B = 2 var(2,3,6,7) = 2 * 17/3."""
    chains = np.array([[1, 3, 2, 4], [5, 7, 6, 8]])
    within, between = 2.0, 2 * 17 / 3
    assert diagnostics.split_r_hat(chains) == pytest.approx(np.sqrt((0.5 * within + between / 2) / within))


def test_r_hat_of_independent_draws_is_one_and_of_stuck_chains_is_not():
    draws = np.random.default_rng(1).normal(size=(20, 500))
    assert diagnostics.split_r_hat(draws) == pytest.approx(1, abs=0.01)
    assert diagnostics.split_r_hat(draws + 3 * np.arange(20)[:, None]) > 3
    assert np.isnan(diagnostics.split_r_hat(np.ones((3, 8))))


def test_a_chain_too_short_is_refused():
    with pytest.raises(ValueError, match="at least 4 rows"):
        diagnostics.split_r_hat(np.zeros((5, 3)))


def autoregression(rho: float, chains: int, rows: int) -> np.ndarray:
    """Stationary AR(1) chains of variance 1."""
    noise = np.random.default_rng(4).normal(size=(chains, rows))
    chain = noise.copy()
    for row in range(1, rows):
        chain[:, row] = rho * chain[:, row - 1] + np.sqrt(1 - rho**2) * noise[:, row]
    return chain


def test_autocorrelation_of_an_autoregression_is_its_coefficient():
    """An AR(1) process has autocorrelation rho at lag 1 and rho squared at lag 2."""
    chain = autoregression(0.7, chains=40, rows=2000)
    assert diagnostics.autocorrelation(chain) == pytest.approx(0.7, abs=0.02)
    assert diagnostics.autocorrelation(chain, lag=2) == pytest.approx(0.49, abs=0.03)


def test_memory_of_stationary_chains_is_that_of_their_process():
    """An AR(1) process has autocorrelation rho at lag 1, and rho to the nineteenth over twenty rows."""
    chains = autoregression(0.95, chains=20_000, rows=20)
    assert diagnostics.pooled_autocorrelation(chains) == pytest.approx(0.95, abs=0.01)
    assert diagnostics.pooled_autocorrelation(chains, lag=4) == pytest.approx(0.95**4, abs=0.01)
    assert diagnostics.first_with_last(chains) == pytest.approx(0.95**19, abs=0.02)
    # About their own means so short chains seem to forget much faster: the bias is of order 1 / rows.
    assert diagnostics.autocorrelation(chains) < 0.8


def test_chains_that_stay_where_they_began_remember_everything():
    """x = place of the chain + noise: about the common mean v / (v + 1) is memory, within chains nothing."""
    rng = np.random.default_rng(5)
    places = rng.normal(scale=3, size=(4000, 1))
    assert diagnostics.pooled_autocorrelation(np.repeat(places, 30, axis=1)) == pytest.approx(1)
    assert diagnostics.first_with_last(np.repeat(places, 30, axis=1)) == pytest.approx(1)
    trembling = places + rng.normal(size=(4000, 30))
    assert diagnostics.pooled_autocorrelation(trembling) == pytest.approx(9 / 10, abs=0.01)
    assert diagnostics.first_with_last(trembling) == pytest.approx(9 / 10, abs=0.02)
    assert diagnostics.autocorrelation(trembling) < 0
    assert np.isnan(diagnostics.pooled_autocorrelation(np.ones((3, 8))))
    assert np.isnan(diagnostics.first_with_last(np.ones((3, 8))))


def test_mixing_reads_members_and_refuses_unequal_ones():
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"member": np.repeat([0, 1, 2], 10), "deaths": rng.normal(size=30)})
    mixed = diagnostics.mixing(table)
    expected = diagnostics.split_r_hat(table["deaths"].to_numpy().reshape(3, 10))
    assert mixed.set_index("quantity").at["deaths", "r_hat"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="equally many"):
        diagnostics.mixing(table.iloc[1:])


def _by_every_choice(values, dropped):
    """The definition: the worst over all choices of members to leave out."""
    whole = reconstruction_range(values)
    moved = [reconstruction_range(kept) for kept in combinations(values, len(values) - dropped)]
    worst = max(max(abs(m.low - whole.low), abs(m.high - whole.high)) for m in moved)
    return worst / (whole.high - whole.low)


@given(st.lists(st.integers(-1000, 1000), min_size=8, max_size=9, unique=True))
def test_stability_is_the_worst_of_every_choice(values):
    assert diagnostics.stability(values, dropped=3) == pytest.approx(_by_every_choice(values, 3))


def test_too_few_members_to_leave_out():
    with pytest.raises(ValueError, match="too few"):
        diagnostics.stability(np.arange(11.0))


def test_stability_of_a_normal_distribution_follows_from_the_number_of_members():
    """Evenly spaced normal quantiles stand for the distribution; their interpolation is the slack."""
    for members in (300, 1000):
        values = norm.ppf((np.arange(members) + 0.5) / members)
        expected = diagnostics.stability(values, dropped=10)
        assert diagnostics.stability_of_normal(members, dropped=10) == pytest.approx(expected, abs=0.004)
