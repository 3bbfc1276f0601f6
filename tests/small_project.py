"""A checkout in miniature, to execute and to break."""

from __future__ import annotations

from pathlib import Path

from visiontrial import pairs

HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3 (ipykernel)
  name: python3
---
"""


class SmallProject:
    """A folder with a table of contents, a package, data and a lock; chapters are added one by one."""

    def __init__(self, root: Path, *, fresh: bool = True):
        self.root = root
        if fresh:
            self._furnish()

    def _furnish(self) -> None:
        self.write("_toc.yml", "format: jb-book\nroot: index\nchapters: []\n")
        self.write("src/visiontrial/__init__.py", "")
        self.write("data/published/claims.csv", "claim_id\n")
        self.write("requirements.txt", "nothing==1\n")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def chapter(self, name: str, *cells: str) -> Path:
        """Write a chapter of code cells, its twin and its entry in `_toc.yml`."""
        body = "".join(f"\n```{{code-cell}} ipython3\n{cell}\n```\n" for cell in cells)
        text = self.write(f"notebooks/{name}.md", f"{HEADER}\n# {name}\n{body}")
        pairs.sync(text.parent)
        names = sorted(path.stem for path in text.parent.glob("*.md"))
        entries = "".join(f"  - file: notebooks/{name}\n" for name in names)
        self.write("_toc.yml", f"format: jb-book\nroot: index\nchapters:\n{entries}")
        return text
