"""Two arms of a real trial each: what was so, and the little that a paper would print of it.

**Two groups**, declared here before any result. On `tune` the code was written and tried; `report`
is reported. In the end nothing was tuned on either: the engine's priors and settings were fixed on
simulated trials (`cohort.calibration`), before the first real one was reconstructed.

**What is printed** is what VISION's report prints of an end point: the median of each arm, the
hazard ratio with its 95% limits, the median follow-up of each arm; of the patients how many died,
left, or were still followed. Where a median is not reached a paper prints a landmark instead. `DETAILS`
are reports that print less.

**What is placed, not real**: calendar dates. The data sets hold times from randomization, so the
first patient is randomized on an invented day and the cutoff follows from the longest time. The
shortest possible follow-up is declared per trial; who is censored before it has left the trial.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from visiontrial import survival
from visiontrial.cohort import printing
from visiontrial.cohort import quantities as implied
from visiontrial.cohort.seeds import seed_of
from visiontrial.cohort.specification import (
    DAYS_PER_MONTH,
    Arm,
    Endpoint,
    EndState,
    Factor,
    Normal,
    Period,
    Target,
    Trial,
    factor_column,
)
from visiontrial.validation import datasets

Group = Literal["tune", "report"]

POPULATION = "all"
FIRST_DAY = date(2000, 1, 1)
ARMS = ("reference", "treated")
FACTOR_EFFECT = Normal(0.4, 0.4)
"""As for simulated trials: the second level is the one expected to do worse."""

DIED, LEFT, DROPPED_OUT, ALIVE = (
    "Had the event",
    "Left the trial",
    "Dropped out early",
    "Followed to the cutoff",
)

FULL = "as-vision"
_LIMITS, _RATIO, _FOLLOWUP = {"ci_low", "ci_high"}, {"hazard_ratio"}, {"followup"}
DETAILS: Mapping[str, frozenset[str]] = {
    FULL: frozenset(),
    "no-follow-up": frozenset(_FOLLOWUP),
    "no-limits": frozenset(_LIMITS),
    "medians-only": frozenset(_LIMITS | _RATIO | _FOLLOWUP),
}
"""A report's name -> the statistics that it does not print."""


@dataclass(frozen=True)
class Outcome:
    """An end point: its columns in the data set begin with `paramcd`; `event` is what it waits for."""

    paramcd: str
    label: str
    event: str


@dataclass(frozen=True)
class Dropout:
    """Early dropout made by us: `share` of the reference arm leaves within `months`, at random.

    Follow-up of the end points other than the first ends then. Of those who left the vital status
    is learned afterwards with probability `recovered`; else they are censored on the day they left.
    """

    share: float
    months: float
    recovered: float


@dataclass(frozen=True)
class Comparison:
    """Two arms of one data set. `shortest`: days to which every patient could have been followed.

    `arms`: names in the data set, reference first. `outcomes`: the first ends follow-up (the engine
    calls it death); the other includes it. `landmark`: the month printed where a median is not
    reached. `reports`: the names in `DETAILS` for which it is reconstructed.
    """

    name: str
    label: str
    group: Group
    package: datasets.Package
    rows: Callable[[], pd.DataFrame]
    arms: tuple[object, object]
    arm_labels: tuple[str, str]
    outcomes: tuple[Outcome, ...]
    shortest: int
    landmark: int
    factor: str | None = None
    dropout: Dropout | None = None
    reports: tuple[str, ...] = (FULL,)

    @property
    def dataset(self) -> str:
        """The data set that it is made from. Comparisons of one data set share patients."""
        return self.rows.__name__

    @functools.cached_property
    def truth(self) -> Truth:
        """The real rows. Raises `datasets.DataMissing` where their package is not installed."""
        rows = self.rows()
        rows = rows[rows["arm"].isin(self.arms)].reset_index(drop=True)
        rows["arm"] = (rows["arm"] == self.arms[1]).astype(int)
        longest = int(rows[f"{self.outcomes[0].paramcd}_days"].max())
        rows = self._with_states(rows)
        if self.dropout:
            rows = self._with_dropout(rows, self.dropout)
        return Truth(self, rows, longest)

    def _with_states(self, rows: pd.DataFrame) -> pd.DataFrame:
        """How follow-up ended, where the data set does not say it."""
        first = self.outcomes[0].paramcd
        early = rows[f"{first}_days"] < self.shortest
        state = np.select([rows[f"{first}_event"], early], [DIED, LEFT], ALIVE)
        if "state" in rows:
            state = np.where(rows["state"] != "", rows["state"], state)
        return rows.assign(state=state, recovered=False)

    def _with_dropout(self, rows: pd.DataFrame, dropout: Dropout) -> pd.DataFrame:
        rng = np.random.default_rng(seed_of("visiontrial: artificial dropout", self.name, 0))
        day = rng.integers(1, round(dropout.months * DAYS_PER_MONTH), len(rows))
        leaves = (rows["arm"] == 0) & (rng.random(len(rows)) < dropout.share)
        recovered = rng.random(len(rows)) < dropout.recovered
        first, *others = (outcome.paramcd for outcome in self.outcomes)
        leaves &= day < rows[f"{first}_days"]
        rows = rows.assign(state=rows["state"].where(~leaves, DROPPED_OUT), recovered=leaves & recovered)
        for paramcd in (first, *others):
            days, event = rows[f"{paramcd}_days"], rows[f"{paramcd}_event"]
            cut = leaves & (day < days) & ~(rows["recovered"] & (paramcd == first))
            rows[f"{paramcd}_days"], rows[f"{paramcd}_event"] = days.where(~cut, day), event & ~cut
        return rows


@dataclass(frozen=True, eq=False)
class Truth:
    """The rows of a comparison, one per patient, and what a paper would print of them.

    `rows`: `arm` (0 reference, 1), `state`, where stratified `factor` (0 or 1), and for each end
    point `<P>_days`, `<P>_event`. `longest`: the longest follow-up in days.
    """

    comparison: Comparison
    rows: pd.DataFrame
    longest: int

    @property
    def arms(self) -> tuple[Arm, Arm]:
        labels = self.comparison.arm_labels
        return Arm(ARMS[0], labels[0]), Arm(ARMS[1], labels[1])

    @property
    def cutoff(self) -> date:
        return FIRST_DAY + timedelta(days=self.longest - 1)

    @property
    def adsl(self) -> pd.DataFrame:
        """What the analyses need of each patient. These are patients: never stored."""
        r = self.rows
        frame = pd.DataFrame(
            {
                "USUBJID": _names(len(r)),
                "TRT01P": r["arm"].map(dict(enumerate(self.comparison.arm_labels))),
                "TRT01PN": r["arm"],
                "ITTFL": "Y",
                "EOSSTT": r["state"],
            }
        )
        factor = self._factor()
        return frame.assign(
            **{factor_column(f.name): r["factor"].map(dict(enumerate(f.levels))) for f in factor}
        )

    @property
    def adtte(self) -> pd.DataFrame:
        """Time and censoring of each patient and end point. These are patients: never stored."""
        parts = [
            pd.DataFrame(
                {
                    "USUBJID": _names(len(self.rows)),
                    "PARAMCD": o.paramcd,
                    "AVAL": self.rows[f"{o.paramcd}_days"],
                    "CNSR": 1 - self.rows[f"{o.paramcd}_event"].astype(int),
                }
            )
            for o in self.comparison.outcomes
        ]
        return pd.concat(parts, ignore_index=True)

    def outcomes(self, paramcd: str) -> survival.Outcomes:
        """The outcomes of an end point, in strata where the analysis is stratified."""
        r = self.rows
        stratum = r["factor"] if self.comparison.factor else None
        return survival.outcomes(r[f"{paramcd}_days"], r[f"{paramcd}_event"], r["arm"], stratum)

    def printed(self) -> Trial:
        """All that the engine is told: design, sizes, counts, and the statistics that VISION's report has."""
        first, *others = self.comparison.outcomes
        targets = [t for o in self.comparison.outcomes for t in self._efficacy(o.paramcd)]
        targets += printing.follow_up(first.paramcd, POPULATION, self.arms, self.outcomes(first.paramcd))
        return Trial(
            name=f"real {self.comparison.name}",
            arms=self.arms,
            periods=(
                Period(POPULATION, FIRST_DAY, self.cutoff - timedelta(days=self.comparison.shortest - 1)),
            ),
            populations={POPULATION: (POPULATION,)},
            cutoff=self.cutoff,
            randomized=self._counts(pd.Series(True, self.rows.index)),
            end_states=tuple(self._end_states()),
            endpoints=(
                Endpoint(first.paramcd, first.label, first.event, self._typical(first.paramcd, targets)),
                *(
                    Endpoint(
                        o.paramcd, o.label, o.event, self._typical(o.paramcd, targets), hastens_death=True
                    )
                    for o in others
                ),
            ),
            targets=tuple(targets),
            factors=self._factor(),
            identifier="SYNTHETIC",
        )

    def _efficacy(self, paramcd: str) -> list[Target]:
        data = self.outcomes(paramcd)
        targets = list(printing.efficacy(paramcd, POPULATION, self.arms, data))
        if sum(t.statistic == "median" for t in targets) < len(ARMS):
            targets += printing.landmark(paramcd, POPULATION, self.arms, data, self.comparison.landmark)
        return targets

    def _typical(self, paramcd: str, targets: list[Target]) -> float:
        """The centre of the prior: the reference arm's printed median, or that of an exponential law."""
        mine = {t.statistic: t for t in targets if (t.paramcd, t.arm) == (paramcd, ARMS[0])}
        if "median" in mine:
            return float(mine["median"].printed)
        share = float(mine["survival"].printed)
        return round(self.comparison.landmark * math.log(2) / -math.log(min(share, 0.99)), 1)

    def _end_states(self) -> list[EndState]:
        kinds = {DIED: "died", ALIVE: "alive"}
        present = sorted(self.rows["state"].unique(), key=lambda s: (kinds.get(s, "left"), s))
        return [
            EndState(
                label.lower().replace(" ", "_"),
                label,
                kinds.get(label, "left"),
                self._counts(self.rows["state"] == label),
                recoverable=label == DROPPED_OUT,
            )
            for label in present
        ]

    def _factor(self) -> tuple[Factor, ...]:
        if self.comparison.factor is None:
            return ()
        counts = self._counts(self.rows["factor"] == 1)
        return (Factor("risk", self.comparison.factor, ("No", "Yes"), effect=FACTOR_EFFECT, counts=counts),)

    def _counts(self, which: pd.Series) -> dict[tuple[str, str], int]:
        return {
            (name, POPULATION): int((which & (self.rows["arm"] == a)).sum()) for a, name in enumerate(ARMS)
        }


def _names(size: int) -> list[str]:
    return [f"REAL-{number:04d}" for number in range(1, size + 1)]


def report(trial: Trial, detail: str) -> Trial:
    """The trial with a report that prints less; see `DETAILS`."""
    unprinted = DETAILS[detail]
    return replace(trial, targets=tuple(t for t in trial.targets if t.statistic not in unprinted))


OS = Outcome("OS", "Overall survival", "Death")
RFS = Outcome("RFS", "Recurrence-free survival", "Recurrence")
TFS = Outcome("TFS", "Survival without transplantation", "Death or transplantation")
TTF = Outcome("TTF", "Time to failure of treatment", "Failure")

EARLY_DROPOUT = Dropout(share=0.4, months=6, recovered=0.5)

COMPARISONS = (
    Comparison(
        "veteran", "Veterans' lung cancer", "tune", "R survival", datasets.veteran, (1, 2),
        ("Standard", "Test"), (OS,), shortest=80, landmark=6,
    ),
    Comparison(
        "cgd", "Granulomatous disease", "tune", "R survival", datasets.cgd, ("placebo", "rIFN-g"),
        ("Placebo", "Interferon gamma"), (Outcome("TTI", "Time to first serious infection", "Infection"),),
        shortest=190, landmark=6,
    ),
    Comparison(
        "colon", "Colon cancer", "report", "R survival", datasets.colon, ("Obs", "Lev+5FU"),
        ("Observation", "Levamisole and fluorouracil"), (OS, RFS), shortest=1800, landmark=60,
        factor="More than four positive nodes", reports=tuple(DETAILS),
    ),
    Comparison(
        "colon-dropout", "Colon cancer, dropout made by us", "report", "R survival", datasets.colon,
        ("Obs", "Lev"), ("Observation", "Levamisole"), (OS, RFS), shortest=1800, landmark=60,
        factor="More than four positive nodes", dropout=EARLY_DROPOUT,
    ),
    Comparison(
        "pbc", "Biliary cirrhosis, penicillamine", "report", "R survival", datasets.pbc, (2, 1),
        ("Placebo", "Penicillamine"), (OS,), shortest=800, landmark=60, reports=tuple(DETAILS),
    ),
    Comparison(
        "pbc-dropout", "Biliary cirrhosis, dropout made by us", "report", "R survival", datasets.pbc, (2, 1),
        ("Placebo", "Penicillamine"), (OS,), shortest=800, landmark=60, dropout=EARLY_DROPOUT,
    ),
    Comparison(
        "udca", "Biliary cirrhosis, ursodiol", "report", "R survival", datasets.udca, (0, 1),
        ("Placebo", "Ursodeoxycholic acid"),
        (TFS, TTF), shortest=790, landmark=24, factor="Late stage", reports=tuple(DETAILS),
    ),
    Comparison(
        "udca-dropout", "Biliary cirrhosis, ursodiol, dropout made by us", "report", "R survival",
        datasets.udca, (0, 1), ("Placebo", "Ursodeoxycholic acid"), (TFS, TTF), shortest=790, landmark=24,
        factor="Late stage", dropout=EARLY_DROPOUT,
    ),
    Comparison(
        "rhdnase", "Cystic fibrosis", "report", "R survival", datasets.rhdnase, (0, 1),
        ("Placebo", "Dornase alfa"), (Outcome("TTE", "Time to first exacerbation", "Exacerbation"),),
        shortest=160, landmark=5,
    ),
    Comparison(
        "actg175-zdv", "HIV, zidovudine alone or with didanosine", "report", "lifelines", datasets.actg175,
        (0, 1), ("Zidovudine", "Zidovudine and didanosine"),
        (Outcome("EFS", "Event-free survival", "Fall of CD4 cells by half, AIDS or death"),),
        shortest=930, landmark=24, factor="Earlier antiretroviral treatment",
    ),
    Comparison(
        "actg175-ddi", "HIV, zidovudine and zalcitabine or didanosine", "report", "lifelines",
        datasets.actg175, (2, 3), ("Zidovudine and zalcitabine", "Didanosine"),
        (Outcome("EFS", "Event-free survival", "Fall of CD4 cells by half, AIDS or death"),),
        shortest=930, landmark=24, factor="Earlier antiretroviral treatment",
    ),
    Comparison(
        "actg320", "HIV, indinavir", "report", "scikit-survival", datasets.actg320, ("0", "1"),
        ("Two drugs", "Two drugs and indinavir"), (OS, Outcome("AFS", "AIDS-free survival", "AIDS")),
        shortest=40, landmark=6, factor="At most 50 CD4 cells per microlitre",
    ),
    Comparison(
        "cgvhd", "Marrow or blood transplants", "report", "scikit-survival", datasets.cgvhd, ("BM", "PB"),
        ("Bone marrow", "Peripheral blood"), (OS, RFS), shortest=380, landmark=12,
    ),
)  # fmt: skip
"""Arms and end points are the data sets' own; no comparison was dropped after it was reconstructed.

`pbc-dropout` and `udca-dropout` were declared after a trial run in which most chains of `colon-dropout`
were not accepted, so that it would not be judged, and before any result was compared with a truth.
"""


def named(name: str) -> Comparison:
    """The comparison of this name."""
    return next(c for c in COMPARISONS if c.name == name)


def printed_already(trial: Trial, quantity: str, endpoint: str, arm: str) -> bool:
    """Whether a quantity of `cohort.quantities` follows from the report or is too weak to be judged.

    A landmark that is printed; the events of the first end point, where the end state of every patient of the
    arm says who had it; the unstratified hazard ratio of a trial without strata; a restricted mean over less
    than half a year.
    """
    statistics = {t.statistic: t for t in trial.targets if t.paramcd == endpoint and t.arm in (arm, "all")}
    if quantity.startswith("survival_"):
        printed_at = statistics["survival"].at if "survival" in statistics else None
        return quantity == f"survival_{printed_at}"
    if quantity == "events":
        recoverable = sum(
            s.counts[arm, population]
            for s in trial.end_states
            if s.recoverable
            for population in trial.populations[POPULATION]
        )
        return endpoint == trial.endpoints[0].paramcd and not recoverable
    if quantity == "hazard_ratio_unstratified":
        return not trial.factors and "hazard_ratio" in statistics
    if quantity in ("rmst_difference", "censored_early"):
        return implied.horizon(trial, POPULATION) < 6
    return False
