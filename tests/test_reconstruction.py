"""What the chapter on rebuilding asks of the cohorts: the small trial, ranges, comparisons, failures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from visiontrial import paths, reconstruction
from visiontrial.cohort import calibration, chain, reader, store, verify
from visiontrial.cohort.specification import DAYS_PER_MONTH

SHORT = chain.Settings(hard_sweeps=4)


@pytest.fixture(scope="module")
def small():
    return reader.read(paths.RECONSTRUCTION / "miniature")


# --- the small trial --------------------------------------------------------------------------------


def test_a_trial_is_printed_with_fewer_digits(small):
    """0.65 printed with one digit is 0.7, half up, and stands for [0.65, 0.75); 9.6 is 10."""
    coarse = {t.claim_id: t for t in reconstruction.coarser(small, 1).targets}
    assert [coarse["os.hr"].printed, coarse["os.hr"].low, coarse["os.hr"].high] == ["0.7", 0.65, 0.75]
    median = coarse["os.median.control"]
    assert [median.printed, median.low, median.high] == ["10", 9.5, 10.5]
    assert reconstruction.coarser(small, 0) == small


def test_a_bound_and_a_whole_number_stay_as_printed(vision):
    before, after = ({t.claim_id: t for t in x.targets} for x in (vision, reconstruction.coarser(vision, 1)))
    assert before["os.p"].printed.startswith("<")
    assert after["os.p"] == before["os.p"]
    twice = {t.claim_id: t for t in reconstruction.coarser(vision, 5).targets}
    assert twice["os.hr"].printed == "1"


@pytest.mark.parametrize(
    ("left_out", "digits", "message"),
    [
        ("os.median", 0, "left_out 'os.median' is no target of MINIATURE.*os.median.test"),
        ("none", -1, "0 or more"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(small, left_out, digits, message):
    with pytest.raises(ValueError, match=message):
        reconstruction.as_asked(small, left_out, digits)


def test_a_target_is_left_out(small):
    asked = reconstruction.as_asked(small, "os.hr", 0)
    assert {t.claim_id for t in small.targets} - {t.claim_id for t in asked.targets} == {"os.hr"}
    assert reconstruction.as_asked(small, "none", 0) == small


def test_without_printed_statistics_every_first_state_agrees(small):
    """No soft sweep is needed: the search has nothing to reach."""
    outcome = chain.reconstruct(reconstruction.unconditioned(small), 3, SHORT)
    assert outcome.accepted
    assert outcome.facts["soft_sweeps"] == 0


@pytest.fixture(scope="module")
def rebuilt(small):
    return reconstruction.rebuild(small, 4, SHORT)


def test_every_member_of_the_small_trial_passes_the_verifier(small, rebuilt):
    assert len(rebuilt.members) + rebuilt.failed == 4
    for cohort in rebuilt.members:
        verify.verify(small, *cohort)
    met = reconstruction.targets_met(reconstruction.recomputed(rebuilt, small), small)
    assert set(met) == {len(reconstruction.targets_of(small))}


def test_the_small_trial_is_rebuilt_alike_every_time(small, rebuilt):
    again = reconstruction.rebuild(small, 4, SHORT)
    assert again.failed == rebuilt.failed
    for (_, ours), (_, theirs) in zip(again.members, rebuilt.members, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)


def test_curves_begin_with_everybody_and_never_rise(rebuilt):
    curves = reconstruction.curves(rebuilt, "OS")
    assert (curves.loc[curves["month"] == 0, "survival"] == 1).all()
    steps = curves.groupby(["member", "arm"])["survival"].diff().dropna()
    assert (steps <= 1e-12).all()
    assert curves["survival"].notna().all()


def test_a_prediction_of_what_was_printed_is_what_was_printed(small, rebuilt):
    recomputed = reconstruction.recomputed(rebuilt, small)
    assert len(recomputed) == len(rebuilt.members)
    assert recomputed["os.hr"].between(0.645, 0.655, inclusive="left").all()


def test_targets_are_met_in_their_intervals_the_lower_end_included(small):
    two = replace(small, targets=tuple(t for t in small.targets if t.claim_id in ("os.hr", "pfs.hr")))
    table = pd.DataFrame({"os.hr": [0.645, 0.655, 0.65], "pfs.hr": [0.6, 0.6, 0.7], "os.ci-low": [0.0] * 3})
    assert reconstruction.targets_met(table, two).tolist() == [2, 1, 1]


def test_a_trial_that_no_chain_reaches_is_named_with_what_was_missed(small):
    wrong = replace(small.targets[1], printed="90.0", low=89.95, high=90.05)
    with pytest.raises(ValueError, match=r"none of 1 chains came to agree with .*os\.median\.test"):
        reconstruction.rebuild(replace(small, targets=(wrong,)), 1, chain.Settings(soft_sweeps=3))
    with pytest.raises(ValueError, match="0 chains make no cohort"):
        reconstruction.rebuild(small, 0)


# --- the prior --------------------------------------------------------------------------------------


def test_the_prior_shown_is_what_the_specification_says(vision):
    """Effects of the factors and shares are typed in trial.toml; levels are those of the typical medians."""
    table = reconstruction.priors(vision)
    for factor in vision.factors:
        row = table.loc[f"effect of {factor.label}"]
        assert (row["mean"], row["sd"]) == (factor.effect.mean, factor.effect.sd)
    for endpoint in vision.endpoints:
        level = table.loc[f"level of the hazard, {endpoint.paramcd}", "mean"]
        median = endpoint.typical_median * DAYS_PER_MONTH
        assert level == pytest.approx(math.log(math.log(2) / median), abs=0.005)
    shares = [name for name in table.index if name.startswith("share of")]
    assert [name.split()[2] for name in shares] == ["Lactate", "Androgen-receptor-pathway"]
    assert table.loc[shares, "scale"].tolist() == ["log odds; share below 0.48", "log odds"]
    assert table.loc[shares, "mean"].tolist() == [pytest.approx(math.log(0.35 / 0.65), abs=0.005), 0]


def test_what_is_held_is_what_the_engine_uses(vision, small):
    """5:1 is in `problem._untreated`; 42, 28 and 168 days and the shares of reasons in trial.toml."""
    table = reconstruction.held(vision)["value"]
    assert table.tolist() == ["0.5", "0.5", "5", "42", "0 to 28", "0.6", "0.4"]
    assert table.index[1].endswith("deaths count within 168 days of the last assessment")
    assert reconstruction.held(small)["value"].tolist() == ["1", "0 to 28"]


# --- targets and ranges -----------------------------------------------------------------------------


def test_every_member_lies_inside_every_rounding_interval(vision, implied):
    """DESIGN: each agrees exactly."""
    places = reconstruction.places(implied.statistics, vision)
    assert list(places) == [t.claim_id for t in vision.targets if t.role == "target"]
    assert ((places >= 0) & (places < 1)).all().all()


@given(arrays(float, st.integers(2, 60), elements=st.floats(-1e6, 1e6)))
def test_a_range_is_numpys_central_quantiles(values):
    row = reconstruction.ranges(pd.DataFrame({"x": values})).loc["x"]
    assert [row["low"], row["high"]] == pytest.approx(list(np.quantile(values, [0.025, 0.975])), abs=1e-6)
    assert [row["lowest"], row["highest"]] == [values.min(), values.max()]


def test_stability_is_per_quantity_and_ignores_what_is_undefined():
    values = np.arange(41.0)
    table = pd.DataFrame({"a": values, "b": np.where(values == 7, np.nan, values)})
    moved = reconstruction.stability(table, dropped=1)
    # Without 0 the low end moves from 1 to 1.975 of a width of 38.
    assert moved["a"] == pytest.approx(0.975 / 38)
    assert moved["b"] > 0


def test_rejections_of_proportional_hazards_are_counted_by_end_point():
    table = pd.DataFrame({"OS.all.ph_p": [0.01, 0.2, 0.04, 0.5], "OS.all.events.lu": [1.0, 2, 3, 4]})
    assert reconstruction.rejecting(table).to_dict() == {"OS.all": 0.5}


def test_unstratified_ratios_are_compared_with_the_printed_one(vision):
    names = [
        f"{t.paramcd}.{t.population}"
        for t in vision.targets
        if t.statistic == "hazard_ratio" and t.role == "target"
    ]
    table = pd.DataFrame({f"{name}.hazard_ratio_unstratified": [0.6249, 0.625] for name in names})
    shares = reconstruction.unstratified_prints(table, vision)
    assert shares["os.hr"] == 0.5  # 0.6249 prints 0.62, 0.625 prints 0.63
    assert shares["os-pfs-set.hr"] == 0.5
    assert shares["pfs.hr"] == 0


def test_progressions_among_the_events_by_hand(vision):
    """Member 0: a progression and a death in the set, another progression outside it; member 1: a death."""
    adsl = pd.DataFrame(
        {"member": [0, 0, 0, 0, 1], "USUBJID": list("abcda"), "PFSSETFL": ["Y", "Y", "Y", "N", "Y"]}
    )
    adtte = pd.DataFrame(
        {
            "member": [0, 0, 0, 0, 1, 0],
            "USUBJID": list("abcdaa"),
            "PARAMCD": ["PFS"] * 5 + ["OS"],
            "CNSR": [0, 0, 1, 0, 0, 0],
            "EVNTDESC": ["Progression", "Death", "Progression", "Progression", "Death", "Progression"],
        }
    )
    ensemble = store.Ensemble("x", adsl, adtte, pd.DataFrame(), pd.DataFrame(), {})
    assert reconstruction.own_events(ensemble, vision, "PFS", "pfs_set").to_dict() == {0: 0.5, 1: 0.0}


# --- one ensemble against another -------------------------------------------------------------------


def test_an_ensemble_against_itself_is_as_wide_and_has_not_moved():
    values = pd.DataFrame({"a": np.random.default_rng(1).normal(size=40), "b": np.arange(40.0)})
    table = reconstruction.against(values, values)
    assert table["width"].tolist() == pytest.approx([1, 1])
    assert table["shift"].tolist() == [0, 0]
    assert table["p"].tolist() == [1, 1]


@settings(max_examples=20)
@given(st.floats(0.1, 3), st.floats(-5, 5))
def test_width_and_shift_are_on_the_scale_of_the_reference(factor, offset):
    reference = pd.DataFrame({"a": np.random.default_rng(2).normal(size=50)})
    row = reconstruction.against(factor * reference + offset, reference).loc["a"]
    low, high = np.quantile(reference["a"], [0.025, 0.975])
    median = reference["a"].median()
    assert row["width"] == pytest.approx(factor)
    assert row["shift"] == pytest.approx((factor * median + offset - median) / (high - low))


def test_few_members_are_not_called_narrow_for_being_few():
    """Thirty draws of the same source: as wide as blocks of thirty, narrower than all three thousand."""
    rng = np.random.default_rng(3)
    few = pd.DataFrame(rng.normal(size=(30, 200)))
    many = pd.DataFrame(rng.normal(size=(3000, 200)))
    table = reconstruction.against(few, many)
    whole = many.quantile(0.975) - many.quantile(0.025)
    assert table["width"].mean() == pytest.approx(1, abs=0.03)
    assert ((table["high"] - table["low"]) / whole).mean() < 0.95


def test_infinite_limits_and_undefined_values_are_left_out():
    ours = pd.DataFrame({"a": [1.0, 2, 3, math.inf]})
    theirs = pd.DataFrame({"a": [1.0, 2, 3, math.nan]})
    assert reconstruction.against(ours, theirs).loc["a", "width"] == 1


def test_the_p_values_are_adjusted_for_their_number():
    """Of C(16, 8) orders of two groups of eight, two part them; Holm doubles the smaller of two."""
    low, high = np.arange(1.0, 9), np.arange(9.0, 17)
    table = reconstruction.against(pd.DataFrame({"a": low, "b": low}), pd.DataFrame({"a": high, "b": high}))
    assert table["p"].tolist() == pytest.approx([2 * 2 / math.comb(16, 8)] * 2)


# --- chains -----------------------------------------------------------------------------------------


def test_fates_and_members_by_rule():
    chains = pd.DataFrame(
        {
            "accepted": [True, False, True, True],
            "late_deaths": ["count", "count", "within 168 days", "count"],
            "member": pd.array([0, None, 1, 2], dtype="Int64"),
        }
    )
    fates = reconstruction.fates(chains)
    assert fates.loc["count"].to_dict() == {"accepted": 2, "failed": 1, "all": 3}
    assert fates.loc["within 168 days"].to_dict() == {"accepted": 1, "failed": 0, "all": 1}
    parted = reconstruction.by_rule(pd.DataFrame({"x": [10.0, 11.0, 12.0]}), chains)
    assert {rule: rows["x"].tolist() for rule, rows in parted.items()} == {
        "count": [10.0, 12.0],
        "within 168 days": [11.0],
    }


def test_fates_account_for_every_chain():
    registry = store.read("registry")
    fates = reconstruction.fates(registry.chains)
    assert fates["all"].sum() == len(registry.chains)
    assert fates["accepted"].sum() == len(registry.members)


def test_the_common_rule_is_the_one_that_no_ensemble_lacks():
    rows = pd.DataFrame({"x": range(9)})
    parted = {"a": {"count": rows, "within 9 days": rows.head(4)}, "b": {"within 9 days": rows.head(2)}}
    assert reconstruction.common_rule(parted) == "within 9 days"
    parted["b"]["count"] = rows.head(3)
    assert reconstruction.common_rule(parted) == "count"
    with pytest.raises(ValueError, match="in all of a, b"):
        reconstruction.common_rule({"a": {"count": rows}, "b": {"within 9 days": rows}})


def test_quantities_that_rest_on_strata_are_set_aside(implied):
    kept = reconstruction.without_strata(implied.quantities)
    kinds = {reconstruction.Quantity.of(name).kind for name in kept}
    assert {"events", "rmst_difference", "survival_12"} <= kinds
    assert not kinds & {"hazard_ratio_unstratified", "log_rank_chi_square", "ph_p", "ph_slope"}


# --- calibration ------------------------------------------------------------------------------------


def test_a_quantity_differs_when_its_interval_leaves_the_nominal_coverage_out():
    """The limits 0.383 to 0.858 (Clopper-Pearson, 11 of 17) lie below the nominal 0.9."""
    row = {"half": "report", "family": "all", "endpoint": "PFS", "arm": "all", "nominal": 0.9}
    summary = pd.DataFrame(
        [
            row | {"quantity": "ph_p", "coverage_low": 0.383, "coverage_high": 0.858},
            row | {"quantity": "events", "coverage_low": 0.713, "coverage_high": 0.999},
            row | {"quantity": "all", "coverage_low": 0.8, "coverage_high": 0.85},
            row | {"quantity": "events", "half": "tune", "coverage_low": 0.1, "coverage_high": 0.2},
        ]
    )
    found = reconstruction.of_quantities(summary, "report")
    assert found[["quantity", "differs"]].values.tolist() == [["ph_p", True], ["events", False]]
    assert reconstruction.of_families(summary, "report")["quantity"].tolist() == ["all"]


def test_intervals_that_leave_the_truth_out_by_chance():
    """Two trials at a probability of 0.9: the exact interval of 0 of 2 ends at 1 - 0.025^(1/2) = 0.842, those
    of 1 and 2 hold 0.9. So 0 of 2 alone leaves it out, which happens with probability 0.01."""
    table = pd.DataFrame({"trials": [2, 2], "nominal": [0.9, 0.9]})
    assert reconstruction.outside_by_chance(table) == pytest.approx(2 * 0.01)


def test_a_truth_on_the_edge_counts_for_its_share():
    """Inside; equal to the lowest of three; below all; equal to all three, two of four places outside."""
    table = pd.DataFrame(
        {"below": [1, 0, 0, 0], "equal": [0, 1, 0, 3], "members": 3, "covered": [1, 1, 0, 1]}
    ).assign(quantity="events", endpoint="OS", arm="all")
    found = reconstruction.untied(table).loc[0]
    assert found["untied"] == pytest.approx((1 + 1 / 2 + 0 + 1 / 2) / 4)
    assert found["tied"] == 0.5


def test_failed_chains_of_the_stored_calibration_are_counted():
    stored = calibration.read()
    failed = reconstruction.failures(stored.chains, "tune")
    chains = stored.chains[stored.chains["half"] == "tune"]
    assert failed["chains"].sum() == len(chains)
    assert failed["failed"].sum() == (~chains["accepted"]).sum()
    assert list(failed.index) == list(calibration.HALVES["tune"].families)
