"""Rounding is the book's only tolerance, so it is tested against exact arithmetic."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrial.printed import (
    Interval,
    UnreadableNumber,
    as_printed,
    as_printed_like,
    parse,
    parse_date,
    printable,
    prints_as,
)

decimals = st.integers(0, 4)
fractions = st.fractions(min_value=0, max_value=10_000, max_denominator=9_999)


@pytest.mark.parametrize(
    ("text", "value", "places", "sign"),
    [
        ("0.40", Fraction(2, 5), 2, ""),
        ("<0.001", Fraction(1, 1000), 3, "<"),
        ("≥97", Fraction(97), 0, "≥"),
        ("1179", Fraction(1179), 0, ""),
        ("four", Fraction(4), 0, ""),
        ("one fifth", Fraction(1, 5), 0, ""),
        ("none", Fraction(0), 0, ""),
        ("2:1", Fraction(2), 0, ""),
    ],
)
def test_parse_reads_what_papers_print(text, value, places, sign):
    number = parse(text)
    assert (number.value, number.decimals, number.sign) == (value, places, sign)


@pytest.mark.parametrize("text", ["", "0,62", "12 %", "about 5", "1.2.3", "--", "≈3", "May 5, 2019"])
def test_parse_refuses_everything_else_and_says_what_to_write(text):
    with pytest.raises(UnreadableNumber, match="write digits"):
        parse(text)


def test_dates_to_the_day_and_to_the_month():
    assert parse_date("March 5, 2019").isoformat() == "2019-03-05"
    assert parse_date("June 2018").isoformat() == "2018-06-01"
    assert parse_date("mid-October 2019").isoformat() == "2019-10-15"
    with pytest.raises(UnreadableNumber, match="write it as"):
        parse_date("2019-03-05")


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (Fraction(1, 8), 2, "0.13"),  # a tie goes up
        (0.125, 2, "0.13"),
        (0.615, 2, "0.62"),  # below one half in binary, a tie in the decimals that were written
        (Fraction(47 * 100, 84), 0, "56"),  # 55.95
        (0, 1, "0.0"),
        (-0.04, 1, "0.0"),
        (-1.25, 1, "-1.3"),
    ],
)
def test_rounding_is_half_up_on_the_decimals_as_written(value, places, text):
    assert as_printed(value, places) == text


@given(fractions, decimals)
def test_a_value_always_prints_as_what_it_is_rounded_to(value, places):
    text = as_printed(value, places)
    assert prints_as(value, text)
    assert Interval.point(value).meets(parse(text).interval(exact=False))


@given(fractions, decimals)
def test_a_neighbour_one_step_away_never_prints_alike(value, places):
    neighbour = as_printed(value + Fraction(1, 10**places), places)
    assert not prints_as(value, neighbour)


def test_signs_and_words_agree_with_the_values_they_allow():
    assert prints_as(0.0004, "<0.001")
    assert not prints_as(0.001, "<0.001")
    assert prints_as(Fraction(807 * 100, 831), "≥97")
    assert prints_as(4, "four")
    assert not prints_as(4.2, "four")


@given(fractions, fractions, decimals)
def test_printable_lists_exactly_what_the_values_of_an_interval_print_as(one, other, places):
    low, high = sorted((one, other))
    like = parse(as_printed(low, places))
    allowed = printable(Interval(low, high), like, exact=False)
    assert allowed.lowest == as_printed(low, places)
    assert allowed.highest == as_printed(high, places)
    steps = (Fraction(allowed.highest) - Fraction(allowed.lowest)) * 10**places
    assert allowed.count == steps + 1


def test_printable_counts_are_the_whole_numbers_inside():
    assert printable(Interval(Fraction(93, 2), Fraction(95, 2)), parse("47"), exact=True).text == "47"
    assert (
        printable(Interval(Fraction(47), Fraction(48), low_open=True), parse("47"), exact=True).text == "48"
    )
    nothing = printable(Interval(Fraction(471, 10), Fraction(479, 10)), parse("47"), exact=True)
    assert (nothing.count, nothing.text) == (0, "nothing")
    assert printable(Interval(None, Fraction(52)), parse("48"), exact=True).text == "at most 52"


def test_a_signed_number_holds_beside_endlessly_many_others():
    tiny = printable(Interval.point(Fraction(1, 10**7)), parse("<0.001"), exact=False)
    assert (tiny.text, tiny.count) == ("<0.001", None)
    unsure = printable(Interval(Fraction(0), Fraction(1, 2)), parse("<0.001"), exact=False)
    assert (unsure.text, unsure.count) == ("anything", None)
    assert printable(Interval.point(Fraction(1, 2)), parse("<0.001"), exact=False).count == 0


def test_the_upper_end_of_a_rounding_interval_is_not_in_it():
    # [0.615, 0.625): a value of exactly 0.625 prints as 0.63
    sixty_two = parse("0.62").interval(exact=False)
    assert printable(sixty_two, parse("0.62"), exact=False).text == "0.62"
    assert not Interval.point(Fraction(5, 8)).meets(sixty_two)


@given(fractions, fractions, fractions, fractions)
def test_interval_arithmetic_encloses_the_arithmetic_of_its_members(a, b, c, d):
    first, second = Interval(*sorted((a, b))), Interval(*sorted((c, d)))
    for x, y in ((first.low, second.high), (first.high, second.low)):
        assert Interval.point(x + y).meets(first + second)
        assert Interval.point(x - y).meets(first - second)
        assert Interval.point(x * y).meets(first.times(second))
        if second.low > 0:
            assert Interval.point(x / y).meets(first.over(second))


@pytest.mark.parametrize(
    ("value", "printed", "ours"),
    [
        (0.625, "0.62", "0.63"),
        (0.1 + 0.2, "0.30", "0.30"),
        (70.0, "71", "70"),
        (2.5e-7, "<0.001", "<0.001"),
        (0.0012, "<0.001", "0.001"),
        (98.2, "≥97", "≥97"),
        (math.inf, "15.3", "not reached"),
        (math.nan, "15.3", "not defined"),
    ],
)
def test_a_value_of_ours_is_printed_as_the_paper_would_in_that_place(value, printed, ours):
    assert as_printed_like(value, printed) == ours
