"""Every forensic rule where it must fire and where it must not, on numbers made up for it."""

import math
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrial import check, forensics, identities, published
from visiontrial.forensics import CHANCE_LIMIT, Comparison, Numbers, Share
from visiontrial.printed import Interval
from visiontrial.published import PublishedDataError

MEANING, INNOCENT = "What it would mean.", "Why it need not."


def numbers(printed, *pairings, statistics=None):
    """Made-up claims (id -> characters) and pairings, as the rules see them."""
    statistics = statistics or {}
    rows = [
        {
            "claim_id": claim_id,
            "location": "results",
            "item": claim_id,
            "printed": text,
            "statistic": statistics.get(claim_id, "count" if text.isdigit() else "median"),
            "denominator": "",
            "unit": "",
        }
        for claim_id, text in printed.items()
    ]
    claims = pd.DataFrame(rows)
    none = pd.DataFrame(columns=published.COLUMNS["identities.csv"])
    flow = pd.DataFrame(columns=published.COLUMNS["flow.csv"])
    lines = [(*line, *("",) * (4 - len(line)), MEANING, INNOCENT) for line in pairings]
    table = pd.DataFrame(lines, columns=published.COLUMNS["pairings.csv"])
    return Numbers(claims, identities.registry(claims, flow, none), table)


def verdicts(rule, known):
    return [finding.verdict for finding in rule(known)]


def ratio(low, high, d1="300", d0="300", level="95"):
    printed = {
        "os.hr": "0.60",
        "os.ci-low": low,
        "os.ci-high": high,
        "os.ci-level": level,
        "d.a": d1,
        "d.b": d0,
    }
    return numbers(printed, ("events", "os.hr", "d.a", "d.b"), statistics={"os.ci-level": "ci_level"})


DATES = dict.fromkeys(("a.start", "b.end", "c.rough"), "date")


def dated(rule, second="March 5, 2019", first="June 4, 2018", rough="June 2018"):
    printed = {"a.start": first, "b.end": second, "c.rough": rough}
    pairing = ("same_date", "c.rough", "a.start") if rule == "same_date" else (rule, "a.start", "b.end")
    return numbers(printed, pairing, statistics=DATES)


def table_one(earlier, later, n_earlier=100, n_later=100):
    """A baseline table with one row; both arms alike unless told."""
    printed = {}
    for arm, (early, late) in {"lu": (earlier, later), "control": (earlier, earlier)}.items():
        printed |= {
            f"table1.row.pfs.{arm}.count": str(late),
            f"table1.row.all.{arm}.count": str(early + late),
            f"table1.n.pfs.{arm}": str(n_later),
            f"table1.n.all.{arm}": str(n_earlier + n_later),
        }
    return numbers(printed)


def pair(rule, first, second, third=None, statistics=None):
    """Two or three claims under one rule: `a.x`, `b.x`, `c.x`."""
    printed = {"a.x": first, "b.x": second} | ({"c.x": third} if third else {})
    return numbers(printed, (rule, *printed), statistics=statistics)


PERCENTS = {"a.x": "percent", "b.x": "percent"}
DOSES = {"a.x": "range_high", "b.x": "count", "c.x": "dose"}
MEDIANS = dict.fromkeys(("a.x", "b.x", "c.x"), "median")

CASES = {
    # rule: (fires, must not)
    "events": (forensics.interval_width, ratio("0.55", "0.65", d1="100", d0="100"), ratio("0.50", "0.72")),
    "shape": (
        forensics.shape_of_hazard,
        *(
            numbers(
                {
                    "os.hr": hr,
                    "os.ci-low": low,
                    "os.ci-high": high,
                    "os.ci-level": "95",
                    "os.median.control": "10.0",
                    "os.median.lu": "20.0",
                    "n.a": "400",
                    "n.b": "400",
                },
                ("shape", "os.hr", "n.a", "n.b"),
            )
            for hr, low, high in (("0.90", "0.78", "1.03"), ("0.50", "0.44", "0.57"))
        ),
    ),
    "pooled": (
        forensics.pooled_median,
        pair("pooled", "20.9", "20.3", "19.8", MEDIANS),
        pair("pooled", "20.1", "20.3", "19.8", MEDIANS),
    ),
    "span": (
        forensics.spans,
        *(
            numbers(
                {"t.x": months, "a.start": "June 4, 2018", "b.end": "June 4, 2019"},
                ("span", "t.x", "a.start", "b.end"),
                statistics=DATES | {"t.x": "median"},
            )
            for months in ("12.2", "12.0")
        ),
    ),
    "date_order": (forensics.date_orders, dated("date_order", "May 1, 2018"), dated("date_order")),
    "same_date": (forensics.same_dates, dated("same_date", rough="August 2018"), dated("same_date")),
    "same_date, the middle": (
        forensics.same_dates,
        dated("same_date", first="October 23, 2019", rough="mid-October 2019"),
        dated("same_date", first="October 17, 2019", rough="mid-October 2019"),
    ),
    "dose": (
        forensics.doses,
        pair("dose", "48.3", "6", "7.4", DOSES),
        pair("dose", "44.0", "6", "7.4", DOSES),
    ),
    "schedule": (
        forensics.schedules,
        *(
            pair("schedule", m, "6", "6", {"a.x": "range_high", "b.x": "count", "c.x": "duration"})
            for m in ("8.4", "8.3")
        ),
    ),
    "two_rules": (
        forensics.counted_by_two_rules,
        pair("two_rules", "54", "63"),
        pair("two_rules", "54", "54"),
    ),
    "nobody": (forensics.nobody, pair("nobody", "3", "4"), pair("nobody", "0", "4")),
    "eligible": (forensics.eligible, pair("eligible", "8", "2"), pair("eligible", "0", "2")),
    "at_least": (forensics.at_least, pair("at_least", "496", "508"), pair("at_least", "508", "508")),
    "words": (
        forensics.words,
        *(numbers({"a.x": part, "b.x": "100"}, ("words", "a.x", "b.x", "90 100")) for part in ("86", "90")),
    ),
    "above": (
        forensics.above_threshold,
        pair("above", "11.9", ">12", statistics=PERCENTS),
        pair("above", "12.5", ">12", statistics=PERCENTS),
    ),
    "arms": (forensics.arms_alike, table_one(30, 60), table_one(30, 32)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_fires_where_it_must_and_only_there(name):
    rule, odd, fine = CASES[name]
    assert "odd" in verdicts(rule, odd)
    assert set(verdicts(rule, fine)) == {"consistent"}


def test_every_pairing_rule_has_its_cases():
    declared = {name.split(",")[0] for name in CASES} | {"baseline_share"}
    assert declared >= forensics.PAIRED.keys()


def test_an_odd_pairing_speaks_its_own_words():
    finding = next(forensics.counted_by_two_rules(pair("two_rules", "1", "2")))
    assert (finding.meaning, finding.innocent, finding.claim_ids) == (MEANING, INNOCENT, ("a.x", "b.x"))


def test_without_an_innocent_reading_it_is_inconsistent():
    known = pair("at_least", "1", "2")
    known.pairings["innocent"] = forensics.NO_INNOCENT_READING
    assert verdicts(forensics.at_least, known) == ["inconsistent"]


def test_periods_differ_only_where_the_earlier_patients_do():
    assert verdicts(forensics.periods_alike, table_one(30, 60)) == ["odd", "consistent"]
    assert verdicts(forensics.periods_alike, table_one(30, 31)) == ["consistent", "consistent"]


def test_a_declared_share_is_compared_between_the_arms():
    printed = {"a.lu.n": "48", "a.control.n": "20", "b.lu": "100", "b.control": "100"}
    known = numbers(printed, ("baseline_share", "a.{arm}.n", "b.{arm}", "a share"))
    assert verdicts(forensics.arms_alike, known) == ["odd"]


def test_a_part_larger_than_its_whole_is_no_share():
    assert "inconsistent" in verdicts(forensics.arms_alike, table_one(30, 130))


# --- identities, repeats, denominators, decimals ---------------------------------------------


@pytest.mark.parametrize(
    ("claim_id", "wrong", "rule"),
    [
        ("table1.bone.all.lu.percent", "91.9", forensics.identities_hold),
        ("abstract.os.hr", "0.63", forensics.repeats_agree),
        ("abstract.adverse-events.grade-3.control.percent", "38.1", forensics.denominators),
        ("table1.bone.all.lu.percent", "91", forensics.decimals),
        ("table1.psa.all.lu.median", "9999.0", forensics.part_medians),
        ("table1.bone.all.lu.count", "9999", forensics.arms_alike),
        ("data-cutoff.date", "January 27, 2020", forensics.spans),
        ("pfs.ci-high", "0.41", forensics.interval_width),
    ],
)
def test_a_wrong_number_is_noticed_by_its_rule(claim_id, wrong, rule):
    assert set(verdicts(rule, forensics.as_published())).isdisjoint({"inconsistent"})
    before = {(f.rule, f.claim_ids): f.verdict for f in rule(forensics.as_published())}
    after = {(f.rule, f.claim_ids): f.verdict for f in rule(forensics.doctored(claim_id, wrong))}
    changed = [key for key in after if after[key] != before.get(key)]
    assert any(claim_id in claim_ids for _, claim_ids in changed)


def test_a_mutation_in_a_declared_pairing_is_inconsistent():
    after = forensics.apply(forensics.doctored("methods.pfs.events-planned", "999"))
    wrong = [f for f in after if f.verdict == "inconsistent"]
    assert [f.rule for f in wrong] == ["at_least", "power"]
    assert wrong[0].innocent == forensics.NO_INNOCENT_READING


def test_a_pairing_that_cannot_be_read_is_named_with_its_line(monkeypatch):
    table = published.pairings().copy()
    table.loc[0, "first"], table.loc[1, "rule"] = "nobody.hr", "guess"
    monkeypatch.setattr(published, "pairings", lambda folder: table)
    forensics.as_published.cache_clear()
    with pytest.raises(PublishedDataError, match=r"line 2: no such claim: nobody.hr") as error:
        forensics.as_published()
    assert "line 3: rule 'guess' is unknown" in str(error.value)


# --- the bound on the standard error -----------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999)), min_size=2, max_size=60))
def test_the_information_never_exceeds_its_bound(events):
    """Any Cox fit's information at its maximum: shift the shares until they sum to d1."""
    d1 = sum(in_lu for in_lu, _ in events)
    d0 = len(events) - d1
    if not d1 or not d0:
        return
    logits = np.array([math.log(p / (1 - p)) for _, p in events])
    low, high = -50.0, 50.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-logits - middle))).sum() < d1 else (low, middle)
    shares = 1 / (1 + np.exp(-logits - low))
    information = (shares * (1 - shares)).sum()
    assert 1 / math.sqrt(information) >= forensics.least_standard_error(d1, d0) - 1e-9


@pytest.mark.parametrize("effect", [0.2, 0.7, 1.0])
def test_a_stratified_cox_fit_is_no_more_certain_than_the_bound(effect):
    from lifelines import CoxPHFitter

    rng = np.random.default_rng(20210624)
    n = 240
    rows = pd.DataFrame({"lu": np.arange(n) % 3 > 0, "stratum": np.arange(n) % 4}).astype(float)
    rows["time"] = rng.exponential(1 / np.where(rows["lu"] == 1, effect, 1.0)).round(1) + 0.1
    rows["event"] = rng.random(n) < 0.8
    fit = CoxPHFitter().fit(rows, "time", "event", strata=["stratum"])
    deaths = rows[rows["event"]]["lu"].value_counts()
    assert fit.standard_errors_["lu"] >= forensics.least_standard_error(int(deaths[1]), int(deaths[0]))


def test_the_bound_is_reached_when_nobody_leaves_the_risk_sets_unevenly():
    # one event in each arm: shares one half each: information 2 * 1/4 = 1/2
    assert forensics.least_standard_error(1, 1) == pytest.approx(math.sqrt(2))


@given(st.integers(1, 60), st.integers(1, 60))
def test_the_fewest_events_are_the_fewest(floor1, floor0):
    known = ratio("0.45", "0.80")
    ceiling = (80, 80)
    largest = forensics.standard_error("os", known)[1] ** 2
    possible = [
        d1 + d0
        for d1 in range(floor1, ceiling[0] + 1)
        for d0 in range(floor0, ceiling[1] + 1)
        if 1 / d1 + 1 / d0 <= largest
    ]
    assert forensics.fewest_events("os", (floor1, floor0), ceiling, known) == min(possible, default=None)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 50))
def test_events_are_shared_as_favourably_as_can_be(floor1, floor0, more):
    total = floor1 + floor0 + more
    splits = [forensics.least_standard_error(d1, total - d1) for d1 in range(floor1, total - floor0 + 1)]
    assert forensics.least_at(total, (floor1, floor0)) == pytest.approx(min(splits))


def test_figure_one_lacks_deaths_that_the_survival_analysis_has():
    counted = tuple(published.value(f"fig1.{arm}.discontinued-trial.died.all") for arm in forensics.ARMS)
    fewest = forensics.fewest_events("os", counted, (551, 280), forensics.as_published())
    assert sum(counted) < fewest <= published.value("methods.os.events-planned")


# --- shapes and medians ---------------------------------------------------------------------------


def _shape(shape, hazard_ratio, control="8.00000"):
    lu = float(control) * hazard_ratio ** (-1 / shape)
    half = 1.959964 * forensics.least_standard_error(500, 300)
    printed = {
        "os.hr": f"{hazard_ratio:.5f}",
        "os.ci-low": f"{hazard_ratio * math.exp(-half):.5f}",
        "os.ci-high": f"{hazard_ratio * math.exp(half):.5f}",
        "os.ci-level": "95",
        "os.median.control": control,
        "os.median.lu": f"{lu:.5f}",
        "n.a": "500",
        "n.b": "300",
    }
    return forensics.shape("os.hr", "n.a", "n.b", numbers(printed))


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("hazard_ratio", [0.4, 0.9, 1.5])
def test_the_shape_of_weibull_curves_is_recovered(shape, hazard_ratio):
    found = _shape(shape, hazard_ratio)
    assert found.low <= shape <= found.high
    assert found.high - found.low < 0.01


def test_a_constant_hazard_is_no_standard_error_away_from_itself():
    found = _shape(1.0, 0.6)
    assert found.errors_low == 0
    assert found.errors_high == pytest.approx(0, abs=1e-3)


def test_chance_between_medians_and_hazard_ratio_is_that_of_simulated_ones():
    rng = np.random.default_rng(1)
    times = [rng.exponential(size=(4000, n)) for n in (500, 300)]
    log_medians = np.log(np.median(times[0], axis=1) / np.median(times[1], axis=1))
    log_ratio = np.log(times[0].mean(axis=1) / times[1].mean(axis=1))
    spread = (log_medians - log_ratio).std()
    assert spread < 0.8 * log_medians.std()  # the same patients: the two vary together
    found = _shape(1.0, 0.6)
    log_ratio = abs(math.log(found.ratio_of_medians))
    assert found.reach * log_ratio / 2 == pytest.approx(spread, rel=0.05)


def test_equal_medians_have_no_shape():
    printed = {"os.hr": "0.90", "os.median.control": "10.0", "os.median.lu": "10.0", "n.a": "9", "n.b": "9"}
    assert forensics.shape("os.hr", "n.a", "n.b", numbers(printed)) is None


def test_medians_as_certain_as_the_hazard_ratio_leave_no_chance_to_judge_by():
    assert forensics.shape("os.hr", "table1.n.all.lu", "table1.n.all.control", forensics.as_published())
    vague = forensics.doctored("os.ci-high", "0.99")
    assert forensics.shape("os.hr", "table1.n.all.lu", "table1.n.all.control", vague) is None


def test_rounding_alone_decides_whether_survival_is_odd():
    found = forensics.shape("os.hr", "table1.n.all.lu", "table1.n.all.control", forensics.as_published())
    assert found.errors_low < CHANCE_LIMIT < found.errors_high
    finding = next(f for f in forensics.findings() if f.rule == "shape" and "os.hr" in f.claim_ids)
    assert finding.verdict == "consistent"
    assert "cannot decide" in finding.meaning


samples = st.lists(st.integers(0, 20), min_size=1, max_size=12)


@given(samples, samples)
def test_the_earlier_median_is_where_it_is_said_to_be(earlier, later):
    def point(values):
        return Interval.point(int(2 * np.median(values)))

    bound = forensics.earlier_median(point(later), point(earlier + later))
    assert bound.meets(point(earlier))


def test_the_median_wait_by_hand():
    # 2 earlier and 4 later patients: the median is a quarter of the way through the later ones
    printed = {"a.x": "January 1, 2019", "b.x": "January 21, 2019", "c.x": "January 31, 2019"}
    known = numbers(printed, statistics=dict.fromkeys(printed, "date"))
    assert forensics.median_wait(2, 4, *printed, known) == pytest.approx(25 / forensics.DAYS_PER_MONTH)
    with pytest.raises(ValueError, match="the median patient came before"):
        forensics.median_wait(4, 2, *printed, known)


# --- chance ---------------------------------------------------------------------------------------


def test_the_standardized_difference_by_hand():
    # 0.5 and 0.3: spread sqrt((0.25 + 0.21) / 2); 100 in each: standard error sqrt(2 / 100)
    one, other = Share("one", 50, 100, ()), Share("other", 30, 100, ())
    comparison = Comparison("arms", "", "", one, other, "", "")
    assert comparison.difference == pytest.approx(0.2 / math.sqrt(0.23))
    assert comparison.errors == pytest.approx(0.2 / math.sqrt(0.23) / math.sqrt(0.02))


def test_chance_calls_as_many_odd_as_is_said():
    rng = np.random.default_rng(7)
    draws = rng.binomial([200, 200], 0.4, size=(20_000, 2))
    odd = sum(
        abs(Comparison("arms", "", "", *(Share("", d, 200, ()) for d in row), "", "").errors) > CHANCE_LIMIT
        for row in draws
    )
    assert odd / len(draws) == pytest.approx(forensics.expected_by_chance(1), rel=0.5)


# --- the paper's own -------------------------------------------------------------------------------


def test_nothing_in_the_paper_is_inconsistent():
    assert [f for f in forensics.findings() if f.verdict == "inconsistent"] == []


def test_every_odd_finding_has_its_innocent_reading():
    odd = [f for f in forensics.findings() if f.verdict == "odd"]
    assert odd
    assert all(f.innocent and f.innocent != forensics.NO_INNOCENT_READING for f in odd)


def test_every_rule_has_a_title_and_every_pairing_a_finding():
    rules = {f.rule for f in forensics.findings()}
    assert rules == forensics.TITLES.keys()
    assert set(published.pairings()["rule"]) - {"baseline_share"} <= rules


def test_the_table_puts_consequence_first_and_the_tally_counts_all():
    found = forensics.findings()
    rows = forensics.table(found)
    odd = rows[rows["verdict"] == "odd"]
    assert list(odd.index) == list(range(len(odd)))
    assert odd["consequence"].is_monotonic_decreasing
    assert forensics.tally(found)["comparisons"].sum() == len(found)


def test_ties_count_every_relation_within_its_part():
    counted = forensics.ties(forensics.as_published())
    known = forensics.as_published().registry
    assert counted[["equations", "orders", "repeats"]].sum().sum() >= len(known.identities) + len(
        known.repeats
    )


def test_what_is_unprotected_is_what_no_relation_touches():
    known = forensics.as_published()
    bare = forensics.unprotected(known, forensics.findings())
    assert list(bare["claim_id"]) == check.untouched(known.claims, known.registry)


def test_make_check_fails_on_an_inconsistent_finding(monkeypatch):
    wrong = forensics.doctored("methods.pfs.events-planned", "999")
    monkeypatch.setattr(forensics, "findings", lambda folder: forensics.apply(wrong))
    with pytest.raises(PublishedDataError, match=r"what was reached against the plan: 581 against 999"):
        check.run()


def test_a_word_that_is_a_claim_is_spoken_of_and_must_exist(monkeypatch):
    spoken = {i for f in forensics.findings() if f.rule == "words" for i in f.claim_ids}
    assert "discussion.postprotocol.second-taxane" in spoken
    table = published.pairings().copy()
    line = table.index[table["rule"] == "words"][0]
    table.loc[line, "third"] = "90 100 no.such"
    monkeypatch.setattr(published, "pairings", lambda folder: table)
    forensics.as_published.cache_clear()
    with pytest.raises(PublishedDataError, match=rf"line {line + 2}: no such claim: no.such"):
        forensics.as_published()


def test_an_odd_pairing_says_what_is_true_whichever_number_is_larger():
    claim_id = "fig1.lu.discontinued-lu.adverse-event.all"
    more = forensics.counted_by_two_rules(forensics.doctored(claim_id, "70"))
    odd = next(f for f in more if claim_id in f.claim_ids)
    assert odd.arithmetic == "70 and 63"
    assert not {"Fewer", "more"} & set(odd.meaning.split())


# --- doctored numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim_id", "text", "error", "message"),
    [
        ("os.nothing", "1", KeyError, "no claim 'os.nothing'"),
        ("os.hr", "many", PublishedDataError, "is no number"),
        ("data-cutoff.date", "12", PublishedDataError, "is no date"),
        ("os.p", "0.001", PublishedDataError, "keep its sign"),
    ],
)
def test_a_doctored_number_must_be_of_its_kind(claim_id, text, error, message):
    with pytest.raises(error, match=message):
        forensics.doctored(claim_id, text)


def test_no_doctored_number_breaks_a_rule():
    """Whatever a class types in: every rule gives a verdict."""
    rng = random.Random(3)
    claims = published.claims()
    for claim_id, text in rng.sample(list(zip(claims["claim_id"], claims["printed"], strict=True)), 12):
        if not text[0].isdigit():
            continue
        for wrong in ("0", "9999"):
            assert forensics.apply(forensics.doctored(claim_id, wrong))


def test_noticed_lists_the_graver_verdicts_first():
    after = forensics.apply(forensics.doctored("table1.taxane-1.all.lu.count", "352"))
    rows = forensics.noticed(forensics.findings(), after)
    assert set(rows["before"]) == {"consistent"}
    assert "parts against wholes" in set(rows["rule"])
    assert forensics.noticed(after, after).empty
