"""The power rule: what it says of the power, of the hazard ratio, of the events, and of nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrial import schoenfeld
from visiontrial.identities import Claim, Power
from visiontrial.printed import EVERYTHING, as_printed, parse


def values(**printed):
    """Claims by name; of these, hazard ratio and power were rounded."""
    return {name: Claim(name, parse(text), name not in ("hr", "power")) for name, text in printed.items()}


RULE = Power("power", "", "power", "hr", "events", "ratio", ("alpha",))
EITHER = Power("power", "", "power", "hr", "events", "ratio", ("alpha", "smaller"))
PFS = values(power="84", hr="0.67", events="364", ratio="2:1", alpha="0.004")
OS = values(power="90", hr="0.73", events="508", ratio="2:1", alpha="0.025", smaller="0.021")


def allowed(rule, target, known):
    return known[target].allowed(rule.bounds(target, known)).text


def test_the_rule_by_hand():
    assert allowed(RULE, "power", PFS) == "81 to 85"
    assert allowed(RULE, "hr", PFS) == "0.67"
    assert allowed(RULE, "power", OS) == "91 to 93"
    assert allowed(EITHER, "power", OS) == "89 to 93"
    assert allowed(EITHER, "hr", OS) == "0.73 to 0.74"


@pytest.mark.parametrize("target", ["ratio", "alpha"])
def test_it_is_silent_on_allocation_and_levels(target):
    assert RULE.bounds(target, PFS) == EVERYTHING


@pytest.mark.parametrize("wrong", [{"hr": "1.00"}, {"power": "100"}, {"power": "0"}])
def test_it_is_silent_where_the_formula_does_not_reach(wrong):
    known = PFS | values(**wrong)
    assert all(RULE.bounds(target, known) == EVERYTHING for target in ("power", "hr", "events"))


@given(st.floats(0.4, 0.9), st.integers(100, 900), st.integers(1, 3), st.integers(1, 50))
def test_the_truth_is_never_excluded(hr, events, ratio, thousandths):
    power = 100 * schoenfeld.power(events, hr, thousandths / 1000, ratio)
    if 1 < power < 99:
        known = values(
            power=as_printed(power, 0), hr=as_printed(hr, 2), events=str(events),
            ratio=f"{ratio}:1", alpha=as_printed(thousandths / 1000, 3),
        )  # fmt: skip
        bounds = {t: RULE.bounds(t, known) for t in ("power", "hr", "events")}
        for target, truth in (("power", power), ("hr", hr), ("events", events)):
            assert float(bounds[target].low) <= truth * (1 + 1e-9)
            assert float(bounds[target].high) >= truth * (1 - 1e-9)
        assert RULE.holds(known)
