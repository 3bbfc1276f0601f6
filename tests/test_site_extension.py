"""The Sphinx extension: what it refuses, and what a small book built with it looks like."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from docutils import nodes
from docutils.utils import new_document

from visiontrial import paths, render
from visiontrial.site import charts, downloads, executed, mathml, numbers, page, tables

NOTEBOOK = "notebooks/01-small"


def notebook(*cells: tuple[str, str], tags: tuple[str, ...] = ()) -> dict:
    made = []
    for number, (kind, source) in enumerate(cells):
        cell = {"id": f"c{number}", "cell_type": kind, "metadata": {"tags": list(tags)}, "source": source}
        made.append(cell | ({"outputs": [], "execution_count": 1} if kind == "code" else {}))
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": made}


SOURCE = notebook(("markdown", "# Small"), ("code", "1 + 1"))


# --- a chapter is its executed notebook, or nothing ----------------------------------------


def read(made: dict, tmp_path: Path, source: dict = SOURCE) -> dict:
    path = tmp_path / "made.ipynb"
    path.write_text(json.dumps(made), encoding="utf-8")
    return json.loads(executed.read(NOTEBOOK, json.dumps(source), path))


def test_executed_notebook_takes_the_place_of_its_source(tmp_path):
    made = notebook(("markdown", "# Small"), ("code", "1 + 1"))
    made["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "2"}]
    assert read(made, tmp_path) == made


def test_injected_parameters_do_not_count_as_a_change(tmp_path):
    made = notebook(("markdown", "# Small"), ("code", "1 + 1"))
    made["cells"].insert(1, notebook(("code", "x = 2"), tags=(executed.INJECTED,))["cells"][0])
    assert len(read(made, tmp_path)["cells"]) == 3


def test_lines_may_be_stored_as_a_list(tmp_path):
    assert read(notebook(("markdown", ["# ", "Small"]), ("code", ["1 +", " 1"])), tmp_path)


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (notebook(("markdown", "# Small"), ("code", "1 + 2")), r"cell 2 \(code, '1 \+ 1'\) has changed"),
        (notebook(("markdown", "# Old"), ("code", "1 + 1")), r"cell 1 \(markdown, '# Small'\) has changed"),
        (notebook(("markdown", "# Small")), "executed with 1 cells, now it has 2"),
    ],
)
def test_outdated_execution_is_refused(made, complaint, tmp_path):
    with pytest.raises(executed.NotExecuted, match=complaint + r".*run `make book`"):
        read(made, tmp_path)


def test_missing_execution_is_refused(tmp_path):
    with pytest.raises(executed.NotExecuted, match=r"01-small.*is missing; run `make book`"):
        executed.read(NOTEBOOK, json.dumps(SOURCE), tmp_path / "none.ipynb")


def test_what_only_jupyterlab_draws_stays_off_the_page(tmp_path):
    made = notebook(("markdown", "# Small"), ("code", "1 + 1"))
    data = {"text/html": "<svg/>", render.VEGALITE_MIME: {}}
    made["cells"][1]["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": data}]
    assert read(made, tmp_path)["cells"][1]["outputs"][0]["data"] == {"text/html": "<svg/>"}


# --- small parts --------------------------------------------------------------------------


def test_chart_must_be_a_function_that_returns_a_figure():
    with pytest.raises(ValueError, match="module:function"):
        charts.load("visiontrial.render")
    with pytest.raises(TypeError, match=r"str, not a render\.Figure"):
        charts.load("visiontrial.render:palette_css")


def test_addresses_are_relative():
    assert downloads.address("index", "ledger.csv") == "data/ledger.csv"
    assert downloads.address("book/data", "published/claims.csv") == "../data/published/claims.csv"


def test_row_of_a_claim_is_found_from_every_depth():
    assert numbers.row_address("index", "os.hr") == "notebooks/90-every-number.html#claim-os.hr"
    assert numbers.row_address("book/data", "os.hr") == "../notebooks/90-every-number.html#claim-os.hr"
    assert numbers.row_address(numbers.LEDGER_PAGE, "os.hr") == "#claim-os.hr"


def test_formula_becomes_mathml():
    markup = mathml.to_mathml(r"\sqrt{1/d_1}", "block")
    assert markup.startswith("<math")
    assert 'display="block"' in markup
    assert "<msqrt>" in markup


def test_description_is_the_first_paragraph_cut_between_words():
    document = new_document("page")
    section = nodes.section("", nodes.title("", "Title"))
    section += nodes.note("", nodes.paragraph("", "An aside."))
    section += nodes.paragraph("", "word " * 60)
    document += section
    text = page.description(document)
    assert len(text) <= page.DESCRIPTION_LENGTH + 2
    assert text.endswith("word …")


def test_version_outside_git_is_the_package_alone(tmp_path):
    assert page.version(tmp_path) == page.Version(page.__version__)


LEDGER = pd.DataFrame(
    [
        {
            "claim_id": "os.hr", "location": "results", "printed": "<0.001", "reproduced": "0.62 to 0.63",
            "difference": "", "grade": "quoted", "verdict": "compatible",
            "left_out_low": "", "left_out_high": "", "covered": "",
            "chapter": "01-small", "explanation": "a & b",
        }
    ]
)  # fmt: skip


def test_ledger_table_escapes_links_and_hides_empty_columns():
    markup = numbers.ledger_html(LEDGER, "../", {NOTEBOOK})
    assert '<tr id="claim-os.hr" data-location="results" data-grade="quoted" data-verdict="comp' in markup
    assert "&lt;0.001" in markup
    assert "a &amp; b" in markup
    assert '<a href="../notebooks/01-small.html" title="01-small">01</a>' in markup
    assert '<a href="../data/ledger.csv" download>' in markup
    assert "left out" not in markup


def test_ledger_table_shows_what_leaving_out_predicts_where_it_is_known():
    markup = numbers.ledger_html(LEDGER.assign(left_out_low="0.55", left_out_high="0.70"), "", set())
    assert "left out: from" in markup
    assert "covered" not in markup


def test_on_a_page_a_link_to_a_chapters_notebook_leads_to_its_page():
    link, foreign = '<a href="01-small.ipynb#one">', '<a href="made.ipynb"><a href="../x/01-small.ipynb">'
    body = tables.to_pages(f'{link}<a href="01-small.ipynb">{foreign}', {NOTEBOOK})
    assert body == f'<a href="01-small.html#one"><a href="01-small.html">{foreign}'


# --- a small book -------------------------------------------------------------------------

FRONT = """# Small book

The first paragraph tells what this is: {claim}`os.hr`, and $a^2$.

```{scoreboard}
```

```{chart} small_figures:arms
:name: fig-arms
Two arms, with {claim}`os.hr`.
```

{numref}`fig-arms`, {numref}`fig-cell`, {numref}`tab-cell`; {datafile}`published/claims.csv`.

$$
x = 1
$$ (eq-x)
"""

EVERY = """# Every number: {claim}`os.hr`

All of {claim}`os.hr`.

```{ledger-table}
```"""

FIGURES = """
import altair as alt, pandas as pd
from visiontrial.render import Figure

def arms():
    chart = alt.Chart(pd.DataFrame({"arm": ["lu", "control"], "n": [551, 280]}))
    return Figure("arms", chart.mark_bar().encode(x="n:Q", y="arm:N"), "Two bars: 551 and 280 patients.")
"""

CONFIG = """
title: Small book
author: Tests
only_build_toc_files: true
exclude_patterns: ["_build/*", "data/**"]
execute: {execute_notebooks: "off"}
html: {favicon: favicon.svg}
parse: {myst_enable_extensions: [dollarmath, colon_fence]}
sphinx: {extra_extensions: [visiontrial.site], config: {nb_output_stderr: error}}
"""

TOC = """format: jb-book
root: book/index
chapters:
- file: notebooks/01-small
- file: notebooks/90-every-number
"""


JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"


class SmallBook:
    """A book in miniature, over the real published numbers."""

    def __init__(self, root: Path):
        self.root = root
        shutil.copytree(paths.PUBLISHED, root / "data/published")
        self.write("_build/ledger.csv", (paths.BOOK / "ledger.csv").read_text("utf-8"))
        self.write("favicon.svg", (paths.BOOK / "assets/favicon.svg").read_text("utf-8"))
        self.write("_config.yml", CONFIG)
        self.write("_toc.yml", TOC)
        self.write("book/index.md", FRONT)
        self.write("small_figures.py", FIGURES)
        self.chapter("01-small", self._small())
        self.chapter("90-every-number", notebook(("markdown", EVERY)))

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def chapter(self, name: str, made: dict) -> None:
        self.write(f"notebooks/{name}.ipynb", json.dumps(made))
        self.write(f"_build/executed/notebooks/{name}.ipynb", json.dumps(made))

    def build(self) -> subprocess.CompletedProcess:
        return subprocess.run(
            # Started from here, the program finds small_figures.
            [sys.executable, "-c", JUPYTER_BOOK, "build", ".", "-W", "-n", "--keep-going"],
            cwd=self.root, capture_output=True, text=True,
        )  # fmt: skip

    def page(self, name: str) -> str:
        return (self.root / "_build/html" / name).read_text(encoding="utf-8")

    @staticmethod
    def _small() -> dict:
        made = notebook(("markdown", "# Small\n\nA chapter."), ("code", "figure"), ("code", "table"))
        for cell, name, markup in zip(
            made["cells"][1:], ("fig-cell", "tab-cell"), ("<p>picture</p>", "<table></table>"), strict=True
        ):
            cell["metadata"]["mystnb"] = {"figure": {"name": name, "caption": f"The {name}."}}
            output = {"output_type": "execute_result", "execution_count": 1, "metadata": {}}
            cell["outputs"] = [output | {"data": {"text/html": markup, "text/plain": "x"}}]
        return made


def claims_of(page: str) -> list[tuple[str, str, str]]:
    """Address, title and text of every number of the paper on a page."""
    link = r'<a class="claim reference internal" href="([^"]+)" title="([^"]+)">([^<]+)</a>'
    return re.findall(link, page)


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> SmallBook:
    small = SmallBook(tmp_path_factory.mktemp("small-book"))
    done = small.build()
    assert done.returncode == 0, done.stdout + done.stderr
    return small


@pytest.mark.slow
class TestSmallBook:
    def test_claim_is_printed_with_its_provenance(self, book):
        assert {printed for _, _, printed in claims_of(book.page("book/index.html"))} == {"0.62"}
        for _, title, _ in claims_of(book.page("book/index.html")):
            assert re.fullmatch(r"printed in the results; grade: \w+; claim os\.hr", title)

    def test_claim_leads_to_its_row_from_prose_captions_and_headings(self, book):
        front, every = book.page("book/index.html"), book.page("notebooks/90-every-number.html")
        there = "../notebooks/90-every-number.html#claim-os.hr"
        assert [address for address, _, _ in claims_of(front)] == [there, there]
        assert [address for address, _, _ in claims_of(every)] == ["#claim-os.hr", "#claim-os.hr"]
        assert every.count('id="claim-os.hr"') == 1

    def test_claim_in_a_heading_is_plain_text_in_lists_of_contents(self, book):
        front = book.page("book/index.html")
        assert re.search(r'href="\.\./notebooks/90-every-number\.html">\s*Every number: 0\.62\s*</a>', front)

    def test_figures_and_tables_are_numbered_and_referred_to(self, book):
        front, chapter = book.page("book/index.html"), book.page("notebooks/01-small.html")
        for text in ("Fig. 1", "Fig. 2", "Table 1"):
            assert f"<span>{text}" in front.replace('<span class="std std-numref">', "<span>")
        assert 'Table 1 </span><span class="caption-text">The tab-cell.' in chapter
        assert chapter.index("The tab-cell.") < chapter.index("<table>")
        assert chapter.index("<p>picture</p>") < chapter.index("The fig-cell.")

    def test_only_pages_that_need_a_script_name_it(self, book):
        front, chapter, every = map(
            book.page, ("book/index.html", "notebooks/01-small.html", "notebooks/90-every-number.html")
        )
        assert ["charts.js" in text for text in (front, chapter, every)] == [True, False, False]
        assert ["ledger.js" in text for text in (front, chapter, every)] == [False, False, True]
        assert (book.root / "_build/html/_static/visiontrial/vega-embed.js").stat().st_size > 500_000

    def test_nothing_names_another_server(self, book):
        for path in (book.root / "_build/html").rglob("*.html"):
            text = path.read_text("utf-8")
            assert not re.search(r'<(script|link|img|iframe)\b[^>]*(src|href)="(https?:)?//', text), path
            assert not re.search(r"unpkg|jsdelivr|cdnjs|thebe|fontawesome\.js", text), path

    def test_pages_introduce_themselves(self, book):
        front = book.page("book/index.html")
        assert '<meta name="description" content="The first paragraph tells what this is: 0.62' in front
        assert 'rel="icon"' in front.replace("shortcut ", "")
        assert "Version " in front
        assert "<math" in front
        assert '(1)<a class="headerlink"' in front

    def test_chapter_says_how_to_reproduce_it(self, book):
        chapter = book.page("notebooks/01-small.html")
        assert "python -m visiontrial execute 01-small" in chapter
        assert "vt-reproduce" not in book.page("book/index.html")

    def test_downloads_are_beside_the_pages(self, book):
        out = book.root / "_build/html"
        made = (book.root / "_build/executed/notebooks/01-small.ipynb").read_bytes()
        assert (out / "_sources/notebooks/01-small.ipynb").read_bytes() == made
        assert (out / "data/ledger.csv").read_bytes() == (book.root / "_build/ledger.csv").read_bytes()
        assert (out / "data/published/claims.csv").exists()
        assert 'href="../data/published/claims.csv"' in book.page("book/index.html")

    def test_entrance_and_404_stand_on_their_own(self, book):
        assert 'content="0; url=book/index.html"' in book.page("index.html")
        assert "<title>Page not found – Small book</title>" in book.page("404.html")
        assert not re.search(r'(src|href)="_static', book.page("404.html"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("book/index.md", "# F\n\nText.\n\n{claim}`os.no-such`\n", r"index\.md:5:.*no claim 'os.no-such'"),
        ("book/index.md", "# F\n\n{datafile}`none.csv`\n", r"index\.md:3:.*no file data/none\.csv"),
        ("book/index.md", "# F\n\n```{chart} no.such:thing\nWords.\n```\n", r"index\.md:3:.*No module named"),
        ("notebooks/01-small.ipynb", json.dumps(SOURCE), r"01-small: cell 1 .* has changed since"),
    ],
    ids=["unknown claim", "unknown file", "unknown chart", "outdated chapter"],
)
def test_broken_page_stops_the_build(name, text, complaint, tmp_path):
    small = SmallBook(tmp_path)
    small.write(name, text)
    done = small.build()
    assert done.returncode != 0
    assert re.search(complaint, re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr))
