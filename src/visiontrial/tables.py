"""Tables worth printing: one house style over great_tables.

A chapter builds a `great_tables.GT`, hands it over with a name and a caption, and leaves the
result as the last value of a cell::

    tables.printable(gt, "baseline", "Characteristics of the patients at baseline")

A table without spanners or markup in its cells needs no `GT` of its own: `from_rows` builds it.

The result has two faces: HTML that reads well aloud (a caption, scopes, one row group per
group of rows, a frame that scrolls and takes the keyboard), in colours that follow the
page's (light, dark, paper), and plain text for terminals. Both are made from the same
markup, and its bytes depend on nothing but the table.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any
from xml.etree import ElementTree

import pandas as pd
from great_tables import GT

# Only these carry meaning; what else great_tables writes is its own style and its own ids.
_KEPT = {"scope", "colspan", "rowspan", "href"}
_CLASSES = {
    "gt_table", "gt_row", "gt_stub", "gt_left", "gt_center", "gt_right", "gt_col_heading",
    "gt_column_spanner", "gt_group_heading", "gt_sourcenote",
}  # fmt: skip


LONGEST_LINE = 60
"""Characters of a cell that stay on one line; a column that holds more is prose, and wraps."""


class TableError(ValueError):
    """A table that cannot be given the house style; the message says what to change."""


class Printable:
    """A table with its two faces; made by `printable`."""

    def __init__(self, gt: GT, name: str, caption: str):
        self.name = name
        self.caption = caption
        self._table = _house_markup(gt, name, caption)

    @cached_property
    def html(self) -> str:
        """The table in its scrolling frame, with the style that it needs and no other."""
        label = html.escape(self.caption, quote=True)
        table = ElementTree.tostring(self._table, encoding="unicode", method="html")
        return (
            f'<div class="table-scroll" id="table-{self.name}" tabindex="0" role="region" '
            f'aria-label="{label}"><style>{_style(f"#table-{self.name}")}</style>{table}</div>'
        )

    @cached_property
    def text(self) -> str:
        """The table in columns of text, its caption above and its notes below."""
        rows = _head(self._table) + [_cells(row) for row in self._table.findall("tbody/tr")]
        notes = [text for row in self._table.findall("tfoot/tr") for text, _ in _cells(row)]
        return "\n".join([self.caption, *_aligned(rows), *notes])

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def printable(gt: GT, name: str, caption: str) -> Printable:
    """Give a `great_tables.GT` the house style.

    name     stable slug (lower-case words joined by hyphens); the id on the page is `table-<name>`
    caption  what the table shows, in words; also its name to assistive technology

    In a cell or a heading, what follows a line end (`71.0\\n(52–94)`) stands below it, smaller.

    Raises `TableError` for a name that is no slug, an empty caption, no row labels
    (`rowname_col`), or markup that is not well-formed (in `great_tables.html`, close every
    tag: `<br/>`).
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise TableError(f"table name {name!r}: use lower-case words joined by hyphens")
    if not caption.strip():
        raise TableError(f"table {name}: give it a caption")
    return Printable(gt, name, caption)


def from_rows(
    name: str,
    caption: str,
    rows: pd.DataFrame | Iterable[Mapping[str, Any]],
    *,
    stub: str,
    headings: Mapping[str, str],
    left: Collection[str] = (),
    notes: Iterable[str] = (),
) -> Printable:
    """The usual table: names of rows, perhaps in groups, and columns of numbers or text.

    name, caption  as in `printable`
    rows           `label` names each row; where they have `group`, rows of one group stand together
    stub           heading of the names of rows
    headings       the columns to show, in this order, and the heading of each
    left           those of them that hold words and begin at the left; the others end at the right
    notes          what stands below the table, a line each
    """
    frame = pd.DataFrame(rows)
    names = [column for column in ("group", "label") if column in frame]
    made = (
        GT(frame[[*names, *headings]], rowname_col="label", groupname_col=names[0] if names[1:] else None)
        .tab_stubhead(stub)
        .cols_label(**headings)
        .cols_align("left", list(left))
        .cols_align("right", [column for column in headings if column not in left])
    )
    for note in notes:
        made = made.tab_source_note(note)
    return printable(made, name, caption)


def _house_markup(gt: GT, name: str, caption: str) -> ElementTree.Element:
    markup = re.search(r"<table.*</table>", gt.with_id(name).as_raw_html(), re.DOTALL)[0]
    try:
        table = ElementTree.fromstring(markup)
    except ElementTree.ParseError as error:
        raise TableError(f"table {name}: its markup is not well-formed ({error}); close every tag") from error
    if table.find("tbody/tr/th[@scope='row']") is None:
        raise TableError(f"table {name}: its rows have no names; give GT a rowname_col")
    for element in table.iter():
        _keep_meaning(element)
    _unwrap_spanners(table)
    _let_prose_wrap(table)
    _one_body_per_group(table)
    heading = ElementTree.Element("caption")
    heading.text = caption
    table.insert(0, heading)
    for element in [heading, *table.findall(".//th[@scope='rowgroup']"), *table.findall("tfoot/tr/td")]:
        _let_stay(element)
    return table


def _keep_meaning(element: ElementTree.Element) -> None:
    """Drop great_tables' ids, inline styles and style classes, and the white space of its template."""
    italic = "italic" in element.get("style", "")
    classes = [c for c in element.get("class", "").split() if c in _CLASSES]
    element.attrib = {k: v for k, v in element.attrib.items() if k in _KEPT and v != "1"}
    if italic:
        classes.append("derived")
    if classes:
        element.set("class", " ".join(classes))
    element.text = (element.text or "").strip() or None
    if element.text and element.tag in ("th", "td") and "\n" in element.text:
        _in_two_lines(element)
    element.tail = (element.tail or "").strip("\n") if (element.tail or "").strip() else None


def _in_two_lines(cell: ElementTree.Element) -> None:
    first, second = cell.text.split("\n", 1)
    cell.text = first
    ElementTree.SubElement(cell, "br")
    ElementTree.SubElement(cell, "small").text = second


def _unwrap_spanners(table: ElementTree.Element) -> None:
    for cell in table.findall("thead/tr/th"):
        spanner = cell.find("span[@class='gt_column_spanner']")
        if spanner is not None:
            cell.set("class", "gt_col_heading gt_column_spanner gt_center")
            cell.text = spanner.text
            for child in list(spanner):
                cell.append(child)
            cell.remove(spanner)


def _let_prose_wrap(table: ElementTree.Element) -> None:
    """Mark the columns that hold prose; in the others a line stays whole."""
    rows = [row.findall("td") for row in table.findall("tbody/tr")]
    for column in zip(*(cells for cells in rows if cells), strict=True):
        if any(len("".join(cell.itertext())) > LONGEST_LINE for cell in column):
            for cell in column:
                cell.set("class", f"{cell.get('class', '')} prose".strip())


def _let_stay(element: ElementTree.Element) -> None:
    """Wrap the content of what is as wide as the table, so that it stays in sight when the table scrolls."""
    holder = ElementTree.Element("span", {"class": "stays"})
    holder.text, element.text = element.text, None
    for child in list(element):
        element.remove(child)
        holder.append(child)
    element.append(holder)


def _one_body_per_group(table: ElementTree.Element) -> None:
    """Give each group of rows a body of its own, which its heading then names (scope `rowgroup`)."""
    body = table.find("tbody")
    position = list(table).index(body)
    groups: list[ElementTree.Element] = []
    for row in list(body):
        heading = row.find("th[@class='gt_group_heading']")
        if heading is not None:
            heading.set("scope", "rowgroup")
        if heading is not None or not groups:
            groups.append(ElementTree.Element("tbody"))
        groups[-1].append(row)
    table.remove(body)
    for number, group in enumerate(groups):
        table.insert(position + number, group)


_STYLE = """
@scope { container-type: inline-size; overflow-x: auto; max-width: 100% }
@scope table { border-collapse: collapse; width: auto; margin: 0; color: @ink; background: none;
  border-block: 2px solid @ink; font-size: .875rem; line-height: 1.35;
  font-variant-numeric: tabular-nums lining-nums }
@scope caption { caption-side: top; text-align: left; font-weight: 600; padding: 0 0 .5rem }
@scope table :is(th, td) { padding: .25rem .4rem; border: 0; background: none; text-align: right;
  font-weight: 400; vertical-align: baseline }
@scope table td { white-space: nowrap }
@scope table td.prose { white-space: normal; min-width: 10rem }
@scope table tr:has(.prose) > * { vertical-align: top }
@scope table tbody > tr > * { border-bottom: 1px solid @line }
@scope table thead th { font-weight: 600; vertical-align: bottom }
@scope table thead > tr:last-child > *, @scope table thead [rowspan] { border-bottom: 1px solid @muted }
@scope table thead .gt_column_spanner { text-align: center;
  background: linear-gradient(@muted, @muted) bottom / calc(100% - 1rem) 1px no-repeat }
@scope table small { font-size: .75rem; font-weight: 400; color: @muted }
@scope table :is(.gt_left, .gt_stub, .gt_group_heading, .gt_sourcenote) { text-align: left }
@scope table thead .gt_center { text-align: center }
@scope table .gt_group_heading { font-weight: 600; padding-top: .7rem }
@scope table :is(.gt_stub, thead th:first-child.gt_left) { position: sticky; left: 0; z-index: 1;
  padding-left: 0; background: @page; min-width: 6.5rem }
@scope table .gt_group_heading { padding-left: 0 }
@scope table .derived { font-style: italic }
@scope table tfoot td { white-space: normal; padding: .35rem 0 0; border: 0;
  font-size: .8125rem; color: @muted }
@scope table tfoot tr:last-child td { padding-bottom: .5rem }
@scope .stays { display: block; position: sticky; left: 0; width: fit-content; max-width: 100cqi }
@media print {
  @scope { overflow: visible; container-type: normal }
  @scope table { font-size: 8pt; break-inside: auto !important }
  @scope thead { display: table-header-group }
  @scope tfoot { display: table-row-group }
  @scope :is(tr, tbody) { break-inside: avoid }
  @scope table :is(th, .stays) { position: static; max-width: none }
}
"""
# The page's colours where there are any, those of JupyterLab there, black on white elsewhere.
_COLOURS = {
    "@ink": "var(--chart-ink, var(--jp-content-font-color1, #1b2530))",
    "@muted": "var(--chart-muted, var(--jp-content-font-color2, #55606d))",
    "@line": "var(--chart-grid, var(--jp-border-color2, #dde2e8))",
    "@page": "var(--pst-color-background, var(--jp-layout-color0, #ffffff))",
}


def _style(scope: str) -> str:
    """The house rules for one table, so that nothing else on the page changes."""
    style = " ".join(_STYLE.split())
    for name, value in {"@scope": scope, **_COLOURS}.items():
        style = style.replace(name, value)
    return style


# --- the text face -----------------------------------------------------------------------

_GAP = "  "
Cell = tuple[str, int]
"""The text of a cell and the number of columns it spans."""


def _cells(row: ElementTree.Element) -> list[Cell]:
    return [(" ".join("".join(_spaced(cell)).split()), int(cell.get("colspan", "1"))) for cell in row]


def _spaced(cell: ElementTree.Element):
    """The texts of a cell; a line break parts words."""
    for element in cell.iter():
        yield " " if element.tag == "br" else ""
        yield element.text or ""
        if element is not cell:
            yield element.tail or ""


def _head(table: ElementTree.Element) -> list[list[Cell]]:
    """The rows of the head, with an empty cell below each one that spans two rows."""
    rows = table.findall("thead/tr")
    heads = [_cells(row) for row in rows]
    if len(rows) == 2:
        column = 0
        for cell in rows[0]:
            if cell.get("rowspan") == "2":
                heads[1].insert(column, ("", 1))
            column += int(cell.get("colspan", "1"))
    return heads


def _aligned(rows: list[list[Cell]]) -> list[str]:
    """One line per row: first column to the left, the others to the right, what spans columns to the left."""
    widths = [0] * max(sum(span for _, span in row) for row in rows)
    for row in sorted(rows, key=lambda row: max(span for _, span in row)):
        column = 0
        for text, span in row:
            missing = len(text) - _width(widths[column : column + span])
            widths[column + span - 1] += max(0, missing)
            column += span
    return [_line(row, widths) for row in rows]


def _line(row: list[Cell], widths: list[int]) -> str:
    pieces, column = [], 0
    for text, span in row:
        width = _width(widths[column : column + span])
        pieces.append(text.ljust(width) if span > 1 or column == 0 else text.rjust(width))
        column += span
    return _GAP.join(pieces).rstrip()


def _width(widths: list[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)
