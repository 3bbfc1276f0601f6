"""The charts about time: their data and encodings, their words, that they say whose patients these are."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from visiontrial import efficacy, render, survival
from visiontrial.cohort.specification import DAYS_PER_MONTH
from visiontrial.efficacy import Rules
from visiontrial.figures import effects
from visiontrial.figures import survival as figures


@pytest.fixture(scope="module")
def vision() -> efficacy.Reconstruction:
    return efficacy.load()


@pytest.fixture(scope="module")
def progression(vision) -> render.Figure:
    return figures.kaplan_meier("pfs", vision, "PFS", ("pfs_set", "all_randomized"), Rules(0.992))


@pytest.fixture(scope="module")
def analysis(vision) -> efficacy.Analysis:
    return vision.analysis("PFS", "pfs_set", Rules(0.992))


def layers(figure: render.Figure, panel: int) -> list[dict]:
    return figure.specification["vconcat"][panel]["layer"]


def data_of(figure: render.Figure, view: dict) -> list[dict]:
    return figure.specification["datasets"][view["data"]["name"]]


def header(figure: render.Figure) -> list[dict]:
    """The lines of text above the plot."""
    return data_of(figure, figure.specification["vconcat"][0])


def layer_with(figure: render.Figure, mark: str, **style) -> dict:
    """The one layer of the plot with this mark and style."""
    found = [
        layer
        for layer in layers(figure, 1)
        if layer["mark"]["type"] == mark and all(layer["mark"].get(k) == v for k, v in style.items())
    ]
    assert len(found) == 1, [layer["mark"] for layer in found]
    return found[0]


# --- the Kaplan-Meier figure ----------------------------------------------------------------------


def test_the_lines_are_the_curves_of_the_displayed_cohort(progression, analysis):
    rows = data_of(progression, layer_with(progression, "line", strokeWidth=2.2))
    for number, arm in enumerate(analysis.arms):
        (row,) = (r for r in rows if r["a"] == str(number) and r["v"].startswith("the 581"))
        curve = analysis.curves[arm]
        assert (row["m"][0], row["s"][0]) == (0, 100)
        assert row["m"][-1] == pytest.approx(curve.days[-1] / DAYS_PER_MONTH, abs=0.01)
        drawn = [round(100 * float(curve.at(m * DAYS_PER_MONTH + 0.5)), 1) for m in row["m"]]
        assert row["s"] == drawn


def test_the_bands_are_the_reconstruction_ranges(progression, vision):
    rows = data_of(progression, layer_with(progression, "area"))
    (row,) = (r for r in rows if r["a"] == "1" and r["v"].startswith("the 581"))
    found = vision.range_of("PFS.pfs_set.survival_6.lu")
    place = row["m"].index(6)
    assert (row["l"][place], row["h"][place]) == pytest.approx((100 * found.low, 100 * found.high), abs=0.06)


def test_the_numbers_below_are_counted_directly(progression, analysis):
    panel = progression.specification["vconcat"][2]
    rows = [r for r in data_of(progression, panel) if r["v"].startswith("the 581")]
    control = analysis.of_arm("control")
    days = [r["m"] * DAYS_PER_MONTH for r in rows if r["r"] == "at_risk.0"]
    assert [int(r["t"]) for r in rows if r["r"] == "at_risk.0"] == survival.at_risk(control, days).tolist()
    assert [int(r["t"]) for r in rows if r["r"] == "events.0"] == survival.events_by(control, days).tolist()
    censored = survival.events_by(control.reversed(), days).tolist()
    assert [int(r["t"]) for r in rows if r["r"] == "censored.0"] == censored
    plot, counts = layer_with(progression, "line", strokeWidth=2.2), panel
    assert plot["encoding"]["x"]["axis"]["values"] == counts["encoding"]["x"]["axis"]["values"]
    assert plot["encoding"]["x"]["scale"] == counts["encoding"]["x"]["scale"]


def test_every_censoring_is_marked_on_its_curve(progression, analysis):
    rows = data_of(progression, layer_with(progression, "tick"))
    (row,) = (r for r in rows if r["a"] == "0" and r["v"].startswith("the 581"))
    control = analysis.of_arm("control")
    assert len(row["m"]) == len(set(control.days[~control.event].tolist()))


def test_a_month_is_read_in_words(progression, analysis, vision):
    layer = layer_with(progression, "bar")
    assert [t["field"] for t in layer["encoding"]["tooltip"]] == ["at", "w1", "w0", "d"]
    (row,) = (r for r in data_of(progression, layer) if r["m"] == 6 and r["v"].startswith("the 581"))
    found = vision.range_of("PFS.pfs_set.survival_6.lu")
    estimate = analysis.curves["lu"].at(6 * DAYS_PER_MONTH)
    assert row["at"] == "6 months"
    assert row["w1"].startswith(f"{figures.percent(estimate)} (range {100 * found.low:.0f} to ")
    assert row["w1"].endswith(" at risk")


def test_the_reader_can_restrict_time_show_cohorts_and_change_the_patients(progression):
    parameters = {p["name"]: p for p in progression.specification["params"]}
    assert parameters["until"]["bind"]["input"] == "range"
    assert parameters["others"]["value"] is False, "the static picture shows the band alone"
    assert parameters["patients"]["bind"]["options"] == [
        "the 581 randomized from March 5, 2019 on", "all 831 randomized",
    ]  # fmt: skip
    assert parameters["patients"]["value"] == parameters["patients"]["bind"]["options"][0]
    members = layer_with(progression, "line", strokeWidth=0.9)
    assert {"filter": "others"} in members["transform"]
    assert len({r["k"] for r in data_of(progression, members)}) == figures.SHOWN_MEMBERS


def test_picture_and_words_say_that_the_patients_are_reconstructed(progression, vision):
    words = " ".join(r["t"] for r in header(progression))
    assert figures.NOTICE in words
    assert f"95% of {vision.cohorts} cohorts" in words
    assert "no sampling error" in words
    assert progression.description.startswith(figures.NOTICE)
    assert figures.NOTICE.split("'")[0] in progression.svg()


def test_results_stand_with_their_rules(progression):
    words = [r["t"] for r in header(progression)]
    assert "Hazard ratio 0.40 (99.2% CI 0.29 to 0.57); log-rank P <0.001" in words
    assert any("Efron ties, Wald limits; log-rank test" in text for text in words)
    assert "Median: 8.7 months, against 3.4 months." in progression.description


def test_what_the_paper_does_not_print_is_not_taken_from_one_cohort(vision):
    """Neither the hazard ratio of all 831 nor a median of survival in the 581 is printed."""
    ratio = figures.view(vision, "PFS", "all_randomized")
    assert "No hazard ratio is printed" in ratio.unprinted["hazard_ratio"]
    median = figures.view(vision, "OS", "pfs_set")
    assert set(median.unprinted) == {"lu", "control"}
    figure = figures.curves("os-later", "Overall survival", [median])
    assert figure.description.count("not printed") == 2
    rules = layer_with(figure, "rule", color=render.PALETTE["muted"])
    assert data_of(figure, rules) == []


def test_time_can_be_cut_off_by_rule(vision):
    figure = figures.kaplan_meier("os", vision, "OS", ("all_randomized",), Rules(months=12))
    parameters = {p["name"]: p for p in figure.specification["params"]}
    assert parameters["until"]["value"] == 12
    assert "At 18 months" not in figure.description
    assert "patients" not in parameters, "nothing to change to"


def test_outcomes_without_an_ensemble_can_be_drawn(analysis):
    """As for a sensitivity analysis: no band, no box for cohorts, no words about them."""
    bare = figures.View("changed", analysis, "Alive", *3 * [{"lu": "New", "control": "Old"}])
    figure = figures.curves("changed", "Anything", [bare])
    assert {layer["mark"]["type"] for layer in layers(figure, 1)} == {"rule", "line", "tick", "bar"}
    assert "reconstruction range" not in figure.description
    assert "<svg" in figure.html()


def test_both_variants_can_be_drawn_and_are_light(progression):
    """`html` refuses what is too wide or too small; a page with two of these stays below a megabyte."""
    assert len(progression.html()) < 350_000
    assert set(progression.variants) == {"wide", "narrow"}


# --- numbers in words ------------------------------------------------------------------------------


def test_numbers_print_as_in_the_paper():
    assert figures.months(264) == "8.7"
    assert figures.months(math.inf) == "not reached"
    assert figures.p_value(0.00099) == "<0.001"
    assert figures.p_value(0.04567) == "0.046"
    assert figures.percent(0.655) == "66%"
    assert figures.level(0.992) == "99.2%"


# --- effects ------------------------------------------------------------------------------------------


def test_both_uncertainties_are_drawn_apart(vision, analysis):
    figure = effects.differences("pfs-differences", vision, analysis, 6)
    table = efficacy.differences(vision, analysis, 6)
    reconstruction, sampling = figure.specification["concat"]
    (band,) = (layer for layer in reconstruction["layer"] if layer["mark"]["type"] == "area")
    assert (band["encoding"]["y"]["field"], band["encoding"]["y2"]["field"]) == ("low", "high")
    bars = next(layer for layer in sampling["layer"] if layer["encoding"]["y"].get("field") == "sampling_low")
    rows = figure.specification["datasets"][bars["data"]["name"]]
    assert [r["sampling_high"] for r in rows] == pytest.approx(100 * table["sampling_high"], abs=0.01)
    assert [r["low"] for r in rows] == pytest.approx(100 * table["low"], abs=0.01)
    assert "<svg" in figure.html()


def test_what_is_not_reached_ends_at_the_edge_and_is_said():
    rows = pd.DataFrame({"label": ["Half"], "value": [2.0], "low": [1.0], "high": [math.inf]})
    scale = effects.Scale("Months", (0, 2, 4), 0.0)
    figure = effects.ranges("gain", rows, scale, "A gain.")
    assert "Half: 2.0, reconstruction range 1.0 to not reached." in figure.description
    assert (
        max(r["high"] for data in figure.specification["datasets"].values() for r in data if "high" in r) == 4
    )
    assert "<svg" in figure.html()


def test_ranges_name_their_rows_and_references(vision):
    whole = vision.analysis("OS", "all_randomized")
    figure = effects.period_ratios("os-periods", vision, whole, (0, 6, 12))
    table = efficacy.period_ratios(vision, "OS", "all_randomized", (0, 6, 12))
    assert (
        f"Months 0 to 6: {table.loc[0, 'events1']:.0f} and {table.loc[0, 'events0']:.0f} events"
        in figure.description
    )
    assert f"over all of follow-up: {whole.hazard_ratio.ratio:.2f}." in figure.description
    assert "<svg" in figure.html()


def test_gains_have_a_row_for_each_share(vision):
    figure = effects.gains("os-gains", vision, "OS", "all_randomized", (0.25, 0.5))
    assert "25%: month" in figure.description
    assert "50%: month 15.3 instead of 11.3: 3.9, reconstruction range 3.9 to 4.1" in figure.description
    assert "<svg" in figure.html()


def test_every_cohort_is_in_one_class_of_events():
    totals = pd.Series([500, 503, 511, 512])
    figure = effects.event_totals("events", totals, {"planned": 508}, 4, "Deaths.")
    bars = next(d for d in figure.specification["datasets"].values() if "cohorts" in d[0] and "from" in d[0])
    assert {row["from"]: row["cohorts"] for row in bars} == {500: 2, 504: 0, 508: 1, 512: 1}
    assert "Planned, 508: 2 of 4 cohorts have fewer." in figure.description
    assert "<svg" in figure.html()


@pytest.mark.parametrize(
    "figure",
    [
        lambda v: effects.gains("a", v, "OS", "all_randomized", (0.5,)),
        lambda v: effects.event_totals("b", pd.Series([1, 2]), {"planned": 2}, 1, ""),
        lambda v: effects.differences("c", v, v.analysis("OS", "pfs_set"), 3),
    ],
)  # fmt: skip
def test_every_chart_says_whose_patients_these_are(vision, figure):
    made = figure(vision)
    assert made.description.startswith(figures.NOTICE)
    for variant in made.variants.values():
        assert figures.NOTICE in json.dumps(variant, ensure_ascii=False)


def test_charts_do_not_depend_on_the_order_of_the_stored_rows(vision):
    shuffled = vision.derived.curves.sample(frac=1, random_state=np.random.RandomState(1))
    other = efficacy.Reconstruction(
        vision.trial,
        vision.shown,
        type(vision.derived)(vision.derived.statistics, vision.derived.quantities, shuffled),
    )
    a, b = (effects.gains("g", v, "OS", "all_randomized", (0.5,)).variants for v in (vision, other))
    assert a == b
