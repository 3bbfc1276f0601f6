"""The source behind a room of the package: its own and that of every room it imports, directly or not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from visiontrial import paths


def behind(*modules: str) -> list[bytes]:
    """The sources of these modules of the package and of those they import, in the order of their names."""
    return [source.read_bytes() for _, source in sorted(rooms_behind(*modules).items())]


def rooms_behind(*modules: str) -> dict[str, Path]:
    """These modules of the package and those that they import, directly or not, with their files."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        source = paths.ROOT.joinpath("src", *name.split(".")).with_suffix(".py")
        if name not in found and source.exists():
            found[name] = source
            waiting += _imports(source)
    return found


def _imports(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
