"""How far to trust the reconstruction: real trials with known truth, leave-out, and R as referee.

The rows of real trials come from packages that anybody can install (`datasets`); what is stored
of them are summaries, never patients. `make validate` does all of it (`command`).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

PARTS = ("trials", "left-out", "referee")
"""Each is made by the room of its name."""


def command(only: Sequence[str] = (), **options: Any) -> None:
    """Make the parts that are asked for (default: all) and say in a few lines what came of each.

    `options`: `members`, `processes`, `scheduler`, as in `trials.make` and `left_out.make`. The referee
    takes none: it runs no chain.
    """
    for part in PARTS:
        if not only or part in only:
            print(f"{part}:")
            room = import_module(f"{__name__}.{part.replace('-', '_')}")
            room.command(**options)
