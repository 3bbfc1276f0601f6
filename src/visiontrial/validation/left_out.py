"""Leave-out on VISION: what the other printed numbers say of a block that the engine does not see.

Blocks are left out whole: a hazard ratio alone would be the middle of its own limits. Each block is
left out in turn, the trial is rebuilt from the rest, and the statistics of the block are computed from
the rebuilt rows as if they had been printed. The range is from the smallest to the largest of the
members; with m members it would hold one more of their kind with probability (m - 1) / (m + 1).

That a printed value lies in its range says that the engine's idea of such a trial is not at odds with
it. Where the range is wide it says little more.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from visiontrial import files, paths, printed, published
from visiontrial.cohort import ensemble, reader, rebuilding, store, verify
from visiontrial.cohort.specification import Trial

FOLDER = paths.RECONSTRUCTION / "validation" / "left-out"
LEDGER = paths.RECONSTRUCTION / "left_out.csv"
"""What the ledger reads: made from the stored values, with the same characters as the paper's."""
KEPT = paths.BUILD / "validation"
PURPOSE = "visiontrial: blocks of printed numbers left out"
MEMBERS = 30
REMEDY = "make validate OPTIONS='--only left-out'"

COLUMNS = ("claim_id", "block", "left_out_low", "left_out_high", "covered", "members")


@dataclass(frozen=True)
class Block:
    """Claims that are left out together: those whose id matches `pattern`, with their repeats."""

    name: str
    label: str
    pattern: str

    def claims(self, trial: Trial) -> tuple[str, ...]:
        """The claims of this block among the trial's targets."""
        return tuple(t.claim_id for t in trial.targets if re.fullmatch(self.pattern, t.claim_id))


BLOCKS = (
    Block("os-hazard-ratio", "Hazard ratio for death", r"(abstract\.)?os\.(hr|ci-low|ci-high|p)"),
    Block("os-medians", "Both medians of overall survival", r"(abstract\.)?os\.median\..*"),
    Block("follow-up", "Follow-up", r"(abstract\.|os\.)?followup\..*"),
    Block("os-pfs-set", "Death in the PFS set", r"os-pfs-set\..*"),
    Block("pfs", "Imaging-based progression-free survival", r"(abstract\.)?pfs\..*"),
    Block("sse", "Symptomatic skeletal events", r"sse\..*"),
    # Beyond the six: with either hazard ratio for death the other is nearly known.
    Block(
        "os-hazard-ratios", "Both hazard ratios for death",
        r"(abstract\.)?os\.(hr|ci-low|ci-high|p)|os-pfs-set\..*",
    ),
)  # fmt: skip


def blocks() -> dict[str, Block]:
    """The blocks by name."""
    return {block.name: block for block in BLOCKS}


# --- from values to the ledger's columns --------------------------------------------------------------


@dataclass(frozen=True)
class LeftOut:
    """What is stored of the blocks. Its values come from reconstructed patients.

    `values`: one row per block, claim and member: `block`, `claim_id`, `member`, `value` (times in
    months, not rounded). `chains`: one row per chain.
    """

    values: pd.DataFrame
    chains: pd.DataFrame
    manifest: Mapping[str, Any]


def ranges(values: pd.DataFrame, claims: Mapping[str, str]) -> pd.DataFrame:
    """One row per block and claim: the published value, and the range of the members in both forms.

    `claims`: the printed characters by claim. Columns: `block`, `claim_id`, `printed`, `low`, `median`,
    `high`, `left_out_low`, `left_out_high`, `covered`, `members`.
    """
    rows = []
    for (block, claim_id), of_claim in values.groupby(["block", "claim_id"], sort=False):
        ordered, text = of_claim["value"].sort_values().to_numpy(), claims[claim_id]
        low, high = float(ordered[0]), float(ordered[-1])
        rows.append(
            {
                "block": block,
                "claim_id": claim_id,
                "printed": text,
                "low": low,
                "median": float(pd.Series(ordered).median()),
                "high": high,
                "left_out_low": as_the_paper(low, text),
                "left_out_high": as_the_paper(high, text),
                "covered": "yes" if covers(low, high, text) else "no",
                "members": len(ordered),
            }
        )
    return pd.DataFrame(rows)


def as_the_paper(value: float, like: str) -> str:
    """A value with the decimals of a printed one; `inf` where nothing is reached. Always a number."""
    return str(value) if math.isinf(value) else printed.as_printed(value, printed.parse(like).decimals)


def covers(low: float, high: float, like: str) -> bool:
    """Whether some value from `low` to `high` prints as these characters."""
    if printed.parse(like).sign:
        return printed.prints_as(low, like) or printed.prints_as(high, like)
    return float(as_the_paper(low, like)) <= float(like) <= float(as_the_paper(high, like))


def for_the_ledger(table: pd.DataFrame) -> pd.DataFrame:
    """Columns `COLUMNS`: each claim once, in the block that holds it first in `BLOCKS`."""
    return table.drop_duplicates("claim_id")[list(COLUMNS)]


# --- run, store, read ---------------------------------------------------------------------------------


def read(folder: Path = FOLDER) -> LeftOut:
    """The stored values; every file must have its recorded checksum, else `StoreError`."""
    return LeftOut(**rebuilding.read(folder, REMEDY, {"values": {}, "chains": {"member": "Int64"}}))


def read_ranges(folder: Path = FOLDER) -> pd.DataFrame:
    """The ranges of every block, from what is stored and the published claims."""
    return ranges(read(folder).values, _printed_claims())


def _printed_claims() -> dict[str, str]:
    return published.claims().set_index("claim_id")["printed"].to_dict()


def make(
    only: Sequence[str] = (),
    *,
    trial: Trial | None = None,
    kept: Path = KEPT,
    stored: Path = FOLDER,
    ledger: Path = LEDGER,
    **options: Any,
) -> Path:
    """Rebuild the trial without each block as far as that is not done, store the values; return the folder.

    `options` are those of `rebuilding.Rebuilding`: `members`, `processes`, `scheduler`, `engine`. `only`
    names blocks and `members` a number of chains for a trial run, stored under `kept`.
    Raises `RebuildingError` for fewer than two members, and when the independent verifier rejects a member
    or a block has none.
    """
    run = rebuilding.Rebuilding(PURPOSE, kept, MEMBERS, **options)
    trial = trial or reader.read(paths.RECONSTRUCTION / ensemble.TRIAL)
    chosen = [block for block in BLOCKS if not only or block.name in only]
    found = run.run({_without(block): trial.without(*block.claims(trial)) for block in chosen})
    batches = {block.name: found[_without(block)] for block in chosen}
    tasks = {block.name: functools.partial(_predicted, block, trial, batches[block.name]) for block in chosen}
    values = run.judge(tasks, "predicting")
    chains = [rebuilding.chains_of(batch).assign(block=name) for name, batch in batches.items()]
    tables = {
        "values": pd.concat(values.values(), ignore_index=True),
        "chains": pd.concat(chains, ignore_index=True),
    }
    planned = not only and run.as_planned
    folder = stored if planned else kept / f"left-out-{run.chains}-members"
    store.write(folder, rebuilding.encode(tables), _manifest(trial, chosen, run))
    if planned:
        table = for_the_ledger(ranges(read(folder).values, _printed_claims()))
        files.write_text(ledger, table.to_csv(index=False, lineterminator="\n"))
    return folder


def _without(block: Block) -> str:
    return f"without-{block.name}"


def _predicted(block: Block, trial: Trial, batch: ensemble.Batch, engine: ensemble.Engine) -> pd.DataFrame:
    """The block's statistics in the rows of each member."""
    rows = list(_of_members(block, trial, rebuilding.verified(batch, engine)))
    if not rows:
        raise rebuilding.RebuildingError(
            f"without {block.name} none of {len(batch.chains)} chains was accepted: nothing was stored."
        )
    return pd.DataFrame(rows, columns=["block", "claim_id", "member", "value"])


def _of_members(block: Block, trial: Trial, members) -> Iterator[tuple[str, str, int, float]]:
    claims = set(block.claims(trial))
    for number, member in enumerate(members):
        table = verify.statistics(trial, member.adsl, member.adtte)
        for row in table[table["claim_id"].isin(claims)].itertuples():
            yield block.name, row.claim_id, number, row.value


def _manifest(trial: Trial, chosen: Sequence[Block], run: rebuilding.Rebuilding) -> dict[str, Any]:
    return {
        "content": "SYNTHETIC: statistics of reconstructed patients. No patient's data.",
        "trial": trial.name,
        "blocks": {block.name: list(block.claims(trial)) for block in chosen},
        **run.facts(trial_sha256=ensemble.trial_fingerprint(trial)),
    }


def command(**options: Any) -> None:
    """Leave the blocks out and say in a few lines what came of it. `options` are those of `make`."""
    folder = make(**options)
    table = ranges(read(folder).values, _printed_claims())
    for name, rows in table.groupby("block", sort=False):
        hits = int((rows["covered"] == "yes").sum())
        print(
            f"{name}: {hits} of {len(rows)} printed numbers in their range, {rows['members'].max()} members"
        )
    print(f"stored in {files.shown(folder)}")
