"""Where things stand in a checkout.

The package is installed editable, so the project is found from the package itself:
nothing depends on the folder from which a command or a notebook is started.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PUBLISHED = ROOT / "data" / "published"
EXTERNAL = ROOT / "data" / "external"
RECONSTRUCTION = ROOT / "data" / "reconstruction"
NOTEBOOKS = ROOT / "notebooks"
BOOK = ROOT / "book"

BUILD = ROOT / "_build"
EXECUTED = BUILD / "executed" / "notebooks"
LEDGER_PARTS = BUILD / "ledger"
LEDGER = BUILD / "ledger.csv"
HTML = BUILD / "html"
