"""Every printed number, with what this book can say for it: one grade and one verdict each.

Grades say where the reproduced value comes from: `recomputed` from the other printed
numbers, `fitted` from the reconstructed cohort, or `quoted` (from nothing: an input).
Verdicts say what came of the comparison: `match`, `compatible`, `differs`, `unchecked`.

A recomputation sees every claim but its target and the target's repeats. It returns all
characters that could be printed there given the rounding of the others. Exactly one makes
the grade `recomputed`; several, when an equation bounds them, leave the claim `quoted` with
the verdict `compatible`. So does a number with a sign (`<0.001`): looser ones would hold as
well. A mere order (a median lies inside its range) leaves a claim `unchecked`, and the
explanation says so: an order that could hardly fail is no check.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from visiontrial import files, identities, paths, published
from visiontrial.identities import AtMost, Claim, Identity, Registry
from visiontrial.printed import Printable, parse

COLUMNS = (
    "claim_id", "location", "printed", "reproduced", "difference", "grade", "verdict",
    "left_out_low", "left_out_high", "covered", "chapter", "explanation",
)  # fmt: skip
GRADES = ("recomputed", "fitted", "quoted")
VERDICTS = ("match", "compatible", "differs", "unchecked")

# Statistics that only an analysis of patients can give.
OF_PATIENTS = frozenset({"median", "hazard_ratio", "ci_low", "ci_high", "p_value", "range_low", "range_high"})

NEEDS_PATIENTS = "needs reconstructed patients; the chapters that rebuild them come with a later release"
AN_INPUT = "an input: no other printed number determines it"


class LedgerError(ValueError):
    """The ledger does not account for every claim as it must; the message names chapter and claim."""


@cache
def registry(folder: Path = paths.PUBLISHED) -> Registry:
    """The identities over the published claims."""
    return identities.registry(
        published.claims(folder), published.flow(folder), published.identities_table(folder)
    )


@cache
def compute(folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """The ledger as far as the printed numbers alone can carry it: one row per claim, in the paper's order.

    Columns as in `COLUMNS`, all text. Depends on `data/published/` and nothing else.
    """
    reasons = published.explanations(folder)
    known = registry(folder)
    rows = [_row(claim, known, reasons) for claim in published.claims(folder).itertuples()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def of_chapter(chapter: str, folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """The part of the ledger that one chapter answers for."""
    table = compute(folder)
    return table[table["chapter"] == chapter].reset_index(drop=True)


def owner(claim_id: str, folder: Path = paths.PUBLISHED) -> str:
    """The chapter that answers for a claim: the one with the longest prefix of its id in `ownership.csv`."""
    rows = published.ownership(folder)
    fitting = [(len(r.prefix), r.chapter) for r in rows.itertuples() if claim_id.startswith(r.prefix)]
    if not fitting:
        raise LedgerError(f"ownership.csv: no chapter answers for the claim {claim_id!r}; add a prefix")
    return max(fitting)[1]


def assemble(parts: Path = paths.LEDGER_PARTS, target: Path = paths.LEDGER) -> pd.DataFrame:
    """Merge what the chapters wrote, check that it accounts for everything, and write the ledger.

    Raises `LedgerError` when a claim has no row or two, when a claim differs without an
    explanation, or when a grade is not the one its computation earns.
    """
    found = [read(path).assign(part=path.stem) for path in sorted(parts.glob("*.csv"))]
    merged = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*COLUMNS, "part"])
    check(merged)
    order = {claim_id: n for n, claim_id in enumerate(published.claims()["claim_id"])}
    merged = merged.sort_values("claim_id", key=lambda ids: ids.map(order))[list(COLUMNS)].reset_index(
        drop=True
    )
    write(merged, target)
    return merged


def check(table: pd.DataFrame, folder: Path = paths.PUBLISHED) -> None:
    """Raise `LedgerError` listing everything that keeps a ledger from accounting for the claims."""
    problems = [*_completeness(table, folder), *_unexplained(table), *_unearned(table, folder)]
    if problems:
        raise LedgerError("the ledger does not stand:\n" + "\n".join(f"  {p}" for p in problems))


def read(path: Path = paths.LEDGER) -> pd.DataFrame:
    """Read a ledger, or a chapter's part of one, as text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a ledger or a part of one, whole or not at all."""
    files.write_text(path, table.to_csv(index=False, lineterminator="\n"))


# --- one row ----------------------------------------------------------------------------


def _row(claim, known: Registry, reasons: dict[str, str]) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "") | {
        "claim_id": claim.claim_id,
        "location": claim.location,
        "printed": claim.printed,
        "chapter": owner(claim.claim_id),
    }
    if claim.statistic == "date":
        return row | _quoted(claim, known)
    target = known.values[claim.claim_id]
    bounds = known.bounds(claim.claim_id)
    allowed = target.allowed(bounds)
    evidence = known.evidence(claim.claim_id)
    agrees = bounds.meets(target.interval)
    # An order alone, or a bound on one side alone, is too weak to be called a check.
    tied = any(not isinstance(identity, AtMost) for identity in evidence)
    if agrees and not (tied and allowed.lowest and allowed.highest):
        return row | _quoted(claim, known)
    return row | _compared(target, allowed, agrees, evidence, reasons)


def _compared(
    target: Claim, allowed: Printable, agrees: bool, evidence: list[Identity], reasons: dict[str, str]
) -> dict[str, str]:
    pinned = allowed.count == 1 and any(identity.is_equation for identity in evidence)
    why = "; ".join(dict.fromkeys(i.note for i in evidence))
    return {
        "reproduced": allowed.text,
        "difference": _difference(target, allowed),
        "grade": "recomputed" if pinned or not agrees else "quoted",
        "verdict": ("match" if pinned else "compatible") if agrees else "differs",
        "explanation": why if agrees else reasons.get(target.claim_id, ""),
    }


def _difference(target: Claim, allowed: Printable) -> str:
    """Ours minus printed, at printed precision; empty when there is no single value of ours."""
    if allowed.count != 1:
        return ""
    difference = parse(allowed.lowest).value - target.printed.value
    return f"{float(difference):.{target.printed.decimals}f}"


def _quoted(claim, known: Registry) -> dict[str, str]:
    return {"grade": "quoted", "verdict": "unchecked", "explanation": _why_unchecked(claim, known)}


def _why_unchecked(claim, known: Registry) -> str:
    reason = NEEDS_PATIENTS if _asks_for_patients(claim) else AN_INPUT
    if claim.statistic != "date" and (orders := [i.note for i in known.evidence(claim.claim_id)]):
        reason += f" (checked for order only: {'; '.join(dict.fromkeys(orders))})"
    twins = sorted(known.twins(claim.claim_id) - {claim.claim_id}) if claim.claim_id in known.values else []
    return reason + (f"; printed alike as {', '.join(twins)}" if twins else "")


def _asks_for_patients(claim) -> bool:
    return claim.statistic in OF_PATIENTS and claim.location != "methods" and "planned" not in claim.claim_id


# --- what keeps a ledger from standing ---------------------------------------------------


def _completeness(table: pd.DataFrame, folder: Path):
    claim_ids = published.claims(folder)["claim_id"]
    for claim_id in claim_ids[~claim_ids.isin(table["claim_id"])]:
        yield f"{owner(claim_id, folder)}: claim {claim_id} is not accounted for; run that chapter"
    for row in table[table["claim_id"].duplicated()].itertuples():
        yield f"{row.chapter}: claim {row.claim_id} has two rows; one chapter answers for it (ownership.csv)"
    for row in table[~table["claim_id"].isin(claim_ids)].itertuples():
        yield f"{row.chapter}: {row.claim_id} is no claim of claims.csv"


def _unexplained(table: pd.DataFrame):
    for row in table[(table["verdict"] == "differs") & (table["explanation"] == "")].itertuples():
        yield (
            f"{row.chapter}: claim {row.claim_id} differs (printed {row.printed}, ours {row.reproduced}); "
            "correct the transcription, or explain it in explanations.csv"
        )


def _unearned(table: pd.DataFrame, folder: Path):
    earned = compute(folder).set_index("claim_id")
    for row in table[table["claim_id"].isin(earned.index)].itertuples():
        expected = earned.loc[row.claim_id]
        entered, due = _standing(row), _standing(expected)
        if entered != due:
            yield f"{row.chapter}: claim {row.claim_id} stands as {entered}; its computation earns {due}"


def _standing(row) -> str:
    return f"{row.grade}/{row.verdict} ({row.reproduced})"


# --- the scoreboard -----------------------------------------------------------------------


@dataclass(frozen=True)
class Scoreboard:
    """How many of the paper's numbers were reproduced, and how; with the equations behind it.

    `counts` has one row per grade and one column per verdict. `equations` are those between
    the printed numbers that pin at least one of them; `independent` is the rank of their
    Jacobian at the printed values, repeats taken as one number.
    """

    counts: pd.DataFrame
    total: int
    equations: int
    independent: int
    narrow: int

    @property
    def remarks(self) -> tuple[str, str]:
        """What the counts rest on, in two sentences."""
        recomputed, compatible = self.counts.loc["recomputed"].sum(), self.counts["compatible"].sum()
        return (
            f"The {recomputed} recomputed numbers rest on {self.independent} independent equations between "
            "the printed numbers.",
            f"Of the {compatible} compatible numbers, {self.narrow} had at most ten values to choose from.",
        )

    def text(self) -> str:
        """For the terminal."""
        title = f"{self.total} numbers printed by the paper, each accounted for once:"
        return "\n".join([title, "", self.counts.to_string(), "", *self.remarks])

    def html(self) -> str:
        """For the first page: a table that reads well aloud and fits a phone, and the remarks."""
        head = "".join(f"<th scope='col' class='grade-{grade}'>{grade}</th>" for grade in GRADES)
        body = "".join(self._html_row(verdict) for verdict in VERDICTS)
        total = "".join(f"<td>{n}</td>" for n in [*self.counts.sum(axis=1), self.total])
        return (
            "<table class='scoreboard'>"
            f"<caption>The {self.total} numbers the paper prints, by verdict and grade</caption>"
            f"<thead><tr><th scope='col'>verdict</th>{head}<th scope='col'>all</th></tr></thead>"
            f"<tbody>{body}</tbody><tfoot><tr><th scope='row'>all</th>{total}</tr></tfoot></table>"
            + "".join(f"<p>{html.escape(remark)}</p>" for remark in self.remarks)
        )

    def _html_row(self, verdict: str) -> str:
        counts = self.counts[verdict]
        cells = "".join(f"<td>{int(n) or '–'}</td>" for n in [*counts, counts.sum()])
        return f"<tr class='verdict-{verdict}'><th scope='row'>{verdict}</th>{cells}</tr>"


def scoreboard(table: pd.DataFrame, folder: Path = paths.PUBLISHED) -> Scoreboard:
    """Count a ledger by grade and verdict, and the independent equations behind its recomputed claims."""
    counts = pd.crosstab(table["grade"], table["verdict"]).reindex(
        index=GRADES, columns=VERDICTS, fill_value=0
    )
    known = registry(folder)
    equations = _equations_behind(set(table.loc[table["grade"] == "recomputed", "claim_id"]), known)
    return Scoreboard(
        counts=counts.rename_axis(None).rename_axis(None, axis=1),
        total=len(table),
        equations=len(equations),
        independent=independent(equations, known),
        narrow=_narrow(known, table.loc[table["verdict"] == "compatible", "claim_id"]),
    )


def independent(equations: list[Identity], known: Registry) -> int:
    """The rank of the equations' Jacobian at the printed values: how many do not follow from the others.

    Repeats of a number are one unknown. A count and its percent are tied by one equation,
    however often each certifies the other.
    """
    if not equations:
        return 0
    column = {
        twins: n for n, twins in enumerate({known.twins(i): None for e in equations for i in e.claim_ids})
    }
    jacobian = np.zeros((len(equations), len(column)))
    for line, equation in enumerate(equations):
        for claim_id, slope in equation.gradient(known.values).items():
            jacobian[line, column[known.twins(claim_id)]] += slope
    return int(np.linalg.matrix_rank(jacobian))


def _equations_behind(recomputed: set[str], known: Registry) -> list[Identity]:
    """The equations that alone leave a recomputed claim finitely many values."""
    behind = {}
    for claim_id in sorted(recomputed):
        target = known.values[claim_id]
        for identity, member in known.touching(claim_id):
            if (
                identity.is_equation
                and target.allowed(identity.bounds(member, known.values)).count is not None
            ):
                behind[identity.text] = identity
    return list(behind.values())


def _narrow(known: Registry, claim_ids: pd.Series, most: int = 10) -> int:
    counts = (known.values[i].allowed(known.bounds(i)).count for i in claim_ids)
    return sum(1 for count in counts if count is not None and count <= most)
