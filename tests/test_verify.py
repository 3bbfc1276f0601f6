"""The judge of stored rows: six patients known by hand, and simulated trials against their own print."""

from __future__ import annotations

import ast
import inspect
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrial import survival
from visiontrial.cohort import quantities as implied
from visiontrial.cohort import simulate, verify
from visiontrial.cohort.specification import (
    DAYS_PER_MONTH,
    Arm,
    Endpoint,
    EndState,
    Factor,
    Normal,
    Period,
    Stop,
    Target,
    Trial,
)  # fmt: skip

EARLY, LATE = "early", "late"
CUTOFF = date(2020, 1, 27)
IMAGING = Stop({"Imaging stopped": 1.0})


def _target(statistic, arm, printed, low, high, **more) -> Target:
    return Target(f"os.{statistic}.{arm}", "OS", "all_randomized", arm, statistic, printed, low, high, **more)


def _cells(old_early=0, old_late=0, new_early=0, new_late=0) -> dict:
    return {
        ("old", EARLY): old_early,
        ("old", LATE): old_late,
        ("new", EARLY): new_early,
        ("new", LATE): new_late,
    }


# Overall survival is R's six patients (tests/test_survival.py): hazard ratio the root of r³ − 23r − 30,
# log-rank chi-square 2, medians 9 and 6 days.
SIX = Trial(
    name="six patients",
    arms=(Arm("old", "Old care"), Arm("new", "New care")),
    periods=(
        Period(EARLY, date(2020, 1, 1), date(2020, 1, 10)),
        Period(LATE, date(2020, 1, 11), date(2020, 1, 20)),
    ),
    populations={"all_randomized": (EARLY, LATE), "late_set": (LATE,)},
    cutoff=CUTOFF,
    randomized=_cells(2, 1, 1, 2),
    end_states=(
        EndState("died", "Died", "died", _cells(2, 0, 1, 1)),
        EndState("withdrew", "Withdrew", "left", _cells(0, 0, 0, 1)),
        EndState("alive", "In follow-up", "alive", _cells(0, 1, 0, 0)),
    ),
    endpoints=(
        Endpoint("OS", "Overall survival", "Death", 0.3),
        Endpoint("PFS", "Progression-free survival", "Progression", 0.2, (4.0,), IMAGING),
    ),
    targets=(
        _target("median", "old", "0.3", 0.25, 0.35),
        _target("median", "new", "0.20", 0.195, 0.205),
        _target("hazard_ratio", "all", "5.35", 5.345, 5.355),
        _target("p_value", "all", "0.16", 0.155, 0.165, role="derived"),
        _target("events", "all", "4", 4, 5),
        _target("events", "new", "2", 2, 3),
        _target("survival", "old", "0.67", 0.665, 0.675, at=0.2),
        _target("time_to_cutoff", "all", "0.57", 0.565, 0.575),
    ),
    factors=(
        Factor("risk", "Risk", ("Low", "High"), Normal(0, 1), counts=_cells(1, 0, 0, 1), stratifies=False),
        Factor("site", "Site", ("A", "B"), Normal(0, 1), share=Normal(0, 1), stratifies=False),
    ),
    untreated=_cells(new_late=1),
)  # fmt: skip


@pytest.fixture
def adsl() -> pd.DataFrame:
    rows = [
        # arm, period, randomized, state, untreated, last alive, died, risk, site
        (0, EARLY, "2020-01-01", "Died", "N", "2020-01-09", "2020-01-09", "High", "A"),
        (1, EARLY, "2020-01-02", "Died", "N", "2020-01-02", "2020-01-02", "Low", "B"),
        (1, LATE, "2020-01-11", "Withdrew", "Y", "2020-01-11", None, "High", "A"),
        (1, LATE, "2020-01-12", "Died", "N", "2020-01-17", "2020-01-17", "Low", "B"),
        (0, EARLY, "2020-01-10", "Died", "N", "2020-01-15", "2020-01-15", "Low", "B"),
        (0, LATE, "2020-01-20", "In follow-up", "N", "2020-01-27", None, "Low", "B"),
    ]
    columns = ["TRT01PN", "PERIOD", "RANDDT", "EOSSTT", "UNTRTFL", "LSTALVDT", "DTHDT", "STRRISK", "STRSITE"]
    table = pd.DataFrame(rows, columns=columns)
    for column in ("RANDDT", "LSTALVDT", "DTHDT"):
        table[column] = pd.to_datetime(table[column])
    table["USUBJID"] = [f"SYNTHETIC-{number:04d}" for number in range(1, 7)]
    table["TRT01P"] = table["TRT01PN"].map({0: "Old care", 1: "New care"})
    table["ITTFL"] = "Y"
    table["LATESETFL"] = np.where(table["PERIOD"] == LATE, "Y", "N")
    return table


@pytest.fixture
def adtte(adsl) -> pd.DataFrame:
    times = {
        "OS": [(9, 0, "Death"), (1, 0, "Death"), (1, 1, "Withdrew"),
               (6, 0, "Death"), (6, 0, "Death"), (8, 1, "Data cutoff")],
        "PFS": [(5, 0, "Progression"), (1, 0, "Death"), (1, 1, "Withdrew"),
                (6, 0, "Death"), (3, 0, "Progression"), (4, 1, "Imaging stopped")],
    }  # fmt: skip
    parts = [
        pd.DataFrame(rows, columns=["AVAL", "CNSR", "EVNTDESC"]).assign(
            PARAMCD=paramcd, USUBJID=adsl["USUBJID"]
        )
        for paramcd, rows in times.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    randomized = table["USUBJID"].map(adsl.set_index("USUBJID")["RANDDT"])
    table["ADT"] = randomized + pd.to_timedelta(table["AVAL"] - 1, unit="D")
    return table


# --- what agrees ------------------------------------------------------------------------------------


def test_six_patients_by_hand(adsl, adtte):
    """Values from the closed forms; time to the cutoff by counting: 27, 26, 17, 16, 18, 8 days."""
    table = verify.verify(SIX, adsl, adtte)
    values = table.set_index("claim_id")["value"]
    assert values["os.median.old"] == 9 / DAYS_PER_MONTH
    assert values["os.median.new"] == 6 / DAYS_PER_MONTH
    r = values["os.hazard_ratio.all"]
    assert r**3 - 23 * r - 30 == pytest.approx(0, abs=1e-9)
    assert values["os.p_value.all"] == pytest.approx(math.erfc(1))
    assert values["os.survival.old"] == pytest.approx(2 / 3)
    assert values["os.time_to_cutoff.all"] == 17.5 / DAYS_PER_MONTH
    assert table["agrees"].all()
    assert list(table.columns) == ["claim_id", "statistic", "value", "printed", "agrees", "role"]
    assert table["role"].tolist().count("derived") == 1


def test_follow_up_and_limits(adsl, adtte):
    """Against survival.py on the arrays of the six, whose estimates R confirms."""
    targets = (
        _target("followup", "all", "0.3", 0.25, 0.35),
        _target("followup_low", "all", "0.3", 0.25, 0.35),
        _target("median_low", "all", "0.0", 0, 0.05, level=0.9),
        _target("ci_low", "all", "0.5", 0.45, 0.55),
        _target("ci_high", "all", "57.3", 57.25, 57.35, level=0.99),
    )
    values = verify.statistics(replace(SIX, targets=targets), adsl, adtte)["value"].tolist()
    data = survival.outcomes([9, 1, 1, 6, 6, 8], [1, 1, 0, 1, 1, 0], [0, 1, 1, 1, 0, 0])
    followup = survival.followup(data)
    expected = [followup.median / DAYS_PER_MONTH, followup.low / DAYS_PER_MONTH]
    expected.append(survival.kaplan_meier(data, level=0.9).median().low / DAYS_PER_MONTH)
    fit = survival.cox(data)
    assert values == [*expected, fit.low, fit.limits(0.99)[1]]


def test_the_strata_are_those_that_stratify(adsl, adtte):
    one = replace(SIX.stratified_by("risk"), targets=SIX.targets[2:3])
    data = survival.outcomes([9, 1, 1, 6, 6, 8], [1, 1, 0, 1, 1, 0], [0, 1, 1, 1, 0, 0], [1, 0, 1, 0, 0, 0])
    assert verify.statistics(one, adsl, adtte)["value"].item() == survival.cox(data).ratio


@pytest.mark.parametrize("family", simulate.FAMILIES)
def test_a_complete_trial_agrees_with_its_own_print(family):
    """A simulated trial, printed as a paper would, is the truth of its own specification."""
    truth = simulate.draw(family, np.random.default_rng(7))
    table = verify.verify(simulate.print_as_a_paper(truth), truth.adsl, truth.adtte)
    assert table["agrees"].all()


def test_row_order_does_not_matter(adsl, adtte):
    table = verify.verify(SIX, adsl.sample(frac=1, random_state=1), adtte.sample(frac=1, random_state=2))
    expected = verify.verify(SIX, adsl, adtte)
    pd.testing.assert_frame_equal(table, expected)


def test_the_judge_knows_nothing_of_the_search():
    """Of the cohort's rooms it imports the specification only."""
    tree = ast.parse(inspect.getsource(verify))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name.startswith("visiontrial")} == {
        "visiontrial",
        "visiontrial.cohort.specification",
    }


# --- what does not ----------------------------------------------------------------------------------

SUBJECT = "SYNTHETIC-000"

CHANGES_OF_ADSL = [
    ("TRT01PN", 0, 1, "TRT01PN is not the number of TRT01P: SYNTHETIC-0001"),
    ("TRT01P", 0, "Placebo", "TRT01P 'Placebo' is none of"),
    ("PERIOD", 0, LATE, "patients, arm old, period early: 1 patients instead of 2"),
    ("PERIOD", 0, "later", "PERIOD 'later' is none of"),
    ("LATESETFL", 2, "N", "LATESETFL does not follow from PERIOD: SYNTHETIC-0003"),
    ("EOSSTT", 5, "Withdrew", "Withdrew, arm old, period late: 1 patients instead of 0"),
    ("EOSSTT", 5, "Vanished", "EOSSTT 'Vanished' is none of"),
    ("UNTRTFL", 0, "Y", "untreated, arm old, period early: 1 patients instead of 0"),
    ("UNTRTFL", 0, "", "UNTRTFL '' is none of"),
    ("STRRISK", 0, "Low", "Risk High, arm old, period early: 0 patients instead of 1"),
    ("STRRISK", 0, "Medium", "STRRISK 'Medium' is none of"),
    ("USUBJID", 0, SUBJECT + "2", "USUBJID is not unique: SYNTHETIC-0002"),
    ("USUBJID", 0, "0001", "USUBJID does not say that the patient is synthetic: 0001"),
    ("RANDDT", 0, "2020-01-02", "nobody is randomized on the trial's first day, 2020-01-01"),
    ("RANDDT", 0, "2020-01-02", "ADT is not RANDDT + AVAL - 1: SYNTHETIC-0001, SYNTHETIC-0001"),
    ("RANDDT", 5, "2020-01-19", "nobody is randomized on the trial's last day, 2020-01-20"),
    ("RANDDT", 1, "2020-01-11", "RANDDT is not within 2020-01-01 to 2020-01-10: SYNTHETIC-0002"),
    ("LSTALVDT", 0, None, "LSTALVDT is missing: SYNTHETIC-0001"),
    ("LSTALVDT", 0, "2020-01-10", "LSTALVDT is after DTHDT: SYNTHETIC-0001"),
    ("LSTALVDT", 3, "2020-01-11", "LSTALVDT is before RANDDT: SYNTHETIC-0004"),
    ("LSTALVDT", 5, "2020-01-28", "LSTALVDT is after the cutoff: SYNTHETIC-0006"),
    ("LSTALVDT", 5, "2020-01-26", "OS is censored on another day than LSTALVDT: SYNTHETIC-0006"),
    ("DTHDT", 0, None, "no DTHDT, though EOSSTT is 'Died': SYNTHETIC-0001"),
    ("DTHDT", 0, None, "OS is an event, but there is no DTHDT: SYNTHETIC-0001"),
    ("DTHDT", 0, "2020-02-01", "DTHDT is after the cutoff: SYNTHETIC-0001"),
    ("DTHDT", 0, "2020-01-10", "OS is an event on another day than DTHDT: SYNTHETIC-0001"),
    ("DTHDT", 3, "2020-01-18", "PFS by death on another day than DTHDT: SYNTHETIC-0004"),
    ("DTHDT", 1, "2020-01-01", "DTHDT is before RANDDT: SYNTHETIC-0002"),
    ("DTHDT", 5, "2020-01-27", "a DTHDT, though EOSSTT is 'In follow-up': SYNTHETIC-0006"),
    ("DTHDT", 5, "2020-01-27", "OS is censored, but there is a DTHDT: SYNTHETIC-0006"),
]  # fmt: skip

OS, PFS = 0, 6  # where the rows of each end point begin

CHANGES_OF_ADTTE = [
    ("AVAL", OS, 0, "AVAL is not a whole number from 1: SYNTHETIC-0001"),
    ("AVAL", OS, 10, "ADT is not RANDDT + AVAL - 1: SYNTHETIC-0001"),
    ("CNSR", OS, 2, "CNSR is neither 0 nor 1: SYNTHETIC-0001"),
    ("EVNTDESC", OS, " ", "EVNTDESC gives no reason: SYNTHETIC-0001"),
    ("EVNTDESC", OS, None, "EVNTDESC gives no reason: SYNTHETIC-0001"),
    ("EVNTDESC", OS, "Progression", "OS is an event, but not by 'Death': SYNTHETIC-0001"),
    ("EVNTDESC", PFS, "Fall", "PFS is an event by neither 'Progression' nor 'Death': SYNTHETIC-0001"),
    ("EVNTDESC", PFS + 5, "Death", "PFS is censored for a reason that is an event: SYNTHETIC-0006"),
    ("PARAMCD", PFS, "PPS", "PARAMCD 'PPS' is none of"),
    ("PARAMCD", PFS, "PPS", "there is no row of PFS: SYNTHETIC-0001"),
    ("PARAMCD", PFS, "OS", "there is more than one row of this end point: SYNTHETIC-0001"),
    ("USUBJID", PFS, "SYNTHETIC-0007", "the patient is not in ADSL: SYNTHETIC-0007"),
    ("ADT", OS + 5, "2020-01-28", "ADT is after the cutoff: SYNTHETIC-0006"),
    ("ADT", PFS + 2, "2020-01-12", "PFS lies after the day of OS: SYNTHETIC-0003"),
]  # fmt: skip


def _changed(frame: pd.DataFrame, column: str, row: int, value) -> pd.DataFrame:
    if column.endswith("DT"):
        value = pd.Timestamp(value)
    frame = frame.copy()
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(("column", "row", "value", "objection"), CHANGES_OF_ADSL)
def test_one_wrong_cell_of_adsl_is_found(adsl, adtte, column, row, value, objection):
    assert verify.structure(SIX, adsl, adtte) == []
    found = verify.structure(SIX, _changed(adsl, column, row, value), adtte)
    assert any(sentence.startswith(objection) for sentence in found), found


@pytest.mark.parametrize(("column", "row", "value", "objection"), CHANGES_OF_ADTTE)
def test_one_wrong_cell_of_adtte_is_found(adsl, adtte, column, row, value, objection):
    found = verify.structure(SIX, adsl, _changed(adtte, column, row, value))
    assert any(sentence.startswith(objection) for sentence in found), found


def test_missing_patients_and_columns_are_found(adsl, adtte):
    assert "ADSL has 5 patients, the trial 6" in verify.structure(SIX, adsl.drop(index=0), adtte)
    assert verify.structure(SIX, adsl.drop(columns="STRRISK"), adtte.drop(columns="ADT")) == [
        "ADSL has no column STRRISK",
        "ADTTE has no column ADT",
    ]


def test_a_share_is_alike_in_all_cells(adsl, adtte):
    """Of two patients, 0 round from a share of at most 1/4; of two others, 2 from one of at least 3/4."""
    adsl["STRSITE"] = ["A", "B", "B", "B", "A", "B"]
    (objection,) = verify.structure(SIX, adsl, adtte)
    assert objection.startswith("Site: the shares of the cells differ by more than rounding")


def test_a_recovered_death_needs_leave(adsl, adtte):
    """Who left may be known to have died only where the end state is recoverable."""
    adsl.loc[2, "DTHDT"] = pd.Timestamp("2020-01-11")
    adtte.loc[2, ["CNSR", "EVNTDESC"]] = [0, "Death"]
    assert verify.structure(SIX, adsl, adtte) == ["a DTHDT, though EOSSTT is 'Withdrew': SYNTHETIC-0003"]
    died, left, alive = SIX.end_states
    assert (
        verify.structure(replace(SIX, end_states=(died, replace(left, recoverable=True), alive)), adsl, adtte)
        == []
    )


def test_the_rejection_lists_everything(adsl, adtte):
    """A broken rule, a target and a derived statistic that do not agree, each in its own line."""
    adsl.loc[0, "UNTRTFL"] = "Y"
    wrong = replace(SIX, targets=(*SIX.targets, _target("events", "old", "3", 3, 4, role="derived")))
    with pytest.raises(verify.CohortRejected) as rejection:
        verify.verify(wrong, adsl, adtte)
    assert str(rejection.value).splitlines() == [
        "six patients: the cohort is rejected for 2 reasons:",
        "- untreated, arm old, period early: 1 patients instead of 0",
        "- os.events.old: events is 2, which does not print as 3 (derived)",
    ]


def test_rows_that_cannot_be_analysed_are_rejected(adsl, adtte):
    adtte["CNSR"] = 1
    with pytest.raises(verify.CohortRejected, match="cannot be computed: there is no event among 6 rows"):
        verify.verify(SIX, adsl, adtte)
    with pytest.raises(verify.CohortRejected, match="ADTTE has no rows of OS"):
        verify.verify(SIX, adsl, adtte[adtte["PARAMCD"] == "PFS"])


def test_an_interval_that_is_not_the_printed_number_is_an_error(adsl, adtte):
    wrong = replace(
        SIX, targets=(_target("hazard_ratio", "all", "5.35", 5.3, 5.4), _target("median", "old", "9", 0, 1))
    )
    with pytest.raises(verify.ContradictoryTarget, match=r"os\.median\.old"):
        verify.statistics(wrong, adsl, adtte)


def test_a_median_that_is_not_reached_agrees_with_nothing(adsl, adtte):
    adtte.loc[adtte["PARAMCD"] == "OS", "CNSR"] = 1
    table = verify.statistics(replace(SIX, targets=SIX.targets[:1]), adsl, adtte)
    assert table["value"].item() == math.inf
    assert not table["agrees"].item()


def test_events_off_schedule_are_reported(adsl, adtte):
    """The one visit is on day 4; progressions are on days 5 and 3; deaths and censorings need no visit."""
    table = verify.off_schedule(SIX, adsl, adtte, within=0)
    assert table[["AVAL", "visit", "distance"]].to_numpy().tolist() == [[5, 4, 1], [3, 4, 1]]
    assert verify.off_schedule(SIX, adsl, adtte).empty


# --- what the text implies --------------------------------------------------------------------------


def test_quantities_of_a_simulated_trial():
    """Each quantity from `survival` directly, on rows cut out by hand."""
    truth = simulate.draw("weibull", np.random.default_rng(3))
    trial = simulate.print_as_a_paper(truth)
    found = implied.quantities(trial, truth.adsl, truth.adtte)
    data = simulate.outcomes(truth.adsl, truth.adtte, "PFS")
    until = implied.horizon(trial, "all") * DAYS_PER_MONTH
    assert until % (6 * DAYS_PER_MONTH) == 0
    treated = survival.kaplan_meier(data.of_arm(1))
    test = survival.proportional_hazards(data)
    expected = {
        "events.treated": data.of_arm(1).event.sum(),
        "survival_6.treated": treated.at(6 * DAYS_PER_MONTH),
        "median_low.treated": treated.median().low / DAYS_PER_MONTH,
        "median_high.treated": treated.median().high / DAYS_PER_MONTH,
        "censored_early.treated": (~data.of_arm(1).event & (data.of_arm(1).days < until)).sum(),
        "rmst_difference": survival.restricted_means(data, until).difference / DAYS_PER_MONTH,
        "hazard_ratio_unstratified": survival.cox(data.unstratified()).ratio,
        "log_rank_chi_square": survival.log_rank(data).chi_square,
        "ph_p": test.p_value,
        "ph_slope": test.slope,
    }
    for name, value in expected.items():
        assert found[f"PFS.all.{name}"] == pytest.approx(value, rel=1e-9), name


def test_names_do_not_depend_on_the_cohort(adsl, adtte):
    """Where nothing can be compared the names stay and the values are NaN."""
    names = list(implied.quantities(SIX, adsl, adtte).index)
    adtte["CNSR"] = 1
    empty = implied.quantities(SIX, adsl, adtte)
    assert list(empty.index) == names
    compared = ["hazard_ratio_unstratified", "log_rank_chi_square", "ph_p", "ph_slope"]
    assert empty[[f"OS.all_randomized.{name}" for name in compared]].isna().all()
    assert empty["OS.all_randomized.median_low.old"] == math.inf


@pytest.mark.parametrize(
    ("cutoff", "months", "landmarks"),
    [
        (date(2022, 2, 1), 24, (6, 12, 18, 24)),  # 744 days from the last randomization: 24.4 months
        (date(2021, 1, 20), 12, (6, 12)),  # 367 days
        (date(2020, 5, 20), 4, ()),  # 122 days: 4.008 months, too few for six
        (date(2020, 1, 29), 10 / DAYS_PER_MONTH, ()),
    ],
)
def test_the_horizon_is_fixed_by_the_design(cutoff, months, landmarks):
    trial = replace(SIX, cutoff=cutoff)
    assert implied.horizon(trial, "all_randomized") == months
    assert implied.landmarks(trial, "all_randomized") == landmarks


def test_a_range_is_the_central_part():
    """numpy's default quantile."""
    values = np.random.default_rng(5).normal(size=101)
    found = implied.reconstruction_range(values)
    assert (found.low, found.high) == pytest.approx(np.quantile(values, [0.025, 0.975]))
    assert found.coverage_of_extremes == pytest.approx(100 / 102)
    assert "smallest" not in str(found)


def test_a_small_ensemble_says_what_its_extremes_cover():
    """The next of m + 1 exchangeable values is an extreme with probability 2/(m + 1)."""
    found = implied.reconstruction_range([*range(39), math.nan])
    assert found.coverage_of_extremes == pytest.approx(0.95)
    assert str(found) == (
        "0.95 to 37.05 (reconstruction range, 39 cohorts, not defined in 1 more; "
        "from the smallest to the largest, 0 to 38, would hold the next cohort in 95% of cases)"
    )


def test_limits_that_are_not_reached_stay_infinite():
    found = implied.reconstruction_range([1.0] * 50 + [math.inf] * 50)
    assert (found.low, found.high) == (1.0, math.inf)
    with pytest.raises(ValueError, match="none of the 2 cohorts"):
        implied.reconstruction_range([math.nan, math.nan])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_a_range_lies_within_the_extremes(values, random):
    found = implied.reconstruction_range(values)
    assert found.lowest <= found.low <= found.high <= found.highest
    assert implied.reconstruction_range(random.sample(values, len(values))) == found
