"""How far to trust the reconstruction: real trials with known truth, leave-out, and R as referee.

The rows of real trials come from packages that anybody can install (`datasets`); what is stored
of them are summaries, never patients. `make validate` does all of it (`command`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PARTS = ("trials", "left-out", "referee")


def command(only: Sequence[str] = (), **options: Any) -> None:
    """Make the parts that are asked for (default: all) and say in a few lines what came of each.

    `options`: `members`, `processes`, `scheduler`, as in `trials.make` and `left_out.make`. The referee
    takes none: it runs no chain.
    """
    from visiontrial.validation import left_out, referee, trials

    rooms = {"trials": trials.command, "left-out": left_out.command, "referee": referee.command}
    for part in PARTS:
        if not only or part in only:
            print(f"{part}:")
            rooms[part](**options)
