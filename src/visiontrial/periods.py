"""The two periods of randomization, named by the day that parts them, as the paper prints it.

On that day the trial sites began to do more to keep patients in the control arm. Names are
read from the claims when they are asked for, so the day is typed nowhere else.
"""

from __future__ import annotations

from visiontrial import published

EDUCATION_MEASURES = "education-measures.date"


def day() -> str:
    """The day that parts the periods, as printed."""
    return published.printed(EDUCATION_MEASURES)


def before() -> str:
    """The first period in words, to follow `randomized`."""
    return f"before {day()}"


def since() -> str:
    """The second period in words, to follow `randomized`."""
    return f"on or after {day()}"
