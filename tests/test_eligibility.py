"""The arithmetic of Figure 1: closed answers, and what must hold for any table of patients."""

from itertools import product

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontrial import eligibility, ledger, published
from visiontrial.printed import prints_as

CHAPTER = "01-eligibility-flow"
POSSIBLE = [
    (p, e, status)
    for p, e, status in product((True, False), (True, False), eligibility.STATUSES)
    if status == "unknown" or (status == "met") == (p and not e)
]


@pytest.fixture
def tree() -> pd.DataFrame:
    return eligibility.tree().copy()


def totals(cells: dict) -> dict[str, int]:
    """The six counts a paper would print of a table of patients."""
    return {
        "scanned": sum(cells.values()),
        "positive": sum(n for (p, _, _), n in cells.items() if p),
        "exclusionary": sum(n for (_, e, _), n in cells.items() if e),
        "met": sum(n for (*_, s), n in cells.items() if s == "met"),
        "not_met": sum(n for (*_, s), n in cells.items() if s == "not met"),
        "unknown": sum(n for (*_, s), n in cells.items() if s == "unknown"),
    }


def limits(bounds: pd.DataFrame, among: str, findings: str) -> tuple[int, int]:
    row = bounds.set_index(["among", "findings"]).loc[(among, findings)]
    return int(row["low"]), int(row["high"])


# --- the tree ---


def test_every_sum_holds_in_all_three_sets(tree):
    sums = eligibility.sums(tree)
    assert (sums["whole"] == sums["total"]).all()
    assert set(sums["set"]) == set(eligibility.SETS)


def test_no_box_is_negative_in_the_set_that_is_not_printed(tree):
    assert tree["before"].min() >= 0


def test_a_misprint_in_one_box_breaks_the_sums_it_is_part_of(tree):
    tree.loc[tree["box"] == "fig1.lu.no-lu.died", "all"] += 1
    sums = eligibility.sums(tree)
    broken = sums[sums["whole"] != sums["total"]]
    assert list(broken[["parent", "set"]].itertuples(index=False, name=None)) == [("fig1.lu.no-lu", "all")]


def test_the_arithmetic_of_a_line_is_true(tree):
    for analysis_set in ("all", "pfs"):
        for text in eligibility.arithmetic(tree, analysis_set):
            for equation in filter(None, text.split("; ")):
                if " of " in equation:
                    part, whole = map(int, equation.split(" of "))
                    assert part <= whole
                else:
                    left, right = equation.replace("−", "-").split(" = ")
                    assert int(left) == eval(right)


def test_arithmetic_says_how_a_box_follows(tree):
    text = dict(zip(tree["box"], eligibility.arithmetic(tree, "all"), strict=True))
    assert text["fig1.lu.assigned"] == "551 = 22 + 529; 551 = 18 + 533; 551 = 362 + 140 + 49"
    assert text["fig1.screening.excluded-after-scan.psma-pet"] == "123 of 164"


def test_a_box_under_two_parents_follows_from_each(tree):
    texts = pd.Series(eligibility.arithmetic(tree, "all"))
    of_box = texts[list(tree["box"] == "fig1.control.continuing-standard-care")]
    assert list(of_box) == ["5 = 201 − 196", "5 = 280 − 225 − 50"]


def test_recomputed_boxes_print_as_the_paper(tree):
    values = eligibility.recomputed_boxes(tree)
    assert [i for i, v in values.items() if not prints_as(v, published.printed(i))] == []


def test_a_recomputed_box_does_not_see_itself(tree):
    tree.loc[tree["box"] == "fig1.control.no-standard-care.died", "all"] = 99
    assert eligibility.recomputed_boxes(tree)["fig1.control.no-standard-care.died.all"] == 3


def test_unknown_boxes_are_named():
    with pytest.raises(KeyError, match=r"fig1\.lu\.nothing"):
        eligibility.counts("fig1.lu.nothing")


def test_the_chapter_computes_every_claim_it_answers_for_that_can_be(tree):
    percents = eligibility.percentages("screening.") | eligibility.percentages("randomized.")
    values = (
        eligibility.recomputed_boxes(tree)
        | eligibility.withdrawal_claims()
        | eligibility.safety_claims()
        | eligibility.consent_claims()
        | percents
        | eligibility.counts_behind(percents)
    )
    part = ledger.of_chapter(CHAPTER)
    recomputed = set(part.loc[part["grade"] == "recomputed", "claim_id"])
    ours = eligibility.with_repeats(values, CHAPTER)
    assert recomputed == set(ours)
    assert [i for i, v in ours.items() if not prints_as(v, published.printed(i))] == []


# --- percentages ---


@pytest.mark.parametrize(("count", "total", "text"), [(47, 84, "56"), (2, 166, "1.2"), (1, 100, "1.0")])
def test_percentages_of_fewer_than_a_hundred_have_no_decimals(count, total, text):
    assert eligibility.printed_share(count, total) == text


def test_the_count_behind_a_percent_is_the_only_one_that_prints_so():
    found = eligibility.counts_behind(["screening.psma-positive.percent"])
    assert found == {"screening.psma-positive.count": 954}


# --- the imaging criteria ---


def test_bounds_of_a_small_table_worked_by_hand():
    # One patient of unknown status; 3 of the 4 positive are not among those who met. If the unknown one
    # is positive only, two had both; if not, three had.
    counts = {"scanned": 11, "positive": 8, "exclusionary": 4, "met": 5, "not_met": 5, "unknown": 1}
    bounds = eligibility.imaging_bounds(**counts)
    assert limits(bounds, "scanned", "positive and exclusionary") == (2, 3)
    assert limits(bounds, "scanned", "exclusionary only") == (1, 2)
    assert limits(bounds, "scanned", "neither") == (1, 2)
    assert limits(bounds, "not met", "positive only") == (0, 0)


def test_without_unknown_patients_every_cell_is_determined():
    counts = {"scanned": 10, "positive": 8, "exclusionary": 3, "met": 6, "not_met": 4, "unknown": 0}
    bounds = eligibility.imaging_bounds(**counts)
    assert (bounds["low"] == bounds["high"]).all()
    assert limits(bounds, "scanned", "positive and exclusionary") == (2, 2)


def test_bounds_of_the_trial_by_enumeration():
    """All ways to spread the unknown eight, counted out, give the programme's bounds."""
    scans = eligibility.imaging_counts()
    both, only, neither = set(), set(), set()
    eight = scans["unknown"]
    for u_both, u_positive, u_exclusionary in product(range(eight + 1), repeat=3):
        u_neither = eight - u_both - u_positive - u_exclusionary
        n_both = scans["positive"] - scans["met"] - u_both - u_positive
        n_only = scans["exclusionary"] - n_both - u_both - u_exclusionary
        n_neither = scans["not_met"] - n_both - n_only
        if min(u_neither, n_both, n_only, n_neither) >= 0:
            both.add(n_both + u_both)
            only.add(n_only + u_exclusionary)
            neither.add(n_neither + u_neither)
    bounds = eligibility.imaging_bounds(**scans)
    for name, values in (
        ("positive and exclusionary", both),
        ("exclusionary only", only),
        ("neither", neither),
    ):
        assert limits(bounds, "scanned", name) == (min(values), max(values))


def test_stricter_assumptions_never_widen_a_bound():
    scans = eligibility.imaging_counts()
    loose, middle, tight = (
        eligibility.imaging_bounds(**scans, unknown_status=name)
        for name in ("anything", "undecided", "uncounted")
    )
    for wide, narrow in ((loose, middle), (middle, tight)):
        assert (wide["low"] <= narrow["low"]).all()
        assert (wide["high"] >= narrow["high"]).all()
    assert limits(middle, "not met", "neither") == (39, 39)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=len(POSSIBLE), max_size=len(POSSIBLE)))
def test_bounds_contain_the_truth(numbers):
    cells = dict(zip(POSSIBLE, numbers, strict=True))
    bounds = eligibility.imaging_bounds(**totals(cells))
    for row in bounds.itertuples():
        findings = eligibility.FINDINGS[row.findings]
        truth = sum(n for (p, e, s), n in cells.items() if (p, e) == findings and row.among in ("scanned", s))
        assert row.low <= truth <= row.high


def test_counts_that_cannot_be_are_refused():
    counts = {"scanned": 10, "positive": 2, "exclusionary": 0, "met": 6, "not_met": 4, "unknown": 0}
    with pytest.raises(eligibility.ImpossibleCounts, match="no table of patients"):
        eligibility.imaging_bounds(**counts)


def test_an_unknown_assumption_is_refused():
    with pytest.raises(ValueError, match="write one of anything, undecided, uncounted"):
        eligibility.imaging_bounds(**eligibility.imaging_counts(), unknown_status="maybe")


def test_excluded_under_another_reason():
    assert eligibility.other_reason_bounds() == (3, 11)


# --- who was never treated, who left ---


def test_never_treated_by_subtraction():
    table = eligibility.never_treated().set_index(["arm", "set"])
    assert table[["count", "total"]].apply(tuple, axis=1).to_dict() == {
        ("lu", "before"): (2, 166),
        ("lu", "pfs"): (16, 385),
        ("control", "before"): (47, 84),
        ("control", "pfs"): (32, 196),
    }


def test_without_177lu_are_more_than_without_any_treatment():
    table = eligibility.without_arms_treatment().set_index(["arm", "set"])
    assert table[["count", "total"]].apply(tuple, axis=1).to_dict() == {
        ("lu", "before"): (3, 166),
        ("lu", "pfs"): (19, 385),
        ("control", "before"): (47, 84),
        ("control", "pfs"): (32, 196),
    }
    only_standard_care = table["count"].sum() - eligibility.never_treated()["count"].sum()
    assert only_standard_care == eligibility.safety_set()["patients"].iloc[-1]


def test_periods_are_named_by_the_day_that_the_paper_prints():
    named = eligibility.never_treated().set_index("set")["period"]
    day = published.printed("education-measures.date")
    assert set(named["before"]) == {f"before {day}"}
    assert set(named["pfs"]) == {f"on or after {day}"}


def test_left_the_trial_is_everything_but_death(tree):
    reasons = {"consent-withdrawn", "lost", "investigator"}
    for row in eligibility.left_trial().itertuples():
        stem = f"fig1.{row.arm}.discontinued-trial."
        boxes = tree[tree["box"].isin([stem + reason for reason in reasons])]
        assert row.count == boxes[row.set].sum()


def test_wilson_interval_in_closed_form():
    # Wilson 1927: half of 100, z = 1.96: (0.5 + z²/200 ± z sqrt(0.0025 + z²/40000)) / (1 + z²/100)
    row = eligibility.never_treated().query("arm == 'control' and set == 'before'").iloc[0]
    z, n, p = 1.959964, row["total"], row["count"] / row["total"]
    half = z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    middle, scale = p + z**2 / (2 * n), 1 + z**2 / n
    assert row["low"] == pytest.approx(100 * (middle - half) / scale, abs=1e-4)
    assert row["high"] == pytest.approx(100 * (middle + half) / scale, abs=1e-4)


@pytest.mark.parametrize("method", eligibility.INTERVALS)
def test_intervals_contain_the_share_and_grow_with_the_level(method):
    narrow, wide = (eligibility.left_trial(level, method) for level in (0.8, 0.99))
    assert (wide["low"] <= narrow["low"]).all()
    assert (narrow["low"] <= narrow["share"]).all()
    assert (narrow["share"] <= narrow["high"]).all()
    assert (narrow["high"] <= wide["high"]).all()


def test_interval_names():
    assert eligibility.interval_name(0.992, "beta") == "99.2% Clopper–Pearson interval"
    with pytest.raises(ValueError, match="write one of wilson, beta"):
        eligibility.interval_name(0.95, "exact")


def test_reasons_add_up_to_the_box():
    table = eligibility.reasons(eligibility.NEVER_TREATED).sum()
    untreated = eligibility.never_treated().set_index(["arm", "set"])["count"]
    assert table.to_dict() == untreated.to_dict()


def test_the_caption_explains_everyone_who_withdrew_consent():
    values = eligibility.consent_claims()
    assert values["fig1.control.no-standard-care.consent-withdrawn.all"] == 46
    assert values["captions.fig1.withdrew-control.best-care"] == 31


# --- the safety set ---


def test_the_safety_set_is_figure_1_by_treatment_received():
    assert eligibility.safety_claims() == {"table2.n.lu": 529, "table2.n.control": 205}


def test_everyone_is_treated_or_not():
    treated = eligibility.safety_set()["patients"].sum()
    untreated = eligibility.never_treated()["count"].sum()
    assert treated + untreated == eligibility.counts("fig1.screening.randomized")


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_overlap_bounds_contain_the_truth(members):
    first, second = (sum(column) for column in zip(*members, strict=True))
    low, high = eligibility.overlap_bounds(first, second, len(members))
    assert low <= sum(a and b for a, b in members) <= high


def test_overlap_of_impossible_groups_is_refused():
    with pytest.raises(eligibility.ImpossibleCounts, match="do not fit"):
        eligibility.overlap_bounds(5, 1, 4)
