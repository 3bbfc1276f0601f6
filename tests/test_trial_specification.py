"""A trial read from its folder: VISION itself, the example of the documentation, and what is refused.

Authorities: Figure 1 and Table 1 of the paper by way of `claims.csv`; the text's numbers of patients
by period; the page `book/trial-specification.md`, whose example must read as it stands.
"""

import math
import re
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrial import paths, published
from visiontrial.cohort.keys import Keys
from visiontrial.cohort.reader import STATISTICS, _Counting, read
from visiontrial.cohort.references import References, SpecificationError
from visiontrial.cohort.specification import Arm, Period, Target
from visiontrial.cohort.verify import CohortRejected, verify
from visiontrial.printed import prints_as

VISION = paths.ROOT / "data" / "reconstruction" / "vision"
PAGE = paths.BOOK / "trial-specification.md"
DAY = date(2020, 1, 1)


@pytest.fixture
def example(tmp_path):
    """The folder that the page tells its reader to write."""
    text = PAGE.read_text(encoding="utf-8")
    for stem, suffix in (("trial", "toml"), ("numbers", "csv"), ("targets", "csv")):
        block = re.search(rf"^:name: example-{stem}-{suffix}\n(.*?)^```", text, flags=re.M | re.S)
        (tmp_path / f"{stem}.{suffix}").write_text(block[1], encoding="utf-8")
    return tmp_path


def change(folder, name, old, new):
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def refused(folder):
    with pytest.raises(SpecificationError) as caught:
        read(folder)
    return str(caught.value)


# --- VISION ----------------------------------------------------------------------------------


def test_vision_has_the_papers_patients(vision):
    assert vision.size == published.value("randomized.count")
    assert [arm.name for arm in vision.arms] == ["control", "lu"]  # the reference first
    # The text prints the patients of each period by itself; Figure 1 only the later one and all.
    for arm in ("control", "lu"):
        for period, printed in (("before_march_2019", "before"), ("pfs_set", "after")):
            cell = arm, period
            assert vision.randomized[cell] == published.value(f"withdrawal.{printed}.{arm}.n")
            assert vision.untreated[cell] == published.value(f"withdrawal.{printed}.{arm}.count")


def test_vision_end_states_are_those_of_figure_1(vision):
    for cell in vision.cells:
        assert sum(state.counts[cell] for state in vision.end_states) == vision.randomized[cell]
    for arm in ("control", "lu"):
        gone = [state for state in vision.end_states if state.kind != "alive"]
        for population, suffix in (("all_randomized", "all"), ("pfs_set", "pfs")):
            total = sum(state.counts[arm, p] for state in gone for p in vision.populations[population])
            assert total == published.value(f"fig1.{arm}.discontinued-trial.{suffix}")


def test_vision_dates(vision):
    before, after = vision.periods
    assert (before.first, after.first, after.last) == (date(2018, 6, 4), date(2019, 3, 5), date(2019, 10, 23))
    assert (after.first - before.last).days == 1
    assert vision.cutoff == date(2021, 1, 27)


def test_vision_scans_every_8_weeks_to_week_24_then_every_12(vision):
    _, pfs, _ = vision.endpoints
    weeks = np.array(pfs.visits) / 7
    assert list(weeks[:6]) == [8, 16, 24, 36, 48, 60]
    assert set(np.diff(weeks[2:])) == {12}
    longest = (vision.cutoff - vision.periods[0].first).days + 1
    assert pfs.visits[-2] < longest <= pfs.visits[-1]


def test_vision_factors_are_the_registrys(vision):
    by_name = {factor.name: factor for factor in vision.factors}
    facts = pd.read_csv(paths.EXTERNAL / "facts.csv", dtype=str)["fact_id"]
    assert {f"strata.{name}" for name in by_name} == {f for f in facts if f.startswith("strata.")}
    # Table 1 prints ECOG 0-1; the second level is the remainder.
    lu = sum(n for (arm, _), n in by_name["ecog"].counts.items() if arm == "lu")
    assert lu + published.value("table1.ecog-0-1.all.lu.count") == published.value("randomized.lu.count")
    assert by_name["ldh"].share.mean == pytest.approx(math.log(0.35 / 0.65))
    assert by_name["ldh"].counts is None


def test_vision_targets_speak_of_what_their_claims_speak_of(vision):
    claims = published.claims().set_index("claim_id")
    alike = {
        "median": "median", "followup": "median", "time_to_cutoff": "median", "hazard_ratio": "hazard_ratio",
        "ci_low": "ci_low", "ci_high": "ci_high", "followup_low": "ci_low", "followup_high": "ci_high",
        "p_value": "p_value",
    }  # fmt: skip
    for target in vision.targets:
        claim = claims.loc[target.claim_id]
        assert claim["printed"] == target.printed
        assert claim["statistic"] == alike[target.statistic], target.claim_id
        if not target.claim_id.startswith("abstract."):  # whose claims do not name the set everywhere
            assert claim["analysis_set"] == target.population, target.claim_id
        if target.arm != "all":
            assert claim["arm"] == target.arm, target.claim_id


def test_vision_targets_are_complete_and_unique(vision):
    ids = [target.claim_id for target in vision.targets]
    assert len(set(ids)) == len(ids)
    claims = published.claims()
    efficacy = claims["claim_id"].str.match(
        r"(abstract\.)?(os|os-pfs-set|pfs|sse)\.(median|hr|ci-low|ci-high|p$|followup\..*\.(median|ci-low))"
    ) | claims["claim_id"].str.match(r"(abstract\.)?followup\.median")
    assert set(claims.loc[efficacy, "claim_id"]) <= set(ids)
    assert not any(claim_id.startswith("os-adjusted") for claim_id in ids)  # quoted


def test_vision_repeats_and_p_values_are_derived(vision):
    by_id = {target.claim_id: target for target in vision.targets}
    for claim_id, target in by_id.items():
        repeat = claim_id.startswith("abstract.")
        assert (target.role == "derived") == (repeat or target.statistic == "p_value")
        if repeat:
            original = by_id[claim_id.removeprefix("abstract.")]
            assert (target.low, target.high, target.level) == (original.low, original.high, original.level)


def test_vision_levels_are_the_printed_ones(vision):
    levels = {(t.paramcd, t.population): t.level for t in vision.targets if t.statistic == "ci_low"}
    assert levels == {("OS", "all_randomized"): 0.95, ("OS", "pfs_set"): 0.95,
                      ("PFS", "pfs_set"): 0.992, ("SSE", "pfs_set"): 0.95}  # fmt: skip


def test_a_targets_interval_is_the_rounding_interval_of_its_characters(vision):
    for target in vision.targets:
        inside = np.nextafter(target.high, 0)
        assert prints_as(float(inside), target.printed), target.claim_id
        assert not prints_as(target.high, target.printed), target.claim_id
        if target.low > 0:
            assert prints_as(target.low, target.printed), target.claim_id
            assert not prints_as(float(np.nextafter(target.low, 0)), target.printed), target.claim_id


def test_vision_types_no_result():
    text = (VISION / "trial.toml").read_text(encoding="utf-8")
    counts = re.findall(r"(?:control|lu) = (?!\")(\S+)", text)
    assert set(counts) == {"0"}  # the reason that Figure 1 does not list in one arm


# --- the page --------------------------------------------------------------------------------


def test_the_example_of_the_page_reads(example):
    trial = read(example)
    assert trial.size == 200
    assert trial.cells == (("control", "whole_trial"), ("test", "whole_trial"))
    assert [e.paramcd for e in trial.endpoints] == ["OS", "PFS"]
    assert trial.factors == () and trial.untreated is None and trial.late_deaths == ("count",)
    assert trial.targets[2] == Target(
        "os.hr", "OS", "everybody", "all", "hazard_ratio", "0.67", low=0.665, high=0.675
    )
    assert trial.identifier == "SYNTHETIC"


def test_the_page_documents_every_statistic_and_key():
    text = PAGE.read_text(encoding="utf-8")
    for word in (*STATISTICS, "centre", "logit_sd", "until_week", "every_weeks", "recoverable", "contact"):
        assert f"`{word}`" in text or f"{word} =" in text, word


# --- references ------------------------------------------------------------------------------


def test_sums_and_differences_of_claims_and_literals(example):
    change(example, "trial.toml", "control = 83,", 'control = "claim:n.control - n.left - 9 + claim:n.none",')
    change(example, "numbers.csv", "os.hr,0.67", "os.hr,0.67\nn.control,100\nn.left,8\nn.none,none")
    assert read(example).end_states[0].counts["control", "whole_trial"] == 83


def test_printed_dates_and_days_before_them(example):
    change(example, "trial.toml", "cutoff = 2022-06-30", 'cutoff = "claim:after - 1"')
    change(example, "numbers.csv", "os.hr,0.67", 'os.hr,0.67\nafter,"July 1, 2022"')
    assert read(example).cutoff == date(2022, 6, 30)


def test_facts_from_elsewhere(example):
    change(example, "trial.toml", "typical_median = 10", 'typical_median = "fact:design.os"')
    change(example, "trial.toml", 'numbers = "', 'facts = "facts.csv"\nnumbers = "')
    (example / "facts.csv").write_text("fact_id,value\ndesign.os,13.7\n", encoding="utf-8")
    assert read(example).endpoints[0].typical_median == 13.7


def test_every_kind_of_target(example):
    rows = [
        "n.events,OS,everybody,control,events,,,target,Deaths",
        "s.half-year,OS,everybody,test,survival,,6,target,Alive at six months",
        "s.year,OS,everybody,test,survival,,claim:year,derived,Alive at twelve months",
        "m.low,PFS,everybody,test,median_low,99.2,,target,Lower limit of the median",
        "cutoff.time,OS,everybody,all,time_to_cutoff,,,target,Time to cutoff",
    ]
    numbers = ["n.events,83", "s.half-year,77%", "s.year,0.51", "m.low,≤4.70", "cutoff.time,24.4", "year,12"]
    for name, lines in (("targets.csv", rows), ("numbers.csv", numbers)):
        with (example / name).open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    events, half_year, year, low, time = read(example).targets[-5:]
    assert (events.low, events.high) == (82.5, 83.5)  # the one whole number in it is the count
    assert (half_year.low, half_year.high, half_year.at) == (0.765, 0.775, 6)
    assert half_year.printed == "0.77"  # as a share, which is what the engine and the verifier compare
    assert (year.low, year.high, year.at, year.role) == (0.505, 0.515, 12, "derived")
    assert (low.low, low.level) == (0, 0.992)
    assert low.high == np.nextafter(4.7, 5)  # 4.70 itself satisfies the sign
    assert time.arm == "all"
    for target in (events, half_year, year, low, time):
        assert prints_as(target.low, target.printed) and not prints_as(target.high, target.printed)


# --- counts per cell -------------------------------------------------------------------------


def counting(populations):
    names = sorted({period for members in populations.values() for period in members})
    periods = tuple(Period(name, DAY, DAY) for name in names)
    return _Counting((Arm("a", "A"), Arm("b", "B")), periods, populations)


@given(st.lists(st.integers(0, 10**6), min_size=6, max_size=6))
def test_nested_populations_give_back_the_cells(cells):
    """Authority: the counts of unions are the sums of their members, by definition."""
    periods = ("early", "late", "middle")
    populations = {"everybody": periods, "since_middle": ("middle", "late"), "last": ("late",)}
    truth = {
        (arm, period): cells[3 * i + j] for i, arm in enumerate("ab") for j, period in enumerate(periods)
    }
    printed = {
        name: {arm: sum(truth[arm, period] for period in members) for arm in "ab"}
        for name, members in populations.items()
    }
    assert counting(populations).per_cell(Keys(printed, "here", References())) == truth


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"all": {"a": 9, "b": 9}}, r"here.a: the counts \(all 9\) do not determine period x, y"),
        ({"all": {"a": 9}, "x": {"a": 4}}, r"here.b: the counts \(none\) do not determine period x, y"),
        ({"all": {"a": 9, "b": 9}, "x": {"a": 10, "b": 1}}, r"\(all 9, x 10\) give x 10, y -1"),
        (
            {"all": {"a": 9, "b": 9}, "x": {"a": 4, "b": 1}, "y": {"a": 4, "b": 8}},
            r"\(all 9, x 4, y 4\) contradict each other",
        ),
        ({"all": {"a": 9.5, "b": 9}}, r"here.all.a: 9.5 is no number of patients"),
        ({"all": {"c": 9}}, r"here.all.c: is no arm: there are a, b"),
        ({"part": {"a": 9}}, r"here.part: is no population and no period"),
        ({"all": 9}, r"here.all: 9 is no table"),
    ],
)
def test_counts_that_do_not_give_the_cells(counts, message):
    with pytest.raises(SpecificationError, match=message):
        counting({"all": ("x", "y")}).per_cell(Keys(counts, "here", References()))


# --- what is refused -------------------------------------------------------------------------

IN_TRIAL = [
    (
        "cutoff = 2022-06-30",
        'cutoff = "claim:cutof.date"',
        "trial.toml: cutoff: there is no claim 'cutof.date'",
    ),
    ("cutoff = 2022-06-30", "cut_off = 2022-06-30", "cut_off: is an unknown key: perhaps cutoff is meant"),
    ("cutoff = 2022-06-30", "", "cutoff: is missing: add it"),
    ("cutoff = 2022-06-30", "cutoff = 20220630", "cutoff: 20220630 is no date: write it as 2019-03-05"),
    ("cutoff = 2022-06-30", 'cutoff = "June 30, 2022"', "'June 30, 2022' is no reference"),
    ("cutoff = 2022-06-30", 'cutoff = "claim:os.hr"', "claim:os.hr: '0.67' is not a date"),
    ("cutoff = 2022-06-30", "cutoff = 2020-06-30", "ends on 2020-12-18, after the cutoff on 2020-06-30"),
    ("cutoff = 2022-06-30", "cutoff = 2022-06-30\nidentifier = 'PATIENT'", "begin it with SYNTHETIC"),
    ("cutoff = 2022-06-30", "cutoff = 2022-06-30\nlate_deaths = ['never']", "'never' is no rule"),
    ('"Test drug plus standard care"', '"Standard care"', "arms: 'Standard care' stands twice"),
    ("cutoff = 2022-06-30", "cutoff = ", "trial.toml: not readable as TOML"),
    ('numbers = "numbers.csv"', 'numbers = "claims.csv"', "claims.csv: the file is missing"),
    ('numbers = "numbers.csv"', "numbers = 1", "numbers: 1 is no file name"),
    ('numbers = "numbers.csv"', 'numbers = "targets.csv"', "there is no column 'printed'"),
    ('numbers = "numbers.csv"', "", "refers to a file that is not named"),
    ("last = 2020-12-18", "last = 2019-12-18", "ends on 2019-12-18, before it begins on 2020-01-13"),
    (
        "last = 2020-12-18",
        "last = 2020-12-18\n[[periods]]\nname = 'second'\nfirst = 2020-12-18\nlast = 2021-01-31",
        "second begins on 2020-12-18, when whole_trial has not ended (2020-12-18)",
    ),
    (
        'everybody = ["whole_trial"]',
        'everybody = ["whole_trail"]',
        "'whole_trail' is no period: perhaps whole",
    ),
    ('name = "test"', 'name = "all"', "'all' stands for both arms together"),
    ('name = "test"', 'name = "control"', "arms: 'control' stands twice"),
    ('name = "test"', 'name = "Test drug"', "arms[2].name: 'Test drug' is no name"),
    (
        "control = 83,",
        "control = 82,",
        "died 82 + withdrew 9 + followed 8) add up to 99, but 100 were randomized",
    ),
    (
        "control = 83,",
        "control = -83,",
        "end_states[1].counts.everybody.control: -83 is no number of patients",
    ),
    ("control = 83,", 'control = "claim:os.p",', "0.01 is no number of patients"),
    ("control = 83,", "control = true,", "True is no number"),
    ("control = 83,", 'control = "83",', "'83' is no reference"),
    ('kind = "alive"', 'kind = "living"', "end_states[3].kind: 'living' is unknown: "),
    ('kind = "alive"', 'kind = "left"', "contact: has a meaning for kind 'alive' only, and this is 'left'"),
    ("contact = 28", "contacts = 28", "end_states[3].contacts: is an unknown key: perhaps contact or"),
    ('event = "Death"', 'event = "Progression"', "the first must be death"),
    ('paramcd = "PFS"', 'paramcd = "OS"', "endpoints: 'OS' stands twice"),
    ('paramcd = "PFS"', 'paramcd = "pfs"', "'pfs' is no ADaM code"),
    ("typical_median = 4", "typical_median = 0", "endpoints[2].typical_median: 0 is not above 0"),
    ("hastens_death = true", 'hastens_death = "yes"', "'yes' is neither true nor false"),
    ('{ "Imaging stopped" = 1 }', '{ "a" = 0.5, "b" = 0.4 }', "the shares [0.5, 0.4] add up to 0.9"),
    (
        "until_week = 24",
        "until_week = 25",
        "schedule[1].until_week: from week 0 on, every 8 weeks, there is no",
    ),
    ("until_week = 24", "", "schedule[1].until_week: is missing: only the last block"),
    (
        "[[endpoints]]",
        "[[factors]]\nname = 'sex'\nlabel = 'Sex'\nlevels = ['f', 'm']\neffect = { mean = 0, sd = 1 }\n"
        "counts.everybody = { control = 101, test = 50 }\n[[endpoints]]",
        "factors[1].counts.control: 101 patients in period whole_trial, of 100 randomized",
    ),
    (
        "[[endpoints]]",
        "[[factors]]\nname = 'sex'\nlabel = 'Sex'\nlevels = ['f', 'm']\neffect = { mean = 0, sd = 1 }\n"
        "[[endpoints]]",
        "give either counts (of the second level) or share",
    ),
    (
        "[[endpoints]]",
        "[[factors]]\nname = 'sex'\nlabel = 'Sex'\nlevels = ['f', 'm']\neffect = { mean = 0, sd = 1 }\n"
        "share = { centre = 35, logit_sd = 1 }\n[[endpoints]]",
        "factors[1].share.centre: 35 is no share",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), IN_TRIAL)
def test_an_error_in_the_trial_is_named(example, old, new, message):
    change(example, "trial.toml", old, new)
    assert message in refused(example)


IN_TARGETS = [
    ("claim_id,paramcd", "claim,paramcd", "targets.csv: line 1: the columns are claim, paramcd"),
    ("os.hr,OS", "os.hazard,OS", "line 4: claim_id: there is no claim 'os.hazard' in numbers.csv"),
    ("os.hr,OS", "os.hr,TTP", "line 4: paramcd 'TTP' is unknown: there are OS, PFS"),
    ("os.hr,OS,everybody", "os.hr,OS,itt", "line 4: population 'itt' is unknown: there is everybody"),
    (
        "os.median.test,OS,everybody,test",
        "os.median.test,OS,everybody,tset",
        "arm 'tset' is unknown: perhaps test",
    ),
    ("os.median.test,OS,everybody,test", "os.median.test,OS,everybody,all", "a median is of one arm"),
    ("os.hr,OS,everybody,all", "os.hr,OS,everybody,test", "a hazard_ratio compares both arms: write all"),
    ("all,hazard_ratio,,,target", "all,hr,,,target", "line 4: statistic 'hr' is unknown"),
    (
        "all,hazard_ratio,,,target",
        "all,hazard_ratio,,,aim",
        "line 4: role 'aim' is unknown: there are derived, t",
    ),
    (
        "all,hazard_ratio,,,target",
        "all,hazard_ratio,95,,target",
        "level '95' has no meaning for hazard_ratio",
    ),
    ("all,hazard_ratio,,,target", "all,hazard_ratio,,12,target", "at '12' has no meaning for hazard_ratio"),
    ("ci_low,claim:os.ci-level", "ci_low,", "line 5: level is missing for ci_low: write it"),
    (
        "ci_low,claim:os.ci-level",
        "ci_low,0.95",
        "level '0.95' is no confidence level in percent: write it as 95",
    ),
    ("ci_low,claim:os.ci-level", "ci_low,os.ci-level", "level: 'os.ci-level' is no reference"),
    ("p_value,,,derived", "p_value,,,target", "line 7: role 'target': a p_value is confirmed"),
    ("test,median,,,target,Median overall survival", "test,median,,,target,", "line 3: definition is empty"),
    (
        "os.median.test,OS,everybody,test",
        "os.median.control,OS,everybody,test",
        "'os.median.control' stands twice",
    ),
    (
        "os.median.test,OS,everybody,test,median,,",
        "os.median.test,OS,everybody,test,survival,,",
        "at is missing",
    ),
    (
        "os.median.test,OS,everybody,test,median,,",
        "os.median.test,OS,everybody,test,survival,,12",
        "printed '12.3' is no survival",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), IN_TARGETS)
def test_an_error_in_the_targets_is_named(example, old, new, message):
    change(example, "targets.csv", old, new)
    assert message in refused(example)


def test_unreadable_characters_are_named(example):
    change(example, "numbers.csv", "os.hr,0.67", "os.hr,~0.67")
    assert "line 4: claim_id: printed '~0.67' is not a number" in refused(example)


def test_a_bound_is_no_value(example):
    change(example, "numbers.csv", "os.ci-level,95", "os.ci-level,≥95")
    assert "claim:os.ci-level is printed as '≥95', which is a bound" in refused(example)


def test_a_number_named_twice_is_refused(example):
    change(example, "numbers.csv", "os.hr,0.67", "os.hr,0.67\nos.hr,0.68")
    assert "numbers.csv: line 5: claim_id 'os.hr' stands twice" in refused(example)


def test_a_decimal_comma_is_explained(example):
    change(example, "numbers.csv", "os.hr,0.67", "os.hr,0,67")
    assert re.search(
        r"numbers.csv: not a readable .* line 4, .* with a point \(0.67\)", refused(example), re.S
    )


def test_limits_on_the_wrong_side_are_refused_before_a_search_for_them(example):
    change(example, "numbers.csv", "os.hr,0.67", "os.hr,3.67")
    message = refused(example)
    assert "targets.csv: os.hr (3.67) lies above os.ci-high" in message
    assert "a hazard_ratio cannot be above its ci_high" in message


def test_a_median_beyond_the_cutoff_is_refused(example):
    numbers = (example / "numbers.csv").read_text(encoding="utf-8")
    median = re.search(r"^(os\.median\.\w+),(.*)$", numbers, flags=re.M)
    change(example, "numbers.csv", median[0], f"{median[1]},91.0")
    assert f"{median[1]} is printed as 91.0 months, but nobody is followed for more than" in refused(example)


def test_missing_files_are_named(example, tmp_path):
    (example / "targets.csv").unlink()
    assert "targets.csv: the file is missing" in refused(example)
    assert "trial.toml: the file is missing" in refused(tmp_path / "nowhere")


# --- a specification by somebody who has not read the engine ------------------------------------


def test_the_program_of_the_page_rebuilds_the_invented_trial(capsys, monkeypatch):
    """MINIATURE was written from the page alone; it runs without a change to the engine."""
    program = re.search(r"^:name: run-py\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)[1]
    monkeypatch.chdir(paths.ROOT)
    exec(compile(program, "run.py", "exec"), {"__name__": "__main__"})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert sum("accepted and verified" in line for line in lines) >= 9, lines


def test_rows_that_do_not_exist_are_refused_in_words():
    with pytest.raises(CohortRejected, match="there are no rows; was the chain accepted"):
        verify(read(paths.RECONSTRUCTION / "miniature"), None, None)
