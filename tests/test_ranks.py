"""Ranks of the truth: by hand, and uniform where truth and members are exchangeable."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from visiontrial.cohort import calibration, ranks


def rows(values: list[tuple[int, int, int]]) -> pd.DataFrame:
    """Comparisons of one quantity, a trial each, from (below, equal, members)."""
    table = pd.DataFrame(values, columns=["below", "equal", "members"])
    return table.assign(
        family="prior", trial=table.index, quantity="events", endpoint="OS", arm="all", covered=1
    )


def test_places_by_hand():
    # Three members: four places. Below all; above one; equal to one above one: places 2 and 3; above all.
    found = ranks.cumulative(rows([(0, 0, 3), (1, 0, 3), (1, 1, 3), (3, 0, 3)]), places=4)
    assert found.to_numpy().tolist() == [
        [0, 1, 1, 1, 1],
        [0, 0, 1, 1, 1],
        [0, 0, 0.5, 1, 1],
        [0, 0, 0, 0, 1],
    ]


def test_fewer_members_have_wider_places():
    # One member: two places, each two of four.
    assert ranks.cumulative(rows([(0, 0, 1)]), places=4).to_numpy().tolist() == [[0, 0.5, 1, 1, 1]]


def test_what_is_not_judged_is_left_out():
    table = rows([(0, 0, 3), (1, 0, 3)]).assign(covered=pd.array([1, None], dtype="Int64"))
    assert ranks.cumulative(table, places=4).index.tolist() == [0]


def test_a_histogram_counts_trials_and_not_quantities():
    # Two trials; the first has two quantities, both in place 1: one observation of share 1.
    table = pd.concat([rows([(0, 0, 3), (3, 0, 3)]), rows([(0, 0, 3)]).assign(quantity="median")])
    found = ranks.histogram(table.reset_index(drop=True), places=4)
    assert found["share"].tolist() == [0.5, 0, 0, 0.5]
    assert found.loc[1, ["low", "high"]].tolist() == list(calibration.t_limits(np.array([1.0, 0.0])))


def test_one_inner_point_has_the_limits_of_the_binomial_distribution():
    # With two places there is one number to look at, the heads in 24 throws of a coin: 7 is the first count
    # with more than 2.5% at or below it, 17 its mirror image.
    limits = ranks.simultaneous(24, places=2)
    assert (limits.loc[1, ["low", "high"]] * 24).tolist() == pytest.approx([7, 17])
    assert stats.binom.cdf(6, 24, 0.5) < 0.025 < stats.binom.cdf(7, 24, 0.5)


def test_limits_hold_uniform_ranks_as_a_whole():
    """95%, or more where the counts are coarse: never by a point alone."""
    limits = ranks.simultaneous(24)
    drawn = np.random.default_rng(6).integers(ranks.PLACES, size=(20_000, 24, 1))
    shares = (drawn < np.arange(ranks.PLACES + 1)).mean(axis=1)
    inside = ((shares >= limits["low"].to_numpy()) & (shares <= limits["high"].to_numpy())).all(axis=1)
    assert 0.94 < inside.mean() < 0.98
    pointwise = stats.binom.ppf(0.025, 24, 0.5) / 24
    assert limits.loc[ranks.PLACES // 2, "low"] < pointwise


def test_departures_tell_a_shifted_truth_from_an_exchangeable_one():
    rng = np.random.default_rng(7)
    values = rng.normal(size=(200, 20))
    even = rows([(int((v[1:] < v[0]).sum()), 0, 19) for v in values])
    high = rows([(int((v[1:] < v[0] + 1).sum()), 0, 19) for v in values]).assign(quantity="shifted")
    found = ranks.departures(pd.concat([even, high], ignore_index=True)).groupby("quantity")
    assert found["leaves"].all().to_dict() == {"events": False, "shifted": True}
    # A truth that lies too high has too little of its distribution in the lower places.
    assert found.get_group("shifted")["difference"].min() < -0.2
    assert found.get_group("shifted")["trials"].unique().tolist() == [200]
