"""What reconstructed patients give in the place of the printed numbers of which they speak.

Which numbers these are is data: the statistics of `targets.csv`, and the baseline table as
`characteristics.toml` declares it. The values come from stored rows: of the displayed cohort by
lifelines and statsmodels (`cohort.verify`) or by counting (`cohort.characteristics`), of every
member of its ensemble as they were computed when the ensemble was stored (`cohort.derived`).

The patients are synthetic and were built to agree. That a printed number agrees with them proves
only that it can be true together with the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from visiontrial import paths
from visiontrial.cohort import characteristics, characteristics_file, reader, store
from visiontrial.cohort.characteristics_file import Characteristics, Claim
from visiontrial.cohort.references import read_text_table
from visiontrial.cohort.specification import Trial
from visiontrial.printed import as_printed_like, prints_as

if TYPE_CHECKING:
    from visiontrial.cohort.displayed import Displayed

SPECIFICATION = paths.RECONSTRUCTION / "vision"
LEFT_OUT = paths.RECONSTRUCTION / "left_out.csv"
LEFT_OUT_COLUMNS = ("claim_id", "block", "left_out_low", "left_out_high", "covered", "members")

SAME = 1e-9
"""Relative: the displayed cohort and the member that it is must give the same statistics to this."""

Role = Literal["target", "derived", "characteristic"]

_WORDS = {"median": "median", "range_low": "smallest value", "range_high": "largest value"}


class FittedError(ValueError):
    """What is stored of the reconstructed patients does not fit together; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """One printed number as reconstructed patients give it, not rounded; times in months.

    `role`: `target` (the search was held to it), `derived` (confirmed afterwards) or
    `characteristic` (drawn to agree). `displayed`: the value in the displayed cohort. `members`:
    that in each member of its ensemble, shape (members,); empty where the displayed cohort alone
    has it. Infinite: not reached.
    """

    claim_id: str
    role: Role
    definition: str
    displayed: float
    members: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def values(self) -> np.ndarray:
        """The value in the displayed cohort, then those of the members."""
        return np.append(self.displayed, self.members)

    def agrees(self, printed: str) -> bool:
        """Whether the value of every cohort prints as these characters."""
        return all(math.isfinite(value) and prints_as(float(value), printed) for value in self.values)

    def text(self, printed: str) -> str:
        """The values as the paper would print them: `0.62`, or `0.61 to 0.63` where cohorts differ."""
        ordered = np.sort(self.values)
        lowest, highest = (as_printed_like(float(value), printed) for value in (ordered[0], ordered[-1]))
        return lowest if lowest == highest else f"{lowest} to {highest}"


@cache
def evidence() -> dict[str, Fitted]:
    """Every number of which the reconstructed patients speak, by claim id.

    Raises `StoreError` when a stored file is missing or altered, `SpecificationError` when a
    printed number no longer fits the specification, and `FittedError` when the displayed cohort is
    not the member of the stored ensemble that it says it is.
    """
    # Imported when asked for: who only wants the identities (`make check`) need not wait for lifelines.
    from visiontrial.cohort import derived, displayed

    trial = reader.read(SPECIFICATION)
    shown = displayed.read()
    members = derived.read(shown.manifest["ensemble"]).statistics
    return _statistics(trial, shown, members) | _characteristics(trial, shown)


@cache
def targets() -> pd.DataFrame:
    """`targets.csv` as text, by claim id: `role`, `definition` and what defines the statistic."""
    return read_text_table(SPECIFICATION / reader.TARGETS_FILE).set_index("claim_id")


def _statistics(trial: Trial, shown: Displayed, members: pd.DataFrame) -> dict[str, Fitted]:
    from visiontrial.cohort import verify

    ours = verify.statistics(trial, shown.adsl, shown.adtte).set_index("claim_id")
    _refuse_strangers(shown, ours["value"], members)
    declared = targets()["definition"]
    return {
        row.Index: Fitted(row.Index, row.role, declared[row.Index], row.value, members[row.Index].to_numpy())
        for row in ours.itertuples()
    }


def _refuse_strangers(shown: Displayed, ours: pd.Series, members: pd.DataFrame) -> None:
    """Raise `FittedError` unless the displayed cohort is that member of the ensemble, in every statistic."""
    said = f"member {shown.member} of the ensemble {shown.manifest['ensemble']}"
    mend = f"Make them together: {store.remedy(shown.manifest['ensemble'])}"
    absent = ours.index.difference(members.columns)
    if len(absent):
        raise FittedError(f"{absent[0]} of targets.csv was not computed for the stored ensemble. {mend}")
    if shown.member not in members.index:
        raise FittedError(f"the displayed cohort is {said}, which is not stored. {mend}")
    stored = members.loc[shown.member, ours.index]
    wrong = ours.index[~np.isclose(ours, stored, rtol=SAME, atol=0)]
    if len(wrong):
        first = wrong[0]
        raise FittedError(
            f"the displayed cohort is not {said}: {first} is {ours[first]:.9g} in it "
            f"and {stored[first]:.9g} in the member. {mend}"
        )


def _characteristics(trial: Trial, shown: Displayed) -> dict[str, Fitted]:
    described = characteristics_file.read(SPECIFICATION, trial)
    counted = characteristics.tabulate(shown.adsl, trial, described).set_index("claim_id")["ours"]
    return {
        claim.claim_id: Fitted(
            claim.claim_id,
            "characteristic",
            _definition(claim, described),
            float(counted[claim.claim_id] or "nan"),
        )
        for claim in described.claims
    }


def _definition(claim: Claim, described: Characteristics) -> str:
    what = described.labels.get(claim.column, claim.column)
    if claim.statistic in _WORDS:
        return f"{what}: {_WORDS[claim.statistic]}"
    return f"{what or 'Patients'}{f', {claim.value}' if claim.value else ''}: {claim.statistic}"


# --- what leaving out predicts ------------------------------------------------------------------


def left_out(path: Path = LEFT_OUT) -> dict[str, dict[str, str]]:
    """What the ensembles that were not held to a number say of it: its columns of the ledger, by claim id.

    `left_out_low`, `left_out_high` as stored, `covered` as `yes` or `no`. Empty where there is no
    such file. Raises `FittedError` naming line, value and remedy.
    """
    if not path.exists():
        return {}
    table = read_text_table(path)
    if tuple(table.columns) != LEFT_OUT_COLUMNS:
        raise FittedError(
            f"{path}: line 1: the columns are {', '.join(table.columns)}; "
            f"they must be {', '.join(LEFT_OUT_COLUMNS)}. Make it again: make validate"
        )
    problems = [f"{path}: line {line}: {problem}" for line, problem in _problems(table)]
    if problems:
        raise FittedError("\n".join([*problems, "Make it again: make validate"]))
    shown = table.set_index("claim_id")[["left_out_low", "left_out_high", "covered"]]
    return shown.to_dict("index")


def _problems(table: pd.DataFrame) -> Iterator[tuple[int, str]]:
    twice = table["claim_id"].duplicated()
    for line, row in enumerate(table.itertuples(), 2):
        if row.claim_id not in targets().index:
            yield line, f"claim_id {row.claim_id!r} is not in {reader.TARGETS_FILE}"
        if twice[row.Index]:
            yield line, f"claim_id {row.claim_id!r} stands twice"
        if not _number(row.left_out_low) <= _number(row.left_out_high):
            yield line, f"{row.left_out_low!r} to {row.left_out_high!r} is no range of numbers"
        if row.covered not in ("yes", "no"):
            yield line, f"covered {row.covered!r} is neither 'yes' nor 'no'"
        if not (row.members.isdecimal() and int(row.members)):
            yield line, f"members {row.members!r} is no number of cohorts"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # which no comparison accepts
