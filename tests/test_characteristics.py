"""Baseline characteristics of reconstructed patients: they agree with Table 1 exactly, in every draw."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontrial import paths, published
from visiontrial.cohort import characteristics_file, reader
from visiontrial.cohort.characteristics import CharacteristicsError, characterize, tabulate
from visiontrial.cohort.characteristics_file import FILE, Characteristics
from visiontrial.cohort.order_statistics import Group, NoSuchValues, Summary, draw, middle
from visiontrial.cohort.references import SpecificationError
from visiontrial.cohort.specification import Arm, EndState, Factor, Normal, Period, Trial
from visiontrial.printed import prints_as

VISION = paths.ROOT / "data" / "reconstruction" / "vision"
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def trial() -> Trial:
    return reader.read(VISION)


@pytest.fixture(scope="module")
def described(trial) -> Characteristics:
    return characteristics_file.read(VISION, trial)


def invented_adsl(trial: Trial, seed: int, high_share: float = 0.35) -> pd.DataFrame:
    """Patients with the right numbers per cell and otherwise random, in random order.

    A factor without printed counts has its second level in this share of each cell.
    """
    generator = np.random.default_rng(seed)
    cells = [invented_cell(trial, cell, generator, high_share) for cell in trial.cells]
    adsl = pd.concat(cells, ignore_index=True).sample(frac=1, random_state=seed, ignore_index=True)
    for population, periods in list(trial.populations.items())[1:]:
        flag = population.replace("_", "").upper() + "FL"
        adsl[flag] = np.where(adsl["PERIOD"].isin(periods), "Y", "N")
    return adsl.assign(ITTFL="Y", USUBJID=[f"SYNTHETIC-{i:04d}" for i in range(1, len(adsl) + 1)])


def invented_cell(trial: Trial, cell, generator: np.random.Generator, high_share: float) -> pd.DataFrame:
    arm, period = cell
    n = trial.randomized[cell]
    number = [a.name for a in trial.arms].index(arm)
    rows = pd.DataFrame({"TRT01PN": [number] * n, "TRT01P": trial.arms[number].label, "PERIOD": period})
    for factor in trial.factors:
        second = round(high_share * n) if factor.counts is None else factor.counts[cell]
        levels = np.repeat([factor.levels[1], factor.levels[0]], [second, n - second])
        rows[f"STR{factor.name.upper()}"] = generator.permutation(levels)
    states = np.repeat([s.label for s in trial.end_states], [s.counts[cell] for s in trial.end_states])
    rows["EOSSTT"] = generator.permutation(states)
    treated = n - trial.untreated[cell]
    rows["UNTRTFL"] = generator.permutation(np.repeat(["N", "Y"], [treated, n - treated]))
    first = next(p.first for p in trial.periods if p.name == period)
    rows["RANDDT"] = pd.Timestamp(first) + pd.to_timedelta(generator.integers(0, 200, n), unit="D")
    rows["LSTALVDT"] = rows["RANDDT"] + pd.to_timedelta(generator.integers(0, 400, n), unit="D")
    died = rows["EOSSTT"].isin([s.label for s in trial.end_states if s.kind == "died"])
    return rows.assign(DTHDT=rows["LSTALVDT"].where(died))


def drawn(trial, described, seed, **keywords) -> pd.DataFrame:
    return characterize(invented_adsl(trial, seed, **keywords), trial, described, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def patients(trial, described) -> pd.DataFrame:
    return drawn(trial, described, 1)


# --- agreement with the paper ----------------------------------------------------------------------


@settings(max_examples=8)
@given(seeds, st.floats(0.15, 0.42))
def test_every_draw_agrees_with_everything_printed(trial, described, seed, high_share):
    table = tabulate(drawn(trial, described, seed, high_share=high_share), trial, described)
    assert table[~table["agrees"]].empty, table[~table["agrees"]].to_string()


def test_every_claim_of_table_1_is_covered_but_scales_and_labels(described):
    claims = published.claims()
    of_table_1 = claims[claims["location"] == "table1"]
    left = of_table_1[~of_table_1["claim_id"].isin([c.claim_id for c in described.claims])]
    # What is left defines a scale, a threshold, a date or a label: no count of patients, nothing measured.
    assert set(left["statistic"]) == {"other", "date"}


def test_each_claim_is_named_once(described):
    ids = [claim.claim_id for claim in described.claims]
    assert len(ids) == len(set(ids))


def test_the_paper_agrees_with_a_count_by_hand(patients):
    # Sartor et al., Table 1: lung metastases 49 (8.9%) of 551; median age 71.0 (52-94) of the 385;
    # Figure 1: of the 280 in the control arm 79 never treated, 46 of them withdrew consent.
    lu, control = (patients[patients["TRT01PN"] == number] for number in (1, 0))
    assert (lu["LUNGFL"] == "Y").sum() == 49
    later = lu[lu["PFSSETFL"] == "Y"]["AGE"]
    assert (later.median(), later.min(), later.max()) == (71, 52, 94)
    assert (control["DCTRTRS"] != "").sum() == 79
    assert (control["DCTRTRS"] == "Withdrew consent to treatment").sum() == 46


def test_a_wrong_value_is_noticed(trial, described, patients):
    spoilt = patients.copy()
    row = spoilt.index[spoilt["LUNGFL"] == "Y"][0]
    spoilt.loc[row, "LUNGFL"] = "N"
    spoilt.loc[spoilt["PSABL"].idxmax(), "PSABL"] = 12_000.0
    table = tabulate(spoilt, trial, described)
    wrong = set(table.loc[~table["agrees"], "claim_id"])
    arm = {0: "control", 1: "lu"}[spoilt.loc[row, "TRT01PN"]]
    assert {f"table1.lung.all.{arm}.count", f"table1.lung.all.{arm}.percent"} <= wrong
    assert "table1.psa.all.control.high" in wrong


def test_a_column_without_values_agrees_with_nothing(trial, described, patients):
    table = tabulate(patients.assign(AGE=np.nan), trial, described).set_index("claim_id")
    assert not table.at["table1.age.all.lu.median", "agrees"]
    assert table.at["table1.age.all.lu.median", "ours"] == ""


# --- agreement with what the patients have already ---------------------------------------------------


def test_characteristics_agree_with_the_strata(patients):
    high = patients["STRLDH"] == ">260 IU/l"
    assert (patients.loc[high, "LDHBL"].dropna() > 260).all()
    assert (patients.loc[~high, "LDHBL"].dropna() <= 260).all()
    assert ((patients["STRLIVER"] == "Yes") == (patients["LIVERFL"] == "Y")).all()
    assert (patients["STRECOG"] == patients["ECOGGR1"]).all()


def test_few_values_are_missing_and_only_where_the_paper_says_so(patients):
    # Table 1's footnote: missing for very few, alkaline phosphatase and LDH. 230.5 is no median of the
    # 385 patients' whole values, so one LDH is missing there.
    missing = patients.isna().sum()
    assert missing["ALPBL"] == missing["LDHBL"] == 1
    assert missing[["AGE", "PSABL", "TSDIAG"]].sum() == 0
    without = patients[patients["LDHBL"].isna()].iloc[0]
    assert (without["TRT01PN"], without["PFSSETFL"]) == (1, "Y")


def test_plain_logic_holds(patients):
    one_regimen = patients["TAXGR1"] == "One"
    assert not (one_regimen & (patients["CABAFL"] == "Y") & (patients["DOCEFL"] == "Y")).any()
    sites = patients[["LUNGFL", "LIVERFL", "LNFL", "BONEFL"]] == "Y"
    assert sites.any(axis=1).all()
    assert (patients["AGE"] - patients["TSDIAG"] >= 30).all()


def test_reasons_fit_the_patients(trial, patients):
    assert ((patients["DCTRTRS"] != "") == (patients["UNTRTFL"] == "Y")).all()
    for cell in patients.groupby(["TRT01PN", "PERIOD"]):
        never = cell[1][cell[1]["UNTRTFL"] == "Y"]
        days = (never["DTHDT"] - never["RANDDT"]).dt.days.where(never["EOSSTT"] == "Died")
        of_death = never["DCTRTRS"] == "Died"
        assert days[of_death].notna().all()
        assert not (days[of_death].max() > days[~of_death].min())
    lost = patients[patients["DCTRTRS"] == "Lost to follow-up"]
    left = {state.label for state in trial.end_states if state.kind == "left"}
    assert lost["EOSSTT"].isin(left).all()


def test_measures_have_the_precision_of_measurement(patients):
    assert patients["AGE"].dtype == "int64"
    assert str(patients["LDHBL"].dtype) == str(patients["ALPBL"].dtype) == "Int64"
    for column in ("PSABL", "TSDIAG"):
        assert (patients[column] == patients[column].round(1)).all()


# --- the rows as rows ----------------------------------------------------------------------------


def test_same_generator_same_rows_and_the_input_stays(trial, described):
    adsl = invented_adsl(trial, 3)
    before = adsl.copy(deep=True)
    first, second, other = (characterize(adsl, trial, described, np.random.default_rng(s)) for s in (8, 8, 9))
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(adsl, before)
    assert not first["AGE"].equals(other["AGE"])
    assert list(first.columns) == [*adsl.columns, *described.labels]


def test_any_index_is_kept(trial, described):
    adsl = invented_adsl(trial, 3)
    plain = characterize(adsl, trial, described, np.random.default_rng(8))
    indexed = characterize(adsl.set_axis(adsl["USUBJID"]), trial, described, np.random.default_rng(8))
    assert list(indexed.index) == list(adsl["USUBJID"])
    pd.testing.assert_frame_equal(indexed.reset_index(drop=True), plain)


# --- what cannot be --------------------------------------------------------------------------------


def fails(trial, described, adsl, *words):
    with pytest.raises(CharacteristicsError) as error:
        characterize(adsl, trial, described, np.random.default_rng(1))
    for word in words:
        assert word in str(error.value)


def test_too_many_high_ldh_labels_contradict_the_median(trial, described):
    # More than half of the patients above 260 cannot have a median of 224.
    fails(trial, described, invented_adsl(trial, 1, high_share=0.6), "LDHBL", "median 224.0")


def test_a_part_of_the_cohort_is_refused(trial, described):
    fails(trial, described, invented_adsl(trial, 1).iloc[:800], "give the ADSL of a whole cohort")


def test_a_factor_that_contradicts_the_table_is_refused(trial, described):
    adsl = invented_adsl(trial, 1)
    row = adsl.index[adsl["STRLIVER"] == "Yes"][0]
    adsl.loc[row, "STRLIVER"] = "No"
    fails(trial, described, adsl, "LIVERFL", "liver")
    fails(trial, described, adsl.drop(columns="STRECOG"), "STRECOG")


def test_never_treated_patients_must_match_the_printed_reasons(trial, described):
    adsl = invented_adsl(trial, 1)
    fails(trial, described, adsl.assign(UNTRTFL="N"), "0 never-treated patients")
    nobody_died = adsl.assign(EOSSTT=trial.end_states[-1].label, DTHDT=pd.NaT)
    fails(trial, described, nobody_died, "'Died'", "only 0 of them died")


def test_a_condition_on_a_later_column_is_refused(trial, described):
    turned = replace(described, categories=described.categories[::-1])
    fails(trial, turned, invented_adsl(trial, 1), "describe it before")


# --- the file --------------------------------------------------------------------------------------


def test_a_trial_without_the_file_has_no_characteristics(trial, tmp_path):
    assert characteristics_file.read(tmp_path, trial) is None


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = (VISION / FILE).read_text(encoding="utf-8")
    assert old in text
    text = text.replace('"../../published/claims.csv"', '"claims.csv"').replace(old, new, 1)
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    shutil.copy(paths.PUBLISHED / "claims.csv", tmp_path / "claims.csv")
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "table1.lung.{population}",
            "table1.lungs.{population}",
            ["table1.lungs.all.control.count", "perhaps"],
        ),
        ('pfs_set = "pfs"', 'pfs = "pfs"', ["pfs", "is no population"]),
        ('pfs_set = "pfs"', "", ["do not determine every period"]),
        ('scale = "normal"', 'scale = "gamma"', ["scale", "gamma"]),
        ('column = "LUNGFL"', 'column = "Lung flag"', ["is no ADaM name"]),
        ('column = "LUNGFL"', 'column = "AGE"', ["AGE", "described twice"]),
        ('factor = "ldh"', 'factor = "psa"', ["factor", "psa"]),
        ("missing = true", 'missing = "some"', ["missing", "some"]),
        ('prefer = ["lost_to_follow_up"', 'prefer = ["gone"', ["gone", "is no end state"]),
        ('arms = ["control"]', 'arms = ["placebo"]', ["placebo", "is no arm"]),
        ('column = "AGE"', 'column = "AGE"\nunits = "y"', ["units", "unknown key"]),
        ("table1.arpi-1.{population}.{arm}.count", "table1.arpi-2.{population}.{arm}.count", ["add up to"]),
        ("more-than-two-taxanes.count", "more-than-two-taxanes.n", ["leave 8, not 831"]),
        ("no-standard-care.died.{population}", "no-standard-care.other.{population}", ["reasons add up to"]),
        ("table1.lung.{population}.{arm}.count", "table1.age.{population}.{arm}.median", ["control"]),
    ],
)
def test_a_mistake_in_the_file_is_named(trial, tmp_path, old, new, words):
    with pytest.raises(SpecificationError) as error:
        characteristics_file.read(edited(tmp_path, old, new), trial)
    assert FILE in str(error.value)
    for word in words:
        assert word in str(error.value)


# --- another trial ---------------------------------------------------------------------------------

SMALL = """
numbers = "numbers.csv"
[populations]
everybody = "itt"
[sizes]
by_arm = ["n.{arm}.{population}"]
[[category]]
column = "SEX"
label = "Sex"
levels = [{ value = "F", count = "women.{arm}" }, { value = "M" }]
[[measure]]
column = "HGBBL"
label = "Haemoglobin"
unit = "g/dl"
decimals = 1
scale = "normal"
factor = "anaemia"
threshold = 10
median = "hb.{arm}.median"
low = "hb.{arm}.low"
high = "hb.{arm}.high"
"""
NUMBERS = """claim_id,printed
n.a.itt,31
n.b.itt,30
women.a,15
women.b,0
hb.a.median,11.2
hb.a.low,8
hb.a.high,15.1
hb.b.median,11.25
hb.b.low,7.9
hb.b.high,15
"""


def test_a_trial_with_one_period_and_other_names(tmp_path):
    (tmp_path / FILE).write_text(SMALL, encoding="utf-8")
    (tmp_path / "numbers.csv").write_text(NUMBERS, encoding="utf-8")
    size = {("b", "whole"): 30, ("a", "whole"): 31}
    small = Trial(
        name="SMALL",
        arms=(Arm("b", "B"), Arm("a", "A")),
        periods=(Period("whole", date(2020, 1, 1), date(2020, 12, 31)),),
        populations={"everybody": ("whole",)},
        cutoff=date(2021, 12, 31),
        randomized=size,
        end_states=(EndState("alive", "Alive", "alive", size),),
        endpoints=(),
        targets=(),
        factors=(Factor("anaemia", "Anaemia", ("yes", "no"), Normal(0, 1), share=Normal(0, 1)),),
        untreated=dict.fromkeys(size, 0),
    )
    described = characteristics_file.read(tmp_path, small)
    rows = drawn(small, described, 5, high_share=0.7)
    assert tabulate(rows, small, described)["agrees"].all()
    assert ((rows["HGBBL"] <= 10) == (rows["STRANAEMIA"] == "yes")).all()


# --- values with given medians and ranges --------------------------------------------------------------


@pytest.mark.parametrize(
    ("median", "n", "decimals", "expected"),
    [
        ("71.0", 385, 0, (71, 71)),  # an odd number of whole values: one of them
        ("71.5", 280, 0, (71, 72)),
        ("230.5", 385, 0, None),  # no whole value lies half-way
        ("230.5", 384, 0, (230, 231)),
        ("7.3", 385, 1, (73, 73)),
        ("7.35", 280, 1, (73, 74)),
        ("7", 10, 1, (70, 70)),
        ("7", 0, 1, None),
    ],
)
def test_the_middle_values_behind_a_printed_median(median, n, decimals, expected):
    assert middle(median, n, decimals) == expected


@settings(max_examples=40)
@given(
    st.integers(0, 1),
    st.sampled_from(["normal", "lognormal"]),
    st.lists(st.integers(1, 60), min_size=2, max_size=4),
    seeds,
)
def test_whatever_values_could_print_can_be_drawn(decimals, scale, sizes, seed):
    """Print medians and ranges of invented values, then draw others from the printed numbers alone."""
    generator = np.random.default_rng(seed)
    values = [generator.integers(1, 500, n) / 10**decimals for n in sizes]
    sets = (tuple(range(len(sizes))), (len(sizes) - 1,))
    printed = [summary_of([values[i] for i in members], members, decimals) for members in sets]
    found = draw([Group(n) for n in sizes], printed, decimals, scale, generator)
    assert [len(each) for each in found] == sizes
    for summary in printed:
        together = np.concatenate([found[i] for i in summary.members])
        assert prints_as(float(np.round(np.median(together), 3)), summary.median)
        assert prints_as(together.min(), summary.low)
        assert prints_as(together.max(), summary.high)


def test_a_threshold_with_half_on_each_side_forces_the_middle_values_apart():
    # 258 is no value of the pair: with five of ten above 260 it must straddle the threshold.
    groups = [Group(5, at_most=260), Group(5, more_than=260)]
    low, high = draw(groups, [Summary((0, 1), "258.0", "100", "500")], 0, "normal", np.random.default_rng(1))
    assert low.max() <= 260 < high.min()
    assert low.max() + high.min() == 2 * 258


def summary_of(values: list[np.ndarray], members: tuple[int, ...], decimals: int) -> Summary:
    together = np.concatenate(values)
    numbers = np.median(together), together.min(), together.max()
    return Summary(members, *(f"{number:.{decimals + (i == 0)}f}" for i, number in enumerate(numbers)))


@pytest.mark.parametrize(
    ("groups", "summary", "words"),
    [
        ([Group(11)], ("230.5", "100", "500"), "not possible with values of 0 decimals"),
        ([Group(11)], ("50.0", "100", "500"), "outside the range"),
        ([Group(11)], (">50", "10", "500"), "open on one side"),
        ([Group(5), Group(6, more_than=600)], ("200.0", "100", "500"), "at once.*6 more than 600"),
        ([Group(3, at_most=260), Group(8, more_than=260)], ("200.0", "100", "500"), "at once"),
    ],
)
def test_what_no_values_can_print_is_refused(groups, summary, words):
    with pytest.raises(NoSuchValues, match=words):
        draw(groups, [Summary(tuple(range(len(groups))), *summary)], 0, "lognormal", np.random.default_rng(1))


def test_values_follow_the_law_of_the_printed_numbers():
    """Half normals meeting in the median put a quarter within 0.674 of their deviations on each side."""
    n, z = 20_000, 0.6744897501960817
    widest = 4.0556269811  # the standard normal quantile at 1 - 1/(2n)
    (values,) = draw(
        [Group(n)], [Summary((0,), "1000.0", "500", "2000")], 0, "normal", np.random.default_rng(1)
    )
    for share, reach in ((0.25, -500), (0.75, 1000)):
        assert np.quantile(values, share) == pytest.approx(1000 + reach * z / widest, abs=5)


def test_an_even_split_of_the_whole_moves_the_other_part():
    # The part's median is above the whole's, so the rest must have its median below the whole's.
    earlier, later = draw(
        [Group(166), Group(385)],
        [Summary((0, 1), "77.5", "0", "6988"), Summary((1,), "93.2", "0", "6988")],
        1,
        "lognormal",
        np.random.default_rng(4),
    )
    assert np.median(earlier) < 77.5 < np.median(later) == 93.2
