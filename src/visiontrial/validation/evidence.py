"""What the comparisons together support: for each kind of quantity one sentence, by rules fixed beforehand.

Two bodies of evidence, never pooled: simulated trials (`cohort.calibration`, report half) and real
ones (`trials`, group `report`). A kind is *held* by one of them when the upper 95% limit of its
coverage, every comparison counted as a trial, is not below the nominal coverage: then so few misses
are compatible with ranges that are as wide as they should be. That is weak where trials are few;
`detectable` says how weak. (Counted by data sets the limit would be higher, and the rule laxer.)

Two clauses were added after the results were seen, because the rule hid a failure; both can only make
an answer worse. A family of simulated trials, or a single quantity, that is not held when counted alone
takes the *yes* away and is named. What is said of proportional hazards must be held where the hazards
are not proportional.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import pandas as pd

from visiontrial.cohort import calibration
from visiontrial.validation import trials
from visiontrial.validation.comparisons import COMPARISONS, FULL

SIMULATED = "simulated"
REPORTED = "report"
CONVENTIONAL = 0.05
"""The P value on whose side a test of proportional hazards is read."""

FAMILIES = {
    "crossing": "the hazards cross", "piecewise": "the hazards are random walks",
    "weibull": "the hazards are proportional", "delayed": "the effect comes late",
    "cure": "some patients are cured", "dropout": "many of one arm leave early",
}  # fmt: skip
"""Families of simulated trials by what is so in them, to follow "where"."""


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
    "proportional hazards, slope": Kind(
        "The change of the log hazard ratio from the start of the curve to its foot",
        "on the log scale",
        decimals=2,
    ),
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
        "quantities", "trials", "comparisons", "covered", "coverage", "coverage_low", "coverage_high",
        "strict_high", "nominal", "absolute_error", "bias", "width",
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


def by_family(simulations: pd.DataFrame) -> pd.DataFrame:
    """What each family of simulated trials holds: one row per kind and family, every trial counted alone.

    `coverage`: mean over the trials of their share; `high`: its upper 95% limit; `nominal`: what to expect;
    `bias`: of the middle member; `held`: whether `high` is not below `nominal`, the rule of the answers.
    """
    rows = []
    for (kind, family), here in trials.known(simulations).groupby(["kind", "family"], sort=False):
        rows.append({"kind": kind, "family": family} | _held(here))
    return pd.DataFrame(rows)


def _held(rows: pd.DataFrame) -> dict[str, float]:
    shares = rows["covered"].astype(float).groupby(rows["comparison"]).mean()
    high, nominal = trials.binomial_limits(shares.mean(), len(shares))[1], calibration.nominal(rows)
    return {
        "comparisons": len(shares),
        "quantities": len(rows),
        "covered": int(rows["covered"].sum()),
        "coverage": shares.mean(),
        "high": high,
        "nominal": nominal,
        "bias": calibration.errors(rows)["bias"],
        "held": high >= nominal,
    }


def by_hazards(real: pd.DataFrame, simulations: pd.DataFrame) -> pd.DataFrame:
    """What is held of proportional hazards, by whether the test calls the true hazards proportional.

    One row per body of evidence (`trials`), `proportional` (true P at least `CONVENTIONAL`) and kind, with
    the columns of `by_family`.
    """
    rows = []
    for source, compared in (("real", real), (SIMULATED, simulations)):
        true_p = compared[compared["quantity"] == "ph_p"].set_index(["comparison", "endpoint"])["truth"]
        here = trials.known(compared)
        here = here[here["kind"].str.startswith("proportional hazards")]
        of_each = true_p.reindex(pd.MultiIndex.from_frame(here[["comparison", "endpoint"]])).to_numpy()
        here = here.assign(proportional=of_each >= CONVENTIONAL)
        for (proportional, kind), of_kind in here.groupby(["proportional", "kind"]):
            rows.append({"trials": source, "proportional": proportional, "kind": kind} | _held(of_kind))
    return pd.DataFrame(rows)


def by_quantity(simulations: pd.DataFrame) -> pd.DataFrame:
    """What simulated trials of all families hold: one row per kind, quantity, end point and arm.

    With the columns of `by_family`. A quantity that is not `held` is one that chapter 10 warns of.
    """
    keys = ["kind", "quantity", "endpoint", "arm"]
    groups = trials.known(simulations).groupby(keys, sort=False)
    return pd.DataFrame([dict(zip(keys, names, strict=True)) | _held(rows) for names, rows in groups])


def sentences(table: pd.DataFrame, compared: pd.DataFrame, simulations: pd.DataFrame) -> pd.DataFrame:
    """One sentence per kind: `kind`, `answer` (`yes`, `with care`, `no`), `sentence`.

    `table` is `both(...)`, `compared` the real comparisons, `simulations` is `simulated(...)`.

    *Yes*: held by both bodies of evidence, and in simulated trials by every family and for every quantity,
    each counted alone. *With care*: held by one body, or with exceptions, which are named. *No*: held by
    none; or the range decides nothing (a test whose P values lie on both sides of 0.05 in more than half of
    the end points); or the question is about hazards that change, and where they do the range is not held.
    """
    weak = _Weak(by_hazards(compared, simulations), by_family(simulations), by_quantity(simulations))
    rows = [_sentence(row, compared, weak) for row in table.itertuples() if row.kind in KINDS]
    return pd.DataFrame(rows, columns=["kind", "answer", "sentence"])


@dataclass(frozen=True)
class _Weak:
    """Where a kind may fail: `by_hazards`, `by_family` and `by_quantity`."""

    hazards: pd.DataFrame
    families: pd.DataFrame
    quantities: pd.DataFrame

    def changing(self, kind: str) -> pd.DataFrame:
        h = self.hazards
        return h[(h["kind"] == kind) & (h["trials"] == SIMULATED) & ~h["proportional"] & ~h["held"]]

    def exceptions(self, kind: str) -> list[str]:
        """The families and the quantities of simulated trials that do not hold this kind, in words."""
        families, quantities = (t[(t["kind"] == kind) & ~t["held"]] for t in (self.families, self.quantities))
        return [
            *(f"where {FAMILIES[r.family]} ({r.covered} of {r.quantities})" for r in families.itertuples()),
            *(f"for {_named(r)} ({r.covered} of {r.quantities})" for r in quantities.itertuples()),
        ]


def _named(row) -> str:
    what = re.sub(r"survival_(\d+)", r"survival at \1 months", row.quantity).replace("_", " ")
    return f"{row.endpoint} {what}" + ("" if row.arm == "all" else f" in the {row.arm} arm")


def _sentence(row, compared: pd.DataFrame, weak: _Weak) -> tuple[str, str, str]:
    kind = KINDS[row.kind]
    if row.kind == "proportional hazards, P":
        open_ones, everyone = undecided(compared)
        if 2 * open_ones > everyone:
            return row.kind, "no", (
                f"{kind.subject}: no. In {open_ones} of {everyone} end points the reconstructions lie on "
                f"both sides of {CONVENTIONAL:g}."
            )  # fmt: skip
    changing = weak.changing(row.kind)
    if len(changing):
        covered, quantities = changing[["covered", "quantities"]].iloc[0]
        return row.kind, "no", (
            f"{kind.subject}: no. Where the test calls the true hazards of simulated trials not "
            f"proportional, the range holds the truth in {covered} of {quantities} end points."
        )  # fmt: skip
    held = int(row.held_real) + int(row.held_simulated)
    exceptions = weak.exceptions(row.kind)
    answer = ("no", "with care", "with care" if exceptions else "yes")[held]
    how = {
        2: "The range holds the truth about as often as it should",
        1: f"The range holds the truth less often than it should in {_where(row)} trials",
        0: "The range holds the truth less often than it should",
    }[held]
    but = f" But in simulated trials not {', nor '.join(exceptions)}." if exceptions else ""
    return row.kind, answer, f"{kind.subject}: {answer}. {how}{_size(kind, row)}.{but}"


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


def smallest_of_all_passing(table: pd.DataFrame, source: str) -> float:
    """`smallest_passing` of the kind for which the rule asks least; `table` from `both`."""
    kinds = table[table["kind"] != trials.EVERYTHING]
    columns = kinds[[f"comparisons_{source}", f"nominal_{source}"]]
    return min(smallest_passing(int(count), nominal) for count, nominal in columns.itertuples(index=False))


def smallest_passing(count: int, nominal: float) -> float:
    """The smallest coverage, in whole percent, that the rule would still call held in so many trials."""
    shares = (percent / 100 for percent in range(101))
    return next(share for share in shares if trials.binomial_limits(share, count)[1] >= nominal)


# --- weak places ----------------------------------------------------------------------------------


def not_judged(compared: pd.DataFrame) -> list[str]:
    """Comparisons of which nothing can be judged: fewer than half of their chains found a cohort."""
    judged = set(trials.known(compared)["comparison"])
    return [name for name in dict.fromkeys(compared["comparison"]) if name not in judged]


def unreached(compared: pd.DataFrame) -> tuple[int, int]:
    """Limits of medians that the truth does not reach, none of which counts: those in the range, and all."""
    rows = compared[compared["judged"] & compared["covered"].notna() & (compared["truth"] == math.inf)]
    return int(rows["covered"].sum()), len(rows)


def by_landmark(real: pd.DataFrame, simulations: pd.DataFrame) -> pd.DataFrame:
    """Survival by month: one row per body of evidence (`trials`: `real`, `simulated`) and month.

    `arms`: estimates compared, from so many `datasets`; `bias`: mean of the middle member minus the truth;
    `above`: share of the arms whose true survival lies above the middle member; `covered`: those within
    the range.
    """
    rows = []
    for source, compared in (("real", real), (SIMULATED, simulations)):
        survival = trials.known(compared)
        survival = survival[survival["kind"] == "survival"]
        for quantity, arms in survival.groupby("quantity"):
            error = arms["median"] - arms["truth"]
            rows.append(
                {
                    "trials": source,
                    "month": int(quantity.removeprefix("survival_")),
                    "arms": len(arms),
                    "datasets": arms["dataset"].nunique(),
                    "bias": error.mean(),
                    "above": (error < 0).mean(),
                    "covered": int(arms["covered"].sum()),
                }
            )
    return pd.DataFrame(rows).sort_values(["trials", "month"], ignore_index=True)


def by_dropout(real: pd.DataFrame, simulations: pd.DataFrame) -> pd.DataFrame:
    """What is held where many of one arm leave early, and of the same trials where not.

    One row per body of evidence (`trials`), and of real trials per comparison with dropout made by us
    (`comparisons.Comparison.dropout`) and per comparison of the same data set without. Simulated: the family
    `dropout`, and the other families. The truth of a comparison with dropout made by us is the rows after it.
    `name`: the comparison, or the family; `quantities`, `covered`, `nominal`: over all kinds.
    """
    made = {c.name: c.dataset for c in COMPARISONS if c.dropout}
    known = trials.known(real)
    pairs = known[known["dataset"].isin(known.loc[known["comparison"].isin(made), "dataset"])]
    known_simulated = trials.known(simulations)
    early = (known_simulated["family"] == "dropout").map({True: "dropout", False: "others"})
    rows = [
        {"trials": "real", "name": name, "dropout": name in made} | _of_all_kinds(here)
        for name, here in pairs.groupby("comparison", sort=False)
    ] + [
        {"trials": SIMULATED, "name": name, "dropout": name == "dropout"} | _of_all_kinds(here)
        for name, here in known_simulated.groupby(early, sort=False)
    ]
    return pd.DataFrame(rows)


def _of_all_kinds(rows: pd.DataFrame) -> dict[str, float]:
    return {
        "comparisons": rows["comparison"].nunique(),
        "members": int(rows["members"].max()),
        "quantities": len(rows),
        "covered": int(rows["covered"].sum()),
        "nominal": calibration.nominal(rows),
    }
