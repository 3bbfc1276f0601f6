"""House rules of the prose: no digit of a result is typed, nothing is left to be written."""

import re

import pytest

from visiontrial import paths

CHAPTERS = sorted(paths.NOTEBOOKS.glob("*.md"))
PAGES = [*CHAPTERS, *sorted(paths.BOOK.glob("*.md"))]

# What is no prose: front matter, code, directives' options, roles, links, formulas, comments.
NO_PROSE = [
    r"\A---\n.*?\n---\n",
    r"^(`{3,}|~{3,}).*?^\1\s*$",
    r"^:(?!::)[a-z-]+:.*$",
    r"\{[\w:]+\}`[^`]*`",
    r"`[^`]*`",
    r"\]\([^)]*\)",
    r"<https?://[^>]*>",
    r"\$\$.*?\$\$|\$[^$\n]+\$",
    r"^\[.*?\]: .*$",
    r"^%.*$|^\([\w-]+\)=$",
    r"^\s*\d+\. |^\*\*\d+\.\*\*",
]
# Names that contain a digit, and references to parts of the paper.
NUMBERED = "Figures?|Tables?|Fig.|Panel|phase|grades?|CTCAE|RECIST|MedDRA|Python|version|cycle"
NAMES = [
    r"\d*(Lu|Ga)?-?PSMA-\d+",
    r"\b177Lu\b|\b68Ga\b|Lutetium-177",
    rf"\b({NUMBERED}) \d+(\.\d+)?( (and|to|or|–) \d+)?",
    r"PCWG ?3|FACT-P|NCT\d+|(CC BY|Attribution) 4\.0|SHA-256|UTF-8|A4|0 and 1",
    r"N Engl J Med\*? 2021;385:\d+[-–]\d+|\b10\.\d{4,}/\S+",
]


def _prose(text):
    for pattern in NO_PROSE:
        text = re.sub(pattern, lambda found: "\n" * found[0].count("\n"), text, flags=re.S | re.M)
    for pattern in NAMES:
        text = re.sub(pattern, "", text)
    return text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_no_digit_of_a_result_is_typed(page):
    lines = _prose(page.read_text(encoding="utf-8")).splitlines()
    typed = [f"{page.name}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if re.search(r"\d", line)]
    assert typed == [], "glue the number from the object that was shown, or quote it with the role claim"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_nothing_is_left_to_be_written(page):
    assert not re.search(r"\b(TODO|FIXME|XXX|TBD|lorem ipsum)\b", page.read_text(encoding="utf-8"), re.I)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_the_frame_of_the_book(chapter):
    text = chapter.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, flags=re.M)
    for part in ("Published beside ours", "What differs", "Read it critically", "Exercises", "Key takeaways"):
        assert any(part.lower() in heading.lower() for heading in headings), f"no section {part!r}"
    for item in ("You will be able to", "Time to read", "Time to run", "Prerequisites", "page.ledger()"):
        assert item.lower() in text.lower(), f"no {item!r}"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_function(chapter):
    assert not re.search(r"^\s*(def|class) \w+|\blambda\b", chapter.read_text(encoding="utf-8"), re.M)
