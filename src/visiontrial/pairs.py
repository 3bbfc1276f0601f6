"""Each chapter is a pair: `NN-name.md` is its source, `NN-name.ipynb` is made from it.

The notebook is committed without outputs, so that a class can open it at once and a
reviewer reads the text. Its bytes follow from the text alone: cell ids are made from the
cells, not drawn at random.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import jupytext
import nbformat

from visiontrial import files, paths

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# Lets JupyterLab, where jupytext is installed, save the text together with the notebook.
PAIRING = {"formats": "ipynb,md:myst"}


class PairError(ValueError):
    """A notebook is not the twin of its text; the message says which and what to do."""


def twin(source: Path) -> str:
    """The notebook that belongs to a chapter's MyST text, as the characters of its file."""
    try:
        notebook = jupytext.read(source, fmt="md:myst")
    except (ValueError, nbformat.ValidationError) as error:
        raise PairError(f"{source.name} is not a MyST notebook: {str(error).splitlines()[0]}") from error
    seen = Counter()
    for cell in notebook.cells:
        cell["id"] = _cell_id(cell, seen)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = nbformat.from_dict({"jupytext": PAIRING, "kernelspec": KERNEL})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return nbformat.writes(notebook) + "\n"


def sync(folder: Path = paths.NOTEBOOKS) -> list[Path]:
    """Write the notebook of every text whose twin is missing or differs; return those written."""
    written = []
    for source in _sources(folder):
        target, text = source.with_suffix(".ipynb"), twin(source)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            files.write_text(target, text)
            written.append(target)
    return written


def check(folder: Path = paths.NOTEBOOKS) -> None:
    """Raise `PairError` listing every notebook that is not exactly the twin of its text."""
    problems = [problem for source in _sources(folder) if (problem := _difference(source))]
    problems += [
        f"{notebook.name} has no text {notebook.stem}.md: write its text, or delete the notebook"
        for notebook in sorted(folder.glob("*.ipynb"))
        if not notebook.with_suffix(".md").exists()
    ]
    if problems:
        raise PairError("notebooks/ and their texts differ:\n" + "\n".join(f"  {p}" for p in problems))


def _sources(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9][0-9]-*.md"))


def _cell_id(cell, seen: Counter) -> str:
    digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
    seen[digest] += 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _difference(source: Path) -> str:
    target, expected = source.with_suffix(".ipynb"), twin(source)
    remedy = f"edit {source.name}, then run: make pairs"
    if not target.exists():
        return f"{target.name} is missing: run make pairs"
    found = target.read_text(encoding="utf-8")
    if found == expected:
        return ""
    try:
        cells = nbformat.reads(found, as_version=4).cells
    except nbformat.reader.NotJSONError:
        return f"{target.name} is not a notebook: {remedy}"
    wanted = nbformat.reads(expected, as_version=4).cells
    for number, (cell, want) in enumerate(zip(cells, wanted, strict=False), start=1):
        if (cell.cell_type, cell.source) != (want.cell_type, want.source):
            return f"{target.name}, cell {number} is not that of {source.name}: {remedy}"
    if len(cells) != len(wanted):
        return f"{target.name} has {len(cells)} cells, {source.name} has {len(wanted)}: {remedy}"
    return f"{target.name} has the cells of {source.name} but holds outputs or other metadata: run make pairs"
