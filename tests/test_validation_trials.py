"""Real trials as data: what they are, what is printed of them, how they are compared and stored."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pretend_engine
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrial import survival, validation
from visiontrial.cohort import calibration, store, verify
from visiontrial.cohort.rebuilding import RebuildingError
from visiontrial.validation import comparisons, datasets, evidence, left_out, referee, trials


def is_installed(comparison: comparisons.Comparison) -> bool:
    try:
        comparison.rows()
    except datasets.DataMissing:
        return False
    return True


HERE = [c for c in comparisons.COMPARISONS if is_installed(c)]
# Before a fixture puts an invented comparison and few members in their place.
PLANNED, PLANNED_MEMBERS = [case.name for case in trials.cases()], trials.MEMBERS
needs_r = pytest.mark.skipif(not datasets.has_r(), reason="R with its package survival is not installed")


def needs(name: str):
    missing = name not in [c.name for c in HERE]
    return pytest.mark.skipif(missing, reason=f"the package that carries {name} is not installed")


DECLARED = [pytest.param(c, marks=needs(c.name), id=c.name) for c in comparisons.COMPARISONS]


# --- what the data sets are -----------------------------------------------------------------------


@needs_r
def test_colon_counts_are_those_of_its_survfit():
    # R: survfit(Surv(time, status) ~ rx, colon, subset = etype == 2): n 315, 310, 304; events 168, 161, 123
    rows = datasets.colon()
    assert rows.groupby("arm").size().to_dict() == {"Obs": 315, "Lev": 310, "Lev+5FU": 304}
    assert rows.groupby("arm")["OS_event"].sum().to_dict() == {"Obs": 168, "Lev": 161, "Lev+5FU": 123}
    # Recurrence or death: never after death, and at least as often.
    assert (rows["RFS_days"] <= rows["OS_days"]).all()
    assert rows.groupby("arm")["RFS_event"].sum().to_dict() == {"Obs": 190, "Lev": 182, "Lev+5FU": 134}


@needs_r
def test_pbc_without_the_patients_who_were_not_randomized():
    # R: survfit(Surv(time, status == 2) ~ trt, pbc): n 158, 154; events 65, 60; medians 3282, 3428
    rows = datasets.pbc()
    assert rows.groupby("arm").size().tolist() == [158, 154]
    data = survival.outcomes(rows["OS_days"], rows["OS_event"], rows["arm"] - 1)
    assert [survival.kaplan_meier(data.of_arm(a)).median().median for a in (0, 1)] == [3282, 3428]
    assert (rows["state"] == "Transplanted").sum() == 19


@needs_r
def test_first_events_alone_are_kept_of_data_with_several_rows_a_patient():
    # R: survfit(Surv(tstop, status) ~ treat, first rows of cgd): n 65, 63; events 30, 14; median 304, NA
    rows = datasets.cgd()
    assert rows.groupby("arm").size().to_dict() == {"placebo": 65, "rIFN-g": 63}
    assert rows.groupby("arm")["TTI_event"].sum().to_dict() == {"placebo": 30, "rIFN-g": 14}
    assert len(datasets.rhdnase()) == 647
    assert datasets.rhdnase()["TTE_days"].min() == 1


def test_actg175_has_four_arms():
    rows = datasets.actg175()
    assert rows.groupby("arm").size().tolist() == [532, 522, 524, 561]
    assert rows.groupby("arm")["EFS_event"].sum().tolist() == [181, 103, 109, 128]


@needs("actg320")
def test_actg320_counts_are_those_of_its_documentation():
    # scikit-survival, load_aids: 1,151 patients, 96 with AIDS or death, 26 deaths
    rows = datasets.actg320()
    assert (len(rows), rows["AFS_event"].sum(), rows["OS_event"].sum()) == (1151, 96, 26)
    assert (rows["AFS_days"] <= rows["OS_days"]).all()


@needs("actg320")
@needs_r
def test_veteran_is_the_same_under_two_names():
    file = datasets.from_scikit_survival("veteran.arff")
    theirs = sorted(zip(file["Survival_in_days"], file["Age_in_years"], strict=True))
    rows = datasets.from_r("veteran")
    assert theirs == sorted(zip(rows["time"].astype(float), rows["age"].astype(float), strict=True))


def test_the_inventory_accounts_for_every_data_set_that_is_used():
    used = {(known.name.lower(), known.package) for known in datasets.INVENTORY if known.used == "yes"}
    assert used == {(c.rows.__name__, c.package) for c in comparisons.COMPARISONS}
    assert all(known.randomized for known in datasets.INVENTORY if known.used == "yes")
    sizes = {(known.name.lower(), known.package): known.patients for known in datasets.INVENTORY}
    for comparison in HERE:
        if comparison.name != "pbc" and not comparison.name.startswith("pbc"):
            assert len(comparison.rows()) == sizes[comparison.rows.__name__, comparison.package]


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(datasets.shutil, "which", lambda _: None)
    with pytest.raises(datasets.DataMissing, match="apt-get install r-base-core r-cran-survival"):
        datasets.run_r("-e", "1")
    with pytest.raises(datasets.DataMissing, match="make validate"):
        datasets._carried("no-such-package-anywhere", "x.csv")


# --- two groups, fixed beforehand -----------------------------------------------------------------


def test_at_least_eight_comparisons_are_reported_and_none_is_tuned_on():
    groups = {c.name: c.group for c in comparisons.COMPARISONS}
    assert len(groups) == len(comparisons.COMPARISONS)
    assert sum(group == "report" for group in groups.values()) >= 8
    assert {name for name, group in groups.items() if group == "tune"} == {"veteran", "cgd"}
    reported = {c.rows for c in comparisons.COMPARISONS if c.group == "report"}
    assert not reported & {c.rows for c in comparisons.COMPARISONS if c.group == "tune"}
    assert [c.name for c in comparisons.COMPARISONS if c.dropout] == [
        "colon-dropout",
        "pbc-dropout",
        "udca-dropout",
    ]


# --- what is printed ------------------------------------------------------------------------------


def invented(seed: int = 1, size: int = 120) -> pd.DataFrame:
    """Patients of nobody: exponential times, two end points, a factor."""
    rng = np.random.default_rng(seed)
    death, relapse, end = rng.exponential(500, size), rng.exponential(300, size), rng.uniform(400, 900, size)
    first = np.minimum(relapse, death)
    return pd.DataFrame(
        {
            "arm": np.repeat(["old", "new"], size // 2),
            "factor": rng.integers(0, 2, size),
            "OS_days": np.ceil(np.minimum(death, end)).astype(int),
            "OS_event": death <= end,
            "RFS_days": np.ceil(np.minimum(first, end)).astype(int),
            "RFS_event": first <= end,
        }
    )


INVENTED = comparisons.Comparison(
    "invented", "Nobody's trial", "report", "lifelines", invented, ("old", "new"), ("Old", "New"),
    (comparisons.OS, comparisons.RFS), shortest=400, landmark=12, factor="High risk",
    reports=(comparisons.FULL, "medians-only"),
)  # fmt: skip


@pytest.mark.parametrize("comparison", [pytest.param(INVENTED, id="invented"), *DECLARED])
def test_the_truth_agrees_with_what_is_printed_of_it(comparison):
    truth = comparison.truth
    trial = truth.printed()
    table = verify.statistics(trial, truth.adsl, truth.adtte)
    assert table["agrees"].all()
    assert {t.statistic for t in trial.targets} >= {"hazard_ratio", "ci_low", "ci_high"}
    for target in trial.targets:
        decimals = 1 if target.statistic in ("median", "followup") else 2
        assert len(target.printed.split(".")[1]) == decimals
    # Everybody has one end state, and nobody is followed for longer than the calendar allows.
    for cell, size in trial.randomized.items():
        assert sum(state.counts[cell] for state in trial.end_states) == size
    assert truth.rows.filter(like="_days").to_numpy().max() <= truth.longest
    assert (trial.cutoff - trial.periods[0].last).days + 1 == comparison.shortest


def test_a_median_that_is_not_reached_gives_a_landmark():
    rows = invented()
    rows.loc[rows["arm"] == "new", ["OS_event", "RFS_event"]] = False
    # A hazard ratio needs events, early ones leave the curve high.
    for paramcd in ("OS", "RFS"):
        early = rows.loc[rows["arm"] == "new", f"{paramcd}_days"].nsmallest(3).index
        rows.loc[early, f"{paramcd}_event"] = True
    few = replace(INVENTED, name="few", rows=lambda: rows)
    statistics = {(t.paramcd, t.statistic, t.arm): t for t in few.truth.printed().targets}
    assert ("OS", "median", "treated") not in statistics
    assert statistics["OS", "survival", "treated"].at == 12
    assert statistics["OS", "survival", "reference"].printed.startswith("0.")


def test_the_engine_is_told_rounded_numbers_and_counts_only():
    told = repr(INVENTED.truth.printed())
    assert "REAL-" not in told
    assert "DataFrame" not in told


@pytest.mark.parametrize(
    ("detail", "left"),
    [
        ("as-vision", {"median", "hazard_ratio", "ci_low", "ci_high", "followup"}),
        ("no-follow-up", {"median", "hazard_ratio", "ci_low", "ci_high"}),
        ("no-limits", {"median", "hazard_ratio", "followup"}),
        ("medians-only", {"median"}),
    ],
)
def test_a_report_that_prints_less(detail, left):
    trial = INVENTED.truth.printed()
    assert {t.statistic for t in comparisons.report(trial, detail).targets} == left


def test_dropout_touches_the_reference_arm_within_its_months_alone():
    dropout = comparisons.Dropout(share=0.5, months=4, recovered=0.5)
    before = INVENTED.truth.rows
    after = replace(INVENTED, name="dropout", dropout=dropout).truth.rows
    treated = before["arm"] == 1
    pd.testing.assert_frame_equal(before[treated], after[treated])
    gone = after["state"] == comparisons.DROPPED_OUT
    assert 0.3 < gone[~treated].mean() < 0.7
    # Vital status learned: overall survival as it was. Else censored on the day of leaving.
    learned = gone & after["recovered"]
    pd.testing.assert_series_equal(before.loc[learned, "OS_days"], after.loc[learned, "OS_days"])
    lost = gone & ~after["recovered"]
    assert not after.loc[lost, "OS_event"].any()
    assert after.loc[lost, "OS_days"].max() < 4 * 31
    cut = gone & (before["RFS_days"] != after["RFS_days"])
    assert not after.loc[cut, "RFS_event"].any()
    assert (after["RFS_days"] <= after["OS_days"]).all()
    pd.testing.assert_frame_equal(before[~gone], after[~gone])


def test_what_follows_from_the_print_is_not_judged():
    trial = INVENTED.truth.printed()
    printed = comparisons.printed_already
    assert printed(trial, "events", "OS", "reference")  # the end states say who died
    assert not printed(trial, "events", "RFS", "reference")
    assert not printed(trial, "hazard_ratio_unstratified", "OS", "all")
    assert printed(replace(trial, factors=()), "hazard_ratio_unstratified", "OS", "all")
    at_twelve = [replace(t, statistic="survival", at=12) for t in trial.targets if t.statistic == "median"]
    landmark = replace(trial, targets=tuple(at_twelve))
    assert printed(landmark, "survival_12", "OS", "treated")
    assert not printed(landmark, "survival_6", "OS", "treated")
    dropout = replace(INVENTED, dropout=comparisons.Dropout(0.5, 4, 0.5)).truth.printed()
    assert not printed(dropout, "events", "OS", "reference")
    assert printed(dropout, "events", "OS", "treated")  # nobody of this arm dropped out


# --- summaries ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("covered", "count"), [(0, 9), (5, 9), (9, 9)])
def test_limits_for_whole_numbers_are_clopper_pearsons(covered, count):
    expected = calibration.clopper_pearson(covered, count)
    assert trials.binomial_limits(covered / count, count) == pytest.approx(expected, abs=1e-12)


@given(thousandths=st.integers(0, 1000), count=st.integers(1, 40))
def test_limits_hold_the_share_and_lie_between_those_of_its_neighbours(thousandths, count):
    share = thousandths / 1000
    low, high = trials.binomial_limits(share, count)
    assert low <= share <= high
    below, above = math.floor(share * count), math.ceil(share * count)
    assert trials.binomial_limits(below / count, count)[0] <= low + 1e-9
    assert high <= trials.binomial_limits(above / count, count)[1] + 1e-9


def compared() -> pd.DataFrame:
    """Two trials: of the first one of two quantities is covered, of the second both; one is not judged."""
    columns = ["comparison", "quantity", "endpoint", "truth", "low", "median", "high", "covered", "judged"]
    rows = [
        ("a", "survival_6", "OS", 0.5, 0.4, 0.6, 0.7, 1, True),
        ("a", "survival_12", "OS", 0.5, 0.6, 0.7, 0.8, 0, True),
        ("a", "events", "OS", 10.0, 10.0, 10.0, 10.0, 1, False),
        ("b", "survival_6", "OS", 0.5, 0.5, 0.5, 0.5, 1, True),
        ("b", "ph_p", "OS", 0.2, 0.01, 0.3, 0.9, 1, True),
        ("b", "ph_slope", "OS", math.nan, 0.0, 0.0, 0.0, None, True),
    ]
    table = pd.DataFrame(rows, columns=columns).astype({"covered": "Int64"})
    return table.assign(
        group="report",
        report=comparisons.FULL,
        arm="all",
        members=19,
        failures=0,
        dataset=table["comparison"],
    )


def test_a_summary_by_hand():
    table = trials.summarize(compared()).set_index("kind")
    landmarks = table.loc["survival"]
    assert landmarks[["quantities", "trials", "covered", "all_covered"]].tolist() == [3, 2, 2, 1]
    assert landmarks["coverage"] == pytest.approx((1 / 2 + 1) / 2)
    assert landmarks["absolute_error"] == pytest.approx((0.1 + 0.2 + 0) / 3)
    assert landmarks["width"] == pytest.approx((0.3 + 0.2 + 0) / 3)
    assert landmarks["nominal"] == pytest.approx(18 / 20)
    assert landmarks[["coverage_low", "coverage_high"]].tolist() == pytest.approx(
        list(trials.binomial_limits(0.75, 2))
    )
    assert "events" not in table.index
    assert table.loc["all", "quantities"] == 4
    assert trials.by_comparison(compared())[["quantities", "covered"]].to_numpy().tolist() == [[2, 1], [2, 2]]


def test_comparisons_of_one_data_set_count_as_one_trial():
    # Both comparisons share patients: one trial, of which two of three landmarks are covered.
    table = trials.summarize(compared().assign(dataset="one")).set_index("kind")
    landmarks = table.loc["survival"]
    assert landmarks["trials"] == 1
    assert landmarks["coverage"] == pytest.approx(2 / 3)
    assert landmarks["coverage_high"] == pytest.approx(trials.binomial_limits(2 / 3, 1)[1])
    # The rule of the answers keeps counting comparisons, which is stricter: half of a trial and a whole one.
    assert landmarks["strict_high"] == pytest.approx(trials.binomial_limits(0.75, 2)[1])
    assert {c.dataset for c in comparisons.COMPARISONS if c.name.startswith("pbc")} == {"pbc"}
    assert len({c.dataset for c in comparisons.COMPARISONS if c.group == "report"}) == 7


def test_every_quantity_of_the_engine_has_a_kind():
    truth = INVENTED.truth
    found = calibration.quantities(truth.printed(), truth.adsl, truth.adtte)
    assert set(found.index.get_level_values("quantity")) <= set(trials.KINDS)
    assert set(trials.KINDS.values()) == set(evidence.KINDS)


def test_a_range_on_both_sides_of_the_conventional_value_decides_nothing():
    assert evidence.undecided(compared()) == (1, 1)
    decided = compared()
    decided.loc[decided["quantity"] == "ph_p", "low"] = 0.06
    assert evidence.undecided(decided) == (0, 1)


def test_the_rule_is_as_lenient_as_for_the_kind_with_the_fewest_comparisons():
    kinds = pd.DataFrame(
        {"kind": ["events", "survival", "all"], "comparisons_real": [5, 9, 1], "nominal_real": [0.9] * 3}
    )
    # R: binom.test(2, 5)$conf.int[2] = 0.8534, binom.test(3, 5)$conf.int[2] = 0.9473
    assert 2 / 5 < evidence.smallest_of_all_passing(kinds, "real") <= 3 / 5
    assert evidence.smallest_of_all_passing(kinds, "real") == evidence.smallest_passing(5, 0.9)


def both(real_high: float, simulated_high: float, kind: str = "survival") -> pd.DataFrame:
    row = {
        "kind": kind, "coverage_high_real": real_high, "nominal_real": 0.9, "absolute_error_real": 0.02,
        "absolute_error_simulated": 0.03, "coverage_high_simulated": simulated_high, "nominal_simulated": 0.9,
        "held_real": real_high >= 0.9, "held_simulated": simulated_high >= 0.9,
    }  # fmt: skip
    return pd.DataFrame([row])


def of_families(quantity: str = "survival_6", held: int = 20, true_p: float = 0.5) -> pd.DataFrame:
    """Two families of 20 simulated trials; of those where hazards cross `held` hold the quantity.

    The P value of proportional hazards is `true_p` in each trial, and held.
    """
    rows = [
        (f"{family}-{i}", family, what, truth, i < (held if (family, what) == ("crossing", quantity) else 20))
        for family in ("crossing", "cure")
        for i in range(20)
        for what, truth in ((quantity, 0.5), ("ph_p", true_p))
    ]
    table = pd.DataFrame(rows, columns=["comparison", "family", "quantity", "truth", "covered"])
    return table.assign(
        endpoint="OS", arm="all", judged=True, low=0.4, median=0.5, high=0.6, members=19, group="report",
        report=evidence.SIMULATED, covered=table["covered"].astype("Int64"), dataset=table["comparison"],
    )  # fmt: skip


def test_a_family_that_is_not_held_takes_the_yes_away_and_is_named():
    # R: binom.test(10, 20)$conf.int[2] = 0.7280, binom.test(30, 40)$conf.int[2] = 0.8731
    simulations = of_families(held=10)
    table = evidence.by_family(simulations).set_index(["kind", "family"])
    assert table.loc[("survival", "crossing"), "high"] == pytest.approx(0.7280, abs=1e-4)
    assert not table.loc[("survival", "crossing"), "held"]
    assert table.loc[("survival", "cure"), "held"]
    found = evidence.sentences(both(0.95, 0.95), compared(), simulations).iloc[0]
    assert found["answer"] == "with care"
    assert "But in simulated trials not where the hazards cross (10 of 20)" in found["sentence"]
    assert evidence.by_quantity(simulations).set_index("quantity")["high"]["survival_6"] == pytest.approx(
        0.8731, abs=1e-4
    )
    assert "nor for OS survival at 6 months (30 of 40)." in found["sentence"]
    # A no stays a no.
    assert evidence.sentences(both(0.8, 0.8), compared(), simulations)["answer"].tolist() == ["no"]


@pytest.mark.parametrize(("true_p", "answer"), [(0.04, "no"), (0.5, "with care")])
def test_a_slope_must_be_held_where_the_hazards_change(true_p, answer):
    simulations = of_families("ph_slope", held=10, true_p=true_p)
    hazards = evidence.by_hazards(compared(), simulations).set_index(["trials", "kind"])
    slope = hazards.loc[("simulated", "proportional hazards, slope")]
    assert slope[["proportional", "covered", "quantities"]].tolist() == [true_p >= 0.05, 30, 40]
    found = evidence.sentences(both(0.95, 0.95, "proportional hazards, slope"), compared(), simulations)
    assert found["answer"].tolist() == [answer]


@pytest.mark.parametrize(
    ("real", "simulated", "answer"),
    [(0.95, 0.95, "yes"), (0.95, 0.8, "with care"), (0.8, 0.95, "with care"), (0.8, 0.8, "no")],
)
def test_answers_follow_the_rule(real, simulated, answer):
    table = evidence.sentences(both(real, simulated), compared(), of_families())
    assert table["answer"].tolist() == [answer]
    said = "its middle is off by 2.0 percentage points in real and 3.0 percentage points in simulated trials"
    assert said in table["sentence"].iloc[0]


def test_proportional_hazards_are_refused_where_the_members_disagree():
    table = evidence.sentences(both(0.95, 0.95, "proportional hazards, P"), compared(), of_families())
    assert table["answer"].tolist() == ["no"]
    assert "1 of 1 end points" in table["sentence"].iloc[0]


def test_what_nine_trials_can_decide():
    # R: binom.test(9, 9)$conf.int[1] = 0.6637329
    assert evidence.detectable(9) == pytest.approx(0.6637329, abs=1e-6)


def test_how_lenient_the_rule_is():
    # R: binom.test(6, 9)$conf.int[2] = 0.9251, binom.test(5, 9)$conf.int[2] = 0.8632
    assert 5 / 9 < evidence.smallest_passing(9, 0.9) <= 6 / 9
    assert evidence.smallest_passing(1000, 0.9) > 0.87


def test_a_comparison_with_too_few_members_is_named():
    table = compared()
    table.loc[table["comparison"] == "b", "covered"] = pd.NA
    assert evidence.not_judged(table) == ["b"]
    assert evidence.not_judged(compared()) == []


def test_limits_that_are_not_reached_are_counted_apart():
    table = compared().assign(quantity="median_low")
    table.loc[0, "truth"] = math.inf
    # Judged with known coverage are four rows; one of them is not reached, one of the other three is missed.
    assert evidence.unreached(table) == (1, 1)
    summary = trials.summarize(table).set_index("kind")
    assert summary.loc["median limits", ["quantities", "covered"]].tolist() == [3, 2]
    assert summary.loc["all", "quantities"] == 3
    assert trials.by_comparison(table)["quantities"].sum() == 3


def test_landmarks_by_hand():
    table = evidence.by_landmark(compared(), compared().iloc[:2]).set_index(["trials", "month"])
    six = table.loc[("real", 6)]
    assert six[["arms", "covered"]].tolist() == [2, 2]
    assert six["bias"] == pytest.approx((0.1 + 0) / 2)
    assert six["above"] == 0
    assert table.loc[("simulated", 12), "covered"] == 0


def test_dropout_is_told_apart_in_both_bodies_of_evidence():
    real = compared().replace({"comparison": {"a": "pbc-dropout"}})
    simulations = compared().assign(family=["dropout", "cure"] * 3)
    # Of the real ones those of the same data set, of the simulated ones all.
    real = real.assign(dataset=["one"] * 5 + ["other"])
    table = evidence.by_dropout(real, simulations)
    assert table["trials"].tolist() == ["real", "real", "simulated", "simulated"]
    assert table["name"].tolist() == ["pbc-dropout", "b", "dropout", "others"]
    assert table["dropout"].tolist() == [True, False, True, False]
    assert table[["quantities", "covered"]].to_numpy().tolist() == [[2, 1], [2, 2], [2, 2], [2, 1]]
    assert table["nominal"].tolist() == pytest.approx([18 / 20] * 4)


# --- run and store --------------------------------------------------------------------------------


REDRAW = pretend_engine.DrawAnother(lambda seed: replace(INVENTED, rows=lambda: invented(seed % 1000)).truth)
ENGINE = pretend_engine.engine_of(REDRAW)


@pytest.fixture(scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparisons, "COMPARISONS", (INVENTED,))
        patch.setattr(trials, "MEMBERS", 4)
        patch.setattr(datasets, "run_r", lambda *_: "0")
        patch.setattr(trials, "version", lambda _: "0")
        yield


@pytest.fixture(scope="module")
def reference(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    REDRAW.seeds.clear()
    make(folder)
    assert len(REDRAW.seeds) == 8
    return folder


@pytest.fixture
def made(reference, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    REDRAW.seeds.clear()
    return folder


def make(folder, **options):
    options = {"processes": 1, "engine": ENGINE, **options}
    return trials.make(kept=folder / "kept", stored=folder / "stored", **options)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_stored(reference):
    found = trials.read(reference / "stored")
    assert found.comparisons["report"].unique().tolist() == ["as-vision", "medians-only"]
    # The same quantities are judged, whatever the report leaves out.
    judged = found.comparisons.groupby("report")["judged"].apply(list)
    assert judged["as-vision"] == judged["medians-only"]
    truth = INVENTED.truth.rows
    events = found.comparisons.query("quantity == 'events' and endpoint == 'RFS' and arm == 'treated'")
    assert events["truth"].unique() == [truth.loc[truth["arm"] == 1, "RFS_event"].sum()]
    assert set(found.curves["endpoint"]) == {"OS", "RFS"}
    known = found.curves.dropna()
    assert (known["low"] <= known["high"]).all()
    assert found.printed["printed"].map(type).eq(str).all()
    assert len(found.chains) == 8


def test_no_patient_is_stored(reference):
    for name, content in contents(reference / "stored").items():
        assert b"REAL-" not in content, name
        assert b"SYNTHETIC-" not in content, name
    assert len(trials.read(reference / "stored").curves) < len(INVENTED.truth.rows) * 2


def test_a_second_run_runs_nothing_and_stores_the_same_bytes(made, reference):
    assert contents(make(made)) == contents(reference / "stored")
    assert not REDRAW.seeds


def test_a_killed_run_goes_on_where_it_was(made, reference):
    sorted((made / "kept").rglob("chain-*.zip"))[2].unlink()
    assert contents(make(made)) == contents(reference / "stored")
    assert len(REDRAW.seeds) == 1


def test_a_trial_run_is_not_stored_in_place_of_the_planned_one(made, reference):
    folder = make(made, members=2)
    assert folder.is_relative_to(made / "kept")
    assert contents(made / "stored") == contents(reference / "stored")


@pytest.mark.parametrize("members", [-1, 0, 1])
def test_fewer_than_two_members_are_refused(made, reference, members):
    with pytest.raises(RebuildingError, match=f"^{members} members: give at least 2"):
        make(made, members=members)
    assert contents(made / "stored") == contents(reference / "stored")
    assert not REDRAW.seeds


def test_a_member_that_the_verifier_rejects_stops_everything(made):
    shutil.rmtree(made / "stored")
    with pytest.raises(RebuildingError, match=r"invented-as-vision, chain \d: .* os.hr is 0.70"):
        make(made, engine=pretend_engine.engine_of(REDRAW, pretend_engine.reject))
    assert not (made / "stored").exists()


def test_an_altered_file_is_not_read(made):
    with (made / "stored" / "summary.csv").open("a") as file:
        file.write("x")
    with pytest.raises(store.StoreError, match=r"summary\.csv .* make validate"):
        trials.read(made / "stored")


# --- what is stored with the book -----------------------------------------------------------------


@pytest.mark.parametrize("comparison", DECLARED)
def test_the_stored_truth_is_that_of_the_data(comparison):
    found = trials.read()
    truth = comparison.truth
    trial = truth.printed()
    stored = found.printed[found.printed["comparison"] == comparison.name]
    assert stored["printed"].tolist() == [t.printed for t in trial.targets]
    rows = found.comparisons.query("comparison == @comparison.name and report == @comparisons.FULL")
    now = calibration.quantities(trial, truth.adsl, truth.adtte)
    kept = rows.set_index(["quantity", "endpoint", "arm"])["truth"]
    np.testing.assert_allclose(kept.to_numpy(float), now.to_numpy(float), rtol=1e-7)


def test_everything_planned_is_stored():
    found = trials.read()
    assert found.manifest["cases"] == PLANNED
    assert found.manifest["members"] == PLANNED_MEMBERS
    pd.testing.assert_frame_equal(
        trials.summarize(found.comparisons), found.summary, check_exact=False, rtol=1e-6
    )


def test_each_part_is_made_by_the_room_of_its_name(monkeypatch):
    made = []
    for room in (trials, left_out, referee):
        monkeypatch.setattr(room, "command", lambda room=room, **options: made.append((room, options)))
    validation.command(members=2)
    validation.command(["left-out"])
    assert made == [
        (trials, {"members": 2}),
        (left_out, {"members": 2}),
        (referee, {"members": 2}),
        (left_out, {}),
    ]
