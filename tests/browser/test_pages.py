"""Every built page, in a real browser: what it loads, says, shows, and to whom."""

from __future__ import annotations

from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from built_site import CHARTS

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 360, "height": 740}
SERIOUS = {"serious", "critical"}

# Texts of a page with a contrast below 4.5:1 (WCAG AA) on white. Charts have labels on coloured marks:
# their ink is tested by itself.
PALE = """() => {
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = (colour) => {
    const [r, g, b, alpha = 1] = colour.match(/[\\d.]+/g).map(Number);
    const [lr, lg, lb] = [r, g, b].map((c) => linear((c * alpha + 255 * (1 - alpha)) / 255));
    return 0.2126 * lr + 0.7152 * lg + 0.0722 * lb;
  };
  // The theme paints the ground of a box's title on a pseudo-element behind it.
  const opaque = (element, part) => {
    const { backgroundColor: colour, content, position } = getComputedStyle(element, part);
    const behind = part === null || (content !== "none" && position === "absolute");
    return behind && (colour.match(/[\\d.]+/g)[3] ?? 1) > 0.5 && colour;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement)
      for (const part of ["::after", "::before", null]) {
        const colour = opaque(e, part);
        if (colour) return colour;
      }
    return "rgb(255, 255, 255)";
  };
  const pale = new Set();
  const place = document.querySelector("article") ?? document.body;
  const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const [text, element] = [texts.currentNode.data.trim(), texts.currentNode.parentElement];
    if (!text || element instanceof SVGElement) continue;
    if (!element.checkVisibility({ visibilityProperty: true })) continue;
    const { color: colour } = getComputedStyle(element);
    const contrast = (luminance(ground(element)) + 0.05) / (luminance(colour) + 0.05);
    if (contrast < 4.5) pale.add(`${element.outerHTML.slice(0, 120)} ${colour} on ${ground(element)}`);
  }
  return [...pale].slice(0, 10);
}"""


def test_page_asks_no_other_server_and_does_not_complain(visit, addresses, page_name, scheme):
    seen = visit(page_name, scheme)
    foreign = [url for url in seen.requests if not url.startswith((addresses[scheme], "data:", "blob:"))]
    assert foreign == []
    assert seen.complaints == []


def test_every_chart_is_drawn(visit, page_name, scheme):
    page = visit(page_name, scheme).page
    undrawn = page.evaluate(f"{CHARTS}.filter(v => v.dataset.state !== 'live').map(v => v.parentElement.id)")
    assert undrawn == []
    empty = page.evaluate(
        f"{CHARTS}.filter(v => !v.querySelector('.vt-live').shadowRoot.querySelector('svg :is(path, line)'))"
        ".map(v => v.parentElement.id)"
    )
    assert empty == []


def test_drawing_a_chart_does_not_move_the_page(visit, page_name):
    page = visit(page_name).page
    moved = page.evaluate(
        f"""{CHARTS}.map((variant) => {{
          const size = (svg) => [svg.getAttribute("width"), svg.getAttribute("height")].map(Number);
          const [before, after] = [variant.querySelector("svg"), variant.querySelector(".vt-live").shadowRoot
            .querySelector("svg")].map(size);
          return [variant.parentElement.id, before, after];
        }}).filter(([id, before, after]) => before.some((length, i) => Math.abs(length - after[i]) > 2))"""
    )
    assert moved == []


def test_every_picture_is_described(visit, page_name):
    page = visit(page_name).page
    assert page.evaluate("[...document.images].filter(i => !i.hasAttribute('alt')).map(i => i.src)") == []
    charts = page.evaluate(
        "[...document.querySelectorAll('.vt-variant')].map(v => [v.parentElement.id, v.querySelector('svg')])"
        ".map(([id, svg]) => [id, svg.getAttribute('role'), (svg.getAttribute('aria-label') || '').length])"
    )
    assert [id for id, role, length in charts if role != "img" or length < 40] == []
    live = page.evaluate(
        f"{CHARTS}.map(v => [v, v.querySelector('.vt-live').shadowRoot])"
        ".map(places => places.map(place => place.querySelector('svg').getAttribute('aria-label')))"
        ".every(([still, live]) => still === live)"
    )
    assert live, "an interactive chart has lost its description"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_is_accessible(visit, page_name, theme):
    page = visit(page_name, color_scheme=theme).page
    found = Axe().run(page).response["violations"]
    assert [
        (v["id"], [node["html"][:200] for node in v["nodes"][:3]]) for v in found if v["impact"] in SERIOUS
    ] == []


@pytest.mark.parametrize("viewport", [PHONE, SMALL_PHONE], ids=["390", "360"])
def test_page_fits_a_phone(visit, page_name, viewport):
    page = visit(page_name, viewport=viewport).page
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_text_of_charts_is_legible_on_a_phone(visit, page_name):
    page = visit(page_name, viewport=PHONE).page
    small = page.evaluate(
        f"""{CHARTS}.flatMap((v) => [...v.querySelectorAll("svg text")].concat(
            [...v.querySelector(".vt-live")?.shadowRoot.querySelectorAll("text") ?? []]))
          .filter((text) => text.getScreenCTM())
          .filter((text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a < 11.9 &&
                            Math.abs(text.getScreenCTM().b) < 0.1)
          .map((text) => text.textContent)"""
    )
    assert small == []


def test_paper_is_ink_on_white(visit, page_name):
    """Printed from dark mode, no text keeps a colour that was meant for a dark ground."""
    page = visit(page_name, color_scheme="dark").page
    page.emulate_media(media="print")
    pale = page.evaluate(PALE)
    page.emulate_media(media="screen")
    assert pale == []


def test_page_introduces_itself(visit, page_name):
    page = visit(page_name).page
    assert page.title().strip()
    assert page.locator('meta[name="description"]').get_attribute("content").strip()
    assert page.locator('link[rel~="icon"]').count()
    assert page.locator("html").get_attribute("lang")
    assert page.locator("h1:visible").count() == 1


def test_internal_links_lead_somewhere(visit, addresses, site, page_name):
    page = visit(page_name).page
    here = urldefrag(page.url)[0]
    links = page.eval_on_selector_all("a[href]", "links => links.map(a => a.getAttribute('href'))")
    dead = []
    for link in links:
        address, fragment = urldefrag(urljoin(here, link))
        if not address.startswith(addresses["http"]):
            continue
        target = site / unquote(urlsplit(address).path.lstrip("/"))
        target = target / "index.html" if target.is_dir() else target
        known = target.exists() and (not fragment or f'id="{unquote(fragment)}"' in target.read_text("utf-8"))
        if not known and not (address == here and fragment in ("", "main-content")):
            dead.append(link)
    assert dead == []
