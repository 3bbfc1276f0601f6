"""From screening to the end of follow-up: what Figure 1 says, added up, subtracted and compared.

The figure prints most numbers twice: for all patients, and in parentheses for those
randomized on or after the day that `periods` names. Their difference is a third set that
it does not print: the patients randomized before that day. Everything here is arithmetic on printed
counts; no patient is reconstructed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp
from statsmodels.stats.proportion import proportion_confint

from visiontrial import ledger, paths, periods, published
from visiontrial.printed import as_printed, prints_as

SETS = ("all", "pfs", "before")
PERIODS = {"before": periods.before, "pfs": periods.since}
ARMS = ("lu", "control")

# Who received no trial treatment at all, arm by arm. In the 177Lu-PSMA-617 arm that is the box of
# standard care: the size of the safety set shows that all of its patients lack 177Lu-PSMA-617 too.
NEVER_TREATED = {arm: f"fig1.{arm}.no-standard-care" for arm in ARMS}
# Who went without what the arm is named after; in the 177Lu-PSMA-617 arm some of them had standard care.
WITHOUT_ARMS_TREATMENT = {"lu": "fig1.lu.no-lu", "control": "fig1.control.no-standard-care"}


class ImpossibleCounts(ValueError):
    """Counts that cannot all be true together under the stated assumption."""


# --- the tree ---------------------------------------------------------------------------


@cache
def tree(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """Figure 1 as a tree with its numbers: `flow.csv` with the columns `all`, `pfs` and `before`.

    `before` is `all` less `pfs`: patients randomized in the first period. Boxes above
    randomization have `all` only. One box may stand in two rows, under two parents.
    """
    boxes = published.flow(folder).copy()
    known = set(published.claims(folder)["claim_id"])
    boxes["all"] = [published.value(claim_of(b, "all", known), folder) for b in boxes["box"]]
    boxes["pfs"] = [
        published.value(f"{b}.pfs", folder) if f"{b}.pfs" in known else None for b in boxes["box"]
    ]
    boxes = boxes.astype({"all": "Int64", "pfs": "Int64"})
    boxes["before"] = boxes["all"] - boxes["pfs"]
    return boxes


def claim_of(box: str, analysis_set: str, known: set[str]) -> str:
    """The claim that prints a box's number; boxes above randomization carry no name of a set."""
    return f"{box}.{analysis_set}" if f"{box}.{analysis_set}" in known else box


def counts(box: str, analysis_set: str = "all") -> int:
    """The number in one box of Figure 1, in one set (`all`, `pfs`, `before`)."""
    rows = tree()
    found = rows.loc[rows["box"] == box, analysis_set]
    if found.empty:
        raise KeyError(f"Figure 1 has no box {box!r}; its boxes are the column `box` of flow.csv")
    return int(found.iloc[0])


def sums(boxes: pd.DataFrame) -> pd.DataFrame:
    """Every whole beside the sum of its parts, in each set: columns parent, group, set, whole, parts, total.

    A subset (a count that overlaps its siblings) takes no part in a sum.
    """
    wholes = boxes.drop_duplicates("box").set_index("box")
    members = boxes[(boxes["parent"] != "") & (boxes["kind"] != "subset")]
    rows = []
    for (parent, group), parts in members.groupby(["parent", "group"], sort=False):
        for analysis_set in SETS:
            numbers = parts[analysis_set]
            whole = wholes.at[parent, analysis_set]
            if pd.notna(whole) and numbers.notna().all():
                shown = " + ".join(str(n) for n in numbers)
                rows.append((parent, group, analysis_set, int(whole), shown, int(numbers.sum())))
    return pd.DataFrame(rows, columns=["parent", "group", "set", "whole", "parts", "total"])


def arithmetic(boxes: pd.DataFrame, analysis_set: str) -> list[str]:
    """How each row's number follows from its neighbours: `551 = 22 + 529`, or `6 = 22 − 3 − 3`.

    A box with parts is their sum (one for each group of parts); one without is its parent
    less its siblings; a subset is only so many `of` its parent. Empty where a set has no number.
    """
    parts = sums(boxes).query("set == @analysis_set")
    adds_up = {
        parent: "; ".join(f"{r.whole} = {r.parts}" for r in rows.itertuples())
        for parent, rows in parts.groupby("parent", sort=False)
    }
    wholes = boxes.drop_duplicates("box").set_index("box")[analysis_set]
    return [
        adds_up.get(row.box) or _remainder(row, boxes, wholes, analysis_set) for row in boxes.itertuples()
    ]


def _remainder(row, boxes: pd.DataFrame, wholes: pd.Series, analysis_set: str) -> str:
    number = getattr(row, analysis_set)
    if pd.isna(number):
        return ""
    if row.kind == "subset":
        return f"{number} of {wholes[row.parent]}"
    others = boxes.loc[_siblings(row, boxes), analysis_set]
    return " − ".join([f"{number} = {wholes[row.parent]}", *(str(n) for n in others if n)])


def _siblings(row, boxes: pd.DataFrame) -> pd.Series:
    """The other rows of the same parent and group: with this one, they add up to the parent."""
    return (
        (boxes["parent"] == row.parent)
        & (boxes["group"] == row.group)
        & (boxes["box"] != row.box)
        & (boxes["kind"] != "subset")
    )


def recomputed_boxes(boxes: pd.DataFrame) -> dict[str, int]:
    """Every number of Figure 1 that the others determine, from those others alone, by claim id.

    A whole is the sum of its parts; a part without parts is its parent less its siblings.
    """
    known = set(published.claims()["claim_id"])
    totals = sums(boxes).drop_duplicates(["parent", "set"]).set_index(["parent", "set"])["total"]
    wholes = boxes.drop_duplicates("box").set_index("box")
    values = {}
    for row in boxes[boxes["kind"] != "subset"].itertuples():
        for analysis_set in ("all", "pfs"):
            if pd.isna(getattr(row, analysis_set)):
                continue
            value = totals.get((row.box, analysis_set))
            if value is None:
                others = boxes.loc[_siblings(row, boxes), analysis_set].sum()
                value = wholes.at[row.parent, analysis_set] - others
            values[claim_of(row.box, analysis_set, known)] = int(value)
    return values


def with_repeats(values: Mapping[str, float], chapter: str) -> dict[str, float]:
    """The same values also for the claims of the chapter that print the same number elsewhere."""
    own = set(ledger.of_chapter(chapter)["claim_id"])
    spread = {twin: value for c, value in values.items() for twin in sorted(ledger.registry().twins(c))}
    return {claim_id: value for claim_id, value in spread.items() if claim_id in own}


def percentages(prefix: str) -> dict[str, float]:
    """Every percent whose claim id begins with `prefix`, from its count and its denominator."""
    rows = published.claims()
    wanted = rows[
        rows["claim_id"].str.startswith(prefix)
        & (rows["statistic"] == "percent")
        & (rows["denominator"] != "")
    ]
    return {
        row.claim_id: 100
        * published.value(row.claim_id.removesuffix(".percent") + ".count")
        / published.value(row.denominator)
        for row in wanted.itertuples()
    }


def counts_behind(percents: Iterable[str]) -> dict[str, int]:
    """The whole number behind each printed percent, by the claim id of the count.

    Left out where the percent's rounding leaves none or several.
    """
    rows = published.claims().set_index("claim_id")
    values = {}
    for claim_id in percents:
        total = published.value(rows.at[claim_id, "denominator"])
        fitting = [n for n in range(total + 1) if prints_as(100 * n / total, rows.at[claim_id, "printed"])]
        if len(fitting) == 1:
            values[claim_id.removesuffix(".percent") + ".count"] = fitting[0]
    return values


def printed_share(count: int, total: int) -> str:
    """A percent as the paper prints it: no decimals when it is out of fewer than 100, else one."""
    return as_printed(100 * count / total, 0 if total < 100 else 1)


# --- the imaging criteria ----------------------------------------------------------------

STATUSES = ("met", "not met", "unknown")
FINDINGS = {
    "positive and exclusionary": (True, True),
    "positive only": (True, False),
    "exclusionary only": (False, True),
    "neither": (False, False),
}
UNKNOWN_STATUS = {
    "anything": "each of them may be counted as positive, as exclusionary, as both or as neither",
    "undecided": "none of them is counted as exclusionary, because one such lesion settles the status",
    "uncounted": "none of them is counted as positive or as exclusionary",
}


def imaging_counts() -> dict[str, int]:
    """The six printed counts of the PSMA scans, as `imaging_bounds` takes them."""
    names = {
        "scanned": "scanned",
        "positive": "psma-positive",
        "exclusionary": "exclusionary-psma-negative",
        "met": "met-imaging",
        "not_met": "did-not-meet-imaging",
        "unknown": "imaging-unknown",
    }
    return {name: counts(f"fig1.screening.{box}") for name, box in names.items()}


def imaging_bounds(
    *,
    scanned: int,
    positive: int,
    exclusionary: int,
    met: int,
    not_met: int,
    unknown: int,
    unknown_status: str = "anything",
) -> pd.DataFrame:
    """How many patients had each combination of findings: the least and the most that the counts allow.

    Patients fall into cells: positive or not, exclusionary or not, by status. By definition
    who met the criteria is positive and not exclusionary, and who did not meet them is not
    both of these. `unknown_status` says what is assumed of the others (see `UNKNOWN_STATUS`).
    Each bound is the optimum of an integer linear programme (`scipy.optimize.milp`).

    Returns columns findings, among (`scanned` or `not met`), low, high.
    Raises `ImpossibleCounts` when no table of patients has all these counts.
    """
    cells = _possible_cells(unknown_status)
    facts = [
        (scanned, [True for _ in cells]),
        (positive, [p for p, _, _ in cells]),
        (exclusionary, [e for _, e, _ in cells]),
        (met, [s == "met" for *_, s in cells]),
        (not_met, [s == "not met" for *_, s in cells]),
        (unknown, [s == "unknown" for *_, s in cells]),
    ]
    rows = []
    for among, (findings, (p, e)) in product(("scanned", "not met"), FINDINGS.items()):
        wanted = [cell[:2] == (p, e) and among in ("scanned", cell[2]) for cell in cells]
        rows.append((findings, among, _optimum(wanted, facts, 1), _optimum(wanted, facts, -1)))
    return pd.DataFrame(rows, columns=["findings", "among", "low", "high"])


def _possible_cells(unknown_status: str) -> list[tuple[bool, bool, str]]:
    if unknown_status not in UNKNOWN_STATUS:
        raise ValueError(f"unknown_status is {unknown_status!r}; write one of {', '.join(UNKNOWN_STATUS)}")
    of_unknown = {
        "anything": lambda p, e: True,
        "undecided": lambda p, e: not e,
        "uncounted": lambda p, e: not p and not e,
    }[unknown_status]
    possible = {
        "met": lambda p, e: p and not e,
        "not met": lambda p, e: e or not p,
        "unknown": of_unknown,
    }
    cells = product((True, False), (True, False), STATUSES)
    return [(p, e, status) for p, e, status in cells if possible[status](p, e)]


def _optimum(wanted: list[bool], facts: list[tuple[int, list[bool]]], sense: int) -> int:
    """The least (`sense` 1) or the most (-1) patients in the wanted cells."""
    table = np.array([members for _, members in facts], dtype=float)
    totals = np.array([total for total, _ in facts], dtype=float)
    solution = milp(
        sense * np.array(wanted, dtype=float),
        constraints=LinearConstraint(table, totals, totals),
        bounds=Bounds(0, np.inf),
        integrality=np.ones(len(wanted)),
    )
    if not solution.success:
        raise ImpossibleCounts(
            f"no table of patients has the counts {[int(t) for t in totals]} under this assumption: "
            f"{solution.message}"
        )
    return round(sense * solution.fun)


def other_reason_bounds() -> tuple[int, int]:
    """How many who did not meet the imaging criteria were excluded under another reason: least, most.

    Assumed: nobody who met the criteria was excluded for not meeting them, and nobody who did
    not meet them was randomized. The most is reached if every patient of unknown status was
    excluded as not meeting the criteria.
    """
    scans = imaging_counts()
    excluded = counts("fig1.screening.excluded-after-scan.psma-pet")
    least = max(0, scans["not_met"] - excluded)
    return least, min(scans["not_met"], least + scans["unknown"])


# --- who was never treated, who left ----------------------------------------------------------


INTERVALS = {
    "wilson": "Wilson",
    "beta": "Clopper–Pearson",
    "jeffreys": "Jeffreys",
    "agresti_coull": "Agresti–Coull",
    "normal": "Wald",
}
"""Methods of `statsmodels` `proportion_confint` and the names they go by."""


def interval_name(confidence_level: float, method: str) -> str:
    """An interval in words: `95% Wilson interval`. Raises `ValueError` for a method not in `INTERVALS`."""
    if method not in INTERVALS:
        raise ValueError(f"interval method is {method!r}; write one of {', '.join(INTERVALS)}")
    return f"{100 * confidence_level:g}% {INTERVALS[method]} interval"


def never_treated(confidence_level: float = 0.95, method: str = "wilson") -> pd.DataFrame:
    """Patients who received no trial treatment at all, by arm and period; see `shares`."""
    return shares(NEVER_TREATED, confidence_level, method)


def without_arms_treatment(confidence_level: float = 0.95, method: str = "wilson") -> pd.DataFrame:
    """Patients without what their arm is named after, by arm and period; see `shares`.

    That is 177Lu-PSMA-617 in its arm, with or without standard care, and standard care in
    the control arm, where it is all the trial gave.
    """
    return shares(WITHOUT_ARMS_TREATMENT, confidence_level, method)


def left_trial(confidence_level: float = 0.95, method: str = "wilson") -> pd.DataFrame:
    """Patients who left the trial other than by dying, by arm and period; see `shares`."""
    ended = {arm: f"fig1.{arm}.discontinued-trial" for arm in ARMS}
    died = {arm: f"fig1.{arm}.discontinued-trial.died" for arm in ARMS}
    return shares(ended, confidence_level, method, without=died)


def shares(
    boxes: Mapping[str, str],
    confidence_level: float,
    method: str,
    without: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """A box (less another) as a share of its arm, by arm and period, with an interval.

    `confidence_level` between 0 and 1; `method` one of `INTERVALS`.
    Returns columns arm, set (`before`, `pfs`), period, count, total, share, low, high, the
    last three in percent.
    """
    rows = []
    for arm, analysis_set in product(ARMS, PERIODS):
        count = counts(boxes[arm], analysis_set)
        count -= counts(without[arm], analysis_set) if without else 0
        total = counts(f"fig1.{arm}.assigned", analysis_set)
        low, high = proportion_confint(count, total, alpha=1 - confidence_level, method=method)
        limits = (100 * count / total, 100 * low, 100 * high)
        rows.append((arm, analysis_set, PERIODS[analysis_set](), count, total, *limits))
    return pd.DataFrame(rows, columns=["arm", "set", "period", "count", "total", "share", "low", "high"])


def withdrawal_claims() -> dict[str, float]:
    """The withdrawal numbers of the results, by subtraction in Figure 1, by claim id."""
    values = {}
    for row in never_treated().itertuples():
        stem = f"withdrawal.{'after' if row.set == 'pfs' else 'before'}.{row.arm}"
        values |= {f"{stem}.count": row.count, f"{stem}.n": row.total, f"{stem}.percent": row.share}
    return values


def reasons(boxes: Mapping[str, str]) -> pd.DataFrame:
    """Reasons under one box in each arm: one row each, columns (arm, set) for both periods."""
    flow = tree()
    columns = {
        (arm, analysis_set): flow[flow["parent"] == box].set_index("label")[analysis_set]
        for arm, box in boxes.items()
        for analysis_set in PERIODS
    }
    table = pd.DataFrame(columns).astype("Int64").fillna(0)
    order = table.sum(axis=1).sort_values(ascending=False, kind="stable").index
    return table.loc[order].rename_axis("reason").rename_axis(["arm", "set"], axis=1)


def consent_claims() -> dict[str, int]:
    """What the caption of Figure 1 says on withdrawn consent, by claim id.

    The number in the figure is the sum of the caption's reasons; each reason is the figure's
    number less the other reasons.
    """
    boxes = {
        "withdrew-lu": "fig1.lu.no-lu.consent-withdrawn",
        "withdrew-standard-care": "fig1.lu.no-standard-care.consent-withdrawn",
        "withdrew-control": "fig1.control.no-standard-care.consent-withdrawn",
    }
    ids = published.claims()["claim_id"]
    values = {}
    for stem, box in boxes.items():
        given = {i: published.value(i) for i in ids[ids.str.startswith(f"captions.fig1.{stem}.")]}
        total = sum(given.values())
        values[f"{box}.all"] = total
        values |= {claim_id: counts(box) - (total - number) for claim_id, number in given.items()}
    return values


# --- the safety set --------------------------------------------------------------------------


def safety_set() -> pd.DataFrame:
    """Who is in the safety set: columns group (`lu`, `control`), assigned, received, patients.

    Everyone is counted by what they received. That all who lack standard care in the
    177Lu-PSMA-617 arm lack 177Lu-PSMA-617 too is assumed here, and shown by `overlap_bounds`
    together with the printed size of the control group.
    """
    only_standard_care = counts("fig1.lu.no-lu") - counts("fig1.lu.no-standard-care")
    rows = [
        ("lu", "lu", "177Lu-PSMA-617 and standard care", counts("fig1.lu.received-lu")),
        ("control", "control", "standard care", counts("fig1.control.received-standard-care")),
        ("control", "lu", "standard care, no 177Lu-PSMA-617", only_standard_care),
    ]
    return pd.DataFrame(rows, columns=["group", "assigned", "received", "patients"])


def safety_claims() -> dict[str, int]:
    """The sizes of the two safety groups, by claim id, from Figure 1 alone."""
    sizes = safety_set().groupby("group")["patients"].sum()
    return {f"table2.n.{group}": int(size) for group, size in sizes.items()}


def overlap_bounds(first: int, second: int, total: int) -> tuple[int, int]:
    """The least and the most members that two groups of a total can share (Fréchet's bounds)."""
    if not 0 <= max(first, second) <= total or min(first, second) < 0:
        raise ImpossibleCounts(f"groups of {first} and {second} do not fit into {total}")
    return max(0, first + second - total), min(first, second)
