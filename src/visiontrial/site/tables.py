"""Tables out of notebooks: numbered, and with links that lead to pages.

A cell whose metadata `mystnb: figure: name:` begins with `tab-` shows a table: it is
numbered with the tables, and its caption stands above it.

A table links to a chapter by its notebook, which is what stands beside it in Jupyter; on a page
the link leads to the chapter's page.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

from visiontrial.site import executed

PREFIX = "tab-"


class TableFigure(nodes.figure):
    """A table in the form of a figure."""


def setup(app: Sphinx) -> None:
    app.add_enumerable_node(
        TableFigure,
        "table",
        _title,
        html=(HTML5Translator.visit_figure, HTML5Translator.depart_figure),
    )
    app.add_transform(_NumberAsTable)
    app.connect("html-page-context", _link_pages)


def to_pages(body: str, documents: Collection[str]) -> str:
    """The body of a chapter's page, with each link to another chapter's notebook leading to its page."""

    def page(link: re.Match) -> str:
        known = f"{executed.FOLDER}{link[1]}" in documents
        return f'href="{link[1]}.html{link[2]}"' if known else link[0]

    return re.sub(r'href="([\w-]+)\.ipynb(#[\w-]+|)"', page, body)


def _link_pages(app: Sphinx, pagename, templatename, context, doctree) -> None:
    if executed.is_chapter(pagename):
        context["body"] = to_pages(context["body"], app.env.found_docs)


class _NumberAsTable(SphinxTransform):
    default_priority = 250  # before names are looked at

    def apply(self) -> None:
        for figure in list(self.document.findall(nodes.figure)):
            if any(name.startswith(PREFIX) for name in figure["names"]):
                self._replace(figure)

    def _replace(self, figure: nodes.figure) -> None:
        captions = [c for c in figure if isinstance(c, nodes.caption)]
        others = [c for c in figure if not isinstance(c, nodes.caption)]
        table = TableFigure("", *captions, *others, **figure.attributes)
        table["classes"] = [*figure["classes"], "table-figure"]
        table.source, table.line = figure.source, figure.line
        figure.replace_self(table)
        for identifier in table["ids"]:
            self.document.ids[identifier] = table


def _title(node: TableFigure) -> str:
    return next((caption.astext() for caption in node.findall(nodes.caption)), "")
