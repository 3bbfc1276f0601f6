"""Simulated trials obey the laws they are drawn from; coverage is counted as by hand.

The engine is replaced by one that draws other trials: what is tested is the simulation and what is
made of the results, not the reconstruction.
"""

from __future__ import annotations

import math
import platform
import shutil
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pretend_engine
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from visiontrial import survival
from visiontrial.cohort import calibration, ensemble, from_prior, packet, simulate, store, verify
from visiontrial.cohort.rebuilding import RebuildingError
from visiontrial.cohort.seeds import seed_of
from visiontrial.cohort.specification import DAYS_PER_MONTH

MANY = 40_000
SIGMAS = 4.5
"""Monte Carlo estimates are held to so many standard errors. Seeds are fixed, so no test passes by luck."""


def agree(shares: np.ndarray, expected: np.ndarray, size: int) -> bool:
    """Whether observed shares of `size` independent patients agree with expected ones."""
    error = np.sqrt(expected * (1 - expected) / size)
    return bool(np.all(np.abs(shares - expected) <= SIGMAS * error))


def surviving(times: np.ndarray, days: np.ndarray) -> np.ndarray:
    return (times[None, :] > days[:, None]).mean(axis=1)


def exponential(rate: float) -> np.ndarray:
    """Cumulative hazard of a constant hazard per day, alike in both arms."""
    return np.tile(rate * np.arange(simulate.HORIZON + 1), (2, 1))


PLAIN = simulate.Conduct(
    sizes=(3000, 3000),
    share=0.5,
    effects=(0.0, 0.0),
    leaving=(1e-9, 1e-9),
    stopping=(1e-9, 1e-9),
    early=(0.0, 0.0),
    recovered=0.5,
    lag=1e-9,
    last_entry_to_cutoff=400,
    late_deaths="count",
)
"""Nobody is lost, nobody is at a higher risk."""


# --- laws ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("median", "shape"), [(10.0, 1.0), (4.0, 1.4), (14.0, 0.8)])
def test_weibull_median_is_where_its_cumulative_hazard_is_log_two(median, shape):
    # Closed form: H(t) = log(2) (t / median)^shape; linear between days, so within a day.
    (day,) = simulate.when(simulate.weibull(median, shape), np.array([math.log(2)]))
    assert day == pytest.approx(median * DAYS_PER_MONTH, abs=0.01)
    assert simulate.weibull(median, shape)[900] == pytest.approx(
        math.log(2) * (900 / (median * DAYS_PER_MONTH)) ** shape
    )


def test_beyond_the_end_of_a_law_nothing_happens():
    assert simulate.when(np.array([0.0, 1.0, 1.5]), np.array([0.5, 1.25, 1.6])).tolist() == [0.5, 1.5, np.inf]


def test_copula_leaves_both_laws_as_written():
    # S(t) = exp(-r H(t)) for a patient whose hazard is r times the law's.
    law = simulate.Copula(
        progression=np.stack([simulate.weibull(4, 1.2), simulate.weibull(6, 0.9)]),
        death=np.stack([simulate.weibull(12, 1.1), simulate.weibull(15, 1.3)]),
        correlation=0.6,
    )
    days = np.array([60, 180, 365, 700])
    for arm in (0, 1):
        relative = np.full(MANY, 1.5)
        times = law.draw(np.random.default_rng(arm), arm, relative, relative)
        for drawn, curve in zip(times, (law.progression[arm], law.death[arm]), strict=True):
            assert agree(surviving(drawn, days), np.exp(-1.5 * curve[days]), MANY)
        assert stats.spearmanr(*times).statistic == pytest.approx(6 / math.pi * math.asin(0.3), abs=0.02)


def test_the_cured_neither_progress_nor_die():
    curve = simulate.weibull(6, 1.0)
    law = simulate.Copula(np.stack([curve] * 2), np.stack([curve] * 2), correlation=0.5, cured=(0.0, 0.25))
    ones = np.ones(MANY)
    progressed, died = law.draw(np.random.default_rng(1), simulate.TREATED, ones, ones)
    immune = np.isinf(progressed) & np.isinf(died)
    # S(t) = c + (1 - c) exp(-H(t)), and beyond the tables hardly anybody else is left.
    day = np.array([365])
    assert agree(surviving(died, day), 0.25 + 0.75 * np.exp(-curve[day]), MANY)
    assert agree(np.array([immune.mean()]), np.array([0.25]), MANY)


def test_delayed_effect_begins_after_its_delay():
    # Hazard 0.01 a day, halved from day 100 on.
    curve = simulate.with_delay(exponential(0.01)[0], 100 / DAYS_PER_MONTH, 0.5)
    assert curve[[50, 100, 300]] == pytest.approx([0.5, 1.0, 2.0])


def test_hastened_death_follows_the_illness_death_model():
    # Constant hazards: a of progression, d of death, e after progression; without frailty (Putter,
    # Fiocco and Geskus 2007, doi 10.1002/sim.2712, section 4, integrated):
    # S(t) = exp(-(a + d) t) + a / (a + d - e) * (exp(-e t) - exp(-(a + d) t)).
    a, d, e = 0.006, 0.001, 0.003
    law = simulate.SharedFrailty(exponential(a), exponential(d), deviation=0.0, hastening=math.log(e / d))
    ones = np.ones(MANY)
    progressed, died = law.draw(np.random.default_rng(2), simulate.REFERENCE, ones, ones)
    days = np.array([30, 120, 365, 800])
    without = np.exp(-(a + d) * days)
    assert agree(surviving(progressed, days), np.exp(-a * days), MANY)
    assert agree(surviving(died, days), without + a / (a + d - e) * (np.exp(-e * days) - without), MANY)


def test_frailty_lowers_the_hazard_of_those_who_are_left():
    # Mean of exp(-z H) over log-normal z, by quadrature.
    rate, deviation, days = 0.004, 0.8, np.array([90, 365])
    law = simulate.SharedFrailty(exponential(rate), exponential(1e-12), deviation, hastening=0.0)
    ones = np.ones(MANY)
    progressed, _ = law.draw(np.random.default_rng(3), simulate.REFERENCE, ones, ones)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    expected = np.exp(-np.outer(rate * days, np.exp(deviation * nodes))) @ weights / weights.sum()
    assert agree(surviving(progressed, days), expected, MANY)


# --- conduct ---------------------------------------------------------------------------------


def test_exponential_survival_at_landmarks():
    # S(t) = exp(-rate t) at whole days: an event at time t falls on day floor(t) + 1.
    rate = math.log(2) / 300
    law = simulate.Copula(exponential(1e-9), exponential(rate), correlation=0.0)
    truth = simulate.enrol("exponential", law, PLAIN, np.random.default_rng(4))
    for arm in (0, 1):
        curve = survival.kaplan_meier(simulate.outcomes(truth.adsl, truth.adtte, "OS").of_arm(arm))
        days = np.array([90, 183, 365])
        assert agree(np.array([curve.at(day) for day in days]), np.exp(-rate * days), 3000)


def test_the_effect_of_the_factor_is_a_hazard_ratio():
    law = simulate.Copula(exponential(1e-9), exponential(0.003), correlation=0.0)
    conduct = replace(PLAIN, effects=(0.0, 0.7))
    truth = simulate.enrol("exponential", law, conduct, np.random.default_rng(5))
    rows = truth.adtte[truth.adtte["PARAMCD"] == "OS"].merge(truth.adsl, on="USUBJID")
    rows["TRT01PN"] = (rows["STRRISK"] == "High risk").astype(int)
    fit = survival.cox(survival.outcomes_of(rows))
    assert abs(fit.beta - 0.7) < SIGMAS * fit.se


def one_patient(**changes) -> pd.DataFrame:
    """A patient who progresses on day 60 and dies, followed, on day 300; cutoff on day 500."""
    patient = {
        "arm": 0, "factor": 0, "entry": 0, "cutoff": 500, "progressed": 60.0, "died": 300.0, "left": math.inf,
        "stopped": math.inf, "recovered": False, "lag": 0.0,
    }  # fmt: skip
    return simulate._follow_up(pd.DataFrame([patient | changes]))


@pytest.mark.parametrize(
    ("changes", "rule", "day", "censored", "reason"),
    [
        ({}, "count", 112, 0, "Progression"),
        ({"died": 112.0}, "count", 112, 0, "Death"),  # nobody is imaged on the day he dies
        ({"stopped": 100.0}, "count", 300, 0, "Death"),
        ({"stopped": 100.0}, 244.0, 300, 0, "Death"),  # 300 - 56
        ({"stopped": 100.0}, 243.0, 56, 1, "Imaging stopped"),
        ({"left": 100.0}, "count", 56, 1, "Withdrew from the trial"),
        ({"left": 100.0, "recovered": True}, "count", 300, 0, "Death"),
        ({"progressed": math.inf, "died": math.inf}, "count", 168, 1, "No event yet"),
        ({"left": 20.0}, "count", 1, 1, "Withdrew from the trial"),
    ],
)
def test_progression_is_found_at_visits(changes, rule, day, censored, reason):
    # By hand: visits on days 56, 112 and 168.
    visits = np.array([[56, 112, 168]])
    rows = simulate._progression_free_survival(one_patient(**changes), visits, rule)
    assert rows.loc[0, ["AVAL", "CNSR", "EVNTDESC"]].tolist() == [day, censored, reason]


@pytest.mark.parametrize(
    ("changes", "day", "censored"),
    [
        ({}, 300, 0),
        ({"left": 100.0}, 100, 1),
        ({"left": 100.0, "recovered": True}, 300, 0),
        ({"left": 100.0, "recovered": True, "died": 501.0}, 500, 1),
        ({"died": 501.0, "lag": 20.0}, 480, 1),
    ],
)
def test_deaths_are_those_that_the_trial_knows(changes, day, censored):
    rows = simulate._overall_survival(one_patient(**changes))
    assert rows.loc[0, ["AVAL", "CNSR"]].tolist() == [day, censored]


@pytest.mark.parametrize("seed", range(3))
def test_dropout_takes_30_to_50_percent_of_the_reference_arm(seed):
    # The share is drawn from 30-50%; a tenth more can leave by chance, and those who die or progress
    # before are not lost: nobody is imaged in the first 49 days, so look at those.
    rng = np.random.default_rng(seed)
    conduct = replace(simulate.conduct(rng, "dropout"), sizes=(4000, 4000))
    left, stopped = simulate._lost(conduct, np.repeat([0, 1], 4000), rng)
    lost = (np.minimum(left, stopped) <= 3 * DAYS_PER_MONTH).reshape(2, 4000).mean(axis=1)
    assert 0.3 < lost[0] < 0.6
    assert lost[1] < 0.15


# --- whole trials, and their print -------------------------------------------------------------

FAMILIES = st.sampled_from(list(simulate.FAMILIES))
SEEDS = st.integers(0, 2**32)


@settings(max_examples=10)
@given(family=FAMILIES, seed=SEEDS)
def test_the_truth_agrees_with_its_own_print(family, seed):
    # The independent verifier knows nothing of the simulation: counts, dates, order and every statistic.
    truth = simulate.draw(family, np.random.default_rng(seed))
    trial = simulate.print_as_a_paper(truth)
    assert verify.verify(trial, truth.adsl, truth.adtte)["agrees"].all()
    assert 240 <= trial.size <= 360
    assert {t.statistic for t in trial.targets} >= {"hazard_ratio", "ci_low", "ci_high", "followup"}


@settings(max_examples=10)
@given(family=FAMILIES, seed=SEEDS)
def test_nobody_is_assessed_after_death_or_the_cutoff(family, seed):
    truth = simulate.draw(family, np.random.default_rng(seed))
    rows = truth.adtte.merge(truth.adsl, on="USUBJID")
    seen = (rows["PARAMCD"] == "PFS") & (rows["EVNTDESC"] != "Death")
    assert not (rows["ADT"] >= rows["DTHDT"])[seen].any()
    assert rows["ADT"].max() <= pd.Timestamp(truth.cutoff)
    # at least a year from the last randomization to the cutoff
    assert (truth.cutoff - truth.last_entry).days >= 365


def test_a_median_that_is_not_reached_is_not_printed():
    law = simulate.Copula(exponential(0.004), exponential(0.003), correlation=0.0, cured=(0.0, 0.8))
    conduct = replace(PLAIN, sizes=(100, 100))
    trial = simulate.print_as_a_paper(simulate.enrol("cure", law, conduct, np.random.default_rng(6)))
    medians = [t.claim_id for t in trial.targets if t.statistic == "median"]
    assert medians == ["os.median.reference", "pfs.median.reference"]


def test_printed_statistics_have_a_papers_decimals():
    trial = simulate.print_as_a_paper(simulate.draw("weibull", np.random.default_rng(7)))
    for target in trial.targets:
        decimals = 1 if target.statistic in ("median", "followup") else 2
        assert len(target.printed.split(".")[1]) == decimals
        assert target.high - target.low == pytest.approx(10.0**-decimals)


@pytest.mark.parametrize("family", simulate.FAMILIES)
def test_a_trial_is_a_function_of_its_generator(family):
    one, two, other = (simulate.draw(family, np.random.default_rng(seed)) for seed in (8, 8, 9))
    pd.testing.assert_frame_equal(one.adsl, two.adsl)
    pd.testing.assert_frame_equal(one.adtte, two.adtte)
    assert one.late_deaths == two.late_deaths
    assert not one.adtte["AVAL"].equals(other.adtte["AVAL"])


def test_an_unknown_family_is_refused():
    with pytest.raises(ValueError, match="'gompertz' is no family of simulated trials; there are piecewise"):
        simulate.draw("gompertz", np.random.default_rng(0))


# --- coverage --------------------------------------------------------------------------------


def series(**values: float) -> pd.Series:
    index = pd.MultiIndex.from_tuples([(name, "OS", "all") for name in values], names=calibration.KEYS)
    return pd.Series(list(values.values()), index, dtype=float)


def test_a_comparison_by_hand():
    truth = series(inside=2, edge=5, outside=9, never=math.nan, endless=math.inf)
    members = [
        series(inside=1, edge=5, outside=3, never=1, endless=7),
        series(inside=4, edge=6, outside=8, never=1, endless=math.inf),
        series(inside=2, edge=9, outside=4, never=1, endless=math.nan),
    ]
    table = calibration.compare(truth, members, attempted=4).set_index("quantity")
    shown = table[["low", "median", "high", "covered", "below", "equal", "members", "failures"]]
    assert shown.loc["inside"].tolist() == [1, 2, 4, 1, 1, 1, 3, 1]
    assert shown.loc["edge"].tolist() == [5, 6, 9, 1, 0, 1, 3, 1]
    assert shown.loc["outside"].tolist() == [3, 4, 8, 0, 3, 0, 3, 1]
    assert shown.loc["endless"].tolist() == [7, math.inf, math.inf, 1, 1, 1, 2, 1]
    assert table["covered"].isna().to_dict() == dict.fromkeys(table.index, False) | {"never": True}


def test_with_half_of_the_members_missing_coverage_is_not_judged():
    truth = series(a=1)
    members = [series(a=1), series(a=2)]
    assert calibration.compare(truth, members, attempted=4)["covered"].tolist() == [1]
    assert calibration.compare(truth, members, attempted=5)["covered"].isna().all()
    nobody = calibration.compare(truth, [], attempted=5)
    assert nobody["members"].tolist() == [0]
    assert nobody[["low", "median", "high", "covered"]].isna().to_numpy().all()


def test_exchangeable_truths_are_covered_at_the_nominal_rate():
    # The truth is one of m + 1 exchangeable values: outside with probability 2 / (m + 1).
    rng = np.random.default_rng(10)
    for members in (3, 19):
        draws = rng.normal(size=(members + 1, 4000))
        names = [f"q{i}" for i in range(4000)]
        truth, *others = (series(**dict(zip(names, row, strict=True))) for row in draws)
        covered = calibration.compare(truth, others, attempted=members)["covered"].to_numpy(float)
        assert agree(np.array([covered.mean()]), np.array([(members - 1) / (members + 1)]), 4000)


@given(
    values=st.lists(st.integers(-5, 5), min_size=3, max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_coverage_depends_on_ranks_alone(values, order):
    truth, members = values[0], values[1:]
    table = calibration.compare(series(a=truth), [series(a=v) for v in members], len(members))
    order.shuffle(members)
    stretched = calibration.compare(
        series(a=2 * truth + 1), [series(a=2 * v + 1) for v in members], len(members)
    )
    assert (
        table["covered"].tolist() == stretched["covered"].tolist() == [min(members) <= truth <= max(members)]
    )


def comparisons() -> pd.DataFrame:
    """Three trials of two families with two quantities; in the third trial too few members were found."""
    columns = ["family", "trial", "quantity", "truth", "low", "median", "high", "covered", "members"]
    rows = [
        ("weibull", 2, "events", 10.0, 8.0, 11.0, 12.0, 1, 19),
        ("weibull", 2, "median_high", 9.0, 5.0, 7.0, 8.0, 0, 19),
        ("weibull", 4, "events", 20.0, 21.0, 22.0, 25.0, 0, 9),
        ("weibull", 4, "median_high", math.inf, 5.0, 7.0, math.inf, 1, 9),
        ("cure", 2, "events", 10.0, 8.0, 8.0, 8.0, None, 1),
        ("cure", 2, "median_high", 10.0, 8.0, 9.0, 11.0, 1, 19),
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(half="report", endpoint="OS", arm="treated", failures=19 - table["members"])


def test_a_summary_by_hand():
    table = calibration.summarize(comparisons()).set_index(["family", "quantity"])
    events = table.loc["weibull", "events"]
    assert (events["trials"], events["left_out"], events["covered"], events["finite"]) == (2, 0, 1, 2)
    assert (events["bias"], events["absolute_error"], events["width"]) == (1.5, 1.5, 4.0)
    assert events["nominal"] == pytest.approx((18 / 20 + 8 / 10) / 2)
    # binom.test(1, 2)$conf.int in R: 0.01257912 0.98742088
    assert events["coverage_low"] == pytest.approx(0.01257912, abs=1e-8)
    assert events["coverage_high"] == pytest.approx(0.98742088, abs=1e-8)

    nobody = table.loc["cure", "events"]
    assert (nobody["trials"], nobody["left_out"], nobody["coverage_low"], nobody["coverage_high"]) == (
        0,
        1,
        0,
        1,
    )
    assert math.isnan(nobody["coverage"])

    endless = table.loc["all", "median_high"]
    assert (endless["trials"], endless["covered"], endless["finite"]) == (3, 2, 2)
    assert (endless["bias"], endless["width"]) == (-1.5, 3.0)

    # Shares of the three trials: 1/2, 1/2 and 1; t with 2 degrees of freedom, qt(0.975, 2) = 4.302653.
    every = table.loc["all", "all"]
    assert (every["trials"], every["covered"]) == (3, 3)
    assert every["coverage"] == pytest.approx(2 / 3)
    assert every["coverage_low"] == pytest.approx(max(0, 2 / 3 - 4.302653 * math.sqrt(1 / 12) / math.sqrt(3)))
    assert every["coverage_high"] == 1.0


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 12, 0.0, 1 - 0.025 ** (1 / 12)), (12, 12, 0.025 ** (1 / 12), 1.0), (0, 0, 0.0, 1.0)],
)
def test_clopper_pearson_closed_forms(successes, trials, low, high):
    assert calibration.clopper_pearson(successes, trials) == pytest.approx((low, high))


# --- halves ----------------------------------------------------------------------------------


def test_the_halves_have_no_trial_in_common():
    tune, report = (
        {(c.family, c.number) for c in calibration.cases(half, 50)} for half in ("tune", "report")
    )
    assert not tune & report
    assert {number % 2 for _, number in tune} == {1}
    assert {number % 2 for _, number in report} == {0}
    assert {family for family, _ in tune} == {"piecewise", "weibull", "crossing"}
    assert {family for family, _ in report} == set(simulate.FAMILIES)


def test_the_report_has_twelve_trials_of_each_family():
    planned = pd.Series([case.family for case in calibration.cases("report")]).value_counts()
    assert planned.to_dict() == dict.fromkeys(simulate.FAMILIES, 12)


def test_trials_from_the_prior_are_a_part_of_their_own():
    cases = calibration.cases("prior")
    assert [case.family for case in cases] == ["prior"] * 24
    again = from_prior.draw(np.random.default_rng(seed_of(calibration.PURPOSE, "prior", 2)))
    pd.testing.assert_frame_equal(cases[0].truth().adtte, again.adtte)


def test_an_unknown_half_is_refused():
    with pytest.raises(RebuildingError, match="no half 'best': choose from tune, report, prior"):
        calibration.cases("best")


# --- run and store ---------------------------------------------------------------------------


REDRAW = pretend_engine.DrawAnother(lambda seed: simulate.draw("weibull", np.random.default_rng(seed)))
ENGINE = pretend_engine.engine_of(REDRAW)


@pytest.fixture(scope="module")
def small():
    """A plan of one family per half, one trial each, three members."""
    halves = {
        "tune": calibration.Half(("weibull",), first=1, trials=1),
        "report": calibration.Half(("cure",), first=2, trials=1),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "HALVES", halves)
        patch.setattr(calibration, "MEMBERS", 3)
        yield


@pytest.fixture(scope="module")
def reference(small, tmp_path_factory):
    """Where both halves were made at once."""
    folder = tmp_path_factory.mktemp("reference")
    REDRAW.seeds.clear()
    make(folder)
    assert len(REDRAW.seeds) == 6
    return folder


@pytest.fixture
def made(reference, tmp_path):
    """A copy of the reference, to be changed."""
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    REDRAW.seeds.clear()
    return folder


def make(folder, halves=("tune", "report"), **options):
    options = {"members": 3, "processes": 1, "engine": ENGINE, **options}
    return calibration.make(halves, kept=folder / "kept", stored=folder / "stored", **options)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_stored(reference):
    found = calibration.read(reference / "stored")
    assert list(found.comparisons)[:10] == [
        "half", "family", "trial", "quantity", "endpoint", "arm", "truth", "low", "median", "high",
    ]  # fmt: skip
    assert found.comparisons["half"].unique().tolist() == ["tune", "report"]
    # Failures are counted, not replaced.
    assert len(found.chains) == 6
    failed = (~found.chains["accepted"]).groupby(found.chains["half"]).sum()
    assert found.comparisons.groupby("half")["failures"].unique().map(list).to_dict() == {
        half: [count] for half, count in failed.items()
    }
    # The true values are those of the rows that were drawn.
    case = calibration.Case("report", "cure", 2)
    truth = case.truth()
    rows = found.comparisons.set_index(["family", "quantity", "endpoint", "arm"])["truth"]
    deaths = truth.adtte[(truth.adtte["PARAMCD"] == "OS") & (truth.adtte["CNSR"] == 0)]
    treated = deaths["USUBJID"].isin(truth.adsl.loc[truth.adsl["TRT01PN"] == 1, "USUBJID"]).sum()
    assert rows["cure", "events", "OS", "treated"] == treated
    assert found.manifest["halves"]["report"]["trials"] == {"cure": [2]}
    assert set(found.summary["family"]) == {"weibull", "cure", "all"}


def test_a_second_run_runs_nothing_and_stores_the_same_bytes(made, reference):
    assert contents(make(made)) == contents(reference / "stored")
    assert not REDRAW.seeds


def test_half_by_half_gives_the_bytes_of_both_at_once(made, reference):
    shutil.rmtree(made / "stored")
    make(made, ["report"])
    assert contents(make(made, ["tune"])) == contents(reference / "stored")


def test_a_killed_run_goes_on_where_it_was(made, reference):
    sorted((made / "kept").rglob("chain-*.zip"))[2].unlink()
    assert contents(make(made)) == contents(reference / "stored")
    assert len(REDRAW.seeds) == 1


def test_another_plan_is_not_stored_in_place_of_the_planned_one(made, reference):
    folder = make(made, ["tune"], trials=1, members=2)
    assert folder.is_relative_to(made / "kept")
    assert contents(made / "stored") == contents(reference / "stored")


def test_a_member_that_the_verifier_rejects_stops_everything(made):
    shutil.rmtree(made / "stored")
    with pytest.raises(RebuildingError, match=r"weibull-001, chain \d: .* os.hr is 0.70"):
        make(made, engine=pretend_engine.engine_of(REDRAW, pretend_engine.reject))
    assert not (made / "stored").exists()


def test_a_trial_without_members_is_reported_as_such(made, capsys, monkeypatch):
    # The finished chains of the other half stay; those of this one are run anew and fail.
    for folder in (made / "kept").glob("weibull-*"):
        shutil.rmtree(folder)
    found = calibration.read(make(made, engine=pretend_engine.engine_of(pretend_engine.fail)))
    missing = found.comparisons[found.comparisons["half"] == "tune"]
    assert missing["covered"].isna().all()
    assert set(missing["failures"]) == {3}
    monkeypatch.setattr(calibration, "make", lambda *_, **__: made / "stored")
    calibration.command()
    said = capsys.readouterr().out
    assert "tune: 3 chains, 3 not accepted" in said
    assert "tune, weibull: too few members to judge any trial" in said


def test_an_altered_file_is_not_read(made):
    with (made / "stored" / "summary.csv").open("a") as file:
        file.write("x")
    with pytest.raises(store.StoreError, match=r"summary\.csv .* make calibrate"):
        calibration.read(made / "stored")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"members": 1}, "^1 members: give at least 2"), ({"trials": 0}, "^0 trials: give")],
)
def test_too_small_a_run_is_refused(wrong, said, tmp_path):
    with pytest.raises(RebuildingError, match=said):
        make(tmp_path, **wrong)


def test_rows_survive_the_way_to_disk():
    # Members are compared as they are stored, the truth as it was drawn: nothing may differ by that alone.
    truth = simulate.draw("dropout", np.random.default_rng(11))
    trial = simulate.print_as_a_paper(truth)
    again = packet.unpack(packet.pack(pretend_engine.drawn(truth.adsl, truth.adtte)))
    pd.testing.assert_series_equal(
        calibration.quantities(trial, truth.adsl, truth.adtte),
        calibration.quantities(trial, again.adsl, again.adtte),
    )


# --- the stored calibration ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="bytes are promised on Linux x86-64"
)
@pytest.mark.parametrize("half", calibration.HALVES)
def test_a_stored_chain_is_made_again_from_nothing(half):
    """The engine of this checkout, from the seed alone, comes to the same end in the same way."""
    kept = calibration.read().chains.query("half == @half and member == 0").iloc[0]
    trial = simulate.print_as_a_paper(calibration.Case(half, kept["family"], int(kept["trial"])).truth())
    made = ensemble.real_engine().reconstruct(trial, int(kept["seed"]), None)
    assert made.accepted
    assert made.facts["late_deaths"] == kept["late_deaths"]
    counted = {name: made.facts[name] for name in made.facts if name not in ("missed", "late_deaths")}
    # Of shares the stored text keeps sixteen digits.
    assert counted == pytest.approx(kept[list(counted)].astype(float).to_dict(), rel=1e-14)
