"""Why a number stands as it does: the relations that speak of it, one at a time.

The ledger gives the verdict; this module shows the reasons. It also does what the tests of
`make check` do, one case at a time: change a digit, and see which relations break.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction

import pandas as pd
from great_tables import GT

from visiontrial import check, fitted, identities, ledger, published, tables
from visiontrial.check import Finding
from visiontrial.identities import Identity, Registry
from visiontrial.printed import Interval, as_printed_like

STEP_COLUMNS = ("relation", "why", "is an equation", "must lie", "could be printed")

COHORT_COLUMNS = ("cohorts", "value", "prints as")

BUILT_TO_AGREE = "fitted: reconstructed patients were built to agree with it, which protects nothing"


def steps(claim_id: str, known: Registry | None = None) -> pd.DataFrame:
    """Each relation that speaks of a claim or of its repeats, and what it alone would allow there.

    Columns as in `STEP_COLUMNS`; the last row takes all relations together. No relation
    speaks of a date. Raises `KeyError` for an unknown claim.
    """
    known = ledger.registry() if known is None else known
    if claim_id not in known.values:
        published.printed(claim_id)  # names the nearest ids when there is no such claim
        return pd.DataFrame([("all together", "", "", "anywhere", "anything")], columns=list(STEP_COLUMNS))
    claim = known.values[claim_id]
    rows = [
        (i.text, i.note, "yes" if i.is_equation else "no", *_room(claim, i.bounds(member, known.values)))
        for i, member in known.touching(claim_id)
    ]
    rows.append(("all together", "", "", *_room(claim, known.bounds(claim_id))))
    return pd.DataFrame(rows, columns=list(STEP_COLUMNS))


def in_cohorts(claim_id: str) -> pd.DataFrame:
    """A number in the reconstructed patients: in the displayed cohort, and the extremes over its ensemble.

    Columns as in `COHORT_COLUMNS`; values not rounded, times in months. Only the first row where the
    displayed cohort alone has it. Raises `KeyError` where the reconstructed patients say nothing of
    the claim.
    """
    if claim_id not in fitted.evidence():
        published.printed(claim_id)  # names the nearest ids when there is no such claim
        raise KeyError(f"the reconstructed patients say nothing of {claim_id}; choose a fitted claim")
    found, printed = fitted.evidence()[claim_id], published.printed(claim_id)
    rows = [("the displayed cohort", found.displayed)]
    if count := len(found.members):
        rows += [(f"smallest of {count}", found.members.min()), (f"largest of {count}", found.members.max())]
    printing = [(name, float(value), as_printed_like(float(value), printed)) for name, value in rows]
    return pd.DataFrame(printing, columns=list(COHORT_COLUMNS))


def bounds_in_words(bounds: Interval, decimals: int) -> str:
    """Bounds as one reads them: `exactly 17`, `0.61524 to below 0.62541`, `at most 385`, `anywhere`.

    Rounded outwards to so many decimals, so that the words never promise more than the
    bounds; one value with more decimals ends in an ellipsis.
    """
    if bounds.is_empty:
        return "nowhere"
    if bounds.low is None and bounds.high is None:
        return "anywhere"
    if bounds.low == bounds.high:
        shown = _decimal(bounds.low, decimals)
        return f"exactly {shown}" if Fraction(shown) == bounds.low else f"{shown}…"
    if bounds.low is None:
        return f"{'below' if bounds.high_open else 'at most'} {_decimal(bounds.high, decimals, up=True)}"
    if bounds.high is None:
        return f"{'above' if bounds.low_open else 'at least'} {_decimal(bounds.low, decimals)}"
    below = "below " if bounds.high_open else ""
    return f"{_decimal(bounds.low, decimals)} to {below}{_decimal(bounds.high, decimals, up=True)}"


def jacobian(equations: Sequence[Identity], known: Registry | None = None) -> pd.DataFrame:
    """First derivatives at the printed values: one row per equation, one column per number.

    Repeats share a column, named after the first of them in alphabetical order. The rank of
    this matrix is the number of independent equations.
    """
    known = ledger.registry() if known is None else known
    rows = []
    for equation in equations:
        row: dict[str, float] = {}
        for claim_id, slope in equation.gradient(known.values).items():
            name = min(known.twins(claim_id))
            row[name] = row.get(name, 0.0) + slope
        rows.append(row)
    return pd.DataFrame(rows, index=[e.text for e in equations]).fillna(0.0)


def unprotected(known: Registry | None = None) -> pd.DataFrame:
    """The claims that no identity and no repeat touches: `claim_id`, `item`, `printed`, `why`."""
    known = ledger.registry() if known is None else known
    claims = published.claims()
    bare = claims[claims["claim_id"].isin(check.untouched(claims, known))]
    built = fitted.evidence()
    why = [BUILT_TO_AGREE if c.claim_id in built else ledger.reason(c) for c in bare.itertuples()]
    reasoned = bare.assign(why=why)
    return reasoned[["claim_id", "item", "printed", "why"]].reset_index(drop=True)


def one_wrong_digit(text: str, rng: random.Random) -> str:
    """The same characters with one digit replaced by another. Raises `ValueError` where there is none."""
    positions = [n for n, character in enumerate(text) if character.isdigit()]
    if not positions:
        raise ValueError(f"{text!r} holds no digit to change; choose a claim printed in figures")
    position = rng.choice(positions)
    other = rng.choice([digit for digit in "0123456789" if digit != text[position]])
    return text[:position] + other + text[position + 1 :]


def misprinted(claim_id: str, text: str) -> pd.DataFrame:
    """The published claims as they would be if the paper printed `text` for this one."""
    claims = published.claims().copy()
    claims.loc[claims["claim_id"] == claim_id, "printed"] = text
    return claims


def broken_by(claims: pd.DataFrame) -> list[Finding]:
    """The relations that do not hold among these claims.

    Raises `PublishedDataError` when one of them is no number at all, which is a catch as well.
    """
    published.validate_claims(claims)
    known = identities.registry(claims, published.flow(), published.identities_table())
    return check.findings(known, claims)


def mutations(number: int, seed: int, known: Registry | None = None) -> pd.DataFrame:
    """Change one digit of one claim that a relation speaks of, so many times, and see what breaks.

    Columns: `claim_id`, `printed`, `changed to`, `relations broken`, `caught`. The same seed
    gives the same rows.
    """
    known = ledger.registry() if known is None else known
    rng = random.Random(seed)
    claims = published.claims()
    in_figures = claims["printed"].str.contains(r"\d") & claims["claim_id"].isin(known.spoken_of)
    candidates = list(zip(claims["claim_id"][in_figures], claims["printed"][in_figures], strict=True))
    rows = []
    for claim_id, printed in (rng.choice(candidates) for _ in range(number)):
        text = one_wrong_digit(printed, rng)
        broken = len(_broken_or_refused(claim_id, text))
        rows.append((claim_id, printed, text, broken, "yes" if broken else "no"))
    return pd.DataFrame(rows, columns=["claim_id", "printed", "changed to", "relations broken", "caught"])


# --- the same as tables -------------------------------------------------------------------


def steps_table(claim_id: str, known: Registry | None = None) -> tables.Printable:
    """`steps` as a table: each relation in words, and below in claim ids."""
    frame = steps(claim_id, known)
    frame["relation"] = [_two_lines(r.why, r.relation) for r in frame.itertuples()]
    shown = GT(frame.drop(columns="why"), rowname_col="relation")
    slug = claim_id.replace(".", "-")
    return tables.printable(shown, f"steps-{slug}", f"What the other numbers allow for {claim_id}")


def in_cohorts_table(claim_id: str) -> tables.Printable:
    """`in_cohorts` as a table that says whose values these are."""
    frame = in_cohorts(claim_id)
    frame["value"] = [f"{value:.4g}" for value in frame["value"]]
    slug = claim_id.replace(".", "-")
    caption = f"{claim_id} in reconstructed patients, who were built to agree with the paper"
    return tables.printable(GT(frame, rowname_col="cohorts"), f"cohorts-{slug}", caption)


def unprotected_table(known: Registry | None = None) -> tables.Printable:
    """`unprotected` as a table, grouped by the reason."""
    frame = unprotected(known).sort_values("why", kind="stable")
    frame = frame.assign(number=[_two_lines(r.item, r.claim_id) for r in frame.itertuples()])
    shown = GT(frame[["why", "number", "printed"]], rowname_col="number", groupname_col="why")
    return tables.printable(shown, "unprotected", "Printed numbers that no relation touches")


def mutations_table(number: int, seed: int, known: Registry | None = None) -> tables.Printable:
    """`mutations` as a table."""
    shown = GT(mutations(number, seed, known), rowname_col="claim_id")
    return tables.printable(shown, "mutations", "One wrong digit at a time, and whether a relation breaks")


def named_results_table() -> tables.Printable:
    """What the paper names without a number, how it is analysed, and what it would take to show it."""
    named = published.named_results()
    frame = pd.DataFrame(
        {
            "group": ["Method shown" if s == METHOD_SHOWN else "Not shown" for s in named["status"]],
            "result": named["name"],
            "what": named["what_it_is"],
            "analysis": named["analysis"],
            "needs": [_needs(r.status, r.needs) for r in named.itertuples(index=False)],
        }
    ).sort_values("group", kind="stable")
    shown = (
        GT(frame, rowname_col="result", groupname_col="group")
        .tab_stubhead("Result")
        .cols_label(what="What it is", analysis="How it is analysed", needs="What it would take")
        .cols_align("left", ["what", "analysis", "needs"])
        .tab_source_note("How it is analysed: as the article says, else as is usual.")
    )
    return tables.printable(shown, "named-results", "Results that the paper names without a number")


METHOD_SHOWN = "method shown"


def _needs(status: str, needs: str) -> str:
    reason = status.removeprefix("not shown, because ")
    return needs if status == METHOD_SHOWN else f"{needs}\n{reason}"


def _two_lines(first: str, second: str) -> str:
    return f"{first}\n{second}" if first else second


def _broken_or_refused(claim_id: str, text: str) -> list:
    try:
        return broken_by(misprinted(claim_id, text))
    except published.PublishedDataError as refusal:
        return [refusal]


def _room(claim, bounds: Interval) -> tuple[str, str]:
    return bounds_in_words(bounds, claim.printed.decimals + 3), claim.allowed(bounds).text


def _decimal(value: Fraction, decimals: int, *, up: bool = False) -> str:
    """Rounded down (or up) to so many decimals, without needless zeros."""
    scaled = Fraction(value) * 10**decimals
    whole = math.ceil(scaled) if up else math.floor(scaled)
    text = f"{whole / 10**decimals:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
