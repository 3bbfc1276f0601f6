"""Style sheets, scripts and icons: `book/assets/` as `_static/visiontrial/`, and the charts' colours."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

from visiontrial import files, paths, render

FOLDER = "visiontrial"
SOURCE = paths.BOOK / "assets"
PALETTE_CSS = "palette.css"
STYLES = (PALETTE_CSS, "pages.css", "tables.css", "charts.css", "print.css")


def setup(app: Sphinx) -> None:
    for style in STYLES:
        app.add_css_file(f"{FOLDER}/{style}", priority=800)
    # Before the pages are written: Sphinx stamps each link with the file's checksum.
    app.connect("builder-inited", _copy)


def _copy(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / FOLDER
    for source in sorted(SOURCE.iterdir()):
        files.write_bytes(target / source.name, source.read_bytes())
    files.write_text(target / PALETTE_CSS, render.palette_css())
