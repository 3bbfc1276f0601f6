"""What the tests in a real browser share: the built site, served over http and read from the disk."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from built_site import CHARTS, SITE, pages

NO_SITE = f"there is no built site at {SITE}: run `make book` first"
DESKTOP = {"width": 1280, "height": 900}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "page_name" in metafunc.fixturenames:
        metafunc.parametrize("page_name", pages() or ["no-site"], scope="session")
    if "scheme" in metafunc.fixturenames:
        metafunc.parametrize("scheme", ["http", "file"], scope="session")


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built site. Without one: a visible skip, or a failure where a browser is required."""
    if not (SITE / "index.html").exists():
        if os.environ.get("VISIONTRIAL_REQUIRE_BROWSER") == "1":
            pytest.fail(NO_SITE, pytrace=False)
        pytest.skip(NO_SITE)
    return SITE


@pytest.fixture(scope="session")
def addresses(site: Path) -> Iterator[dict[str, str]]:
    """The site's root as the browser sees it, by scheme."""
    server = ThreadingHTTPServer(("localhost", 0), functools.partial(_Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"http": f"http://localhost:{server.server_port}/", "file": f"{site.resolve().as_uri()}/"}
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args) -> None:
        pass


@dataclass
class Visit:
    """One page as a reader scrolled through it, and what it asked for and complained of meanwhile."""

    page: object
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def visit(browser, addresses):
    """Open a page in a fresh profile, scroll to its end, wait until its charts are drawn.

    Tests that only look share a visit: the pages are large, and the tests come page by page.
    """
    visits: dict[tuple, Visit] = {}

    def visit(name: str, scheme: str = "http", *, fresh: bool = False, **options) -> Visit:
        options = {"viewport": DESKTOP, "color_scheme": "light"} | options
        key = (name, scheme, *map(str, options.values()))
        if fresh or key not in visits:
            if fresh or any(other[0] != name for other in visits):
                _close(visits)
            visits[key] = _open(browser, addresses[scheme] + name, options)
        return visits[key]

    yield visit
    _close(visits)


def _open(browser, address: str, options: dict) -> Visit:
    seen = Visit(browser.new_context(**options).new_page())
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("requestfailed", lambda request: seen.complaints.append(f"failed: {request.url}"))
    bad = ("error", "warning")
    seen.page.on("console", lambda said: said.type in bad and seen.complaints.append(said.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.goto(address)
    if options.get("java_script_enabled", True):
        _read_to_the_end(seen.page)
    return seen


def _close(visits: dict[tuple, Visit]) -> None:
    for seen in visits.values():
        seen.page.context.close()
    visits.clear()


def _read_to_the_end(page) -> None:
    """Scroll through a page, resting at each chart until it is drawn (or clearly will not be)."""
    page.evaluate(
        f"""async () => {{
          const rest = () => new Promise((done) => setTimeout(done, 50));
          for (const variant of {CHARTS}) {{
            variant.scrollIntoView();
            for (let n = 0; n < 200 && variant.dataset.state !== "live"; n++) await rest();
          }}
          scrollTo(0, document.documentElement.scrollHeight);
          await rest();
          scrollTo(0, 0);
        }}"""
    )
