"""Data, ledger and executed notebooks beside the pages, at addresses that stay.

`data/...` of the project is `data/...` of the site, the ledger is `data/ledger.csv`, and the
theme's download button offers a chapter's executed notebook. In prose:
`` {datafile}`published/claims.csv` `` links to a file of `data/`.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from visiontrial import files, paths
from visiontrial.site import executed

LEDGER = "ledger.csv"
FOLDER = "data"


def setup(app: Sphinx) -> None:
    app.add_role("datafile", DataFileRole())
    app.connect("html-page-context", _name_download, priority=900)
    app.connect("build-finished", _copy)


def address(document: str, name: str) -> str:
    """The relative address of a file of `data/`, as seen from a page."""
    return "../" * document.count("/") + f"{FOLDER}/{name}"


class DataFileRole(SphinxRole):
    """A link to a file of `data/` (or to `ledger.csv`), which the reader may download."""

    def run(self):
        if self.text != LEDGER and not (Path(self.env.srcdir) / FOLDER / self.text).is_file():
            message = self.inliner.reporter.error(f"there is no file data/{self.text}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        link = nodes.reference(self.rawtext, "", refuri=address(self.env.docname, self.text), internal=True)
        link += nodes.literal(self.text, f"{FOLDER}/{self.text}")
        return [link], []


def _name_download(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Say that a chapter's notebook comes with its results."""
    if not executed.is_chapter(pagename):
        return
    buttons = [b for group in context.get("header_buttons", []) for b in group.get("buttons", [])]
    for button in buttons:
        if button["label"] == "download-source-button":
            button |= {"tooltip": "Download the executed notebook", "text": ".ipynb (executed)"}


def _copy(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    root, out = Path(app.srcdir), Path(app.outdir)
    for source in _published_files(root / FOLDER):
        files.write_bytes(out / source.relative_to(root), source.read_bytes())
    ledger = root / paths.LEDGER.relative_to(paths.ROOT)
    if ledger.exists():
        files.write_bytes(out / FOLDER / LEDGER, ledger.read_bytes())
    for document in filter(executed.is_chapter, app.env.found_docs):
        notebook = executed.path_of(document, root)
        # Where Sphinx put the source, for which the theme's button asks.
        files.write_bytes(out / "_sources" / f"{document}.ipynb", notebook.read_bytes())


def _published_files(folder: Path) -> list[Path]:
    found = (p for p in folder.rglob("*") if p.is_file())
    return sorted(p for p in found if not any(n.startswith(".") for n in p.relative_to(folder).parts))
