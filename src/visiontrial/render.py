"""Charts that read well everywhere: with scripts and without, on a phone, in the dark, on paper.

A chapter wraps each chart in a `Figure` and leaves it as the last value of a cell whose
metadata gives number and caption (myst-nb makes the figure, Sphinx numbers it)::

    ```{code-cell} ipython3
    ---
    mystnb:
      figure:
        name: fig-eligibility-flow
        caption: |
          From screening to treatment, in both analysis sets.
    ---
    figures.eligibility_flow()
    ```

and refers to it with ``{numref}`fig-eligibility-flow` `` (prints "Fig. 3"). On a prose page
the directive ``{chart}`` of `visiontrial.site` does the same. A table is numbered as a table,
with its caption above it, when its cell's figure has a name that begins with `tab-`.

Charts use the colours of `PALETTE` and no others: on a page each becomes a CSS variable
(`--chart-lu`, ...), so that dark mode and print restyle the static and the interactive
chart alike. Steps in between are made with opacity, never by interpolation.

The bytes do not depend on the machine: text is measured with Liberation Sans, which
vl-convert carries, and which is metrically equal to Arial and Helvetica, so that the text
fits in browsers too.
"""

from __future__ import annotations

import copy
import html
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from xml.etree import ElementTree

import altair as alt
import vl_convert

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
VEGALITE_MIME = "application/vnd.vegalite.v6+json"
VEGALITE_VERSION = "6.4"
MIN_FONT_SIZE = 12
MAX_WIDTH = 640
"""What the text column of every window from 992 pixels up shows unscaled, axes and legend included."""
MAX_NARROW_WIDTH = 328
"""The same for phones from 360 pixels up."""


@dataclass(frozen=True)
class Colour:
    """One colour on a light page (and on paper) and on a dark one, as `#rrggbb`."""

    light: str
    dark: str


COLOURS: dict[str, Colour] = {
    # the page
    "ink": Colour("#1b2530", "#e6eaef"),
    "muted": Colour("#55606d", "#a9b4c0"),
    "grid": Colour("#dde2e8", "#333c47"),
    "surface": Colour("#ffffff", "#14181e"),
    "panel": Colour("#f3f6f9", "#1f262f"),
    "highlight": Colour("#a3195b", "#f58ab8"),
    # the arms: apart in hue for the colour-blind, apart in lightness on grey paper
    "lu": Colour("#0b4a8f", "#8cc4ff"),
    "control": Colour("#cf640c", "#e8802e"),
    "all": Colour("#4b5563", "#c0c8d2"),
    # grades
    "recomputed": Colour("#0f6b62", "#4fc3b3"),
    "fitted": Colour("#7a3fb5", "#c49bf0"),
    "quoted": Colour("#66707c", "#97a3b0"),
    # verdicts
    "match": Colour("#176b3a", "#5fca8a"),
    "compatible": Colour("#1d6f94", "#63b9df"),
    "differs": Colour("#b3261e", "#ff8a80"),
    "unchecked": Colour("#6b6f76", "#9aa0a8"),
}

PALETTE: dict[str, str] = {name: colour.light for name, colour in COLOURS.items()}
"""Name -> the hexadecimal colour to use in a chart."""

ARMS = {"lu": "177Lu-PSMA-617 + standard care", "control": "standard care alone"}


class FigureError(ValueError):
    """A chart that would not be legible, or not the same everywhere; the message says what to change."""


@alt.theme.register("visiontrial", enable=True)
def theme() -> alt.theme.ThemeConfig:
    """The Altair theme of the book; importing this module enables it."""
    ink, muted, grid = PALETTE["ink"], PALETTE["muted"], PALETTE["grid"]
    text = {"labelColor": ink, "titleColor": ink, "labelFontSize": 13, "titleFontSize": 13}
    return {
        "config": {
            "font": FONT,
            "background": "transparent",
            "padding": 4,
            "view": {"stroke": None, "continuousWidth": 540, "continuousHeight": 320},
            "range": {"category": [PALETTE[name] for name in ("lu", "control", "all", "highlight")]},
            "axis": {
                **text,
                "titleFontWeight": "normal",
                "titlePadding": 10,
                "domainColor": muted,
                "tickColor": muted,
                "gridColor": grid,
                "labelLimit": 400,
            },
            "legend": {**text, "titleFontWeight": "bold", "labelLimit": 400, "symbolSize": 140},
            "header": {**text, "titleFontWeight": "bold"},
            "title": {
                "color": ink,
                "subtitleColor": muted,
                "fontSize": 15,
                "subtitleFontSize": 13,
                "anchor": "start",
                "offset": 12,
            },
            "text": {"color": ink, "fontSize": 13},
            "rule": {"color": muted},
            "line": {"color": PALETTE["lu"], "strokeWidth": 2.25},
            "point": {"color": PALETTE["lu"], "filled": True, "size": 70},
            "bar": {"color": PALETTE["lu"]},
            "area": {"color": PALETTE["lu"]},
            "rect": {"color": PALETTE["lu"]},
            "tick": {"color": PALETTE["lu"]},
        }
    }


def arm_colours() -> alt.Scale:
    """The scale for `alt.Color("arm:N", scale=...)` over the values `lu` and `control`."""
    return alt.Scale(domain=list(ARMS), range=[PALETTE[arm] for arm in ARMS])


def palette_css() -> str:
    """The CSS variables behind the charts: light, dark (`data-theme` of the page), and paper."""
    light = "".join(f"  --chart-{name}: {colour.light};\n" for name, colour in COLOURS.items())
    dark = "".join(f"  --chart-{name}: {colour.dark};\n" for name, colour in COLOURS.items())
    paper = light.replace("  --", "    --")
    return (
        f":root {{\n{light}}}\n"
        f'@media screen {{\n  html[data-theme="dark"] {{\n{dark.replace("  --", "    --")}  }}\n}}\n'
        f"@media print {{\n  html:root {{\n{paper}  }}\n}}\n"
    )


@dataclass(frozen=True, eq=False)
class Figure:
    """A chart with its description in words.

    name         stable slug (lower-case words joined by hyphens): ids on the page
    chart        Altair chart, at most `MAX_WIDTH` pixels wide as drawn
    description  what the figure shows, in whole sentences made from its numbers
    narrow       variant for a phone, at most `MAX_NARROW_WIDTH` wide; without one the chart scrolls

    Raises `FigureError` when drawn with a colour outside `PALETTE`, text under
    `MIN_FONT_SIZE` pixels, or too wide.
    """

    name: str
    chart: alt.TopLevelMixin
    description: str
    narrow: alt.TopLevelMixin | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise FigureError(f"figure name {self.name!r}: use lower-case words joined by hyphens")
        if not self.description.strip():
            raise FigureError(f"figure {self.name}: describe in words what it shows")

    @cached_property
    def specification(self) -> dict[str, Any]:
        """The Vega-Lite specification, as JupyterLab draws it."""
        return _specification(self.chart, self.description)

    @cached_property
    def variants(self) -> dict[str, dict[str, Any]]:
        """`wide` and, where there is one, `narrow`: specifications whose colours are CSS variables."""
        charts = {"wide": self.specification}
        if self.narrow is not None:
            charts["narrow"] = _specification(self.narrow, self.description)
        return {variant: _with_css_colours(spec) for variant, spec in charts.items()}

    def svg(self, variant: str = "wide") -> str:
        """The static picture, complete in itself."""
        drawing = _draw(self.variants[variant])
        _refuse_illegible(drawing, self.name, variant)
        return _finish(drawing, f"{self.name}-{variant}", self.description)

    def html(self) -> str:
        """The static picture(s), the description and the specification that the site's script draws from."""
        pictures = "".join(_picture(variant, self.svg(variant)) for variant in self.variants)
        offered = " ".join(self.variants)
        return (
            f'<div class="vt-chart" id="chart-{self.name}" data-variants="{offered}">{pictures}'
            f'<details class="vt-words"><summary>This figure in words</summary>'
            f"<p>{html.escape(self.description)}</p></details>"
            f'<script type="application/json">{_json_for_script(self.variants)}</script></div>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        return {
            "text/html": self.html(),
            VEGALITE_MIME: self.specification,
            "text/plain": self.description,
        }


def _specification(chart: alt.TopLevelMixin, description: str) -> dict[str, Any]:
    """The chart as a dictionary, without the counters that depend on what was drawn before it."""
    text = json.dumps(chart.to_dict() | {"description": description}, sort_keys=True, ensure_ascii=False)
    return json.loads(_renumber(text, r"\b(param|view|concat|layer)_\d+"))


def _renumber(text: str, pattern: str) -> str:
    """Number what the pattern matches (a word and a counter) anew, in order of appearance."""
    seen: dict[str, str] = {}

    def stable(match: re.Match[str]) -> str:
        return seen.setdefault(match[0], f"{match[1]}_{len(seen) + 1}")

    return re.sub(pattern, stable, text)


def _with_css_colours(specification: dict[str, Any]) -> dict[str, Any]:
    names = {colour: name for name, colour in PALETTE.items()}
    pattern = re.compile("|".join(names), re.IGNORECASE)

    def as_variable(match: re.Match[str]) -> str:
        colour = match[0].lower()
        return f"var(--chart-{names[colour]}, {colour})"

    # The data are left alone: only what draws may name a colour.
    data = {key: specification[key] for key in ("datasets", "description") if key in specification}
    drawing = {key: value for key, value in specification.items() if key not in data}
    return json.loads(pattern.sub(as_variable, json.dumps(drawing))) | copy.deepcopy(data)


SVG = "http://www.w3.org/2000/svg"
ElementTree.register_namespace("", SVG)

# What only scripts use: the picture is one image to assistive technology.
_NEEDLESS = re.compile(r"^(aria-.*|role|class|pointer-events|version|font-family)$")
_DEFAULTS = {("opacity", "1"), ("stroke-width", "1"), ("fill-opacity", "1"), ("stroke-opacity", "1")}


def _draw(specification: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(vl_convert.vegalite_to_svg(specification, vl_version=VEGALITE_VERSION))


def _refuse_illegible(drawing: ElementTree.Element, name: str, variant: str) -> None:
    widest = MAX_NARROW_WIDTH if variant == "narrow" else MAX_WIDTH
    width = float(drawing.get("width", "0"))
    if width > widest:
        raise FigureError(f"figure {name} ({variant}): {width:g} pixels wide; make it at most {widest}")
    for element in drawing.iter():
        size = element.get("font-size", "")
        if size and float(size.removesuffix("px")) < MIN_FONT_SIZE:
            raise FigureError(
                f"figure {name} ({variant}): text {element.text!r} is {size} high; "
                f"make it at least {MIN_FONT_SIZE}px"
            )
        for attribute in ("fill", "stroke", "stop-color"):
            if re.match(r"#|rgb|hsl|black|white", element.get(attribute, "")):
                raise FigureError(
                    f"figure {name} ({variant}): colour {element.get(attribute)} is not in render.PALETTE, "
                    "so it cannot follow dark mode and print; take one from there (opacity makes the steps)"
                )


def _finish(drawing: ElementTree.Element, prefix: str, description: str) -> str:
    """Drop what a picture does not need, round coordinates, give ids their own names."""
    for parent in list(drawing.iter()):
        for child in list(parent):
            if child.get("display") == "none" or child.get("d") in ("", "M0,0h0v0h0Z"):
                parent.remove(child)
    for element in drawing.iter():
        for attribute, value in list(element.attrib.items()):
            if _NEEDLESS.match(attribute) or (attribute, value) in _DEFAULTS:
                del element.attrib[attribute]
            elif attribute in ("d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height"):
                element.set(attribute, re.sub(r"-?\d+\.\d{3,}(e-?\d+)?", _rounded, value))
    width, height = drawing.get("width"), drawing.get("height")
    drawing.attrib = {
        "viewBox": f"0 0 {width} {height}",
        "width": width,
        "height": height,
        "font-family": FONT,
        "role": "img",
        "aria-label": description,
    }
    text = ElementTree.tostring(drawing, encoding="unicode")
    return re.sub(r'(id="|url\(#)([a-z]+)_?(\d+)', _own_ids(prefix), text)


def _own_ids(prefix: str):
    seen: dict[str, int] = {}

    def own(match: re.Match[str]) -> str:
        number = seen.setdefault(match[2] + match[3], len(seen) + 1)
        return f"{match[1]}{prefix}-{match[2]}-{number}"

    return own


def _rounded(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _picture(variant: str, svg: str) -> str:
    # Outside the site (JupyterLab, nbconvert) no style sheet chooses: the wide one alone shows.
    hidden = ' style="display: none"' if variant == "narrow" else ""
    return f'<div class="vt-variant vt-{variant}" data-variant="{variant}"{hidden}>{svg}</div>'


def _json_for_script(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
