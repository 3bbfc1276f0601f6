"""The efficacy analyses: two routes to one number, ensembles made by hand, what one cohort may not say."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontrial import efficacy, published, survival
from visiontrial.cohort.derived import Derived
from visiontrial.cohort.quantities import reconstruction_range
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.efficacy import EfficacyError, Reconstruction, Rules
from visiontrial.printed import as_printed
from visiontrial.sensitivity import precomputed

PAIRS = [("OS", "all_randomized"), ("OS", "pfs_set"), ("PFS", "pfs_set")]


@pytest.fixture(scope="module")
def vision() -> Reconstruction:
    return efficacy.load()


def by_hand(members: dict[int, dict[str, list]], column: str = "survival", shown: int = 0) -> Reconstruction:
    """A reconstruction of curves typed in: per member and arm one value per half month from 0."""
    rows = [
        {"member": member, "paramcd": "OS", "population": "all", "arm": arm, "month": n / 2, column: value}
        for member, arms in members.items()
        for arm, values in arms.items()
        for n, value in enumerate(values)
    ]
    trial = SimpleNamespace(targets=(), arms=(SimpleNamespace(name="old"), SimpleNamespace(name="new")))
    return Reconstruction(trial, SimpleNamespace(member=shown), Derived(None, None, pd.DataFrame(rows)))


# --- the analysis of the displayed cohort -----------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS)
def test_an_analysis_is_what_the_verifier_computed_when_the_ensemble_was_stored(vision, pair):
    """Two routes to one number: this room, and `cohort.verify` on the member that is displayed."""
    stored = vision.derived.statistics.loc[vision.shown.member]
    rules = Rules(level=0.992 if pair[0] == "PFS" else 0.95)
    found = vision.analysis(*pair, rules)
    stem = {"OS.all_randomized": "os", "OS.pfs_set": "os-pfs-set", "PFS.pfs_set": "pfs"}[".".join(pair)]
    ours = {"hr": found.hazard_ratio.ratio, "ci-low": found.hazard_ratio.low, "p": found.log_rank.p_value}
    ours |= {f"median.{arm}": median.median / DAYS_PER_MONTH for arm, median in found.medians.items()}
    ours |= {f"followup.{arm}.ci-high": m.high / DAYS_PER_MONTH for arm, m in found.followup.items()}
    compared = [part for part in ours if f"{stem}.{part}" in stored]
    assert len(compared) >= 2
    for part in compared:
        assert ours[part] == pytest.approx(stored[f"{stem}.{part}"], rel=1e-9), part


def test_every_printed_statistic_comes_out_in_every_cohort(vision):
    claims = [t.claim_id for t in vision.trial.targets]
    table = efficacy.agreement(claims)
    assert (table["agreeing"] == f"{vision.cohorts} of {vision.cohorts}").all()
    lowest = as_printed(float(vision.derived.statistics["os.hr"].min()), 4)
    assert table.loc["os.hr", ["printed", "lowest"]].tolist() == ["0.62", lowest]
    assert float(table.loc["os.p", "highest"]) < 1e-6
    with pytest.raises(EfficacyError, match=r"os-adjusted\.hr: reconstructed patients do not speak of it"):
        efficacy.agreement(["os.hr", "os-adjusted.hr"])


def test_rows_are_those_of_the_population(vision):
    assert len(vision.rows("PFS", "pfs_set")) == 581
    assert vision.rows("OS", "all_randomized")["PARAMCD"].unique().tolist() == ["OS"]


def test_rules_reach_the_estimates(vision):
    found = vision.analysis("OS", "all_randomized", Rules(0.9, "plain", "breslow", 12))
    assert "Breslow" in found.hazard_ratio.rule
    assert "90% limits by the plain transform" in found.medians["lu"].rule
    assert found.data.days.max() == math.floor(12 * DAYS_PER_MONTH)
    assert found.by(Rules(months=6)).data.days.max() == math.floor(6 * DAYS_PER_MONTH)
    assert found.by(Rules()).data.days.max() == found.data.days.max(), "what was cut off does not come back"


def test_an_earlier_cutoff_knows_what_had_happened_by_then(vision):
    """Deaths by direct count: those dated up to the earlier day."""
    whole = vision.analysis("OS", "all_randomized")
    earlier = vision.months_earlier(whole, 3)
    rows = vision.shown.adtte.query("PARAMCD == 'OS' and CNSR == 0")
    last = pd.Timestamp(vision.trial.cutoff) - pd.Timedelta(days=round(3 * DAYS_PER_MONTH))
    assert earlier.data.event.sum() == (pd.to_datetime(rows["ADT"]) <= last).sum()
    assert (earlier.data.days <= whole.data.days).all()
    with pytest.raises(EfficacyError, match="not everybody had been randomized"):
        vision.months_earlier(whole, 24)


def test_unknown_analyses_are_refused(vision):
    with pytest.raises(EfficacyError, match="no analysis of DOR in pfs_set: end points are OS, PFS, SSE"):
        vision.analysis("DOR", "pfs_set")
    with pytest.raises(EfficacyError, match="no curves of SSE in safety are stored"):
        vision.values("SSE", "safety")
    with pytest.raises(EfficacyError, match="no quantity is called"):
        vision.range_of("OS.all_randomized.cure")


def test_populations_in_words(vision):
    assert vision.population_in_words("all_randomized") == "all 831 randomized"
    assert vision.population_in_words("pfs_set") == "the 581 randomized from March 5, 2019 on"


def test_what_is_printed_and_what_is_not(vision):
    assert vision.prints("hazard_ratio", "PFS", "pfs_set")
    assert not vision.prints("hazard_ratio", "PFS", "all_randomized")
    assert vision.prints("median", "OS", "all_randomized", "lu")
    assert not vision.prints("median", "OS", "pfs_set", "lu")


def test_significance_speaks_of_every_cohort(vision):
    found = efficacy.significance(vision, vision.analysis("OS", "all_randomized"), "os.p", "os.alpha")
    assert (found.alpha, found.cohorts) == (float(published.value("os.alpha")), vision.cohorts)
    assert found.smallest <= found.p_value <= found.largest < found.alpha
    assert "below the level 0.05 in every cohort; log-rank test" in str(found)
    assert efficacy.Significance(0.01, 0.01, 0.2, 0.05, 9, "").significant_in == "not every cohort"


# --- what the ensemble leaves open -----------------------------------------------------------------


def test_a_month_that_some_cohort_does_not_define_has_no_range():
    values = pd.DataFrame({0: [1.0, 0.8, math.nan], 1: [1.0, 0.6, 0.5]}, index=[0.0, 0.5, 1.0])
    found = efficacy.range_by_month(values)
    assert found["month"].tolist() == [0.0, 0.5]
    assert found.loc[1, ["low", "high"]].tolist() == pytest.approx([0.605, 0.795])


def test_differences_hold_the_displayed_cohort_and_its_sampling_error(vision):
    whole = vision.analysis("OS", "all_randomized")
    table = efficacy.differences(vision, whole, 24).set_index("month")
    assert table.index.tolist() == list(range(1, 25))
    curves = vision.values("OS", "all_randomized")
    stored = (curves["lu"] - curves["control"])[vision.shown.member]
    assert table["difference"].to_numpy() == pytest.approx(stored.loc[range(1, 25)].to_numpy(), abs=1e-6)
    year = survival.survival_difference(whole.data, 12 * DAYS_PER_MONTH)
    assert (table.loc[12, "sampling_low"], table.loc[12, "sampling_high"]) == (year.low, year.high)
    found = vision.range_of("OS.all_randomized.survival_12.lu")
    assert table.loc[12, "low"] < found.low - vision.range_of("OS.all_randomized.survival_12.control").low


def test_differences_end_where_a_curve_is_cut(vision):
    cut = vision.analysis("OS", "all_randomized", efficacy.Rules(months=12))
    table = efficacy.differences(vision, cut, 24)
    assert table["month"].tolist() == list(range(1, 12))
    assert table.notna().all(axis=None)


def test_gains_by_hand():
    """Arm old at 1/2 in month 1, new in month 2 (member 0) and never (member 1)."""
    old = [1.0, 0.7, 0.5, 0.4, 0.2, 0.2]
    found = efficacy.gains(
        by_hand({0: {"old": old, "new": [1, 1, 0.9, 0.8, 0.5, 0.3]}, 1: {"old": old, "new": [1] * 6}}),
        "OS", "all", (0.5, 0.9),
    ).set_index("share")  # fmt: skip
    half = found.loc[0.5]
    assert (half["arm0"], half["arm1"], half["gain"], half["undefined"]) == (1.0, 2.0, 1.0, 0)
    assert half["low"] == math.inf or half["low"] >= 1.0
    assert half["high"] == math.inf
    assert found.loc[0.9, "undefined"] == 2
    assert math.isnan(found.loc[0.9, "low"])


@settings(max_examples=25)
@given(
    st.lists(st.floats(0.01, 0.2), min_size=12, max_size=20),
    st.integers(0, 4),
    st.sampled_from([0.25, 0.5, 0.75]),
)
def test_a_curve_moved_by_some_months_gains_as_many(drops, steps, share):
    """Every share of the patients gains the same when the whole curve is moved."""
    old = np.clip(1 - np.cumsum([0, *drops]), 0, 1)
    new = np.concatenate([np.ones(steps), old])
    padded = np.concatenate([old, np.full(steps, old[-1])])
    found = efficacy.gains(by_hand({0: {"old": list(padded), "new": list(new)}}), "OS", "all", (share,)).iloc[
        0
    ]
    if old.min() <= 1 - share:
        assert found["gain"] == steps / 2
    else:
        assert found["undefined"] == 1


def test_the_gain_at_the_half_is_that_of_the_printed_medians(vision):
    """Printed: 8.7 less 3.4 and 15.3 less 11.3 months; each median is within half a tenth of its print."""
    for paramcd, population, printed in (("PFS", "pfs_set", 5.3), ("OS", "all_randomized", 4.0)):
        half, quarter = efficacy.gains(vision, paramcd, population, (0.5, 0.25)).itertuples()
        assert printed - 0.1 <= half.low <= half.gain <= half.high <= printed + 0.1
        months = vision.analysis(paramcd, population).medians
        assert half.arm1 == pytest.approx(months["lu"].median / DAYS_PER_MONTH)
        assert half.arm0 == pytest.approx(months["control"].median / DAYS_PER_MONTH)
        assert quarter.gain % 0.5 == 0


def test_ratios_by_period_by_hand():
    """Ten at risk in both arms all the time; 2 and 1 events in month 1, 3 and 6 in month 2: 1/2 and 2."""
    events = {"old": [0, 1, 2, 4, 5], "new": [0, 0, 1, 3, 7]}
    curves = by_hand({0: events, 1: events}, "events").derived.curves
    curves["at_risk"] = 10
    base = by_hand({0: events})
    table = efficacy.period_ratios(
        Reconstruction(base.trial, base.shown, Derived(None, None, curves)), "OS", "all", (0, 1, 2)
    )
    assert table["ratio"].tolist() == pytest.approx([1 / 2, 2])
    assert table[["events0", "events1"]].to_numpy().tolist() == [[2, 1], [3, 6]]
    assert (table["sampling_low"] < table["ratio"]).all()
    assert (table["low"] == table["high"]).all()


def test_a_period_without_events_has_no_interval():
    events = {"old": [0, 1, 2], "new": [0, 0, 0]}
    curves = by_hand({0: events}, "events").derived.curves.assign(at_risk=10)
    base = by_hand({0: events})
    found = efficacy.period_ratios(
        Reconstruction(base.trial, base.shown, Derived(None, None, curves)), "OS", "all", (0, 1)
    ).iloc[0]
    assert found["ratio"] == 0
    assert math.isnan(found["sampling_low"])


def test_patient_months_of_the_grid_are_those_of_the_rows(vision):
    """The trapezoid rule on half months against every patient's own days, in the displayed cohort."""
    table = efficacy.period_ratios(vision, "OS", "all_randomized", (0, 6, 12, 18))
    data = vision.analysis("OS", "all_randomized").data
    for row in table.itertuples():
        start, end = row.start * DAYS_PER_MONTH, row.end * DAYS_PER_MONTH
        rates = []
        for arm in (0, 1):
            mine = data.of_arm(arm)
            exposed = (np.clip(mine.days, start, end) - start).sum()
            rates.append((mine.event & (mine.days > start) & (mine.days <= end)).sum() / exposed)
        assert row.ratio == pytest.approx(rates[1] / rates[0], rel=5e-3)


def test_medians_of_all_cohorts_are_exact(vision):
    """Those of every arm equal what the sensitivity chapter has stored of every cohort."""
    unprinted = efficacy.medians(vision, "PFS", "all_randomized")
    elsewhere = precomputed.read().all_randomized.set_index("member")
    for arm in vision.arms:
        displayed = vision.analysis("PFS", "all_randomized").medians[arm].median / DAYS_PER_MONTH
        assert unprinted.loc[vision.shown.member, arm] == pytest.approx(displayed)
        assert unprinted[arm].to_numpy() == pytest.approx(elsewhere[f"median_{arm}"].to_numpy(), rel=1e-6)
        found = efficacy.median_range(vision, "PFS", "all_randomized", arm)
        expected = reconstruction_range(elsewhere[f"median_{arm}"])
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_never_assessed_are_those_censored_on_the_first_day(vision):
    """Against the displayed cohort's own file, and against the stored counts at month 0.5 and 12."""
    found = efficacy.never_assessed(vision, "PFS", "pfs_set")
    rows = vision.rows("PFS", "pfs_set").query("AVAL == 1 and CNSR == 1")
    arms = vision.shown.adsl.set_index("USUBJID")["TRT01PN"].loc[rows["USUBJID"]]
    assert found.loc[vision.shown.member, ["control", "lu"]].tolist() == [
        (arms == 0).sum(),
        (arms == 1).sum(),
    ]
    assert len(found) == vision.cohorts
    for arm in vision.arms:
        by_half_a_month = vision.values("PFS", "pfs_set", "censored")[arm].loc[0.5]
        assert (found[arm] <= by_half_a_month).all()
        assert (found[arm] > 0).any()


def test_total_events_are_those_of_both_arms(vision):
    totals = efficacy.total_events(vision, "OS", "all_randomized")
    assert totals[vision.shown.member] == vision.analysis("OS", "all_randomized").data.event.sum()
    assert len(totals) == vision.cohorts
