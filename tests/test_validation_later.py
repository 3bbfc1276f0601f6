"""What was published later about VISION: its sources, that the engine never saw it, and the comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from visiontrial import design, paths
from visiontrial.cohort import derived, ensemble, reader
from visiontrial.figures import validation as figures
from visiontrial.validation import later


@pytest.fixture(scope="module")
def found():
    return later.read()


def test_every_later_number_has_a_source_that_was_read():
    facts = later.facts()
    assert len(facts) >= 4
    assert facts["date_read"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()
    assert facts["source"].str.contains("https://").all()
    assert facts["quantity"].is_unique


def test_the_engine_was_told_none_of_them():
    # The targets speak of medians, never of a median's limits; the specification names no fact of this kind.
    trial = reader.read(paths.RECONSTRUCTION / ensemble.TRIAL)
    told = {(t.paramcd, t.population, t.statistic, t.arm) for t in trial.targets}
    for quantity in later.facts()["quantity"]:
        paramcd, population, statistic, arm = quantity.split(".")
        assert (paramcd, population, "median", arm) in told
        assert statistic in ("median_low", "median_high")
    assert {s for *_, s, _ in told if s.endswith(("_low", "_high"))} == {
        "ci_low", "ci_high", "followup_low", "followup_high",
    }  # fmt: skip
    for file in (paths.RECONSTRUCTION / ensemble.TRIAL).glob("*.*"):
        assert "later." not in file.read_text(encoding="utf-8")


def published(**numbers: str) -> pd.DataFrame:
    frame = pd.DataFrame({"quantity": list(numbers), "published": list(numbers.values())})
    return frame.assign(what=frame["quantity"], source="nowhere", date_read="2026-11-27")


def test_a_comparison_by_hand():
    # Members 10.0, 10.1 ... 14.0: the 2.5% and 97.5% points are the 2nd and 40th of 41, 10.1 and 13.9.
    members = pd.DataFrame({"a": 10 + np.arange(41) / 10, "b": 10 + np.arange(41) / 10})
    table = later.compare(published(a="13.9", b="14.0"), members).set_index("quantity")
    assert table.loc["a", ["low", "middle", "high"]].tolist() == pytest.approx([10.1, 12.0, 13.9])
    assert table["covered"].tolist() == ["yes", "no"]
    assert table.loc["a", "below"] == pytest.approx(39 / 41)
    assert table.loc["b", ["below", "same"]].tolist() == pytest.approx([40 / 41, 1 / 41])
    assert table["members"].tolist() == [41, 41]


def test_an_end_of_the_range_counts_as_it_prints():
    members = pd.DataFrame({"a": np.full(40, 14.2499)})
    assert later.compare(published(a="14.2"), members)["covered"].tolist() == ["yes"]
    assert later.compare(published(a="14.3"), members)["covered"].tolist() == ["no"]


def test_a_number_of_an_unknown_quantity_is_refused_by_name():
    with pytest.raises(later.LaterError, match=r"facts\.csv, later\.OS\.deaths.*events\.lu"):
        later.compare(published(**{"OS.deaths": "343"}), pd.DataFrame({"a": [1.0]}))


def test_the_stored_ranges_are_those_of_the_ensemble(found):
    # The authority here is numpy's own quantile over the stored members.
    members = derived.read(later.ENSEMBLE).quantities
    for row in found.itertuples():
        assert [row.low, row.high] == pytest.approx(np.quantile(members[row.quantity], [0.025, 0.975]))
        inside = round(row.low, 1) <= float(row.published) <= round(row.high, 1)
        assert row.covered == ("yes" if inside else "no")


def test_outside_facts_are_the_rows_of_their_kind():
    assert set(design.outside_facts("later.").index) == {f"later.{q}" for q in later.facts()["quantity"]}


def test_hits_and_misses_are_told_alike(found):
    missed = found.assign(covered=["no", *found["covered"][1:]])
    figure = figures.later_ranges(missed)
    rows = [row for rows in figure.specification["datasets"].values() for row in rows]
    assert [row["outcome"] for row in rows] == ["outside it", *["in the range"] * (len(found) - 1)]
    assert figure.description.count("(outside)") == 1
    assert "no confidence intervals" in figure.description
    text = figures.later_table(found).text
    for row in found.itertuples():
        assert row.what in text
        assert row.published in text
    assert "synthetic cohorts" in text


@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_the_chart_is_drawn_within_its_widths(found, variant):
    assert figures.later_ranges(found).svg(variant).startswith("<svg")
