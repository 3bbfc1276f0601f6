"""Charts as the book shows them: legible, described, the same to the byte, safe in a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import altair as alt
import pandas as pd
import pytest

from visiontrial import render
from visiontrial.render import COLOURS, PALETTE, Figure, FigureError

SVG = "{http://www.w3.org/2000/svg}"
DESCRIPTION = "Two bars: 551 patients in the lutetium arm, 280 in the control arm."


def bars(width: int = 400, **properties) -> alt.Chart:
    table = pd.DataFrame({"arm": ["lu", "control"], "n": [551, 280]})
    return (
        alt.Chart(table)
        .mark_bar(clip=True)
        .encode(x="n:Q", y="arm:N", color=alt.Color("arm:N", scale=render.arm_colours()))
        .encode(tooltip=["arm", "n"])
        .properties(width=width, height=80, **properties)
    )


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", [n for n in COLOURS if n not in ("grid", "surface", "panel")])
def test_marks_stand_out_and_text_is_legible(name, mode):
    least = 4.5 if name in ("ink", "muted") else 3
    assert contrast(getattr(COLOURS[name], mode), getattr(COLOURS["surface"], mode)) >= least


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_arms_differ_on_grey_paper(mode):
    assert contrast(getattr(COLOURS["lu"], mode), getattr(COLOURS["control"], mode)) >= 1.5


def test_no_two_names_share_a_colour():
    assert len(set(PALETTE.values())) == len(PALETTE)


def test_colours_become_variables_in_picture_and_specification():
    figure = Figure("arms", bars(), DESCRIPTION)
    for text in (figure.svg(), json.dumps(figure.variants)):
        assert "var(--chart-lu, #0b4a8f)" in text
        assert "var(--chart-control, #cf640c)" in text
    assert '"#0b4a8f"' in json.dumps(figure.specification), "JupyterLab knows no variables of ours"


def test_every_variable_used_is_defined_for_light_dark_and_paper():
    css = render.palette_css()
    for name, colour in COLOURS.items():
        assert css.count(f"--chart-{name}: {colour.light};") == 2
        assert css.count(f"--chart-{name}: {colour.dark};") == 1


def test_data_that_look_like_a_colour_are_left_alone():
    table = pd.DataFrame({"label": [PALETTE["lu"]], "n": [1]})
    figure = Figure("data", alt.Chart(table).mark_bar().encode(x="n:Q", y="label:N"), DESCRIPTION)
    values = next(iter(figure.variants["wide"]["datasets"].values()))
    assert values == [{"label": PALETTE["lu"], "n": 1}]


def test_picture_is_one_described_image():
    drawing = ElementTree.fromstring(Figure("arms", bars(), 'Says "551" & <more>.').svg())
    assert drawing.get("role") == "img"
    assert drawing.get("aria-label") == 'Says "551" & <more>.'
    assert not [e for e in drawing.iter() if e is not drawing and e.get("role")]


def test_ids_belong_to_the_figure_and_are_all_defined():
    text = Figure("arms", bars(), DESCRIPTION).svg()
    used = set(re.findall(r"url\(#([^)]+)\)", text))
    assert used
    assert used == set(re.findall(r'\bid="([^"]+)"', text))
    assert all(name.startswith("arms-wide-") for name in used)


def test_specification_cannot_end_its_script_element():
    table = pd.DataFrame({"arm": ["</script><script>alert(1)</script>", "<!--"], "n": [1, 2]})
    chart = alt.Chart(table).mark_bar().encode(x="n:Q", y=alt.Y("arm:N", axis=None))
    markup = Figure("unsafe", chart, "A label that ends </script> early.").html()
    payload = re.search(r'<script type="application/json">(.*?)</script>', markup, re.DOTALL)[1]
    assert "<" not in payload
    values = next(iter(json.loads(payload)["wide"]["datasets"].values()))
    assert values[0]["arm"] == "</script><script>alert(1)</script>"
    assert markup.count("</script>") == 1


def test_narrow_variant_is_offered_beside_the_wide_one():
    figure = Figure("arms", bars(), DESCRIPTION, narrow=bars(120))
    assert list(figure.variants) == ["wide", "narrow"]
    assert 'data-variants="wide narrow"' in figure.html()
    assert figure.html().count("<svg") == 2


def test_bundle_has_a_face_for_page_laboratory_and_terminal():
    bundle = Figure("arms", bars(), DESCRIPTION)._repr_mimebundle_()
    assert set(bundle) == {"text/html", render.VEGALITE_MIME, "text/plain"}
    assert bundle["text/plain"] == DESCRIPTION
    assert bundle[render.VEGALITE_MIME]["description"] == DESCRIPTION


def test_bytes_do_not_depend_on_what_was_drawn_before():
    def selectable() -> alt.Chart:
        chosen = alt.selection_point(fields=["arm"])
        return bars().encode(opacity=alt.condition(chosen, alt.value(1), alt.value(0.3))).add_params(chosen)

    first = Figure("arms", selectable(), DESCRIPTION).html()
    for _ in range(3):
        Figure("other", selectable(), DESCRIPTION).html()
    assert Figure("arms", selectable(), DESCRIPTION).html() == first


def test_bytes_are_the_same_in_another_process():
    program = (
        "import sys; sys.path.insert(0, 'tests'); from test_render import *;"
        "import hashlib;"
        "print(hashlib.sha256(Figure('arms', bars(), DESCRIPTION).html().encode()).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(runs) == 1


@pytest.mark.parametrize("name", ["Arms", "two words", "a_b", "", "-a", "a--b"])
def test_name_must_be_a_slug(name):
    with pytest.raises(FigureError, match="lower-case words joined by hyphens"):
        Figure(name, bars(), DESCRIPTION)


def test_description_is_not_optional():
    with pytest.raises(FigureError, match="describe in words"):
        Figure("arms", bars(), "  ")


def test_foreign_colour_is_refused():
    chart = alt.Chart(pd.DataFrame({"n": [1]})).mark_bar(color="#123456").encode(x="n:Q")
    with pytest.raises(FigureError, match=r"foreign.*#123456.*not in render.PALETTE"):
        Figure("foreign", chart, DESCRIPTION).html()


def test_small_text_is_refused():
    chart = alt.Chart(pd.DataFrame({"t": ["tiny"]})).mark_text(fontSize=9).encode(text="t:N")
    with pytest.raises(FigureError, match=r"'tiny' is 9px high"):
        Figure("tiny", chart, DESCRIPTION).html()


WIDEST = {"wide": render.MAX_WIDTH, "narrow": render.MAX_NARROW_WIDTH}


@pytest.mark.parametrize("variant", WIDEST)
def test_chart_wider_than_its_place_is_refused(variant):
    widest = WIDEST[variant]
    charts = {"wide": bars(), "narrow": bars(120)} | {variant: bars(widest + 1)}
    figure = Figure("broad", charts["wide"], DESCRIPTION, narrow=charts["narrow"])
    with pytest.raises(FigureError, match=rf"broad \({variant}\).*at most {widest}"):
        figure.html()
