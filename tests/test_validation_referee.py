"""R as referee: how answers are judged, that the stored ones are current, and R itself where it is there."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from visiontrial.cohort import displayed
from visiontrial.validation import comparisons, datasets, referee

needs_r = pytest.mark.skipif(not datasets.has_r(), reason="R with its package survival is not installed")


def is_installed(comparison: comparisons.Comparison) -> bool:
    try:
        comparison.rows()
    except datasets.DataMissing:
        return False
    return True


@pytest.fixture(scope="module")
def stored():
    return referee.read()


@pytest.mark.parametrize(
    ("r", "ours", "same"),
    [
        (1.0, 1.0 + 1e-7, True),
        (1.0, 1.0 + 1e-5, False),
        (math.inf, math.inf, True),
        (math.inf, 3853.0, False),
        (math.nan, math.nan, True),
        (math.nan, 1.0, False),
        (0.0, 0.0, True),
    ],
)
def test_what_counts_as_the_same_answer(r, ours, same):
    assert referee.alike(r, ours) is same


def test_a_judgement_by_hand():
    rows = [("x", "median.0", 250.0, 200.0), ("x", "median.1", 9.0, 9.0), ("y", "log_rank", 4.0, 4.0)]
    answers = pd.DataFrame(rows, columns=["dataset", "quantity", "r", "ours"])
    table = referee.judge(answers).set_index("check")
    assert table.loc["Median", ["compared", "alike", "where"]].tolist() == [2, 1, "x"]
    assert table.loc["Median", "largest"] == pytest.approx(50 / 250)
    assert table.loc["Median", "reason"].startswith("Where the curve lies on one half exactly")
    assert table.loc["Log-rank test, stratified", "reason"] == ""


def test_an_answer_without_a_number_on_either_side_is_not_counted():
    missing = [(math.inf, math.inf), (math.nan, math.nan), (math.inf, 9.0), (9.0, 9.0)]
    rows = [("x", f"median_low.{i % 2}", r, ours) for i, (r, ours) in enumerate(missing)]
    answers = pd.DataFrame(rows, columns=["dataset", "quantity", "r", "ours"])
    line = referee.judge(answers).set_index("check").loc["Limits of the median, log-log"]
    assert line[["compared", "alike", "empty", "where"]].tolist() == [2, 1, 2, "x"]


def test_on_eight_patients_the_median_is_a_matter_of_convention():
    # R: survfit(Surv(c(100, 200, 300, 400), rep(1, 4)) ~ 1) has median 250, the middle of [200, 300)
    ours = referee.ours(referee.eight_patients())
    assert (ours["median.0"], ours["median.1"]) == (200, 250)
    # Restricted mean to a year of the first arm: 100 + 75 + 50 + 0.25 * (365.25 - 300)
    assert ours["rmst.0"] == pytest.approx(100 + 75 + 50 + 0.25 * 65.25)


def test_every_real_trial_is_asked(stored):
    asked = set(stored.answers["dataset"])
    for comparison in comparisons.COMPARISONS:
        for outcome in comparison.outcomes:
            assert (f"{comparison.name} {outcome.paramcd}" in asked) == (comparison.dropout is None)


def test_every_stored_answer_belongs_to_a_check(stored):
    stems = set(stored.answers["quantity"].str.replace(r"\.[01]$", "", regex=True))
    assert stems == {quantity for check in referee.CHECKS for quantity in check.quantities}


def test_what_differs_from_r_has_its_reason(stored):
    table = referee.judge(stored.answers)
    assert (table["reason"] != "").eq(table["alike"] < table["compared"]).all()
    # The same method under the same name gives the same answer.
    by_convention = table["check"].isin(["Median", "Reverse Kaplan–Meier"])
    named = table[~table["two_methods"] & ~by_convention]
    assert (named["alike"] == named["compared"]).all()


def test_the_stored_answers_are_about_the_displayed_cohort(stored):
    assert stored.manifest["cohort"] == displayed.read().manifest["files"], "run: make validate"
    for rows in referee.cohort_rows():
        mine = stored.answers[stored.answers["dataset"] == rows.name].set_index("quantity")["ours"]
        for quantity, value in referee.ours(rows).items():
            np.testing.assert_allclose(mine[quantity], value, rtol=1e-9, err_msg=f"{rows.name} {quantity}")


@needs_r
def test_r_answers_as_it_did(stored, monkeypatch):
    here = tuple(c for c in comparisons.COMPARISONS if is_installed(c))
    monkeypatch.setattr(comparisons, "COMPARISONS", here)
    now = referee.both(list(referee.all_rows()))
    kept = stored.answers[stored.answers["dataset"].isin(now["dataset"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        now[["dataset", "quantity"]], kept[["dataset", "quantity"]], check_dtype=False
    )
    for column in ("r", "ours"):
        np.testing.assert_allclose(now[column], kept[column], rtol=1e-6)
