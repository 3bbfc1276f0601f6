"""Write a file whole or not at all.

Whatever interrupts a command, the next one finds the old bytes or the new ones, never
half of either.
"""

from __future__ import annotations

import os
from pathlib import Path

from visiontrial import paths


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, line ends as given, on every platform; folders are created as needed."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes to a temporary file in the same folder, then rename it over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Same folder: a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def shown(path: Path) -> str:
    """A path as people are told it: from the project's folder where it lies in it."""
    return str(path.relative_to(paths.ROOT) if path.is_relative_to(paths.ROOT) else path)
