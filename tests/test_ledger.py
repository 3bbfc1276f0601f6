"""The ledger must refuse what it cannot vouch for."""

import pandas as pd
import pytest

from visiontrial import ledger, paths, published
from visiontrial.ledger import LedgerError


@pytest.fixture
def whole():
    return ledger.compute().copy()


def test_every_claim_has_exactly_one_row_grade_and_verdict(whole):
    assert list(whole["claim_id"]) == list(published.claims()["claim_id"])
    assert set(whole["grade"]) <= set(ledger.GRADES)
    assert set(whole["verdict"]) <= set(ledger.VERDICTS)
    ledger.check(whole)


def test_a_recomputed_claim_was_left_one_value_and_a_quoted_one_was_not(whole):
    registry = ledger.registry()
    for row in whole[whole["reproduced"] != ""].itertuples():
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


def test_nothing_is_fitted_before_there_are_patients(whole):
    assert not (whole["grade"] == "fitted").any()


@pytest.mark.parametrize(
    ("claim_id", "grade", "verdict", "reproduced"),
    [
        ("screening.scanned.percent", "recomputed", "match", "85.1"),
        ("withdrawal.before.control.n", "recomputed", "match", "84"),
        ("response.cr.control.count", "quoted", "unchecked", ""),  # only an order touches it
        ("abstract.adverse-events.grade-3.lu.percent", "recomputed", "match", "52.7"),
        ("os.hr", "quoted", "compatible", "0.62 to 0.63"),
        ("os.p", "quoted", "compatible", "<0.001"),  # <0.01 would hold as well
        ("discussion.docetaxel.percent", "quoted", "compatible", "≥97"),
        ("os.median.lu", "quoted", "unchecked", ""),
        ("methods.sites.total", "recomputed", "match", "84"),
        ("methods.eligibility.life-expectancy", "quoted", "unchecked", ""),
        ("data-cutoff.date", "quoted", "unchecked", ""),
    ],
)
def test_known_rows(whole, claim_id, grade, verdict, reproduced):
    """By hand: 1003/1179 = 85.07%; 280 - 196 = 84; 279/529 = 52.7%; 52 + 32 sites.

    The hazard ratio's interval leaves [0.6152, 0.6254].
    """
    row = whole.set_index("claim_id").loc[claim_id]
    assert (row.grade, row.verdict, row.reproduced) == (grade, verdict, reproduced)


def test_an_unchecked_claim_says_why(whole):
    assert (whole.loc[whole["verdict"] == "unchecked", "explanation"] != "").all()


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


@pytest.mark.parametrize("grade", ["recomputed", "fitted"])
def test_a_doctored_grade_is_refused(whole, grade):
    whole.loc[whole["claim_id"] == "os.median.lu", ["grade", "verdict", "reproduced"]] = [
        grade,
        "match",
        "15.3",
    ]
    with pytest.raises(
        LedgerError, match=rf"os\.median\.lu stands as {grade}/match .* earns quoted/unchecked"
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
