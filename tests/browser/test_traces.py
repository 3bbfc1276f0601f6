"""What building must not leave in the site: paths of the machine, warnings, tracebacks.

These tests read files; no browser is needed.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from visiontrial import paths

READ = {".html", ".ipynb", ".md", ".csv", ".txt"}
INDEX = "searchindex.js"
READERS_OWN = ("/tmp/mine.ipynb",)  # named in an example, for a file of the reader's

PLACES = {str(place) for place in (paths.ROOT, Path.home(), Path(tempfile.gettempdir())) if place.name}
OURS = "|".join(map(re.escape, sorted(PLACES)))
# Only whole paths: not the same letters inside an address or a longer name.
MACHINE_PATH = re.compile(
    rf"(?<![\w.-])(?:(?:{OURS})(?![\w.-])|/(?:tmp|root)/|/(?:home|Users)/\w+/)|ipykernel_\d"
)
COMPLAINT = re.compile(r":\d+: \w*Warning: |Traceback \(most recent call last\)|output stderr")


def traces(text: str, pattern: re.Pattern) -> list[str]:
    """What matches, with the words around it. An escaped line end of JSON counts as one."""
    text = text.replace("\\n", "\n")
    for example in READERS_OWN:
        text = text.replace(example, "")
    return [text[max(0, m.start() - 40) : m.end() + 60] for m in pattern.finditer(text)]


@pytest.mark.parametrize("pattern", [MACHINE_PATH, COMPLAINT], ids=["machine path", "complaint"])
def test_neither_pages_nor_downloads_show_how_they_were_made(site, pattern):
    files = sorted(p for p in site.rglob("*") if p.suffix in READ or p.name == INDEX)
    assert any(p.suffix == ".html" for p in files)
    found = {p.relative_to(site).as_posix(): traces(p.read_text("utf-8"), pattern) for p in files}
    assert {name: texts for name, texts in found.items() if texts} == {}


@pytest.mark.parametrize(
    "text",
    [
        f"made in {paths.ROOT}/notebooks",
        f"file://{paths.ROOT}",
        r'"text": "done\n/tmp/ipykernel_31612/3674759656.py:4: "',
        "open('/home/reader/book.csv')",
        "/Users/reader/book.csv",
    ],
)
def test_machine_path_is_recognized(text):
    assert traces(text, MACHINE_PATH)


def test_address_is_no_machine_path():
    assert not traces("https://example.org/tmp/x /tmp/mine.ipynb visit.com/home/page/", MACHINE_PATH)


@pytest.mark.parametrize(
    "text",
    [
        "3674759656.py:4: PerformanceWarning: indexing",
        "Traceback (most recent call last):",
        '<div class="output stderr">',
    ],
)
def test_complaint_is_recognized(text):
    assert traces(text, COMPLAINT)
    assert not traces("Warning: read this. A PerformanceWarning would stop the build.", COMPLAINT)
