"""The house style of tables: markup that reads well aloud, the same bytes every time, two faces."""

from __future__ import annotations

from xml.etree import ElementTree

import pandas as pd
import pytest
from great_tables import GT, html, loc, style

from visiontrial import tables


def small_table(stub: str = "label") -> GT:
    frame = pd.DataFrame(
        {
            "group": ["Site & side", "Site & side", "Score"],
            "label": ["Bone", "Liver", "0 or 1"],
            "lu": ["71.0\n(52–94)", "2", "3"],
            "control": ["4", "5", "6"],
        }
    )
    names = {"rowname_col": stub, "groupname_col": "group"} if stub else {}
    made = GT(frame, **names).tab_stubhead("Characteristic").tab_spanner("Arms", ["lu", "control"])
    made = made.cols_label(lu="177Lu\nN = 385", control="Control")
    return made.tab_style(style.text(style="italic"), loc.body(rows=[1])).tab_source_note("A note.")


@pytest.fixture
def printable() -> tables.Printable:
    return tables.printable(small_table(), "small", "Two arms, side by side")


@pytest.fixture
def markup(printable: tables.Printable) -> ElementTree.Element:
    text = printable.html.replace("<br>", "<br/>")
    return ElementTree.fromstring(text)


def test_the_frame_scrolls_takes_the_keyboard_and_has_a_name(markup):
    assert markup.attrib == {
        "class": "table-scroll",
        "id": "table-small",
        "tabindex": "0",
        "role": "region",
        "aria-label": "Two arms, side by side",
    }
    assert "".join(markup.find("table/caption").itertext()) == "Two arms, side by side"
    assert markup.find("table")[0].tag == "caption"


def test_the_usual_table_is_built_from_rows():
    rows = [
        {"group": "Site", "label": "Bone", "words": "often", "count": 4, "unused": "x"},
        {"group": "Score", "label": "0 or 1", "words": "seldom", "count": 5, "unused": "y"},
    ]
    made = tables.from_rows(
        "usual", "Two rows", rows,
        stub="Where", headings={"count": "Patients", "words": "How"}, left=["words"], notes=["One.", "Two."],
    )  # fmt: skip
    assert made.text.splitlines() == [
        "Two rows",
        "Where   Patients     How",
        "Site",
        "Bone           4   often",
        "Score",
        "0 or 1         5  seldom",
        "One.",
        "Two.",
    ]
    cells = ElementTree.fromstring(made.html.replace("<br>", "<br/>")).findall(".//td")
    assert [cell.get("class").split()[-1] for cell in cells[:2]] == ["gt_right", "gt_left"]
    ungrouped = tables.from_rows(
        "usual", "Two rows", pd.DataFrame(rows)[["label"]], stub="Where", headings={}
    )
    assert "gt_group_heading" not in ungrouped.html.split("</style>")[1]


def test_every_heading_says_what_it_heads(markup):
    scopes = {"".join(cell.itertext()): cell.get("scope") for cell in markup.iter("th")}
    assert scopes == {
        "Characteristic": "col",
        "Arms": "colgroup",
        "177LuN = 385": "col",
        "Control": "col",
        "Site & side": "rowgroup",
        "Bone": "row",
        "Liver": "row",
        "Score": "rowgroup",
        "0 or 1": "row",
    }


def test_each_group_of_rows_is_a_body_of_its_own(markup):
    assert [len(body.findall("tr")) for body in markup.findall("table/tbody")] == [3, 2]


def test_the_second_line_of_a_cell_stands_below_the_first(markup):
    cell = markup.find("table/tbody/tr/td")
    assert cell.text == "71.0"
    assert [part.tag for part in cell] == ["br", "small"]
    assert cell.find("small").text == "(52–94)"


def test_italics_become_a_class_and_no_inline_style_is_left(printable, markup):
    derived = [cell for cell in markup.iter("td") if "derived" in cell.get("class", "")]
    assert [cell.text for cell in derived] == ["2", "5"]
    assert "style=" not in printable.html


def test_colours_follow_the_page_and_no_background_is_white(printable):
    css = ElementTree.fromstring(printable.html.replace("<br>", "<br/>")).find("style").text
    assert "background: none" in css
    for name in ("--chart-ink", "--chart-muted", "--chart-grid", "--pst-color-background"):
        assert f"var({name}," in css
    outside_variables = css.replace("#table-small", "").split("var(")[0]
    assert "#" not in outside_variables
    assert "@scope" not in css and "@ink" not in css


def test_the_style_touches_this_table_only(printable):
    css = printable.html.split("<style>")[1].split("</style>")[0]
    rules = css.replace("@media print {", "").replace("} }", "}").split("}")
    selectors = [rule.split("{")[0].strip() for rule in rules if "{" in rule]
    assert selectors and all(selector.startswith("#table-small") for selector in selectors)


def test_the_same_table_has_the_same_bytes():
    first, second = (tables.printable(small_table(), "small", "Two arms") for _ in range(2))
    assert first.html == second.html == first._repr_html_()
    assert first.text == second.text == repr(first)


def test_the_text_face_lines_up(printable):
    assert printable.text.splitlines() == [
        "Two arms, side by side",
        "Characteristic  Arms",
        "                177Lu N = 385  Control",
        "Site & side",
        "Bone             71.0 (52–94)        4",
        "Liver                       2        5",
        "Score",
        "0 or 1                      3        6",
        "A note.",
    ]


def test_a_table_without_spanner_or_groups_has_one_body():
    plain = GT(pd.DataFrame({"label": ["a"], "n": [1]}), rowname_col="label")
    made = tables.printable(plain, "plain", "Plain")
    assert made.html.count("<tbody>") == 1
    assert made.text.splitlines()[-1].split() == ["a", "1"]


def test_characters_of_html_are_shown_as_they_are():
    plain = GT(pd.DataFrame({"label": ["<0.001 & more"], "n": ["<b>"]}), rowname_col="label")
    made = tables.printable(plain, "plain", 'A "quoted" <caption>')
    assert "&lt;0.001 &amp; more" in made.html and "&lt;b&gt;" in made.html
    assert 'aria-label="A &quot;quoted&quot; &lt;caption&gt;"' in made.html
    assert made.text.splitlines()[-1].split() == ["<0.001", "&", "more", "<b>"]


def test_a_link_in_a_cell_is_kept_and_read_by_its_words():
    linked = GT(pd.DataFrame({"label": ["one"], "where": ["[there](a.html#b)"]}), rowname_col="label")
    made = tables.printable(linked.fmt_markdown("where"), "linked", "Words")
    assert '<a href="a.html#b">there</a>' in made.html
    assert made.text.splitlines()[-1].split() == ["one", "there"]


@pytest.mark.parametrize("name", ["Table 1", "", "two--hyphens", "umlaut-ä"])
def test_a_name_that_is_no_slug_is_refused(name):
    with pytest.raises(tables.TableError, match="lower-case words joined by hyphens"):
        tables.printable(small_table(), name, "Caption")


def test_a_table_without_caption_is_refused():
    with pytest.raises(tables.TableError, match="small: give it a caption"):
        tables.printable(small_table(), "small", "  ")


def test_rows_without_names_are_refused():
    with pytest.raises(tables.TableError, match="give GT a rowname_col"):
        tables.printable(GT(pd.DataFrame({"n": [1]})), "small", "Caption")


def test_markup_that_is_not_closed_is_refused():
    with pytest.raises(tables.TableError, match="close every tag"):
        tables.printable(small_table().cols_label(lu=html("a<br>b")), "small", "Caption")


def test_a_column_of_prose_wraps_and_notes_and_numbers_do_not():
    long = "a word " * 12
    frame = pd.DataFrame({"label": ["one", "two"], "says": [long, "little"], "number": ["1", "2"]})
    made = tables.printable(GT(frame, rowname_col="label").tab_source_note(long), "prose", "Words")
    cells = list(ElementTree.fromstring(made.html.replace("<br>", "<br/>")).iter("td"))
    prose = {"".join(c.itertext()).strip(): "prose" in c.get("class", "").split() for c in cells[:4]}
    assert prose == {long.strip(): True, "1": False, "little": True, "2": False}
    assert "prose" not in cells[4].get("class", "")
