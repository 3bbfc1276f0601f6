"""Is the truth where the reconstruction says it is? Trials with known rows, rebuilt from what a paper prints.

Trials are drawn from the engine's own prior (`cohort.from_prior`) and from families outside it
(`cohort.simulate`), printed, and reconstructed from the print alone, several times each. A quantity
that was not printed then has a reconstruction range, from the smallest to the largest of the
members, and a true value in the rows that were drawn.

**What to expect.** If the truth were one more draw from the same source as m members, it would
lie within their range with probability (m − 1) / (m + 1): 18 / 20 for 19 members, more where
values are tied. That is the nominal coverage, and every rank of the truth would be equally likely
(`cohort.ranks`). A family outside the engine's prior need not reach it.

**Three parts**, declared here before any result: priors are mended on the half `tune` (odd trials of
three families), results are reported on the half `report` (even trials of all families, three of
which tuning never sees). On `prior` (trials drawn from the engine's own prior) nothing is mended.

A chain that is not accepted is never replaced: its trial has one member less, and the number of
failures stands in every row.
"""

from __future__ import annotations

import functools
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from visiontrial import files, paths
from visiontrial.cohort import ensemble, from_prior, rebuilding, simulate, store
from visiontrial.cohort import quantities as implied
from visiontrial.cohort.rebuilding import RebuildingError
from visiontrial.cohort.seeds import seed_of
from visiontrial.cohort.specification import Trial


@dataclass(frozen=True)
class Half:
    """Which trials belong to a half, or to another part: these families, every second trial from `first` on.

    `trials` is the number per family in a planned run.
    """

    families: tuple[str, ...]
    first: int
    trials: int

    def numbers(self, trials: int) -> range:
        """The numbers of its first so many trials of a family."""
        return range(self.first, self.first + 2 * trials, 2)


HALVES = {
    "tune": Half(("piecewise", "weibull", "crossing"), first=1, trials=6),
    "report": Half(tuple(simulate.FAMILIES), first=2, trials=12),
    "prior": Half((from_prior.FAMILY,), first=2, trials=24),
}
MEMBERS = 19
LEVEL = 0.95
"""Of the intervals around a coverage."""

FOLDER = paths.RECONSTRUCTION / "calibration"
KEPT = paths.BUILD / "calibration"
REMEDY = "make calibrate"
PURPOSE = "visiontrial: calibration by simulation"
"""What all seeds are derived from, of the trials and of the chains."""

ALL = "all"
KEYS = ["quantity", "endpoint", "arm"]
# Whole numbers that may be missing.
_COUNTS = {
    "comparisons": {"covered": "Int64"},
    "summary": dict.fromkeys(("trials", "left_out", "covered", "finite"), "Int64"),
    "chains": {"member": "Int64"},
}


# --- one trial ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One simulated trial of a family, by its number."""

    half: str
    family: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.family}-{self.number:03d}"

    @property
    def labels(self) -> dict[str, str | int]:
        return {"half": self.half, "family": self.family, "trial": self.number}

    def truth(self) -> simulate.Truth:
        """The trial as it was: a pure function of family and number."""
        rng = np.random.default_rng(seed_of(PURPOSE, self.family, self.number))
        return from_prior.draw(rng) if self.family == from_prior.FAMILY else simulate.draw(self.family, rng)


def cases(half: str, trials: int | None = None) -> list[Case]:
    """The simulated trials of a half, `trials` per family (default: as planned)."""
    if half not in HALVES:
        raise RebuildingError(f"the calibration has no half {half!r}: choose from {', '.join(HALVES)}")
    plan = HALVES[half]
    numbers = plan.numbers(plan.trials if trials is None else trials)
    return [Case(half, family, number) for family in plan.families for number in numbers]


def quantities(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> pd.Series:
    """What the paper did not print of these rows, by quantity, end point and arm (`all`: both).

    The quantities and their units are those of `cohort.quantities`.
    """
    values = implied.quantities(trial, adsl, adtte)
    # `OS.all.events.treated`: end point, population (there is but one), quantity, arm if of one arm.
    parts = [name.split(".") for name in values.index]
    keys = [(quantity, endpoint, *(arm or [ALL])) for endpoint, _, quantity, *arm in parts]
    return values.set_axis(pd.MultiIndex.from_tuples(keys, names=KEYS))


def compare(truth: pd.Series, members: Sequence[pd.Series], attempted: int) -> pd.DataFrame:
    """The true quantities of one trial against the range of its members, one row per quantity.

    `low`, `median`, `high` are the smallest, middle and largest of the members' values; `covered`
    is whether the truth lies in [low, high]. `below` and `equal` count the members below and at the
    truth: its rank. `members` counts those whose value is defined, `failures` the chains that
    were not accepted. `covered` is missing where the truth is not defined, or fewer than half of the
    attempted members have a value.
    """
    values = np.array([member.reindex(truth.index) for member in members]).reshape(len(members), len(truth))
    values.sort(axis=0)  # NaN last
    rows = [
        _compared(true, column[~np.isnan(column)], attempted)
        for true, column in zip(truth, values.T, strict=True)
    ]
    table = pd.DataFrame(rows, index=truth.index).assign(failures=attempted - len(members))
    return table.astype(_COUNTS["comparisons"]).reset_index()


def _compared(true: float, values: np.ndarray, attempted: int) -> dict[str, Any]:
    usable = not math.isnan(true) and 2 * values.size >= attempted
    low, high = (values[0], values[-1]) if values.size else (math.nan, math.nan)
    return {
        "truth": true,
        "low": low,
        "median": _middle(values),
        "high": high,
        "covered": int(low <= true <= high) if usable else None,
        "below": int((values < true).sum()),
        "equal": int((values == true).sum()),
        "members": values.size,
    }


def _middle(ordered: np.ndarray) -> float:
    """The median of ordered values, some of them perhaps infinite."""
    if not ordered.size:
        return math.nan
    lower, upper = ordered[(ordered.size - 1) // 2], ordered[ordered.size // 2]
    return lower if lower == upper else (lower + upper) / 2


# --- all trials --------------------------------------------------------------------------------------


def summarize(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Coverage, bias and width per half, family (and all of them), quantity, end point and arm.

    column          content
    trials          trials whose coverage is known; `left_out`: the others
    covered         trials whose true value lies in the range
    coverage        their share, with the Clopper-Pearson limits `coverage_low`, `coverage_high` (95%)
    nominal         mean over the trials of (members - 1) / (members + 1)
    bias            mean of the ensemble's median minus the truth
    absolute_error  mean of its absolute value
    width           mean of high minus low
    finite          trials over which these three are taken: those where truth, median and range are finite

    A row whose quantity is `all` holds the mean over trials of the share of covered quantities and
    its t interval, because quantities of one trial are not independent and trials are. There
    `covered` counts quantities, and bias and width have no meaning.
    """
    known = comparisons.assign(case=comparisons["family"] + "-" + comparisons["trial"].astype(str))
    rows = []
    for half, of_half in known.groupby("half", sort=False):
        for family, of_family in [*of_half.groupby("family", sort=False), (ALL, of_half)]:
            here = {"half": half, "family": family}
            for names, of_one in of_family.groupby(KEYS, sort=False):
                rows.append(here | dict(zip(KEYS, names, strict=True)) | _of_quantity(of_one))
            rows.append(here | dict.fromkeys(KEYS, ALL) | _of_all_quantities(of_family))
    return pd.DataFrame(rows).astype(_COUNTS["summary"])


def _of_quantity(rows: pd.DataFrame) -> dict[str, float]:
    used = rows[rows["covered"].notna()]
    covered, trials = int(used["covered"].sum()), len(used)
    low, high = clopper_pearson(covered, trials)
    return {
        "trials": trials,
        "left_out": len(rows) - trials,
        "covered": covered,
        "coverage": covered / trials if trials else math.nan,
        "coverage_low": low,
        "coverage_high": high,
        "nominal": nominal(used),
        **errors(used),
    }


def errors(rows: pd.DataFrame) -> dict[str, float]:
    """`bias`, `absolute_error`, `width` of compared quantities, and the number of them that are `finite`.

    Means of the ensemble's median minus the truth, of its absolute value, and of high minus low, over
    the rows in which truth, median and range are finite.
    """
    finite = rows[np.isfinite(rows[["truth", "low", "median", "high"]].astype(float)).all(axis=1)]
    error = finite["median"] - finite["truth"]
    return {
        "bias": error.mean(),
        "absolute_error": error.abs().mean(),
        "width": (finite["high"] - finite["low"]).mean(),
        "finite": len(finite),
    }


def _of_all_quantities(rows: pd.DataFrame) -> dict[str, float]:
    used = rows[rows["covered"].notna()]
    shares = used["covered"].astype(float).groupby(used["case"]).mean()
    low, high = t_limits(shares.to_numpy())
    return {
        "trials": len(shares),
        "left_out": rows["case"].nunique() - len(shares),
        "covered": int(used["covered"].sum()),
        "coverage": shares.mean(),
        "coverage_low": low,
        "coverage_high": high,
        "nominal": nominal(used),
    }


def nominal(rows: pd.DataFrame) -> float:
    """The coverage to expect if the truth were one more draw: the mean of (members - 1) / (members + 1)."""
    return ((rows["members"] - 1) / (rows["members"] + 1)).mean()


def clopper_pearson(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact limits of a probability from independent trials; 0 and 1 without any.

    Source: Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404.
    """
    if not trials:
        return 0.0, 1.0
    limits = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    return float(limits.low), float(limits.high)


def t_limits(shares: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Limits of the mean of independent shares by Student's t, within 0 and 1; 0 and 1 for fewer than two."""
    if len(shares) < 2:
        return 0.0, 1.0
    spread = stats.t.isf((1 - level) / 2, len(shares) - 1) * shares.std(ddof=1) / math.sqrt(len(shares))
    return max(0.0, shares.mean() - spread), min(1.0, shares.mean() + spread)


# --- run, store, read --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calibration:
    """The stored calibration: `comparisons` (per trial and quantity), `summary`, `chains`, `manifest`."""

    comparisons: pd.DataFrame
    summary: pd.DataFrame
    chains: pd.DataFrame
    manifest: Mapping[str, Any]


def read(folder: Path = FOLDER) -> Calibration:
    """The stored calibration; every file must have its recorded checksum, else `StoreError`."""
    return Calibration(**rebuilding.read(folder, REMEDY, _COUNTS))


def make(
    halves: Sequence[str] = tuple(HALVES),
    *,
    trials: int | None = None,
    kept: Path = KEPT,
    stored: Path = FOLDER,
    **options: Any,
) -> Path:
    """Reconstruct the trials of these halves as far as that is not done, compare, store; return the folder.

    `options` are those of `rebuilding.Rebuilding`: `members`, `processes`, `scheduler`, `engine`. `trials`
    per family and `members`, where given, take the place of the planned numbers; then the result is stored
    under `kept`, never in place of the planned calibration. A half that is not asked for stays in the store
    as it is.

    Raises `RebuildingError` for a half that does not exist, no trial or fewer than two members, and a
    member that the independent verifier rejects.
    """
    if trials is not None and trials < 1:
        raise RebuildingError(f"{trials} trials: give at least 1")
    run = rebuilding.Rebuilding(PURPOSE, kept, MEMBERS, **options)
    chosen = [case for half in halves for case in cases(half, trials)]
    batches = run.run({case.name: simulate.print_as_a_paper(case.truth()) for case in chosen})
    tasks = {case: functools.partial(_compare, case, batches[case.name]) for case in chosen}
    tables = _tables(run.judge(tasks, "comparing with the truth"), batches)
    planned = trials is None and run.as_planned
    unplanned = f"{'-'.join(halves)}-{trials or 'planned'}-trials-{run.chains}-members"
    folder = stored if planned else kept / unplanned
    _store(folder, halves, tables, _manifest(halves, chosen, run), keep_others=planned)
    return folder


def _tables(
    compared: Mapping[Case, pd.DataFrame], batches: Mapping[str, ensemble.Batch]
) -> dict[str, pd.DataFrame]:
    labels = {case: case.labels for case in compared}
    comparisons = rebuilding.stacked(labels, compared)
    chains = {case: rebuilding.chains_of(batches[case.name]) for case in compared}
    return {
        "comparisons": comparisons,
        "summary": summarize(comparisons),
        "chains": rebuilding.stacked(labels, chains),
    }


def _compare(case: Case, batch: ensemble.Batch, engine: ensemble.Engine) -> pd.DataFrame:
    members = [quantities(batch.trial, m.adsl, m.adtte) for m in rebuilding.verified(batch, engine)]
    truth = case.truth()
    return compare(quantities(batch.trial, truth.adsl, truth.adtte), members, len(batch.chains))


def _manifest(halves: Sequence[str], chosen: Sequence[Case], run: rebuilding.Rebuilding) -> dict[str, Any]:
    """What each half was made from, by half."""
    return {
        half: {
            "trials": {
                family: [case.number for case in chosen if (case.half, case.family) == (half, family)]
                for family in HALVES[half].families
            },
            **run.facts(),
        }
        for half in halves
    }


def _store(
    folder: Path,
    halves: Sequence[str],
    tables: Mapping[str, pd.DataFrame],
    made_from: dict[str, Any],
    *,
    keep_others: bool,
) -> None:
    """Write the tables; with `keep_others`, what the folder holds of other halves stays, to the character."""
    contents = rebuilding.encode(tables)
    if keep_others and (folder / store.MANIFEST).exists():
        before = store.read_checked(folder, REMEDY)
        contents = {name: _merged(before[name], content, halves) for name, content in contents.items()}
        made_from = json.loads(before[store.MANIFEST])["halves"] | made_from
    manifest = {
        "content": "SYNTHETIC: simulated trials and their reconstructions. No patient's data.",
        "halves": {half: made_from[half] for half in HALVES if half in made_from},
    }
    store.write(folder, contents, manifest)


def _merged(before: bytes, now: bytes, halves: Sequence[str]) -> bytes:
    """Both tables in the order of the halves, those made now in place of their older rows."""
    older, newer = (
        pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False) for content in (before, now)
    )
    rows = pd.concat([older[~older["half"].isin(halves)], newer])
    order = rows["half"].map(list(HALVES).index)
    ordered = rows.iloc[order.argsort(kind="stable")]
    return ordered.to_csv(index=False, lineterminator="\n").encode("utf-8")


def command(half: str | None = None, **options: Any) -> None:
    """Calibrate (one part, or all) and say in a few lines what came of it. `options` are those of `make`."""
    folder = make([half] if half else list(HALVES), **options)
    found = read(folder)
    for name, chains in found.chains.groupby("half", sort=False):
        failed = int((~chains["accepted"]).sum())
        print(f"{name}: {len(chains)} chains, {failed} not accepted")
    overall = found.summary[found.summary["quantity"] == ALL]
    for row in overall.itertuples():
        print(f"  {row.half}, {row.family}: {_in_words(row)}")
    print(f"stored in {files.shown(folder)}")


def _in_words(row: Any) -> str:
    if not row.trials:
        return "too few members to judge any trial"
    limits = f"{row.coverage_low:.0%} to {row.coverage_high:.0%}"
    return f"{row.coverage:.0%} covered ({limits}), nominal {row.nominal:.0%}, {row.left_out} trials left out"
