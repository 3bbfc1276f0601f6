"""The charts and tables of the sensitivity chapter: data, encodings, words, and that they can be drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from visiontrial import paths, published, survival
from visiontrial.cohort import displayed, reader
from visiontrial.figures import sensitivity as figures
from visiontrial.figures import sensitivity_tables as words
from visiontrial.sensitivity import curves, precomputed, scenarios, tipping, weighting
from visiontrial.sensitivity.scenarios import ANALYSES, CONTROL, LU, SCENARIOS

PFS = ANALYSES["pfs"]
ARMS = {"lu": LU, "control": CONTROL}


@pytest.fixture(scope="module")
def stored():
    return precomputed.read()


@pytest.fixture(scope="module")
def imputer(stored):
    trial, shown = reader.read(paths.RECONSTRUCTION / "vision"), displayed.read()
    rows = PFS.rows(trial, shown.adsl, shown.adtte)
    return precomputed.imputer(rows, PFS, shown.member, 5)


@pytest.fixture(scope="module")
def live(imputer):
    return {name: scenarios.evaluate(SCENARIOS[name], imputer) for name in ("observed", "delta.both")}


@pytest.fixture(scope="module")
def charts(stored, imputer, live):
    observed = {name: survival.kaplan_meier(imputer.rows.data.of_arm(arm)) for name, arm in ARMS.items()}
    times = imputer.complete(imputer.rows.factors({}))
    completed = {"same": curves.mean_curves(imputer.rows, times, ARMS, figures.MONTHS)}
    labels = {"observed": "Left censored", "delta.both": "Departed"}
    law = weighting.Law()
    patients = weighting.draw(law, 100, np.random.default_rng(1))
    return {
        "forest": figures.scenario_chart(stored, PFS, "forest"),
        "map": figures.tipping_map(stored, PFS, "map", (2.0, 0.5)),
        "no-line": figures.tipping_map(stored, ANALYSES["os"], "no-line", (1.0, 1.0)),
        "curves": figures.completed_curves(observed, completed, {"same": "imputed"}, "curves"),
        "spreads": figures.spread_chart(figures.spreads(stored, live, PFS), labels, PFS, "spreads"),
        "weights": figures.weighting_chart(law, weighting.estimates(patients), "weights"),
    }


def data_of(figure, column: str) -> list[dict]:
    """The rows of the data set of a chart that has this column."""
    return next(rows for rows in figure.specification["datasets"].values() if rows and column in rows[0])


# --- what is drawn ---------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_charts_draw_within_their_widths(charts, variant):
    for figure in charts.values():
        assert figure.svg(variant).startswith("<svg")  # refuses what is too wide, too small, off the palette


def test_every_chart_says_whose_patients_it_shows(charts):
    for name, figure in charts.items():
        kind = figures.SIMULATED if name == "weights" else words.SYNTHETIC
        assert figure.description.startswith(kind)
        assert kind.removesuffix(".") in str(figure.specification["title"])  # also in the picture


def test_every_scenario_shown_is_a_bar_within_its_limits(stored):
    rows = figures.summarized(stored, PFS)
    assert rows["scenario"].tolist() == list(figures.SHOWN)
    assert (rows["outer_low"] <= rows["low"]).all()
    assert (rows["low"] <= rows["high"]).all()
    assert (rows["high"] <= rows["outer_high"]).all()
    observed = rows.set_index("scenario").loc["observed"]
    assert words.ratio(observed["low"]) == words.ratio(observed["high"]) == published.printed("pfs.hr")
    assert words.ratio(observed["outer_low"]) == published.printed("pfs.ci-low")


def test_the_map_holds_every_pair_of_factors_and_its_reading(stored, charts):
    cells = data_of(charts["map"], "factors")
    assert len(cells) == len(tipping.FACTORS) ** 2
    (chosen,) = [c for c in cells if (c["lu"], c["control"]) == (2.0, 0.5)]
    assert chosen["factors"] == "177Lu dropouts: hazard × 2; control dropouts: × 1/2"
    row = stored.maps.query("analysis == 'pfs' and factor_lu == 2.0 and factor_control == 0.5").iloc[0]
    assert words.ratio(row["ratio_from"]) in chosen["result"]
    assert all(cell["left"] < cell["control"] < cell["right"] for cell in cells)


def test_the_line_lies_between_significant_and_not(stored):
    rules = stored.rules.set_index("member")["rule"]
    for members in words.parts(stored, PFS).values():
        lost = figures._map_line(stored, PFS, members).set_index("lu")
        shares = stored.shares[
            (stored.shares["analysis"] == "pfs") & (stored.shares["rule"] == rules[members[0]])
        ]
        for lu, middle in lost["middle"].dropna().items():
            row = shares[shares["factor_lu"] == lu].set_index("factor_control")["significant"]
            assert row[row.index > middle * 1.01].min() >= 0.5
            assert row[row.index < middle / 1.01].max() <= 0.5


def test_where_nothing_is_lost_no_line_is_drawn(stored, charts):
    analysis = ANALYSES["os"]
    (members,) = words.parts(stored, analysis).values()
    assert figures._map_line(stored, analysis, members)["middle"].isna().all()
    assert "Significance is lost left" not in str(charts["no-line"].specification)


def test_both_rules_are_shown_and_the_shares_of_all_lie_between(stored, charts):
    """All members are those of one rule and those of the other; a share of all is their weighted mean."""
    parts = words.parts(stored, PFS)
    sizes = [len(members) for members in parts.values()]
    assert len(parts) == 2
    assert sum(sizes) == stored.manifest["members"]
    tables = [figures.summarized(stored, PFS, members=m)["significant"] for m in parts.values()]
    everybody = figures.summarized(stored, PFS)["significant"]
    assert np.average(tables, axis=0, weights=sizes) == pytest.approx(everybody.to_numpy())
    for label, members in parts.items():
        assert words.part_label(label, members) in charts["forest"].description
        assert words.part_label(label, members) in words.tips_table(stored).text
    by_rule = stored.shares.query("analysis == 'pfs' and factor_lu == 2 and factor_control == 0.5")
    (chosen,) = [c for c in data_of(charts["map"], "factors") if (c["lu"], c["control"]) == (2.0, 0.5)]
    expected = by_rule.set_index("rule")["significant"].sort_index()  # in the order of the parts
    assert " and ".join(map(words.percent, expected)) in chosen["test"]
    assert [words.rule_words(rule) for rule in expected.index] == list(parts)


def test_overall_survival_is_not_parted(stored):
    assert [len(m) for m in words.parts(stored, ANALYSES["os-left"]).values()] == [stored.manifest["members"]]


def test_error_of_a_share_is_that_of_independent_coins():
    # Limits far from 0 or without error are certain; one that lies on 0 is a fair coin: root of 1/4 over 4.
    limits, errors = np.array([-1.0, 1.0, 0.0, -0.2]), np.array([0.01, 0.01, 0.05, 0.0])
    assert figures.share_error(limits, errors) == pytest.approx(0.5 / 4)
    assert figures.share_error(np.full(100, 0.0), np.full(100, 0.1)) == pytest.approx(0.05)


def test_the_square_is_chosen_by_a_click_and_one_is_chosen_at_first(charts):
    (picked,) = [p for p in charts["map"].specification["params"] if p["name"] == "picked"]
    assert picked["select"]["fields"] == ["lu", "control"]
    assert picked["value"] == [{"lu": 2.0, "control": 0.5}]


def test_spreads_are_three_and_only_imputation_is_missing_without_imputation(stored, live):
    table = figures.spreads(stored, live, PFS)
    kinds = table.groupby("scenario")["kind"].apply(list)
    assert kinds["observed"] == ["reconstruction", "sampling"]
    assert kinds["delta.both"] == ["reconstruction", "imputation", "sampling"]
    assert (table["low"] < table["high"]).all()


# --- tables ------------------------------------------------------------------------------------------


def test_tables_say_whose_patients_they_show(stored, live):
    labels = {"observed": "left censored", "delta.both": "departed"}
    made = [
        words.reasons_table(stored),
        words.live_table(live, labels, PFS),
        words.tips_table(stored),
        words.reason_table(stored, ["pfs", "os"]),
        words.all_randomized_table(stored),
    ]
    assert all(words.SYNTHETIC in table.text for table in made)
    assert "simulated trials" in words.coverage_table(stored).text


def test_reasons_add_up_to_the_patients(stored):
    sizes = stored.reasons.groupby(["analysis", "arm", "member"])["patients"].sum()
    for analysis, arm, claim in (
        ("pfs", "lu", "randomized.pfs-set.lu.count"),
        ("pfs", "control", "randomized.pfs-set.control.count"),
        ("os", "lu", "randomized.lu.count"),
        ("os-left", "control", "randomized.control.count"),
    ):
        assert (sizes.loc[analysis, arm] == published.value(claim)).all()


def test_live_table_has_no_monte_carlo_error_without_imputation(live):
    lines = words.live_table(live, {"observed": "left", "delta.both": "departed"}, PFS).text.splitlines()
    assert next(line for line in lines if line.startswith("left")).count("none") == 3
    assert "none" not in next(line for line in lines if line.startswith("departed"))


# --- words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (2.0, "2"), (0.5, "1/2"), (math.sqrt(2), "1.4"), (1 / 11.3, "1/11.3")]
)
def test_factor_text(value, text):
    assert words.factor_text(value) == text


@pytest.mark.parametrize(("value", "text"), [(math.inf, "beyond 16"), (0.0, "beyond 1/16"), (4.0, "4")])
def test_factor_or_beyond(value, text):
    assert words.factor_or_beyond(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100%"), (0.999, "99%"), (0.001, "1%"), (0.0, "0%"), (0.64, "64%")]
)
def test_only_all_is_all(share, text):
    assert words.percent(share) == text


@pytest.mark.parametrize(("value", "text"), [(0.0002, "<0.001"), (0.0042, "0.004"), (0.25, "0.25")])
def test_p_text(value, text):
    assert words.p_text(value) == text


@pytest.mark.parametrize(("value", "text"), [(3.44, "3.4"), (math.inf, "not reached"), (math.nan, "–")])
def test_months_text(value, text):
    assert words.months_text(value) == text


def test_a_range_that_reads_alike_is_one_number():
    assert words.range_text(0.401, 0.404) == "0.40"
    assert words.range_text(0.40, 0.41) == "0.40 to 0.41"
