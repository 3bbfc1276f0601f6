"""What the comparisons together support: for each kind of quantity one sentence, by rules fixed beforehand.

Two bodies of evidence, never pooled: simulated trials (`cohort.calibration`, report half) and real
ones (`trials`, group `report`). A kind is *held* by one of them when the upper 95% limit of its
coverage, every comparison counted as a trial, is not below the nominal coverage: then so few misses
are compatible with ranges that are as wide as they should be. That is weak where trials are few;
`detectable` says how weak. (Counted by data sets the limit would be higher, and the rule laxer.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from visiontrial.cohort import calibration
from visiontrial.validation import trials
from visiontrial.validation.comparisons import COMPARISONS, FULL

SIMULATED = "simulated"
REPORTED = "report"
CONVENTIONAL = 0.05
"""The P value on whose side a test of proportional hazards is read."""


@dataclass(frozen=True)
class Kind:
    """A kind of quantity in words. `factor` and `decimals`: how its stored values are shown."""

    subject: str
    unit: str
    factor: float = 1.0
    decimals: int = 1


KINDS = {
    "events": Kind("The number of events in an arm", "patients"),
    "survival": Kind("Survival at a landmark in an arm", "percentage points", 100),
    "median limits": Kind("The confidence limits of a median", "months"),
    "restricted mean difference": Kind("The difference of restricted means", "months", decimals=2),
    "censored early": Kind("How many were censored early in an arm", "patients"),
    "unstratified hazard ratio": Kind("The hazard ratio without strata", "", decimals=3),
    "log-rank statistic": Kind("The log-rank statistic", "", decimals=2),
    "proportional hazards, slope": Kind("The trend of the hazard ratio", "on the log scale", decimals=2),
    "proportional hazards, P": Kind("Whether a test calls the hazards proportional", "", decimals=2),
}  # fmt: skip


def simulated(found: calibration.Calibration, half: str = REPORTED) -> pd.DataFrame:
    """The comparisons of simulated trials in the columns of `trials`, so that both are summarized alike."""
    rows = found.comparisons[found.comparisons["half"] == half]
    return rows.assign(
        group=half,
        comparison=rows["family"] + "-" + rows["trial"].astype(str),
        dataset=rows["family"] + "-" + rows["trial"].astype(str),
        report=SIMULATED,
        judged=True,
    )


def both(real: pd.DataFrame, simulations: pd.DataFrame) -> pd.DataFrame:
    """One row per kind: coverage, limits, error and width of real and of simulated trials, side by side.

    `real`, `simulations`: summaries by `trials.summarize`. Columns end in `_real` and `_simulated`.
    """
    shown = real[(real["group"] == REPORTED) & (real["report"] == FULL)].set_index("kind")
    other = simulations.set_index("kind")
    kinds = [kind for kind in [*KINDS, trials.EVERYTHING] if kind in shown.index and kind in other.index]
    columns = [
        "quantities", "trials", "covered", "coverage", "coverage_low", "coverage_high", "strict_high",
        "nominal", "absolute_error", "bias", "width",
    ]  # fmt: skip
    return (
        shown.loc[kinds, columns]
        .join(other.loc[kinds, columns], lsuffix="_real", rsuffix="_simulated")
        .assign(
            held_real=lambda t: t["strict_high_real"] >= t["nominal_real"],
            held_simulated=lambda t: t["strict_high_simulated"] >= t["nominal_simulated"],
        )
        .rename_axis("kind")
        .reset_index()
    )


def undecided(compared: pd.DataFrame) -> tuple[int, int]:
    """End points whose members lie on both sides of 0.05 in the test of proportional hazards, and all."""
    rows = compared[(compared["quantity"] == "ph_p") & compared["judged"] & compared["covered"].notna()]
    straddling = (rows["low"] < CONVENTIONAL) & (rows["high"] >= CONVENTIONAL)
    return int(straddling.sum()), len(rows)


def sentences(table: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """One sentence per kind: `kind`, `answer` (`yes`, `with care`, `no`), `sentence`.

    `table` is `both(...)`, `compared` the real comparisons. *Yes*: held by both bodies of evidence;
    *with care*: held by one; *no*: by none, or the range decides nothing (a test whose P values
    lie on both sides of 0.05 in more than half of the end points).
    """
    rows = [_sentence(row, compared) for row in table.itertuples() if row.kind in KINDS]
    return pd.DataFrame(rows, columns=["kind", "answer", "sentence"])


def _sentence(row, compared: pd.DataFrame) -> tuple[str, str, str]:
    kind = KINDS[row.kind]
    if row.kind == "proportional hazards, P":
        open_ones, everyone = undecided(compared)
        if 2 * open_ones > everyone:
            return row.kind, "no", (
                f"{kind.subject}: no. In {open_ones} of {everyone} end points the reconstructions lie on "
                f"both sides of {CONVENTIONAL:g}."
            )  # fmt: skip
    held = int(row.held_real) + int(row.held_simulated)
    answer = ("no", "with care", "yes")[held]
    how = {
        2: "The range holds the truth about as often as it should",
        1: f"The range holds the truth less often than it should in {_where(row)} trials",
        0: "The range holds the truth less often than it should",
    }[held]
    return row.kind, answer, f"{kind.subject}: {answer}. {how}{_size(kind, row)}."


def _where(row) -> str:
    return "simulated" if row.held_real else "real"


def _size(kind: Kind, row) -> str:
    errors = [row.absolute_error_real, row.absolute_error_simulated]
    if any(math.isnan(error) for error in errors):
        return ""
    real, simulations = (measured(kind, error) for error in errors)
    return f"; on average its middle is off by {real} in real and {simulations} in simulated trials"


def measured(kind: Kind, value: float) -> str:
    """A value of this kind with its unit: `1.8 percentage points`."""
    if math.isnan(value):
        return "–"
    return f"{kind.factor * value:.{kind.decimals}f} {kind.unit}".strip()


def detectable(count: int, level: float = calibration.LEVEL) -> float:
    """The lowest coverage that so many trials, all covered, leave possible (Clopper-Pearson)."""
    return calibration.clopper_pearson(count, count, level)[0]


def smallest_passing(count: int, nominal: float) -> float:
    """The smallest coverage, in whole percent, that the rule would still call held in so many trials."""
    shares = (percent / 100 for percent in range(101))
    return next(share for share in shares if trials.binomial_limits(share, count)[1] >= nominal)


# --- weak places ----------------------------------------------------------------------------------


def known(compared: pd.DataFrame) -> pd.DataFrame:
    """The judged quantities whose coverage is known, with `kind`."""
    rows = compared[compared["judged"] & compared["covered"].notna()]
    return rows.assign(kind=rows["quantity"].map(trials.KINDS))


def not_judged(compared: pd.DataFrame) -> list[str]:
    """Comparisons of which nothing can be judged: fewer than half of their chains found a cohort."""
    judged = set(known(compared)["comparison"])
    return [name for name in dict.fromkeys(compared["comparison"]) if name not in judged]


def reached(compared: pd.DataFrame) -> tuple[int, int, int]:
    """Limits of medians: held and all among those that the truth reaches, and how many it does not reach.

    A limit that neither the truth nor any member reaches is held, but says little.
    """
    rows = known(compared)
    rows = rows[rows["kind"] == "median limits"]
    finite = rows[rows["truth"] < math.inf]
    return int(finite["covered"].sum()), len(finite), len(rows) - len(finite)


def by_landmark(real: pd.DataFrame, simulations: pd.DataFrame) -> pd.DataFrame:
    """Survival by month: one row per body of evidence (`trials`: `real`, `simulated`) and month.

    `arms`: estimates compared; `bias`: mean of the middle member minus the truth; `above`: share of
    the arms whose true survival lies above the middle member; `covered`: those within the range.
    """
    rows = []
    for source, compared in (("real", real), (SIMULATED, simulations)):
        survival = known(compared)
        survival = survival[survival["kind"] == "survival"]
        for quantity, arms in survival.groupby("quantity"):
            error = arms["median"] - arms["truth"]
            rows.append(
                {
                    "trials": source,
                    "month": int(quantity.removeprefix("survival_")),
                    "arms": len(arms),
                    "bias": error.mean(),
                    "above": (error < 0).mean(),
                    "covered": int(arms["covered"].sum()),
                }
            )
    return pd.DataFrame(rows).sort_values(["trials", "month"], ignore_index=True)


def by_dropout(real: pd.DataFrame, simulations: pd.DataFrame) -> pd.DataFrame:
    """What is held where many of one arm leave early, and where not: one row per body of evidence and case.

    Real: dropout made by us (`comparisons.Comparison.dropout`). Simulated: the family `dropout`.
    `comparisons`: those judged; `quantities`, `covered`: of all kinds.
    """
    made = {c.name for c in COMPARISONS if c.dropout}
    rows = []
    for source, compared, early in (
        ("real", known(real), lambda t: t["comparison"].isin(made)),
        (SIMULATED, known(simulations), lambda t: t["family"] == "dropout"),
    ):
        for dropout in (False, True):
            here = compared[early(compared) == dropout]
            rows.append(
                {
                    "trials": source,
                    "dropout": dropout,
                    "comparisons": here["comparison"].nunique(),
                    "quantities": len(here),
                    "covered": int(here["covered"].sum()),
                }
            )
    return pd.DataFrame(rows)
