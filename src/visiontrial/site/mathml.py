"""Formulas as MathML, which browsers draw themselves: no script, no font from elsewhere."""

from __future__ import annotations

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("config-inited", _choose)


def _choose(app: Sphinx, config) -> None:
    config.html_math_renderer = "mathml"


def to_mathml(latex: str, display: str, node: nodes.Node | None = None) -> str:
    """One formula. What cannot be converted is reported at its place in the book and shown as written."""
    try:
        return convert(latex, display=display)
    except Exception as error:  # the library has no error class of its own
        logger.warning("formula %r: %s", latex, error or type(error).__name__, location=node)
        return f"<code>{nodes.unescape(latex)}</code>"


def _inline(self, node: nodes.math) -> None:
    self.body.append(self.starttag(node, "span", "", CLASS="math"))
    self.body.append(to_mathml(node.astext(), "inline", node) + "</span>")
    raise nodes.SkipNode


def _block(self, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", "", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(to_mathml(node.astext(), "block", node) + "</div>")
    raise nodes.SkipNode
