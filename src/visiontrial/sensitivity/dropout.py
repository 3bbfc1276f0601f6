"""Who dropped out of an analysis, when and why: the rows of one end point, made ready for imputation.

A *dropout* is a patient whose time ends before the data cutoff for a reason other than the cutoff. For an
end point that is assessed by imaging this includes those whose imaging stopped while they were
followed on. Patients without an event whose follow-up ran up to the cutoff are no dropouts: they
stay censored where they are.

Of a patient who left the trial his vital status may have been learned afterwards. Then he is no dropout
for overall survival. `forgotten` makes a cohort of which nothing was learned so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from visiontrial import survival
from visiontrial.cohort.specification import Trial, factor_column
from visiontrial.cohort.verify import Analyses, in_population

REASONS = ("withdrawal", "loss", "imaging", "therapy")
"""Why a patient drops out, in the order of the codes in `Rows.reason`."""

REASONS_IN_WORDS = {
    "withdrawal": "left the trial (consent withdrawn, or withdrawn by the investigator)",
    "loss": "lost to follow-up",
    "imaging": "imaging stopped",
    "therapy": "new anticancer therapy",
}

NO_DROPOUT = -1

_IN_FOLLOW_UP = "Alive at last contact before data cutoff"
_BY_WORDS = {
    "Withdrew consent": "withdrawal",
    "Withdrawn by investigator": "withdrawal",
    "Lost to follow-up": "loss",
    "Imaging stopped": "imaging",
    "New anticancer therapy": "therapy",
    _IN_FOLLOW_UP: None,
    "Alive at data cutoff, learned after leaving the trial": None,
}
_LATE_DEATH = "Death more than"
"""So begins the reason of a death too long after the last scan: what is censored is the end of imaging."""


class UnknownReason(ValueError):
    """A time ends for a reason of which nobody has said whether it is dropping out."""


@dataclass(frozen=True, eq=False)
class Rows:
    """One end point of one cohort in one population, n patients.

    `data`: outcomes as the trial analyses them. `reason`: index into `REASONS`, or `NO_DROPOUT`.
    `end`: the last day on which an event could have been seen, which is the data cutoff or, for a
    patient known to have died, the day of death. `dies`: whether he is known to have died on that
    day, which then is an event at the latest. `covariates`: (n, f), 1 where the patient is at the
    second level of a stratification factor.
    """

    data: survival.Outcomes
    reason: np.ndarray
    end: np.ndarray
    dies: np.ndarray
    covariates: np.ndarray

    def __post_init__(self) -> None:
        early = self.dropouts[self.end[self.dropouts] < self.data.days[self.dropouts]]
        if early.size:
            row = early[0]
            raise ValueError(
                f"row {row} drops out on day {self.data.days[row]}, after the last day {self.end[row]} "
                "on which an event could have been seen: cutoff or death lie before the censoring"
            )

    @cached_property
    def dropouts(self) -> np.ndarray:
        """Places of the dropouts among the rows, in order: shape (d,)."""
        return np.flatnonzero(self.reason != NO_DROPOUT)

    @cached_property
    def dropout_arm(self) -> np.ndarray:
        """Arm of each dropout: shape (d,)."""
        return self.data.arm[self.dropouts]

    def factors(self, by_arm: Mapping[int, float | Mapping[str, float]]) -> np.ndarray:
        """One factor per dropout, (d,), from one per arm or per arm and reason; 1 where none is given."""
        values = np.ones(len(self.dropouts))
        for arm, given in by_arm.items():
            by_reason = given if isinstance(given, Mapping) else dict.fromkeys(REASONS, given)
            for name, factor in by_reason.items():
                code = REASONS.index(name)
                values[(self.dropout_arm == arm) & (self.reason[self.dropouts] == code)] = factor
        return values


def rows(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame, paramcd: str, population: str) -> Rows:
    """The rows of an end point in a population, from a cohort as it is stored.

    Raises `UnknownReason` for words in EVNTDESC of which it is not declared whether they mean dropping out.
    """
    data = Analyses(trial, adsl, adtte).outcomes(paramcd, population)
    patients = adsl[in_population(trial, adsl, population)]
    times = adtte[adtte["PARAMCD"] == paramcd].set_index("USUBJID").loc[patients["USUBJID"]]
    censored = times["CNSR"].to_numpy() == 1
    randomized = pd.to_datetime(patients["RANDDT"])
    death = (pd.to_datetime(patients["DTHDT"]) - randomized).dt.days.to_numpy() + 1
    dies = ~np.isnan(death)
    cutoff = (pd.Timestamp(trial.cutoff) - randomized).dt.days.to_numpy() + 1
    levels = [patients[factor_column(f.name)].to_numpy() == f.levels[1] for f in trial.factors]
    reason = np.full(len(data), NO_DROPOUT)
    reason[censored] = [_code(words) for words in times.loc[censored, "EVNTDESC"]]
    return Rows(
        data=data,
        reason=reason,
        end=np.where(dies, death, cutoff).astype(np.int64),
        dies=dies,
        covariates=np.column_stack(levels).astype(float) if levels else np.empty((len(data), 0)),
    )


def days_unseen(trial: Trial, adtte: pd.DataFrame) -> pd.DataFrame:
    """Of those in follow-up at the cutoff: `member` and the `days` from the last contact to the cutoff.

    They are taken to be alive at the cutoff and are no dropouts. `adtte`: of all members.
    """
    seen = adtte[(adtte["PARAMCD"] == "OS") & (adtte["EVNTDESC"] == _IN_FOLLOW_UP)]
    days = (pd.Timestamp(trial.cutoff) - pd.to_datetime(seen["ADT"])).dt.days
    return pd.DataFrame({"member": seen["member"], "days": days})


def forgotten(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ADSL and ADTTE of a cohort as if nothing had been learned of a patient after he left the trial.

    Who left is the end state of Figure 1 (kind `left`), when is EOSDT. No death of these patients is known,
    and their times end on that day at the latest, censored for the reason they left.
    """
    left = adsl["EOSSTT"].isin([state.label for state in trial.end_states if state.kind == "left"])
    adsl = adsl.assign(DTHDT=adsl["DTHDT"].mask(left), LSTALVDT=adsl["LSTALVDT"].mask(left, adsl["EOSDT"]))
    of_leavers = adsl[left].set_index("USUBJID")
    until = pd.to_datetime(adtte["USUBJID"].map(of_leavers["EOSDT"]))
    died = (adtte["CNSR"] == 0) & (adtte["EVNTDESC"] == trial.endpoints[0].event)
    learned = until.notna() & ((pd.to_datetime(adtte["ADT"]) > until) | died)
    day = (until - pd.to_datetime(adtte["USUBJID"].map(of_leavers["RANDDT"]))).dt.days + 1
    adtte = adtte.copy()
    adtte.loc[learned, "AVAL"] = day[learned].astype(adtte["AVAL"].dtype)
    adtte.loc[learned, "CNSR"] = 1
    adtte.loc[learned, "EVNTDESC"] = adtte["USUBJID"].map(of_leavers["EOSSTT"])[learned]
    adtte.loc[learned, "ADT"] = until[learned]
    return adsl, adtte


def _code(words: str) -> int:
    """The code of the reason why a time is censored."""
    if words.startswith(_LATE_DEATH):
        return REASONS.index("imaging")
    if words not in _BY_WORDS:
        raise UnknownReason(
            f"a time is censored for {words!r}: say in {__name__} whether that is dropping out, and how"
        )
    reason = _BY_WORDS[words]
    return NO_DROPOUT if reason is None else REASONS.index(reason)
