"""Diagnostics of an ensemble, against their definitions."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_autocorrelation_of_an_autoregression_is_its_coefficient():
    """An AR(1) process has autocorrelation rho at lag 1 and rho squared at lag 2."""
    rng, rho = np.random.default_rng(2), 0.7
    noise = rng.normal(size=(40, 2000))
    chain = np.zeros_like(noise)
    for row in range(1, noise.shape[1]):
        chain[:, row] = rho * chain[:, row - 1] + noise[:, row]
    assert diagnostics.autocorrelation(chain) == pytest.approx(rho, abs=0.02)
    assert diagnostics.autocorrelation(chain, lag=2) == pytest.approx(rho**2, abs=0.03)


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
