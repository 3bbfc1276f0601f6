"""Every page of the built site as pictures: desktop, phone, dark, print.

    python -m tests.browser.screenshots [folder] [page ...]

writes `<folder>/<page>-<way>-<number>.png` (default `_build/screenshots`), for people to look at: a long
page is several pictures, from the top down.
`VISIONTRIAL_SITE` names another site than `_build/html`, `CHROMIUM` another browser.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.browser.built_site import SITE, pages
from visiontrial import paths

try:
    from playwright.sync_api import Browser, Page, sync_playwright
except ModuleNotFoundError:  # `make book` alone installs nothing for tests
    sys.exit("playwright is not installed: run `make test` first")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WAYS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    # The text column of A4 at 96 pixels an inch; dark, because print must not be.
    "print": {"viewport": {"width": 672, "height": 900}, "color_scheme": "dark"},
}
TALLEST = 4_000  # pixels of one picture


def main(folder: Path, names: list[str]) -> None:
    """Draw the pages named (all without names) in every way."""
    folder.mkdir(parents=True, exist_ok=True)
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit("no Chromium: install it (Debian: apt-get install chromium) or name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        for name in names or pages():
            for way in WAYS:
                stem = f"{name.removesuffix('.html').replace('/', '-')}-{way}"
                for number, picture in enumerate(_pictures(browser, name, way), start=1):
                    target = folder / f"{stem}-{number}.png"
                    target.write_bytes(picture)
                    print(target)
        browser.close()


def _pictures(browser: Browser, name: str, way: str) -> Iterator[bytes]:
    context = browser.new_context(**WAYS[way])
    page = context.new_page()
    page.goto(f"{SITE.resolve().as_uri()}/{name}")
    for top in range(0, _height(page), 600):
        page.evaluate(f"scrollTo(0, {top})")
        page.wait_for_timeout(60)
    page.wait_for_timeout(1500)  # charts are drawn when they come near
    page.evaluate("scrollTo(0, 0)")
    if way == "print":
        page.emulate_media(media="print")
    width, height = page.viewport_size["width"], _height(page)
    for top in range(0, height, TALLEST):
        clip = {"x": 0, "y": top, "width": width, "height": min(TALLEST, height - top)}
        yield page.screenshot(full_page=True, clip=clip)
    context.close()


def _height(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollHeight")


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else paths.BUILD / "screenshots"
    main(place, sys.argv[2:])
