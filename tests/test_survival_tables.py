"""The tables about time: months, rules, ranges by a second route, and whose patients they show."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest

from visiontrial import composite, efficacy, reconstruction, survival
from visiontrial.cohort import store
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.figures import survival_tables as made
from visiontrial.figures.survival import NOTICE
from visiontrial.tables import Printable


@pytest.fixture(scope="module")
def vision() -> efficacy.Reconstruction:
    return efficacy.load()


@pytest.fixture(scope="module")
def analysis(vision) -> efficacy.Analysis:
    return vision.analysis("OS", "all_randomized")


@pytest.fixture(scope="module")
def kinds(vision) -> pd.DataFrame:
    first = composite.first_events(vision.trial, "registry", "PFS", "pfs_set")
    return first.groupby("member").sum()


def line(table: Printable, start: str) -> str:
    found = [line for line in table.text.splitlines() if line.startswith(start)]
    assert len(found) == 1, table.text
    return found[0]


def test_every_table_says_whose_patients_it_shows(vision, analysis, kinds):
    by_rule = reconstruction.by_rule(kinds, store.read("registry").chains)
    quantities = {"free": vision.derived.quantities}
    limits = efficacy.limits_by_transform(vision, "OS", "all_randomized")
    tables = [
        made.results({"test": analysis.log_rank}, "a", "Test"),
        made.ratios({"Cox": analysis.hazard_ratio}, "b", "Ratio"),
        made.medians(vision, analysis.medians, "c", "Medians"),
        made.counts(analysis, [0, 12], "d"),
        made.endings(vision.rows("OS", "all_randomized"), "e"),
        made.agreement(vision, efficacy.agreement(["os.hr"]), "f"),
        made.restricted_means(efficacy.mean_gain(vision, "OS", "all_randomized"), vision, "g"),
        made.proportionality(quantities, "OS", "all_randomized", "h"),
        made.two_cutoffs(vision, {"now": analysis}, "i"),
        made.by_late_deaths(by_rule, vision, "j"),
        made.limits_by_transform(limits, vision, 0.95, "k"),
    ]
    public = {name for name, thing in vars(made).items() if getattr(thing, "__module__", "") == made.__name__}
    makers = {
        name for name in public if getattr(made, name).__annotations__.get("return") == "tables.Printable"
    }
    assert len(makers - {"table"}) == len(tables), "a new table belongs into this test"
    for table in tables:
        assert NOTICE in table.caption
        assert NOTICE in re.search(r"<caption.*?</caption>", table.html, re.DOTALL)[0]


def test_powers_of_ten_as_they_are_written_by_hand():
    assert made.readable("P = 5.2e-11 (3e+07)") == "P = 5.2\xa0×\xa010⁻¹¹ (3\xa0×\xa010⁷)"
    assert made.readable("the event of 1e9 and 0.05") == "the event of 1\xa0×\xa010⁹ and 0.05"
    assert made.readable("some words, none changed") == "some words, none changed"


def test_medians_are_in_months_with_their_rule(vision, analysis):
    table = made.medians(vision, analysis.medians, "medians", "Medians")
    lu = analysis.medians["lu"]
    expected = [f"{days / DAYS_PER_MONTH:.1f}" for days in (lu.median, lu.low, lu.high)]
    assert line(table, "177Lu").split()[-4:] == [expected[0], expected[1], "to", expected[2]]
    assert "95% limits by the log-log transform" in table.text


def test_a_limit_that_is_not_reached_is_called_so(vision):
    never = survival.Median(30.4375, 15.0, math.inf, 0.95, "a rule")
    table = made.medians(vision, {"lu": never}, "medians", "Medians")
    assert line(table, "177Lu").endswith("0.5 to not reached")


def test_numbers_stand_on_the_right_and_words_on_the_left():
    frame = pd.DataFrame({"n": [1, 12], "p": ["<0.001", "0.2"], "rule": ["2 strata", "unstratified"]})
    html = made.table(frame, "some", "Some").html
    sides = re.findall(r"<td class=\"gt_row gt_(\w+)\"", html)
    assert sides[:3] == ["right", "right", "left"]


def test_counts_are_those_of_the_rows(vision, analysis):
    table = made.counts(analysis, [0, 12], "counts")
    rows = vision.rows("OS", "all_randomized").merge(vision.shown.adsl[["USUBJID", "TRT01PN"]], on="USUBJID")
    mine = rows[rows["TRT01PN"] == 1]
    year = 12 * DAYS_PER_MONTH
    at_risk = (mine["AVAL"] >= year).sum()
    died = ((mine["AVAL"] <= year) & (mine["CNSR"] == 0)).sum()
    censored = ((mine["AVAL"] <= year) & (mine["CNSR"] == 1)).sum()
    assert line(table, "12").split()[1:4] == [str(n) for n in (at_risk, died, censored)]
    assert line(table, "0").split()[1] == "551"


def test_one_row_of_each_kind_of_ending(vision):
    rows = vision.rows("PFS", "pfs_set")
    text = made.endings(rows, "rows").text
    assert all(text.count(kind) == 1 for kind in rows["EVNTDESC"].unique())
    assert line(made.endings(rows, "rows"), "SYNTHETIC-0001").split()[1:] == ["534", "the", "event", "Death"]


def test_ratios_stand_beside_their_rules(analysis):
    plain = survival.cox(analysis.data.unstratified())
    table = made.ratios({"With": analysis.hazard_ratio, "Without": plain}, "ratios", "Strata")
    assert f"{plain.ratio:.4f}" in line(table, "Without")
    assert "unstratified, Efron ties, Wald limits" in line(table, "Without")
    assert table.caption.startswith("Strata, with limits at 95%.")


def test_restricted_means_show_both_uncertainties(vision):
    """The range from the stored curves (trapezoids of half a month), the interval from the variances."""
    found = efficacy.mean_gain(vision, "OS", "all_randomized", 0.9)
    curves = vision.values("OS", "all_randomized")
    areas = [np.trapezoid(curves[arm].loc[:12], dx=0.5, axis=0) for arm in ("control", "lu")]
    low, high = np.quantile(areas[1] - areas[0], [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)
    sampled = survival.restricted_means(
        vision.analysis("OS", "all_randomized").data, found.months * DAYS_PER_MONTH
    )
    assert found.half == pytest.approx(1.6448536269514722 * sampled.se / DAYS_PER_MONTH)
    text = made.restricted_means(found, vision, "means").text
    assert f"half of a 90% confidence interval  {found.half:>9.1f}".split() == [
        *line(made.restricted_means(found, vision, "means"), "Sampling").split()[1:]
    ]
    assert "at 12 months" in text


def test_a_restricted_mean_says_how_many_cohorts_define_it(vision):
    """For progression-free survival the control curve of some cohorts ends before the horizon."""
    found = efficacy.mean_gain(vision, "PFS", "pfs_set")
    defined = int(vision.derived.quantities["PFS.pfs_set.rmst_difference"].notna().sum())
    assert found.members == defined < vision.cohorts
    assert f"{defined} of {vision.cohorts} cohorts" in made.restricted_means(found, vision, "m").caption
    whole = efficacy.mean_gain(vision, "OS", "all_randomized")
    assert f": all {vision.cohorts} cohorts" in made.restricted_means(whole, vision, "m").caption


def test_proportionality_counts_cohorts():
    quantities = pd.DataFrame({"OS.all.ph_p": [0.01, 0.2, 0.04], "OS.all.ph_slope": [1.0, -1.0, 0.5]})
    table = made.proportionality({"some": quantities}, "OS", "all", "ph")
    assert line(table, "some").split() == ["some", "3", "2", "2"]


def test_deaths_first_by_rule(vision, kinds):
    parted = reconstruction.by_rule(kinds, store.read("registry").chains)
    assert made.EVERY_DEATH in parted
    table = made.by_late_deaths(parted, vision, "rule")
    share = 100 * parted["count"]["deaths"] / parted["count"].sum(axis=1)
    assert line(table, "Every death counts").split()[-4:] == [
        str(len(parted["count"])),
        *made.span(share).split(),
    ]
    assert "Only within 168 days of the last scan" in table.text


def test_limits_by_transform_are_those_of_the_curves(vision):
    found = efficacy.limits_by_transform(vision, "OS", "all_randomized", 0.9)
    assert found.index.tolist() == ["log-log", "log", "plain"]
    data = vision.analysis("OS", "all_randomized").of_arm("control")
    plain = survival.kaplan_meier(data, level=0.9, interval="plain").median()
    assert found.loc["plain", ("control", "low")] == plain.low / DAYS_PER_MONTH
    table = made.limits_by_transform(found, vision, 0.9, "limits")
    assert f"{plain.low / DAYS_PER_MONTH:.1f} to" in line(table, "plain")


def test_the_last_month_counted_by_dates(vision, analysis):
    earlier = vision.months_earlier(analysis, 1)
    found = efficacy.events_of_last_month(vision, "OS")
    assert len(found) == vision.cohorts
    assert found[vision.shown.member] == analysis.data.event.sum() - earlier.data.event.sum()
    text = made.two_cutoffs(vision, {"earlier": earlier, "now": analysis}, "cutoffs")
    assert line(text, "Deaths").split()[1:] == [str(a.data.event.sum()) for a in (earlier, analysis)]


def test_a_span_is_a_reconstruction_range():
    assert made.span(pd.Series(range(101))) == "3 to 98"  # 2.5 and 97.5, rounded half up
    assert made.span(pd.Series([1.0, 1.0]), 1) == "1.0 to 1.0"
