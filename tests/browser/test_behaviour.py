"""What pages do when a reader acts: themes, paper, search, tooltips, the ledger's filters."""

from __future__ import annotations

import re

import pytest
from built_site import CHARTS, SITE, pages

pytestmark = pytest.mark.browser


def _pages_with(pattern: str) -> list[str]:
    return [name for name in pages() if re.search(pattern, (SITE / name).read_text("utf-8"))]


@pytest.fixture(scope="module")
def chart_page(site) -> str:
    found = _pages_with('class="vt-chart"')
    if not found:
        pytest.skip("no page of the site has a chart")
    return found[0]


@pytest.fixture(scope="module")
def ledger_page(site) -> str:
    found = _pages_with('class="vt-ledger"')
    assert found, "no page of the site shows the ledger"
    return found[0]


def test_entrance_leads_to_the_first_page(visit, addresses, scheme):
    page = visit("404.html", scheme, fresh=True).page
    page.goto(addresses[scheme] + "index.html")
    page.wait_for_url(re.compile(r"/book/index\.html"))
    assert page.title()


LIVE = f"{CHARTS}[0].querySelector('.vt-live').shadowRoot"
LABEL = f"getComputedStyle({LIVE}.querySelector('text')).fill"


def test_theme_button_restyles_charts(visit, chart_page, scheme):
    page = visit(chart_page, scheme, fresh=True).page
    inks = set()
    for _ in range(3):  # auto, light, dark, in the theme's own order
        page.locator("button.theme-switch-button:visible").first.click()
        theme = page.locator("html").get_attribute("data-theme")
        inks.add((theme, page.evaluate(LABEL)))
    assert inks == {("light", "rgb(27, 37, 48)"), ("dark", "rgb(230, 234, 239)")}


def test_print_shows_the_wide_picture_in_ink_on_white(visit, chart_page):
    page = visit(chart_page, color_scheme="dark", viewport={"width": 390, "height": 844}, fresh=True).page
    page.emulate_media(media="print")
    chart = page.locator(".vt-chart").first
    assert chart.locator(".vt-wide > svg").is_visible()
    assert not chart.locator(".vt-live").first.is_visible()
    label = chart.locator(".vt-wide > svg text").first
    assert label.evaluate("text => getComputedStyle(text).fill") == "rgb(27, 37, 48)"
    assert not page.locator(".bd-sidebar-primary").is_visible()
    assert page.locator(".bd-article h1").first.is_visible()


def test_charts_are_pictures_without_scripts(visit, chart_page, scheme):
    page = visit(chart_page, scheme, java_script_enabled=False, fresh=True).page
    assert page.locator(".vt-chart svg[role=img]").first.is_visible()
    assert page.locator(".vt-chart svg[role=img] text").count() > 0


def test_keyboard_reads_a_chart(visit, chart_page):
    page = visit(chart_page, fresh=True).page
    live = page.locator(".vt-live[tabindex]:visible").first
    live.focus()
    page.keyboard.press("ArrowRight")
    tooltip = page.locator("#vt-tooltip")
    assert tooltip.is_visible()
    first = tooltip.inner_text()
    assert live.locator("[role=status]").text_content()
    page.keyboard.press("ArrowRight")
    assert tooltip.inner_text() != first
    page.keyboard.press("Escape")
    assert not tooltip.is_visible()


def test_hovering_a_mark_shows_its_values(visit, chart_page):
    page = visit(chart_page, fresh=True).page
    live = page.locator(".vt-live[tabindex]:visible").first
    live.focus()
    page.keyboard.press("ArrowRight")  # finds a mark that has something to say
    mark = live.locator("[data-current]")
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.keyboard.press("Escape")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#vt-tooltip.visible").wait_for()


def test_search_finds_a_page(visit, addresses, site, scheme):
    page = visit("search.html", scheme, fresh=True).page
    page.goto(addresses[scheme] + "search.html?q=screened")
    page.locator("#search-results li a").first.wait_for()
    assert page.locator("#search-results li a").count() > 0


def test_ledger_is_whole_without_scripts(visit, ledger_page):
    page = visit(ledger_page, java_script_enabled=False, fresh=True).page
    assert page.locator("table.ledger tbody tr:visible").count() == _rows_of(ledger_page)
    assert not page.locator(".vt-ledger-controls").is_visible()


def test_ledger_filters_by_word_and_by_field(visit, ledger_page, scheme):
    page = visit(ledger_page, scheme, fresh=True).page
    rows = page.locator("table.ledger tbody tr:visible")
    page.get_by_role("searchbox", name="Find").fill("os.hr")
    assert 0 < rows.count() < 20
    assert all("os.hr" in text for text in rows.all_inner_texts())
    assert re.search(r"\d+ of \d+ numbers", page.locator(".vt-ledger-count").inner_text())
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("!document.querySelector('table.ledger tbody tr[hidden]')")
    page.locator(".vt-ledger-controls [name=location]").select_option("table1")
    page.locator(".vt-ledger-controls [name=grade]").select_option("recomputed")
    wanted = page.locator("table.ledger tbody tr[data-location=table1][data-grade=recomputed]").count()
    assert rows.count() == wanted > 0


def test_link_to_a_claim_finds_its_row(visit, addresses, ledger_page, scheme):
    page = visit(
        "404.html", scheme, fresh=True
    ).page  # a visit scrolls: the page itself is opened without one
    page.goto(f"{addresses[scheme]}{ledger_page}#claim-os.hr")
    assert _row_in_sight(page) == "claim-os.hr"


def test_number_of_the_paper_leads_to_its_row_by_keyboard(visit, addresses, ledger_page, scheme):
    page = visit("book/index.html", scheme, fresh=True).page
    number = page.locator("a.claim").first
    wanted = number.get_attribute("title").rpartition("claim ")[2]
    number.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{addresses[scheme]}{ledger_page}#claim-{wanted}")
    assert _row_in_sight(page) == f"claim-{wanted}"


def test_number_of_the_paper_is_tapped_on_a_phone(visit, ledger_page):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = visit("book/index.html", fresh=True, **phone).page
    page.locator("a.claim").first.tap()
    page.wait_for_url(re.compile(rf"{ledger_page}#claim-"))
    assert _row_in_sight(page)


def test_number_on_the_ledger_s_own_page_finds_its_row_behind_filters(visit, ledger_page):
    page = visit(ledger_page, fresh=True).page
    link = page.locator('a.claim[href^="#"]').first
    wanted = link.get_attribute("href").removeprefix("#")
    for _ in range(2):  # the second time, the address stays as it is
        page.get_by_role("searchbox", name="Find").fill("no such number")
        assert not page.locator(f'[id="{wanted}"]').is_visible()
        link.click()
        page.wait_for_function("!document.querySelector('table.ledger tbody tr[hidden]')")
        assert _row_in_sight(page) == wanted


def _row_in_sight(page) -> str | None:
    """The id of the row that the address names, if the reader sees it, in the window and in its frame."""
    page.wait_for_load_state()
    page.wait_for_timeout(200)
    return page.evaluate(
        """() => {
          const row = document.querySelector("table.ledger tr:target");
          const [box, frame] = [row, row.closest(".table-scroll")].map((e) => e.getBoundingClientRect());
          const top = Math.max(frame.top, 0), bottom = Math.min(frame.bottom, innerHeight);
          return top <= box.top && box.top < bottom ? row.id : null;
        }"""
    )


def _rows_of(page_name: str) -> int:
    return (SITE / page_name).read_text("utf-8").count('<tr id="claim-')
