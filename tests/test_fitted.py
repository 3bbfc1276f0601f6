"""What the reconstructed patients give: from stored rows, checked against libraries called directly."""

import ast
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import CoxPHFitter, KaplanMeierFitter

from visiontrial import fitted, paths, published
from visiontrial.cohort import derived, displayed, reader, store, verify
from visiontrial.fitted import Fitted, FittedError

DAYS_PER_MONTH = 30.4375


@pytest.fixture(scope="module")
def shown():
    return displayed.read()


# --- which numbers, and their values ------------------------------------------------------------


def test_roles_and_definitions_are_those_of_the_targets_file():
    declared = fitted.targets()
    found = fitted.evidence()
    assert {i for i, one in found.items() if one.role != "characteristic"} == set(declared.index)
    for claim_id, row in declared.iterrows():
        assert (found[claim_id].role, found[claim_id].definition) == (row["role"], row["definition"])


def test_every_member_speaks_of_a_statistic_and_the_displayed_cohort_alone_of_the_baseline_table():
    """DESIGN: at least a hundred cohorts."""
    sizes = {one.role: set() for one in fitted.evidence().values()}
    for one in fitted.evidence().values():
        sizes[one.role].add(len(one.members))
    assert sizes["characteristic"] == {0}
    assert sizes["target"] == sizes["derived"]
    assert min(sizes["target"]) >= 100


def test_every_number_of_which_patients_speak_is_a_claim():
    assert set(fitted.evidence()) <= set(published.claims()["claim_id"])


def test_a_stratified_hazard_ratio_is_lifelines_own(shown):
    rows = shown.adtte[shown.adtte["PARAMCD"] == "OS"].merge(shown.adsl, on="USUBJID")
    strata = ["STRLDH", "STRLIVER", "STRECOG", "STRARPI"]
    rows = rows.assign(event=1 - rows["CNSR"])[["AVAL", "event", "TRT01PN", *strata]]
    model = CoxPHFitter().fit(rows, "AVAL", "event", strata=strata)
    assert fitted.evidence()["os.hr"].displayed == pytest.approx(model.hazard_ratios_["TRT01PN"], rel=1e-6)


def test_a_median_is_lifelines_own(shown):
    rows = shown.adtte[shown.adtte["PARAMCD"] == "PFS"].merge(shown.adsl, on="USUBJID")
    rows = rows[(rows["PFSSETFL"] == "Y") & (rows["TRT01PN"] == 1)]
    days = KaplanMeierFitter().fit(rows["AVAL"], 1 - rows["CNSR"]).median_survival_time_
    assert fitted.evidence()["pfs.median.lu"].displayed == pytest.approx(days / DAYS_PER_MONTH)


def test_a_baseline_median_and_range_are_those_of_the_rows(shown):
    ages = shown.adsl.loc[(shown.adsl["TRT01PN"] == 0) & (shown.adsl["PFSSETFL"] == "Y"), "AGE"]
    found = fitted.evidence()
    for statistic, value in (("median", ages.median()), ("low", ages.min()), ("high", ages.max())):
        assert found[f"table1.age.pfs.control.{statistic}"].displayed == value


@pytest.mark.parametrize("number", [0, 57])
def test_what_was_stored_of_a_member_is_what_its_rows_give_now(number):
    trial = reader.read(fitted.SPECIFICATION)
    now = verify.statistics(trial, *store.read("registry").member(number))
    stored = [fitted.evidence()[claim_id].members[number] for claim_id in now["claim_id"]]
    np.testing.assert_allclose(stored, now["value"], rtol=1e-9)


def test_every_wrong_digit_is_noticed():
    """Of a number without a sign, whatever digit is changed: no cohort prints as the other one."""
    for claim_id, one in fitted.evidence().items():
        printed = published.printed(claim_id)
        if not printed[0].isdigit():
            continue
        for place, digit in enumerate(printed):
            others = set("0123456789") - {digit} if digit.isdigit() else ()
            for other in others:
                assert not one.agrees(printed[:place] + other + printed[place + 1 :])


# --- agreement ------------------------------------------------------------------------------------


def cohorts(first, *members):
    return Fitted("os.hr", "target", "a ratio", first, np.array(members, dtype=float))


@pytest.mark.parametrize(
    ("one", "printed", "agrees", "text"),
    [
        (cohorts(0.6193, 0.6151, 0.6249), "0.62", True, "0.62"),
        (cohorts(0.615, 0.62), "0.62", True, "0.62"),  # half up, as the paper rounds
        (cohorts(0.62, 0.625), "0.62", False, "0.62 to 0.63"),
        (cohorts(0.63, 0.62), "0.62", False, "0.62 to 0.63"),
        (cohorts(0.63), "0.62", False, "0.63"),
        (cohorts(15.3, np.inf), "15.3", False, "15.3 to not reached"),
        (cohorts(np.nan), "15.3", False, "not defined"),
        (cohorts(15.3, np.nan), "15.3", False, "15.3 to not defined"),
        (cohorts(2e-7, 3e-9), "<0.001", True, "<0.001"),
        (cohorts(2e-7, 0.0014), "<0.001", False, "<0.001 to 0.001"),
        (cohorts(17), "17", True, "17"),
    ],
)
def test_agreement_is_of_every_cohort(one, printed, agrees, text):
    assert (one.agrees(printed), one.text(printed)) == (agrees, text)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5), st.integers(0, 10_000))
def test_cohorts_agree_where_all_print_as_the_number_and_only_there(values, hundredths):
    printed = f"{hundredths / 100:.2f}"
    one = cohorts(*values)
    assert one.agrees(printed) == (one.text(printed) == printed)
    alike = cohorts(float(printed), *[float(printed)] * len(values))
    assert alike.agrees(printed)
    assert alike.text(printed) == printed


# --- what is stored must belong together ------------------------------------------------------------


def stored_as(monkeypatch, statistics, shown):
    monkeypatch.setattr(displayed, "read", lambda: shown)
    monkeypatch.setattr(derived, "read", lambda name: SimpleNamespace(statistics=statistics))
    return fitted.evidence.__wrapped__


def test_a_displayed_cohort_of_another_ensemble_is_refused(monkeypatch, shown):
    statistics = derived.read("registry").statistics
    other = replace(shown, member=(shown.member + 1) % len(statistics))
    with pytest.raises(FittedError, match=r"is not member \d+ of the ensemble registry: .*make ensemble"):
        stored_as(monkeypatch, statistics, other)()


def test_a_displayed_cohort_that_is_not_stored_is_refused(monkeypatch, shown):
    statistics = derived.read("registry").statistics
    with pytest.raises(FittedError, match=r"member 9999 of the ensemble registry, which is not stored"):
        stored_as(monkeypatch, statistics, replace(shown, member=9999))()


def test_a_statistic_that_was_not_stored_is_named(monkeypatch, shown):
    statistics = derived.read("registry").statistics.drop(columns="os.p")
    with pytest.raises(FittedError, match=r"os\.p of targets\.csv was not computed for the stored ensemble"):
        stored_as(monkeypatch, statistics, shown)()


# --- what leaving out predicts ----------------------------------------------------------------------

HEADER = "claim_id,block,left_out_low,left_out_high,covered,members\n"


@pytest.fixture
def left_out(tmp_path):
    def read(text):
        path = tmp_path / "left_out.csv"
        path.write_text(text, encoding="utf-8")
        return fitted.left_out(path)

    return read


def test_nothing_is_left_out_where_there_is_no_file(tmp_path):
    assert fitted.left_out(tmp_path / "none.csv") == {}


def test_what_leaving_out_predicts_is_read_as_it_is_stored(left_out):
    lines = "os.hr,os.hr,0.55,0.70,yes,30\nos.median.lu,medians,12.1,inf,no,28\n"
    assert left_out(HEADER + lines) == {
        "os.hr": {"left_out_low": "0.55", "left_out_high": "0.70", "covered": "yes"},
        "os.median.lu": {"left_out_low": "12.1", "left_out_high": "inf", "covered": "no"},
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("os-adjusted.hr,b,0.5,0.7,yes,30", r"line 2: claim_id 'os-adjusted\.hr' is not in targets\.csv"),
        ("os.hr,b,0.7,0.5,yes,30", r"line 2: '0\.7' to '0\.5' is no range of numbers"),
        ("os.hr,b,,0.5,yes,30", r"line 2: '' to '0\.5' is no range of numbers"),
        ("os.hr,b,nan,0.5,yes,30", r"line 2: 'nan' to '0\.5' is no range of numbers"),
        ("os.hr,b,0.5,0.7,perhaps,30", r"line 2: covered 'perhaps' is neither 'yes' nor 'no'"),
        ("os.hr,b,0.5,0.7,yes,0", r"line 2: members '0' is no number of cohorts"),
        ("os.hr,b,0.5,0.7,yes,many", r"line 2: members 'many' is no number of cohorts"),
        ("os.hr,b,0.5,0.7,yes,30\nos.hr,c,0.5,0.7,yes,30", r"line 3: claim_id 'os\.hr' stands twice"),
    ],
)
def test_a_malformed_line_is_named_with_the_remedy(left_out, line, problem):
    with pytest.raises(FittedError, match=rf"left_out\.csv: {problem}\n?.*") as error:
        left_out(HEADER + line + "\n")
    assert str(error.value).endswith("Make it again: make validate")


def test_other_columns_are_refused(left_out):
    with pytest.raises(FittedError, match=r"line 1: the columns are claim_id, low; they must be"):
        left_out("claim_id,low\nos.hr,0.5\n")


# --- the direction of the rooms ----------------------------------------------------------------------


def test_the_cohort_knows_nothing_of_the_ledger():
    above = {"ledger", "fitted", "evidence", "chapter", "build"}
    for source in sorted((paths.ROOT / "src/visiontrial/cohort").glob("*.py")):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        named = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for name in (*node.module.split("."), *(alias.name for alias in node.names))
        }
        assert not named & above, source.name
