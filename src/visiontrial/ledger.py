"""Every printed number, with what this book can say for it: one grade and one verdict each.

Grades say where the reproduced value comes from: `recomputed` from the other printed
numbers, `fitted` from the reconstructed patients, or `quoted` (from nothing: an input).
Verdicts say what came of the comparison: `match`, `compatible`, `differs`, `unchecked`.

A recomputation sees every claim but its target and the target's repeats. It returns all
characters that could be printed there given the rounding of the others. Exactly one makes
the grade `recomputed`; several, when an equation bounds them, leave the claim `quoted` with
the verdict `compatible`. So does a number with a sign (`<0.001`): looser ones would hold as
well. A mere order (a median lies inside its range) leaves a claim `unchecked`, and the
explanation says so: an order that could hardly fail is no check.

What is still `quoted` and of which the reconstructed patients speak (`visiontrial.fitted`)
becomes `fitted`: `match` where the value of the displayed cohort and of every member of its
ensemble prints as the paper's characters, else `differs`. The explanation keeps what the
identities said. A sign is then a statement about one value, true of it or not; that other limits
would hold as well is said beside it. Fitted never hides what the printed numbers say: where they
leave another value only, the claim `differs` whatever the patients give.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from visiontrial import files, fitted, identities, paths, published
from visiontrial.fitted import Fitted
from visiontrial.identities import AtMost, Claim, Identity, Registry
from visiontrial.printed import Printable, Printed, UnreadableNumber, parse

COLUMNS = (
    "claim_id", "location", "printed", "reproduced", "difference", "grade", "verdict",
    "left_out_low", "left_out_high", "covered", "chapter", "explanation",
)  # fmt: skip
GRADES = ("recomputed", "fitted", "quoted")
VERDICTS = ("match", "compatible", "differs", "unchecked")

_OF_PATIENTS = "rests on patients' values, which are not printed and which no reconstructed patient has"
_OF_DESIGN = "a choice of the design"
_OF_PROTOCOL = "a rule of the protocol"
_OF_ANALYSIS = "a convention of the analysis, set beforehand"

REASONS = {
    "count": "a count that stands in no printed sum and beside no percent",
    "percent": "a percent whose count is not printed",
    "median": _OF_PATIENTS,
    "range_low": _OF_PATIENTS,
    "range_high": _OF_PATIENTS,
    "hazard_ratio": _OF_PATIENTS,
    "ci_low": _OF_PATIENTS,
    "ci_high": _OF_PATIENTS,
    "p_value": _OF_PATIENTS,
    "ci_level": _OF_ANALYSIS,
    "alpha": _OF_ANALYSIS,
    "power": _OF_DESIGN,
    "events_planned": _OF_DESIGN,
    "n_planned": _OF_DESIGN,
    "date": "a date on which something was done or decided",
    "dose": _OF_PROTOCOL,
    "duration": _OF_PROTOCOL,
    "other": "a rule, a threshold, a scale, a version or a number word in a label",
}
"""Why nothing printed pins a claim, by its statistic; `reasons.csv` says it better for a few."""

ROLES = {
    "target": "The search for reconstructed patients was held to it",
    "derived": "Confirmed in the reconstructed patients after the search, which was not held to it",
    "characteristic": "Drawn to agree, for the reconstructed patients of the displayed cohort alone",
}
REPEAT = "The search for reconstructed patients was held to the number that it repeats"
PROVES = "It proves only that the printed numbers can be true together"


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
    """The ledger: one row per claim, in the paper's order; columns as in `COLUMNS`, all text.

    Depends on the claims of `folder` and on the stored reconstructed patients, which are read once
    per process and are the same whatever the folder.
    """
    account = _Account(
        folder, registry(folder), published.explanations(folder), fitted.evidence(), fitted.left_out()
    )
    rows = [account.row(claim) for claim in published.claims(folder).itertuples()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def of_chapter(chapter: str, folder: Path = paths.PUBLISHED) -> pd.DataFrame:
    """The part of the ledger that one chapter answers for."""
    table = compute(folder)
    return table[table["chapter"] == chapter].reset_index(drop=True)


def owner(claim_id: str, folder: Path = paths.PUBLISHED) -> str:
    """The chapter that answers for a claim: the one with the longest prefix of its id in `ownership.csv`."""
    chapter = _by_prefix(claim_id, published.ownership(folder), "chapter")
    if chapter is None:
        raise LedgerError(f"ownership.csv: no chapter answers for the claim {claim_id!r}; add a prefix")
    return chapter


def reason(claim, folder: Path = paths.PUBLISHED) -> str:
    """Why nothing printed pins a claim (a row of `claims.csv`), where nothing does."""
    return _own_reason(claim.claim_id, folder) or REASONS[claim.statistic]


def _own_reason(claim_id: str, folder: Path) -> str | None:
    return _by_prefix(claim_id, published.reasons(folder), "reason")


def _by_prefix(claim_id: str, table: pd.DataFrame, column: str) -> str | None:
    """The entry of the longest prefix of the claim id, `None` where there is none."""
    prefixes = [prefix for prefix in table["prefix"] if claim_id.startswith(prefix)]
    if not prefixes:
        return None
    return table.loc[table["prefix"] == max(prefixes, key=len), column].iloc[0]


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


@dataclass(frozen=True)
class _Account:
    """What an account of the claims draws on, and the row of each."""

    folder: Path
    known: Registry
    explanations: dict[str, str]
    patients: dict[str, Fitted]
    left_out: dict[str, dict[str, str]]

    def row(self, claim) -> dict[str, str]:
        row = dict.fromkeys(COLUMNS, "") | {
            "claim_id": claim.claim_id,
            "location": claim.location,
            "printed": claim.printed,
            "chapter": owner(claim.claim_id, self.folder),
        }
        given = self._by_printed_numbers(claim)
        if given["grade"] == "quoted" and claim.claim_id in self.patients:
            given = self._by_patients(claim, given)
        return row | given

    def _by_printed_numbers(self, claim) -> dict[str, str]:
        if claim.statistic == "date":
            return self._unchecked(claim)
        target = self.known.values[claim.claim_id]
        bounds = self.known.bounds(claim.claim_id)
        allowed = target.allowed(bounds)
        evidence = self.known.evidence(claim.claim_id)
        agrees = bounds.meets(target.interval)
        # An order alone, or a bound on one side alone, is too weak to be called a check.
        tied = any(not isinstance(identity, AtMost) for identity in evidence)
        if agrees and not (tied and allowed.lowest and allowed.highest):
            return self._unchecked(claim)
        pinned = allowed.count == 1 and any(identity.is_equation for identity in evidence)
        why = [*dict.fromkeys(identity.note for identity in evidence)]
        if not pinned and (own := _own_reason(claim.claim_id, self.folder)):
            why.append(own)
        return {
            "reproduced": allowed.text,
            "difference": _difference(target, allowed),
            "grade": "recomputed" if pinned or not agrees else "quoted",
            "verdict": ("match" if pinned else "compatible") if agrees else "differs",
            "explanation": "; ".join(why) if agrees else self.explanations.get(claim.claim_id, ""),
        }

    def _unchecked(self, claim) -> dict[str, str]:
        why = f"{reason(claim, self.folder)}: it is computed from no other printed number"
        if orders := self._orders(claim):
            why += f" (checked for order only: {orders})"
        if twins := self._twins(claim):
            why += f"; printed alike as {twins}"
        return {"grade": "quoted", "verdict": "unchecked", "explanation": why}

    def _by_patients(self, claim, given: dict[str, str]) -> dict[str, str]:
        found = self.patients[claim.claim_id]
        agrees = found.agrees(claim.printed)
        ours = found.text(claim.printed)
        own = self.explanations.get(claim.claim_id, "")
        return {
            "reproduced": ours,
            "difference": _less(ours, parse(claim.printed)),
            "grade": "fitted",
            "verdict": "match" if agrees else "differs",
            "explanation": self._why_fitted(claim, found, given) if agrees else own,
            **self.left_out.get(claim.claim_id, {}),
        }

    def _why_fitted(self, claim, found: Fitted, given: dict[str, str]) -> str:
        sentences = [f"{self._role(found)}: {found.definition}"]
        if members := len(found.members):
            sentences.append(f"All {members} cohorts of the ensemble agree, the displayed one among them")
        sentences.append(PROVES)
        if parse(claim.printed).sign:
            sentences.append("A sign only says on which side the value lies: other limits would hold as well")
        if given["verdict"] == "compatible":
            sentences.append(f"The other printed numbers allow {given['reproduced']}: {given['explanation']}")
        elif orders := self._orders(claim):
            sentences.append(f"The other printed numbers give an order only: {orders}")
        if twins := self._twins(claim):
            sentences.append(f"Printed alike as {twins}")
        return ". ".join(sentences)

    def _role(self, found: Fitted) -> str:
        if found.role == "derived":
            twins = self.known.twins(found.claim_id) & self.patients.keys()
            if any(self.patients[twin].role == "target" for twin in twins):
                return REPEAT
        return ROLES[found.role]

    def _orders(self, claim) -> str:
        if claim.statistic == "date":
            return ""
        return "; ".join(dict.fromkeys(identity.note for identity in self.known.evidence(claim.claim_id)))

    def _twins(self, claim) -> str:
        if claim.claim_id not in self.known.values:
            return ""
        return ", ".join(sorted(self.known.twins(claim.claim_id) - {claim.claim_id}))


def _difference(target: Claim, allowed: Printable) -> str:
    return _less(allowed.lowest, target.printed) if allowed.count == 1 else ""


def _less(ours: str, printed: Printed) -> str:
    """Ours minus printed, at printed precision; empty where ours is no single value or only a side of one."""
    try:
        mine = parse(ours)
    except UnreadableNumber:
        return ""
    if mine.sign:
        return ""
    return f"{float(mine.value - printed.value):.{printed.decimals}f}"


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
        rebuild = "build patients for the corrected number (make ensemble), " if row.grade == "fitted" else ""
        yield (
            f"{row.chapter}: claim {row.claim_id} differs (printed {row.printed}, ours {row.reproduced}); "
            f"correct the transcription, {rebuild}or explain it in explanations.csv"
        )


def _unearned(table: pd.DataFrame, folder: Path):
    earned = compute(folder).set_index("claim_id")
    for row in table[table["claim_id"].isin(earned.index)].itertuples():
        expected = earned.loc[row.claim_id]
        entered, due = _standing(row), _standing(expected)
        if entered != due:
            yield f"{row.chapter}: claim {row.claim_id} stands as {entered}; its computation earns {due}"


def _standing(row) -> str:
    standing = f"{row.grade}/{row.verdict} ({row.reproduced})"
    left_out = (row.left_out_low, row.left_out_high, row.covered)
    return f"{standing}, left out {' '.join(left_out)}" if any(left_out) else standing


# --- the scoreboard -----------------------------------------------------------------------


@dataclass(frozen=True)
class Scoreboard:
    """How many of the paper's numbers were reproduced, and how; with the equations behind it.

    `counts` has one row per grade and one column per verdict. `equations` are those between
    the printed numbers that pin at least one of them; `independent` is the rank of their
    Jacobian at the printed values, repeats taken as one number. Of the fitted numbers, `targets`
    are those to which the search for patients was held, `drawn` those of the baseline table that
    were drawn to agree. `narrow`: compatible numbers with at most ten values to choose from.
    """

    counts: pd.DataFrame
    total: int
    equations: int
    independent: int
    targets: int
    drawn: int
    narrow: int

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the counts rest on, a remark for each grade that makes a comparison."""
        recomputed, compatible = self.counts.loc["recomputed"].sum(), self.counts["compatible"].sum()
        return (
            f"The {recomputed} recomputed numbers rest on {self.independent} independent equations between "
            "the printed numbers.",
            *([self._of_fitted] if self.fitted else []),
            f"Of the {compatible} compatible numbers, {self.narrow} had at most ten values to choose from.",
        )

    @property
    def fitted(self) -> int:
        """How many numbers are fitted."""
        return int(self.counts.loc["fitted"].sum())

    @property
    def _of_fitted(self) -> str:
        others = self.fitted - self.targets - self.drawn
        return (
            f"The {self.fitted} fitted numbers rest on {self.targets} targets to which the search for "
            f"reconstructed patients was held, and on {self.drawn} baseline numbers drawn to agree; {others} "
            "repeat these or were confirmed afterwards. They prove only that they can all be true together."
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
    # The roles of the targets are read, not the patients: a page that counts them need not wait.
    roles = table.loc[table["grade"] == "fitted", "claim_id"].map(fitted.targets()["role"])
    return Scoreboard(
        counts=counts.rename_axis(None).rename_axis(None, axis=1),
        total=len(table),
        equations=len(equations),
        independent=independent(equations, known),
        targets=int((roles == "target").sum()),
        drawn=int(roles.isna().sum()),
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
