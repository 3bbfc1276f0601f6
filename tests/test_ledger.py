"""The ledger must refuse what it cannot vouch for."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from visiontrial import fitted, ledger, paths, published
from visiontrial.chapter import LedgerPart
from visiontrial.ledger import LedgerError


@pytest.fixture
def whole():
    return ledger.compute().copy()


@pytest.fixture
def patients(monkeypatch):
    """What the reconstructed patients give, to be changed by a test; the ledger is computed from it."""
    changed = dict(fitted.evidence())
    monkeypatch.setattr("visiontrial.fitted.evidence", lambda: changed)
    ledger.compute.cache_clear()
    yield changed
    ledger.compute.cache_clear()


def misprinted(folder, claim_id, text):
    """The published files as they would be if the paper printed `text` for this claim."""
    shutil.copytree(paths.PUBLISHED, folder)
    claims = pd.read_csv(folder / "claims.csv", dtype=str, keep_default_na=False)
    claims.loc[claims["claim_id"] == claim_id, "printed"] = text
    claims.to_csv(folder / "claims.csv", index=False)
    return folder


def standing(table, claim_id):
    row = table.set_index("claim_id").loc[claim_id]
    return row.grade, row.verdict, row.reproduced


def test_every_claim_has_exactly_one_row_grade_and_verdict(whole):
    assert list(whole["claim_id"]) == list(published.claims()["claim_id"])
    assert set(whole["grade"]) <= set(ledger.GRADES)
    assert set(whole["verdict"]) <= set(ledger.VERDICTS)
    ledger.check(whole)


def test_a_recomputed_claim_was_left_one_value_and_a_quoted_one_was_not(whole):
    registry = ledger.registry()
    for row in whole[(whole["reproduced"] != "") & (whole["grade"] != "fitted")].itertuples():
        count = registry.values[row.claim_id].allowed(registry.bounds(row.claim_id)).count
        tied = any(rule.is_equation for rule in registry.evidence(row.claim_id))
        assert (count == 1 and tied) == (row.grade == "recomputed")


def test_an_approximate_formula_pins_nothing(whole):
    """Schoenfeld's formula leaves one printable hazard ratio; another formula would leave another."""
    row = whole.set_index("claim_id").loc["methods.pfs.planned-hr"]
    assert (row.reproduced, row.grade, row.verdict) == ("0.67", "quoted", "compatible")


def test_every_recomputed_claim_has_an_equation_behind_it(whole):
    registry = ledger.registry()
    for claim_id in whole.loc[whole["grade"] == "recomputed", "claim_id"]:
        assert any(rule.is_equation for rule in registry.evidence(claim_id)), claim_id


def test_fitted_is_what_would_be_quoted_and_of_which_the_patients_speak(whole, patients):
    """Issue 6: every number about time to an event is fitted and matches, in every cohort."""
    spoken_of = set(patients)
    patients.clear()
    without = ledger.compute()
    quoted = set(without.loc[without["grade"] == "quoted", "claim_id"])
    assert set(whole.loc[whole["grade"] == "fitted", "claim_id"]) == spoken_of & quoted
    others = ~whole["claim_id"].isin(spoken_of & quoted)
    pd.testing.assert_frame_equal(whole[others], without[others])
    of_time = whole[whole["claim_id"].isin(fitted.targets().index)]
    assert len(of_time) == len(fitted.targets())
    assert (of_time["grade"] + " " + of_time["verdict"] == "fitted match").all()


def test_what_the_printed_numbers_pin_stays_recomputed_whatever_the_patients_give(whole, patients):
    pinned = [i for i in patients if standing(whole, i)[0] == "recomputed"]
    assert len(pinned) > 100
    for claim_id in pinned:
        patients[claim_id] = replace(patients[claim_id], displayed=-1.0)
    pd.testing.assert_frame_equal(ledger.compute(), whole)


def test_one_cohort_that_gives_another_number_makes_a_claim_differ(whole, patients):
    members = patients["os.hr"].members.copy()
    members[5] = 0.6251
    patients["os.hr"] = replace(patients["os.hr"], members=members)
    now = ledger.compute()
    assert standing(now, "os.hr") == ("fitted", "differs", "0.62 to 0.63")
    assert now.set_index("claim_id").loc["os.hr", ["difference", "explanation"]].tolist() == ["", ""]
    with pytest.raises(
        LedgerError, match=r"os\.hr stands as fitted/match \(0\.62\).*; .* earns fitted/differs"
    ):
        ledger.check(whole)
    with pytest.raises(LedgerError, match=r"os\.hr differs \(printed 0\.62, ours 0\.62 to 0\.63\)"):
        ledger.check(now)


def test_a_displayed_cohort_that_gives_another_number_makes_a_claim_differ(patients):
    patients["table1.age.all.lu.high"] = replace(patients["table1.age.all.lu.high"], displayed=95.0)
    patients["os.median.lu"] = replace(patients["os.median.lu"], displayed=np.inf)
    now = ledger.compute().set_index("claim_id")
    assert now.loc["table1.age.all.lu.high", ["grade", "verdict", "reproduced", "difference"]].tolist() == [
        "fitted", "differs", "95", "1",
    ]  # fmt: skip
    assert now.loc["os.median.lu", ["verdict", "reproduced", "difference"]].tolist() == [
        "differs", "15.3 to not reached", "",
    ]  # fmt: skip


def test_a_number_that_is_no_target_is_not_fitted(whole, patients):
    """The set of targets is data: a claim that leaves it loses the grade."""
    del patients["os.hr"]
    with pytest.raises(LedgerError, match=r"os\.hr stands as fitted/match .* earns quoted/compatible"):
        ledger.check(whole)


def test_a_misprint_within_what_the_interval_allows_differs_from_the_patients(tmp_path):
    """0.63 lies between the limits (0.6152 to 0.6254), so only the patients notice it."""
    folder = misprinted(tmp_path / "published", "os.hr", "0.63")
    table = ledger.compute(folder)
    row = table.set_index("claim_id").loc["os.hr"]
    assert (row.grade, row.verdict, row.reproduced, row.difference) == ("fitted", "differs", "0.62", "-0.01")
    with pytest.raises(LedgerError, match=r"os\.hr differs \(printed 0\.63, ours 0\.62\)"):
        ledger.check(table, folder)


def test_a_difference_from_the_patients_stands_when_it_is_explained(tmp_path):
    folder = misprinted(tmp_path / "published", "os.hr", "0.63")
    (folder / "explanations.csv").write_text("claim_id,explanation\nos.hr,computed so and so\n")
    table = ledger.compute(folder)
    assert standing(table, "os.hr") == ("fitted", "differs", "0.62")
    ledger.check(table, folder)


def test_what_the_printed_numbers_exclude_differs_whatever_the_patients_give(tmp_path):
    folder = misprinted(tmp_path / "published", "os.hr", "0.69")
    assert standing(ledger.compute(folder), "os.hr") == ("recomputed", "differs", "0.62 to 0.63")


@pytest.mark.parametrize(("limit", "verdict"), [("<0.01", "match"), ("<0.0000001", "differs")])
def test_a_sign_is_true_of_every_cohort_or_it_differs(tmp_path, limit, verdict):
    """All P values are below 1e-6, not all below 1e-7: a looser limit holds as well, and the row says so."""
    folder = misprinted(tmp_path / "published", "os.p", limit)
    row = ledger.compute(folder).set_index("claim_id").loc["os.p"]
    assert (row.grade, row.verdict, row.difference) == ("fitted", verdict, "")
    if verdict == "match":
        assert row.reproduced == limit
        assert "other limits would hold as well" in row.explanation


def test_a_fitted_row_says_what_it_was_to_the_search_and_what_it_proves(whole):
    rows = whole[whole["grade"] == "fitted"].set_index("claim_id")["explanation"]
    assert rows.str.contains(ledger.PROVES, regex=False).all()
    assert rows["os.hr"].startswith(f"{ledger.ROLES['target']}: {fitted.targets().definition['os.hr']}.")
    assert rows["abstract.os.hr"].startswith(ledger.REPEAT)
    assert rows["os.p"].startswith(ledger.ROLES["derived"])
    assert rows["abstract.os.p"].startswith(ledger.ROLES["derived"])
    assert rows["table1.age.all.lu.median"].startswith(ledger.ROLES["characteristic"])
    assert "The other printed numbers allow 0.62 to 0.63: a hazard ratio is the middle" in rows["os.hr"]
    assert "an order only: a median is not above its range" in rows["table1.age.all.lu.median"]
    cohorts = len(fitted.evidence()["os.hr"].members)
    assert cohorts >= 100
    assert f"All {cohorts} cohorts of the ensemble agree" in rows["os.hr"]
    assert "ensemble" not in rows["table1.age.all.lu.median"]


def test_leaving_out_is_entered_and_changes_no_grade(whole, patients, monkeypatch):
    entry = {"left_out_low": "0.55", "left_out_high": "0.60", "covered": "no"}
    monkeypatch.setattr("visiontrial.fitted.left_out", lambda: {"os.hr": entry})
    now = ledger.compute()
    assert now.set_index("claim_id").loc["os.hr", list(entry)].tolist() == list(entry.values())
    rest = now.assign(**whole[list(entry)])
    pd.testing.assert_frame_equal(rest, whole)
    doctored = now.assign(covered=now["covered"].replace("no", "yes"))
    with pytest.raises(LedgerError, match=r"os\.hr stands as .* 0\.60 yes; .* earns .* 0\.60 no"):
        ledger.check(doctored)


@pytest.mark.parametrize(
    ("claim_id", "grade", "verdict", "reproduced"),
    [
        ("screening.scanned.percent", "recomputed", "match", "85.1"),
        ("withdrawal.before.control.n", "recomputed", "match", "84"),
        ("response.cr.control.count", "quoted", "unchecked", ""),  # only an order touches it
        ("abstract.adverse-events.grade-3.lu.percent", "recomputed", "match", "52.7"),
        ("os-adjusted.hr", "quoted", "compatible", "0.63 to 0.64"),
        ("os-adjusted.ci-level", "quoted", "unchecked", ""),
        ("os.hr", "fitted", "match", "0.62"),
        ("abstract.os.hr", "fitted", "match", "0.62"),
        ("os.p", "fitted", "match", "<0.001"),
        ("os.median.lu", "fitted", "match", "15.3"),
        ("followup.median", "fitted", "match", "20.9"),
        ("table1.age.all.lu.median", "fitted", "match", "70.0"),
        ("exposure.lu.dose.median", "quoted", "unchecked", ""),
        ("discussion.docetaxel.percent", "quoted", "compatible", "≥97"),
        ("methods.sites.total", "recomputed", "match", "84"),
        ("methods.eligibility.life-expectancy", "quoted", "unchecked", ""),
        ("data-cutoff.date", "quoted", "unchecked", ""),
    ],
)
def test_known_rows(whole, claim_id, grade, verdict, reproduced):
    """By hand: 1003/1179 = 85.07%; 280 - 196 = 84; 279/529 = 52.7%; 52 + 32 sites.

    The adjusted hazard ratio's interval leaves [0.6336, 0.6439].
    """
    assert standing(whole, claim_id) == (grade, verdict, reproduced)


def test_an_unchecked_claim_says_why(whole):
    why = whole[whole["verdict"] == "unchecked"].set_index("claim_id")["explanation"]
    assert why.str.contains(": it is computed from no other printed number").all()
    assert not why.str.contains("release").any()
    assert why["discussion.half-life"].startswith("a constant of physics:")
    assert why["data-cutoff.date"].startswith("a date")
    assert why["exposure.lu.dose.median"].startswith("rests on patients' values, which are not printed")


def test_every_kind_of_number_has_a_reason_to_be_unchecked():
    assert set(ledger.REASONS) == set(published.STATISTICS)


def test_the_adjusted_hazard_ratio_says_why_no_patient_has_it(whole):
    rows = whole[whole["claim_id"].isin(["os-adjusted.hr", "os-adjusted.ci-low", "os-adjusted.ci-high"])]
    assert len(rows) == 3
    assert rows["explanation"].str.contains("times of later chemotherapy, which are not printed").all()


def test_a_missing_claim_is_named_with_its_chapter(whole):
    with pytest.raises(
        LedgerError, match=r"02-baseline: claim table1\.bone\.all\.lu\.count is not accounted for"
    ):
        ledger.check(whole[whole["claim_id"] != "table1.bone.all.lu.count"])


def test_two_rows_for_one_claim_are_refused(whole):
    with pytest.raises(LedgerError, match=r"claim os\.hr has two rows"):
        ledger.check(pd.concat([whole, whole[whole["claim_id"] == "os.hr"]]))


def test_a_row_for_no_claim_is_refused(whole):
    stranger = whole.tail(1).assign(claim_id="nobody.count")
    with pytest.raises(LedgerError, match=r"nobody\.count is no claim"):
        ledger.check(pd.concat([whole, stranger]))


@pytest.mark.parametrize(
    ("claim_id", "entered", "earned"),
    [
        ("exposure.lu.dose.median", ["recomputed", "match", "37.5"], "quoted/unchecked"),
        ("exposure.lu.dose.median", ["fitted", "match", "37.5"], "quoted/unchecked"),
        ("os-adjusted.hr", ["fitted", "match", "0.64"], "quoted/compatible"),
        ("os.median.lu", ["recomputed", "match", "15.3"], "fitted/match"),
        ("os.median.lu", ["quoted", "unchecked", ""], "fitted/match"),
        ("os.median.lu", ["fitted", "match", "15.4"], "fitted/match"),
    ],
)
def test_a_doctored_grade_is_refused(whole, claim_id, entered, earned):
    whole.loc[whole["claim_id"] == claim_id, ["grade", "verdict", "reproduced"]] = entered
    with pytest.raises(
        LedgerError, match=rf"{claim_id} stands as {entered[0]}/{entered[1]} .* earns {earned}"
    ):
        ledger.check(whole)


def test_an_unexplained_difference_is_refused(whole):
    whole.loc[whole["claim_id"] == "os.hr", ["verdict", "explanation"]] = ["differs", ""]
    with pytest.raises(LedgerError, match=r"os\.hr differs .* explain it in explanations\.csv"):
        ledger.check(whole)


def test_a_claim_without_a_chapter_is_refused(tmp_path):
    (tmp_path / "ownership.csv").write_text("prefix,chapter\nfig1.,01-eligibility-flow\n")
    with pytest.raises(LedgerError, match=r"no chapter answers for the claim 'os\.hr'"):
        ledger.owner("os.hr", tmp_path)


def test_assembling_the_chapters_parts_gives_the_whole(tmp_path, whole):
    for chapter in whole["chapter"].unique():
        ledger.write(ledger.of_chapter(chapter), tmp_path / "parts" / f"{chapter}.csv")
    merged = ledger.assemble(tmp_path / "parts", tmp_path / "ledger.csv")
    pd.testing.assert_frame_equal(merged, whole)
    pd.testing.assert_frame_equal(ledger.read(tmp_path / "ledger.csv"), whole)


def test_a_chapter_that_did_not_run_leaves_no_ledger(tmp_path):
    ledger.write(ledger.of_chapter("02-baseline"), tmp_path / "parts" / "02-baseline.csv")
    with pytest.raises(LedgerError, match="run that chapter"):
        ledger.assemble(tmp_path / "parts", tmp_path / "ledger.csv")
    assert not (tmp_path / "ledger.csv").exists()


def test_the_committed_ledger_is_the_one_the_data_give(whole):
    committed = ledger.read(paths.BOOK / "ledger.csv")
    pd.testing.assert_frame_equal(committed, whole)


def test_the_scoreboard_counts_every_claim_once(whole):
    board = ledger.scoreboard(whole)
    assert int(board.counts.to_numpy().sum()) == board.total == len(whole)
    recomputed = int(board.counts.loc["recomputed"].sum())
    assert 0 < board.independent <= board.equations < recomputed
    assert (
        f"{recomputed} recomputed numbers rest on {board.independent} independent equations" in board.text()
    )
    assert board.html().count("<tr") == len(ledger.VERDICTS) + 2
    assert all(remark in board.html() and remark in board.text() for remark in board.remarks)


def test_the_scoreboard_prints_what_the_fitted_numbers_rest_on(whole):
    """DESIGN: 25 targets. The others of `targets.csv` repeat one of these or are P values."""
    board = ledger.scoreboard(whole)
    assert board.targets == 25
    assert board.fitted == int((whole["grade"] == "fitted").sum())
    baseline = (whole["grade"] == "fitted") & (whole["location"] == "table1")
    assert board.drawn == int(baseline.sum())
    words = f"The {board.fitted} fitted numbers rest on 25 targets to which the search"
    assert words in board.text()
    assert "can all be true together" in board.text()


def test_without_fitted_numbers_the_scoreboard_speaks_of_none(whole):
    board = ledger.scoreboard(whole[whole["grade"] != "fitted"])
    assert not any("fitted" in remark for remark in board.remarks)


def test_a_chapters_part_says_of_fitted_numbers_whose_they_are():
    part = LedgerPart(ledger.of_chapter("02-baseline"))
    assert "fitted (match)" in part.summary
    assert "class='admonition synthetic'" in part._repr_html_()
    without = LedgerPart(part.frame[part.frame["grade"] != "fitted"])
    assert "synthetic" not in without._repr_html_()
