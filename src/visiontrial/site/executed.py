"""A chapter's page is made from its executed notebook, or not at all.

What is read is what was checked: on reading a document under `notebooks/`, its source is
replaced by `_build/executed/notebooks/<name>.ipynb`. A missing or outdated one stops the build.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import SphinxError

from visiontrial import paths, render

FOLDER = f"{paths.NOTEBOOKS.name}/"
INJECTED = "injected-parameters"
HOW = "run `make book` (or, for this chapter alone, `python -m visiontrial execute {name}`)"


class NotExecuted(SphinxError):
    """A chapter cannot become a page because it was not executed as it now stands."""

    category = "Chapter not executed"


def setup(app: Sphinx) -> None:
    app.connect("source-read", _substitute)


def is_chapter(document: str) -> bool:
    """Whether a document of the book is a chapter, that is, a notebook to be executed."""
    return document.startswith(FOLDER)


def path_of(document: str, root: Path) -> Path:
    """Where the executed notebook of a chapter lies."""
    place = paths.EXECUTED.relative_to(paths.ROOT)
    return root / place / f"{document.removeprefix(FOLDER)}.ipynb"


def _substitute(app: Sphinx, document: str, content: list[str]) -> None:
    if not is_chapter(document):
        return
    executed = path_of(document, Path(app.srcdir))
    app.env.note_dependency(str(executed))
    content[0] = read(document, content[0], executed)


def read(document: str, source: str, executed: Path) -> str:
    """The executed notebook as text for the page, if it was made from `source`.

    Raises `NotExecuted` when the file is missing or any of its cells differs from the source's;
    the cell of parameters that papermill adds is not counted.
    """
    how = HOW.format(name=document.removeprefix(FOLDER))
    if not executed.exists():
        raise NotExecuted(f"{document}: {executed} is missing; {how}")
    notebook = json.loads(executed.read_text(encoding="utf-8"))
    theirs, ours = _cells(notebook), _cells(json.loads(source))
    for number, (made, wanted) in enumerate(zip(theirs, ours, strict=False), start=1):
        if made != wanted:
            begin = next(iter(wanted[1].splitlines()), "")
            raise NotExecuted(
                f"{document}: cell {number} ({wanted[0]}, {begin!r}) has changed since it was executed; {how}"
            )
    if len(theirs) != len(ours):
        raise NotExecuted(f"{document}: executed with {len(theirs)} cells, now it has {len(ours)}; {how}")
    _drop_what_only_jupyterlab_draws(notebook)
    return json.dumps(notebook)


def _drop_what_only_jupyterlab_draws(notebook: dict[str, Any]) -> None:
    for output in (o for cell in notebook["cells"] for o in cell.get("outputs", [])):
        output.get("data", {}).pop(render.VEGALITE_MIME, None)


def _cells(notebook: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (cell["cell_type"], "".join(cell["source"]))
        for cell in notebook["cells"]
        if INJECTED not in cell["metadata"].get("tags", [])
    ]
