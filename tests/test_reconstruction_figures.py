"""The charts and tables of the reconstruction: their data, encodings, words, and that they can be drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from visiontrial import paths, published, reconstruction, render
from visiontrial.cohort import calibration, diagnostics, ensemble, ranks, reader
from visiontrial.figures import calibration as calibration_figures
from visiontrial.figures import reconstruction as figures

SHOWN = [("OS", "all_randomized"), ("PFS", "pfs_set")]
CHOSEN = ["OS.all_randomized.events.lu", "PFS.pfs_set.survival_6.control", "PFS.pfs_set.ph_slope"]


@pytest.fixture(scope="module")
def bands(implied, vision) -> render.Figure:
    return figures.survival_bands(implied, SHOWN, vision)


@pytest.fixture(scope="module")
def places(implied, vision) -> render.Figure:
    return figures.target_places(reconstruction.places(implied.statistics, vision), vision)


@pytest.fixture(scope="module")
def memory(registry, vision) -> render.Figure:
    names = figures.monitored(vision)
    shown = {name: names[name] for name in ("events_control_PFS", "log_hazard_ratio_OS")}
    return figures.memory(registry.traces, shown, vision, 2, diagnostics.mixing(registry.traces))


@pytest.fixture(scope="module")
def halved(implied) -> pd.DataFrame:
    """The registry's quantities with half their spread: an ensemble whose width is known."""
    middle = implied.quantities.median()
    return middle + (implied.quantities - middle) / 2


@pytest.fixture(scope="module")
def one_shape(implied, halved, vision) -> render.Figure:
    compared = reconstruction.against(halved[CHOSEN], implied.quantities[CHOSEN])
    return figures.one_shape(compared, CHOSEN, vision, len(halved))


@pytest.fixture(scope="module")
def steps(vision) -> render.Figure:
    small = reader.read(paths.RECONSTRUCTION / "miniature")
    months = list(range(25))
    rows = [
        {"member": member, "arm": arm, "month": month, "survival": 1 - month * (member + 1) / 100}
        for member in range(3)
        for arm in ("control", "test")
        for month in months
    ]
    return figures.steps({"Counts": pd.DataFrame(rows), "All": pd.DataFrame(rows[:100])}, small)


@pytest.fixture(scope="module")
def tuned() -> tuple[pd.DataFrame, pd.DataFrame]:
    summary = calibration.read().summary
    return reconstruction.of_quantities(summary, "tune"), reconstruction.of_families(summary, "tune")


@pytest.fixture(scope="module")
def coverage(tuned) -> render.Figure:
    return calibration_figures.coverage(*tuned)


@pytest.fixture(scope="module")
def rank_plot() -> render.Figure:
    rows = calibration.read().comparisons.query("family == 'piecewise'")
    return calibration_figures.rank_plot(ranks.histogram(rows), ranks.departures(rows))


def data_of(figure: render.Figure, view: dict) -> list[dict]:
    return figure.specification["datasets"][view["data"]["name"]]


# --- curves -----------------------------------------------------------------------------------------


def test_bands_are_the_reconstruction_ranges_of_the_stored_curves(bands, implied):
    rows = data_of(bands, bands.specification["concat"][1]["layer"][0])
    (ours,) = [row for row in rows if (row["arm"], row["month"]) == ("lu", 6.0)]
    members = implied.curve("PFS", "pfs_set", "lu").loc[6.0]
    assert [ours["low"], ours["high"]] == pytest.approx(np.quantile(members, [0.025, 0.975]), abs=6e-5)


def test_a_band_ends_where_a_cohort_has_no_curve_any_more(bands, implied):
    for view, (paramcd, population) in zip(bands.specification["concat"], SHOWN, strict=True):
        rows = pd.DataFrame(data_of(bands, view["layer"][0]))
        for arm in ("lu", "control"):
            curves = implied.curve(paramcd, population, arm)
            complete = curves.index[curves.notna().all(axis=1)]
            assert rows.loc[rows["arm"] == arm, "month"].tolist() == complete.tolist()


def test_diamonds_are_the_printed_medians(bands):
    drawn = [row for view in bands.specification["concat"] for row in data_of(bands, view["layer"][3])]
    claims = ["os.median.control", "os.median.lu", "pfs.median.control", "pfs.median.lu"]
    assert sorted(row["month"] for row in drawn) == sorted(published.value(claim) for claim in claims)
    assert {row["survival"] for row in drawn} == {0.5}


def test_the_lines_are_the_first_members_and_no_chosen_ones(bands):
    rows = pd.DataFrame(data_of(bands, bands.specification["concat"][0]["layer"][2]))
    assert sorted(rows["member"].unique()) == list(range(figures.LINES))


def test_the_small_trial_has_a_panel_for_each_step(steps):
    titles = [view["title"]["text"] for view in steps.specification["concat"]]
    assert titles == ["Counts", "All"]
    assert "3 cohorts; alive at month 12, usual care 64% to 88%" in steps.description


# --- targets and chains -----------------------------------------------------------------------------


def test_places_show_every_target_from_the_smallest_to_the_largest(places, implied, vision):
    rows = pd.DataFrame(data_of(places, places.specification)).set_index("claim")
    targets = reconstruction.targets_of(vision)
    assert list(rows.index) == [t.claim_id for t in targets]
    target = next(t for t in targets if t.claim_id == "os.hr")
    values = (implied.statistics["os.hr"] - target.low) / (target.high - target.low)
    assert rows.loc["os.hr", ["lowest", "highest"]].tolist() == pytest.approx(
        [values.min(), values.max()], abs=1e-4
    )
    assert rows.loc["os.hr", "printed"] == published.printed("os.hr")


def test_traces_are_those_of_the_first_chains_by_rule(memory, registry):
    first, _ = memory.specification["concat"]
    rows = pd.DataFrame(data_of(memory, first))
    expected = registry.traces[registry.traces["member"] < figures.LINES]
    assert rows["value"].tolist() == expected["events_control_PFS"].tolist()
    assert rows["sweep"].max() == 2 * (len(rows) // figures.LINES - 1)
    counted = {int(m) for m in expected.loc[expected["late_deaths"] == 0, "member"]}
    assert set(rows.loc[rows["rule"] == "late deaths count", "member"]) == counted
    assert first["encoding"]["strokeDash"]["field"] == first["encoding"]["color"]["field"] == "rule"


# --- one ensemble against another -------------------------------------------------------------------


def test_an_ensemble_of_half_the_spread_is_drawn_half_as_wide(one_shape):
    rows = data_of(one_shape, one_shape.specification)
    assert [row["width"] for row in rows] == pytest.approx([0.5] * len(CHOSEN))
    assert all(row["high"] - row["low"] == pytest.approx(1, abs=1e-3) for row in rows)
    assert f"{len(CHOSEN)} of {len(CHOSEN)} ranges are narrower" in one_shape.description


# --- calibration ------------------------------------------------------------------------------------


def test_coverage_is_drawn_for_every_family_and_quantity(coverage, tuned):
    quantities, families = tuned
    panels = coverage.specification["vconcat"]
    drawn = [data_of(coverage, panel) for panel in panels]
    assert len(drawn[0]) == len(families)
    assert sum(map(len, drawn[1:])) == len(quantities)
    covered = [row["coverage"] for rows in drawn[1:] for row in rows]
    assert covered == pytest.approx(quantities["coverage"].tolist(), abs=1e-4)


def test_what_differs_from_nominal_is_told_without_colour(coverage):
    dots = coverage.specification["vconcat"][1]["layer"][2]
    assert dots["encoding"]["shape"]["condition"] == {"test": "datum.differs", "value": "square"}


def test_coverage_tables_show_counts_and_uncertainty(tuned):
    quantities, families = tuned
    text = calibration_figures.coverage_table(quantities).text
    first = quantities.iloc[0]
    assert f"{first['covered']} of {first['trials']}" in text
    failed = reconstruction.failures(calibration.read().chains, "tune")
    lines = calibration_figures.family_table(families, failed).text.splitlines()
    total = next(line for line in lines if line.startswith("all families"))
    assert f"{failed['failed'].sum()} of {failed['chains'].sum()}" in total


def test_ranks_are_drawn_place_by_place_and_quantity_by_quantity(rank_plot):
    bars, lines = rank_plot.specification["concat"]
    rows = data_of(rank_plot, bars["layer"][0])
    assert [row["place"] for row in rows] == list(range(1, ranks.PLACES + 1))
    assert sum(row["share"] for row in rows) == pytest.approx(1, abs=1e-3)
    stored = calibration.read().comparisons.query("family == 'piecewise'")
    drawn = pd.DataFrame(data_of(rank_plot, lines["layer"][1]))
    assert drawn["row"].nunique() == len(stored.drop_duplicates(calibration.KEYS))
    # What leaves its band is told without colour too.
    assert lines["layer"][2]["mark"]["strokeDash"] != lines["layer"][1]["mark"].get("strokeDash")
    assert (drawn.groupby("row")["difference"].agg(["first", "last"]) == 0).all(axis=None)


def test_even_ranks_are_told_from_uneven_ones():
    places = pd.DataFrame({"share": 0.25, "low": 0.2, "high": 0.3}, index=range(1, 5))
    quantities = pd.DataFrame(
        {"quantity": ["a", "b"], "endpoint": "OS", "arm": "all", "leaves": [False, False]}
    )
    said = calibration_figures.evenness_in_words(places, quantities)
    assert said == "Neither shows in these trials."
    places.loc[1, "low"] = 0.26
    quantities.loc[1, "leaves"] = True
    said = calibration_figures.evenness_in_words(places, quantities)
    assert said.startswith("In these trials the ranks are not even over all quantities nor in single")


def test_the_state_of_the_engine_behind_each_part_is_named():
    halves = {"tune": {"engine_sha256": ensemble.engine_fingerprint()}, "report": {"engine_sha256": "0"}}
    words = calibration_figures.engines_in_words({"halves": halves})
    assert "than the present one: report." in words
    assert "with the present one: tune." in words
    assert calibration_figures.engines_in_words({"halves": {"tune": halves["tune"]}}).startswith("All parts")


# --- all of them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bands", "places", "memory", "one_shape", "steps", "coverage", "rank_plot"])
@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_charts_draw_within_their_widths_and_say_what_they_show(name, variant, request):
    figure = request.getfixturevalue(name)
    drawn = figure.svg(variant)  # refuses what is too wide, too small or off the palette
    said = "Simulated trials" if name in ("coverage", "rank_plot") else figures.SYNTHETIC
    assert f">{said}<" in drawn


def test_the_implied_table_holds_ranges_and_says_what_they_are(implied, vision):
    text = figures.implied_table(implied.quantities, vision, "OS", "all_randomized").text
    found = reconstruction.ranges(implied.quantities)
    for quantity in ("events.lu", "survival_12.control", "rmst_difference", "ph_slope"):
        assert figures.cell(found, f"OS.all_randomized.{quantity}") in text
    assert text.splitlines()[-1].startswith(
        f"{figures.SYNTHETIC}. Central 95% of {len(implied.quantities)} cohorts"
    )


def test_ensembles_side_by_side_have_a_column_each(implied, halved, vision):
    table = figures.side_by_side(
        {"Whole": implied.quantities, "Half": halved.head(40)}, CHOSEN, vision, "x", "Caption", "Note."
    )
    head = table.text.splitlines()[1]
    assert f"Whole {len(halved)} cohorts" in head
    assert "Half 40 cohorts" in head
    assert table.text.count(" to ") == 2 * len(CHOSEN)


def test_the_counts_of_every_cohort_add_up_to_the_randomized(vision):
    text = figures.fixed_table(vision).text
    rows = {line[:38].strip(): line.split()[-4:] for line in text.splitlines()[2:-1]}
    randomized = np.array(rows.pop("Randomized"), int)
    assert randomized.sum() == vision.size
    ends = [rows.pop(state.label) for state in vision.end_states]
    assert (sum(np.array(counts, int) for counts in ends) == randomized).all()
    assert {name: list(map(int, counts)) for name, counts in rows.items()} == {
        "Never received the assigned treatment": [47, 32, 2, 16],
        "Of these, because they died": [1, 2, 0, 2],
        "Liver metastases at randomization: Yes": [12, 26, 16, 47],
        "ECOG performance-status score at rando": [5, 17, 8, 33],
    }, "Figure 1 and Table 1"


def test_targets_are_listed_with_the_values_that_print_alike(vision):
    text = figures.targets_table(vision).text
    ratio = next(line for line in text.splitlines() if line.startswith("Hazard ratio"))
    assert ratio.split()[2:] == ["0.62", "0.615", "0.625"]
    assert len([line for line in text.splitlines() if line.count(".") >= 3]) >= 25


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("events", 183.4, "183"),
        ("survival_6", 0.614, "61"),
        ("median_high", float("inf"), "not reached"),
        ("ph_p", 0.0004, "<0.001"),
        ("ph_p", 0.6114, "0.611"),
        ("ph_slope", -3.31, "−3.3"),
        ("hazard_ratio_unstratified", 0.6249, "0.62"),
    ],
)
def test_values_are_printed_by_their_kind(kind, value, text):
    assert figures.value_text(kind, value) == text


def test_the_largest_shifts_are_named_with_their_direction(implied, vision):
    moved = implied.quantities[CHOSEN] + [100, 0, 0]
    words = figures.largest_shifts(
        reconstruction.against(moved, implied.quantities[CHOSEN]), vision, number=1
    )
    assert words.startswith(" (the first 1: Overall survival (831 patients): Events, 177Lu, up by ")
    assert figures.largest_shifts(reconstruction.against(moved, moved).head(0), vision) == ""
