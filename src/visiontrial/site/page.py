"""What every page says of itself: description, version, how to reproduce it; the entrance and the 404."""

from __future__ import annotations

import html
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

from docutils import nodes
from sphinx.application import Sphinx

from visiontrial import __version__, files
from visiontrial.site import assets, executed

DESCRIPTION_LENGTH = 158
CITATIONS = '<div class="citation-list">'
FOOTER = "author.html, copyright.html, vt-version.html"


def setup(app: Sphinx) -> None:
    app.connect("config-inited", _arrange)
    app.connect("html-page-context", _describe)
    app.connect("build-finished", _write_entrances, priority=100)  # before others think of a redirect


@dataclass(frozen=True)
class Version:
    """Which state of the project a page was made from; `commit` and `date` are empty outside git."""

    number: str
    commit: str = ""
    date: str = ""


@cache
def version(root: Path) -> Version:
    """The version of the package, and the last commit where there is one."""
    try:
        shown = subprocess.run(
            ["git", "log", "-1", "--format=%h %cs"], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return Version(__version__)
    return Version(__version__, *shown.stdout.split())


def description(doctree: nodes.document) -> str:
    """The first paragraph of a page, cut between words to what a search engine shows."""
    paragraphs = (p for p in doctree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section))
    text = " ".join(next((p.astext() for p in paragraphs), "").split())
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    return text[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0].rstrip(",;:–- ") + " …"


def _arrange(app: Sphinx, config) -> None:
    options = config.html_theme_options
    options["footer_content_items"] = FOOTER
    options["use_fullscreen_button"] = False  # every browser has one
    options["article_footer_items"] = ["vt-reproduce.html"]
    config.html_last_updated_fmt = None  # the commit's date instead: it does not depend on when one builds
    config.html_use_index = False
    config.html_domain_indices = False


def _describe(app: Sphinx, pagename: str, templatename, context, doctree) -> None:
    context["vt_version"] = version(Path(app.srcdir))
    if executed.is_chapter(pagename):
        context["vt_chapter"] = pagename.removeprefix(executed.FOLDER)
        context["vt_notebook"] = f"{context['pathto']('_sources', 1)}/{pagename}.ipynb"
    told = context.get("metatags", "")
    if 'name="description"' not in told:
        text = description(doctree) if doctree else ""
        text = text or f"{context.get('title', pagename)} – {app.config.html_title}"
        context["metatags"] = f'{told}\n<meta name="description" content="{html.escape(text)}" />'
    # docutils calls the bibliography a list, but not its entries list items: no list, then.
    context["body"] = context.get("body", "").replace('<div role="list" class="citation-list">', CITATIONS)


def _write_entrances(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    words = {
        "title": html.escape(app.config.html_title),
        "language": app.config.language,
        "first": f"{app.config.root_doc}.html",
        "assets": f"_static/{assets.FOLDER}",
    }
    for template in sorted(Path(__file__).with_name("entrances").iterdir()):
        if template.stem != app.config.root_doc:
            text = Template(template.read_text(encoding="utf-8")).substitute(words)
            files.write_text(Path(app.outdir) / template.name, text)
