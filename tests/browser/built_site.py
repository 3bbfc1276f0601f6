"""Where the built site is, and which pages it has."""

from __future__ import annotations

import os
from pathlib import Path

from visiontrial import paths

SITE = Path(os.environ.get("VISIONTRIAL_SITE", paths.HTML))

# The pictures in use at the present width, as an expression for the browser.
CHARTS = "[...document.querySelectorAll('.vt-variant')].filter(v => v.getClientRects().length)"


def pages() -> list[str]:
    """Every page that a reader sees, as a path relative to the root of the site."""
    found = (p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html"))
    return sorted(p for p in found if not p.startswith("_") and p != "index.html")
