"""The diagram: every number is in it, nothing overlaps, text fits, arrows touch what they join."""

import itertools
import re

import pandas as pd
import pytest

from visiontrial import eligibility, render
from visiontrial.figures import consort, withdrawals

SHEETS = [pytest.param(consort.WIDE, id="wide"), pytest.param(consort.NARROW, id="narrow")]


@pytest.fixture(scope="module")
def figure() -> render.Figure:
    return consort.eligibility_flow()


def layout(sheet: consort.Sheet) -> consort.Layout:
    return consort.lay_out(eligibility.tree(), sheet)


def rows_of(specification: dict) -> list[dict]:
    """All data of a chart, wherever they stand in its specification."""
    found = list(itertools.chain.from_iterable(specification.get("datasets", {}).values()))
    for layer in specification.get("layer", []):
        found += layer.get("data", {}).get("values", [])
    return found


def overlap(a: consort.Panel, b: consort.Panel) -> bool:
    return a.x < b.right and b.x < a.right and a.y < b.bottom and b.y < a.bottom


@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_every_number_of_every_box_is_in_the_data(figure, variant):
    rows = rows_of(figure.variants[variant])
    drawn = [row for row in rows if "adds_up" in row]
    expected = eligibility.tree()
    assert {row["box"] for row in drawn} == set(expected["box"])
    numbers = expected.drop_duplicates("box").set_index("box")
    for row in drawn:
        later = numbers.at[row["box"], "pfs"]
        assert row["all"] == numbers.at[row["box"], "all"]
        assert row["later"] == ("–" if pd.isna(later) else later)


@pytest.mark.parametrize("sheet", SHEETS)
def test_every_number_is_written_in_its_own_panel(sheet):
    for panel in layout(sheet).panels:
        _, numbers = consort._typeset(panel, sheet)
        written = [row["text"] for row in numbers]
        assert written == [text for line in panel.lines for text in (line.number, line.later) if text]


@pytest.mark.parametrize("sheet", SHEETS)
def test_no_two_boxes_overlap(sheet):
    for a, b in itertools.combinations(layout(sheet).panels, 2):
        assert not overlap(a, b), (a.boxes, b.boxes)


@pytest.mark.parametrize("sheet", SHEETS)
def test_text_fits_its_box(sheet):
    for panel in layout(sheet).panels:
        words, numbers = consort._typeset(panel, sheet)
        for row in words:
            width = consort.text_width(row["text"], row["size"], bold=row["style"] == "bold")
            assert row["x"] + width <= panel.right - sheet.pad - panel.number_width(sheet), row
        for row in words + numbers:
            assert panel.y <= row["y"] - row["size"] / 2
            assert row["y"] + row["size"] / 2 <= panel.bottom


@pytest.mark.parametrize("sheet", SHEETS)
def test_everything_stays_on_the_sheet(sheet):
    for panel in layout(sheet).panels:
        assert panel.x >= 0
        assert panel.right <= sheet.width
        assert panel.y >= 0


@pytest.mark.parametrize("sheet", SHEETS)
def test_arrows_run_straight_and_cross_no_box(sheet):
    drawn = layout(sheet)
    for line in drawn.segments:
        assert line["x"] == line["x2"] or line["y"] == line["y2"]
        for panel in drawn.panels:
            inside_x = max(line["x"], line["x2"]) > panel.x and min(line["x"], line["x2"]) < panel.right
            inside_y = max(line["y"], line["y2"]) > panel.y and min(line["y"], line["y2"]) < panel.bottom
            assert not (inside_x and inside_y), (line, panel.boxes)


@pytest.mark.parametrize("sheet", SHEETS)
def test_every_box_but_the_first_is_reached_by_an_arrow(sheet):
    drawn = layout(sheet)
    for panel in drawn.panels:
        if panel.parent:
            touching = [
                head for head in drawn.heads
                if panel.x - 5 <= head["x"] <= panel.right + 5 and panel.y - 5 <= head["y"] <= panel.bottom
            ]  # fmt: skip
            assert touching, panel.boxes


def test_a_parent_stands_above_its_parts():
    for sheet in (consort.WIDE, consort.NARROW):
        panels = layout(sheet).panels
        place = {box: panel for panel in panels if panel.role == "main" for box in panel.boxes}
        for panel in panels:
            if panel.parent:
                assert place[panel.parent].bottom < panel.y


def test_text_is_large_enough_on_a_small_phone():
    assert min(consort.NARROW.head, consort.NARROW.body) >= render.MIN_FONT_SIZE
    assert consort.NARROW.width <= render.MAX_NARROW_WIDTH


def test_the_layout_follows_the_tree():
    """One more reason makes its box and its row higher, and moves what stands below."""
    boxes = eligibility.tree().copy()
    extra = boxes[boxes["box"] == "fig1.control.no-standard-care.died"].assign(
        box="fig1.control.no-standard-care.new", label="A reason that is new"
    )
    longer = consort.lay_out(pd.concat([boxes, extra], ignore_index=True), consort.WIDE)
    before = layout(consort.WIDE)
    assert longer.height == pytest.approx(before.height + consort.WIDE.leading(consort.ITEM))


def test_wrapping_keeps_every_word_and_the_width():
    text = "Assigned to 177Lu-PSMA-617 plus standard care"
    lines = consort.wrap(text, 120, 13, bold=True, hang=9)
    assert " ".join(lines) == text
    assert all(consort.text_width(line, 13, bold=True) <= 120 for line in lines)
    assert consort.wrap("one", 1, 13) == ["one"]


def test_width_of_text_in_closed_form():
    assert consort.text_width("00", 10) == pytest.approx(11.12)  # a figure is 556/1000 wide in Helvetica
    assert consort.text_width("Ω", 10) == pytest.approx(9.44)  # an unknown letter counts as the widest


def test_hover_shows_how_a_number_comes_about(figure):
    drawn = {row["box"]: row for row in rows_of(figure.variants["wide"]) if "adds_up" in row}
    assert drawn["fig1.screening.assessed"]["adds_up"] == "1179 = 176 + 1003"
    assert drawn["fig1.control.assigned"]["adds_up_later"].startswith("196 = 32 + 164")
    assert drawn["fig1.control.no-standard-care"]["before"] == 47


def test_the_description_is_made_of_the_numbers(figure):
    for number in ("1179", "1003", "831 (581)", "551 (385)", "280 (196)", "79 (32)"):
        assert number in figure.description


def test_the_same_bytes_twice(figure):
    assert figure.html() == consort.eligibility_flow().html()


def test_both_variants_are_legible(figure):
    for variant in ("wide", "narrow"):
        assert "var(--chart-" in figure.svg(variant)  # raises when too wide, too small or off the palette


def test_shares_show_every_count_and_interval():
    table = eligibility.never_treated()
    figure = withdrawals.shares("never-treated", {"Never treated": table}, "95% Wilson interval")
    rows = rows_of(figure.specification)
    assert [(r["arm"], r["set"], r["count"], r["total"]) for r in rows] == list(
        table[["arm", "set", "count", "total"]].itertuples(index=False, name=None)
    )
    assert "47 of 84 (56%), interval 45.3 to 66.1%" in figure.description
    assert re.search("Standard care alone, before", figure.svg("narrow"))
    assert "before March 5, 2019" in figure.svg("wide")


def test_panels_of_shares_are_on_one_scale():
    tables = {"a": eligibility.never_treated(), "b": eligibility.left_trial()}
    specification = withdrawals.shares("two", tables, "95% Wilson interval").specification
    scales = [
        layer["encoding"]["x"]["scale"]["domain"]
        for panel in specification["vconcat"]
        for layer in panel["layer"]
        if "scale" in layer["encoding"].get("x", {})
    ]
    assert scales == [[0, 70], [0, 70]]
