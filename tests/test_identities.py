"""Each rule against a case small enough to solve by hand, and against random truths."""

from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrial import identities, published
from visiontrial.identities import (
    AtMost,
    Centre,
    Claim,
    Linear,
    Percent,
    Product,
    Registry,
    Repeat,
    Sum,
    WaldP,
    linear,
)
from visiontrial.ledger import independent
from visiontrial.printed import as_printed, parse


def values(**printed):
    """Claims by name: those printed with a point were rounded, the others stand for themselves."""
    return {name: Claim(name, parse(text), "." not in text) for name, text in printed.items()}


def allowed(identity, target, known):
    return known[target].allowed(identity.bounds(target, known)).text


# --- reading relations ----------------------------------------------------------------------


def test_linear_reads_signs_coefficients_and_constants():
    assert linear("a.b + 2 * c.d - 100") == Linear((("a.b", 1), ("c.d", 2)), Fraction(-100))
    assert linear("100 - 100 * pfs.alpha") == Linear((("pfs.alpha", -100),), Fraction(100))


@pytest.mark.parametrize("text", ["", "a.b +", "a.b ** c.d", "3 4", "a.b / c.d"])
def test_linear_refuses_what_it_cannot_read(text):
    with pytest.raises(ValueError, match="cannot read the term"):
        linear(text)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefg"), st.integers(-9, 9).filter(bool)),
        min_size=1,
        unique_by=lambda t: t[0],
    )
)
def test_linear_reads_back_what_it_writes(terms):
    relation = Linear(tuple((f"claim.{name}", Fraction(c)) for name, c in terms))
    assert linear(str(relation)) == relation


# --- rules, by hand -------------------------------------------------------------------------


def test_a_percent_and_its_count_pin_each_other():
    # 47 of 84 is 55.95...%; 46 would be 54.8, 48 would be 57.1
    known = values(p="56", c="47", n="84")
    known["p"] = Claim("p", parse("56"), exact=False)
    rule = Percent("percent", "", "p", Linear((("c", 1),)), Linear((("n", 1),)))
    assert allowed(rule, "p", known) == "56"
    assert allowed(rule, "c", known) == "47"
    # 47/n rounds to 56% for n from 47/.565 = 83.2 to 47/.555 = 84.7
    assert allowed(rule, "n", known) == "84"


def test_a_percent_of_a_large_whole_leaves_neighbours():
    # 12.6% of 10,000 is any count from 1255 to 1264
    known = values(p="12.6", c="1260", n="10000")
    rule = Percent("percent", "", "p", Linear((("c", 1),)), Linear((("n", 1),)))
    assert allowed(rule, "c", known) == "1255 to 1264"
    assert allowed(rule, "p", known) == "12.6"


def test_a_sum_certifies_each_member():
    known = values(whole="7", a="3", b="4")
    rule = Sum("sum", "", Linear((("whole", 1),)), Linear((("a", 1), ("b", 1))))
    assert [allowed(rule, t, known) for t in ("whole", "a", "b")] == ["7", "3", "4"]
    assert rule.holds(known)
    assert not rule.holds(known | values(b="5"))


def test_a_sum_of_rounded_numbers_carries_their_rounding():
    # 0.3 + 0.4 printed: the sum lies in [0.60, 0.80), so 0.6, 0.7 or 0.8 could be printed
    known = values(whole="0.7", a="0.3", b="0.4")
    rule = Sum("sum", "", Linear((("whole", 1),)), Linear((("a", 1), ("b", 1))))
    assert allowed(rule, "whole", known) == "0.6 to 0.8"


def test_an_order_bounds_one_side():
    known = values(a="3", b="5")
    rule = AtMost("order", "", Linear((("a", 1),)), Linear((("b", 1),)))
    assert allowed(rule, "a", known) == "at most 5"
    assert allowed(rule, "b", known) == "at least 3"
    assert not rule.holds(values(a="6", b="5"))
    assert not rule.is_equation


def test_a_hazard_ratio_is_the_geometric_middle_of_its_interval():
    # sqrt(0.515 * 0.735) = 0.61524..., sqrt(0.525 * 0.745) = 0.62540...: 0.62 or 0.63
    known = values(hr="0.62", low="0.52", high="0.74")
    rule = Centre("centre", "", "hr", "low", "high")
    assert allowed(rule, "hr", known) == "0.62 to 0.63"
    # 0.615^2 / 0.745 = 0.5077, 0.625^2 / 0.735 = 0.5314
    assert allowed(rule, "low", known) == "0.51 to 0.53"
    assert not rule.holds(known | values(hr="0.68"))


def test_an_interval_far_from_one_leaves_a_small_p_value():
    # log(0.62) / ((log 0.74 - log 0.52) / 2 / 1.95996) = -5.31: P = 1.1e-7
    known = values(p="<0.001", low="0.52", high="0.74", level="95")
    rule = WaldP("wald", "", "p", "low", "high", "level")
    assert allowed(rule, "p", known) == "<0.001"
    bounds = rule.bounds("p", known)
    assert float(bounds.low) < 1.1e-7 < float(bounds.high)
    assert not rule.holds(known | values(low="0.90", high="1.10"))


def test_two_units_of_one_dose():
    # 1 curie = 37 GBq: 200 mCi = 7.4 GBq
    known = values(gbq="7.4", mci="200")
    rule = Product("product", "", "gbq", Fraction("0.037"), "mci")
    assert allowed(rule, "gbq", known) == "7.4"
    assert not rule.holds(known | values(mci="201")) or allowed(rule, "mci", known) != "200"


# --- rules, against random truths -------------------------------------------------------------


@given(st.integers(1, 3000), st.data())
def test_a_true_percent_is_never_refused(n, data):
    count = data.draw(st.integers(0, n))
    known = values(p=as_printed(Fraction(100 * count, n), 1), c=str(count), n=str(n))
    rule = Percent("percent", "", "p", Linear((("c", 1),)), Linear((("n", 1),)))
    assert rule.holds(known)
    for target in rule.claim_ids:
        assert rule.bounds(target, known).meets(known[target].interval)


@given(st.floats(0.05, 5), st.floats(0.02, 0.9))
def test_a_true_wald_interval_is_never_refused(ratio, half_width):
    low, high = ratio * 2.718281828**-half_width, ratio * 2.718281828**half_width
    known = values(hr=as_printed(ratio, 2), low=as_printed(low, 2), high=as_printed(high, 2))
    rule = Centre("centre", "", "hr", "low", "high")
    for target in rule.claim_ids:
        assert rule.bounds(target, known).meets(known[target].interval)


# --- the registry -----------------------------------------------------------------------------


def _small():
    """Two arms that add up, one of them printed twice, with a percent."""
    known = values(all="10", a="3", b="7", twin="3", p="30.0")
    rules = (
        Sum("sum", "", Linear((("all", 1),)), Linear((("a", 1), ("b", 1)))),
        Percent("percent", "", "p", Linear((("a", 1),)), Linear((("all", 1),))),
    )
    return Registry(known, rules, (Repeat("twin", "a"),))


def test_a_repeat_shares_the_evidence_but_gives_none():
    registry = _small()
    assert registry.twins("twin") == {"a", "twin"}
    claim = registry.values["twin"]
    assert claim.allowed(registry.bounds("twin")).text == "3"
    # without the equations, a repeat alone pins nothing
    alone = Registry(registry.values, (), registry.repeats)
    assert alone.values["twin"].allowed(alone.bounds("twin")).count is None


def test_a_number_never_certifies_its_own_repeat():
    known = values(a="3", twin="3")
    circular = Sum("sum", "", Linear((("a", 1),)), Linear((("twin", 1),)))
    registry = Registry(known, (circular,), (Repeat("twin", "a"),))
    assert list(registry.touching("a")) == []


def test_independent_equations_are_a_rank():
    registry = _small()
    assert independent(list(registry.identities), registry) == 2
    doubled = [*registry.identities, registry.identities[0]]
    assert independent(doubled, registry) == 2
    assert independent([], registry) == 0


def test_the_difference_of_two_sums_adds_no_equation():
    """Parts and wholes in a set and in a subset make their difference's sum dependent."""
    known = values(A="10", a="4", b="6", S="6", s="3", t="3", D="4", d="1", e="3")

    def one(*names):
        return Linear(tuple((name, 1) for name in names))

    sums = [
        Sum("sum", "", one(w), one(x, y)) for w, x, y in (("A", "a", "b"), ("S", "s", "t"), ("D", "d", "e"))
    ]
    less = [
        Sum("sum", "", one(d), Linear(((w, 1), (s, -1))))
        for d, w, s in (("D", "A", "S"), ("d", "a", "s"), ("e", "b", "t"))
    ]
    registry = Registry(known, tuple(sums + less), ())
    assert independent(sums + less, registry) == 5


# --- the paper's own --------------------------------------------------------------------------


def _registry(claims=None, declared=None):
    return identities.registry(
        published.claims() if claims is None else claims,
        published.flow(),
        published.identities_table() if declared is None else declared,
    )


def test_every_percent_with_a_count_has_its_equation():
    claims = published.claims()
    percents = {i.percent for i in _registry().identities if isinstance(i, Percent)}
    twins = _registry().twins
    missing = [i for i in claims.loc[claims["statistic"] == "percent", "claim_id"] if not twins(i) & percents]
    assert missing == []


def test_figure_one_adds_up_in_both_sets():
    texts = {i.text for i in _registry().identities}
    for analysis_set in ("all", "pfs"):
        end = [
            f"fig1.lu.{box}.{analysis_set}"
            for box in ("discontinued-trial", "long-term-follow-up", "continuing-standard-care")
        ]
        assert f"fig1.lu.assigned.{analysis_set} = {' + '.join(end)}" in texts


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("sum", "os.hr", "nobody.hr", "", ""), "line 2: no such claim: nobody.hr"),
        (("ratio", "os.hr", "pfs.hr", "", ""), "line 2: kind 'ratio' is unknown"),
        (("sum", "os.hr", "pfs.hr / sse.hr", "", ""), "line 2: cannot read the term"),
    ],
)
def test_a_declared_relation_that_cannot_be_read_is_named(row, message):
    declared = pd.DataFrame([row], columns=published.identities_table().columns)
    with pytest.raises(published.PublishedDataError, match=message.replace(".", r"\.")):
        _registry(declared=declared)
