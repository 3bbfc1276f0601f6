"""Charts on the pages: the directive `chart`, and the script that makes charts interactive.

    ```{chart} visiontrial.figures:what_vision_showed
    :name: fig-front
    The two medians of overall survival. ...
    ```

The function is called without arguments and returns a `render.Figure`; the content is the
caption. The scripts are written once, and only pages with charts name them.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import ClassVar

import vl_convert
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from visiontrial import files, render
from visiontrial.site import assets

BUNDLE = "vega-embed.js"


def setup(app: Sphinx) -> None:
    app.add_directive("chart", ChartDirective)
    app.connect("html-page-context", _add_script)
    app.connect("build-finished", _write_bundle)


class ChartDirective(SphinxDirective):
    """A chart of the package on a page of prose, as a numbered figure."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"name": directives.unchanged_required}

    def run(self):
        try:
            figure = load(self.arguments[0])
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise self.error(f"chart {self.arguments[0]}: {error}") from error
        self.env.note_dependency(importlib.import_module(self.arguments[0].partition(":")[0]).__file__)
        node = nodes.figure("", nodes.raw("", figure.html(), format="html"))
        self.set_source_info(node)
        node += self._caption()
        self.add_name(node)
        return [node]

    def _caption(self) -> list[nodes.Node]:
        if not self.content:
            raise self.error(f"chart {self.arguments[0]}: write a caption as the content of the directive")
        parsed = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, parsed)
        first, *legend = parsed.children
        caption = nodes.caption(first.rawsource, "", *first.children)
        self.set_source_info(caption)
        return [caption, nodes.legend("", *legend)] if legend else [caption]


def load(target: str) -> render.Figure:
    """Call `module:function`. Raises `ValueError` when that is not how a figure is named."""
    module, colon, function = target.partition(":")
    if not colon:
        raise ValueError("name the function as `module:function`")
    figure = getattr(importlib.import_module(module), function)()
    if not isinstance(figure, render.Figure):
        raise TypeError(f"returned {type(figure).__name__}, not a render.Figure")
    return figure


def _add_script(app: Sphinx, pagename, templatename, context, doctree) -> None:
    if 'class="vt-chart"' in context.get("body", ""):
        app.add_js_file(f"{assets.FOLDER}/charts.js", loading_method="defer")


def _write_bundle(app: Sphinx, error: Exception | None) -> None:
    """Vega, Vega-Lite and Vega-Embed as vl-convert carries them: charts.js loads it when a chart is near."""
    if error is None and app.builder.format == "html":
        bundle = vl_convert.javascript_bundle(vl_version=render.VEGALITE_VERSION)
        # A scope of its own: the bundle's hundreds of one-letter names are not the page's.
        target = Path(app.outdir) / "_static" / assets.FOLDER / BUNDLE
        files.write_text(target, f"(() => {{{bundle}\n}})();\n")
