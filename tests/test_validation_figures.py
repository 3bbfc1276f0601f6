"""The charts and tables of the chapter on trust: their data, encodings, words, and that they can be drawn."""

from __future__ import annotations

import pandas as pd
import pytest

from visiontrial import published, render
from visiontrial.cohort import calibration
from visiontrial.figures import validation as figures
from visiontrial.validation import comparisons, evidence, left_out, referee, trials


@pytest.fixture(scope="module")
def real():
    return trials.read()


@pytest.fixture(scope="module")
def beside(real):
    half = "report" if "report" in set(calibration.read().comparisons["half"]) else "tune"
    return evidence.both(real.summary, trials.summarize(evidence.simulated(calibration.read(), half)))


@pytest.fixture(scope="module")
def predicted():
    return left_out.read_ranges()


def data_of(figure: render.Figure) -> list[dict]:
    return [row for rows in figure.specification["datasets"].values() for row in rows]


@pytest.mark.parametrize("name", [c.name for c in comparisons.COMPARISONS])
def test_every_comparison_can_be_drawn_with_its_own_end_points(real, name):
    figure = figures.curves(real, name)
    assert len(figure.specification["vconcat"]) == len(comparisons.named(name).outcomes)
    assert {row["comparison"] for row in data_of(figure)} == {name}
    for row in data_of(figure):
        assert 0 <= row["low"] <= row["high"] <= 100
    assert "no confidence intervals" in figure.description


def test_curves_say_at_how_many_months_the_truth_is_held(real):
    rows = real.curves.query("comparison == 'colon' and endpoint == 'OS' and arm == 'treated'").dropna()
    held = ((rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])).sum()
    words = figures.curves(real, "colon").description
    assert f"the true curve lies within the range at {held} of {len(rows)} months" in words


def test_coverage_shows_both_bodies_of_evidence_and_what_to_expect(beside):
    figure = figures.coverage(beside)
    drawn = {(row["kind"], row["source"]): row["coverage"] for row in data_of(figure)}
    assert len(drawn) == 2 * len(beside)
    everything = beside.set_index("kind").loc[trials.EVERYTHING]
    assert drawn["All of them", "real trials"] == pytest.approx(100 * everything["coverage_real"], abs=0.01)
    limits, nominal, dots = figure.specification["layer"]
    assert limits["encoding"]["x"]["field"] == "low"
    assert limits["encoding"]["x2"]["field"] == "high"
    assert nominal["encoding"]["x"]["field"] == "nominal"
    assert dots["encoding"]["shape"]["scale"]["range"] == ["circle", "triangle-up"]


def test_hits_and_misses_are_drawn_alike_and_told_apart_without_colour(predicted):
    figure = figures.left_out_ranges(predicted)
    rows = data_of(figure)
    shown = figures.shown_claims(predicted)
    assert sorted(row["claim_id"] for row in rows) == sorted(shown["claim_id"])
    for row in rows:
        assert row["printed"] == published.printed(row["claim_id"])
        assert row["outcome"] == ("in the range" if row["covered"] == "yes" else "outside it")
    dots = figure.specification["vconcat"][0]["layer"][1]
    assert dots["encoding"]["shape"]["scale"]["range"] == ["circle", "diamond"]
    hits = (shown["covered"] == "yes").sum()
    assert figure.description.startswith(f"{hits} of {len(shown)} published values lie in the range")


def test_ratios_and_months_are_not_on_one_scale(predicted):
    ratios, months = figures.left_out_ranges(predicted).specification["vconcat"]
    assert ratios["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"
    assert months["layer"][0]["encoding"]["x"]["scale"]["type"] == "linear"


@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_charts_draw_within_their_widths(real, beside, predicted, variant):
    drawn = [
        figures.curves(real, "colon-dropout"),
        figures.coverage(beside),
        figures.left_out_ranges(predicted),
    ]
    for figure in drawn:
        assert figure.svg(variant).startswith("<svg")  # refuses what is too wide, too small, off the palette


def test_tables_print_what_was_computed(real, predicted):
    text = figures.trials_table(real).text
    for label in real.trials["label"]:
        assert label in text
    assert "synthetic" in text
    assert "Why not: a duplicate" in figures.inventory_table().text
    full = figures.left_out_table(predicted).text
    assert all(claim in full for claim in predicted["claim_id"])


def test_the_referees_table_numbers_its_reasons():
    text = figures.referee_table(referee.read().answers).text
    assert "Reason 1. Where the curve lies on one half exactly" in text
    assert "(synthetic)" in text


def test_weak_places_are_tabled(real):
    compared = real.comparisons.query("group == 'report' and report == @comparisons.FULL")
    simulations = evidence.simulated(calibration.read())
    landmarks = evidence.by_landmark(compared, simulations)
    lines = figures.landmarks_table(landmarks).text.splitlines()
    first = landmarks[landmarks["trials"] == "real"].iloc[0]
    assert any(
        line.startswith(f"{first['month']} months") and f"{first['covered']} of {first['arms']}" in line
        for line in lines
    )
    families = evidence.by_family(simulations)
    text = figures.families_table(families).text
    for row in families.itertuples():
        assert f"{row.covered} of {row.quantities}" in text
    assert text.count("†") == (~families["held"]).sum() + 1  # and the note
    hazards = evidence.by_hazards(compared, simulations)
    text = figures.hazards_table(hazards).text
    for row in hazards.itertuples():
        assert f"{row.covered} of {row.quantities}" in text
    split = evidence.by_dropout(compared, simulations)
    text = figures.dropout_table(split).text
    for row in split.itertuples():
        assert f"{row.covered} of {row.quantities}" in text
    assert "synthetic" in text


def test_labels_on_a_phone_stand_on_two_lines(predicted):
    wide, narrow = (
        chart["vconcat"][0]["layer"][0]["encoding"]["y"]["axis"]["labelExpr"]
        for chart in (
            figures.left_out_ranges(predicted).specification,
            figures.left_out_ranges(predicted).narrow.to_dict(),
        )
    )
    assert "replace" in wide
    assert "split" in narrow


def test_peers_are_quoted_from_the_facts(real):
    text = figures.peers_table(real.summary).text
    for number in ("95.3%", "82.5%", "0.19 months", "0.24 months"):
        assert number in text
    assert "39 trials" in text
    assert text.count("(second hand)") == 2  # nobody here has read KMDATA's own number, nor the refit


def test_reports_are_compared_on_the_same_quantities(real):
    several = [c.name for c in comparisons.COMPARISONS if len(c.reports) > 1]
    rows = real.comparisons[real.comparisons["comparison"].isin(several)]
    summary = trials.summarize(rows)
    counts = summary.pivot(index="kind", columns="report", values="quantities")
    assert (counts.nunique(axis=1) <= 2).all()  # a range may be undefined in too many members
    names = {report: report for report in comparisons.DETAILS}
    assert pd.Series(list(names)).isin(summary["report"]).all()
    assert "medians-only" in figures.reports_table(summary, names).text


def test_both_bodies_of_evidence_are_tabled_with_their_bias(beside):
    lines = figures.evidence_table(beside).text.splitlines()
    row = beside.set_index("kind").loc["survival"]
    line = next(line for line in lines if line.startswith("Survival at landmarks"))
    assert f"{row['covered_real']} of {row['quantities_real']}" in line
    assert f"{100 * row['bias_simulated']:.1f}".replace("-", "−") in line
    assert len([line for line in lines if " of " in line]) >= len(beside) - 1


def test_sentences_are_shown_as_they_are(real, beside):
    reported = real.comparisons.query("group == 'report' and report == @comparisons.FULL")
    found = evidence.sentences(beside, reported, evidence.simulated(calibration.read()))
    text = figures.sentences_table(found).text
    assert all(answer in text for answer in found["answer"])
    assert set(found["answer"]) <= {"yes", "with care", "no"}
