"""The reasons that are shown are the reasons by which the ledger decides."""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrial import check, evidence, fitted, ledger, published
from visiontrial.printed import EVERYTHING, Interval


@pytest.mark.parametrize(
    "claim_id", ["response.cr.lu.count", "os-adjusted.hr", "table2.n.control", "methods.dose.mci"]
)
def test_the_last_step_is_what_the_ledger_reproduces(claim_id):
    row = ledger.compute().set_index("claim_id").loc[claim_id]
    assert evidence.steps(claim_id)["could be printed"].iloc[-1] == row["reproduced"]


def test_steps_list_each_relation_that_speaks_of_the_claim():
    known = ledger.registry()
    steps = evidence.steps("fig1.lu.no-lu.all", known)
    touching = [identity.text for identity, _ in known.touching("fig1.lu.no-lu.all")]
    assert steps["relation"].tolist() == [*touching, "all together"]


def test_nothing_speaks_of_a_date():
    steps = evidence.steps("randomization.start")
    assert steps["must lie"].tolist() == ["anywhere"]


def test_an_unknown_claim_names_its_neighbours():
    with pytest.raises(KeyError, match=r"os\.hr"):
        evidence.steps("os.hrr")


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (EVERYTHING, "anywhere"),
        (Interval(Fraction(2), Fraction(1)), "nowhere"),
        (Interval.point(17), "exactly 17"),
        (Interval.point(Fraction(1, 3)), "0.333…"),
        (Interval(None, Fraction(385)), "at most 385"),
        (Interval(None, Fraction(1, 8), high_open=True), "below 0.125"),
        (Interval(Fraction(3), None), "at least 3"),
        (Interval(Fraction(3), None, low_open=True), "above 3"),
        (Interval(Fraction("9.15"), Fraction("9.25"), high_open=True), "9.15 to below 9.25"),
        (Interval(Fraction(1, 3), Fraction(2, 3)), "0.333 to 0.667"),
        (Interval(Fraction(-1, 3), Fraction(-1, 4)), "-0.334 to -0.25"),
    ],
)
def test_bounds_in_words(bounds, words):
    assert evidence.bounds_in_words(bounds, decimals=3) == words


@given(st.fractions(-100, 100), st.fractions(-100, 100), st.integers(0, 6))
def test_words_never_promise_more_than_the_bounds(one, other, decimals):
    low, high = sorted((one, other))
    words = evidence.bounds_in_words(Interval(low, high), decimals)
    if " to " in words:
        shown_low, shown_high = map(Fraction, words.split(" to "))
        assert shown_low <= low <= high <= shown_high


def test_the_jacobian_of_a_percent_and_of_a_sum():
    known = ledger.registry()
    few = [
        i
        for i in known.identities
        if i.claim_ids[0] in ("response.cr.lu.percent", "response.n") and i.is_equation
    ]
    table = evidence.jacobian(few, known)
    percent, total = table.iloc[0], table.iloc[1]
    whole = published.value("response.lu.n")
    assert percent["response.cr.lu.percent"] == 1
    assert percent["response.cr.lu.count"] == pytest.approx(-100 / whole)
    assert total["response.n"] == 1
    assert total[["response.lu.n", "response.control.n"]].tolist() == [-1, -1]


def test_repeats_share_a_column():
    known = ledger.registry()
    sums = [i for i in known.identities if i.is_equation and "pfs.alpha" in i.claim_ids]
    names = set(evidence.jacobian(sums, known).columns)
    assert all(len(names & known.twins(name)) == 1 for name in names)


def test_unprotected_claims_are_those_of_the_check_each_with_a_reason():
    bare = evidence.unprotected()
    assert bare["claim_id"].tolist() == check.untouched(published.claims(), ledger.registry())
    assert (bare["why"] != "").all()
    why = bare.set_index("claim_id")["why"]
    assert why["sse.median.lu"] == evidence.BUILT_TO_AGREE
    assert why["data-cutoff.date"] == "a date on which something was done or decided"


def test_a_fitted_number_is_shown_in_the_displayed_cohort_and_at_the_ends_of_the_ensemble():
    found = fitted.evidence()["os.hr"]
    shown = evidence.in_cohorts("os.hr")
    ends = [found.displayed, found.members.min(), found.members.max()]
    assert shown["value"].tolist() == ends
    assert shown["prints as"].tolist() == ["0.62"] * 3
    assert evidence.in_cohorts("os.p")["prints as"].tolist() == ["<0.001"] * 3
    assert evidence.in_cohorts("table1.age.all.lu.median")["cohorts"].tolist() == ["the displayed cohort"]
    assert "reconstructed patients, who were built to agree" in evidence.in_cohorts_table("os.hr").html


def test_of_what_the_patients_say_nothing_nothing_is_shown():
    with pytest.raises(KeyError, match=r"say nothing of os-adjusted\.hr"):
        evidence.in_cohorts("os-adjusted.hr")
    with pytest.raises(KeyError, match=r"near it: .*os\.hr"):
        evidence.in_cohorts("os.hrr")


@given(st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,2})?", fullmatch=True), st.integers())
def test_one_wrong_digit_changes_one_digit(text, seed):
    changed = evidence.one_wrong_digit(text, random.Random(seed))
    differing = [(a, b) for a, b in zip(text, changed, strict=True) if a != b]
    assert len(differing) == 1
    assert all(character.isdigit() for character in differing[0])


def test_a_number_word_has_no_digit_to_change():
    with pytest.raises(ValueError, match="four"):
        evidence.one_wrong_digit("four", random.Random(0))


def test_a_misprint_changes_one_claim_and_leaves_the_published_ones_alone():
    before = published.printed("os.hr")
    claims = evidence.misprinted("os.hr", "0.65")
    assert (claims["printed"] != published.claims()["printed"]).sum() == 1
    assert published.printed("os.hr") == before


def test_a_misprint_breaks_its_relations_and_is_shown_as_printed():
    claims = evidence.misprinted("os.hr", "0.65")
    text = "\n".join(finding.text(claims) for finding in evidence.broken_by(claims))
    assert "os.hr printed '0.65'" in text
    assert "abstract.os.hr repeats os.hr" in text


def test_the_published_numbers_break_nothing():
    assert evidence.broken_by(published.claims()) == []


def test_mutations_are_the_same_for_the_same_seed():
    first, again = (evidence.mutations(4, seed=1) for _ in range(2))
    assert first.equals(again)
    assert len(first) == 4
    assert ((first["relations broken"] > 0) == (first["caught"] == "yes")).all()


def test_named_results_have_one_of_two_statuses():
    statuses = published.named_results()["status"]
    assert statuses.str.fullmatch("method shown|not shown, because .+").all()
    assert published.named_results()["result_id"].is_unique


@pytest.mark.parametrize(
    "table",
    [
        lambda: evidence.steps_table("os.hr"),
        lambda: evidence.in_cohorts_table("os.hr"),
        evidence.unprotected_table,
        lambda: evidence.mutations_table(2, seed=1),
        evidence.named_results_table,
    ],
)
def test_tables_are_drawn_the_same_every_time(table):
    assert table().html == table().html
