"""The charts and tables of the forensics chapter: their data and words, not their pixels."""

from xml.etree import ElementTree

import pytest

from visiontrial import forensics, published
from visiontrial.figures import forensics as figures
from visiontrial.forensics import Finding

DEATHS = ("fig1.lu.discontinued-trial.died.all", "fig1.control.discontinued-trial.died.all")
FOLLOW_UP = {"177Lu-PSMA-617": "os.followup.lu", "control": "os.followup.control"}


def _drawn():
    known = forensics.as_published()
    shapes = tuple(forensics.shape(r.first, r.second, r.third, known) for r in known.of_rule("shape"))
    comparisons = (*forensics.arm_comparisons(known), *forensics.period_comparisons(known))
    return {
        "ties": figures.ties(known),
        "interval-width-os": figures.interval_width("os", DEATHS, "methods.os.events-planned", known),
        "comparisons": figures.comparisons(comparisons),
        "shapes": figures.shapes(shapes),
        "follow-up": figures.follow_up("followup.median", FOLLOW_UP, known),
    }


@pytest.fixture(scope="module")
def drawn():
    return _drawn()


NAMES = ("ties", "interval-width-os", "comparisons", "shapes", "follow-up")


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_legible_wide_and_narrow_and_the_same_twice(name, drawn):
    figure = drawn[name]
    assert figure.name == name
    assert figure.html() == _drawn()[name].html()  # `html` refuses what is illegible
    assert set(figure.variants) == {"wide", "narrow"}


def test_ties_are_drawn_as_they_are_counted():
    known = forensics.as_published()
    rows, counted = figures.ties_rows(known), forensics.ties(known)
    assert rows["relations"].sum() == counted[["equations", "orders", "repeats"]].sum().sum()
    assert rows["strength"].between(0, 1).all()


def test_only_the_counted_deaths_are_too_few():
    known = forensics.as_published()
    counted = tuple(published.value(claim_id) for claim_id in DEATHS)
    points = figures.width_points("os", counted, published.value("methods.os.events-planned"), known)
    assert list(points["allowed"]) == [False, True, True]
    fewest = points["events"].iloc[1]
    widest = forensics.standard_error("os", known)[1]
    curve = figures.width_curve(counted, 560).set_index("events")["error"]
    assert curve[fewest] <= widest < curve[fewest - 1]


def test_every_comparison_is_a_point_and_the_odd_ones_are_named(drawn):
    known = forensics.as_published()
    found = (*forensics.arm_comparisons(known), *forensics.period_comparisons(known))
    rows = figures.comparison_rows(found)
    assert len(rows) == len(found)
    odd = [f for f in forensics.findings() if f.rule in ("arms", "periods") and f.verdict == "odd"]
    assert rows["odd"].sum() == len(odd)
    for row in rows[rows["odd"]].itertuples():
        assert f"{row.label} ({row.one} against {row.other})" in drawn["comparisons"].description
    assert not rows.assign(x=rows["errors"].round(2)).duplicated(["x", "y"]).any()


def test_the_words_of_the_charts_are_their_numbers(drawn):
    for printed in ("followup.median", "os.followup.lu.median", "os.followup.control.median"):
        assert published.printed(printed) in drawn["follow-up"].description
    assert str(sum(published.value(i) for i in DEATHS)) in drawn["interval-width-os"].description


# --- tables ------------------------------------------------------------------------------------


def _parsed(markup):
    body = markup[markup.index("<table") : markup.index("</table>") + 8]
    return ElementTree.fromstring(body)


def test_the_findings_read_aloud_in_rows_and_headings():
    table = _parsed(figures.odd_findings(forensics.findings())._repr_html_())
    rows = table.findall("tbody/tr")
    odd = [f for f in forensics.findings() if f.verdict != "consistent"]
    assert len([row for row in rows if row.find("td") is not None]) == len(odd)
    assert all(row.find("th") is not None for row in rows)
    assert table.find("caption").text


def test_what_stands_in_a_finding_is_escaped():
    finding = Finding("sum", ("a.b",), "1 <b> 2", "odd", "a < b", "x & y", 1)
    shown = figures.FindingsTable((finding,), "one")
    assert "1 &lt;b&gt; 2" in shown._repr_html_()
    assert "arithmetic: 1 <b> 2" in repr(shown)


def test_the_tally_ends_with_all_rules():
    found = forensics.findings()
    last = figures.tally_table(found).text.splitlines()[-1]
    assert last.startswith("all rules")
    assert str(len(found)) in last


def test_the_unprotected_are_listed_by_kind():
    bare = forensics.unprotected(forensics.as_published(), forensics.findings())
    text = figures.unprotected_table(bare).text
    assert all(claim_id in text for claim_id in bare["claim_id"])
    assert all(kind in text for kind in bare["kind"])
