"""The Sphinx extension of the book.

Each module has a `setup(app)` of its own:

executed    a chapter's page is made from its executed notebook, or not at all
numbers     the role `claim`, the directives `scoreboard` and `ledger-table`
charts      the directive `chart`; the script that makes charts interactive
tables      numbered tables out of notebooks, and their links
mathml      formulas without a script
local       no page asks anything of another server
assets      style sheets, scripts and icons of `book/assets/`
page        description, version, footer, first page and 404
downloads   data, ledger and executed notebooks beside the pages; the role `datafile`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, object]:
    """Sphinx's entry point."""
    # Imported here, so that the package can be read where Sphinx is not installed.
    from visiontrial import __version__
    from visiontrial.site import assets, charts, downloads, executed, local, mathml, numbers, page, tables

    for module in (executed, numbers, charts, tables, mathml, local, assets, page, downloads):
        module.setup(app)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
