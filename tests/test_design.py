"""Power against a textbook value and against simulation; alpha's graph and Hochberg against cases by hand."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.statistics import logrank_test

from visiontrial import design, schoenfeld
from visiontrial.design import AlphaGraph

powers = st.floats(0.3, 0.97)
hazard_ratios = st.floats(0.3, 0.95)
alphas = st.floats(0.001, 0.1)
events = st.integers(20, 2000)
ratios = st.floats(1, 4)


# --- Schoenfeld's formula ---------------------------------------------------------------


def test_events_agree_with_r():
    # R, gsDesign 3.6: nEvents(hr = .7, alpha = .025, beta = .1, r = 1) rounds up to 331 events (its vignette
    # "Overview of survival endpoint design"); by hand 4 * (1.959964 + 1.281552)^2 / log(.7)^2.
    exact = schoenfeld.events_for(0.9, hazard_ratio=0.7, alpha=0.025, ratio=1)
    assert exact == pytest.approx(4 * (1.959964 + 1.281552) ** 2 / 0.356675**2, rel=1e-5)
    assert int(np.ceil(exact)) == 331


def test_power_agrees_with_r():
    # R: pnorm(qnorm(.025) - sqrt(100 * 1) / (1 + 1) * log(.7)) is 0.4299 (the same vignette).
    assert schoenfeld.power(100, 0.7, 0.025, 1) == pytest.approx(0.4299, abs=5e-5)


@given(powers, hazard_ratios, alphas, ratios)
def test_each_inverse_gives_back_the_power(power, hazard_ratio, alpha, ratio):
    needed = schoenfeld.events_for(power, hazard_ratio, alpha, ratio)
    back = (
        schoenfeld.power(needed, hazard_ratio, alpha, ratio),
        schoenfeld.power(needed, schoenfeld.hazard_ratio_for(power, needed, alpha, ratio), alpha, ratio),
        schoenfeld.power(
            needed, hazard_ratio, schoenfeld.alpha_for(power, needed, hazard_ratio, ratio), ratio
        ),
    )
    assert back == pytest.approx((power,) * 3)


def test_freedmans_formula_by_hand():
    # Events = (1.959964 + 1.281552)^2 * (1 + r * .7)^2 / (r * (1 - .7)^2): 337.4 for r = 1.
    for ratio in (1, 2):
        events = (1.959964 + 1.281552) ** 2 * (1 + ratio * 0.7) ** 2 / (ratio * 0.3**2)
        found = schoenfeld.freedman_hazard_ratio_for(0.9, events, alpha=0.025, ratio=ratio)
        assert found == pytest.approx(0.7, rel=1e-5)


def test_freedmans_formula_says_when_no_hazard_ratio_will_do():
    with pytest.raises(ValueError, match="5 events cannot give a power of"):
        schoenfeld.freedman_hazard_ratio_for(0.9, 5, alpha=0.025, ratio=1)


@given(powers, hazard_ratios, alphas, st.floats(1.05, 4))
def test_the_ratio_is_found_again(power, hazard_ratio, alpha, ratio):
    needed = schoenfeld.events_for(power, hazard_ratio, alpha, ratio)
    assert schoenfeld.ratio_for(power, needed, hazard_ratio, alpha) == pytest.approx(ratio, rel=1e-4)


def test_no_ratio_helps_when_even_equal_arms_fall_short():
    assert np.isnan(schoenfeld.ratio_for(0.9, 100, 0.9, 0.025))


@given(events, hazard_ratios, alphas, ratios)
def test_power_rises_with_events_level_and_effect(d, hazard_ratio, alpha, ratio):
    power = schoenfeld.power(d, hazard_ratio, alpha, ratio)
    assert schoenfeld.power(d + 1, hazard_ratio, alpha, ratio) >= power
    assert schoenfeld.power(d, hazard_ratio, alpha * 1.1, ratio) >= power
    assert schoenfeld.power(d, hazard_ratio * 0.99, alpha, ratio) >= power
    assert schoenfeld.power(d, hazard_ratio, alpha, ratio * 1.1) <= power


# --- the printed designs ------------------------------------------------------------------


def test_rounding_allows_the_printed_powers_but_not_at_the_larger_level():
    found = {key: (d.printable_powers.text, d.allows_printed_power) for key, d in design.designs().items()}
    assert found == {
        "pfs": ("81 to 85", True),
        "os": ("91 to 93", False),
        "os-if-pfs-negative": ("89 to 92", True),
    }


@pytest.mark.parametrize("key", ["pfs", "os", "os-if-pfs-negative"])
def test_what_is_needed_gives_the_printed_power(key):
    d = design.designs()[key]
    needed = design.needed(d)
    for column in ("least", "most"):
        for field in ("hazard_ratio", "alpha", "events", "ratio"):
            percent = replace(d, **{field: needed.at[field, column]}).percent
            assert abs(percent - d.power) == pytest.approx(0.5, abs=1e-6)


def test_the_assumed_medians_give_the_printed_power_of_progression_free_survival():
    hazard_ratio = design.outside_hazard_ratios("pfs")["ratio of the assumed medians"]
    assert replace(design.planned("pfs"), hazard_ratio=hazard_ratio).percent == pytest.approx(84.0, abs=0.01)


# --- simulation -----------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_the_log_rank_statistic_is_that_of_lifelines(seed):
    random = np.random.default_rng(seed)
    duration = random.exponential(1, 60)
    observed, treated = random.random(60) < 0.7, random.random(60) < 0.6
    ours = design.log_rank(duration[None], observed[None], treated[None]).item()
    theirs = logrank_test(duration[treated], duration[~treated], observed[treated], observed[~treated])
    assert ours**2 == pytest.approx(theirs.test_statistic, rel=1e-9)


def test_a_simulated_trial_stops_at_its_events_and_agrees_with_lifelines():
    trial = design.one_trial(design.planned("os"), 3)
    assert (len(trial), trial["observed"].sum(), trial["treated"].sum()) == (814, 508, 543)
    a, b = trial[trial["treated"]], trial[~trial["treated"]]
    ours = design.log_rank(*(trial[c].to_numpy()[None] for c in trial)).item()
    theirs = logrank_test(a["duration"], b["duration"], a["observed"], b["observed"])
    assert ours**2 == pytest.approx(theirs.test_statistic, rel=1e-9)


def test_simulation_agrees_with_the_formula_at_equal_allocation():
    d = replace(design.planned("pfs"), ratio=1.0)
    simulation = design.simulate(d, 4000, 11)
    assert abs(100 * simulation.power(d.alpha) - d.percent) < 400 * simulation.standard_error(d.alpha)


def test_the_formula_promises_too_little_when_the_better_arm_is_the_larger_one():
    d = design.planned("pfs")
    larger = design.simulate(d, 4000, 11).power(d.alpha)
    smaller = design.simulate(replace(d, ratio=0.5), 4000, 11).power(d.alpha)
    assert 100 * smaller < d.percent < 100 * larger


def test_without_an_effect_the_test_keeps_its_level():
    d = replace(design.planned("os"), hazard_ratio=1.0)
    simulation = design.simulate(d, 4000, 5)
    assert abs(simulation.power(0.025) - 0.025) < 4 * (0.025 * 0.975 / 4000) ** 0.5


def test_staggered_entry_never_looks_past_the_cutoff():
    d = design.planned("pfs")
    follow_up, observed, _ = design._trials(d, 3, np.random.default_rng(1), 40.0, 4.0)
    assert (observed.sum(axis=1) == d.events).all()
    assert (follow_up >= 0).all()
    assert (follow_up[observed] > 0).all()


def test_a_simulation_is_its_seed():
    d = design.planned("pfs")
    assert np.array_equal(design.simulate(d, 30, 4).z, design.simulate(d, 30, 4).z)
    assert not np.array_equal(design.simulate(d, 30, 4).z, design.simulate(d, 30, 5).z)


# --- the graph of alpha -----------------------------------------------------------------------


def test_the_levels_of_the_trial():
    table = design.outcomes(design.trial_graph()).set_index(["pfs", "os"])
    assert table["os_level"].tolist() == [0.025, 0.025, 0.021, 0.021]
    assert table["key_secondary_level"].tolist() == [0.025, 0, 0.021, 0]


def holm(total=Fraction(1, 20)):
    """Three hypotheses that share their level alike: Holm's procedure as a graph."""
    names = "abc"
    half = {(i, j): Fraction(1, 2) for i in names for j in names if i != j}
    return AlphaGraph(dict.fromkeys(names, total / 3), half, total)


def test_a_graph_updates_as_by_hand():
    graph = holm().reject("a")
    assert graph.levels == {"b": Fraction(1, 40), "c": Fraction(1, 40)}
    assert graph.weights == {("b", "c"): 1, ("c", "b"): 1}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0001, 0.2), min_size=3, max_size=3))
def test_a_graph_with_equal_shares_is_holms_procedure(p_values):
    named = dict(zip("abc", p_values, strict=True))
    adjusted = design.adjusted(named)["Holm"]
    if (adjusted - 0.05).abs().min() > 1e-9:
        assert set(holm().run(named)) == set(adjusted.index[adjusted <= 0.05])


@given(st.permutations("abc"))
def test_no_order_of_rejection_makes_more_alpha(order):
    graph = holm()
    for name in order:
        assert sum(graph.levels.values()) <= graph.total
        graph = graph.reject(name)
    assert graph.levels == {}


def test_a_graph_that_spends_too_much_is_refused():
    with pytest.raises(ValueError, match=r"add up to more than 0\.02"):
        AlphaGraph({"a": Fraction(3, 100)}, {}, Fraction(2, 100))
    with pytest.raises(ValueError, match="'a' passes on more than it has"):
        AlphaGraph({"a": Fraction(0), "b": Fraction(0)}, {("a", "b"): Fraction(3, 2)}, Fraction(1))


@given(st.floats(0, 0.99))
def test_the_split_keeps_the_error(correlation):
    error = design.error_under_null((0.004, 0.021), correlation)
    assert error + 1e-9 >= 0.021
    assert error <= 0.025


def test_the_error_of_unrelated_statistics_is_that_by_hand():
    assert design.error_under_null((0.004, 0.021), 0) == pytest.approx(1 - 0.996 * 0.979, abs=1e-7)


# --- several end points ---------------------------------------------------------------------


def test_hochberg_holm_and_bonferroni_by_hand():
    table = design.adjusted({"a": 0.01, "b": 0.03, "c": 0.04})
    assert table["Bonferroni"].tolist() == pytest.approx([0.03, 0.09, 0.12])
    assert table["Holm"].tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert table["Hochberg"].tolist() == pytest.approx([0.03, 0.04, 0.04])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_hochberg_is_never_stricter_than_holm_nor_holm_than_bonferroni(p_values):
    table = design.adjusted(dict(zip("abc", p_values, strict=True)))
    assert (table["Hochberg"] <= table["Holm"] + 1e-12).all()
    assert (table["Holm"] <= table["Bonferroni"] + 1e-12).all()


def test_whatever_the_missing_value_two_end_points_stand():
    table = design.whatever({"response": 0.001, "control": None, "skeletal": 0.001}, 0.05)
    assert table.drop(index="control", level="end_point")["always"].all()
    limits = table.xs("control", level="end_point")["up_to"]
    assert limits.to_dict() == pytest.approx({"Bonferroni": 0.05 / 3, "Holm": 0.05, "Hochberg": 0.05})


@given(st.floats(0.001, 0.2), st.floats(0.001, 0.2), st.floats(0, 1))
@settings(max_examples=8, deadline=None)
def test_whatever_holds_for_any_value(first, second, missing):
    known = {"a": first, "b": second, "c": None}
    table = design.whatever(known, 0.05)
    adjusted = design.adjusted(known | {"c": missing})
    for method in design.ADJUSTMENTS:
        for name in known:
            if table.at[(method, name), "always"]:
                assert adjusted.at[name, method] <= 0.05 + 1e-9


# --- planned against reached ----------------------------------------------------------------


def test_the_plan_of_enrolment():
    assert design.enrolment_plan() == {
        "added": 64,
        "early_planned": 257,
        "early_reached": 250,
        "late_planned": 557,
        "late_reached": 581,
        "late_original": 500,
    }


def test_the_deaths_of_figure_one_are_too_few_for_the_printed_interval():
    deaths = design.deaths_in_figure_one("all")
    errors = design.standard_errors("os", deaths)
    assert sum(deaths) == 496 < design.planned("os").events
    assert errors["least"] > errors["most"]


def test_a_fact_from_outside_has_its_source():
    value, source = design.outside_fact("design.os.hr")
    assert value == 0.7306
    assert "LBA4" in source
