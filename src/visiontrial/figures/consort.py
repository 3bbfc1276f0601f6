"""Figure 1 as a CONSORT diagram, drawn from the tree in `flow.csv`.

No box has coordinates of its own. The tree gives each box a row (its depth) and columns
(the leaves of its main line), the text gives it a height, and the rows are stacked. The
wide sheet sets the arms and tracks side by side; the narrow one stacks them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import altair as alt
import pandas as pd

from visiontrial import eligibility, periods
from visiontrial.render import PALETTE, Figure

NAME = "eligibility-flow"
ALL = "all patients"
LESIONS = "Lesions (one patient may have both)"

HEAD, ITEM, SUBITEM = 0, 1, 2  # levels of a line in its panel


def eligibility_flow() -> Figure:
    """Figure 1 of the paper, both sets in every box; hovering a line shows its arithmetic."""
    boxes = eligibility.tree()
    return Figure(
        NAME,
        _chart(lay_out(boxes, WIDE)),
        describe(boxes),
        narrow=_chart(lay_out(boxes, NARROW)),
    )


def _later() -> str:
    return f"randomized {periods.since()}"


def describe(boxes: pd.DataFrame) -> str:
    """The diagram in words, made from its numbers."""
    n = boxes.drop_duplicates("box").set_index("box")

    def both(box: str) -> str:
        return f"{n.at[box, 'all']} ({n.at[box, 'pfs']})"

    def arm(key: str, name: str, track: str) -> str:
        trial = f"fig1.{key}.discontinued-trial"
        return (
            f"{both(f'fig1.{key}.assigned')} were assigned to {name}; {both(f'fig1.{key}.no-standard-care')} "
            f"of them did not receive standard care, {track}and at the end {both(trial)} had discontinued "
            f"the trial ({both(f'{trial}.died')} by death, {both(f'{trial}.consent-withdrawn')} by "
            f"withdrawing consent), {both(f'fig1.{key}.long-term-follow-up')} were in long-term "
            f"follow-up and {both(f'fig1.{key}.continuing-standard-care')} continued standard care."
        )

    screening = "fig1.screening"
    lu_track = f"{both('fig1.lu.no-lu')} did not receive 177Lu-PSMA-617, "
    return (
        f"A flow diagram. {n.at[f'{screening}.assessed', 'all']} patients were assessed for eligibility, "
        f"{n.at[f'{screening}.excluded-before-scan', 'all']} were excluded before the scan, "
        f"{n.at[f'{screening}.scanned', 'all']} underwent PSMA PET–CT, "
        f"{n.at[f'{screening}.excluded-after-scan', 'all']} were excluded after it, and "
        f"{both(f'{screening}.randomized')} underwent randomization. Numbers in parentheses count those "
        f"{_later()}. "
        + arm("lu", "177Lu-PSMA-617 plus standard care", lu_track)
        + " "
        + arm("control", "standard care alone", "")
    )


# --- type -------------------------------------------------------------------------------

# Advance widths of Helvetica, which Arial and Liberation Sans share, in thousandths of the size.
_WIDTHS = {
    222: "ijl'", 278: " ftI.,:;/", 333: "r()-", 500: "ckszvxyJ", 556: "abdeghnopqu0123456789L–", 584: "+=−",
    611: "FTZ", 667: "ABEKPSVXY", 722: "CDHNRUw", 778: "GOQ", 833: "mM", 944: "W",
}  # fmt: skip
_WIDTH_OF = {character: width for width, characters in _WIDTHS.items() for character in characters}
_BOLDER = 1.08  # bold letters are at most so much wider over a whole label


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a line of text in pixels; characters without a known width count as wide ones."""
    width = sum(_WIDTH_OF.get(character, 944) for character in text) * size / 1000
    return width * _BOLDER if bold else width


def wrap(text: str, width: float, size: float, *, bold: bool = False, hang: float = 0) -> list[str]:
    """Break text at spaces so that each line fits a width; a word that is wider alone stays whole.

    Lines after the first have `hang` less room, for they stand further in.
    """
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        room = width - (hang if len(lines) > 1 else 0)
        if lines[-1] and text_width(longer, size, bold=bold) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


# --- from the tree to panels --------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """The measures of one variant, in pixels."""

    width: float
    head: float
    """Size of a panel's heading."""
    body: float
    """Size of the lines under it."""
    gap: float
    """Between rows; arrows need it."""
    gutter: float = 10
    inset: float = 16
    """How far side boxes stand in from the trunk's column."""
    pad: float = 7
    stacked: bool = False
    step: float = 9
    """One level further in."""
    trunk: float = 4
    """Where the main line runs, from the left edge of its column."""

    def hang(self, level: int) -> float:
        """How far the second line of a broken text stands in."""
        return 0 if level == HEAD else self.step

    def size(self, level: int) -> float:
        return self.head if level == HEAD else self.body

    def leading(self, level: int) -> float:
        return self.size(level) + (4 if level == HEAD else 3)


WIDE = Sheet(width=634, head=12.5, body=12, gap=18, gutter=8, inset=15, pad=5)
# 320 pixels: on the narrowest phones in use (360) the page's margins leave that much, so nothing is scaled.
NARROW = Sheet(width=322, head=13, body=13, gap=18, stacked=True)


@dataclass(frozen=True)
class Line:
    """One line of a panel: a box of the tree, or (without `number`) a heading that groups some."""

    text: str
    level: int
    number: str = ""
    later: str = ""
    source: int | None = None
    """The row of the tree it stands for."""


@dataclass(frozen=True)
class Panel:
    """One drawn box. `role`: main, side (patients who go), status (beside the main line), end, key."""

    role: str
    arm: str
    boxes: tuple[str, ...]
    parent: str
    lines: tuple[Line, ...]
    row: int
    columns: tuple[int, int]
    """First and last."""
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0

    @property
    def centre(self) -> float:
        return self.x + self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def later_width(self, sheet: Sheet) -> float:
        """The room for the numbers in parentheses."""
        return max(
            (text_width(f" {line.later}", sheet.size(line.level)) for line in self.lines if line.later),
            default=0,
        )

    def number_width(self, sheet: Sheet) -> float:
        widths = (text_width(line.number, sheet.size(line.level), bold=True) for line in self.lines)
        return max(widths, default=0) + self.later_width(sheet)

    def wrapped(self, sheet: Sheet) -> list[tuple[Line, float, list[str]]]:
        """Each line with its indent and its text broken to the room left of the numbers."""
        room = self.width - 2 * sheet.pad - self.number_width(sheet) - 5
        placed = []
        for line in self.lines:
            indent = sheet.step * max(0, line.level - ITEM)
            bold, hang = line.level == HEAD, sheet.hang(line.level)
            pieces = wrap(line.text, room - indent, sheet.size(line.level), bold=bold, hang=hang)
            placed.append((line, indent, pieces))
        return placed

    def text_height(self, sheet: Sheet) -> float:
        return sum(sheet.leading(line.level) * len(pieces) for line, _, pieces in self.wrapped(sheet)) + 2 * (
            sheet.pad - 2
        )


@dataclass
class Layout:
    """Panels in their places, and the arrows between them."""

    sheet: Sheet
    boxes: pd.DataFrame
    panels: list[Panel]
    segments: list[dict] = field(default_factory=list)
    heads: list[dict] = field(default_factory=list)

    @cached_property
    def height(self) -> float:
        return max(panel.bottom for panel in self.panels)


def lay_out(boxes: pd.DataFrame, sheet: Sheet) -> Layout:
    """Place every box of the tree on a sheet and join them with arrows."""
    panels = [_key(boxes), *_Tree(boxes).panels()]
    if sheet.stacked:
        panels = _stack(panels)
    last = max(panel.columns[1] for panel in panels)
    panels = [_set_width(panel, sheet, last) for panel in panels]
    layout = Layout(sheet, boxes, _set_heights(panels, sheet))
    for segments, head in _arrows(layout):
        layout.segments += [s for s in segments if s not in layout.segments]
        layout.heads.append(head)
    return layout


class _Tree:
    """Rows and columns of the boxes, by the shape of the tree."""

    def __init__(self, boxes: pd.DataFrame):
        self.boxes = boxes
        self.leaves = 0
        self.depth: dict[str, int] = {}
        self.columns: dict[str, tuple[int, int]] = {}
        self._descend(boxes.loc[boxes["kind"] == "root", "box"].iloc[0], 0)

    def _children(self, box: str, *kinds: str) -> pd.DataFrame:
        return self.boxes[(self.boxes["parent"] == box) & self.boxes["kind"].isin(kinds)]

    def _descend(self, box: str, depth: int) -> tuple[int, int]:
        """Give a box of the main line its depth, and the columns of the leaves below it."""
        self.depth[box] = depth
        spans = [self._descend(child, depth + 1) for child in self._children(box, "main")["box"]]
        if not spans:
            spans = [(self.leaves, self.leaves)]
            self.leaves += 1
        self.columns[box] = (spans[0][0], spans[-1][1])
        return self.columns[box]

    def panels(self) -> Iterator[Panel]:
        for box in self.depth:
            yield self._main(box)
            states = self._children(box, "state")
            for group, members in states.groupby("group", sort=False):
                yield self._states(box, group, members)
            for row in self._children(box, "side").itertuples():
                yield self._side(row)

    def _main(self, box: str) -> Panel:
        # A box that closes the main line stands in the tree a second time, as a state; its first row counts.
        index = self.boxes.index[self.boxes["box"] == box][0]
        row = self.boxes.loc[index]
        return Panel(
            "main",
            _arm(box),
            (box,),
            row["parent"],
            (self._line(index, HEAD),),
            2 * self.depth[box],
            self.columns[box],
        )

    def _side(self, row) -> Panel:
        siblings = self._children(row.parent, "main")
        beside = siblings.loc[siblings["group"] == row.group, "box"].iloc[0]
        return Panel(
            "side", _arm(row.box), (row.box,), row.parent, tuple(self._with_parts(row.Index, HEAD)),
            2 * self.depth[row.parent] + 1, self.columns[beside],
        )  # fmt: skip

    def _states(self, parent: str, group: str, members: pd.DataFrame) -> Panel:
        """States that repeat a box of the main line come after it; others stand beside their parent."""
        repeated = [self.depth[box] for box in members["box"] if box in self.depth]
        whole = self._line(self.boxes.index[self.boxes["box"] == parent][0], HEAD)
        lines = [replace(whole, text=group.capitalize())]
        lines += chain.from_iterable(self._with_parts(index, ITEM) for index in members.index)
        if overlapping := [self._line(index, SUBITEM) for index in self._children(parent, "subset").index]:
            lines += [Line(LESIONS, ITEM), *overlapping]
        return Panel(
            "end" if repeated else "status", _arm(members["box"].iloc[0]), tuple(members["box"]), parent,
            tuple(lines), 2 * max(repeated, default=self.depth[parent]) + 1, self.columns[parent],
        )  # fmt: skip

    def _with_parts(self, index: int, level: int) -> Iterator[Line]:
        """A box and what it is made of: reasons and subsets, one level further in."""
        yield self._line(index, level)
        parts = self._children(self.boxes.at[index, "box"], "reason", "subset")
        for part in parts.index:
            yield from self._with_parts(part, level + 1)

    def _line(self, index: int, level: int) -> Line:
        row = self.boxes.loc[index]
        later = "" if pd.isna(row["pfs"]) else f"({row['pfs']})"
        return Line(row["label"], level, str(row["all"]), later, index)


def _key(boxes: pd.DataFrame) -> Panel:
    """How to read the two numbers, in the space left free beside the first side box."""
    split = boxes[boxes["pfs"].notna()].iloc[0]
    lines = (
        Line("How to read the numbers", HEAD),
        Line(ALL.capitalize(), ITEM, str(split["all"])),
        Line(f"in parentheses: {_later()}", ITEM, "", f"({split['pfs']})"),
    )
    return Panel("key", "screening", (), "", lines, 1, (0, 0))


def _arm(box: str) -> str:
    return box.split(".")[1]


def _stack(panels: list[Panel]) -> list[Panel]:
    """One column: the arms one after the other, boxes of the main line in one row joined to one panel."""
    order = list(dict.fromkeys(panel.arm for panel in panels))
    joined: dict[tuple, Panel] = {}
    for panel in sorted(panels, key=lambda p: (order.index(p.arm), p.row if p.role != "key" else -1)):
        key = (panel.arm, panel.row, panel.role, () if panel.role == "main" else panel.boxes)
        before = joined.get(key)
        joined[key] = (
            replace(before, boxes=before.boxes + panel.boxes, lines=before.lines + panel.lines)
            if before
            else panel
        )
    return [replace(panel, row=row, columns=(0, 0)) for row, panel in enumerate(joined.values())]


# --- places ---------------------------------------------------------------------------------


def _set_width(panel: Panel, sheet: Sheet, last: int) -> Panel:
    if sheet.stacked:
        left = 0 if panel.arm == "screening" else sheet.inset
        left += sheet.inset if panel.role in ("side", "status") else 0
        return replace(panel, x=left, width=sheet.width - left)
    if panel.role == "key" or panel.columns == (0, last):
        return _beside_the_middle(panel, sheet)
    column = (sheet.width - last * sheet.gutter) / (last + 1)
    first, final = panel.columns
    left = first * (column + sheet.gutter)
    right = final * (column + sheet.gutter) + column
    left += sheet.inset if panel.role == "side" else 0
    return replace(panel, x=left, width=right - left)


def _beside_the_middle(panel: Panel, sheet: Sheet) -> Panel:
    """Before the arms part, the main line runs down the middle; who is excluded stands to its right."""
    half = sheet.width / 2
    if panel.role == "main":
        return replace(panel, x=half - 120, width=240)
    side = half - sheet.inset - 34
    return replace(
        panel, x=half + sheet.inset if panel.role == "side" else half - sheet.inset - side, width=side
    )


def _set_heights(panels: list[Panel], sheet: Sheet) -> list[Panel]:
    """Stack the rows; each is as high as its highest panel."""
    heights: dict[int, float] = {}
    for panel in panels:
        heights[panel.row] = max(heights.get(panel.row, 0), panel.text_height(sheet))
    tops, y = {}, 0.0
    for row in sorted(heights):
        tops[row] = y
        y += heights[row] + sheet.gap
    return [replace(panel, y=tops[panel.row], height=_height(panel, heights, sheet)) for panel in panels]


def _height(panel: Panel, heights: dict[int, float], sheet: Sheet) -> float:
    """Boxes of the main line fill their row, so that those side by side are alike."""
    return heights[panel.row] if panel.role in ("main", "end") else panel.text_height(sheet)


# --- arrows -----------------------------------------------------------------------------------


def _arrows(layout: Layout) -> Iterator[tuple[list[dict], dict]]:
    mains = {box: panel for panel in layout.panels if panel.role == "main" for box in panel.boxes}
    followed = set(layout.boxes.loc[layout.boxes["kind"] == "main", "parent"])
    for panel in layout.panels:
        if panel.role == "key" or not panel.parent:
            continue
        parent = mains[panel.parent]
        if panel.role in ("side", "status"):
            yield _sideways(_trunk(panel, parent, mains, layout), panel, layout.sheet)
        elif panel.role == "end":
            leaves = {p.boxes: p for b, p in mains.items() if p.arm == panel.arm and b not in followed}
            for leaf in leaves.values():
                yield _down(leaf.x + layout.sheet.trunk, leaf.bottom, panel.y)
        elif panel.arm != parent.arm:
            yield _to_the_arm(parent, panel, layout.sheet)
        else:
            yield _down(_trunk(panel, parent, mains, layout), parent.bottom, panel.y)


def _trunk(panel: Panel, parent: Panel, mains: dict[str, Panel], layout: Layout) -> float:
    """Where the main line runs beside or into a panel."""
    if not layout.sheet.stacked and parent.arm == "screening":
        return layout.sheet.width / 2
    column = panel.x - (layout.sheet.inset if panel.role in ("side", "status") else 0)
    return column + layout.sheet.trunk


def _sideways(trunk: float, panel: Panel, sheet: Sheet) -> tuple[list[dict], dict]:
    y = panel.y + sheet.pad - 2 + sheet.leading(HEAD) / 2
    to_the_right = panel.x > trunk
    end = panel.x if to_the_right else panel.right
    head = {"x": end - 4 if to_the_right else end + 4, "y": y, "points": "right" if to_the_right else "left"}
    return [_segment(trunk, y, head["x"], y)], head


def _down(x: float, top: float, bottom: float) -> tuple[list[dict], dict]:
    return [_segment(x, top, x, bottom - 4)], {"x": x, "y": bottom - 4, "points": "down"}


def _to_the_arm(parent: Panel, panel: Panel, sheet: Sheet) -> tuple[list[dict], dict]:
    """From the branching to an arm: across and down; on the narrow sheet down and across."""
    if sheet.stacked:
        x, y = parent.x + sheet.trunk, panel.y + sheet.pad - 2 + sheet.leading(HEAD) / 2
        head = {"x": panel.x - 4, "y": y, "points": "right"}
        return [_segment(x, parent.bottom, x, y), _segment(x, y, panel.x - 4, y)], head
    middle = (parent.bottom + panel.y) / 2 - 2
    (drop,), head = _down(panel.centre, middle, panel.y)
    across = _segment(
        *sorted((parent.centre, panel.centre))[:1], middle, max(parent.centre, panel.centre), middle
    )
    return [_segment(parent.centre, parent.bottom, parent.centre, middle), across, drop], head


def _segment(x: float, y: float, x2: float, y2: float) -> dict:
    return {"x": x, "y": y, "x2": x2, "y2": y2}


# --- the chart ----------------------------------------------------------------------------------


def _chart(layout: Layout) -> alt.LayerChart:
    width, height = layout.sheet.width, layout.height
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, width], nice=False, zero=False), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[height, 0], nice=False, zero=False), axis=None)
    layers = [
        _lines_between(layout, x, y),
        _arrow_heads(layout, x, y),
        *_rectangles(layout, x, y),
        *_texts(layout, x, y),
        _hover(layout, x, y),  # last, so that the text does not come between it and the pointer
    ]
    return alt.layer(*layers).properties(width=width, height=height, padding=1).configure_view(stroke=None)


def _data(rows: list[dict]) -> alt.Data:
    return alt.Data(
        values=[{k: round(v, 2) if isinstance(v, float) else v for k, v in r.items()} for r in rows]
    )


def _lines_between(layout: Layout, x, y) -> alt.Chart:
    marks = alt.Chart(_data(layout.segments)).mark_rule(strokeWidth=1.25, color=PALETTE["muted"])
    return marks.encode(x, y, x2="x2:Q", y2="y2:Q")


def _arrow_heads(layout: Layout, x, y) -> alt.Chart:
    shapes = alt.Scale(
        domain=["down", "right", "left"], range=["triangle-down", "triangle-right", "triangle-left"]
    )
    marks = alt.Chart(_data(layout.heads)).mark_point(filled=True, size=42, opacity=1, color=PALETTE["muted"])
    return marks.encode(x, y, shape=alt.Shape("points:N", scale=shapes, legend=None))


def _rectangles(layout: Layout, x, y) -> list[alt.Chart]:
    rows = [
        {"x": p.x, "y": p.y, "x2": p.right, "y2": p.bottom, "role": p.role, "arm": p.arm}
        for p in layout.panels
        if p.role != "key"
    ]
    main = [row for row in rows if row["role"] in ("main", "end")]
    aside = [row for row in rows if row not in main]
    colours = alt.Scale(
        domain=["screening", "lu", "control"], range=[PALETTE[c] for c in ("all", "lu", "control")]
    )
    stroke = alt.Stroke("arm:N", scale=colours, legend=None)
    framed = {"x2": "x2:Q", "y2": "y2:Q"}
    return [
        alt.Chart(_data(aside))
        .mark_rect(fill=PALETTE["panel"], stroke=PALETTE["grid"], strokeWidth=1, cornerRadius=3)
        .encode(x, y, **framed),
        alt.Chart(_data(main))
        .mark_rect(fill=PALETTE["surface"], strokeWidth=1.75, cornerRadius=3)
        .encode(x, y, stroke=stroke, **framed),
    ]


def _hover(layout: Layout, x, y) -> alt.Chart:
    """An invisible strip over each line: it lights up and shows how the line's number comes about."""
    over = alt.selection_point(on="pointerover", clear="pointerout", fields=["box", "x"], empty=False)
    marks = alt.Chart(_data(list(_strips(layout)))).mark_rect(fill=PALETTE["highlight"], cornerRadius=2)
    return marks.encode(
        x,
        y,
        x2="x2:Q",
        y2="y2:Q",
        fillOpacity=alt.condition(over, alt.value(0.16), alt.value(0)),
        tooltip=[
            alt.Tooltip("label:N", title="Box"),
            alt.Tooltip("adds_up:N", title="All"),
            alt.Tooltip("adds_up_later:N", title=f"Since {periods.day()}"),
            alt.Tooltip("before:N", title="Before that day"),
        ],
    ).add_params(over)


def _strips(layout: Layout) -> Iterator[dict]:
    sums = {s: eligibility.arithmetic(layout.boxes, s) for s in ("all", "pfs")}
    for panel in layout.panels:
        for line, top, bottom in _line_places(panel, layout.sheet):
            if line.source is None:
                continue
            row = layout.boxes.loc[line.source]
            position = layout.boxes.index.get_loc(line.source)
            shown = {s: "–" if pd.isna(row[s]) else int(row[s]) for s in eligibility.SETS}
            yield {
                "box": row["box"],
                "label": row["label"],
                "all": shown["all"],
                "later": shown["pfs"],
                "before": shown["before"],
                "adds_up": sums["all"][position],
                "adds_up_later": sums["pfs"][position] or "–",
                "x": panel.x + 2,
                "x2": panel.right - 2,
                "y": top,
                "y2": bottom,
            }


def _line_places(panel: Panel, sheet: Sheet) -> Iterator[tuple[Line, float, float]]:
    y = panel.y + (panel.height - panel.text_height(sheet)) / 2 + sheet.pad - 2
    if panel.role != "main":
        y = panel.y + sheet.pad - 2
    for line, _, pieces in panel.wrapped(sheet):
        bottom = y + sheet.leading(line.level) * len(pieces)
        yield line, y, bottom
        y = bottom


def _texts(layout: Layout, x, y) -> list[alt.Chart]:
    words, numbers = [], []
    for panel in layout.panels:
        w, n = _typeset(panel, layout.sheet)
        words += w
        numbers += n
    layers = []
    for rows, align in ((words, "left"), (numbers, "right")):
        for style in ("bold", "normal", "muted"):
            if styled := [row for row in rows if row["style"] == style]:
                layers += _text_layer(styled, align, style, x, y)
    return layers


def _text_layer(rows: list[dict], align: str, style: str, x, y) -> list[alt.Chart]:
    colour = PALETTE["muted" if style == "muted" else "ink"]
    weight = "bold" if style == "bold" else "normal"
    return [
        alt.Chart(_data([row for row in rows if row["size"] == size]))
        .mark_text(fontSize=size, align=align, baseline="middle", color=colour, fontWeight=weight)
        .encode(x, y, text="text:N")
        for size in sorted({row["size"] for row in rows})
    ]


def _typeset(panel: Panel, sheet: Sheet) -> tuple[list[dict], list[dict]]:
    """The words and the numbers of a panel, each piece with its place, size and style."""
    words, numbers = [], []
    edge = panel.right - sheet.pad
    for (line, top, _), (_, indent, pieces) in zip(
        _line_places(panel, sheet), panel.wrapped(sheet), strict=True
    ):
        size, leading = sheet.size(line.level), sheet.leading(line.level)
        y = top + leading / 2
        style = ("bold", "normal", "muted")[line.level] if line.number or line.level == HEAD else "muted"
        for n, piece in enumerate(pieces):
            inwards = indent + (sheet.hang(line.level) if n else 0)
            words.append(
                {
                    "text": piece,
                    "x": panel.x + sheet.pad + inwards,
                    "y": y + n * leading,
                    "size": size,
                    "style": style,
                }
            )
        weight = "bold" if line.level == HEAD else style
        numbers.append(
            {"text": line.number, "x": edge - panel.later_width(sheet), "y": y, "size": size, "style": weight}
        )
        numbers.append({"text": line.later, "x": edge, "y": y, "size": size, "style": "muted"})
    return words, [n for n in numbers if n["text"]]
