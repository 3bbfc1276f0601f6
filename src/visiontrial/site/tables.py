"""Numbered tables out of notebooks.

A cell whose metadata `mystnb: figure: name:` begins with `tab-` shows a table: it is
numbered with the tables, and its caption stands above it.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

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
