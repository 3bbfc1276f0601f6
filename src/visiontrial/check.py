"""`make check`: validate `data/published/` and hold every identity and forensic rule against it.

For whoever edits the data: without notebooks, in seconds. Each finding names the relation,
the claims and their lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from visiontrial import forensics, ledger, paths, published
from visiontrial.identities import Identity, Registry, Repeat


@dataclass(frozen=True)
class Finding:
    """A relation that the printed numbers break."""

    relation: str
    note: str
    claim_ids: tuple[str, ...]

    def text(self, claims: pd.DataFrame) -> str:
        """The relation, its reason, and every member with its line and its printed characters."""
        lines = {claim_id: n + 2 for n, claim_id in enumerate(claims["claim_id"])}
        printed = dict(zip(claims["claim_id"], claims["printed"], strict=True))
        members = [f"    claims.csv: line {lines[i]}: {i} printed {printed[i]!r}" for i in self.claim_ids]
        return "\n".join([f"  broken: {self.relation}  ({self.note})", *members])


def findings(known: Registry, claims: pd.DataFrame) -> list[Finding]:
    """Every identity and every repeat that the printed numbers break, in the registry's order."""
    printed = dict(zip(claims["claim_id"], claims["printed"], strict=True))
    broken = [_broken_identity(i) for i in known.identities if not i.holds(known.values)]
    return broken + [_broken_repeat(r) for r in known.repeats if not _agrees(r, printed, known)]


def run(folder: Path = paths.PUBLISHED) -> str:
    """Check everything; return what to print. Raises `PublishedDataError` when something is wrong."""
    published.verify_checksums(folder)
    claims = published.claims(folder)
    known = ledger.registry(folder)
    broken = findings(known, claims)
    if broken:
        raise published.PublishedDataError(
            f"{folder}: {len(broken)} relation(s) between printed numbers do not hold:\n"
            + "\n".join(finding.text(claims) for finding in broken)
            + "\nCompare these lines with the paper; correct the wrong one."
        )
    found = forensics.findings(folder)
    _nothing_is_inconsistent(found, folder)
    _every_claim_has_a_chapter(claims)
    return _summary(claims, known, found)


def untouched(claims: pd.DataFrame, known: Registry) -> list[str]:
    """The claims that no identity and no repeat touches: what nothing protects but the two readings."""
    return [claim_id for claim_id in claims["claim_id"] if claim_id not in known.spoken_of]


def _every_claim_has_a_chapter(claims: pd.DataFrame) -> None:
    for claim_id in claims["claim_id"]:
        ledger.owner(claim_id)


def _nothing_is_inconsistent(found: tuple[forensics.Finding, ...], folder: Path) -> None:
    wrong = [f for f in found if f.verdict == "inconsistent"]
    if wrong:
        lines = [f"  {forensics.TITLES[f.rule]}: {f.arithmetic}  ({', '.join(f.claim_ids)})" for f in wrong]
        raise published.PublishedDataError(
            f"{folder}: {len(wrong)} comparison(s) of printed numbers cannot be true:\n"
            + "\n".join(lines)
            + "\nCompare these claims with the paper, and their line in pairings.csv with its reason."
        )


def _summary(claims: pd.DataFrame, known: Registry, found: tuple[forensics.Finding, ...]) -> str:
    bare = untouched(claims, known)
    return (
        f"{len(claims)} claims read and valid; {len(known.identities)} identities and "
        f"{len(known.repeats)} repeats hold; {len(bare)} claims are touched by none of them.\n"
        f"{len(found)} comparisons by {len(forensics.tally(found))} forensic rules: none inconsistent, "
        f"{sum(f.verdict == 'odd' for f in found)} odd (chapter 80-forensics)."
    )


def _broken_identity(identity: Identity) -> Finding:
    return Finding(identity.text, identity.note, tuple(dict.fromkeys(identity.claim_ids)))


def _broken_repeat(repeat: Repeat) -> Finding:
    return Finding(f"{repeat.claim_id} repeats {repeat.of}", repeat.note, (repeat.claim_id, repeat.of))


def _agrees(repeat: Repeat, printed: dict[str, str], known: Registry) -> bool:
    """Whether a repeat prints the same number, in figures or in a word; `≥3` repeats "3 or higher"."""
    if repeat.claim_id not in known.values:  # dates are compared as printed
        return printed[repeat.claim_id] == printed[repeat.of]
    ours, theirs = known.values[repeat.claim_id].printed, known.values[repeat.of].printed
    one_sign = ours.sign == theirs.sign or not (ours.sign and theirs.sign)
    return ours.value == theirs.value and one_sign
